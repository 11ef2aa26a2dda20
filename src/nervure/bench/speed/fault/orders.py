"""A program that asks for Tasks by MQTT while things break, and notes which were acknowledged.

It asks for each once: whoever got no acknowledgement cannot know, so such a Task is there once or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any

import httpx
import msgspec

from nervure.bench.process import NodeProcess
from nervure.bench.speed.fault.sender import connect
from nervure.bench.speed.load import frame

__all__ = ["Orders"]

_PATIENCE_S = 3.0
_PAUSE_S = 0.1


class Orders:
    """Asks for Tasks, one after the other, each with a number of its own."""

    def __init__(self, node: NodeProcess) -> None:
        self.acknowledged: set[int] = set()
        self.asked = 0
        self._node = node
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Make a TaskingCapability and begin to ask."""
        level = {"name": "level", "label": "level", "type": "Count"}
        actuator = {"name": "a", "description": "", "encodingType": "text/html", "metadata": "about:blank"}
        body = {
            "name": "valve",
            "description": "",
            "taskingParameters": {"type": "DataRecord", "field": [level]},
            "Thing": {"@iot.id": 1},
            "Actuator": actuator,
        }
        async with httpx.AsyncClient(base_url=self._node.url, timeout=30.0) as client:
            made = (await client.post("/v1.1/TaskingCapabilities", json=body)).raise_for_status()
        able = made.headers["location"].rpartition("/")[2]
        self._task = asyncio.create_task(self._run(f"v1.1/{able}/Tasks"))

    async def _run(self, topic: str) -> None:
        while True:
            with contextlib.suppress(OSError, TimeoutError, EOFError):
                await self._connected(topic)
            await asyncio.sleep(_PAUSE_S)

    async def _connected(self, topic: str) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._node.settings.nats.mqtt_port)
        try:
            writer.write(connect("orders"))
            async with asyncio.timeout(_PATIENCE_S):
                await reader.readexactly(4)
            while True:
                self.asked += 1
                number = self.asked
                body = msgspec.json.encode({"taskingParameters": {"level": number}})
                writer.write(frame(topic, body, 1))
                async with asyncio.timeout(_PATIENCE_S):
                    await reader.readexactly(4)
                self.acknowledged.add(number)
                await asyncio.sleep(_PAUSE_S)
        finally:
            writer.close()

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def wrong(self, patience_s: float = 20.0) -> int:
        """Return how many Tasks are missing or there twice, once the node had time to take all in."""
        begun = time.monotonic()
        while True:
            made = await self._made()
            missing = len(self.acknowledged - set(made))
            if not missing or time.monotonic() - begun > patience_s:
                return missing + sum(count - 1 for count in made.values())
            await asyncio.sleep(_PAUSE_S)

    async def _made(self) -> Counter[int]:
        """Return how often each Task is there."""
        made = Counter[int]()
        async with httpx.AsyncClient(timeout=30.0) as client:
            link = f"{self._node.url}/v1.1/Tasks?$select=taskingParameters&$top=1000"
            while link:
                page: dict[str, Any] = (await client.get(link)).raise_for_status().json()
                made.update(int(one["taskingParameters"]["level"]) for one in page["value"])
                link = page.get("@iot.nextLink", "")
        return made
