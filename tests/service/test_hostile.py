"""What somebody who may write, or only connect, could send to harm the others: the node goes on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import msgspec
import pytest

from nervure.core.settings import Access, Settings
from nervure.stream.subject import reading_topic
from tests.service.test_access import thing
from tests.service.test_direct import line, node_of
from tests.service.test_live_events import Ear
from tests.support import publish_mqtt

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
            await asyncio.wait_for(ear.began.wait(), 10)
            for encoding, status in (("mine", 201), ("application/geo+json", 400)):
                for kind, where in (("Point", [HUGE, 47]), ("LineString", [[8, 47], [HUGE, 1]])):
                    odd = {"name": "odd", "description": "", "Locations": [place(kind, where, encoding)]}
                    assert (await page.post("/v1.1/Things", json=odd)).status_code == status
            far = {"name": "far", "description": "", "encodingType": "application/geo+json"}
            far |= {"feature": {"type": "Point", "coordinates": [HUGE, 47]}}
            told = json.dumps({"result": 1, "FeatureOfInterest": far}).encode()
            deep = b'{"result":1,"FeatureOfInterest":{"feature":' + b"[" * 900 + b"]" * 900 + b"}}"
            bad = [(reading_topic(1), one) for one in (told, deep)]
            await asyncio.to_thread(publish_mqtt, opened.nats.mqtt_port, bad)
            async with asyncio.timeout(10):
                while sum(node.catalogue.quarantine_counts().values()) < 2:  # noqa: ASYNC110 - it is seen
                    await asyncio.sleep(0.05)
            await ear.until("strip", len(ear.of("strip")) + 2)
            for path in ("overview", "things", "shapes", "streams"):
                assert (await page.get(f"/api/{path}")).status_code == 200
            assert (await page.get("/health")).status_code == 200
            ear.task.cancel()
            await asyncio.gather(ear.task, return_exceptions=True)

    asyncio.run(run())
