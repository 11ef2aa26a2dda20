"""Plain classification of whole cases: a recording, a beat, a window, each with one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError

__all__ = ["CaseTrees", "envelope", "signature", "signature_names"]

Floats = NDArray[np.float64]

_MOMENTS = ("mean", "deviation", "peak", "skew", "kurtosis", "crest")


def signature_names(channels: Sequence[str], *, bands: int = 16) -> tuple[str, ...]:
    """Return what :func:`signature` yields, in its order."""
    per = (*_MOMENTS, *(f"band {band}" for band in range(bands)))
    return tuple(f"{channel} {name}" for channel in channels for name in per)


def signature(value: Floats, *, bands: int = 16) -> Floats:
    """Sum a case ``[row, channel]`` up as ``[feature]``: moments, and log10 power in equal bands.

    Of each channel come mean, standard deviation, peak about the mean, skewness, excess kurtosis and
    crest factor, then the power of the Hann-windowed spectrum from 0 to half the sampling rate. A
    case has at least two rows a band; gaps are taken for the channel's mean. Show cases of one
    length: peaks grow with it, and lengths often tell the class.
    """
    if len(value) < 2 * bands:
        raise DataError(f"{len(value)} rows are too few for {bands} bands", hint="take longer windows")
    known = ~np.isnan(value)
    mean = np.where(known, value, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    near = np.where(known, value - mean, 0.0)
    spread = near.std(axis=0)
    unit = near / np.where(spread > 0, spread, 1.0)
    peak = np.abs(near).max(axis=0)
    crest = np.divide(peak, spread, out=np.zeros_like(peak), where=spread > 0)
    moments = np.stack([mean, spread, peak, (unit**3).mean(axis=0), (unit**4).mean(axis=0) - 3, crest])
    taper = np.hanning(len(near))[:, None]
    power = np.abs(np.fft.rfft(near * taper, axis=0)) ** 2 / (taper**2).sum()  # whatever the length
    parts = np.array_split(power, bands)
    levels = np.log10(np.stack([one.mean(axis=0) for one in parts]) + 1e-12)
    return np.concatenate([moments, levels]).T.ravel()


def envelope(
    signal: Floats, turns: float, *, above: float = 1 / 6, highest: float = 20, bins: int = 100
) -> Floats:
    """Return the envelope-order spectrum of a vibration ``signal [row]``: log10 amplitudes ``[bin]``.

    ``turns`` is how often the shaft turns a row, so that a bin is an order, a multiple of the
    shaft's speed, up to ``highest``. The signal is kept ``above`` that share of the sampling rate,
    where impacts ring; its Hilbert envelope beats at the rate of the fault (Randall & Antoni, MSSP
    25(2), 2011). Of each bin the strongest line counts, relative to the mean of all.
    """
    count = len(signal)
    lines = np.fft.fft(signal - signal.mean())
    rate = np.fft.fftfreq(count)
    lines[rate < above] = 0.0
    amplitude = np.abs(np.fft.ifft(2 * lines))
    level = np.abs(np.fft.rfft((amplitude - amplitude.mean()) * np.hanning(count)))
    order = np.fft.rfftfreq(count) / turns
    own = np.floor(order / highest * bins).astype(np.int64)
    if len(np.unique(own[own < bins])) < bins:
        raise DataError(f"{count} rows do not resolve {bins} bins of orders", hint="take longer windows")
    strongest = np.zeros(bins)
    np.maximum.at(strongest, own[own < bins], level[own < bins])
    found: Floats = np.log10(strongest + 1e-12)
    found -= found.mean()
    return found


class CaseTrees:
    """Extremely randomised trees on the features of cases (Geurts, Ernst & Wehenkel, Machine Learning, 2006).

    Classes weigh alike however rare. Not where cases of one group stand on both sides of a split:
    the trees then know the group by heart.
    """

    name = "extra trees"
    kind: Literal["baseline"] = "baseline"

    def __init__(self, trees: int = 200, *, leaf: int = 2, seed: int = 0) -> None:
        self.trees, self.leaf, self.seed = trees, leaf, seed
        self.classes: tuple[str, ...] = ()

    def fit(self, shown: Floats, truth: Sequence[Any] | NDArray[Any]) -> Self:
        """Grow the trees on cases ``shown [case, feature]`` of classes ``truth [case]``."""
        from sklearn.ensemble import ExtraTreesClassifier

        names, code = np.unique(np.asarray(truth).astype(str), return_inverse=True)
        if len(names) < 2:
            raise DataError("the cases to fit to are of one class", hint="give cases of several classes")
        self._trees = ExtraTreesClassifier(
            n_estimators=self.trees, min_samples_leaf=self.leaf, class_weight="balanced",
            random_state=self.seed, n_jobs=1,
        )  # fmt: skip
        self._trees.fit(shown, code)  # the library stumbles over classes whose names are digits
        self.classes = tuple(names.tolist())
        return self

    def score(self, shown: Floats, classes: Sequence[str] | None = None) -> Floats:
        """Return the share of trees for each class, ``[case, class]``, in the order of ``classes``.

        A class that was not there to learn has no share.
        """
        wanted = tuple(classes) if classes is not None else self.classes
        share = self._trees.predict_proba(shown)
        out = np.zeros((len(shown), len(wanted)))
        for place, one in enumerate(wanted):
            if one in self.classes:
                out[:, place] = share[:, self.classes.index(one)]
        return out
