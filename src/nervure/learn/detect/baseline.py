"""Plain detectors that a model has to beat: thresholds in sigma, PCA, isolation forest, boosted trees.

All score causally: the score of a row depends on this row and earlier ones alone. A score is
larger where a row is odder; what is an alarm is a threshold's matter, not the detector's.
"""

from __future__ import annotations

from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.learn.detect.block import NORMAL, ODD, Block, unite
from nervure.learn.detect.window import last_known, trailing

__all__ = ["Detector", "IsolationForest", "Pca", "Scaler", "Sigma", "WindowTrees", "detectors"]

Floats = NDArray[np.float64]


class Detector(Protocol):
    """What scores rows by how odd they are.

    ``fit`` sees normal rows, or what is taken for normal, of one record or of several; labels are
    read by supervised detectors alone. ``score(value [row, channel])`` answers ``[row]`` for the
    rows of one record, finite also where readings are missing. ``contributions`` says how much
    each channel did to that, ``[row, channel]``, none below 0.
    """

    @property
    def name(self) -> str:
        """What it is called in tables."""
        ...

    @property
    def kind(self) -> Literal["baseline", "deep", "peer"]:
        """Where it stands in tables."""
        ...

    def fit(self, *blocks: Block) -> Self:
        """Learn what is normal."""
        ...

    def score(self, value: Floats) -> Floats:
        """Score the rows of one record, causally."""
        ...

    def contributions(self, value: Floats) -> Floats:
        """Say what each channel did to the score of each row."""
        ...


class Scaler:
    """Mean and standard deviation of each channel, over what was read of the rows it was fitted to.

    A channel that never moved, or was never read, has a deviation of 1 in its own unit.
    """

    def __init__(self, value: Floats) -> None:
        if not len(value):
            raise DataError("there are no rows to fit to")
        known = ~np.isnan(value)
        count = np.maximum(known.sum(axis=0), 1)
        self.mean: Floats = np.where(known, value, 0.0).sum(axis=0) / count
        spread = np.sqrt((np.where(known, value - self.mean, 0.0) ** 2).sum(axis=0) / count)
        self.deviation: Floats = np.where(spread > 1e-9 * np.maximum(np.abs(self.mean), 1e-3), spread, 1.0)

    def __call__(self, value: Floats) -> Floats:
        """Return deviations, ``[row, channel]``; 0 where nothing was read, which is to expect the mean."""
        if value.ndim != 2 or value.shape[1] != len(self.mean):
            raise ModelError(f"values of {value.shape} do not fit {len(self.mean)} channels")
        return np.nan_to_num((value - self.mean) / self.deviation)


class Sigma:
    """The largest deviation of any channel from its mean, in standard deviations (Shewhart, 1931).

    Not for channels that move together or with the hour: what is odd only together is not seen.
    """

    name = "sigma"
    kind: Literal["baseline"] = "baseline"

    def fit(self, *blocks: Block) -> Self:
        """Learn each channel's mean and deviation."""
        self._scaler = Scaler(unite(blocks))
        return self

    def score(self, value: Floats) -> Floats:
        """Return the largest deviation, ``[row]``."""
        found: Floats = self.contributions(value).max(axis=1)
        return found

    def contributions(self, value: Floats) -> Floats:
        """Return each channel's deviation, ``[row, channel]``."""
        return np.abs(self._scaler(value))


class Pca:
    """Hotelling's T2 within the main components and Q, the squared residual, outside of them.

    Each is divided by its own 99 % quantile on the fitted rows, and the larger one is the score
    (Jackson & Mudholkar, Technometrics, 1979). Contributions are those of Miller et al., 1998: the
    squared residual of a channel, and its share of T2. Not for relations that bend, or drift.
    """

    name = "PCA T2+Q"
    kind: Literal["baseline"] = "baseline"

    def __init__(self, explained: float = 0.9, level: float = 0.99) -> None:
        self.explained, self.level = explained, level

    def fit(self, *blocks: Block) -> Self:
        """Take as many components as explain the wanted share of the variance, and leave one out at least."""
        value = unite(blocks)
        self._scaler = Scaler(value)
        z = self._scaler(value)
        spread, axes = np.linalg.eigh(z.T @ z / len(z))
        spread, axes = np.maximum(spread[::-1], 0.0), axes[:, ::-1]
        share = np.cumsum(spread) / max(spread.sum(), 1e-12)
        kept = int(np.searchsorted(share, self.explained) + 1)
        kept = max(1, min(kept, len(spread) - 1, int((spread > 1e-9).sum())))
        self._axes, self._spread = axes[:, :kept], np.maximum(spread[:kept], 1e-12)
        inner, outer = self._both(z)
        self._limit = [max(float(np.quantile(one.sum(axis=1), self.level)), 1e-9) for one in (inner, outer)]
        return self

    def score(self, value: Floats) -> Floats:
        """Return the larger of T2 and Q over their limits, ``[row]``; 1 is a limit reached."""
        inner, outer = self._both(self._scaler(value))
        found: Floats = np.maximum(inner.sum(axis=1) / self._limit[0], outer.sum(axis=1) / self._limit[1])
        return found

    def contributions(self, value: Floats) -> Floats:
        """Return what each channel adds to both, over their limits: ``[row, channel]``."""
        inner, outer = self._both(self._scaler(value))
        found: Floats = np.maximum(inner, 0.0) / self._limit[0] + outer / self._limit[1]
        return found

    def _both(self, z: Floats) -> tuple[Floats, Floats]:
        """Split T2 and Q over the channels, ``[row, channel]`` each; a share of T2 may be below 0."""
        place = z @ self._axes
        inner: Floats = z * ((place / self._spread) @ self._axes.T)
        outer: Floats = (z - place @ self._axes.T) ** 2
        return inner, outer


