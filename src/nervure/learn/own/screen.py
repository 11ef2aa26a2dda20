"""Values that cannot be: outside of --low and --high, or lone and absurdly far from all others."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.own.ask import Asked

__all__ = ["Far", "beyond", "far", "ordered", "rests_on_nought"]

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]

_FEWEST = 30  # readings of a series that tell what is usual
_RANGES = 20  # ranges from the median that a reading must lie away to be absurd
_STILL = 1000  # times the value of a series that hardly moves
_GAP = 5  # times as far as the farthest of the others
_TAIL = 15  # a tail so many times as long as the quarter beside the median is a long one
_PILE = 1.5  # times as many readings at 0 as at the next value: they pile up there
_ZEROS = 10


class Far(msgspec.Struct, frozen=True, kw_only=True):
    """Readings ``rows`` of the series ``place`` far from all others, which lie in ``low`` to ``high``.

    ``tailed`` tells that far readings are to be expected of the series, as of rain.
    """

    place: int
    rows: Longs
    above: bool
    low: float
    high: float
    tailed: bool


def ordered(asked: Asked) -> None:
    """Refuse bounds that leave nothing between them."""
    if asked.low is not None and asked.high is not None and asked.low >= asked.high:
        raise DataError(f"--low {asked.low:g} is not below --high {asked.high:g}", where=str(asked.file))


def beyond(value: Floats, asked: Asked) -> dict[str, Longs]:
    """Return the rows whose value is out of bounds, by what is wrong with them."""
    found = {}
    if asked.low is not None:
        found[f"lies below --low {asked.low:g}"] = np.flatnonzero(value < asked.low)
    if asked.high is not None:
        found[f"lies above --high {asked.high:g}"] = np.flatnonzero(value > asked.high)
    return {why: rows for why, rows in found.items() if len(rows)}


def far(value: Floats, place: Longs, *, below: bool = True, above: bool = True) -> Iterator[Far]:
    """Find lone readings, series by series, that lie absurdly far below or above all others.

    Such a reading is 20 times the range of the others (but for the outermost hundredth of them) away
    from their median, five times as far as any other, and there are at most two in a thousand, or
    three. Of a series that hardly moves it is a thousand times its value.
    """
    some = np.flatnonzero(~np.isnan(value))
    order = some[np.argsort(place[some], kind="stable")]
    starts = np.flatnonzero(np.r_[True, np.diff(place[order]) != 0]) if len(order) else order
    for rows in np.split(order, starts[1:]):
        if len(rows) < _FEWEST:
            continue
        own = value[rows]
        for sign, wanted in ((1.0, above), (-1.0, below)):
            found = _above(sign * own) if wanted else None
            if found is not None:
                hits, low, high, tailed = found
                ends = sorted((sign * low, sign * high))
                yield Far(
                    place=int(place[rows[0]]), rows=rows[hits], above=sign > 0, low=ends[0], high=ends[1],
                    tailed=tailed,
                )  # fmt: skip


def _above(own: Floats) -> tuple[Longs, float, float, bool] | None:
    """Return which readings are absurdly high, the range of the others, and whether a tail explains it."""
    size = len(own)
    cut = max(3, math.ceil(0.005 * size))
    rank = np.sort(own)
    middle, low, high = (float(rank[one]) for one in (size // 2, cut, size - 1 - cut))
    room = _RANGES * (high - low) if high > low else _STILL * abs(middle)
    hits = np.flatnonzero(own > middle + room)
    if not room or not 0 < len(hits) <= max(3, size // 500):
        return None
    rest = float(rank[size - 1 - len(hits)])
    if own[hits].min() - middle <= _GAP * (rest - middle):
        return None
    quarter = float(rank[3 * size // 4]) - middle
    return hits, float(rank[0]), rest, high - middle > _TAIL * quarter


def rests_on_nought(known: Floats) -> bool:
    """Tell whether readings pile up at exactly 0, as what cannot be negative does.

    Whole degrees of a mild winter have a 0 here and there, too, but no more of them than ones.

    >>> rests_on_nought(np.repeat([0.0, 1, 2], [30, 10, 5]))
    True
    >>> rests_on_nought(np.repeat([0.0, 1, 2], [10, 30, 50]))
    False
    """
    if not len(known) or known.min() < 0:
        return False
    zeros = int((known == 0).sum())
    over = known[known > 0]
    if zeros < max(_ZEROS, 0.01 * len(known)) or not len(over):
        return False
    return zeros >= _PILE * int((over == over.min()).sum())
