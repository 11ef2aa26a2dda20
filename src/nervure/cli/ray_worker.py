"""Workers as Ray actors: Ray chooses the machine, and starts them again when they die.

An actor runs what ``nervure worker`` runs, in a process of its own that Ray made.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from nervure.core.error import EnvironmentMissing
from nervure.core.settings import Settings

if TYPE_CHECKING:
    from nervure.node.worker import Hands

__all__ = ["place"]

_STOP_S = 20.0
_FOR_EVER = -1  # Ray's word for it


class _Actor:
    """A worker in a process of Ray's; ``run`` and ``stop`` are called from two of its threads."""

    def __init__(self, settings: bytes) -> None:
        self._settings = msgspec.json.decode(settings, type=Settings)
        self._hands: Hands | None = None

    def run(self) -> None:
        """Work until :meth:`stop`."""
        import asyncio

        from nervure.node.worker import Hands

        self._hands = Hands(self._settings)
        asyncio.run(self._hands.run())

    def about(self) -> dict[str, Any]:
        """Return the process id."""
        return {"pid": os.getpid()}

    def stop(self) -> None:
        """Have it hand over what it holds."""
        if self._hands is not None:
            self._hands.stop()


def place(settings: Settings, count: int, told: Callable[[dict[str, Any]], None]) -> None:
    """Have Ray place so many workers, and wait until SIGINT or SIGTERM; then they hand over and end."""
    try:
        import ray
    except ModuleNotFoundError as cause:
        raise EnvironmentMissing("Ray is not installed", hint="pip install 'nervure[ray]'") from cause
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    ray.init(
        address=os.environ.get("RAY_ADDRESS"),
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    folder = str(settings.folder.resolve())
    given = msgspec.json.encode(msgspec.structs.replace(settings, data=folder))
    actor = ray.remote(num_cpus=0, max_restarts=_FOR_EVER, max_task_retries=_FOR_EVER, max_concurrency=2)(
        _Actor
    )
    try:
        actors = [actor.remote(given) for _ in range(count)]
        told({"workers": [ray.get(one.about.remote())["pid"] for one in actors]})
        running = [one.run.remote() for one in actors]
        while not over.wait(1.0):
            ended, running = ray.wait(running, num_returns=len(running), timeout=0)
            ray.get(ended)  # raises what went wrong
        ray.get([one.stop.remote() for one in actors])
        ray.wait(running, num_returns=len(running), timeout=_STOP_S)
    finally:
        ray.shutdown()
