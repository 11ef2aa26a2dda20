"""Remaining life by trees and nets together, with intervals that hold as often as they promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.learn.detect.block import Block
from nervure.learn.detect.life import SETTINGS, LifeTrees
from nervure.learn.detect.lifenet import LEVELS, Life, LifeNet
from nervure.learn.detect.machine import CLIP
from nervure.learn.detect.models.rul_lstm import RulLstm
from nervure.learn.detect.models.rul_tcn import RulTcn

__all__ = ["Calibrated", "LifeBlend", "cuts", "widening"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_CUTS = 8  # of each engine
_BINS = 3
_LEAST = 10  # rows before a cut
_OVER = 1.2


def cuts(
    blocks: Sequence[Block], *, clip: float, count: int = _CUTS, seed: int = 0
) -> tuple[tuple[Block, ...], Floats, Longs]:
    """Cut machines that ran to failure off at random, as those in service are.

    What is left at a cut is drawn evenly from 1 to 1.2 times the clip: an assumption on what one is
    asked about, not learnt from a test part. Return the cut blocks, what each had left ``[cut]``
    (clipped), and whose place in ``blocks`` it is ``[cut]``.
    """
    random = np.random.default_rng(seed)
    found, left, whose = [], [], []
    for place, one in enumerate(blocks):
        most = min(int(_OVER * clip), len(one) - _LEAST)
        for _ in range(count if most > 1 else 0):
            rest = int(random.integers(1, most))
            found.append(one.part(0, len(one) - rest))
            left.append(min(float(rest), clip))
            whose.append(place)
    if not found:
        raise DataError("no machine ran long enough to be cut off", hint=f"{_LEAST + 2} rows at least")
    return tuple(found), np.array(left), np.array(whose)


class Calibrated:
    """Margins that make intervals hold (conformalised quantiles: Romano, Patterson & Candès, NeurIPS, 2019).

    ``edges [bin]`` bound the expected lives that share a margin ``add [bin]``: much is known about
    machines near their end and little of new ones, so each third has its own. ``error [bin]`` is the
    mean squared error there.
    """

    def __init__(self, edges: Floats, add: Floats, error: Floats) -> None:
        self.edges, self.add, self.error = edges, add, error

    def __call__(self, life: Life, apart: Floats | float = 0.0) -> tuple[Floats, Floats]:
        """Return the ends of the interval at expected lives.

        Margins are of one predictor. The mean of several that are ``apart`` by that variance has a
        squared error that is smaller by just that (Krogh & Vedelsby, NIPS, 1995), so its interval
        is narrower in proportion.
        """
        place = np.searchsorted(self.edges, life.expected, side="right")
        share = np.sqrt(1 - np.minimum(apart / np.maximum(self.error[place], 1e-9), 0.75))
        low = life.expected - share * (life.expected - life.quantile[:, 0] + self.add[place])
        high = life.expected + share * (life.quantile[:, -1] - life.expected + self.add[place])
        return np.minimum(low, high), np.maximum(low, high)


def widening(life: Life, left: Floats, level: float, *, bins: int = _BINS) -> Calibrated:
    """Return what the outermost quantiles must be moved outwards by, so that ``level`` of lives are inside.

    ``left [row]`` is the truth. A negative margin narrows. A bin of ``n`` takes the
    ``ceil((n + 1) level)``-th smallest score.
    """
    low, high = life.quantile[:, 0], life.quantile[:, -1]
    score = np.maximum(low - left, left - high)
    edges = np.quantile(life.expected, np.arange(1, bins) / bins)
    place = np.searchsorted(edges, life.expected, side="right")
    add, error = np.empty(bins), np.empty(bins)
    for one in range(bins):
        here = place == one if (place == one).any() else np.full(len(place), fill_value=True)
        own = np.sort(score[here])
        add[one] = own[min(len(own), int(np.ceil((len(own) + 1) * level))) - 1]
        error[one] = np.mean((life.expected - left)[here] ** 2)
    return Calibrated(edges, add, error)


class LifeBlend:
    """Boosted trees, an LSTM and a TCN, each ``folds`` times on all machines but a fold.

    A machine's answer by those that did not see it chooses the members' weights (on the simplex, by
    squared error) and the margins of the interval; so every machine calibrates and none is judged by
    a net that knows it (cross-conformal: Vovk, Annals of Mathematics and AI 74, 2015). The answer is
    the mean over folds. ``level`` is the share of lives between the first and the last quantile.
    Not for fewer than ten machines.
    """

    name = "life_blend"
    kind: Literal["deep"] = "deep"

    def __init__(
        self, *, folds: int = 4, clip: float = CLIP, settings: int = SETTINGS, level: float = 0.9,
        nets: Sequence[Callable[..., LifeNet]] = (RulLstm, RulTcn), trees: Sequence[int] = (100,),
        seed: int = 0,
    ) -> None:  # fmt: skip
        self.folds, self.clip, self.settings, self.level, self.seed = folds, clip, settings, level, seed
        self._nets, self._windows = tuple(nets), tuple(trees)
        self.nets: list[list[LifeNet]] = []
        self.trees: list[list[LifeTrees]] = []
        self.weight: Floats = np.empty(0)
        self.margin: Calibrated | None = None

    def fit(self, blocks: Sequence[Block]) -> Self:
        """Learn from machines that ran to failure."""
        if len(blocks) < 2 * self.folds:
            raise DataError(f"{len(blocks)} machines cannot be dealt into {self.folds} folds")
        hand = np.random.default_rng(self.seed).permutation(len(blocks)) % self.folds
        cut, left, whose = cuts(blocks, clip=self.clip, seed=self.seed)
        told = np.empty((len(self._windows) + len(self._nets), len(cut)))
        around = np.empty((len(cut), len(LEVELS)))
        self.trees, self.nets = [], []
        for turn in range(self.folds):
            self._learn([one for place, one in enumerate(blocks) if hand[place] != turn], turn)
            own = hand[whose] == turn
            told[:, own], around[own] = self._told(
                [one for one, mine in zip(cut, own, strict=True) if mine], turn
            )
        self.weight = _weights(told, left)
        expected = self.weight @ told
        self.judged = float(np.sqrt(np.mean((expected - left) ** 2)))
        self.margin = widening(self._life(expected, around), left, self.level)
        return self

    def last(self, blocks: Sequence[Block]) -> Floats:
        """Return the expected remaining rows of machines at their last row, ``[unit]``."""
        return self.final(blocks).expected

    def final(self, blocks: Sequence[Block]) -> Life:
        """Return what is left of machines at their last row."""
        if self.margin is None:
            raise ModelError(f"{self.name} has not been fitted")
        found = [self._told(blocks, turn) for turn in range(self.folds)]
        points = np.stack([self.weight @ one for one, _ in found])
        return self._widened(points, np.mean([one for _, one in found], axis=0))

    def judge(self, value: Floats) -> Life:
        """Return what is left at each row of one machine, from its past alone."""
        if self.margin is None:
            raise ModelError(f"{self.name} has not been fitted")
        points, around = [], []
        for trees, nets in zip(self.trees, self.nets, strict=True):
            lives = [net.judge(value) for net in nets]
            told = [*(one.predict(value) for one in trees), *(one.expected for one in lives)]
            points.append(self.weight @ np.stack(told))
            around.append(np.mean([one.quantile - one.expected[:, None] for one in lives], axis=0))
        return self._widened(np.stack(points), np.mean(around, axis=0))

    def predict(self, value: Floats) -> Floats:
        """Return the quantiles of what is left at each row, ``[row, level]`` at ``LEVELS``."""
        return self.judge(value).quantile

    def _learn(self, blocks: Sequence[Block], turn: int) -> None:
        seed = 100 * self.seed + 10 * turn
        trees = [
            LifeTrees(window, clip=self.clip, settings=self.settings, seed=seed).fit(blocks)
            for window in self._windows
        ]
        nets = [
            net(clip=self.clip, settings=self.settings, seed=seed + place).fit(blocks)
            for place, net in enumerate(self._nets)
        ]
        self.trees.append(trees)
        self.nets.append(nets)

    def _told(self, blocks: Sequence[Block], turn: int) -> tuple[Floats, Floats]:
        """Return what a fold's members expect, ``[member, unit]``, and how far quantiles lie from it."""
        lives = [net.final(blocks) for net in self.nets[turn]]
        told = [*(one.last(blocks) for one in self.trees[turn]), *(one.expected for one in lives)]
        around = np.mean([one.quantile - one.expected[:, None] for one in lives], axis=0)
        return np.stack(told), around

    def _life(self, expected: Floats, around: Floats) -> Life:
        return Life(expected, np.clip(expected[:, None] + around, 0.0, self.clip))

    def _widened(self, points: Floats, around: Floats) -> Life:
        """Return the mean of the folds' answers ``[fold, row]``, with the interval that holds."""
        if self.margin is None:
            raise ModelError(f"{self.name} has not been fitted")
        life = self._life(points.mean(axis=0), around)
        wide = np.stack(self.margin(life, points.var(axis=0)), axis=1).clip(0.0, self.clip)
        inner = life.quantile[:, 1:-1].clip(wide[:, :1], wide[:, 1:])
        return Life(life.expected, np.concatenate([wide[:, :1], inner, wide[:, 1:]], axis=1))


def _weights(told: Floats, left: Floats) -> Floats:
    """Return weights ``[member]`` that are not below 0 and add up to 1."""
    from scipy.optimize import nnls

    count, heavy = len(told), 1e3 * float(np.abs(left).max() + 1)
    found, _ = nnls(np.concatenate([told.T, np.full((1, count), heavy)]), np.r_[left, heavy])
    total = float(found.sum())
    return found / total if total > 0 else np.full(count, 1 / count)
