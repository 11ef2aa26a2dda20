"""How far a structure is from its reference, once what temperature does to it is taken off.

No damaged case is needed, so it is what remains where nobody has seen damage yet, and what a net has
to beat.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.learn.detect.baseline import Scaler
from nervure.learn.detect.block import Block

__all__ = ["LastingShift", "Novelty"]

Floats = NDArray[np.float64]


class Novelty:
    """The Mahalanobis distance of features from a reference (Worden, Manson & Fieller, JSV 229(3), 2000).

    ``ambient``, if given, is regressed out line by line first, as temperature is of natural frequencies
    (Peeters & De Roeck, EESD 30, 2001). Covariances are shrunk (Ledoit & Wolf, JMVA 88, 2004), so that
    more features than cases are no harm. A feature that is missing, as of a mode not found, counts as
    expected. Not where the reference has not seen the temperatures to come.
    """

    name = "novelty"
    kind: Literal["baseline"] = "baseline"

    def __init__(self, *, level: float = 0.95) -> None:
        self.level = level
        self.limit = float("nan")

    def fit(self, shown: Floats, ambient: Floats | None = None) -> Self:
        """Learn the reference ``shown [case, feature]``, and the limit that ``level`` of its cases keep."""
        from sklearn.covariance import LedoitWolf

        if len(shown) < 8:
            raise DataError(f"{len(shown)} cases are no reference", hint="give at least 8")
        self._scaler = Scaler(shown)
        near = self._scaler(shown)
        self._slope = np.linalg.lstsq(self._design(ambient, len(shown)), near, rcond=None)[0]
        rest = near - self._design(ambient, len(shown)) @ self._slope
        self._inverse: Floats = np.linalg.inv(LedoitWolf(assume_centered=True).fit(rest).covariance_)
        self.limit = float(np.quantile(self.score(shown, ambient), self.level))
        return self

    def score(self, shown: Floats, ambient: Floats | None = None) -> Floats:
        """Return the distance of each case, ``[case]``."""
        rest = self._rest(shown, ambient)
        distance: Floats = np.sqrt(np.maximum(np.einsum("cf,fg,cg->c", rest, self._inverse, rest), 0.0))
        return distance

    def contributions(self, shown: Floats, ambient: Floats | None = None) -> Floats:
        """Return what each feature adds to the squared distance, ``[case, feature]``, none below 0."""
        rest = self._rest(shown, ambient)
        return np.maximum(rest * (rest @ self._inverse), 0.0)

    def _rest(self, shown: Floats, ambient: Floats | None) -> Floats:
        if np.isnan(self.limit) and not hasattr(self, "_inverse"):
            raise ModelError("novelty has not been fitted")
        near = self._scaler(shown) - self._design(ambient, len(shown)) @ self._slope
        near[np.isnan(shown)] = 0.0
        return near

    @staticmethod
    def _design(ambient: Floats | None, count: int) -> Floats:
        beside = np.empty((count, 0)) if ambient is None else np.asarray(ambient).reshape(count, -1)
        return np.concatenate([np.ones((count, 1)), beside], axis=1)


class LastingShift:
    """How far the level of the last rows is from that before, over what a reference did; 1 is a limit.

    For settling supports and the like: loads come and go, a settlement stays. Levels are means over
    ``short`` rows, ``apart`` rows from each other, or since the record began where that is nearer; so a
    slow drift, of temperature over hours, is no shift. ``margin`` times the largest change in the
    reference is the limit. Not for shifts slower than ``apart``.
    """

    name = "lasting shift"
    kind: Literal["baseline"] = "baseline"

    def __init__(self, *, short: int = 60, apart: int = 600, margin: float = 1.5) -> None:
        self.short, self.apart, self.margin = short, apart, margin

    def fit(self, *blocks: Block) -> Self:
        """Learn how far each channel's level moves in reference records, at least ``short`` rows each."""
        if not blocks:
            raise DataError("there is nothing to fit: no block was given")
        moved = np.stack([np.nanmax(self._moved(one.value), axis=0, initial=0.0) for one in blocks])
        self._limit: Floats = np.maximum(moved.max(axis=0) * self.margin, 1e-9)
        return self

    def score(self, value: Floats) -> Floats:
        """Return the largest change of any channel over its limit, ``[row]``, causally."""
        found: Floats = self.contributions(value).max(axis=1)
        return found

    def contributions(self, value: Floats) -> Floats:
        """Return each channel's change over its limit, ``[row, channel]``."""
        return np.nan_to_num(self._moved(value) / self._limit)

    def _moved(self, value: Floats) -> Floats:
        known = ~np.isnan(value)
        total = np.cumsum(np.where(known, value, 0.0), axis=0)
        count = np.cumsum(known, axis=0)
        level = self._level(total, count)
        row = np.arange(len(value))
        before = np.maximum(row - self.apart, np.minimum(row, self.short - 1))
        moved = np.abs(level - level[before])
        moved[: self.short] = np.nan  # there is no level yet
        return moved

    def _level(self, total: Floats, count: NDArray[np.int64]) -> Floats:
        """Return means of the last ``short`` rows, ``[row, channel]``, NaN where most of them are missing."""
        ahead = np.zeros((self.short, total.shape[1]))
        sums = total - np.concatenate([ahead, total])[: len(total)]
        rows = count - np.concatenate([ahead, count])[: len(count)]
        enough = rows >= max(1, self.short // 2)
        mean: Floats = np.divide(sums, rows, out=np.full_like(sums, np.nan), where=enough)
        return mean
