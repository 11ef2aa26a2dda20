"""Bands that keep their promise while the world drifts: online adaptive conformal inference.

Each stream carries one number, by how much its bands are widened. A reading outside its band
widens the next ones a little, one inside narrows them less; in the long run the share of misses
is what was promised, whatever the readings do. Source: Gibbs and Candès, "Adaptive conformal
inference under distribution shift", NeurIPS 2021, in the form that moves the band's width itself
(quantile tracking of Angelopoulos, Candès, Tibshirani, "Conformal PID control", NeurIPS 2023).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST", "adapt", "widened"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST = 1.5  # no band becomes wider than e^1.5 = 4.5 times, or narrower than a 4.5th of, its own


def adapt(widening: Floats, missed: Flags | Floats, *, promised: float = 0.2, rate: float = 0.02) -> Floats:
    """Return the widening after one reading a stream, ``[stream]``.

    ``widening`` is the logarithm of the factor on the band's width, 0 to start with; ``missed``
    says whether the reading lay outside the widened band, or outside which share of several;
    ``promised`` is the share that may.
    Over ``n`` readings the share missed is within ``MOST / (rate * n)`` of the promise
    as long as the bounds are not reached.

    >>> adapt(np.zeros(2), np.array([True, False])).round(3)
    array([ 0.016, -0.004])
    """
    moved: Floats = np.minimum(np.maximum(widening + rate * (missed - promised), -MOST), MOST)
    return moved


def widened(low: Floats, middle: Floats, high: Floats, widening: Floats) -> tuple[Floats, Floats]:
    """Return the band ``[stream, horizon]`` made wider around its median, by each stream's widening.

    >>> low, high = widened(np.array([[8.0]]), np.array([[10.0]]), np.array([[11.0]]), np.array([0.5]))
    >>> float(low[0, 0].round(2)), float(high[0, 0].round(2))
    (6.7, 11.65)
    """
    factor = np.exp(widening)[:, None]
    return middle - (middle - low) * factor, middle + (high - middle) * factor
