"""A worker of a partition, its catalogue and nats-server: what fails for a while costs it nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from operator import not_
from pathlib import Path

import pytest
import sqlalchemy as sa

from nervure.core.alert import Alert
from nervure.core.instant import SECOND_NS
from nervure.core.observation import Batch, observation_id
from nervure.core.settings import Settings
from nervure.node.deal import Dealer, Hand
from nervure.node.hearing import EVERY_S
from nervure.node.meter import Meter
from nervure.node.pulse import Pulse
from nervure.node.share import Known, Share
from nervure.node.worker import COMMIT_S, Hands
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.lease import Leases, view_of
from nervure.store.provision import Place, provision
from nervure.stream.log import Log
from nervure.stream.partition import Partitions
from nervure.stream.subject import reading_subject
from tests.patience import eventually, until
from tests.support import running

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

STEP_NS = 600 * SECOND_NS
START = 1_700_000_000 * SECOND_NS // STEP_NS * STEP_NS


class River:
    """A gauge of the solution ``flood`` in the only partition, dealt to and scored by one worker."""

    def __init__(self, settings: Settings, log: Log, partitions: Partitions) -> None:
        self.catalogue = Catalogue.open(settings.catalogue_place)
        self.leases = Leases(self.catalogue.database)
        self.hands = Hands(settings, "one")
        self._dealer = Dealer(partitions.put)
        streams = provision(self.catalogue, find("flood"), [Place(name="gauge"), Place(name="other")])
        self.stream, self.other = streams["gauge/level"].id, streams["other/level"].id
        share = Share(0, 1, self.catalogue, log, Meter(), settings, known=Known(self.catalogue))
        share.lay(find("flood"), None)
        state, pieces = share.laid()
        with self.catalogue.together():
            self.leases.lay(1)
            self.catalogue.commit_view(view_of(0), 0, state, (), pieces)
        self._dealer.begin(1, ["flood"], {}, 0)
        self._dealer.learn(self.catalogue.datastreams())
        self._partitions = partitions

    async def send(self, first: int, values: list[float]) -> None:
        """Deal a reading of each step from one on, each as an entry of the log of its own."""
        for number, value in enumerate(values, first):
            await self.deal(number, [self.stream], START + number * STEP_NS, value)

    async def deal(self, entry: int, streams: list[int], at_ns: int, value: float) -> None:
        """Deal an entry of the log: a reading of each of some Datastreams."""
        batch = Batch.of(
            id=[observation_id(entry, one) for one in range(len(streams))], datastream=streams,
            time=[at_ns] * len(streams), value=[value] * len(streams),
        )  # fmt: skip
        self._dealer.take(batch, entry)
        await self._partitions.put(self._dealer.turn(all_of_them=True).messages)

    async def reached(self, position: int) -> None:
        """Wait until the partition is committed up to there."""
        await eventually(self.leases.positions, lambda seen: seen.get(0, 0) >= position)

    def alerts(self) -> list[Alert]:
        return self.catalogue.alerts(solution="flood")

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Have the catalogue refuse to write down positions, as a full disk does."""
        refuse = "CREATE TRIGGER away BEFORE UPDATE ON view BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        with self.catalogue.database.write() as connection:
            connection.execute(sa.text(refuse))
        try:
            yield
        finally:
            with self.catalogue.database.write() as connection:
                connection.execute(sa.text("DROP TRIGGER away"))


@contextlib.asynccontextmanager
async def river(settings: Settings, entries: int = 0) -> AsyncIterator[River]:
    """Have a worker wait for what is dealt; the log of the node holds so many entries from the first on."""
    async with running(settings) as (_, log):
        await log.publish_many([(reading_subject(1), b'{"result":300}', None)] * entries)
        partitions = await Partitions.connect(settings)
        found = River(settings, log, partitions)
        working = asyncio.create_task(found.hands.run())
        try:
            await found.send(1, [100.0])
            await found.reached(1)
            yield found
        finally:
            found.hands.stop()
            await working
            found.catalogue.close()
            partitions.close()


def test_a_catalogue_that_is_away_when_an_alert_comes_does_not_end_the_work(settings: Settings) -> None:
    async def run() -> None:
        async with river(settings) as town:
            with town.away():
                await town.send(2, [6000.0] * 6)
                await eventually(
                    town.leases.standing, lambda seen: seen.workers[0].about["problems"], every_s=0.02
                )
            await town.send(8, [6000.0, 6000.0])
            await town.reached(9)
            assert [one.rule for one in town.alerts()] == ["flood.high-water"]

    asyncio.run(run())


def test_what_a_worker_has_yet_to_read_is_no_silence(settings: Settings) -> None:
    """Two gauges say ``silent > 2h``: one has sent since, which is in the log but was not dealt yet."""

    async def run() -> None:
        async with river(settings, entries=3) as town:
            await town.deal(2, [town.stream, town.other], time.time_ns() - 3 * 3600 * SECOND_NS, 200.0)
            await town.reached(2)
            await asyncio.sleep(COMMIT_S + EVERY_S + 0.2)
            assert town.alerts() == []
            await town.deal(3, [town.stream], time.time_ns(), 300.0)
            alert = (await eventually(town.alerts))[0]
            assert (alert.rule, alert.datastream) == ("flood.silent", town.other)

    asyncio.run(run())


def test_who_works_on_something_long_is_not_taken_for_dead(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear, beats = Share.hear, list[int]()

    def slow(share: Share, messages: Sequence[tuple[int, Hand]]) -> int:
        leases = Leases(share._catalogue.database)
        for _ in range(30):  # a heavy model: the loop stands still for three seconds
            time.sleep(0.1)
            beats.append(leases.standing().workers[0].beat)
        return hear(share, messages)

    async def run() -> None:
        async with river(settings) as town:
            monkeypatch.setattr(Share, "hear", slow)
            await town.send(2, [100.0])
            await town.reached(2)

    asyncio.run(run())
    assert len(set(beats[:30])) >= 4


def test_who_hangs_is_not_spoken_for(tmp_path: Path) -> None:
    catalogue = Catalogue.open(tmp_path / "catalogue.db")
    leases = Leases(catalogue.database)
    pulse = Pulse(leases, "one", every_s=0.02, stuck_s=0.4)
    pulse.start()
    time.sleep(0.1)
    assert not leases.standing().workers  # its loop has not said anything yet
    leases.attend("one", {"rows": 7})

    def beats() -> int:
        pulse.felt({"rows": 7})
        return leases.standing().workers[0].beat

    until(beats, lambda seen: seen > 2)
    time.sleep(0.8)  # twice as long as it takes for stuck
    last = leases.standing().workers[0]
    assert last.about == {"rows": 7}
    time.sleep(0.2)
    assert leases.standing().workers[0].beat == last.beat
    pulse.stop()
    catalogue.close()


def test_a_partition_whose_last_commit_fails_when_it_is_given_away_is_not_left_with_nobody(
    settings: Settings,
) -> None:
    async def run() -> None:
        async with river(settings) as town:
            with town.away():
                await town.send(2, [200.0])
                town.leases.attend("a", {})  # one more worker, first in name: the partition should be its
                await eventually(lambda: town.hands._held, not_)  # given up, but not yet written down
                assert town.leases.standing().leases[0].worker == "one"
            town.leases.free("a")
            await town.reached(2)

    asyncio.run(run())
