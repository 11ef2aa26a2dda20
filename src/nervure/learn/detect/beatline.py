"""Heart beats by linear discriminants on published features: absolute intervals, durations, samples.

The features are those of de Chazal, O'Dwyer & Reilly (IEEE TBME 51(7), 2004), of one lead, and were
taken as published: on records of DS1 left out they do worse than intervals over the patient's own.
They were put into the table after figures of DS2 had been seen; nothing of them was chosen by those.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.learn.detect.beatfold import decided, hands, weights
from nervure.learn.detect.body import Beats

__all__ = ["BeatDiscriminants", "published"]

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]

_RATE = 125  # Hz
_QRS, _T = np.linspace(-0.05, 0.10, 10), np.linspace(0.15, 0.50, 9)  # s about the R peak
_LEFT_OUT = ("Q",)


def published(beats: Beats, *, peak: int = 48) -> Floats:
    """Return ``[beat, 26]``: four intervals in s, QRS and T durations in s, the P wave, 19 samples in mV.

    Intervals are the one before, the one after, and the means of all so far and of the last ten. QRS
    lasts while the lead is steeper than 15 % of its steepest, T while it is over half of its height.
    P is the height above the line from start to end of its window, where the paper has a flag; means
    are of what is past, where the paper has the whole record.
    """
    if not 40 <= peak <= beats.window.shape[1] - 64:
        raise DataError(f"a peak at sample {peak} leaves no room for the P wave and T")
    window = beats.window - np.median(beats.window, axis=1, keepdims=True)
    before = np.maximum(beats.rr[:, 0], 0.05)
    mean = before[:, None] / np.maximum(beats.rr[:, [3, 2]], 0.05)
    steep = np.abs(np.diff(window[:, peak - 12 : peak + 24], axis=1))
    fast = steep > 0.15 * steep.max(axis=1, keepdims=True)
    wide = fast.shape[1] - fast.argmax(axis=1) - fast[:, ::-1].argmax(axis=1)
    late = window[:, peak + 20 : peak + 64]
    height = np.abs(late - late.mean(axis=1, keepdims=True))
    long = (height > 0.5 * height.max(axis=1, keepdims=True)).sum(axis=1)
    wave = window[:, peak - 32 : peak - 8]
    line = wave[:, :1] + (wave[:, -1:] - wave[:, :1]) * np.linspace(0, 1, wave.shape[1])
    sampled = window[:, peak + np.round(np.r_[_QRS, _T] * _RATE).astype(np.int64)]
    first = [before, beats.rr[:, 1], *mean.T, wide / _RATE, long / _RATE, (wave - line).max(axis=1)]
    return np.concatenate([np.stack(first, axis=1), sampled], axis=1)


class BeatDiscriminants:
    """Linear discriminants of beats ``[beat, feature]``, all classes alike in their common covariance.

    The classes' weights are chosen as those of the nets, on records left out in turn. Nothing is
    drawn: one answer. Not where classes differ in spread, or in more than a threshold of a sum.
    """

    name = "linear discriminants"
    kind: Literal["baseline"] = "baseline"

    def __init__(self) -> None:
        self.classes: tuple[str, ...] = ()
        self.weight: dict[str, float] = {}

    def fit_by_record(self, shown: Floats, truth: Texts, record: Texts, *, count: int = 7) -> Self:
        """Fit to all records, and weigh the classes by what fits without some say of those."""
        known = ~np.isin(truth, _LEFT_OUT)
        shown, truth, record = shown[known], truth[known], record[known]
        names = tuple(np.unique(truth).tolist())
        share = np.zeros((len(shown), len(names)))
        for hand in hands(truth, record, count):
            out = np.isin(record, hand)
            self._fit(shown[~out], truth[~out])
            if self.classes != names:
                raise DataError("a fold of records is without one of the classes", hint="take fewer folds")
            share[out] = self.score(shown[out])
        self._fit(shown, truth)
        self.weight = weights(share, truth, record, names)
        return self

    def _fit(self, shown: Floats, truth: Texts) -> None:
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        self.classes = tuple(np.unique(truth).tolist())
        self._mean, self._scale = shown.mean(axis=0), np.maximum(shown.std(axis=0), 1e-9)
        alike = np.full(len(self.classes), 1 / len(self.classes))
        self._line = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01, priors=alike)
        self._line.fit((shown - self._mean) / self._scale, truth)

    def score(self, shown: Floats) -> Floats:
        """Return probabilities ``[beat, class]`` in the order of ``classes``, all as frequent as others."""
        if not self.classes:
            raise ModelError(f"{self.name} has not been fitted")
        share: Floats = self._line.predict_proba((shown - self._mean) / self._scale)
        return share

    def decide(self, shown: Floats) -> Texts:
        """Return the class of each beat, ``[beat]``, by the weights that were chosen."""
        return decided(self.score(shown), self.classes, self.weight)
