"""How likely a forecast makes it that a level is exceeded, from its quantiles.

A rule asks ``probability(...) > 0.5``, which is where the median crosses the level; the other
quantiles say how sure that is. As the quantiles are calibrated, so is this: no net needs to be
trained for each level, and a gauge's level may be changed while the node runs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["probability", "within"]

Floats = NDArray[np.float64]


def probability(
    y: NDArray[np.floating], quantiles: tuple[float, ...], limit: NDArray[np.floating] | float
) -> Floats:
    """Return how likely the value lies above ``limit [batch]`` at each step, ``[batch, horizon]``.

    ``y [batch, horizon, quantile]`` does not fall along its quantiles. Between two of them the
    distribution is a straight line; beyond the outermost it ends in exponential tails that go on as
    steep as it was. Never 0 or 1 but where the quantiles are all alike. NaN stays NaN.

    >>> y = np.array([[[1.0, 2.0, 4.0]]])
    >>> [float(probability(y, (0.1, 0.5, 0.9), level)[0, 0].round(3)) for level in (0.5, 1, 2, 3, 6)]
    [0.986, 0.9, 0.5, 0.3, 0.002]
    """
    value = np.asarray(y, dtype=np.float64)
    level = np.broadcast_to(np.asarray(limit, dtype=np.float64).reshape(-1, 1), value.shape[:2])
    share = np.asarray(quantiles)
    place = np.clip((value <= level[:, :, None]).sum(axis=2) - 1, 0, len(share) - 2)
    left, right = (np.take_along_axis(value, (place + one)[:, :, None], axis=2)[:, :, 0] for one in (0, 1))
    wide = right - left
    part = np.clip(np.divide(level - left, wide, out=np.where(level >= left, 1.0, 0.0), where=wide > 0), 0, 1)
    under = share[place] + (share[place + 1] - share[place]) * part
    below, above = value[:, :, 0] - level, level - value[:, :, -1]
    low = share[0] * np.exp(-_steep(below, value[:, :, 1] - value[:, :, 0], share[1] - share[0], share[0]))
    high = 1 - share[-1]
    gap = share[-1] - share[-2]
    top = high * np.exp(-_steep(above, value[:, :, -1] - value[:, :, -2], gap, high))
    under = np.where(below > 0, low, np.where(above > 0, 1 - top, under))
    return np.where(np.isnan(value).any(axis=2) | np.isnan(level), np.nan, 1 - under)


def within(chance: NDArray[np.floating]) -> Floats:
    """Return how likely it is at least that the level is exceeded up to each step: ``[batch, horizon]``.

    ``chance`` is :func:`probability`. What happens between steps hangs together, so no more than the
    largest of them is certain.

    >>> within(np.array([[0.1, 0.6, 0.4]])).tolist()
    [[0.1, 0.6, 0.6]]
    """
    return np.maximum.accumulate(np.asarray(chance, dtype=np.float64), axis=1)


def _steep(away: Floats, wide: Floats, share: float, left: float) -> Floats:
    """Return the exponent of a tail holding ``left``, ``away`` from a quantile whose step is ``wide``."""
    far = np.maximum(away, 0.0)
    return np.divide(far * share, wide * left, out=np.where(far > 0, np.inf, 0.0), where=wide > 0)
