"""The course of a file of one's own: plain forecasts that its size allows, training, packaging."""

from __future__ import annotations

import math
from collections.abc import Callable

from nervure.core.instant import DAY_NS
from nervure.learn.baseline import HistoricalAverage, LastValue, SeasonalNaive
from nervure.learn.course import Course, How, course
from nervure.learn.lag import LinearLags, Seasons
from nervure.learn.own.data import Own
from nervure.learn.task import Forecaster, ForecastTask, pose, samples
from nervure.learn.trees import BoostedTrees
from nervure.trust.signature import SigningKey

__all__ = ["plain", "run", "stride_of"]

_JUDGED = 30_000  # windows that are enough to judge by
_CELLS = 400_000_000  # readings that the windows of all judgements may hold
_LONG = 6_000  # slots that a window may reach back for a plain forecast
_DRAWN = 400_000_000  # slots in the windows that boosted trees are trained on
_WEIGHTS = 60_000_000  # cells of the normal equations of all nodes


def run(
    own: Own,
    *,
    key: SigningKey,
    budget_s: float,
    seed: int = 0,
    compare: bool = True,
    progress: Callable[[float, str], None] | None = None,
    how: How | None = None,
) -> Course:
    """Train the default model on a file's data set, hold it against plain forecasts, package it."""
    task = pose(own.dataset, split=own.split, seed=seed)
    return course(
        own.dataset,
        key=key,
        split=own.split,
        budget_s=budget_s,
        seed=seed,
        compare=compare,
        rivals=plain(task),
        stride=stride_of(task),
        progress=progress,
        how=how,
    )


def plain(task: ForecastTask, *, trees: bool = True) -> list[Forecaster]:
    """Return the plain forecasts that make sense for the step, the history and the number of series.

    A season is one of day, week and year that is several steps long and twice in the train part.
    Those that would have to look at too long a past (a week of minutes) are left out.
    """
    every, rows = task.table.every_ns, len(task.split.train)
    found: list[Forecaster] = [LastValue()]
    seasons = {"day": DAY_NS, "week": 7 * DAY_NS}
    if every >= DAY_NS:
        seasons = {"week": 7 * DAY_NS} if every == DAY_NS else {"year": 364 * DAY_NS}
    for name, period in seasons.items():
        slots = period // every
        reach = slots * (-(-task.horizon // slots) + 1)
        if 1 < slots <= _LONG and rows >= 2 * slots and rows >= reach:
            found.append(SeasonalNaive(period, f"seasonal naive {name}"))
    found.append(HistoricalAverage())
    reach = Seasons(task, depth=2).history
    lags = min(168, task.window) + 2 * task.horizon + 1
    size = task.nodes * lags * (lags + task.horizon)
    if size <= _WEIGHTS and reach <= _LONG:
        found.append(LinearLags())
    if trees and reach <= _LONG:
        pairs = len(samples(task, "train")) * min(task.horizon, 4)  # what a small file can show at all
        found.append(BoostedTrees(rows=max(1_000, min(300_000, pairs, _DRAWN // reach))))
    return found


def stride_of(task: ForecastTask) -> int:
    """Return every how many slots a test window should end, so that judging does not take for ever.

    It shares no divisor with the slots of a week, so that all hours are judged alike.
    """
    every = task.table.every_ns
    week = max(1, 7 * DAY_NS // every)
    length = task.horizon + max(task.window, min(2 * week, len(task.split.train)))
    count = len(samples(task, "test"))
    stride = max(1, -(-count // _JUDGED), count * length // _CELLS)
    stride = min(stride, max(1, len(task.split.test) // 4))
    while math.gcd(stride, week) > 1:
        stride += 1
    return stride
