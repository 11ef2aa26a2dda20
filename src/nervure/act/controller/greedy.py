"""Longest queue first: the phase that serves most standing vehicles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nervure.core.junction import Junction
from nervure.core.sight import Sight

__all__ = ["GreedyQueue"]


class GreedyQueue:
    """Not for roads that fill up: it sends vehicles where there is no room, and may starve a short queue."""

    name = "greedy queue"

    def __init__(self, junctions: Sequence[Junction], *, every_s: float = 10.0) -> None:
        self.every_s = every_s
        self._sights = [Sight(one) for one in junctions]

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        """Return the phase of each junction."""
        found = {}
        for sight in self._sights:
            sight.look(seen, now_s)
            sight.show(sight.better(sight.served @ sight.queue))
            found[sight.junction.command] = float(sight.phase)
        return found
