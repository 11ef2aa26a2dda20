"""The node's side of scale-out, catalogue and nats-server: what is away for a while breaks nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest
import sqlalchemy as sa

from nervure.core.error import AwayError, StoreError
from nervure.core.scale import Scale as Wish
from nervure.core.settings import Project, Settings
from nervure.node.compose import Node
from nervure.node.meter import Meter
from nervure.node.scale import Scale
from nervure.node.watch import Watch
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.lease import Leases
from nervure.store.observations import Observations
from nervure.store.provision import Place, provision
from nervure.stream.log import Log
from nervure.stream.partition import Partitions
from nervure.stream.server import Server
from nervure.stream.subject import PARTITIONS, reading_subject
from tests.patience import eventually
from tests.support import running

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]


@pytest.fixture
def cut(settings: Settings) -> Settings:
    """Settings of a node that cuts ``flood`` into two partitions, on which nobody works."""
    settings.folder.mkdir(parents=True)
    return msgspec.structs.replace(settings, project=Project(solutions=("flood",)), scale=Wish(partitions=2))


@contextlib.contextmanager
def away(catalogue: Catalogue) -> Iterator[None]:
    """Have the catalogue refuse to write down leases and positions, as a full disk does."""
    with catalogue.database.write() as connection:
        for table, change in (("lease", "INSERT"), ("view", "INSERT"), ("view", "UPDATE")):
            refuse = f"CREATE TRIGGER {table}_{change} BEFORE {change} ON {table} "
            connection.execute(sa.text(f"{refuse} BEGIN SELECT RAISE(ABORT, 'disk full'); END"))
    try:
        yield
    finally:
        with catalogue.database.write() as connection:
            for name in ("lease_INSERT", "view_INSERT", "view_UPDATE"):
                connection.execute(sa.text(f"DROP TRIGGER {name}"))


@contextlib.asynccontextmanager
async def parts(settings: Settings, log: Log) -> AsyncIterator[tuple[Catalogue, Watch, Scale]]:
    """Yield what a node has of it before it has cut anything."""
    catalogue = Catalogue.open(settings.catalogue_place)
    provision(catalogue, find("flood"), [Place(name="gauge")])
    observations = Observations.open(settings.folder / "observations")
    watch = Watch(catalogue, observations, log, Meter(), settings)
    watch.add(find("flood"))
    scale = Scale(settings, catalogue, observations, log, watch, Meter())
    await scale.start(catalogue.datastreams())
    try:
        yield catalogue, watch, scale
    finally:
        await scale.close()
        await watch.close()
        observations.close()
        catalogue.close()


def test_a_solution_stays_with_the_node_when_handing_it_over_fails(cut: Settings) -> None:
    async def run() -> None:
        async with running(cut) as (_, log), parts(cut, log) as (catalogue, watch, scale):
            with away(catalogue), pytest.raises(StoreError):
                await scale.switch()
            assert watch.stand("flood").engine
            assert not scale.settled
            assert await scale.switch()
            assert (scale.dealer.count, list(scale.layout.solutions)) == (2, ["flood"])
            with pytest.raises(KeyError):
                watch.stand("flood")

    asyncio.run(run())


def test_cutting_waits_for_a_server_that_is_away(cut: Settings) -> None:
    async def run() -> None:
        server = await Server.start(cut)
        log = await Log.connect(cut)
        async with parts(cut, log) as (_, _, scale):
            await server.stop()
            with pytest.raises(AwayError, match="nats-server"):
                await scale.switch()
            assert not scale.settled
            server = await Server.start(cut)
            assert await scale.switch()
            assert scale.dealer.count == 2
        await log.close()
        await server.stop()

    asyncio.run(run())


def test_a_node_lives_on_when_a_worker_misses_something_while_the_catalogue_is_away(cut: Settings) -> None:
    async def run() -> None:
        node = Node(cut)
        await node.start()
        stream = provision(node.catalogue, find("flood"), [Place(name="gauge")])["gauge/level"]
        running_ = asyncio.create_task(node.run())
        try:
            await eventually(lambda: node.scale.layout.count)
            leases = Leases(node.catalogue.database)
            with away(node.catalogue):
                leases.attend("w", {"lacks": True})
                await asyncio.sleep(0.6)
                await node.log.publish(reading_subject(stream.id), b'{"result":1}')
                await asyncio.sleep(1.0)
                assert not running_.done(), "it is tried again"
            leases.free("w")
            last = (await node.log.first_last())[1]
            await eventually(lambda: node.observations.taken, lambda seen: seen >= last)
        finally:
            node.stop()
            await running_

    asyncio.run(run())


def test_a_partition_is_read_on_when_its_stream_was_made_anew(settings: Settings) -> None:
    async def run() -> None:
        async with running(settings), contextlib.AsyncExitStack() as opened:
            partitions = await Partitions.connect(settings)
            opened.callback(partitions.close)
            feed = await opened.enter_async_context(contextlib.aclosing(partitions.read(3)))
            await partitions.put([(3, b"%d" % one) for one in range(5)])
            async with asyncio.timeout(60):
                # What was put together may come in parts, as the server sends it.
                while (await anext(feed)).sequence[-1] < 5:
                    pass
                await partitions._ask(f"STREAM.DELETE.{PARTITIONS}", {})
                again = await Partitions.connect(settings)
                opened.callback(again.close)
                await again.put([(3, b"new")])
                assert (await anext(feed)).payload == [b"new"]

    asyncio.run(run())
