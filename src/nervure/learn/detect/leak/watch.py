"""From residuals to claims: when a leak began to show, where it is, and when it was repaired.

Each row is evidence for a hole at every place: the residual, whitened by what is normal at that
load, against the direction in which a hole there would move it. The evidence is summed with
several memories (Lucas & Saccucci, Technometrics 32(1), 1990), and a claim is made when a sum
passes its limit. A network that always has some leaks is watched on: what is claimed becomes normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.detect.block import merged, runs

__all__ = ["Claim", "Evidence", "Setup", "likeliest", "limits", "located", "watch", "whiten"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
_LOOKED_AT = 200  # places that explain most, before what is doubtful is weighed


class Evidence(NamedTuple):
    """Whitened residuals ``z [row, part]`` (NaN: says nothing), ``load [row]``, ``way [load, part, place]``.

    ``doubt [draw, load, part, place]`` is by how much the ways may be wrong, in draws, and
    ``most [place]`` the largest hole that there may be.
    """

    z: Floats
    load: Longs
    way: Floats
    doubt: Floats | None = None
    most: Floats | None = None

    def take(self, rows: Longs | slice) -> Evidence:
        """Return some of the rows."""
        return self._replace(z=self.z[rows], load=self.load[rows])


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """How evidence is summed, half-lives in rows, and what is promised.

    ``look`` rows after a claim are looked at before its place is named, and nothing is claimed in
    them. ``a_year`` false claims are granted in ``year`` rows, over all memories together; limits
    found are raised by ``margin``. A claim is news of an open leak within ``near_m`` of it, where that
    leak explains the share ``alike`` of what the best place does, or moves the sensors less than the
    share ``drowned`` of it; where there are no places, if leaks are ``single``. Named is the place that
    most of the likelihood, its logarithm over ``temper``, lies ``within_m`` of. Rows whose mean is
    ``usual`` times what noise makes it are taken to be normal again. While all sums are below the
    share ``calm`` of their limits, what is normal follows the readings with the half-life ``forget``.
    """

    memory: tuple[float, ...] = (4.0, 16.0, 64.0)
    look: int = 48
    year: int = 17_520
    a_year: float = 2.0
    margin: float = 1.2
    near_m: float = 400.0
    alike: float = 0.7
    drowned: float = 0.15
    within_m: float = 300.0
    temper: float = 1.0
    usual: float = 6.0
    single: bool = True
    calm: float = 0.6
    forget: float = 480.0
    forget_load: float = 1e9
    blur: float = 0.2


class Claim(NamedTuple):
    """What was claimed in ``row``, and named in a later one: a new leak, news of one, or a repair."""

    row: int
    named: int
    place: int
    size: float
    kind: Literal["leak", "news", "repair"]


def whiten(
    residual: Floats, load: Longs, clean: slice, way: Floats, others: Sequence[Floats] = ()
) -> Evidence:
    """Whiten a residual ``[row, sensor]`` by its covariance on clean rows, load by load.

    ``way [load, sensor, place]`` is turned alike; ``others`` are the ways of networks that are
    as wrong as the model may be. A load too rare in the clean rows takes what all loads have together.
    """
    own, sort = residual[clean], load[clean]
    whole = own.T @ own / len(own)
    z, turned = np.empty_like(residual), np.empty_like(way)
    apart = np.array([one - way for one in others])
    for one in range(len(way)):
        same = own[sort == one]
        part = same.T @ same / max(len(same), 1)
        trust = len(same) / (len(same) + 3 * own.shape[1])
        cover = trust * part + (1 - trust) * whole
        cover += 1e-3 * np.trace(cover) / len(cover) * np.eye(len(cover))
        turn = np.linalg.inv(np.linalg.cholesky(cover))
        z[load == one] = residual[load == one] @ turn.T
        turned[one] = turn @ way[one]
        if len(apart):
            apart[:, one] = turn @ apart[:, one]
    return Evidence(z, load, turned, apart if len(apart) else None)


def _cover(apart: Floats) -> Floats:
    """Return a covariance for each place from draws ``[draw, part, place]``, some of it in all directions."""
    found: Floats = np.einsum("kip,kjp->pij", apart, apart) / len(apart)
    level: Floats = np.trace(found, axis1=1, axis2=2)[:, None, None] / found.shape[1]
    spread: Floats = 0.7 * found + 0.3 * level * np.eye(found.shape[1])
    return spread


class _Sums:
    """Evidence for every place, summed with every memory."""

    def __init__(self, way: Floats, setup: Setup) -> None:
        self.keep = 0.5 ** (1 / np.array(setup.memory))[:, None]
        self.way, self.weight = way, (way**2).sum(axis=1)
        self.rows = ((1 + self.keep) / (1 - self.keep))[:, 0]  # as many rows a sum is worth
        self.reset()

    def reset(self) -> None:
        self.sum = np.zeros((len(self.keep), self.way.shape[2]))
        self.spread = np.zeros_like(self.sum)

    def add(self, z: Floats, load: int) -> None:
        self.sum *= self.keep
        self.spread *= self.keep**2
        if not np.isnan(z).any():
            self.sum += z @ self.way[load]
            self.spread += self.weight[load]

    def grade(self) -> Floats:
        """Return the sums in standard deviations, ``[memory, place]``."""
        found: Floats = self.sum / np.sqrt(np.maximum(self.spread, 1e-12))
        return found


def limits(clean: Evidence, setup: Setup, *, years: int = 8, block: int = 192, seed: int = 0) -> Floats:
    """Return the limit of each memory, ``[memory]``, from rows without leaks alone.

    Years are put together from blocks of those rows drawn at random (Kuensch, Annals of Statistics
    17(3), 1989); each limit is passed ``a_year`` times a year, divided by the memories.
    """
    count = len(clean.z)
    if count < 2 * block:
        raise DataError(
            f"{count} rows without leaks are too few for limits", hint=f"give {2 * block} at least"
        )
    random = np.random.default_rng(seed)
    starts = random.integers(0, count - block, size=years * setup.year // block)
    sums = _Sums(clean.way, setup)
    peak = np.empty((len(starts) * block, len(setup.memory)))
    row = 0
    for start in starts.tolist():
        for at in range(start, start + block):
            sums.add(clean.z[at], int(clean.load[at]))
            peak[row] = sums.grade().max(axis=1)
            row += 1
    wanted = max(1, round(setup.a_year * years / len(setup.memory)))
    found = [_passed(peak[:, one], wanted, setup.look) for one in range(peak.shape[1])]
    return np.array(found) * setup.margin


def _passed(peak: Floats, wanted: int, gap: int) -> float:
    """Return the level that is passed in ``wanted`` stretches."""
    low, high = float(np.median(peak)), float(peak.max())
    for _ in range(30):
        middle = (low + high) / 2
        if len(merged(runs(peak > middle), gap)) > wanted:
            low = middle
        else:
            high = middle
    return high


def watch(evidence: Evidence, limit: Floats, setup: Setup, apart: Floats | None = None) -> list[Claim]:
    """Go through the rows in their order and return what was claimed.

    ``apart [place, place]`` in m tells news of an open leak from a new one; without it all places
    are one, and a claim is news as long as none was repaired.
    """
    z, load, way = evidence.z, evidence.load, evidence.way
    sums, state = _Sums(way, setup), _Normal(evidence, setup, apart)
    claims, row, count = list[Claim](), 0, len(z)
    while row < count:
        sums.add(z[row] - state.shift[load[row]], int(load[row]))
        grade = sums.grade() / state.raised(limit, sums)[:, None]
        up, down = float(grade.max()), float(-grade.min())
        if max(up, down) < setup.calm:
            state.drift(z[row], int(load[row]))
        if max(up, down) < 1 or row + setup.look >= count:
            row += 1
            continue
        span = slice(row + 1, row + 1 + setup.look)
        claim = state.told(row, z[span], load[span], falling=down > up)
        claims.append(claim)
        sums.reset()
        row = span.stop
    return claims


class _Normal:
    """What is taken for normal by now: ``shift [load, part]``, and the leaks that are open."""

    def __init__(self, evidence: Evidence, setup: Setup, apart: Floats | None) -> None:
        self.evidence, self.setup, self.apart = evidence, setup, apart
        self.shift = np.zeros(evidence.way.shape[:2])
        self.open: list[tuple[int, Floats]] = []  # place, and what was normal before
        self.loud: list[float] = []  # how far each moves the residual

    def raised(self, limit: Floats, sums: _Sums) -> Floats:
        """Return limits that open leaks have raised: the model is wrong by the share ``blur`` of them."""
        wrong = self.setup.blur**2 * sum(one**2 for one in self.loud)
        found: Floats = np.sqrt(limit**2 + wrong * sums.rows)
        return found

    def drift(self, z: Floats, load: int) -> None:
        """Follow what changes slowly, season and wear, by one row."""
        if not np.isnan(z).any():
            left = z - self.shift[load]
            self.shift[load] += left * (1 - 0.5 ** (1 / self.setup.forget_load))
            self.shift += left * (1 - 0.5 ** (1 / self.setup.forget))

    def told(self, row: int, z: Floats, load: Longs, *, falling: bool) -> Claim:
        """Say what the rows ``z`` after ``row`` show, and take it for normal from now on."""
        named = row + self.setup.look
        befores = [before for _, before in self.open] or [np.zeros_like(self.shift)]
        left = [_energy(z - before[load]) for before in befores]
        at, now = int(np.argmin(left)), _energy(z - self.shift[load])
        usual = self.setup.usual * z.shape[1] / len(z)
        if (falling and left[at] < now) or (left[at] < usual < now):
            place = self.open[at][0] if self.open else 0
            self.shift, self.open, self.loud = befores[at].copy(), self.open[:at], self.loud[:at]
            self._settle(z, load)
            return Claim(row, named, place, 0.0, "repair")
        gain, size = _fit(z - self.shift[load], load, self.evidence)
        right = size < 0 if falling else size > 0
        gain = np.where(right, gain, -np.inf)
        place = likeliest(gain, self.apart, self.setup)
        size = np.where(np.isfinite(gain), size, 0.0)
        kind: Literal["leak", "news", "repair"] = "repair" if falling else "leak"
        move = size[place] * self.evidence.way[:, :, place]
        loud = float(np.sqrt((move**2).sum() / len(move)))
        if kind == "leak" and self._again(gain, place, loud):
            kind = "news"
        if kind == "leak":
            self.open.append((place, self.shift.copy()))
            self.loud.append(loud)
        self.shift = self.shift + move
        self._settle(z, load)
        return Claim(row, named, place, float(size[place]), kind)

    def _again(self, gain: Floats, place: int, loud: float) -> bool:
        """Tell whether an open leak lies near the place, explains the rows about as well, or drowns it."""
        if self.apart is None:
            return self.setup.single and bool(self.open)
        if loud < self.setup.drowned * max(self.loud, default=0.0):
            return True
        return any(
            self.apart[place, own] <= self.setup.near_m or gain[own] >= self.setup.alike * gain[place]
            for own, _ in self.open
        )

    def _settle(self, z: Floats, load: Longs) -> None:
        """Take what is still left for normal, as far as it is more than noise (James & Stein, 1961)."""
        left = z - self.shift[load]
        left = left[~np.isnan(left).any(axis=1)]
        if len(left):
            mean = left.mean(axis=0)
            noise = len(mean) / len(left) / max(float(mean @ mean), 1e-12)
            self.shift = self.shift + max(0.0, 1 - noise) * mean


def likeliest(gain: Floats, apart: Floats | None, setup: Setup) -> int:
    """Return the place that most of the likelihood lies near; ``gain [place]`` is twice its logarithm.

    >>> likeliest(np.array([9.0, 8.0, 8.0]), np.array([[0, 9e3, 9e3], [9e3, 0, 9], [9e3, 9, 0]]), Setup())
    1
    """
    if apart is None:
        return int(gain.argmax())
    if not np.isfinite(gain.max()):
        return 0  # nothing explains it
    share = np.exp((gain - gain.max()) / (2 * setup.temper))
    mass = (apart <= setup.within_m) @ share
    best = np.flatnonzero(mass >= mass.max() * (1 - 1e-9))
    return int(best[gain[best].argmax()])


def located(evidence: Evidence, row: int, setup: Setup, apart: Floats | None, *, before: int = 48) -> int:
    """Return the place that best explains what changed at a row, for a claim made by something else."""
    earlier = evidence.z[max(row - before, 0) : row]
    span = slice(row + 1, row + 1 + setup.look)
    base = earlier.mean(axis=0) if len(earlier) else 0.0
    gain, size = _fit(evidence.z[span] - base, evidence.load[span], evidence)
    return likeliest(np.where(size > 0, gain, -np.inf), apart, setup)


def _energy(rest: Floats) -> float:
    """Return how far the mean of rows is from nothing, squared."""
    mean = rest[~np.isnan(rest).any(axis=1)].mean(axis=0)
    return float(mean @ mean)


def _fit(z: Floats, load: Longs, evidence: Evidence) -> tuple[Floats, Floats]:
    """Return how well a hole at each place explains the rows, and its size: ``[place]`` each.

    What the network model gets wrong grows with the hole, so for each place it counts as noise
    beside that of the readings (``doubt``, times the hole's size squared); being the same at all
    loads, it counts as often as there are loads. Explained is twice the log likelihood over that of
    no hole.
    """
    known = ~np.isnan(z).any(axis=1)
    z, load = z[known], load[known]
    seen, often = np.unique(load, return_counts=True)
    way = evidence.way[seen]
    mean = np.stack([z[load == one].mean(axis=0) for one in seen.tolist()])
    plain = (mean[:, :, None] * way * often[:, None, None]).sum(axis=(0, 1))
    size = plain / np.maximum((way**2 * often[:, None, None]).sum(axis=(0, 1)), 1e-12)
    most = np.inf if evidence.most is None else evidence.most
    whole = np.where(np.abs(size) <= most, plain * size, -np.inf)
    if evidence.doubt is None:
        return whole, np.clip(size, -most, most)
    some = np.argsort(-whole)[:_LOOKED_AT]
    way, size = way[:, :, some], size[some]
    gain = np.zeros(way.shape[2])
    top, below = np.zeros_like(gain), np.full(way.shape[2], 1e-12)
    for at, one in enumerate(seen.tolist()):
        cover = _cover(evidence.doubt[:, one][:, :, some]) * (size**2 * len(seen))[:, None, None]
        cover = cover + np.eye(way.shape[1]) / often[at]
        trust = np.linalg.inv(cover)
        toward = np.einsum("pij,jp->pi", trust, way[at])
        top += toward @ mean[at]
        below += np.einsum("pi,ip->p", toward, way[at])
        gain -= np.einsum("i,pij,j->p", mean[at], trust, mean[at]) - often[at] * float(mean[at] @ mean[at])
        gain -= np.linalg.slogdet(cover)[1] + way.shape[1] * np.log(often[at])
    sizes = np.zeros(evidence.way.shape[2])
    gains = np.full(len(sizes), -np.inf)
    sizes[some] = top / below
    gains[some] = np.where(
        np.abs(sizes[some]) <= np.broadcast_to(most, sizes.shape)[some], gain + top**2 / below, -np.inf
    )
    return gains, sizes
