"""A real Mosquitto as the foreign broker, `mosquitto_pub` as the device, a real log behind the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Sequence
from operator import not_
from pathlib import Path

import pytest

from nervure.core.entity import Datastream
from nervure.core.error import EnvironmentMissing, StreamError
from nervure.core.settings import Broker, Limits, Settings
from nervure.sense.gateway import Append
from nervure.sense.intake import Intake
from nervure.sense.mqtt import ExternalBroker
from nervure.stream.log import Log
from tests.broker import Mosquitto, mosquitto
from tests.patience import eventually
from tests.support import free_ports, running

pytestmark = pytest.mark.service

STREAMS = (
    Datastream(id=7, name="hall", unit="Cel", thing=1, solution="water"),
    Datastream(id=8, name="yard", unit="Cel", thing=2, solution="water"),
)
TOPICS = {"v1.1/+/Observations": "{1}", "site/+/temperature": "{1}"}


def make_gateway(broker: Mosquitto, append: Append, **how: str | None) -> ExternalBroker:
    settings = Broker(name="site", host="127.0.0.1", port=broker.port, topics=TOPICS, **how)  # type: ignore[arg-type]
    return ExternalBroker(settings, append, Intake(STREAMS, Limits()).named)


class Sink:
    """A log that keeps payloads in a list; it can be stalled, and made to fail."""

    def __init__(self, *, stalled: bool = False, fails: bool = False) -> None:
        self.payloads: list[bytes] = []
        self.flows = asyncio.Event()
        self._fails = fails
        if not stalled:
            self.flows.set()

    async def append(self, items: Sequence[tuple[str, bytes, str | None]], /) -> list[int]:
        await self.flows.wait()
        if self._fails:
            raise StreamError("the disk is full")
        self.payloads += [payload for _, payload, _ in items]
        return list(range(len(items)))


def cut(gateway: ExternalBroker) -> None:
    """Break the gateway's connection."""
    connection = gateway._client.socket()
    assert isinstance(connection, socket.socket)
    connection.shutdown(socket.SHUT_RDWR)


@contextlib.asynccontextmanager
async def at_work(gateway: ExternalBroker, *, wait: bool = True) -> AsyncIterator[None]:
    task = asyncio.create_task(gateway.run())
    try:
        if wait:
            await eventually(lambda: gateway.standing().connected)
        yield
    finally:
        await gateway.stop()
        await asyncio.wait_for(task, 60)


async def stored(log: Log) -> tuple[dict[int, list[float]], dict[str, int]]:
    """Read the whole log through intake: values by Datastream, rejects by reason."""
    intake = Intake(STREAMS, Limits())
    _, last = await log.first_last()
    values: dict[int, list[float]] = {7: [], 8: []}
    reasons: dict[str, int] = {}
    if last:
        async for entries in log.read(0):
            batch, rejects = intake.take(entries)
            for datastream, value in zip(batch.datastream.tolist(), batch.value.tolist(), strict=True):
                values[datastream].append(value)
            for reject in rejects:
                reasons[reject.reason] = reasons.get(reject.reason, 0) + reject.count
            if entries.sequence[-1] >= last:
                break
    return values, reasons


def readings(count: int, start: int = 0) -> list[str]:
    return [
        json.dumps({"result": start + number, "phenomenonTime": 1_677_628_800 + start + number})
        for number in range(count)
    ]


