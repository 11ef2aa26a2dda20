"""Which stretch of test time is drawn, chosen before any error is known, so that no model picks it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nervure.bench.forecast.contest import Answer
from nervure.bench.forecast.job import Round
from nervure.core.instant import DAY_NS, HOUR_NS, duration_text, iso

__all__ = ["stretch"]

_PATH_NS = 20 * HOUR_NS  # a horizon as long as this is drawn as one forecast
_MOST = 300  # points of a picture


def stretch(answer: Answer) -> Round | None:
    """Return a stretch of the node in the middle of all by spread, from the middle of the test part.

    A long horizon is drawn as one forecast over its path; a short one as a day of forecasts (three
    where readings are hourly or rarer), each made the longest reported lead before.
    """
    task, chosen = answer.leg.task, answer.leg.chosen
    with np.errstate(all="ignore"):
        wide = np.nan_to_num(np.nanstd(task.table.value[np.ix_(task.split.train, task.targets)], axis=0))
    node = int(np.argsort(wide)[len(wide) // 2])
    own = np.flatnonzero(chosen.node == node)
    if not len(own):
        return None
    every = task.table.every_ns
    if task.horizon * every >= _PATH_NS:
        row = own[_nearest_whole(answer.found[own])]
        steps = np.arange(task.horizon)[:_MOST]
        rows, lead = np.full(len(steps), row), "path"
    else:
        step = max([one for one in task.report_at if one <= task.horizon] or [task.horizon]) - 1
        days = 3 if every >= HOUR_NS else 1
        count = int(min(_MOST, max(12, days * DAY_NS // every), len(own)))
        start = (len(own) - count) // 2
        rows = own[start : start + count]
        steps, lead = np.full(len(rows), step), duration_text((step + 1) * every)
    slot = task.table.first + chosen.last[rows] + steps + 1
    outer = [int(np.abs(np.asarray(task.quantiles) - level).argmin()) for level in (0.1, 0.9)]
    y = answer.y[rows, steps]
    return Round(
        node=task.names[node].split("/")[0],
        lead=lead,
        time=tuple(iso(int(one) * every) for one in slot),
        read=tuple(None if np.isnan(one) else _short(one) for one in answer.found[rows, steps]),
        low=tuple(_short(one) for one in y[:, outer[0]]),
        median=tuple(_short(one) for one in y[:, task.median]),
        high=tuple(_short(one) for one in y[:, outer[1]]),
    )


def _nearest_whole(found: NDArray[np.float32]) -> int:
    """Return the row nearest the middle that has a reading at every horizon, else the middle."""
    middle = len(found) // 2
    whole = np.flatnonzero(~np.isnan(found).any(axis=1))
    return int(whole[np.abs(whole - middle).argmin()]) if len(whole) else middle


def _short(value: float) -> float:
    return float(f"{float(value):.5g}")
