"""The pulse of a worker: a thread that says it lives while its loop is busy with a long piece of work.

A heavy model scores some thousand readings in seconds, in which the loop does nothing else. Without this,
others would take the worker for dead, take over its partitions and do again what it is doing.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Mapping
from typing import Any

from nervure.core.error import StoreError
from nervure.store.lease import Leases

__all__ = ["STUCK_S", "Pulse"]

STUCK_S = 30.0
"""A loop that stands still for longer does not work, it hangs: then others shall take over."""


class Pulse:
    """Beats for a worker whose loop has not done so itself for two ``every_s``; up to ``stuck_s`` long."""

    def __init__(self, leases: Leases, name: str, every_s: float, stuck_s: float = STUCK_S) -> None:
        self._leases, self._name = leases, name
        self._every_s, self._stuck_s = every_s, stuck_s
        self._last = (-math.inf, dict[str, Any]())
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        """Begin to watch the loop."""
        self._thread.start()

    def felt(self, about: Mapping[str, Any]) -> None:
        """Note that the loop has just said that it lives, and what it said of itself."""
        self._last = (time.monotonic(), dict(about))

    def stop(self) -> None:
        """End: after this the worker is not spoken for any more."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            when, about = self._last
            if 2 * self._every_s < time.monotonic() - when < self._stuck_s:
                with contextlib.suppress(StoreError):  # the loop meets and tells that itself
                    self._leases.attend(self._name, about)
