"""What a file's readings allow: the step, the horizon, the window, the parts in time, the series used."""

from __future__ import annotations

import math
from bisect import bisect_left

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError, UsageError
from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS, duration_ns, duration_text, iso
from nervure.learn.own.ask import Asked, Resample
from nervure.learn.own.clock import STEPS, length_of, median_step, nearest, slots, waver
from nervure.learn.own.reading import Readings

__all__ = ["Plan", "Step", "dropped", "grid", "lengths", "parts", "resampled", "step_of"]

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_MINUTE_NS = 60 * SECOND_NS
_LONGEST_NS = 8 * DAY_NS  # months have no constant step
# steps up to, and the usual horizon in slots; 0: a day
_HORIZONS = ((_MINUTE_NS, 60), (10 * _MINUTE_NS, 12), (HOUR_NS, 0))
_WINDOW = 400  # slots a window has at most, unless the horizon is longer
_FULL = 1 / 3  # the least share of slots that must hold a reading
_SMALLEST = 6  # slots of the smallest window
_ROOM = (4.0, 3.0, 2.0, 1.5, 1.25)  # horizons in validation and in test, the more the better


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The length of a slot, and what becomes of several readings in one.

    Readings come every ``own_ns``; where it is 0 nothing is known of that.
    """

    every_ns: int
    resample: Resample
    own_ns: float = 0.0
    notes: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Window and horizon in slots, and the ``cuts``: the rows where validation and test begin."""

    window: int
    horizon: int
    cuts: tuple[int, int]


def step_of(readings: Readings, asked: Asked) -> Step:
    """Return the step asked for, or the one in which readings come (the median), and how to resample.

    Where slots hold one reading, the last one counts, as in live scoring. Where the step asked for
    is coarser than the readings come, their mean does: a node must then be fed such means.
    """
    some = ~np.isnan(readings.value[:, 0])
    place, time, clock = readings.place[some], readings.time[some], readings.clock[some]
    own = median_step(place, time)
    notes: list[str] = []
    if asked.every is not None:
        every = duration_ns(asked.every, where="--every")
        _whole(every)
    else:
        every = _natural(own, notes, str(asked.file))
    slot, moved = slots(place, clock, every, own)
    if len(moved):
        notes.append(waver(clock, readings.line[some], moved, every))
    pair = np.unique(np.stack([place, slot]), axis=1)
    if own > 1.5 * every:
        _sparse(pair, own, every, str(asked.file))
    order = np.lexsort((time, place))
    fresh = order[np.r_[True, (np.diff(time[order]) != 0) | (np.diff(place[order]) != 0)]]
    packed = _packed(place[fresh], slot[fresh])  # a stamp that is there twice counts once
    how = asked.resample or ("mean" if packed >= 2 else "last")
    if packed >= 2 and asked.resample is None:
        notes.append(
            f"{packed:.0f} readings fall in a slot of {duration_text(every)}: their mean is learned. A node"
            " keeps the last reading of a slot, so send it such means, or train with --resample last"
        )
    shared = len(fresh) - len(pair[0])
    if shared and how == "last" and asked.resample is None:
        notes.append(
            f"{shared:,} readings share their slot of {duration_text(every)} with a later one, which counts"
        )
    if every == 7 * DAY_NS and packed >= 2:
        notes.append("weeks begin on Thursday, as time is counted from Thursday, 1 January 1970")
    return Step(every_ns=every, own_ns=own, resample=how, notes=tuple(notes))


def _natural(own: float, notes: list[str], where: str) -> int:
    if own == 0:
        raise DataError(
            "no series has two readings at different times", where=where, hint="more readings are needed"
        )
    if own > _LONGEST_NS:
        raise DataError(
            f"readings come every {own / DAY_NS:.0f} days, and a step may be a week at most",
            where=where,
            hint="steps of months or years have no constant length; Nervure does not forecast them",
        )
    every = length_of(own)
    notes.append(f"the step is {duration_text(every)}, as readings come")
    return every


def _whole(every: int) -> None:
    """Refuse steps that do not fit into days."""
    if every % 1_000_000 or (DAY_NS % every and every % DAY_NS):
        near = sorted(STEPS, key=lambda one: abs(math.log(one / every)))[:2]
        raise UsageError(
            f"--every {duration_text(every)}: a day must hold a whole number of steps",
            hint="use " + " or ".join(duration_text(one) for one in sorted(near)),
        )
    if every > _LONGEST_NS:
        raise UsageError("--every: a step may be a week at most", hint="use 1d or 1w")


def _sparse(pair: Longs, own: float, every: int, where: str) -> None:
    """Refuse a step so fine that most slots stay empty."""
    places = pair[0]
    count = np.bincount(places)
    low, high = np.full(len(count), np.iinfo(np.int64).max), np.zeros(len(count), np.int64)
    np.minimum.at(low, places, pair[1])
    np.maximum.at(high, places, pair[1])
    full = float(np.median(count / np.maximum(high - low + 1, 1)))
    if full < _FULL:
        near = nearest(own)
        raise DataError(
            f"with --every {duration_text(every)} only {full:.0%} of the slots hold a reading:"
            f" readings come every {duration_text(near)}",
            where=where,
            hint=f"say --every {duration_text(near)}, or leave it out",
        )


