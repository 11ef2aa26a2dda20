"""The HTTP door for real: uvicorn on a free port, the catalogue and the store behind it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest

from nervure.core.error import EnvironmentMissing, SettingError
from nervure.core.instant import HOUR_NS
from nervure.core.observation import Batch, observation_id
from nervure.core.settings import Limits
from nervure.node.readings import Readings
from nervure.sense.intake import Intake
from nervure.serve.answer import ASGI, Receive, Scope, Send, json, send
from nervure.serve.app import application
from nervure.serve.guard import Guard
from nervure.serve.listener import bind, listen
from nervure.serve.sensorthings import SensorThings
from nervure.serve.service import Service
from nervure.serve.shape import moment
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.store.provision import Place, provision
from nervure.store.write.writer import Writer
from nervure.stream.publish import Item

pytestmark = pytest.mark.service

ROWS = 2_500
START = 1_700_000_000 * 10**9 // HOUR_NS * HOUR_NS


@contextlib.asynccontextmanager
async def serving(app: ASGI) -> AsyncIterator[httpx.AsyncClient]:
    listener = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    task = asyncio.create_task(listen(app, listener))
    try:
        async with httpx.AsyncClient(base_url=url, timeout=20) as client:
            yield client
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def nowhere(items: Sequence[Item]) -> list[int]:
    raise AssertionError(f"nothing is written here: {items}")


@pytest.fixture
def city(tmp_path: Path) -> Iterator[ASGI]:
    """Two water districts in a real catalogue, 2,500 hours of one of them in a real store."""
    catalogue = Catalogue.open(tmp_path / "catalogue.db")
    places = [Place(name="A", location=(11.35, 46.5)), Place(name="B")]
    streams = provision(catalogue, find("water"), places)
    store = Observations.open(tmp_path / "observations")
    stream = streams["A/inflow"].id
    for part in np.array_split(np.arange(ROWS), 2):
        store.append(
            Batch.of(
                id=[observation_id(int(row) + 1) for row in part],
                datastream=[stream] * len(part),
                time=START + part * HOUR_NS,
                value=part / 10,
            ),
            upto=int(part[-1]) + 1,
        )
        if part[0] == 0:
            store.seal()  # half of the rows lie in the table, half are still in memory
    guard = Guard()
    service = Service(
        SensorThings(catalogue, store),
        Writer(catalogue),
        store,
        Readings(nowhere, Intake((), Limits()), 1 << 20),
        guard,
        together=catalogue.together,
    )
    yield application(
        service, guard, catalogue, lambda: {"stored": store.count(), "position": {"store": store.position}}
    )
    service.close()
    store.close()
    catalogue.close()


def run(app: ASGI, story: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with serving(app) as client:
            await story(client)

    asyncio.run(whole())


def test_a_client_finds_its_way_from_the_root_to_every_reading(city: ASGI) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        root = (await client.get("/v1.1")).json()
        things = next(one["url"] for one in root["value"] if one["name"] == "Things")
        thing = next(one for one in (await client.get(things)).json()["value"] if one["name"] == "A")
        place = (await client.get(thing["Locations@iot.navigationLink"])).json()["value"][0]
        assert place["location"]["coordinates"] == [11.35, 46.5]
        streams = (await client.get(thing["Datastreams@iot.navigationLink"])).json()["value"]
        stream = next(one for one in streams if one["properties"]["kind"] == "reading")
        assert stream["unitOfMeasurement"]["symbol"] == "L/s"
        url, values = stream["Observations@iot.navigationLink"] + "?$top=1000&$count=true", []
        while url:
            page = (await client.get(url)).json()
            assert page["@iot.count"] == ROWS
            values += [one["result"] for one in page["value"]]
            url = page.get("@iot.nextLink")
        assert values == [row / 10 for row in range(ROWS)]

    run(city, story)


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("$top=3", [0, 1, 2]),
        ("$top=3&$skip=1249", [1249, 1250, 1251]),
        ("$top=2&$orderby=phenomenonTime desc", [ROWS - 1, ROWS - 2]),
        ("$top=2&$orderby=id desc&$skip=1", [ROWS - 2, ROWS - 3]),
        ("$top=2&$orderby=resultTime asc", [0, 1]),
        ("$top=2&$skip=10000", []),
    ],
)
def test_pages_hold_the_rows_that_were_asked_for(city: ASGI, query: str, rows: list[int]) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        found = (await client.get(f"/v1.1/Observations?{query}")).json()["value"]
        assert [one["@iot.id"] for one in found] == [observation_id(row + 1) for row in rows]
        assert [one["phenomenonTime"] for one in found] == [
            moment((START + row * HOUR_NS) // 1000) for row in rows
        ]
        for one in found:
            assert (await client.get(one["@iot.selfLink"])).json() == one

    run(city, story)


def test_many_ask_at_once(city: ASGI) -> None:
    async def story(client: httpx.AsyncClient) -> None:
        paths = ["/v1.1/Observations?$top=5", "/v1.1/Datastreams", "/metrics", "/health", "/alerts"] * 8
        answers = await asyncio.gather(*(client.get(path) for path in paths))
        assert {answer.status_code for answer in answers} == {200}
        assert f"nervure_stored {ROWS}.0" in answers[2].text

    run(city, story)


def test_a_port_that_is_taken_is_an_error_a_person_can_act_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EnvironmentMissing, match=rf"cannot listen on 127.0.0.1:{port}") as caught:
            bind("127.0.0.1", port)
    assert "NERVURE_HTTP_PORT" in (caught.value.hint or "")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org"])
def test_only_this_machine_is_listened_on(host: str) -> None:
    with pytest.raises(SettingError, match="only listen on this machine"):
        bind(host, 0)


def test_an_answer_does_not_wait_for_the_last_one_to_be_acknowledged() -> None:
    """Without TCP_NODELAY head and body, sent one by one, are 40 ms apart on a line that is kept."""

    async def story() -> int:
        def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = writer.get_extra_info("socket")
            found.set_result(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        listener = bind("127.0.0.1", 0)
        async with await asyncio.start_server(look, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.close()
            return await found

    assert asyncio.run(story()) != 0


def test_stopping_lets_a_request_under_way_finish_and_leaves_signals_alone() -> None:
    async def slow(scope: Scope, _receive: Receive, out: Send) -> None:
        started.set()
        await asyncio.sleep(0.3)
        await send(json("finished"), scope, out)

    async def story() -> None:
        listener = bind("127.0.0.1", 0)
        port = listener.getsockname()[1]
        task = asyncio.create_task(listen(slow, listener))
        async with httpx.AsyncClient() as client:
            answer = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/"))
            await started.wait()
            assert signal.getsignal(signal.SIGTERM) == before
            task.cancel()
            assert (await answer).json() == "finished"
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    started = asyncio.Event()
    before = signal.getsignal(signal.SIGTERM)
    asyncio.run(story())
