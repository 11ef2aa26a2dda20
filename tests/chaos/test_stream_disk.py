"""A disk that takes nothing more, and a log that was damaged while nobody looked."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal

import psutil
import pytest

from nervure.core.settings import Settings
from nervure.stream.server import Server
from nervure.stream.subject import CHANGE, datastream_of, reading_subject, reading_topic
from tests.flood import Flood
from tests.patience import eventually
from tests.support import collect, publish_mqtt, running

pytestmark = pytest.mark.chaos

BLOCK = "js/jetstream/$G/streams/$MQTT_msgs/msgs/1.blk"


def test_a_server_that_cannot_write_acknowledges_nothing_more_and_recovers(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (server, log):
            psutil.Process(server.pid).rlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
            port = settings.nats.mqtt_port
            floods = [
                await Flood.start(port, f"device-{number}", reading_topic(number), window=50, pad=2000)
                for number in range(4)
            ]
            await asyncio.wait_for(asyncio.gather(*(flood.ended for flood in floods)), 30)
            await eventually(lambda: server.restarts)
            assert server.trouble is None
            assert await asyncio.to_thread(publish_mqtt, port, [(reading_topic(9), b"0")]) == 1
            _, last = await log.first_last()
            found = await collect(log, 0, last)
            rows = list(zip(found.subject, found.payload, strict=True))
            assert (reading_subject(9), b"0") in rows
            for number, flood in enumerate(floods):
                kept = {int(payload) for subject, payload in rows if datastream_of(subject) == number}
                assert flood.acknowledged > 0
                assert set(range(1, flood.acknowledged + 1)) <= kept

    asyncio.run(run())


@pytest.mark.parametrize("damage", ["cut", "flip", "garbage", "empty"])
def test_after_damage_new_messages_are_numbered_above_what_was_read(
    settings: Settings, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    count = 200

    async def run() -> None:
        async with running(settings) as (server, log):
            await log.publish_many([(reading_subject(1), b"%d" % i, None) for i in range(count)])
            await _die(server)
            path = server.folder / BLOCK
            data = path.read_bytes()
            middle = len(data) // 2
            flipped = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
            damaged = {"cut": data[:-7], "flip": flipped, "garbage": data + b"\x07" * 99, "empty": b""}
            path.write_bytes(damaged[damage])
        caplog.clear()
        server = await Server.start(settings, floor=count)
        await server.stop()
        assert ("the log ends at" in caplog.text) is (damage != "garbage")
        async with running(settings) as (_, log):
            assert await log.publish(reading_subject(1), b"new") == count + 1
            assert (await collect(log, count, 1)).payload == [b"new"]

    caplog.set_level(logging.WARNING)
    asyncio.run(run())


def test_after_damage_what_was_not_read_by_all_is_kept(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings) as (server, log):
            await log.publish_many([(reading_subject(1), b"%d" % i, None) for i in range(200)])
            await _die(server)
            path = server.folder / BLOCK
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2])
        server = await Server.start(settings, floor=200, read=20)
        await server.stop()
        async with running(settings) as (_, log):
            assert await log.publish(reading_subject(1), b"new") == 201
            found = await collect(log, 20, 181)
            assert found.sequence == list(range(21, 202))
            kept = found.payload.index(b"{}")
            assert found.payload[:kept] == [b"%d" % i for i in range(20, 20 + kept)]
            assert 70 < kept < 90
            assert set(found.payload[kept:-1]) == {b"{}"}
            assert set(found.subject[kept:-1]) == {CHANGE}

    asyncio.run(run())


async def _die(server: Server) -> None:
    """Kill nats-server so that it is not started again, as a power cut would."""
    process, server._process = server._process, None
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