def _packed(place: Longs, slot: Longs) -> float:
    """Return how many readings a slot holds that holds any, in the median."""
    if not len(slot):
        return 0.0
    order = np.lexsort((slot, place))
    ranked, where = slot[order], place[order]
    starts = np.flatnonzero(np.r_[True, (ranked[1:] != ranked[:-1]) | (where[1:] != where[:-1])])
    return float(np.median(np.diff(np.r_[starts, len(ranked)])))


def resampled(readings: Readings, step: Step) -> tuple[Longs, Longs, Floats]:
    """Return one row for each series and slot: ``place``, ``slot`` ``[row]``, ``value [row, signal]``.

    A stamp that a series has twice counts once, with what was read last.
    """
    place, time, value = readings.place, readings.time, readings.value
    slot, _ = slots(place, readings.clock, step.every_ns, step.own_ns)
    order = np.lexsort((np.arange(len(slot)), slot, place))
    place, slot, time, value = place[order], slot[order], time[order], value[order]
    if not len(slot):
        return place, slot, value
    starts = np.r_[True, (slot[1:] != slot[:-1]) | (place[1:] != place[:-1])]
    group = np.cumsum(starts) - 1
    size = int(group[-1]) + 1
    found = np.full((size, value.shape[1]), np.nan)
    for column in range(value.shape[1]):
        some = np.flatnonzero(~np.isnan(value[:, column]))
        if step.resample != "last":  # of a stamp that is there twice the last stays
            again = (time[some][1:] == time[some][:-1]) & (group[some][1:] == group[some][:-1])
            some = some[np.r_[~again, True]] if len(some) else some
        found[:, column] = _gathered(group[some], value[some, column], size, step.resample)
    return place[starts], slot[starts], found


def _gathered(group: Longs, value: Floats, size: int, how: Resample) -> Floats:
    out = np.full(size, np.nan)
    if how == "last":
        out[group] = value
        return out
    if how == "max":
        np.fmax.at(out, group, value)
        return out
    count = np.bincount(group, minlength=size)
    total = np.bincount(group, weights=value, minlength=size)
    some = count > 0
    out[some] = total[some] / (count[some] if how == "mean" else 1)
    return out


def grid(place: Longs, slot: Longs, value: Floats, series: int) -> tuple[int, Floats]:
    """Put one signal on slots: the first slot, and ``[slot, series]`` with NaN gaps."""
    some = ~np.isnan(value)
    place, slot, value = place[some], slot[some], value[some]
    first = int(slot.min())
    table = np.full((int(slot.max()) - first + 1, series), np.nan)
    table[slot - first, place] = value
    return first, table


