"""A commit that is cancelled loses no forecast; the last one waits not for ever."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

import pytest

from nervure.core.observation import Batch
from nervure.core.settings import Settings
from nervure.node.meter import Meter
from nervure.node.past import Elsewhere
from nervure.node.watch import VIEW, Watch
from nervure.score.pack import Word
from nervure.store.catalogue import Catalogue
from nervure.stream.log import Log, address_of
from nervure.stream.publish import Item

WORD = Word(datastream=7, time_ns=0, issued_ns=0, once="7.0", text="on")
NOTHING = Batch.concat([])


class SlowLog(Log):
    """A log that takes nothing until it may."""

    may: asyncio.Event
    taken: list[Item]

    async def publish_many(self, items: Sequence[Item]) -> list[int]:
        await self.may.wait()
        self.taken += items
        return [0] * len(items)


@pytest.fixture
def watch(settings: Settings) -> Iterator[tuple[Watch, SlowLog, Catalogue]]:
    settings.folder.mkdir(parents=True)
    catalogue = Catalogue.open(settings.catalogue_place)
    log = SlowLog(address_of(settings, "nats://127.0.0.1:1"), 1 << 20)
    log.taken = []
    yield Watch(catalogue, Elsewhere(), log, Meter(), settings), log, catalogue
    catalogue.close()


async def _cancelled(commit: asyncio.Task[None]) -> None:
    await asyncio.sleep(0.05)
    commit.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await commit


def test_a_forecast_on_its_way_when_a_commit_is_cancelled_is_in_the_log_before_the_next(
    watch: tuple[Watch, SlowLog, Catalogue],
) -> None:
    found, log, catalogue = watch

    async def scenario() -> None:
        log.may = asyncio.Event()
        sending = asyncio.create_task(found._publish([WORD]))
        found._sending.add(sending)
        sending.add_done_callback(found._sending.discard)
        found.take(NOTHING, 5)
        await _cancelled(asyncio.create_task(found.commit()))
        last = asyncio.create_task(found.commit())
        await asyncio.sleep(0.05)
        log.may.set()
        await last
        assert len(log.taken) == 1
        assert (catalogue.view(VIEW) or (0,))[0] == 5

    asyncio.run(scenario())


def test_the_last_commit_does_not_wait_for_a_log_that_is_away(
    watch: tuple[Watch, SlowLog, Catalogue],
) -> None:
    found, log, catalogue = watch

    async def scenario() -> None:
        log.may = asyncio.Event()
        sending = asyncio.create_task(found._publish([WORD]))
        found._sending.add(sending)
        found.take(NOTHING, 5)
        async with asyncio.timeout(60):
            await found.last(0.1)
        assert catalogue.view(VIEW) is None, "it is done again at the next start"
        sending.cancel()

    asyncio.run(scenario())
