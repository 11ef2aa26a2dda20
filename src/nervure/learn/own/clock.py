"""From stamps to slots: the step in which readings come, days as people count them, stamps that waver."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.calendar import zone_offset_ns
from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS, duration_ns, duration_text
from nervure.learn.own.ask import Asked

__all__ = ["STEPS", "Days", "length_of", "local_days", "median_step", "nearest", "slots", "waver"]

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

_MINUTE_NS = 60 * SECOND_NS
STEPS = (
    *(one * SECOND_NS for one in (1, 2, 5, 10, 15, 20, 30)),
    *(one * _MINUTE_NS for one in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
    *(one * HOUR_NS for one in (1, 2, 3, 4, 6, 8, 12)),
    DAY_NS,
    7 * DAY_NS,
)
"""The steps that people choose."""
_STEADY = 0.95  # the least share of a series' stamps that lie about the start of a slot, if it wavers
_FEWEST = 20  # stamps of a series that tell
_LATE = 0.9  # stamps just before a slot belong to the one before where so large a share does


class Days(msgspec.Struct, frozen=True, kw_only=True):
    """What slots of a day and more are counted from: ``clock [row]``, and how that is said."""

    clock: Longs
    says: str = ""


def median_step(place: Longs, time: Longs) -> float:
    """Return the median step between different stamps of a series; 0 if no series has two."""
    order = np.lexsort((time, place))
    step = np.diff(time[order])
    step = step[(np.diff(place[order]) == 0) & (step > 0)]
    return float(np.median(step)) if len(step) else 0.0


def nearest(own: float) -> int:
    """Return the step that people choose which is nearest to the one found."""
    return min(STEPS, key=lambda one: abs(math.log(one / own)))


def length_of(own: float) -> int:
    """Return the length of a slot for readings that come every ``own``: exact where that divides a day.

    >>> duration_text(length_of(3_601_500_000_000)), duration_text(length_of(450_000_000_000))
    ('1h', '450s')
    """
    exact = round(own)
    if exact % 1_000_000 == 0 and (DAY_NS % exact == 0 or exact in (DAY_NS, 7 * DAY_NS)):
        return exact
    return nearest(own)


def local_days(
    asked: Asked, place: Longs, time: Longs, shown: Longs, aware: Flags, some: Flags
) -> Days | None:
    """Return what the clocks showed, if slots are days or longer: days begin at local midnight.

    ``shown`` is what stamps themselves show, ``time`` is UTC. Stamps with an offset are put on the
    clocks of ``--zone``; but if all show midnight, the date they show is meant. ``some`` are rows with
    a reading, of which the step is told.
    """
    own = median_step(place[some], time[some])
    every = duration_ns(asked.every, where="--every") if asked.every else length_of(own) if own else 0
    if every < DAY_NS:
        return None
    clock = shown.copy()
    midnight = not (shown[aware] % DAY_NS).any()
    said = " A running node must be sent the reading of a day as of 00:00Z of that day"
    if aware.any() and asked.zone and not midnight:
        clock[aware] = time[aware] + zone_offset_ns(asked.zone, time[aware])
        return Days(clock=clock, says=f"a day is that of clocks in {asked.zone}.{said}")
    if not aware.all() or (shown != time).any():
        return Days(clock=clock, says=f"a day is the one that a stamp itself shows.{said}")
    says = "" if midnight else "days begin at 00:00Z; if those of your readings are local, name their --zone"
    return Days(clock=clock, says=says)


def slots(place: Longs, clock: Longs, every: int, own: float) -> tuple[Longs, Longs]:
    """Return the slot of each row, and the rows put into another than the one their stamp lies in.

    Where the stamps of a series lie about the start of slots, now before and now after it, those on
    the rarer side are taken across: else two readings would fall into one slot and none into the next.
    """
    if not own:
        return clock // every, np.empty(0, dtype=np.int64)
    base = length_of(own)
    if base > every or every % base:
        base = every
    off = (clock + base // 2) % base - base // 2
    near = np.abs(off) <= base // 4
    early = near & (off < 0)
    size = int(place.max()) + 1 if len(place) else 0
    winter = np.where(early, off == -HOUR_NS, off == 0)  # local midnights, as told without summer time
    count, close, before, changed = (
        np.bincount(place, weights=one, minlength=size) for one in (np.ones(len(place)), near, early, winter)
    )
    both = (count >= _FEWEST) & (close >= _STEADY * count) & (before > 0) & (before < close)
    limit = 0.5 if base >= DAY_NS else _LATE  # the date that most stamps show is the right one
    down = both & (before > limit * close) & ((base < DAY_NS) | (changed < _STEADY * count))
    slot = clock // every
    moved = np.where(both & ~down, 1, 0)[place] * early - np.where(down, 1, 0)[place] * (near & ~early)
    back = np.where(moved < 0, off + 1, off)  # to the last instant before the start
    put = np.where(moved != 0, clock - back, clock) // every
    return put, np.flatnonzero(put != slot)


def waver(clock: Longs, line: Longs, rows: Longs, every: int) -> str:
    """Say that rows were put into a slot beside the one their stamp lies in."""
    away = np.minimum(clock[rows] % every, every - clock[rows] % every)
    most = int(away.max())
    shown = duration_text(-(-most // SECOND_NS) * SECOND_NS)
    return (
        f"{len(rows):,} stamps waver about the start of a slot, by up to {shown}"
        f" (line {int(line[rows].min())}), and are put into the slot that most of their series lie in. A"
        f" running node goes by the stamp: send it stamps that are whole steps of {duration_text(every)}"
    )
