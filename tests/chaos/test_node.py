"""Crashes of the node and of the log during a replay: nothing acknowledged is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from nervure.learn.course import Course
from nervure.learn.dataset import Dataset
from tests.chaos.city import City, learn, pauses

pytestmark = [pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset, Course]:
    folder = tmp_path_factory.mktemp("keys")
    return (folder, *learn(folder))


async def _crash_node(city: City) -> None:
    city.node.kill()
    await city.node.start()


async def _crash_broker(city: City) -> None:
    pid = city.node.broker_pid()
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("crash", "times", "seconds"), [(_crash_node, 4, 18.0), (_crash_broker, 4, 8.0)], ids=["node", "broker"]
)
def test_crashes_lose_and_double_nothing(
    tmp_path: Path,
    learned: tuple[Path, Dataset, Course],
    crash: Callable[[City], Awaitable[None]],
    times: int,
    seconds: float,
) -> None:
    keys, data, model = learned
    city = City(tmp_path / "data", data, model)

    async def scenario() -> None:
        try:
            await city.begin(keys)
            replay = city.replay(seconds)
            playing = asyncio.create_task(replay.play(patience_s=120.0))
            for pause in pauses(times, 0.2, 2.0, seed=times):
                await asyncio.sleep(pause)
                await crash(city)
            await playing
            await city.finish()
        finally:
            await city.node.stop()
        city.check(replay)

    asyncio.run(scenario())
