"""Troubles: what keeps a node from its work for the moment, by name, until it is over.

The log is the truth, so nothing that is away for a while may end a node: what cannot be written down
now is tried again, and said in the status meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nervure.core.error import StoreError, StreamError

__all__ = ["Clock", "Troubles", "calm", "patiently"]

_log = logging.getLogger("nervure.node")

_PAUSE_S = 0.5
_TOLD_S = 600.0
_JUMP_S = 1.0

Found = TypeVar("Found")


class Troubles:
    """Troubles by name; whoever is in trouble says so, and says when it is over.

    >>> troubles = Troubles()
    >>> troubles.note("store", "the disk is full")
    >>> troubles.words()
    ['store: the disk is full']
    >>> troubles.over("store"), troubles.words()
    (None, [])
    """

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def note(self, name: str, text: str) -> None:
        """Note a trouble; the log has it once, however long it lasts."""
        if name not in self._found:
            _log.error("%s: %s", name, text)
        self._found[name] = text

    def over(self, name: str) -> None:
        """Note that a trouble is over."""
        if self._found.pop(name, None) is not None:
            _log.warning("%s: it works again", name)

    def words(self) -> list[str]:
        """Return every trouble in words."""
        return [f"{name}: {text}" for name, text in self._found.items()]

    async def bear(self, name: str, work: Callable[[], Awaitable[object]]) -> bool:
        """Do something that the log or the catalogue may be away for; tell whether it was done."""
        try:
            await work()
        except (StoreError, StreamError) as cause:
            self.note(name, str(cause))
            return False
        self.over(name)
        return True


class Clock:
    """Watches the clock on the wall, which somebody may set; the other one nobody can.

    ``jumps`` counts how often it was set by more than a second, ``jumped_s`` by how much in all.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self.jumps = 0
        self.jumped_s = 0.0
        self._wall, self._steady = wall, steady
        self._apart = wall() - steady()
        self._when = -_TOLD_S
        self._last = 0.0

    def look(self) -> str | None:
        """Compare the clocks; return what to say of a jump that is not long ago."""
        now = self._steady()
        jump = self._wall() - now - self._apart
        if abs(jump) > _JUMP_S:
            self.jumps += 1
            self.jumped_s += jump
            self._apart += jump
            self._when, self._last = now, jump
        if self.jumps and now - self._when < _TOLD_S:
            return f"it was set by {self._last:+,.0f} s {now - self._when:,.0f} s ago"
        return None


async def patiently(work: Callable[..., Found], *given: object) -> Found:
    """Do something in the catalogue, from a thread; wait while it is away."""
    while True:
        try:
            return await asyncio.to_thread(work, *given)
        except StoreError as cause:
            _log.warning("the log waits for the catalogue: %s", cause.what)
            await asyncio.sleep(_PAUSE_S)


_CYCLES = (10_000, 20, 20)  # Python's own are (700, 10, 10), which a stream reaches several times a second
_SWITCH_S = 0.001  # Python's own is 5 ms: so long the loop waits for a thread that works in the catalogue


def calm() -> None:
    """Keep the collector of cycles away from what lives as long as the node: a look at it takes 50 ms.

    And let threads take turns more often: a command goes to and fro between the loop and threads.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_CYCLES)
    sys.setswitchinterval(_SWITCH_S)