def test_what_mosquitto_has_reaches_the_log_in_order(settings: Settings, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(settings) as (_, log), mosquitto(tmp_path) as broker:
            gateway = make_gateway(broker, log.publish_many)
            async with at_work(gateway):
                await broker.send("v1.1/Datastreams(7)/Observations", *readings(500))
                await broker.send("site/yard/temperature", "21.5", "22")
                await eventually(lambda: gateway.standing().published, equals=502)
            values, reasons = await stored(log)
            assert values == {7: [float(number) for number in range(500)], 8: [21.5, 22.0]}
            assert reasons == {}
            assert gateway.standing().waiting == 0

    asyncio.run(main())


def test_topics_and_payloads_that_have_no_place_are_quarantined(settings: Settings, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(settings) as (_, log), mosquitto(tmp_path) as broker:
            gateway = make_gateway(broker, log.publish_many)
            async with at_work(gateway):
                await broker.send("site/the lamp.2/temperature", "21.5")
                await broker.send("v1.1/Datastreams(99)/Observations", "21.5")
                await broker.send("site/hall/temperature", '{"result": 1, "pad": "' + "x" * 10_000_000 + '"}')
                await broker.send("site/hall/temperature", "twenty", "21")
                await eventually(lambda: gateway.standing().published, equals=5)
                assert gateway.standing().refused == 3
            values, reasons = await stored(log)
            assert values == {7: [21.0], 8: []}
            assert reasons == {"unknown-stream": 2, "too-large": 1, "malformed": 1}

    asyncio.run(main())


def test_what_came_while_we_were_away_comes_when_we_are_back(settings: Settings, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(settings) as (_, log), mosquitto(tmp_path) as broker:
            async with at_work(make_gateway(broker, log.publish_many)):
                pass
            await broker.send("site/hall/temperature", *readings(50))
            gateway = make_gateway(broker, log.publish_many)
            async with at_work(gateway):
                await eventually(lambda: gateway.standing().published, equals=50)
            values, _ = await stored(log)
            assert values[7] == [float(number) for number in range(50)]

    asyncio.run(main())


def test_nothing_is_acknowledged_before_the_log_has_it(settings: Settings, tmp_path: Path) -> None:
    """A gateway whose log fails is killed; the broker has kept everything for the next one."""

    async def main() -> None:
        async with running(settings) as (_, log), mosquitto(tmp_path) as broker:
            first = make_gateway(broker, Sink(fails=True).append)
            task = asyncio.create_task(first.run())
            await eventually(lambda: first.standing().connected)
            await broker.send("site/hall/temperature", *readings(10))
            await eventually(lambda: first.standing().received)
            await eventually(lambda: first.standing().trouble, lambda seen: "the disk is full" in seen)
            assert first.standing().published == 0
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            second = make_gateway(broker, log.publish_many)
            async with at_work(second):
                await eventually(lambda: second.standing().published, equals=10)
            values, _ = await stored(log)
            assert sorted(values[7]) == [float(number) for number in range(10)]

    asyncio.run(main())


def test_a_broker_that_goes_and_comes_back_loses_and_doubles_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    async def main() -> None:
        async with running(settings) as (_, log), mosquitto(tmp_path) as broker:
            gateway = make_gateway(broker, log.publish_many)
            async with at_work(gateway):
                await broker.send("site/hall/temperature", *readings(100))
                await eventually(lambda: gateway.standing().published, lambda seen: seen >= 100)
                await broker.stop()
                await eventually(lambda: gateway.standing().connected, not_)
                await broker.start()
                await eventually(lambda: gateway.standing().connected)
                await broker.send("site/hall/temperature", *readings(100, 100))
                await eventually(lambda: gateway.standing().published, lambda seen: seen >= 200)
            values, _ = await stored(log)
            assert values[7] == [float(number) for number in range(200)]

    asyncio.run(main())


def test_messages_sent_again_by_the_broker_are_acknowledged_not_doubled(
    settings: Settings, tmp_path: Path
) -> None:
    """The connection breaks while messages are on their way: the broker sends them again, marked."""

    async def main() -> None:
        async with running(settings) as (_, log), mosquitto(tmp_path) as broker:
            held = asyncio.Event()

            async def slow(items: Sequence[tuple[str, bytes, str | None]], /) -> list[int]:
                await held.wait()
                return await log.publish_many(items)

            gateway = make_gateway(broker, slow)
            async with at_work(gateway):
                await broker.send("site/hall/temperature", *readings(10))
                await eventually(lambda: gateway.standing().waiting, equals=10)
                cut(gateway)
                await eventually(lambda: gateway.standing().connected, not_)
                await eventually(lambda: gateway.standing().connected)
                await asyncio.sleep(0.3)
                held.set()
                await broker.send("site/hall/temperature", *readings(1, 10))
                await eventually(lambda: gateway.standing().published, lambda seen: seen >= 11)
            values, _ = await stored(log)
            assert values[7] == [float(number) for number in range(11)]

    asyncio.run(main())


def test_a_retained_reading_comes_once_however_often_we_reconnect(settings: Settings, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(settings) as (_, log), mosquitto(tmp_path) as broker:
            await broker.send("site/hall/temperature", "21.5", retain=True)
            gateway = make_gateway(broker, log.publish_many)
            async with at_work(gateway):
                await eventually(lambda: gateway.standing().published, equals=1)
                cut(gateway)
                await eventually(lambda: gateway.standing().connected, not_)
                await eventually(lambda: gateway.standing().connected)
                await broker.send("site/hall/temperature", "22.5")
                await eventually(lambda: gateway.standing().published, lambda seen: seen >= 2)
            values, _ = await stored(log)
            assert values[7] == [21.5, 22.5]

    asyncio.run(main())


def test_a_stalled_log_bounds_what_is_held(tmp_path: Path) -> None:
    async def main() -> None:
        async with mosquitto(tmp_path, "allow_anonymous true\nmax_inflight_messages 0") as broker:
            sink = Sink(stalled=True)
            gateway = make_gateway(broker, sink.append)
            async with at_work(gateway):
                await broker.send("site/hall/temperature", *readings(3000))
                await eventually(lambda: gateway.standing().waiting, equals=1024)
                await asyncio.sleep(0.3)
                assert gateway.standing().waiting == 1024
                sink.flows.set()
                await eventually(lambda: gateway.standing().published, equals=3000)
            assert sink.payloads == [line.encode() for line in readings(3000)]

    asyncio.run(main())


def test_a_broker_that_wants_a_password(tmp_path: Path) -> None:
    async def main() -> None:
        passwords, secret = tmp_path / "passwords", tmp_path / "secret"
        command = ["mosquitto_passwd", "-b", "-c", str(passwords), "nervure", "s3cret"]
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == 0
        passwords.chmod(0o644)
        secret.write_text("s3cret\n")
        async with mosquitto(tmp_path, f"allow_anonymous false\npassword_file {passwords}") as broker:
            right = make_gateway(broker, Sink().append, username="nervure", password_file=str(secret))
            async with at_work(right):
                assert right.standing().trouble == ""
            wrong = make_gateway(broker, Sink().append)
            async with at_work(wrong, wait=False):
                await eventually(lambda: wrong.standing().trouble, lambda seen: "refuses us" in seen)
                assert not wrong.standing().connected

    asyncio.run(main())


def test_a_broker_that_is_not_there_is_told_and_tried_again(tmp_path: Path) -> None:
    async def main() -> None:
        broker = Mosquitto(tmp_path, free_ports(1)[0])
        gateway = make_gateway(broker, Sink().append)
        async with at_work(gateway, wait=False):
            await eventually(lambda: gateway.standing().trouble, lambda seen: "cannot reach" in seen)
            await broker.start()
            await eventually(lambda: gateway.standing().connected)
            await broker.stop()

    asyncio.run(main())


def test_a_password_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissing, match="cannot read the password of broker site"):
        make_gateway(
            Mosquitto(tmp_path, 1883), Sink().append, username="x", password_file=str(tmp_path / "none")
        )
