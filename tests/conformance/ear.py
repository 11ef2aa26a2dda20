"""An MQTT client that subscribes, does something, and returns what it heard."""

from __future__ import annotations

import contextlib
import json
import queue
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests import patience
from tests.conformance.client import Client

__all__ = ["Ear", "listening", "publish", "until"]

WAIT_S = patience.PATIENCE_S
QUIET_S = 0.4


class Ear:
    """What was heard, by topic."""

    def __init__(self) -> None:
        self._heard: queue.Queue[tuple[str, Any]] = queue.Queue()

    def put(self, topic: str, payload: bytes) -> None:
        """Take a message in."""
        self._heard.put((topic, json.loads(payload)))

    def next(self) -> tuple[str, Any]:
        """Wait for the next message."""
        try:
            return self._heard.get(timeout=WAIT_S)
        except queue.Empty:
            raise AssertionError("no message came") from None

    def entity(self) -> Any:
        """Wait for the next message and return what it says."""
        return self.next()[1]

    def about(self, key: Any) -> tuple[str, Any]:
        """Wait for the next message about an entity: who has just come hears of what was made before."""
        while (heard := self.next())[1]["@iot.id"] != key:
            pass
        return heard

    def some(self, count: int) -> list[tuple[str, Any]]:
        """Wait for so many messages, and see that no more come."""
        found = [self.next() for _ in range(count)]
        self.silent()
        return found

    def silent(self) -> None:
        """See that nothing comes."""
        try:
            raise AssertionError(f"unexpected: {self._heard.get(timeout=QUIET_S)}")
        except queue.Empty:
            return


@contextlib.contextmanager
def listening(client: Client, *topics: str) -> Iterator[Ear]:
    """Subscribe to topics for as long as the block lasts."""
    ear = Ear()
    ready: queue.Queue[Any] = queue.Queue()
    one = mqtt.Client(CallbackAPIVersion.VERSION2)
    one.on_message = lambda _client, _data, message: ear.put(message.topic, bytes(message.payload))
    one.on_subscribe = lambda _client, _data, _mid, codes, _properties: ready.put(codes)
    one.connect("127.0.0.1", client.mqtt_port)
    one.loop_start()
    try:
        for topic in topics:
            one.subscribe(topic, qos=1)
            codes = ready.get(timeout=WAIT_S)
            assert all(not code.is_failure for code in codes), topic
        yield ear
    finally:
        one.disconnect()
        one.loop_stop()


def publish(client: Client, topic: str, body: Any) -> None:
    """Publish JSON, or bytes as they are, and wait until the broker has them."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    one = mqtt.Client(CallbackAPIVersion.VERSION2)
    one.connect("127.0.0.1", client.mqtt_port)
    one.loop_start()
    try:
        one.publish(topic, payload, qos=1).wait_for_publish(WAIT_S)
    finally:
        one.disconnect()
        one.loop_stop()


def until(client: Client, path: str, count: int, **options: Any) -> list[Any]:
    """Ask for a set until it has so many entities."""
    found: list[Any] = patience.until(lambda: client.values(path, **options), lambda seen: len(seen) >= count)
    assert len(found) == count, found
    return found
