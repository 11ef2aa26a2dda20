"""What a page hears at ``/api/live`` of a whole node: readings, alerts, and when it is over."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import httpx
import msgspec
import pytest

from nervure.core.entity import Datastream, Thing
from nervure.core.instant import SECOND_NS
from nervure.core.scale import Scale
from nervure.core.settings import Access, Settings
from nervure.store.catalogue import Catalogue
from nervure.stream.subject import reading_topic
from nervure.trust.office import MACHINE
from tests.crowded import crowded
from tests.house import PASSWORD
from tests.patience import PATIENCE_S, eventually
from tests.service.test_access import running, thing
from tests.service.test_direct import node_of
from tests.support import publish_mqtt

pytestmark = pytest.mark.service


class Ear:
    """Listens to ``/api/live`` and keeps what it hears, as (event, id, data)."""

    def __init__(self, client: httpx.AsyncClient, query: str, last: str = "") -> None:
        self.client, self.query, self.last = client, query, last
        self.heard: list[tuple[str, str, Any]] = []
        self.began = asyncio.Event()
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        headers = {"last-event-id": self.last} if self.last else {}
        async with self.client.stream("GET", f"/api/live?{self.query}", headers=headers) as answer:
            assert answer.status_code == 200
            name = identity = ""
            with contextlib.suppress(httpx.ReadError):  # the node stopped before it could say so
                async for line in answer.aiter_lines():
                    self.began.set()
                    key, _, value = line.partition(": ")
                    name = value if key == "event" else name
                    identity = value if key == "id" else identity
                    if key == "data":
                        self.heard.append((name, identity, msgspec.json.decode(value)))

    def of(self, name: str) -> list[Any]:
        return [data for kind, _, data in self.heard if kind == name]

    async def until(self, name: str, number: int = 1) -> list[Any]:
        await eventually(lambda: self.heard, lambda _: len(self.of(name)) >= number)
        return self.of(name)


def test_what_comes_by_mqtt_is_told_live_and_ends_with_the_session(settings: Settings) -> None:
    closed = msgspec.structs.replace(settings, access=Access(requests_s=1e6, burst=10**6))
    url = f"http://127.0.0.1:{closed.http.port}"

    async def run() -> None:
        async with running(closed) as node:
            office = node.entry.office
            office.add_user(MACHINE, "ann", "engineer", password=PASSWORD)
            token = office.add_token(MACHINE, "t", None, 1.0, owner="ann")[1]
            said = {"authorization": f"Bearer {token}"}
            async with (
                httpx.AsyncClient(base_url=url, headers=said, trust_env=False, timeout=20) as api,
                httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as page,
            ):
                for name in ("a", "b"):
                    assert (await api.post("/v1.1/Things", json=thing(name))).status_code == 201
                assert (await page.get("/api/live?alerts=true")).status_code == 401
                assert (await api.get("/api/live?streams=7")).status_code == 404
                signed = await page.post("/api/login", json={"name": "ann", "password": PASSWORD})
                assert signed.json()["expires"] > time.time() * 1000
                ear = Ear(page, "streams=1&alerts=true&strip=true")
                await asyncio.wait_for(ear.began.wait(), PATIENCE_S)
                for stream in (1, 2):
                    made = await api.post(
                        f"/v1.1/Datastreams({stream})/Observations", json={"result": stream}
                    )
                    assert made.status_code == 201, made.text
                (rows,) = await ear.until("rows")
                assert (rows["stream"], rows["value"], rows["kept"]) == ([1], [1.0], True)
                assert (await ear.until("strip"))[0]["problems"] == []
                await _resumed(api, ear)
                await page.post("/api/logout", headers={"x-csrf-token": signed.json()["csrf"]})
                await _ended(ear, "session")
                leaving = Ear(api, "strip=true")
                await asyncio.wait_for(leaving.began.wait(), PATIENCE_S)
                await eventually(lambda: node.live.listeners, equals=1)  # the server hears who left
                node.stop()
                await _ended(leaving, "stop")

    asyncio.run(run())


async def _ended(ear: Ear, why: str) -> None:
    """Be told that it is over, and be let go."""
    assert await ear.until("end") == [{"why": why}]
    await asyncio.wait_for(ear.task, PATIENCE_S)


async def _resumed(api: httpx.AsyncClient, ear: Ear) -> None:
    """Miss a reading, and be told of it; of one that is too long ago, be told that it is."""
    last = next(identity for name, identity, _ in ear.heard if name == "rows")
    await api.post("/v1.1/Datastreams(1)/Observations", json={"result": 5})
    again = Ear(api, "streams=1", last)
    assert (await again.until("rows"))[0]["value"] == [5.0]
    old = Ear(api, "streams=1", f"1000-{last.partition('-')[2]}")
    assert await old.until("gap") == [{"from": 1000}]
    for one in (again, old):
        one.task.cancel()
        await asyncio.gather(one.task, return_exceptions=True)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_alert_by_mqtt_is_seen_within_two_seconds_and_its_acknowledgement_too(
    settings: Settings, workers: int
) -> None:
    url = f"http://127.0.0.1:{settings.http.port}"
    watching = msgspec.structs.replace(
        settings,
        project=msgspec.structs.replace(settings.project, solutions=("flood",)),
        scale=Scale(partitions=2 if workers else 0, workers=workers),
    )

    async def run() -> None:
        gauge, stream = _gauge(watching)
        async with (
            node_of(watching),
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as page,
        ):
            ear = Ear(page, "alerts=true")
            await asyncio.wait_for(ear.began.wait(), PATIENCE_S)
            await _dealt(page, workers)
            flood = [
                (
                    reading_topic(stream),
                    msgspec.json.encode({"phenomenonTime": _iso(ago), "result": 6000.0}),
                )
                for ago in (40, 30, 20, 5)
            ]
            await asyncio.to_thread(publish_mqtt, settings.nats.mqtt_port, flood[:-1])
            alert = await _soon(ear, settings.nats.mqtt_port, flood[-1])
            assert (alert["thing"], alert["acknowledged"]) == (gauge, False)
            await page.post(f"/api/alerts/{alert['id']}/acknowledge", json={})
            told = (await ear.until("alert", 2))[1]
            assert (told[0]["id"], told[0]["acknowledged"]) == (alert["id"], True)
            ear.task.cancel()
            await asyncio.gather(ear.task, return_exceptions=True)

    asyncio.run(run())


async def _soon(ear: Ear, port: int, message: tuple[str, bytes]) -> dict[str, Any]:
    """Publish what raises an alert, and return it once it is told: within two seconds on a quiet machine."""
    with crowded() as machine:
        begun = time.monotonic()
        await asyncio.to_thread(publish_mqtt, port, [message])
        (alerts,) = await ear.until("alert")
        took_s = time.monotonic() - begun
    assert took_s < 4.0 * machine.times
    found: dict[str, Any] = alerts[0]
    return found


async def _dealt(page: httpx.AsyncClient, workers: int) -> None:
    """Wait until every partition is held by somebody."""
    if workers:
        known = await eventually(
            lambda: _scale(page), lambda seen: sum(len(one["holds"]) for one in seen["workers"].values()) == 2
        )
        assert known["cut"] == ["flood"]


async def _scale(page: httpx.AsyncClient) -> dict[str, Any]:
    known: dict[str, Any] = (await page.get("/status")).json()["scale"]
    return {"workers": {}} | known


def _gauge(settings: Settings) -> tuple[int, int]:
    """Make a river gauge before the node starts, and return its Thing and Datastream."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    catalogue = Catalogue.open(settings.catalogue_place)
    thing = catalogue.ensure_thing(Thing(name="gauge")).id
    level = Datastream(
        name="level", unit="mm", thing=thing, solution="flood", signal="level", every_ns=600 * SECOND_NS
    )
    stream = catalogue.ensure_datastream(level).id
    catalogue.close()
    return thing, stream


def _iso(minutes_ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60 * minutes_ago))
