"""Boosted trees with the pinball loss, one ensemble a quantile: the baseline of a whole distribution.

Rows, features and anchor are those of :class:`~nervure.learn.trees.BoostedTrees`. Where a task asks
for many quantiles, some are fitted and the others lie between them (Meinshausen, Quantile
regression forests, JMLR 7, 2006, for trees; Koenker & Bassett, 1978, for the loss).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nervure.core.window import Window
from nervure.learn.task import ForecastTask
from nervure.learn.trees import BoostedTrees

__all__ = ["QuantileTrees", "fitted_levels", "interpolated"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_MOST = 9  # quantiles up to which each has its own ensemble
_LEVELS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


def fitted_levels(quantiles: Sequence[float], most: int = _MOST) -> tuple[float, ...]:
    """Return the quantiles that are fitted themselves: all of few, else some from end to end.

    >>> fitted_levels((0.1, 0.5, 0.9))
    (0.1, 0.5, 0.9)
    >>> len(fitted_levels([one / 100 for one in range(1, 100)]))
    13
    """
    asked = tuple(quantiles)
    if len(asked) <= most:
        return asked
    inner = [one for one in _LEVELS if asked[0] < one < asked[-1]]
    return (asked[0], *inner, asked[-1])


def interpolated(levels: Sequence[float], found: NDArray[Any], quantiles: Sequence[float]) -> Doubles:
    """Return the quantiles asked for, rising, from those fitted: ``[..., level] -> [..., quantile]``.

    Quantiles that cross are put in order first, which never adds to the pinball loss (Chernozhukov,
    Fernandez-Val & Galichon, Econometrica 78, 2010); between two levels they lie on a line.

    >>> interpolated((0.1, 0.5, 0.9), np.array([[2.0, 1.0, 5.0]]), (0.1, 0.3, 0.5, 0.9)).tolist()
    [[1.0, 1.5, 2.0, 5.0]]
    """
    rising = np.sort(found, axis=-1).astype(np.float64)
    level, asked = np.asarray(levels), np.asarray(quantiles)
    right = np.clip(np.searchsorted(level, asked), 1, len(level) - 1) if len(level) > 1 else np.zeros(1, int)
    left = np.maximum(right - 1, 0)
    wide = np.where(level[right] > level[left], level[right] - level[left], 1.0)
    share = np.clip((asked - level[left]) / wide, 0.0, 1.0)
    between: Doubles = rising[..., left] * (1 - share) + rising[..., right] * share
    return between


class QuantileTrees(BoostedTrees):
    """An ensemble for each of some quantiles, stopped early by the pinball loss on validation."""

    name = "quantile boosted trees"

    def __init__(
        self, *, rows: int = 150_000, iterations: int = 100, rate: float = 0.12, leaves: int = 31
    ) -> None:
        super().__init__(rows=rows, iterations=iterations, rate=rate, leaves=leaves)

    def fit(self, task: ForecastTask) -> QuantileTrees:
        """Draw rows, build features, choose the anchor, boost each quantile."""
        self._prepare(task)
        self._levels = fitted_levels(task.quantiles)
        with threadpool_limits(max(1, cpu_count() // 2)):
            _, _, _, drawn, held = self._anchor()
            self._models = [
                self._boost("quantile", drawn, held, self.iterations, level) for level in self._levels
            ]
        return self

    def predict(self, window: Window) -> Floats:
        """Add up the trees of each quantile: ``[batch, horizon, quantile]``."""
        task = self.task
        x, base, scale = self._asked(window)
        found = np.stack([base + scale * model.predict(x) for model in self._models], axis=-1)
        found = found.reshape(len(window.node), task.horizon, -1)
        y = interpolated(self._levels, found, task.quantiles)
        bounded = task.low is not None or task.high is not None
        return (np.clip(y, task.low, task.high) if bounded else y).astype(np.float32)
