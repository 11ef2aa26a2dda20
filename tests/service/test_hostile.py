"""What somebody who may write, or only connect, could send to harm the others: the node goes on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from nervure.core.settings import Access, Settings
from nervure.serve import direct
from nervure.serve.guard import Guard
from nervure.store.database import Database
from nervure.stream.subject import reading_topic
from nervure.trust.register import Register
from tests.house import House, caller
from tests.patience import PATIENCE_S, eventually
from tests.service.test_access import running, thing
from tests.service.test_direct import Line, line, node_of
from tests.service.test_live_events import Ear
from tests.support import free_ports, publish_mqtt

pytestmark = pytest.mark.service

HUGE = 10**400
"""A whole number in JSON that no float holds."""


def place(kind: str, coordinates: list[Any], encoding: str) -> dict[str, Any]:
    location = {"type": kind, "coordinates": coordinates}
    return {"name": "far", "description": "", "encodingType": encoding, "location": location}


def test_coordinates_that_no_map_has_harm_nobody(settings: Settings) -> None:
    opened = msgspec.structs.replace(settings, access=Access(open=True))
    url = f"http://127.0.0.1:{opened.http.port}"

    async def run() -> None:
        async with (
            node_of(opened) as node,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as page,
        ):
            async with line(opened):  # it listens
                assert (await page.post("/v1.1/Things", json=thing("fine"))).status_code == 201
            ear = Ear(page, "strip=true")
            await asyncio.wait_for(ear.began.wait(), PATIENCE_S)
            for encoding, status in (("mine", 201), ("application/geo+json", 400)):
                for kind, where in (("Point", [HUGE, 47]), ("LineString", [[8, 47], [HUGE, 1]])):
                    odd = {"name": "odd", "description": "", "Locations": [place(kind, where, encoding)]}
                    assert (await page.post("/v1.1/Things", json=odd)).status_code == status
            far: dict[str, Any] = {"name": "far", "description": "", "encodingType": "application/geo+json"}
            far |= {"feature": {"type": "Point", "coordinates": [HUGE, 47]}}
            told = json.dumps({"result": 1, "FeatureOfInterest": far}).encode()
            deep = b'{"result":1,"FeatureOfInterest":{"feature":' + b"[" * 900 + b"]" * 900 + b"}}"
            bad = [(reading_topic(1), one) for one in (told, deep)]
            await asyncio.to_thread(publish_mqtt, opened.nats.mqtt_port, bad)
            await eventually(node.catalogue.quarantine_counts, lambda seen: sum(seen.values()) >= 2)
            await ear.until("strip", len(ear.of("strip")) + 2)
            for path in ("overview", "things", "shapes", "streams"):
                assert (await page.get(f"/api/{path}")).status_code == 200
            assert (await page.get("/health")).status_code == 200
            ear.task.cancel()
            await asyncio.gather(ear.task, return_exceptions=True)

    asyncio.run(run())


def test_who_sends_next_to_nothing_does_not_hold_a_connection(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "HEAD_S", 0.5, raising=False)
    monkeypatch.setattr(direct, "LINGER_S", 0.3, raising=False)

    async def drip(one: Line, begin: bytes) -> None:
        """Send a byte now and then until the connection is closed."""
        async with asyncio.timeout(60):
            one.writer.write(begin)
            ended = asyncio.create_task(one.reader.read())
            while not ended.done():
                one.writer.write(b"a")
                await asyncio.sleep(0.05)
            await asyncio.gather(ended, return_exceptions=True)

    closed = msgspec.structs.replace(settings, access=Access(requests_s=1e6, burst=10**6))

    async def run() -> None:
        async with running(closed):
            host = b"Host: 127.0.0.1\r\n"
            refused = b"POST /v1.1/Things HTTP/1.1\r\n" + host + b"Content-Length: 100000\r\n\r\n"
            for begin in (b"", b"GET / HTTP/1.1\r\nX: ", refused):
                async with line(settings) as one:
                    await drip(one, begin)
            async with line(settings) as one, asyncio.timeout(60):
                assert await one.reader.read() == b""  # who says nothing at all
            monkeypatch.setattr(direct, "HEAD_S", 2.0)
            monkeypatch.setattr(direct, "LINGER_S", 2.0)
            async with line(settings) as one:
                for _ in range(4):  # who comes again in time is not let go
                    assert (await one.say(b"GET /health HTTP/1.1\r\n" + host + b"\r\n"))[0] == 200
                    await asyncio.sleep(0.6)

    asyncio.run(run())


def test_half_a_body_is_no_body_and_is_not_waited_for_without_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "BODY_S", 0.5, raising=False)
    opened = msgspec.structs.replace(settings, access=Access(open=True))
    url = f"http://127.0.0.1:{opened.http.port}"
    json_ = b"Host: 127.0.0.1\r\nContent-Type: application/json\r\n"
    whole = json.dumps(thing("half")).encode()
    head = b"POST %b HTTP/1.1\r\n" + json_ + b"Content-Length: %d\r\n\r\n"
    told = json.dumps({"name": "half", "role": "viewer"}).encode()

    async def run() -> None:
        async with node_of(opened), httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as page:
            async with line(opened):  # it listens
                pass
            for place, body in ((b"/v1.1/Things", whole), (b"/api/projects", told)):
                async with line(opened) as one, asyncio.timeout(60):
                    one.writer.write(head % (place, len(body) + 9) + body)  # as JSON it is whole
                    one.writer.write_eof()
                    await one.reader.read()
                async with line(opened) as one, asyncio.timeout(60):
                    one.writer.write(head % (place, 99_999) + body)
                    ended = asyncio.create_task(one.reader.read())
                    while not ended.done():
                        one.writer.write(b" ")
                        await asyncio.sleep(0.05)
                    await asyncio.gather(ended, return_exceptions=True)
            monkeypatch.setattr(direct, "BODY_S", 2.0)
            async with line(opened) as one:  # who takes their time within it is not cut off
                one.writer.write(head % (b"/v1.1/Things", len(whole)) + whole[:9])
                await asyncio.sleep(0.2)
                assert (await one.say(whole[9:]))[0] == 201
                await asyncio.sleep(2.0)
                assert (await one.say(b"GET /health HTTP/1.1\r\n" + json_ + b"\r\n"))[0] == 200
            assert (await page.get("/v1.1/Things?$count=true&$top=0")).json()["@iot.count"] == 1
            assert "half" not in (await page.get("/api/projects")).text

    asyncio.run(run())


def test_a_catalogue_that_is_away_tells_nobody_where_it_would_be(tmp_path: Path) -> None:
    """Who has not signed in is told that it is away, not the address and the user of its database."""
    (port,) = free_ports(1)
    away = Database(f"postgresql+psycopg://secretary@127.0.0.1:{port}/books?connect_timeout=2")
    house = House(tmp_path)

    async def run() -> httpx.Response:
        async with caller(house.app(guard=Guard(Register(away))), "nvt_x") as anybody:
            return await anybody.get("/api/things")

    found = asyncio.run(run())
    house.close()
    assert found.status_code == 503
    assert found.json()["message"] == "cannot read the catalogue"
    for word in ("secretary", str(port), "books", "127.0.0.1"):
        assert word not in found.text
