"""Reading along in nats-server's log file, which is where it tells what it refused and what broke.

MQTT 3.1.1 has no way to refuse a message: a device that publishes where it may not gets its
acknowledgement all the same, and the message is dropped. So these lines are the only trace.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Journal"]

_MOST_BYTES = 1 << 22
_REFUSALS = ("Publish Violation", "Subscription Violation", "authentication error - User")
_BROKEN = ("critical write error", "will be DISABLED")

_log = logging.getLogger("nervure.stream")


class Journal:
    """Follows one log file: ``refused`` counts refusals, ``broken`` says why nothing more is taken.

    ``heard`` is given the lines that tell of refusals, if somebody wants them.
    """

    def __init__(self, path: Path) -> None:
        self.refused = 0
        self.broken: str | None = None
        self.heard: Callable[[list[str]], None] | None = None
        self._path = path
        self._inode = 0
        self._place = 0
        self.skip()

    def skip(self) -> None:
        """Pass over what is written already: a new server has begun."""
        self.broken = None
        try:
            stat = self._path.stat()
        except OSError:
            self._inode = self._place = 0
        else:
            self._inode, self._place = stat.st_ino, stat.st_size

    def look(self) -> None:
        """Read what was written since the last look."""
        refused = [line for line in self._lines() if self._is_refusal(line)]
        if refused:
            self.refused += len(refused)
            last = refused[-1].split("] ", 2)[-1]
            if self.heard is not None:
                self.heard(refused)
            _log.warning("%d messages, subscriptions or log-ins were refused, last: %s", len(refused), last)

    def _is_refusal(self, line: str) -> bool:
        if any(words in line for words in _BROKEN):
            self.broken = line.split("] ", 2)[-1]
        return any(words in line for words in _REFUSALS)

    def _lines(self) -> list[str]:
        try:
            with self._path.open("rb") as file:
                stat = os.fstat(file.fileno())
                if stat.st_ino != self._inode or stat.st_size < self._place:
                    self._inode, self._place = stat.st_ino, 0
                self._place = max(self._place, stat.st_size - _MOST_BYTES)
                file.seek(self._place)
                text = file.read(_MOST_BYTES)
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._place += len(whole)
        return whole.decode("utf-8", "replace").splitlines()