def lengths(asked: Asked, every: int) -> tuple[int, int | None]:
    """Return the horizon in slots, asked for or usual for the step, and the window if asked for."""
    if asked.horizon is not None:
        horizon = _slots("--horizon", asked.horizon, every, 1)
    elif every > HOUR_NS:
        horizon = {DAY_NS: 7, 7 * DAY_NS: 4}.get(every, max(1, 2 * DAY_NS // every))
    else:
        horizon = next(slots for most, slots in _HORIZONS if every <= most) or DAY_NS // every
    window = None if asked.window is None else _slots("--window", asked.window, every, 3)
    return horizon, window


def _slots(option: str, text: str, every: int, least: int) -> int:
    length = duration_ns(text, where=option)
    if length % every or length // every < least:
        good = max(least, round(length / every)) * every
        raise UsageError(
            f"{option} {text} is not a whole number (at least {least}) of steps of {duration_text(every)}",
            hint=f"use {option} {duration_text(good)}",
        )
    return length // every


def parts(known: Longs, horizon: int, window: int | None, every: int, where: str | None = None) -> Plan:
    """Choose window and cuts; ``known [slot]`` is how many readings each slot holds.

    Validation begins after 70 % of the readings and test after 80 %, earlier where they would not hold
    several horizons, or none but slots without a reading. The window is about a week (28 days of daily
    readings), shorter in a short history.
    """
    height = len(known)
    share = np.cumsum(known) / max(1, known.sum())
    wanted = int(np.searchsorted(share, 0.7)) + 1, int(np.searchsorted(share, 0.8)) + 1
    held = np.r_[0, np.cumsum(known > 0)]
    even = math.ceil(0.7 * height), math.ceil(0.8 * height)
    found = _fit(held, wanted, horizon, window, every) or _fit(held, even, horizon, window, every)
    if found is not None:
        return found
    if _even(height, horizon, window, every) is None:
        raise _too_few(height, horizon, window, every, where)
    raise DataError(
        f"the history spans {height} steps of {duration_text(every)}, but only {held[-1]} of them hold a"
        " reading, with so long a hole that no part to be judged on is left",
        where=where,
        hint="add readings, leave out those before the hole, or ask for a shorter --horizon",
    )


def _even(height: int, horizon: int, window: int | None, every: int) -> Plan | None:
    """Cut a history as if all of its slots held readings."""
    cuts = math.ceil(0.7 * height), math.ceil(0.8 * height)
    return _fit(np.arange(height + 1, dtype=np.int64), cuts, horizon, window, every)


def _fit(held: Longs, wanted: tuple[int, int], horizon: int, window: int | None, every: int) -> Plan | None:
    """Return the plan with most room in validation and test, then the longest window; None if none fits.

    ``held [slot]`` counts the slots before it that hold a reading.
    """
    height = len(held) - 1
    least = max(_SMALLEST, horizon // 2)
    windows = [window or max(_usual(every), min(2 * horizon, _WINDOW), horizon)]
    while window is None and windows[-1] > least:
        windows.append(max(least, windows[-1] // 2))
    for room in _ROOM:
        each = math.ceil(room * horizon)
        for one in windows:
            two = _cut(held, height, min(wanted[1], height - each), horizon)
            begin = _cut(held, two, min(wanted[0], two - each), horizon)
            roomy = begin >= max(2 * one, one + each) or (one in (least, window) and begin >= one + each)
            if roomy and _covered(held, one, begin, horizon):
                return Plan(window=one, horizon=horizon, cuts=(begin, two))
    return None


def _cut(held: Longs, end: int, latest: int, horizon: int) -> int:
    """Return the last slot up to ``latest`` at which a part up to ``end`` may begin; below 0 if none."""
    if end < 0 or latest < 0:
        return -1
    some = held[end] - max(1, horizon // 2)  # so many slots with a reading are the least
    begin = min(latest, int(np.searchsorted(held, some, side="right")) - 1)
    while begin >= 0 and not _covered(held, begin, end, horizon):
        begin -= max(1, horizon // 4)
    return begin


def _covered(held: Longs, begin: int, end: int, horizon: int) -> bool:
    """Tell whether a part holds a reading for each step of the horizon, from whatever slot it is foreseen."""
    starts = begin + np.arange(horizon)
    length = end - begin - horizon + 1
    return length > 0 and bool((held[starts + length] > held[starts]).all())


def _usual(every: int) -> int:
    """Return the slots of a usual window: a week, three days, a day … the longest that is not too long."""
    if every >= DAY_NS:
        return 28 if every < 7 * DAY_NS else 26
    spans = (7 * DAY_NS, 3 * DAY_NS, DAY_NS, 6 * HOUR_NS, 2 * HOUR_NS, HOUR_NS)
    return int(next((one // every for one in spans if one // every <= _WINDOW), 120))


def _too_few(height: int, horizon: int, window: int | None, every: int, where: str | None) -> DataError:
    most = range(1, 20 * (horizon + (window or 0)) + 200)

    def fewest(ahead: int, past: int | None) -> int:
        return most[bisect_left(most, True, key=lambda one: _even(one, ahead, past, every) is not None)]

    hint = f"add readings; at least {fewest(1, None)} steps are needed for any forecast"
    fits = next((one for one in range(horizon, 0, -1) if _even(height, one, None, every)), None)
    shorter = range(3, window or 3)
    longest = bisect_left(shorter, True, key=lambda one: _even(height, horizon, one, every) is None) + 2
    if window and fits == horizon:  # the window alone is too long
        less = f", or say --window {duration_text(longest * every)} at most" if longest > 2 else ""
        hint = f"add readings, leave --window out{less}"
    elif fits:
        hint = f"add readings, or ask for less: --horizon {duration_text(fits * every)}" + (
            " and no --window" if window else ""
        )
    past = f" from a window of {window}" if window else ""
    return DataError(
        f"the history spans {height} steps of {duration_text(every)}, and"
        f" {fewest(horizon, window)} are needed to foresee {horizon} steps ({duration_text(horizon * every)})"
        f"{past}, learn from the first part and be judged on the last",
        where=where,
        hint=hint,
    )


def dropped(table: Floats, series: tuple[str, ...], plan: Plan, first: int, every: int) -> dict[str, str]:
    """Say which series cannot be learned from or judged, and why; ``table [slot, series]``."""
    some = ~np.isnan(table)
    begin, two = plan.cuts
    enough = min(plan.window + plan.horizon, max(1, begin // 4))
    before, later = some[:begin].sum(axis=0), some[two:].sum(axis=0)
    why: dict[str, str] = {}
    for place, name in enumerate(series):
        own = table[some[:, place], place]
        if not len(own):
            why[name] = "it has no reading"
        elif len(own) > 1 and own.min() == own.max():
            why[name] = f"it always shows {own[0]:g}"
        elif not later[place]:
            last = first + int(np.flatnonzero(some[:, place])[-1])
            why[name] = f"it ends {iso(last * every)[:16]}, before the test part"
        elif before[place] < enough:
            when = iso((first + begin) * every)[:16]
            why[name] = f"it has {before[place]} readings before {when}, too few to learn from ({enough})"
    return why
