"""A gate between a thread that brings messages and a loop that takes them: bounded in count and bytes."""

from __future__ import annotations

import threading

__all__ = ["Gate"]


class Gate:
    """Lets messages in while few enough are under way; whoever enters waits.

    >>> gate = Gate(count=2, size=100)
    >>> gate.enter(10), gate.waiting
    (True, 1)
    """

    def __init__(self, *, count: int, size: int) -> None:
        self._most, self._most_bytes = count, size
        self._count = self._bytes = 0
        self._open = True
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """How many have entered and not left."""
        return self._count

    def enter(self, size: int) -> bool:
        """Wait for room and take it; ``False`` if the gate was closed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open or self._room())
            if self._open:
                self._count += 1
                self._bytes += size
            return self._open

    def leave(self, size: int) -> None:
        """Give the room back."""
        with self._changed:
            self._count -= 1
            self._bytes -= size
            self._changed.notify_all()

    def drained(self, timeout_s: float) -> bool:
        """Wait until all have left."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._count, timeout_s)

    def close(self) -> None:
        """Let nobody in any more, and nobody wait."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def _room(self) -> bool:
        return self._count < self._most and (self._bytes < self._most_bytes or not self._count)
