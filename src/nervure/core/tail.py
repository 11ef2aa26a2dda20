"""How rare a score is: the distribution of normal scores, with a fitted tail beyond what was seen.

A limit for one alarm a week must lie where no calibration score ever was. Above a high quantile the
excesses follow a generalised Pareto distribution (Pickands, Annals of Statistics 3(1), 1975; used so
by Siffer et al., "SPOT", KDD 2017), fitted by probability-weighted moments (Hosking and Wallis,
Technometrics 29(3), 1987), which have a closed form and hold for few excesses too.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Tail", "tail_of"]

Floats = NDArray[np.float64]

_GRID = 201
_FROM = 0.98  # share of scores below the tail
_LEAST = 20  # excesses that a tail is fitted to
_SHAPES = (-0.4, 0.6)  # lighter or heavier ones are artefacts of few excesses


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """Normal scores: ``grid`` at equal steps of probability 0..1, and the tail above ``start``.

    ``share`` of scores lie above ``start``; beyond it they follow a generalised Pareto distribution of
    ``shape`` and ``scale`` (0 where all scores are alike). ``seen`` is how many scores it was fitted to.
    """

    grid: tuple[float, ...]
    start: float
    share: float
    shape: float
    scale: float
    seen: int = 0

    def rarity(self, score: Floats) -> Floats:
        """Return ``-log10`` of the probability that a normal score is as large: 3 is one in a thousand.

        NaN stays NaN. It rises with the score everywhere, also beyond the end of a bounded tail, so
        that worse always looks worse.

        >>> flat = Tail(grid=(0.0, 1.0), start=0.9, share=0.1, shape=0.0, scale=0.1)
        >>> flat.rarity(np.array([0.0, 0.5, 0.9, 0.9 + 0.1 * np.log(10)])).round(2).tolist()
        [0.0, 0.3, 1.0, 2.0]
        """
        body = np.interp(score, *_levels(self.grid))
        low = np.abs(np.log10(np.maximum(1.0 - body, self.share)))
        beyond = score - self.start
        if self.scale > 0:
            with np.errstate(
                over="ignore"
            ):  # scales may be tiny: further than a double reaches is far enough
                beyond = np.minimum(np.maximum(beyond, 0.0) / self.scale, 1e300)
        found: Floats = np.where(score > self.start, -np.log10(self.share) + self._beyond(beyond), low)
        return found

    def _beyond(self, beyond: Floats) -> Floats:
        """Return decades above the start of the tail, for excesses in scales."""
        if abs(self.shape) < 1e-6:
            straight: Floats = np.maximum(beyond, 0.0) / np.log(10)
            return straight
        if self.shape > 0:
            heavy: Floats = np.log1p(self.shape * np.maximum(beyond, 0.0)) / (self.shape * np.log(10))
            return heavy
        last = _END / -self.shape  # of a bounded tail: from there on straight, with the slope it has there
        inside = np.clip(beyond, 0.0, last)
        slope = 1.0 / ((1.0 - _END) * np.log(10))
        curve = np.log1p(self.shape * inside) / (self.shape * np.log(10))
        bounded: Floats = curve + slope * np.maximum(beyond - last, 0.0)
        return bounded

    def joined(self, above: Floats, seen: int) -> Tail:
        """Return it with a tail fitted to excesses over ``start``, met among ``seen`` scores."""
        shape, scale = _pareto(np.sort(above))
        share = max(len(above), 1) / (seen + 1)
        return msgspec.structs.replace(self, share=min(share, 1.0), shape=shape, scale=scale)

    def score_at(self, rarity: float) -> float:
        """Return the score of a rarity: the limit in the score's own units (by bisection)."""
        low, high = self.grid[0], self.start + max(self.scale, 1e-9)
        while float(self.rarity(np.array([high]))[0]) < rarity and high < 1e300:
            high = self.start + 2 * (high - self.start)
        for _ in range(80):
            middle = 0.5 * (low + high)
            if float(self.rarity(np.array([middle]))[0]) < rarity:
                low = middle
            else:
                high = middle
        return high


@lru_cache(maxsize=64)  # a guard asks at every step, of a grid that seldom changes
def _levels(grid: tuple[float, ...]) -> tuple[Floats, Floats]:
    """Return the different scores of a grid and the share below each: of those that tie the lowest counts."""
    level, first = np.unique(grid, return_index=True)
    return level, first / (len(grid) - 1)


_END = 0.9  # share of a bounded tail's reach that is believed


def tail_of(score: Floats) -> Tail:
    """Fit the distribution of normal scores ``[...]``; NaN does not count.

    Where fewer than 20 scores lie in the tail it is taken as exponential.
    """
    known = np.sort(score[np.isfinite(score)].ravel())
    if not len(known):
        return Tail(grid=(0.0, 0.0), start=0.0, share=1.0, shape=0.0, scale=0.0)
    grid = np.quantile(known, np.linspace(0.0, 1.0, _GRID))
    start = float(np.quantile(known, _FROM))
    above = known[known > start] - start
    share = max(len(above), 1) / (len(known) + 1)
    shape, scale = _pareto(above)
    return Tail(
        grid=tuple(grid.tolist()), start=start, share=share, shape=shape, scale=scale, seen=len(known)
    )


def _pareto(above: Floats) -> tuple[float, float]:
    """Return shape and scale of sorted excesses by probability-weighted moments."""
    if not len(above):
        return 0.0, 0.0
    mean = float(above.mean())
    if len(above) < _LEAST:
        return 0.0, mean
    place = (np.arange(len(above)) + 0.65) / len(above)  # plotting positions of Hosking and Wallis
    first = float((above * (1 - place)).mean())
    if mean <= 2 * first:
        return 0.0, mean
    shape = float(np.clip(2 - mean / (mean - 2 * first), *_SHAPES))
    return shape, mean * (1 - shape)
