"""Fatigue: cycles of a load, the damage they do, and the life that is left; and cracks made up to try it on.

Cycles are counted by rainflow (ASTM E1049), damage adds up by Palmgren and Miner. That is the physics
to which a net of the remaining life is compared. It knows nothing of the order of loads, nor of what
the crack itself shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS
from nervure.learn.detect.block import Block
from nervure.learn.detect.lifenet import LEVELS, Life

__all__ = ["CRACK", "Curve", "Miner", "cracks", "cycles", "damage"]

Floats = NDArray[np.float64]

CRACK = ("damage", "range rms MPa", "range max MPa", "compliance")
_OLDEST = 1e4


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """An S-N curve (Basquin): ``life_at`` cycles of ``range_mpa`` to failure, of slope ``-1/exponent``.

    Ranges below ``limit_mpa`` do nothing. ``ultimate_mpa`` corrects for the mean of a cycle (Goodman).

    >>> Curve(range_mpa=100, life_at=1e6, exponent=3).cycles(200.0)
    125000.0
    """

    range_mpa: float
    life_at: float
    exponent: float = 3.0
    limit_mpa: float = 0.0
    ultimate_mpa: float | None = None

    def cycles(self, range_mpa: float, mean_mpa: float = 0.0) -> float:
        """Return how many such cycles lead to failure; infinite below the limit."""
        if self.ultimate_mpa is not None:
            if mean_mpa >= self.ultimate_mpa:
                return 1.0
            range_mpa /= 1 - max(mean_mpa, 0.0) / self.ultimate_mpa
        if range_mpa <= self.limit_mpa or range_mpa <= 0:
            return math.inf
        return float(self.life_at * (self.range_mpa / range_mpa) ** self.exponent)


def cycles(stress: Floats) -> Floats:
    """Count the cycles of a history ``[row]`` by rainflow: ``[cycle, 3]`` of range, mean and how often.

    Half cycles count 0.5. A strain history is one of stress times Young's modulus while it is elastic.

    >>> cycles(np.array([0.0, 10.0, 0.0]))[:, [0, 2]].tolist()
    [[10.0, 0.5], [10.0, 0.5]]
    """
    import rainflow

    if np.isnan(stress).any():
        raise DataError("a load with gaps cannot be counted", hint="count its whole stretches one by one")
    found = [(span, mean, often) for span, mean, often, _, _ in rainflow.extract_cycles(stress)]
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def damage(stress: Floats, curve: Curve) -> float:
    """Return the share of the life that a history ``[row]`` in MPa uses up (Palmgren, 1924; Miner, 1945).

    >>> round(damage(np.array([0.0, 200.0] * 50 + [0.0]), Curve(range_mpa=100, life_at=1e6)), 6)
    0.0004
    """
    return float(sum(often / curve.cycles(span, mean) for span, mean, often in cycles(stress)))


class Miner:
    """What is left by damage: failure at a sum of ``total``, used up as over the last ``window`` rows.

    :meth:`fit` takes for ``total`` the median sum at which machines really failed, and their scatter
    for the quantiles; without it the sum is 1 and its scatter that of welded steel. ``channel`` holds
    the damage of each row.
    """

    name = "rainflow + Miner"
    kind: Literal["baseline"] = "baseline"

    def __init__(self, channel: int = 0, *, window: int = 60, clip: float | None = None) -> None:
        self.channel, self.window, self.clip = channel, window, clip
        self.total, self.scatter = 1.0, 0.3

    def fit(self, blocks: Sequence[Block]) -> Self:
        """Learn the sum at failure, and how much it scatters, from machines that failed."""
        sums = np.log([max(float(np.nansum(one.value[:, self.channel])), 1e-12) for one in blocks])
        self.total = float(np.exp(np.median(sums)))
        self.scatter = float(sums.std()) if len(sums) > 1 else 0.3
        return self

    def judge(self, value: Floats) -> Life:
        """Return what is left at each row, from the rows before alone."""
        own = np.nan_to_num(value[:, self.channel])
        used = np.cumsum(own)
        before = np.concatenate([np.zeros(self.window), used])[: len(used)]
        count = np.minimum(np.arange(1, len(used) + 1), self.window)
        rate = (used - before) / count
        score = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
        totals = self.total * np.exp(np.r_[0.0, score] * self.scatter)
        rest = np.maximum(totals - used[:, None], 0.0)
        left = np.divide(rest, rate[:, None], out=np.full(rest.shape, _OLDEST), where=rate[:, None] > 0)
        left = np.minimum(left, _OLDEST if self.clip is None else self.clip)
        return Life(left[:, 0], left[:, 1:])

    def last(self, blocks: Sequence[Block]) -> Floats:
        """Return the remaining rows of machines at their last row, ``[unit]``."""
        return np.array([self.judge(one.value).expected[-1] for one in blocks])


def cracks(count: int, *, seed: int = 0, noise: float = 0.01) -> tuple[Block, ...]:
    """Simulate specimens whose crack grows until they break, a row an inspection: nothing here is measured.

    Loads of changing severity grow the crack by Paris and Erdogan's law (1963), slowed after overloads
    in the manner of Wheeler (1972), so that the order of loads matters and Miner's sum is off. Each
    specimen has its own material and first flaw. Channels are ``CRACK``: the damage of the row's load
    by rainflow and Miner, the root mean square and the largest of its ranges, and the compliance
    (relative, with ``noise``), which rises with the crack.
    """
    random = np.random.default_rng(seed)
    return tuple(_specimen(f"specimen {turn}", random, noise) for turn in range(count))


def _specimen(name: str, random: np.random.Generator, noise: float) -> Block:
    curve = Curve(range_mpa=100, life_at=2.2e7)  # of the median specimen, at ranges that do not change
    growth = 4e-13 * np.exp(0.25 * random.normal())  # m a cycle, at 1 MPa sqrt(m)
    size, limit, repeats = (
        1e-3 * np.exp(0.15 * random.normal()),
        0.02,
        6000.0,
    )  # m, m, times a row's load comes
    level, peak = 1.0, 0.0
    rows: list[tuple[float, ...]] = []
    while size < limit and len(rows) < 1500:
        if random.random() < 0.02:
            level = float(np.exp(0.3 * random.normal()))
        load = 45 * level * random.rayleigh(size=40)
        if random.random() < 0.05:
            load[random.integers(40)] *= 2.2
        found = cycles(np.stack([load, np.zeros(40)], axis=1).ravel())
        spans, often = found[:, 0], found[:, 2] * repeats
        peak = max(0.97 * peak, float(spans.max()))
        slowed = np.minimum(1.0, 1.35 * spans.max() / peak) ** 2
        force = spans * np.sqrt(np.pi * size)
        size += float(slowed * growth * (often * force**3).sum())
        used = sum(number / curve.cycles(span) for span, number in zip(spans, often, strict=True))
        seen = 1 + 2 * (size / limit) ** 1.5 + noise * random.normal()
        rows.append((used, float(np.sqrt((spans**2).mean())), float(spans.max()), seen))
    value = np.array(rows)
    return Block(
        name=name, channels=CRACK, value=value, time=np.arange(1, len(value) + 1) * HOUR_NS,
        every_ns=HOUR_NS, group=name,
    )  # fmt: skip
