"""How many times longer than on a machine of our own everything takes here, while others work on it, too.

    with crowded() as machine:
        begun = time.monotonic()
        ...
    assert time.monotonic() - begun < 2.0 * machine.times

What is to be done within two seconds is so on a machine that does nothing else; what a test asks of the
product must not depend on who else runs on its cores.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Crowded", "crowded"]

_WORK_S: Final = 0.004
_PAUSE_S: Final = 0.05


class Crowded:
    """Works a little now and then: how long that took, by how much work it was, is ``times``."""

    def __init__(self) -> None:
        self._wall_s = self._work_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def times(self) -> float:
        """How many times longer work takes here than it would alone; 1 at least."""
        return max(1.0, self._wall_s / self._work_s) if self._work_s else 1.0

    def _run(self) -> None:
        while not self._over.wait(_PAUSE_S):
            wall, work = time.monotonic(), time.thread_time()
            while time.thread_time() - work < _WORK_S:
                pass
            self._wall_s += time.monotonic() - wall
            self._work_s += time.thread_time() - work


@contextlib.contextmanager
def crowded() -> Iterator[Crowded]:
    """Watch how crowded the machine is as long as the block lasts."""
    found = Crowded()
    found._thread.start()
    try:
        yield found
    finally:
        found._over.set()
        found._thread.join()
