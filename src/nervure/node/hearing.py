"""Hearing: until when everything that came has been worked on, by which silences are told.

A node that was away, that reads what came meanwhile, or that waits for its catalogue or the log has not
heard what devices say; nor has anybody if the clock was set. Silence counts only while somebody listens.
"""

from __future__ import annotations

import asyncio
import time

from nervure.core.error import AwayError, StreamError
from nervure.core.instant import SECOND_NS
from nervure.stream.log import Log

__all__ = ["EVERY_S", "Hearing", "Listening", "end_of"]

EVERY_S = 1.0
"""How often the log is asked where it ends."""

_ANSWER_S = 2.0

LEAST_NS = 60 * SECOND_NS
"""What was not heard for less than this is nothing missed: devices send again after longer."""


async def end_of(log: Log) -> tuple[int, int]:
    """Return where the log ends, and the instant at which it was asked; ``AwayError`` if it does not say."""
    asked_ns = time.time_ns()
    try:
        async with asyncio.timeout(_ANSWER_S):
            return (await log.first_last())[1], asked_ns
    except (TimeoutError, StreamError) as cause:
        raise AwayError(f"it has not answered for {_ANSWER_S:g} s; devices keep what they sent") from cause


class Hearing:
    """Where the log ended when it was asked, and with it until when all has been heard.

    >>> hearing = Hearing()
    >>> hearing.ended(7, 100)
    >>> hearing.until(6), hearing.until(7)
    (None, 100)
    """

    def __init__(self) -> None:
        self._until_ns: int | None = None
        self._next: tuple[int, int] | None = None

    def ended(self, position: int, at_ns: int) -> None:
        """Note that what the log had at an instant ended at a position."""
        if self._next is None:
            self._next = position, at_ns

    def until(self, taken: int) -> int | None:
        """Return the instant up to which all that came is among what was ``taken``; None: not known yet."""
        if self._next is not None and self._next[0] <= taken:
            self._until_ns, self._next = self._next[1], None
        return self._until_ns


class Listening:
    """When nobody listened for the last time, ``missed``, from an instant to another."""

    def __init__(self) -> None:
        self.missed = (0, 0)
        self._until_ns = 0

    def resumed(self, heard_ns: int) -> None:
        """Begin again, after a restart, with what was heard until an instant; 0: nobody has listened yet."""
        if heard_ns:
            self.missed = (heard_ns, max(heard_ns, time.time_ns()))

    def went_on(self, until_ns: int) -> None:
        """Take note that all was heard until an instant; a leap since the last time was missed."""
        if self._until_ns and until_ns - self._until_ns > LEAST_NS:
            self.missed = (self._until_ns, until_ns)
        self._until_ns = until_ns
