"""Every way in brings the same readings to the log, and lets no bad one past quarantine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import msgspec
import pytest

from nervure.core.entity import Datastream
from nervure.core.instant import HOUR_NS, SECOND_NS, iso
from nervure.core.observation import Batch, Reject
from nervure.core.settings import Broker, Limits, Settings
from nervure.sense.file import load, read
from nervure.sense.http import ingest
from nervure.sense.intake import Intake
from nervure.sense.mqtt import ExternalBroker
from nervure.stream.log import Log
from nervure.stream.subject import reading_topic
from tests.broker import mosquitto
from tests.patience import eventually
from tests.support import collect, publish_mqtt, running

pytestmark = pytest.mark.service

STREAM = Datastream(id=7, name="inflow", unit="L/s", thing=1, solution="water")
START = 1_677_628_800 * SECOND_NS


class Site(msgspec.Struct, frozen=True):
    """Where a way in leads: a running log, with the settings of its doors and a folder for files."""

    log: Log
    settings: Settings
    folder: Path


Send = Callable[[list[bytes], Site], Awaitable[None]]


async def by_mqtt(payloads: list[bytes], site: Site) -> None:
    items = [(reading_topic(7), payload) for payload in payloads]
    assert await asyncio.to_thread(publish_mqtt, site.settings.nats.mqtt_port, items) == len(items)


async def by_foreign_broker(payloads: list[bytes], site: Site) -> None:
    async with mosquitto(site.folder) as broker:
        where = Broker(name="site", host="127.0.0.1", port=broker.port, topics={"hall/+": "{1}"})
        gateway = ExternalBroker(where, site.log.publish_many, Intake([STREAM], Limits()).named)
        task = asyncio.create_task(gateway.run())
        await eventually(lambda: gateway.standing().connected)
        items = [("hall/inflow", payload) for payload in payloads]
        assert await asyncio.to_thread(publish_mqtt, broker.port, items) == len(items)
        await eventually(lambda: gateway.standing().published, lambda seen: seen >= len(items))
        await gateway.stop()
        await task


async def by_http(payloads: list[bytes], site: Site) -> None:
    door = ingest(site.log.publish, Intake([STREAM], site.settings.limits))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://x") as client:
        for payload in payloads:
            answer = await client.post("/ingest/Datastreams(7)", content=payload)
            assert answer.status_code in {201, 400}


async def by_file(payloads: list[bytes], site: Site) -> None:
    path = site.folder / "readings.csv"
    rows = [json.loads(payload) for payload in payloads]
    path.write_text("ds,inflow\n" + "\n".join(f"{row['phenomenonTime']},{row['result']}" for row in rows))
    await load(read(path, Intake([STREAM], site.settings.limits).named), site.log.publish)


async def taken(log: Log) -> tuple[Batch, list[Reject]]:
    _, last = await log.first_last()
    return Intake([STREAM], Limits()).take(await collect(log, 0, last))


@pytest.mark.parametrize("send", [by_mqtt, by_foreign_broker, by_http, by_file])
def test_the_same_readings_come_by_every_way(send: Send, settings: Settings, tmp_path: Path) -> None:
    async def main() -> None:
        times = [START + number * HOUR_NS for number in range(50)]
        payloads = [
            json.dumps({"result": number / 7, "phenomenonTime": iso(when)}).encode()
            for number, when in enumerate(times)
        ]
        async with running(settings) as (_, log):
            await send(payloads, Site(log, settings, tmp_path))
            batch, rejects = await taken(log)
        assert rejects == []
        assert batch.datastream.tolist() == [7] * 50
        assert batch.time.tolist() == times
        assert batch.value.tolist() == [number / 7 for number in range(50)]

    asyncio.run(main())


@pytest.mark.parametrize("send", [by_mqtt, by_foreign_broker, by_http])
def test_a_bad_reading_is_refused_or_quarantined_and_the_next_one_is_taken(
    send: Send, settings: Settings, tmp_path: Path
) -> None:
    async def main() -> None:
        payloads = [
            b'{"result": 1}',
            b'{"result": NaN}',
            b'{"result": 2}',
            b"\x9f\x01",
            b'[{"v": 3}, {"v": "x"}]',
        ]
        async with running(settings) as (_, log):
            await send(payloads, Site(log, settings, tmp_path))
            batch, rejects = await taken(log)
        assert batch.value.tolist() == [1.0, 2.0, 3.0]
        reasons = [reject.reason for reject in rejects]
        assert reasons == (["malformed"] if send is by_http else ["not-a-number", "malformed", "malformed"])

    asyncio.run(main())
