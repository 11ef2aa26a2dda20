"""Which valves to close so that a burst has no water: a search over the segments between valves.

A segment is what stays joined when every valve is closed (Walski, J. AWWA 85(7), 1993; Giustolisi &
Savic, Water Resources Research 46, 2010). A union of neighbouring segments may have fewer valves around
it than one alone, and where the burst is may be known only by chances, so unions are searched that hold as
much of the chance as they can behind few valves, and cut off little consumption.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError

__all__ = ["Closure", "Segments", "isolate", "segments"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


class Segments(NamedTuple):
    """Segments by number: ``of_link [link]``, ``of_node [node]``, each valve's ``sides [valve, 2]``."""

    of_link: Longs
    of_node: Longs
    sides: Longs

    @property
    def total(self) -> int:
        """How many there are."""
        return int(max(self.of_link.max(), self.of_node.max())) + 1


class Closure(NamedTuple):
    """Valves to close, segments without water then, the chance that the burst is there, the share cut off."""

    valves: tuple[int, ...]
    inside: frozenset[int]
    chance: float
    cut_off: float


def segments(ends: Longs, nodes: int, valves: Sequence[tuple[int, int]]) -> Segments:
    """Return the segments of a network: ``ends [link, 2]`` are nodes, valves are at ``(link, end node)``.

    >>> segments(np.array([[0, 1], [1, 2]]), 3, [(1, 1)]).of_node.tolist()
    [0, 0, 1]
    """
    links, shut = len(ends), set(valves)
    parent = list(range(links + nodes))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for link, pair in enumerate(ends.tolist()):
        for node in pair:
            if (link, node) not in shut:
                parent[root(links + node)] = root(link)
    roots = np.array([root(at) for at in range(links + nodes)])
    order = {one: place for place, one in enumerate(dict.fromkeys(roots[links:].tolist()))}
    for one in roots[:links].tolist():
        order.setdefault(one, len(order))
    label = np.array([order[one] for one in roots.tolist()], dtype=np.int64)
    sides = np.array([[label[link], label[links + node]] for link, node in valves], dtype=np.int64).reshape(
        -1, 2
    )
    return Segments(label[:links], label[links:], sides)


def isolate(
    cut: Segments,
    chance: Floats,
    demand: Floats,
    sources: Longs,
    *,
    most: int = 4,
    widest: int = 12,
    price: float = 1.0,
) -> Closure:
    """Return the closure of at most ``most`` valves that holds the most chance for what it cuts off.

    ``chance [segment]`` sums to one, ``demand [segment]`` is what is consumed there, ``sources`` are
    segments that water comes in through, which are never cut off. ``price`` is how much chance one would
    give not to cut off all consumption. Raises DataError where no closure of so few valves holds any.
    """
    around = _neighbours(cut)
    whole = max(float(demand.sum()), 1e-9)
    best: Closure | None = None
    worth = -np.inf
    for first in np.argsort(-chance)[:5].tolist():
        if chance[first] <= 0 or first in sources:
            continue
        for inside in _unions(first, around, cut, chance, set(sources.tolist()), widest=widest):
            shut = _around(cut, inside)
            if not 0 < len(shut) <= most:
                continue
            dry = _dry(cut, inside, shut, sources)
            held, off = float(chance[list(inside)].sum()), float(demand[list(dry)].sum()) / whole
            if held - price * off > worth:
                worth, best = held - price * off, Closure(shut, dry, held, off)
    if best is None:
        raise DataError(
            f"no {most} valves isolate where the burst may be", hint="allow more valves, or send a crew"
        )
    return best


def _neighbours(cut: Segments) -> dict[int, set[int]]:
    around: dict[int, set[int]] = {at: set() for at in range(cut.total)}
    for one, other in cut.sides.tolist():
        if one != other:
            around[one].add(other)
            around[other].add(one)
    return around


def _unions(
    first: int,
    around: dict[int, set[int]],
    cut: Segments,
    chance: Floats,
    sources: set[int],
    *,
    widest: int,
    beam: int = 12,
) -> list[frozenset[int]]:
    """Return connected unions that grow from a segment, the most promising of each size."""
    found: list[frozenset[int]] = [frozenset({first})]
    front = list(found)
    for _ in range(widest - 1):
        grown = {
            inside | {other} for inside in front for at in inside for other in around[at] - inside - sources
        }
        if not grown:
            break
        front = sorted(
            grown,
            key=lambda one: (-float(chance[list(one)].sum()) + 0.05 * len(_around(cut, one)), sorted(one)),
        )[:beam]
        found += front
    return found


def _around(cut: Segments, inside: frozenset[int]) -> tuple[int, ...]:
    """Return the valves between a union and the rest."""
    held = np.isin(cut.sides, list(inside))
    return tuple(np.flatnonzero(held[:, 0] != held[:, 1]).tolist())


def _dry(cut: Segments, inside: frozenset[int], shut: Sequence[int], sources: Longs) -> frozenset[int]:
    """Return the segments without water: those inside, and those whose only way went through them."""
    closed, around = set(shut), {at: set[int]() for at in range(cut.total)}
    for at, (one, other) in enumerate(cut.sides.tolist()):
        if at not in closed and one != other:
            around[one].add(other)
            around[other].add(one)
    wet, waiting = set(sources.tolist()), list(sources.tolist())
    while waiting:
        for other in around[waiting.pop()] - wet:
            wet.add(other)
            waiting.append(other)
    return frozenset(range(cut.total)) - frozenset(wet) | inside
