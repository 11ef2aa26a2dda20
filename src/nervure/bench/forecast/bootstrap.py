"""How sure a difference is: moving blocks of test time drawn again and again.

Errors of forecasts issued close together are alike, so single windows must not be drawn as if they
were independent. Source: Kuensch, The jackknife and the bootstrap for general stationary
observations, Annals of Statistics 17(3), 1989.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Gain", "gain"]

Doubles = NDArray[np.float64]

_LEAST_BLOCKS = 4


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """By how much of the other's error a model errs less, in percent, with its 95 % interval.

    ``low`` and ``high`` are None where the test part is too short to draw from.
    """

    percent: float
    low: float | None
    high: float | None


def gain(model: Doubles, other: Doubles, *, block: int, draws: int = 2000, seed: int = 0) -> Gain:
    """Compare error sums by issue time, ``[origin]`` each, of the same windows.

    >>> gain(np.full(40, 0.9), np.ones(40), block=4).percent
    10.0
    """
    less, whole = other - model, other
    percent = 100 * less.sum() / whole.sum()
    count = len(whole)
    if count < _LEAST_BLOCKS * block or count < 2 * _LEAST_BLOCKS:
        return Gain(percent=round(float(percent), 3), low=None, high=None)
    starts = np.random.default_rng(seed).integers(0, count - block + 1, (draws, -(-count // block)))
    total = [np.r_[0.0, np.cumsum(one)] for one in (less, whole)]
    drawn = [(one[starts + block] - one[starts]).sum(axis=1) for one in total]
    low, high = np.quantile(100 * drawn[0] / drawn[1], (0.025, 0.975))
    return Gain(percent=round(float(percent), 3), low=round(float(low), 3), high=round(float(high), 3))
