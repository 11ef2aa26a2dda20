"""Waiting for what others do: asked again and again; where it does not come, it says what was seen last.

    until(lambda: status(api, task), equals="rejected")
    found = until(lambda: api.get("/alerts").json(), len, seconds=60)
    await eventually(node.status, lambda known: known["stored"] >= 300)

A node answers before it has read its log, a guard speaks once a second, a broker lets in when it can: what is
asked once, right after something began, is asked too early on a busy machine. Waiting costs nothing where it
holds.
"""

from __future__ import annotations

import asyncio
import inspect
import linecache
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

if TYPE_CHECKING:
    import subprocess
    from types import FrameType

__all__ = ["PATIENCE_S", "eventually", "until"]

PATIENCE_S: Final = 120.0
_EVERY_S: Final = 0.05
_LEAST_S: Final = 0.002
_ANY: Final = object()
T = TypeVar("T")


class _Waiting:
    """What is waited for, until when, and what was seen last."""

    def __init__(
        self, holds: Callable[[Any], object], equals: object, seconds: float,
        every_s: float, running: subprocess.Popen[Any] | None, frame: FrameType | None,
    ) -> None:  # fmt: skip
        self._holds, self._equals, self._seconds, self._running = holds, equals, seconds, running
        self._where = _call(frame)
        self._end = time.monotonic() + seconds
        self._pause_s, self._every_s = _LEAST_S, every_s
        self._seen, self._looks, self._cause = "nothing yet", 0, cast("Exception | None", None)

    def sees(self, found: object) -> bool:
        """Tell whether it has come; else fail where there is no time left, or nobody who could bring it."""
        self._seen, self._cause = f"{found!r:.600}", None
        held = bool(self._holds(found) if self._equals is _ANY else found == self._equals)
        return held or self._goes_on()

    def pause(self) -> float:
        """Return how long to sleep before the next look: short at first, then ever longer."""
        self._pause_s = min(self._every_s, 1.3 * self._pause_s)
        return self._pause_s

    def misses(self, cause: Exception) -> None:
        """Take note of an answer that did not come."""
        self._seen, self._cause = f"{cause!r:.600}", cause
        self._goes_on()

    def _goes_on(self) -> bool:
        self._looks += 1
        if self._running is not None and self._running.poll() is not None:
            said = self._running.communicate()[1] if self._running.stderr else None
            self._fail(f"process ended with {self._running.returncode} ({said or 'nothing said'!s:.2000})")
        if time.monotonic() >= self._end:
            self._fail(f"not within {self._seconds:g} s, looked {self._looks} times")
        return False

    def _fail(self, why: str) -> None:
        raise AssertionError(f"{why}: {self._where}; last seen: {self._seen}") from self._cause


def until(
    look: Callable[[], T],
    holds: Callable[[T], object] = bool,
    *,
    equals: object = _ANY,
    seconds: float = PATIENCE_S,
    every_s: float = _EVERY_S,
    forgive: tuple[type[Exception], ...] = (),
    running: subprocess.Popen[Any] | None = None,
) -> T:
    """Look until what is seen holds (is true, or equals something), and return it.

    What ``forgive`` names counts as not yet. Raises AssertionError when the time is over or the process
    ``running``, which is to bring it, has ended: it says where, what was waited for and what was seen last.
    """
    waiting = _Waiting(holds, equals, seconds, every_s, running, sys._getframe(1))
    while True:
        try:
            found = look()
        except forgive as cause:
            waiting.misses(cause)
        else:
            if waiting.sees(found):
                return found
        time.sleep(waiting.pause())


@overload
async def eventually(
    look: Callable[[], Awaitable[T]], holds: Callable[[T], object] = bool, *, equals: object = _ANY,
    seconds: float = PATIENCE_S, every_s: float = _EVERY_S, forgive: tuple[type[Exception], ...] = (),
) -> T: ...  # fmt: skip


@overload
async def eventually(
    look: Callable[[], T], holds: Callable[[T], object] = bool, *, equals: object = _ANY,
    seconds: float = PATIENCE_S, every_s: float = _EVERY_S, forgive: tuple[type[Exception], ...] = (),
) -> T: ...  # fmt: skip


async def eventually(
    look: Callable[[], Any],
    holds: Callable[[Any], object] = bool,
    *,
    equals: object = _ANY,
    seconds: float = PATIENCE_S,
    every_s: float = _EVERY_S,
    forgive: tuple[type[Exception], ...] = (),
) -> Any:
    """Do as ``until`` does beside other work of an event loop; ``look`` may have to be awaited."""
    waiting = _Waiting(holds, equals, seconds, every_s, None, sys._getframe(1))
    while True:
        try:
            made = look()
            found = await made if inspect.isawaitable(made) else made
        except forgive as cause:
            waiting.misses(cause)
        else:
            if waiting.sees(found):
                return found
        await asyncio.sleep(waiting.pause())


def _call(frame: FrameType | None) -> str:
    """Return the lines that wait, and where they stand."""
    if frame is None:
        return "somewhere"
    place = inspect.getframeinfo(frame, context=0)
    at = place.positions
    first, last = (at.lineno, at.end_lineno) if at else (place.lineno, place.lineno)
    lines = linecache.getlines(place.filename)[(first or place.lineno) - 1 : last or place.lineno]
    return f"{place.filename}:{place.lineno}: {' '.join(one.strip() for one in lines)}"
