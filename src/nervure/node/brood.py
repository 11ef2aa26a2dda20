"""Brood: the workers that a node starts itself, as processes that are started again and never outlive it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import sys
import time

import msgspec

from nervure.core.error import StoreError
from nervure.core.settings import Settings
from nervure.store.lease import Leases
from nervure.stream import child
from nervure.stream.conf import write_private

__all__ = ["Brood"]

_log = logging.getLogger("nervure.node")

_LOOK_S = 0.1
_FIRST_S, _LONGEST_S = 0.2, 10.0
_HEALTHY_S = 5.0
_STOP_S = 20.0


class Brood:
    """Keeps ``count`` workers running; what one held that has died is free at once."""

    def __init__(self, settings: Settings, leases: Leases) -> None:
        self.count = 0
        self.restarts = 0
        self._settings, self._leases = settings, leases
        self._running: dict[str, tuple[asyncio.subprocess.Process, float]] = {}
        self._pause_s, self._next_s = _FIRST_S, 0.0

    async def run(self) -> None:
        """Start and replace, for ever."""
        while True:
            for name, (process, begun) in list(self._running.items()):
                if process.returncode is not None:
                    await self._buried(name, process.returncode, time.monotonic() - begun)
            while len(self._running) < self.count and time.monotonic() >= self._next_s:
                await self._start()
            for name in list(self._running)[self.count :]:
                with contextlib.suppress(ProcessLookupError):
                    self._running[name][0].terminate()
            await asyncio.sleep(_LOOK_S)

    async def _start(self) -> None:
        folder = self._settings.folder.resolve()
        file = folder / "worker.json"
        write_private(file, msgspec.json.encode(self._settings).decode())
        name = f"worker-{secrets.token_hex(4)}"
        words = (sys.executable, "-m", "nervure.node.worker", str(file), name)
        process = await asyncio.create_subprocess_exec(
            sys.executable, child.__file__, str(os.getpid()), *words, stdin=asyncio.subprocess.DEVNULL
        )
        self._running[name] = (process, time.monotonic())

    async def _buried(self, name: str, code: int, lived_s: float) -> None:
        """Free what a worker held that has ended, and let some time pass if it lived a short time."""
        del self._running[name]
        with contextlib.suppress(StoreError):  # it is away: others see that the worker is silent
            await asyncio.to_thread(self._leases.free, name)
        if len(self._running) >= self.count:
            return
        _log.warning("%s ended with %d after %.0f s; another one is started", name, code, lived_s)
        self.restarts += 1
        self._pause_s = _FIRST_S if lived_s > _HEALTHY_S else min(_LONGEST_S, 2 * self._pause_s)
        self._next_s = time.monotonic() + self._pause_s

    async def close(self) -> None:
        """Stop all, and wait until they have committed."""
        self.count = 0
        running = [process for process, _ in self._running.values()]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in running:
            try:
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        self._running.clear()
