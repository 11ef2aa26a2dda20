"""Pace: when it is time to write what waits in memory, and how long a disk that refuses is left alone."""

from __future__ import annotations

import time

from nervure.core.settings import Store
from nervure.store.memory import Memory

__all__ = ["CHANGE_S", "IDLE_S", "LONGEST_PAUSE_S", "RUSH_S", "Pace"]

CHANGE_S = 10.0
"""How long changes and deletions are gathered, as each time files are rewritten."""

IDLE_S = 30.0
"""How long a position without rows may wait for its commit."""

LONGEST_PAUSE_S = 30.0

RUSH_S = 1.0
"""Where a seal would follow the last one sooner, twice as many rows are gathered for it.

A commit costs as much as writing a hundred thousand rows, and all that is written is to be merged.
"""


class Pace:
    """Knows since when something waits, and how often writing has failed; the caller holds a lock."""

    def __init__(self, settings: Store) -> None:
        self._settings = settings
        self._moved = time.monotonic()
        self._failures, self._pause_until = 0, 0.0
        self._wrote = -RUSH_S

    def began(self) -> None:
        """Note that the first of what is not sealed came."""
        self._moved = time.monotonic()

    def wrote(self) -> None:
        """Note that writing works."""
        self._failures = 0
        self._wrote = time.monotonic()

    def failed(self) -> None:
        """Note that writing failed: there is a pause, longer each time."""
        self._failures += 1
        self._pause_until = time.monotonic() + min(LONGEST_PAUSE_S, 0.5 * 2.0**self._failures)

    def due(self, memory: Memory, position: int) -> bool:
        """Tell whether it is time to seal what memory has beyond a position."""
        now = time.monotonic()
        if now < self._pause_until:
            return False
        if memory.waiting:
            patience_s = max(CHANGE_S, self._settings.seal_s) if memory.gone else self._settings.seal_s
            rush = 2 if now - self._wrote < RUSH_S else 1
            return memory.waiting >= rush * self._settings.seal_rows or memory.age_s >= patience_s
        return memory.taken > position and now - self._moved >= IDLE_S
