"""Running a node as a process, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Iterable
from typing import Any

from nervure.core.settings import Settings
from nervure.node.compose import Node
from nervure.node.trouble import calm

__all__ = ["run"]


def run(settings: Settings, examine: Callable[[], Iterable[Any]] | None = None) -> None:
    """Run a node until SIGINT or SIGTERM; ``examine`` tells what is missing on the machine."""
    import uvloop

    async def main() -> None:
        node = Node(settings, examine)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, node.stop)
        await node.start()
        calm()
        await node.run()

    try:
        uvloop.run(main())
    finally:
        gc.unfreeze()  # what is frozen is never let go: DuckDB's binding told a page of leaks at the end
