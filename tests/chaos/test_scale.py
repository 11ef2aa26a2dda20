"""Crashes of workers while readings flow: others take over, nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from pathlib import Path

import pytest

from nervure.core.scale import Scale
from tests.chaos.city import City, learn, pauses
from tests.patience import eventually

pytestmark = [pytest.mark.timeout(300)]

SECONDS = 8.0


async def _kill_worker(city: City, chance: random.Random) -> None:
    """Kill a worker that holds something."""
    workers = (await city.node.status())["scale"]["workers"].values()
    held = [one["pid"] for one in workers if one["holds"]]
    if held:
        with contextlib.suppress(ProcessLookupError):
            os.kill(chance.choice(held), signal.SIGKILL)


async def _kill_node(city: City, _chance: random.Random) -> None:
    city.node.kill()
    await city.node.start()


def test_crashes_of_workers_lose_and_double_nothing(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.mkdir()
    city = City(tmp_path / "data", *learn(keys), scale=Scale(partitions=4, workers=2))
    chance = random.Random(5)

    async def scenario() -> None:
        try:
            await city.begin(keys)
            await eventually(city.node.status, lambda seen: seen["scale"]["cut"] == ["water"])
            replay = city.replay(SECONDS)
            playing = asyncio.create_task(replay.play(patience_s=120.0))
            crashes = (_kill_worker, _kill_worker, _kill_node, _kill_worker, _kill_worker)
            for crash, pause in zip(crashes, pauses(len(crashes), 0.5, SECONDS / 6, seed=3), strict=True):
                await asyncio.sleep(pause)
                await crash(city, chance)
            await playing
            await city.finish()
        finally:
            await city.node.stop()
        city.check(replay)

    asyncio.run(scenario())
