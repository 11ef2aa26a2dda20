"""Heart beats as a net is shown them: the beat, what it is beside the patient's usual one, its rhythm.

Everything but the interval after a beat, which comes one beat late, is known when the beat is: the
patient's usual beat and rhythm are running medians over earlier beats, and nobody labels any.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.detect.body import Beats
from nervure.learn.detect.casenet import Cases

__all__ = ["CHANNELS", "RHYTHM", "beat_cases"]

Floats = NDArray[np.float64]

CHANNELS = ("beat", "beside the usual beat")
RHYTHM = (
    "before over recent", "after over recent", "before over usual", "after over before",
    "before over the one before", "unsteadiness", "likeness", "likeness of the P wave", "size of the P wave",
    "likeness of QRS",
)  # fmt: skip
_USUAL, _EVERY = 64, 8  # beats that the usual one is the median of, and how often it is renewed
_RECENT, _LONG = 10, 300  # beats
_WIDEST = 1.5  # natural logarithms: what is further off is held


def beat_cases(beats: Beats, *, peak: int = 48) -> Cases:
    """Show beats as cases: ``x [beat, sample, channel]`` and ``extra [beat, feature]`` named ``RHYTHM``.

    The lead is about its median and over the patient's running amplitude, so that 1 is the usual
    peak to peak. ``peak`` is the sample of the R peak in a window. Intervals are natural logarithms
    of ratios: what the heart's own rate is differs from patient to patient, and tells of the patient.
    """
    if not 24 <= peak < beats.window.shape[1] - 12:
        raise DataError(f"a peak at sample {peak} leaves no room for the P wave and QRS")
    shape = (*beats.window.shape, len(CHANNELS))
    x = np.empty(shape, dtype=np.float32)
    extra = np.empty((len(beats), len(RHYTHM)), dtype=np.float32)
    for name in dict.fromkeys(beats.record.tolist()):
        own = np.flatnonzero(beats.record == name)
        window = beats.window[own] - np.median(beats.window[own], axis=1, keepdims=True)
        usual = _running(window, lambda part: np.median(part, axis=0))
        size = _running(window, lambda part: np.median(np.ptp(part, axis=1), keepdims=True))
        size = np.maximum(size, 0.05)
        x[own, :, 0] = np.clip(window / size, -3, 3)
        x[own, :, 1] = np.clip((window - usual) / size, -3, 3)
        extra[own] = np.concatenate([_rhythm(beats.rr[own]), _likeness(window, usual, size, peak)], axis=1)
    return Cases(x, extra)


def _running(window: Floats, of: Callable[[Floats], Floats]) -> Floats:
    """Return a statistic of the last beats before each one, renewed every few, ``[beat, ...]``.

    The first beats of a record have the very first to go by.
    """
    parts = []
    for start in range(0, len(window), _EVERY):
        part = window[max(start - _USUAL, 0) : start] if start else window[:1]
        parts.append(np.broadcast_to(of(part)[None], (min(_EVERY, len(window) - start), *of(part).shape)))
    return np.concatenate(parts)


def _rhythm(rr: Floats) -> Floats:
    before, after = np.maximum(rr[:, 0], 0.1), np.maximum(rr[:, 1], 0.1)
    level = np.log(before)
    recent = np.array([np.median(level[max(at - _RECENT, 0) : max(at, 1)]) for at in range(len(level))])
    usual = np.array([np.median(level[max(at - _LONG, 0) : max(at, 1)]) for at in range(len(level))])
    step = np.diff(level, prepend=level[:1])
    spread = np.array(
        [np.median(np.abs(step[max(at - 2 * _RECENT, 0) : max(at, 1)])) for at in range(len(level))]
    )
    found = np.stack(
        [level - recent, np.log(after) - recent, level - usual, np.log(after) - level, step, 4 * spread],
        axis=1,
    )
    held: Floats = np.clip(found, -_WIDEST, _WIDEST)
    return held


def _likeness(window: Floats, usual: Floats, size: Floats, peak: int) -> Floats:
    """Return correlations with the usual beat, whole, of the P wave and of QRS, and the size of P."""
    wave, complex_ = slice(peak - 32, peak - 8), slice(peak - 10, peak + 13)
    height = np.log(np.maximum(np.ptp(window[:, wave], axis=1), 1e-3) / size[:, 0]) / 2
    alike = [_correlation(window[:, part], usual[:, part]) for part in (slice(None), wave, complex_)]
    return np.stack([alike[0], alike[1], np.clip(height, -_WIDEST, _WIDEST), alike[2]], axis=1)


def _correlation(one: Floats, other: Floats) -> Floats:
    first, second = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    found: Floats = (first * second).sum(axis=1) / np.maximum(scale, 1e-9)
    return found
