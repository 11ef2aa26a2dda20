"""Order: how a batch is cut into stages so that its result is that of one reading after another.

Within a stage every reading is first put into its window, then every target is scored. So a
reading that came before a target in the log must not be in a later stage than the target, and one
that came after must be in a later stage if the target's window could show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.core.window import rounds

__all__ = ["PLAIN", "SHARED", "stages"]

Longs = NDArray[np.int64]

SHARED = -1
PLAIN = -2


def stages(
    stream: Longs,
    node: Longs,
    target: NDArray[np.bool_],
    showing: Mapping[int, tuple[int, ...]] | None = None,
    *,
    foreseen: int = 1 << 62,
) -> list[NDArray[Any]]:
    """Cut rows, in log order, into stages in which no stream comes twice.

    ``node [row]`` is the model's node that a row is about, ``SHARED`` where it feeds every node,
    ``PLAIN`` where it feeds none; ``target [row]`` tells the rows that are scored from the rows
    that only feed. ``showing`` are, for a node, the others whose windows show its readings; those from
    ``foreseen`` on are never scored themselves.

    >>> weather, inflow = 9, 4
    >>> stream = np.array([inflow, weather, inflow])
    >>> [rows.tolist() for rows in stages(stream, np.array([0, SHARED, 0]), np.array([True, False, True]))]
    [[0], [1, 2]]
    >>> near = {0: (), 1: (0,), 2: (1,)}  # node 0 looks at 1, which looks at 2
    >>> one, all_ = np.arange(3), np.ones(3, dtype=bool)
    >>> [rows.tolist() for rows in stages(one, one, all_, near)]
    [[0], [1], [2]]
    >>> [rows.tolist() for rows in stages(one[::-1], one[::-1], all_, near)]
    [[0, 1, 2]]
    >>> guest = np.array([True, False, True])  # node 1 is only seen, by node 0
    >>> [rows.tolist() for rows in stages(one, one, guest, near, foreseen=1)]
    [[0, 2], [1]]
    """
    feeds = (node != PLAIN) & ~target
    if (not feeds.any() and not showing) or not target.any():
        return rounds(stream)
    stage = _levels(stream.tolist(), node.tolist(), target.tolist(), showing or {}, foreseen)
    order = np.argsort(stage, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(stage[order])) + 1)


def _levels(
    stream: list[int],
    node: list[int],
    target: list[bool],
    showing: Mapping[int, tuple[int, ...]],
    foreseen: int,
) -> Longs:
    turn: dict[int, int] = {}
    scored: dict[int, int] = {}
    fed: dict[int, int] = {}
    top = shared = -1
    level = [0] * len(stream)
    for row, (name, about, judged) in enumerate(zip(stream, node, target, strict=True)):
        at = turn.get(name, -1) + 1
        if judged:
            at = max(at, fed.get(about, 0), shared)
            for other in showing.get(about, ()):
                at = max(at, scored.get(other, -1) + 1)
            for other in showing.get(about, ()):
                fed[other] = max(at, fed.get(other, 0))
            scored[about] = at
            top = max(top, at)
        elif about == SHARED:
            at = max(at, top + 1)
            shared = max(shared, at)
        elif about != PLAIN:
            fills = showing.get(about, ()) if about >= foreseen else (about,)
            for other in fills:
                at = max(at, scored.get(other, -1) + 1)
            for other in fills:
                fed[other] = max(at, fed.get(other, 0))
        turn[name] = level[row] = at
    return np.array(level, dtype=np.int64)
