"""Hindsight: what was foretold held against what was read, and whether a model still is what it was."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.store.curve import Curve

__all__ = ["Hindsight", "held", "hindsight", "mean"]

Floats = NDArray[np.float64]


class Hindsight(msgspec.Struct, frozen=True, kw_only=True):
    """A span of time in two halves: mean absolute errors, and the share of readings inside the interval.

    ``rows`` are those of the half with fewer.
    """

    rows: int
    earlier: float
    later: float
    coverage: float


def held(read: Curve | None, told: Curve | None) -> Floats:
    """Return each instant foretold, ``[row, 3]``: time (us), error, whether the reading lay inside (1 or 0).

    The last is NaN where there is no interval.
    """
    if read is None or told is None:
        return np.zeros((0, 3))
    _, mine, theirs = np.intersect1d(read.time, told.time, assume_unique=True, return_indices=True)
    value, low, high = read.value[mine], told.low, told.high
    inside = np.full(len(mine), np.nan)
    if low is not None and high is not None:
        known = np.isfinite(low[theirs]) & np.isfinite(high[theirs])
        inside[known] = ((value >= low[theirs]) & (value <= high[theirs]))[known]
    return np.stack([read.time[mine].astype(np.float64), told.value[theirs] - value, inside], axis=1)


def hindsight(rows: Floats, middle_us: float) -> Hindsight:
    """Return how rows of :func:`held` are before and from an instant on.

    >>> rows = np.array([[0, 1.0, 1], [1, -1.0, 1], [2, 3.0, 0], [3, -3.0, 1]])
    >>> hindsight(rows, 2)
    Hindsight(rows=2, earlier=1.0, later=3.0, coverage=0.5)
    """
    before = rows[:, 0] < middle_us
    return Hindsight(
        rows=int(min(before.sum(), (~before).sum())),
        earlier=mean(np.abs(rows[before, 1])),
        later=mean(np.abs(rows[~before, 1])),
        coverage=mean(rows[~before, 2]),
    )


def mean(values: Floats) -> float:
    """Return the mean of what is known, NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
