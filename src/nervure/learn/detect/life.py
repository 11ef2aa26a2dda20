"""The plain prediction of remaining life: boosted trees on statistics of the last cycles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.detect.block import Block, unite
from nervure.learn.detect.machine import CLIP, remaining
from nervure.learn.detect.window import trailing

__all__ = ["SETTINGS", "Conditions", "LifeTrees"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

SETTINGS = 3  # the first channels of C-MAPSS
_APART = 1e-6


class Conditions:
    """Operating conditions, and each sensor's mean and deviation in every one of them.

    The first ``settings`` channels say how the machine is run. Where the first of them rounds to the
    same whole number it is one condition: C-MAPSS flies at six, far apart. A row belongs to the
    condition whose settings are nearest; without settings there is one.
    """

    def __init__(self, value: Floats, settings: int = SETTINGS) -> None:
        self.settings = settings
        told = value[:, :settings]
        kinds = told[:, 0].round() if settings else np.zeros(len(value))
        _, place = np.unique(kinds, return_inverse=True)
        count = int(place.max()) + 1
        self.centre: Floats = np.stack([told[place == one].mean(axis=0) for one in range(count)])
        sensors = value[:, settings:]
        self.mean: Floats = np.stack([sensors[place == one].mean(axis=0) for one in range(count)])
        spread = np.stack([sensors[place == one].std(axis=0) for one in range(count)])
        self.deviation: Floats = np.where(spread > _APART * (1 + np.abs(self.mean)), spread, np.inf)

    def __call__(self, value: Floats) -> Floats:
        """Return the sensors' deviations from what is usual in their condition, ``[row, sensor]``.

        A sensor that never moves in a condition is 0 there.
        """
        distance = ((value[:, None, : self.settings] - self.centre) ** 2).sum(axis=2)
        place = distance.argmin(axis=1)
        found: Floats = (value[:, self.settings :] - self.mean[place]) / self.deviation[place]
        return found


class LifeTrees:
    """Remaining life of engines by boosted trees on the last ``window`` cycles (Friedman, 2001).

    Sensors are told against what is usual in their operating condition; a window is shown by its
    last values, means, deviations and slopes, and by how long the engine has run. Trained on every
    row, with the target clipped. Not for machines whose age is not counted from new.
    """

    name = "boosted trees"
    kind: Literal["baseline"] = "baseline"

    def __init__(
        self, window: int = 30, rounds: int = 150, *, clip: float | None = CLIP, settings: int = SETTINGS,
        seed: int = 0,
    ) -> None:  # fmt: skip
        self.window, self.rounds, self.clip, self.settings, self.seed = window, rounds, clip, settings, seed

    def fit(self, blocks: Sequence[Block]) -> Self:
        """Learn from engines that ran to failure."""
        from sklearn.ensemble import HistGradientBoostingRegressor as Trees

        value = unite(blocks)
        if np.isnan(value).any():
            raise DataError("an engine has rows without readings", hint="fill them first")
        self._conditions = Conditions(value, self.settings)
        shown = np.concatenate([self._shown(one.value) for one in blocks])
        left = np.concatenate([remaining(one, clip=self.clip) for one in blocks])
        self._trees = Trees(
            max_iter=self.rounds, learning_rate=0.06, min_samples_leaf=40, l2_regularization=1.0,
            random_state=self.seed, early_stopping=False,
        )  # fmt: skip
        self._trees.fit(shown, left)
        return self

    def predict(self, value: Floats) -> Floats:
        """Return the remaining cycles at each row of one engine, ``[row]``, from its past alone."""
        return self._bounded(self._trees.predict(self._shown(value)))

    def last(self, blocks: Sequence[Block]) -> Floats:
        """Return the remaining cycles of engines at their last row, ``[unit]``."""
        shown = np.concatenate(
            [self._shown(one.value[-self.window :], len(one) - self.window)[-1:] for one in blocks]
        )
        return self._bounded(self._trees.predict(shown))

    def _bounded(self, left: Floats) -> Floats:
        return np.clip(left, 0.0, self.clip)

    def _shown(self, value: Floats, before: int = 0) -> Floats:
        age = np.arange(1, len(value) + 1, dtype=np.float64)[:, None] + max(before, 0)
        return np.concatenate([trailing(self._conditions(value), self.window), age], axis=1)
