"""A twin whose platform is away can be ended: neither Ctrl+C nor SIGTERM waits for what nobody takes."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from nervure.cli.field import post
from nervure.twin.enrol import unknown
from nervure.twin.flood import Flood
from nervure.twin.keep import keeps
from nervure.twin.run import Broker, Field, Pace
from tests.broker import mosquitto
from tests.patience import eventually

pytestmark = pytest.mark.service


def test_a_twin_that_nobody_hears_ends_when_it_is_told_to(tmp_path: Path) -> None:
    asyncio.run(_stopped(tmp_path))


async def _stopped(folder: Path) -> None:
    twin = Flood()
    twin.reset(seed=1)
    about = twin.describe()
    async with mosquitto(folder) as broker:
        door = Broker("127.0.0.1", broker.port)
        pace = Pace(start_ns=time.time_ns() - 10**18, speed=1e9)
        field = await asyncio.to_thread(
            lambda: Field(twin, unknown(about, keeps(about, speed=1e9)), door, pace, post)
        )
        await broker.stop()
        running = threading.Thread(target=field.run, daemon=True)
        running.start()

        async def stands() -> bool:
            """Tell whether it waits for somebody to take what it has said."""
            before = field.counts.steps
            await asyncio.sleep(0.3)
            return before == field.counts.steps > 0

        await eventually(stands)
        field.stop()
        await asyncio.to_thread(running.join, 10.0)
        assert not running.is_alive()
        await asyncio.to_thread(field.close)
