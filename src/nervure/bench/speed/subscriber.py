"""Bare MQTT subscribers, each as a process of its own: the least that anyone in Python would run.

They decode each message's JSON with the standard library, count, and keep nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

__all__ = ["SUBSCRIBERS", "TOPIC", "aiomqtt", "gmqtt", "main", "paho"]

TOPIC = "v1.1/+/Observations"


class _Count:
    """Counts messages and the processor time from the first one on."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.count = 0
        self._begun = 0.0

    def take(self, payload: bytes | bytearray) -> bool:
        """Take a message in, and tell whether it was the last."""
        if not self.count:
            self._begun = time.process_time()
        json.loads(payload)
        self.count += 1
        return self.count >= self.wanted

    def told(self) -> str:
        return json.dumps({"count": self.count, "cpu_s": time.process_time() - self._begun})


def _ready() -> None:
    print("ready", flush=True)


def paho(port: int, wanted: int) -> str:
    """Count with paho-mqtt."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    count = _Count(wanted)

    def on_message(client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        if count.take(message.payload):
            client.disconnect()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="nervure-bench-paho")
    client.on_connect = lambda connected, *_: connected.subscribe(TOPIC, 1)
    client.on_subscribe = lambda *_: _ready()
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_forever()
    return count.told()


def aiomqtt(port: int, wanted: int) -> str:
    """Count with aiomqtt."""
    import aiomqtt as library

    count = _Count(wanted)

    async def listen() -> None:
        async with library.Client("127.0.0.1", port, identifier="nervure-bench-aiomqtt") as client:
            await client.subscribe(TOPIC, 1)
            _ready()
            async for message in client.messages:
                if count.take(message.payload):
                    return

    asyncio.run(listen())
    return count.told()


def gmqtt(port: int, wanted: int) -> str:
    """Count with gmqtt, which speaks MQTT 3.1.1 when told to."""
    import gmqtt as library

    count = _Count(wanted)

    async def listen() -> None:
        done = asyncio.Event()

        def on_message(_client: Any, _topic: str, payload: bytes, _qos: int, _properties: Any) -> int:
            if count.take(payload):
                done.set()
            return 0

        client = library.Client("nervure-bench-gmqtt")
        client.on_message = on_message
        client.on_subscribe = lambda *_: _ready()
        await client.connect("127.0.0.1", port, version=library.constants.MQTTv311)
        client.subscribe(TOPIC, 1)
        await done.wait()
        await client.disconnect()

    asyncio.run(listen())
    return count.told()


SUBSCRIBERS: dict[str, Callable[[int, int], str]] = {"paho": paho, "aiomqtt": aiomqtt, "gmqtt": gmqtt}


def main(name: str, port: int, wanted: int) -> None:
    """Subscribe to all readings, say ``ready``, and print count and CPU seconds once all have come."""
    print(SUBSCRIBERS[name](port, wanted), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