class IsolationForest:
    """How few random cuts set the last rows apart (Liu, Ting & Zhou, ICDM, 2008), over short windows.

    A window is shown by its last values, means, deviations and slopes. What a channel contributed
    is how far the score falls when the channel is held at its mean.
    """

    name = "isolation forest"
    kind: Literal["baseline"] = "baseline"

    def __init__(self, window: int = 8, trees: int = 100, *, seed: int = 0) -> None:
        self.window, self.trees, self.seed = window, trees, seed

    def fit(self, *blocks: Block) -> Self:
        """Grow the forest on windows that stay within their records."""
        from sklearn.ensemble import IsolationForest as Forest

        self._scaler = Scaler(unite(blocks))
        shown = np.concatenate([self._shown(one.value) for one in blocks])
        self._forest = Forest(n_estimators=self.trees, random_state=self.seed, n_jobs=1).fit(shown)
        return self

    def score(self, value: Floats) -> Floats:
        """Return the anomaly score of the paper, ``[row]``, 0..1."""
        return self._of(self._shown(value))

    def contributions(self, value: Floats) -> Floats:
        """Return by how much the score falls without each channel, ``[row, channel]``."""
        shown, width = self._shown(value), value.shape[1]
        whole, out = self._of(shown), np.empty(value.shape)
        for channel in range(width):
            without = shown.copy()
            without[:, channel::width] = 0.0
            out[:, channel] = np.maximum(whole - self._of(without), 0.0)
        return out

    def _shown(self, value: Floats) -> Floats:
        z = self._scaler(last_known(value, self._scaler.mean))
        return trailing(z, self.window)

    def _of(self, shown: Floats) -> Floats:
        found: Floats = -self._forest.score_samples(shown)
        return found


class WindowTrees:
    """Boosted trees that are told which rows are odd, on statistics of the window that ends at each row.

    Supervised: for sets with labels in the train part. Rows that nobody knows about are left out.
    What a channel contributed is how far the odds fall when it is held at its mean.
    """

    name = "boosted trees"
    kind: Literal["baseline"] = "baseline"

    def __init__(self, window: int = 30, rounds: int = 100, *, seed: int = 0) -> None:
        self.window, self.rounds, self.seed = window, rounds, seed

    def fit(self, *blocks: Block) -> Self:
        """Grow trees on the labelled rows; ``DataError`` where they are all of one kind."""
        from sklearn.ensemble import HistGradientBoostingClassifier as Trees

        self._scaler = Scaler(unite(blocks))
        label = np.concatenate([self._labels(one) for one in blocks])
        known = (label == ODD) | (label == NORMAL)
        if len(np.unique(label[known])) < 2:
            raise DataError(
                "the rows to fit to are all odd or all normal", hint="use an unsupervised detector"
            )
        shown = np.concatenate([self._shown(one.value) for one in blocks])
        self._trees = Trees(max_iter=self.rounds, random_state=self.seed, early_stopping=False)
        self._trees.fit(shown[known], label[known])
        return self

    def score(self, value: Floats) -> Floats:
        """Return the log odds that a row is odd, ``[row]``."""
        return self._of(self._shown(value))

    def contributions(self, value: Floats) -> Floats:
        """Return by how much the odds fall without each channel, ``[row, channel]``."""
        shown, width = self._shown(value), value.shape[1]
        whole, out = self._of(shown), np.empty(value.shape)
        for channel in range(width):
            without = shown.copy()
            without[:, channel::width] = 0.0
            out[:, channel] = np.maximum(whole - self._of(without), 0.0)
        return out

    @staticmethod
    def _labels(block: Block) -> NDArray[np.int8]:
        if block.label is None:
            raise DataError(f"{block.name} has no labels", hint="use an unsupervised detector")
        return block.label

    def _shown(self, value: Floats) -> Floats:
        z = self._scaler(last_known(value, self._scaler.mean))
        return trailing(z, self.window)

    def _of(self, shown: Floats) -> Floats:
        odds: Floats = self._trees.decision_function(shown)
        return odds


def detectors(*, seed: int = 0) -> list[Detector]:
    """Return every plain detector that needs no labels, not yet fitted."""
    return [Sigma(), Pca(), IsolationForest(seed=seed)]
