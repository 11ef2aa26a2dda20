"""Somebody who watches a node from outside: its memory, and what its status and metrics say."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil

from nervure.bench.process import NodeProcess

__all__ = ["Watcher"]

_EVERY_S, _ASK_S = 0.05, 0.5
_PATIENCE_S = 2.0
_TOLD_S = 20.0


class Watcher:
    """Notes the most memory of the node, each problem that its status named, and each metric's extremes.

    ``dumb`` counts the times that it did not answer.
    """

    def __init__(self, node: NodeProcess) -> None:
        self.most_mb = 0.0
        self.problems: set[str] = set()
        self.highest: dict[str, float] = {}
        self.dumb = 0
        self.last: dict[str, Any] = {}
        self._node = node
        self._over = threading.Event()
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._weigh, self._ask)]

    def start(self) -> None:
        """Begin to watch."""
        for one in self._threads:
            one.start()

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()
        for one in self._threads:
            if one.is_alive():
                one.join()

    def named(self, *words: str) -> bool:
        """Tell whether some problem held one of these words."""
        return any(word in one for one in self.problems for word in words)

    async def tells(self, holds: Callable[[], bool]) -> bool:
        """Look again until something holds of what was noted; return whether it did, in the end."""
        end = time.monotonic() + _TOLD_S
        while not (held := holds()) and time.monotonic() < end:
            await asyncio.sleep(_EVERY_S)
        return held

    def _weigh(self) -> None:
        while not self._over.wait(_EVERY_S):
            with contextlib.suppress(psutil.Error):
                memory = psutil.Process(self._node.pid).memory_info().rss / 1e6
                self.most_mb = max(self.most_mb, memory)

    def _ask(self) -> None:
        node = self._node
        with httpx.Client(base_url=node.url, headers=node.headers, timeout=_PATIENCE_S) as client:
            while not self._over.wait(_ASK_S):
                try:
                    self.last = client.get("/status").json()
                    self.problems.update(self.last.get("problems", ()))
                    self._note(client.get("/metrics").text)
                except (httpx.HTTPError, ValueError):
                    self.dumb += 1

    def _note(self, text: str) -> None:
        for line in text.splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                self.highest[name] = max(float(value), self.highest.get(name, float("-inf")))
