"""Columns that count time from a start of their own: minutes of a test, seconds since power on."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS
from nervure.learn.own.moment import moments
from nervure.learn.own.number import numbers

__all__ = ["Count", "counted"]

Longs = NDArray[np.int64]

_MINUTE_NS = 60 * SECOND_NS
_WORDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "nanoseconds": (1, ("ns", "nanosecond")),
    "microseconds": (1_000, ("us", "µs", "microsecond")),
    "milliseconds": (10**6, ("ms", "msec", "millis", "millisecond")),
    "seconds": (SECOND_NS, ("s", "sec", "secs", "second")),
    "minutes": (_MINUTE_NS, ("min", "mins", "minute")),
    "hours": (HOUR_NS, ("h", "hr", "hrs", "hour")),
    "days": (DAY_NS, ("d", "day")),
    "weeks": (7 * DAY_NS, ("w", "week")),
}
_UNITS = {word: (size, unit) for unit, (size, words) in _WORDS.items() for word in (unit, *words)}
_NUMBERS = 0.99  # share of cells that are numbers where a column counts
_BACK = 0.01  # most steps back, of all
_FARTHEST = 9e18  # nanoseconds that int64 holds


class Count(NamedTuple):
    """What a column of small numbers is: ``time [row]`` in nanoseconds from its own start, or none of it."""

    time: Longs | None
    unit: str


def counted(column: pa.Array, name: str) -> Count | None:
    """Read a column as a count of time by the unit in its name, seconds if it has none.

    Returns ``None`` where it holds stamps, or text that may be some; ``time`` is ``None`` where its
    numbers do not rise, so that they are readings.

    >>> counted(pa.array(["0.0", "1.0", "2.0"]), "timestamp_(min)").time.tolist()[1]
    60000000000
    """
    if pa.types.is_temporal(column.type):
        return None
    value = numbers(column).value
    known = np.isfinite(value)
    if not len(value) or known.mean() < _NUMBERS or not _none_read(column):
        return None
    factor, unit = next(
        (_UNITS[one] for one in re.findall(r"[a-zµ]+", name.casefold()) if one in _UNITS),
        (SECOND_NS, "seconds"),
    )
    own = value[known]
    steps = np.diff(own)
    rises = len(own) > 1 and own.max() > own.min() and (steps < 0).mean() <= _BACK
    if not rises or np.abs(own).max() * factor > _FARTHEST:
        return Count(None, "")
    whole = np.interp(np.arange(len(value)), np.flatnonzero(known), own)
    return Count(np.round(whole * factor).astype(np.int64), unit)


def _none_read(column: pa.Array) -> bool:
    """Tell whether not one cell can be read as a stamp."""
    found = moments(column)
    return sum(len(rows) for rows in found.wrong.values()) == len(column)
