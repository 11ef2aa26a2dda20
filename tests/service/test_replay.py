"""Field devices play readings through the MQTT door of a real server."""

from __future__ import annotations

import asyncio
import math
import time

import numpy as np
import pytest

from nervure.core.entity import Datastream
from nervure.core.error import EnvironmentMissing
from nervure.core.instant import HOUR_NS, SECOND_NS
from nervure.core.observation import Batch
from nervure.core.settings import Limits, Settings
from nervure.sense.intake import Intake
from nervure.sense.replay import Replay, Track
from nervure.stream.log import Log
from tests.crowded import crowded
from tests.patience import eventually
from tests.support import free_ports, kill, running

pytestmark = pytest.mark.service

START = 1_677_628_800 * SECOND_NS


def tracks(devices: int, rows: int) -> list[Track]:
    time_ns = START + np.arange(rows) * HOUR_NS
    return [
        Track(
            device=f"district {number % devices}",
            datastream=number + 1,
            time=time_ns,
            value=np.where(np.arange(rows) % 10 == number, np.nan, number + np.arange(rows) / 7),
        )
        for number in range(devices + 1)
    ]


async def everything(log: Log, count: int) -> Batch:
    intake = Intake(
        [
            Datastream(id=number, name=f"s{number}", unit="L/s", thing=1, solution="water")
            for number in range(1, 9)
        ],
        Limits(),
    )
    parts: list[Batch] = []
    _, last = await log.first_last()
    assert last >= count
    async for entries in log.read(0):
        batch, rejects = intake.take(entries)
        assert rejects == []
        parts.append(batch)
        if entries.sequence[-1] >= last:
            return Batch.concat(parts)
    raise AssertionError


def keys(batch: Batch) -> set[tuple[int, int, float]]:
    return set(zip(batch.datastream.tolist(), batch.time.tolist(), batch.value.tolist(), strict=True))


def expected(played: list[Track]) -> set[tuple[int, int, float]]:
    return {
        (one.datastream, when, what)
        for one in played
        for when, what in zip(one.time.tolist(), one.value.tolist(), strict=True)
        if math.isfinite(what)
    }


def test_every_reading_arrives_once_and_in_the_order_of_time(settings: Settings) -> None:
    async def main() -> None:
        async with running(settings) as (_, log):
            played = tracks(3, 200)
            replay = Replay(played, host="127.0.0.1", port=settings.nats.mqtt_port)
            before = time.time_ns()
            done = await replay.play()
            assert done.sent == done.acknowledged == replay.total == len(expected(played))
            assert done.devices == 3
            assert done.reconnects == 0
            batch = await everything(log, done.sent)
            assert len(batch) == done.sent
            assert keys(batch) == expected(played)
            for stream in range(1, 5):
                assert (np.diff(batch.time[batch.datastream == stream]) > 0).all()
            stamps = [replay.sent_ns[key[0], key[1]] for key in keys(batch)]
            assert before <= min(stamps) <= max(stamps) <= time.time_ns()

    asyncio.run(main())


def test_a_replay_keeps_its_pace(settings: Settings) -> None:
    async def main() -> None:
        async with running(settings):
            replay = Replay(
                tracks(2, 11), host="127.0.0.1", port=settings.nats.mqtt_port, speed_up=3600 / 0.1
            )
            with crowded() as machine:
                done = await replay.play()
            assert done.wall_s >= 1.0
            assert done.behind_s < 0.5 * machine.times
            stamps = replay.sent_ns
            assert stamps[1, START + 9 * HOUR_NS] - stamps[1, START + HOUR_NS] >= 0.75 * SECOND_NS

    asyncio.run(main())


def test_a_replay_can_be_stopped(settings: Settings) -> None:
    async def main() -> None:
        async with running(settings):
            replay = Replay(tracks(1, 100), host="127.0.0.1", port=settings.nats.mqtt_port, speed_up=3600)
            task = asyncio.create_task(replay.play())
            await eventually(lambda: replay.sent, every_s=0.01)
            replay.stop()
            done = await asyncio.wait_for(task, 60)
            assert 0 < done.sent == done.acknowledged < replay.total

    asyncio.run(main())


def test_what_a_dying_server_did_not_acknowledge_is_sent_again(settings: Settings) -> None:
    async def main() -> None:
        async with running(settings) as (server, log):
            played = tracks(3, 400)
            replay = Replay(played, host="127.0.0.1", port=settings.nats.mqtt_port, speed_up=3600 / 0.005)
            task = asyncio.create_task(replay.play())
            for share in (4, 2):
                half = replay.total // share
                await eventually(lambda: replay.acknowledged, half.__le__, every_s=0.005)
                await kill(server)
            done = await asyncio.wait_for(task, 60)
            assert done.sent == done.acknowledged == replay.total
            assert done.reconnects > 0
            assert keys(await everything(log, done.sent)) == expected(played)

    asyncio.run(main())


def test_a_server_that_is_not_there_is_told() -> None:
    replay = Replay(tracks(1, 1), host="127.0.0.1", port=free_ports(1)[0])
    with pytest.raises(EnvironmentMissing, match="device district 0 cannot connect"):
        replay.run(patience_s=0.2)
