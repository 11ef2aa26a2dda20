"""What tests of several rooms share: settings with free ports, a running server and log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from nervure.bench.process import free_ports
from nervure.core.settings import Access, Http, Nats, Settings
from nervure.stream.log import Entries, Log
from nervure.stream.server import Server
from tests.patience import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

__all__ = ["collect", "free_ports", "kill", "make_settings", "publish_mqtt", "running"]


def make_settings(folder: Path, **nats: object) -> Settings:
    """Return settings of an open node whose data lie in ``folder``, on free loopback ports."""
    port, mqtt_port, http_port = free_ports(3)
    ours = {"port": port, "mqtt_port": mqtt_port, "max_store_gb": 1.0} | nats
    return Settings(
        data=str(folder / "data"),
        nats=msgspec.convert(ours, Nats),
        http=Http(port=http_port),
        access=Access(open=True),
    )


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[Server, Log]]:
    """Run a real nats-server, and a log connected to it, as long as the block lasts."""
    server = await Server.start(settings)
    try:
        log = await Log.connect(settings)
        try:
            yield server, log
        finally:
            await log.close()
    finally:
        await server.stop()


async def kill(server: Server) -> None:
    """Kill nats-server and wait until it runs and lets devices in again."""
    before = server.restarts
    os.kill(server.pid, signal.SIGKILL)
    await eventually(lambda: server.restarts, lambda seen: seen > before)


async def collect(log: Log, after: int, count: int, timeout_s: float = PATIENCE_S) -> Entries:
    """Read ``count`` messages of the log, or fail."""
    found = Entries(sequence=[], subject=[], payload=[], received_ns=[])
    async with asyncio.timeout(timeout_s), contextlib.aclosing(log.read(after)) as reading:
        async for entries in reading:
            found.sequence += entries.sequence
            found.subject += entries.subject
            found.payload += entries.payload
            found.received_ns += entries.received_ns
            if len(found) >= count:
                return found
    raise AssertionError("the log's reader ended by itself")


def publish_mqtt(port: int, items: Sequence[tuple[str, bytes]], *, qos: int = 1, name: str = "") -> int:
    """Publish with paho, as a device would, and return how many messages were acknowledged."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name)
    client.max_inflight_messages_set(100)
    acknowledged = 0

    def on_publish(*_: object) -> None:
        nonlocal acknowledged
        acknowledged += 1

    client.on_publish = on_publish
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        for sent in [client.publish(topic, payload, qos=qos) for topic, payload in items]:
            sent.wait_for_publish(20)
    except RuntimeError as cause:  # paho's word for a broker that went away between the two lines above
        raise ConnectionError(str(cause)) from cause
    finally:
        client.disconnect()
        client.loop_stop()
        client.reinitialise()  # closes what a thread that was dialling anew left open
    return acknowledged
