"""Statistics of the window that ends at each row: what trees and forests are shown of the past."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["STATISTICS", "last_known", "trailing"]

Floats = NDArray[np.float64]

STATISTICS = ("last", "mean", "deviation", "slope")


def last_known(value: Floats, otherwise: Floats) -> Floats:
    """Fill gaps with the last reading before, else with ``otherwise [channel]``: ``[row, channel]``.

    >>> last_known(np.array([[np.nan], [2.0], [np.nan]]), np.array([0.0]))[:, 0].tolist()
    [0.0, 2.0, 2.0]
    """
    known = ~np.isnan(value)
    place = np.maximum.accumulate(np.where(known, np.arange(len(value))[:, None], -1), axis=0)
    filled = np.take_along_axis(value, np.maximum(place, 0), axis=0)
    return np.where(place < 0, otherwise, filled)


def trailing(value: Floats, length: int) -> Floats:
    """Return the statistics of the last ``length`` rows at each row, ``[row, statistic * channel]``.

    They come in the order of ``STATISTICS``, each over all channels: the last value, the mean, the
    standard deviation and the slope a row. The first rows have shorter windows. ``value`` has no
    gaps: fill them with :func:`last_known` first.

    >>> trailing(np.array([[0.0], [1.0], [3.0]]), 2).round(2).tolist()
    [[0.0, 0.0, 0.0, 0.0], [1.0, 0.5, 0.5, 1.0], [3.0, 2.0, 1.0, 2.0]]
    """
    rows = np.arange(1, len(value) + 1)
    first = np.maximum(rows - length, 0)
    count = (rows - first)[:, None].astype(np.float64)
    shift = value[:1] if len(value) else 0.0  # sums of squares of what is near 0 keep their digits
    near = value - shift
    step = np.arange(len(value), dtype=np.float64)[:, None]

    def total(of: Floats) -> Floats:
        sums = np.concatenate([np.zeros((1, of.shape[1])), np.cumsum(of, axis=0)])
        found: Floats = sums[rows] - sums[first]
        return found

    sums = total(near)
    mean = sums / count
    variance = np.maximum(total(near**2) / count - mean**2, 0.0)
    middle = (first + rows - 1)[:, None] / 2
    across = count * (count**2 - 1) / 12
    moved = total(near * step) - middle * sums
    slope = np.divide(moved, across, out=np.zeros_like(near), where=np.broadcast_to(across > 0, near.shape))
    return np.concatenate([value, mean + shift, np.sqrt(variance), slope], axis=1)
