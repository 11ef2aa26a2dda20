"""How far a forecast was from what happened; hours without a reading count neither way.

``truth`` is ``[batch, horizon]`` with NaN where nothing was read, ``y`` is ``[batch, horizon,
quantile]``. All return one number a horizon, ``[horizon]``, in the unit of the signal unless said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError

__all__ = ["coverage", "crps", "mae", "pinball", "rmse", "weights"]

Floats = NDArray[np.float64]


def mae(truth: NDArray[Any], point: NDArray[Any]) -> Floats:
    """Mean absolute error of a point forecast ``[batch, horizon]``.

    >>> mae(np.array([[1.0, 2.0], [3.0, np.nan]]), np.array([[2.0, 2.0], [3.0, 9.0]])).tolist()
    [0.5, 0.0]
    """
    return _mean(np.abs(_error(truth, point)))


def rmse(truth: NDArray[Any], point: NDArray[Any]) -> Floats:
    """Root of the mean squared error of a point forecast ``[batch, horizon]``.

    >>> rmse(np.array([[0.0], [0.0]]), np.array([[3.0], [4.0]])).round(3).tolist()
    [3.536]
    """
    root: Floats = np.sqrt(_mean(_error(truth, point) ** 2))
    return root


def pinball(truth: NDArray[Any], y: NDArray[Any], quantiles: Sequence[float]) -> Floats:
    """Mean pinball loss of each quantile: ``[horizon, quantile]`` (Koenker & Bassett, 1978).

    >>> pinball(np.array([[10.0]]), np.array([[[8.0, 10.0, 13.0]]]), (0.1, 0.5, 0.9)).round(2).tolist()
    [[0.2, 0.0, 0.3]]
    """
    losses = []
    for place, level in enumerate(quantiles):  # one at a time: all at once are many times the forecasts
        error = _error(truth, y[:, :, place])
        losses.append(_mean(np.maximum(level * error, (level - 1) * error)))
    return np.stack(losses, axis=-1)


def weights(quantiles: Sequence[float]) -> Floats:
    """Return the share of the unit interval that lies nearest each quantile.

    >>> weights((0.1, 0.5, 0.9)).round(3).tolist()
    [0.3, 0.4, 0.3]
    """
    level = np.asarray(quantiles, dtype=np.float64)
    edges = np.r_[0.0, (level[1:] + level[:-1]) / 2, 1.0]
    return np.diff(edges)


def crps(truth: NDArray[Any], y: NDArray[Any], quantiles: Sequence[float]) -> Floats:
    """Continuous ranked probability score, twice the pinball loss integrated over the quantiles given.

    With few quantiles this is an approximation, the same for every forecaster that gives the same
    ones (Gneiting & Ranjan, 2011).

    >>> crps(np.array([[10.0]]), np.array([[[8.0, 10.0, 13.0]]]), (0.1, 0.5, 0.9)).round(2).tolist()
    [0.3]
    """
    total: Floats = 2 * (pinball(truth, y, quantiles) * weights(quantiles)).sum(axis=-1)
    return total


def coverage(truth: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> Floats:
    """Share of readings inside the band, 0..1.

    >>> coverage(np.array([[1.0], [5.0], [np.nan]]), np.full((3, 1), 0.0), np.full((3, 1), 2.0)).tolist()
    [0.5]
    """
    inside = np.where(np.isnan(truth), np.nan, (truth >= low) & (truth <= high))
    return _mean(inside.astype(np.float64))


def _error(truth: NDArray[Any], point: NDArray[Any]) -> Floats:
    if np.broadcast_shapes(truth.shape, point.shape) != point.shape:
        raise DataError(f"a truth of {truth.shape} cannot be held against a forecast of {point.shape}")
    error: Floats = truth.astype(np.float64) - point
    return error


def _mean(value: Floats) -> Floats:
    """Mean over the batch without what was not read; NaN where nothing was."""
    known = ~np.isnan(value)
    total = np.where(known, value, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    mean: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean
