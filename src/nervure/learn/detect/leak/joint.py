"""A filter of the sizes of all leaks that are open, beside what the network model gets wrong.

Blocks are linear in both (:mod:`nervure.learn.detect.leak.scene`), so Kalman's filter holds them (J. Basic
Eng. 82(1), 1960). A new leak, or one repaired, is a jump that is looked for at all places and several
beginnings by the likelihood it gains (Willsky & Jones, IEEE Trans. Automatic Control 21(1), 1976).
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.learn.detect.leak.scene import Scene, Seen
from nervure.learn.detect.leak.ways import Open

__all__ = ["Filter", "Leak", "Tuning"]

Floats = NDArray[np.float64]
_LEAST, _MOST = -2.5, 40.0  # percent of consumption, which sizes are kept between


class Tuning(msgspec.Struct, frozen=True, kw_only=True):
    """How leaks are looked for; counts are of blocks, sizes percent of consumption, gains deviations.

    Chosen on years of random leaks on L-TOWN (:func:`~nervure.learn.detect.leak.scenario.rehearsal`),
    never on the Battle's; quiet months gain 5 at most, so that ``limit`` is for what open leaks bring
    with them. What gains ``limit`` over one of ``windows`` is something; its place is named as
    soon as the share ``sure`` of the likelihood lies ``within_m`` of it, and after ``look`` in any
    case. Likelihoods count by their logarithm over ``temper`` and the share ``wrong`` of the greatest.

    A leak begins with a deviation of ``size``, and walks by ``walk`` a block; what the model gets wrong
    walks by ``drift`` and jumps by the share ``jump`` of what a new leak does. A rise is an open leak's
    where that explains the share ``alike`` of it, or lies nearer than ``near_m``, if it came in more
    than ``sharp`` blocks or the leak is not older than ``young``. Rises below ``least`` or above ``most``
    are the model's; after one of those, for ``pause``, only leaks and repairs are told. A fall is a repair
    where that explains the share ``fallen`` of it. Leaks are placed anew at the ages ``again``.
    """

    limit: float = 9.0
    windows: tuple[int, ...] = (2, 8, 32)
    sure: float = 0.7
    look: int = 8
    within_m: float = 300.0
    temper: float = 4.0
    wrong: float = 0.01
    size: float = 12.0
    walk: float = 0.15
    drift: float = 0.015
    jump: float = 0.1
    near_m: float = 400.0
    young: int = 16
    sharp: int = 8
    alike: float = 0.8
    least: float = 0.8
    most: float = 30.0
    pause: int = 8
    fallen: float = 0.3
    again: tuple[int, ...] = (4, 12, 30)


class Leak(msgspec.Struct, kw_only=True):
    """A leak: open in blocks ``since`` to before ``until``; ``sizes`` in percent by block, from then on."""

    place: int
    since: int
    sizes: list[tuple[int, float]]
    walk: float
    until: int = 1 << 40

    def open(self, block: int) -> bool:
        """Tell whether it is open in a block."""
        return self.since <= block < self.until

    def size(self, block: int) -> float:
        """Return the size that a block is linearised about."""
        return next((size for since, size in reversed(self.sizes) if since <= block), self.sizes[0][1])


class Filter:
    """States ``[drive * part + leak]``: what the model gets wrong, then the leaks' sizes in percent."""

    def __init__(self, scene: Scene, tuning: Tuning, begin: int) -> None:
        self.scene, self.tuning = scene, tuning
        self.base = 3 * scene.heads
        self.leaks: list[Leak] = []
        self.seen: dict[int, Seen] = {}
        self.jolts: list[tuple[int, Floats]] = []  # block, and the variance that states gain in it
        self.past = {begin: (np.zeros(self.base), 0.05**2 * np.eye(self.base))}

    @property
    def first(self) -> int:
        """The earliest block whose state is kept."""
        return min(self.past)

    def open(self, block: int) -> list[Leak]:
        """Return the leaks that are open in a block."""
        return [one for one in self.leaks if one.open(block)]

    def state_of(self, leak: Leak) -> int:
        """Return which state is a leak's size."""
        return self.base + self.leaks.index(leak)

    def forget(self, block: int) -> None:
        """Let go of what is older than any window."""
        old = block - max(self.tuning.windows) - self.tuning.look - 6
        self.past.pop(old, None)
        self.seen.pop(old, None)
        self.jolts = [one for one in self.jolts if one[0] > old]

    def look(self, start: int, end: int) -> None:
        """See the blocks after ``start`` up to ``end`` with the leaks that are open in them."""
        todo: dict[Open, list[int]] = {}
        for block in range(start + 1, end + 1):
            known = tuple((one.place, one.size(block)) for one in self.open(block))
            if block not in self.seen or self.seen[block].open != known:
                todo.setdefault(known, []).append(block)
        for known, blocks in todo.items():
            self.seen.update(zip(blocks, self.scene.look(blocks, known), strict=True))

    def run(self, start: int, end: int) -> None:
        """Filter the blocks after ``start`` up to ``end``, anew where that was done before."""
        self.look(start, end)
        for block in range(start + 1, end + 1):
            self.past[block] = self._step(*self.past[block - 1], block)

    def _step(self, x: Floats, cover: Floats, block: int) -> tuple[Floats, Floats]:
        x, cover = self._grown(x, cover)
        cover = cover + np.diag(self._walked(block))
        way = self._design(block)
        toward = cover @ way.T
        gain = np.linalg.solve(way @ toward + np.eye(len(way)), toward.T).T
        x = x + gain @ (self.seen[block].z - way @ x)
        x[self.base :] = np.clip(x[self.base :], _LEAST, _MOST)
        cover = cover - gain @ toward.T
        return x, (cover + cover.T) / 2

    def _grown(self, x: Floats, cover: Floats) -> tuple[Floats, Floats]:
        """Return a state that has room for the leaks found since."""
        more = self.base + len(self.leaks) - len(x)
        if more == 0:
            return x, cover
        out = self.tuning.size**2 * np.eye(len(x) + more)
        out[: len(x), : len(x)] = cover
        out[: len(x), len(x) :] = out[len(x) :, : len(x)] = 0.0
        return np.r_[x, np.zeros(more)], out

    def _walked(self, block: int) -> Floats:
        """Return the variance that states gain in a block."""
        walk = [one.walk if one.open(block) else 0.0 for one in self.leaks]
        out: Floats = np.r_[np.full(self.base, self.tuning.drift), walk] ** 2
        for at, variance in self.jolts:
            if at == block:
                out[: len(variance)] += variance
        return out

    def _design(self, block: int) -> Floats:
        """Return what states do to a block, ``[part, state]``."""
        seen = self.seen[block]
        own = seen.way[:, [one.place for one in self.leaks]] * [one.open(block) for one in self.leaks]
        found: Floats = np.concatenate([np.kron(seen.drive, np.eye(len(seen.z))), own], axis=1)
        return found

    def clear(self, start: int) -> int:
        """Return a start moved on to before the last jolt: within a window nothing else may have jumped."""
        return max([start, self.first, *(at - 1 for at, _ in self.jolts)])

    def gains(self, start: int, end: int) -> tuple[Floats, Floats]:
        """Return how many deviations a leak after ``start`` explains, and its size: ``[place]`` each.

        Both are negative for what fell. Everything else that may have moved meanwhile is accounted for.
        """
        self.look(start, end)
        blocks = range(start + 1, end + 1)
        x, cover = self._grown(*self.past[start])
        cover = cover + np.diag(np.sum([self._walked(one) for one in blocks], axis=0))
        design = np.concatenate([self._design(one) for one in blocks])
        z = np.concatenate([self.seen[one].z for one in blocks])
        way = np.concatenate([self.seen[one].way for one in blocks])
        known = design.T @ design
        after = np.linalg.solve(np.eye(len(x)) + cover @ known, cover)
        after = (after + after.T) / 2
        x = x + after @ (design.T @ z - known @ x)
        shared = (design.astype(np.float32).T @ way).astype(np.float64)
        top = (z.astype(np.float32) @ way).astype(np.float64) - shared.T @ x
        below = np.einsum("ij,ij->j", way, way).astype(np.float64) - (shared * (after @ shared)).sum(axis=0)
        below = np.maximum(below, 1e-9)
        return top / np.sqrt(below), top / below

    def jolt(self, start: int, place: int, size: float, share: float) -> None:
        """Let what the model gets wrong jump after ``start`` by a share of what a leak does there."""
        near = [self.seen[one].way[:, place] for one in range(start - 7, start + 2) if one in self.seen]
        effect = (np.array(near, dtype=np.float64) ** 2).mean(axis=0) * (size * share) ** 2
        self.jolts.append((start + 1, np.tile((effect + effect.mean()) / 2, 3)))

    def settle(self, start: int, end: int) -> None:
        """Let what is left since ``start`` be the model's fault, sensor by sensor."""
        x, _ = self._grown(*self.past[start])
        self.look(start, end)
        left = [self.seen[one].z - self._design(one) @ x for one in range(start + 1, end + 1)]
        own = np.mean(left, axis=0) ** 2
        own = own + 0.2 * own.mean()
        self.jolts.append((start + 1, np.r_[own, own / 4, own / 4]))
        self.run(start, end)

    def loosen(self, leak: Leak, start: int, by: float) -> None:
        """Let a leak's size jump after ``start``, by a deviation in percent."""
        variance = np.zeros(self.base + len(self.leaks))
        variance[self.state_of(leak)] = by**2
        self.jolts.append((start + 1, variance))

    def follow(self, block: int) -> None:
        """Linearise what comes after a block about the sizes that leaks have by now."""
        x, _ = self.past[block]
        for leak in self.open(block):
            now = float(np.clip(x[self.state_of(leak)], 0.4, _MOST))
            before = leak.size(block + 1)
            if leak.since < block - 1 and abs(now - before) > max(1.2, 0.25 * before):
                leak.sizes.append((block + 1, round(now, 1)))
