"""The anchor of the deep models: the seasonal profile, what a stream shows at each slot of the week.

The models foresee what differs from it. In training each reading is
held against a profile made without its own week (or day), so that the net does not learn to trust
a memory that already holds the answer.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.calendar import calendar
from nervure.core.instant import DAY_NS
from nervure.learn.task import ForecastTask, Samples, samples, truth

__all__ = ["FINEST", "Anchor", "Kind", "choose", "fit_anchor", "keys", "per_day"]

Kind = Literal["week", "workday", "day", "none"]
Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

FINEST = 288  # a day is cut into at most this many slots: 5 min
_ENOUGH = 32  # readings that make a slot's mean
_JUDGED = 20_000  # samples that judge a profile


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """Seasonal profiles ``table [node, slot of week]`` and their spread ``scale [node]``.

    ``seen [row, node]`` is the profile at each row of the task's table; at rows of the train part
    it leaves out the row's own week (day).
    """

    kind: Kind
    table: Floats
    scale: Floats
    seen: Floats


def per_day(every_ns: int) -> int:
    """Return into how many slots a profile cuts the day.

    >>> per_day(3_600_000_000_000), per_day(1_000_000_000)
    (24, 288)
    """
    return int(min(FINEST, max(1, DAY_NS // every_ns)))


def keys(days: Longs, every_ns: int) -> Longs:
    """Return the slot of the profile for each row of a calendar ``[..., 5]``; holidays are Sundays."""
    full, fine = max(1, DAY_NS // every_ns), per_day(every_ns)
    slot: Longs = days[..., 0] * fine // full
    weekday = np.where(days[..., 2] == 1, 6, days[..., 1])
    return weekday * fine + slot


def fit_anchor(task: ForecastTask, kind: Kind) -> Anchor:
    """Take the mean course of the week (day) from the train part, each node around its local level."""
    table = task.table
    days = calendar(task.zone, task.problem.calendar, table.every_ns, table.first, len(table.value))
    fine = per_day(table.every_ns)
    slot = keys(days, table.every_ns)
    whole_week = _slots(np.arange(7 * fine), fine, kind)  # which slot of the profile each of the week's is
    slot, size = whole_week[slot], int(whole_week.max()) + 1
    local = (table.slots - days[:, 0]) // max(1, DAY_NS // table.every_ns)
    group = local // 7 if kind == "week" else local
    group = group - group.min() if kind != "none" else np.zeros_like(group)
    profiles = np.empty((task.nodes, 7 * fine))
    scale = np.empty(task.nodes)
    seen = np.empty((len(table.value), task.nodes))
    mine = np.zeros(len(table.value), dtype=bool)
    mine[task.split.train] = True
    for node, column in enumerate(task.targets):
        value = np.where(mine, table.value[:, column], np.nan)
        whole = float(np.nanmean(value)) if np.isfinite(value).any() else 0.0
        apart = value - _level(value, max(7 * DAY_NS // table.every_ns, 2 * task.window))
        course, without = _leave_out(apart, slot, size, group, reach=fine // 48)
        profiles[node] = course[whole_week] + whole
        seen[:, node] = without + whole
        scale[node] = _scale(apart - without, value)
    return Anchor(kind=kind, table=profiles, scale=scale, seen=seen)


def _slots(week: Longs, fine: int, kind: Kind) -> Longs:
    """Return the slots of a profile for those of the week: one a day, working days apart, or none."""
    if kind == "week":
        return week
    if kind == "workday":
        return week % fine + fine * (week >= 5 * fine)
    return week % fine if kind == "day" else np.zeros_like(week)


def choose(task: ForecastTask) -> Anchor:
    """Return the profile whose plain forecast has the smallest mean error on the validation part.

    The plain forecast is the profile plus the window's mean, or last, distance from it; only where
    a profile is clearly better (1 %) does it win over a simpler one.
    """
    chosen = samples(task, "validation")
    if len(chosen) > _JUDGED:
        chosen = chosen.take(np.linspace(0, len(chosen) - 1, _JUDGED).astype(np.int64))
    kinds: list[Kind] = ["none", "week"]
    if task.table.every_ns < DAY_NS:
        kinds = ["none", "day", "workday", "week"]
    best, least = None, np.inf
    for kind in kinds:
        profile = fit_anchor(task, kind)
        error = _plain_error(task, profile, chosen)
        if error < 0.99 * least:
            best, least = profile, error
    return best if best is not None else fit_anchor(task, "none")


def _plain_error(task: ForecastTask, profile: Anchor, chosen: Samples) -> float:
    real = truth(task, chosen)
    column = task.targets[chosen.node][:, None]
    past = chosen.last[:, None] + np.arange(1 - task.window, 1)
    future = chosen.last[:, None] + np.arange(1, task.horizon + 1)
    apart = task.table.value[past, column] - profile.seen[past, chosen.node[:, None]]
    known = ~np.isnan(apart)
    mean = np.where(known, apart, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    newest = task.window - 1 - np.argmax(known[:, ::-1], axis=1)
    last = np.where(known.any(axis=1), apart[np.arange(len(apart)), newest], 0.0)
    base = profile.seen[future, chosen.node[:, None]]
    errors = [np.abs(real - base - level[:, None]) for level in (mean, last)]
    by_step = np.minimum(np.nanmean(errors[0], axis=0), np.nanmean(errors[1], axis=0))
    return float(np.nanmean(by_step))


def _level(value: Floats, width: int) -> Floats:
    """Return the centred mean over ``width`` rows, NaN where less than a quarter of them is known."""
    known = np.isfinite(value)
    total = np.r_[0.0, np.cumsum(np.where(known, value, 0.0))]
    count = np.r_[0, np.cumsum(known)]
    row = np.arange(len(value))
    low, high = np.maximum(row - width // 2, 0), np.minimum(row + width - width // 2, len(value))
    held = count[high] - count[low]
    level = (total[high] - total[low]) / np.maximum(held, 1)
    enough = min(width, int(held.max(initial=0)) * 2) / 4  # a short history is judged by its own length
    return np.where(held >= max(enough, 1), level, np.nan)


def _leave_out(value: Floats, slot: Longs, size: int, group: Longs, *, reach: int) -> tuple[Floats, Floats]:
    """Return the mean per slot, and for each row the mean of its slot without the row's own group.

    Where few readings fall on a slot, as many neighbours (up to ``reach`` on a side) count too as
    make it ``_ENOUGH``.
    """
    known = np.isfinite(value)
    pair, cells = group * size + slot, (int(group.max()) + 1) * size
    total, count = (
        np.bincount(pair, weights=weights, minlength=cells).astype(np.float64).reshape(-1, size)
        for weights in (np.where(known, value, 0.0), known)
    )
    each = float(np.median(count.sum(axis=0)))
    side = min(reach, int(_ENOUGH / max(each, 1) / 2), (size - 1) // 2)
    total, count = _spread(total, side), _spread(count, side)
    course = total.sum(axis=0) / np.maximum(count.sum(axis=0), 1)
    if len(total) == 1:
        return course, course[slot]
    rest = count.sum(axis=0) - count
    without = np.where(rest > 0.5, (total.sum(axis=0) - total) / np.maximum(rest, 1), 0.0)
    return course, without[group, slot]


def _spread(sums: Floats, side: int) -> Floats:
    """Add to each slot ``[group, slot]`` its neighbours, around the end to the start."""
    added: Floats = np.sum([np.roll(sums, shift, axis=1) for shift in range(-side, side + 1)], axis=0)
    return added


def _scale(apart: Floats, value: Floats) -> float:
    """Return the standard deviation of what the profile leaves, never zero."""
    for numbers in (apart, value):
        known = numbers[np.isfinite(numbers)]
        if len(known) > 1 and known.std() > 1e-9 * (1 + np.abs(known).max()):
            return float(known.std())
    return 1.0
