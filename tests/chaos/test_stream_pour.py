"""What was poured is in the log, in its order, whenever nats-server is killed."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from nervure.core.error import StreamError
from nervure.stream import pour
from nervure.stream.log import address_of
from nervure.stream.subject import reading_subject
from tests.patience import eventually
from tests.support import collect, kill, make_settings, running

pytestmark = pytest.mark.chaos

KILLS = 3


@pytest.mark.parametrize("sync_s", [0.0, 120.0])
def test_nothing_that_the_log_said_to_have_is_missing_after_kills(tmp_path: Path, sync_s: float) -> None:
    """Only what was not said to be there is sent again: it would be missing if the server had it not."""
    settings, luck = make_settings(tmp_path, sync_s=sync_s), random.Random(sync_s)
    batches: list[pour._Batch] = []

    def said() -> int:
        return sum(batch.stored for batch in batches)

    async def pouring(count: int) -> None:
        while said() < count:
            left = range(said(), count)
            batches.append(pour._Batch([(reading_subject(1), b"%d" % number) for number in left]))
            try:
                await batches[-1].run(address_of(settings))
            except OSError:
                await asyncio.sleep(0.05)

    async def run() -> None:
        async with running(settings) as (server, log):
            count = 6_000 if sync_s == 0.0 else 60_000
            task = asyncio.create_task(pouring(count))
            for number in range(KILLS):
                mark = count * (number + luck.random()) / (KILLS + 1)
                await eventually(said, mark.__le__, seconds=120, every_s=0.002)
                assert not task.done()
                await kill(server)
            await task
            last = (await log.first_last())[1]
            found = await collect(log, 0, last)
            numbers = [int(one) for one in found.payload]
            assert set(numbers) == set(range(count))
            assert len(numbers) - count <= KILLS * 3 * pour._FLOW, "only what was under way is there twice"

    asyncio.run(run())


def test_one_message_and_many_are_there_once_and_in_order(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(make_settings(tmp_path)) as (_, log):
            await log.pour([])
            await log.pour([(reading_subject(1), b"first")])
            await log.pour([(reading_subject(2), b"%d" % number) for number in range(7_777)])
            assert await log.first_last() == (1, 7_778)
            found = await collect(log, 0, 7_778)
            assert found.payload == [b"first", *(b"%d" % number for number in range(7_777))]
            assert found.subject[:2] == [reading_subject(1), reading_subject(2)]
            with pytest.raises(StreamError, match="does not keep"):
                await log.pour([("elsewhere", b"1")])
            with pytest.raises(StreamError, match="too large"):
                await log.pour([(reading_subject(1), b" " * (32 << 20))])

    asyncio.run(run())
