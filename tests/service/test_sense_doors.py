"""Bad and good input through the real doors, MQTT and HTTP, into a real log and out through intake."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import cbor2
import httpx
import numpy as np
import pytest
import uvicorn

from nervure.core.entity import Datastream
from nervure.core.instant import HOUR_NS, SECOND_NS
from nervure.core.observation import Batch, Reject
from nervure.core.settings import Limits, Settings
from nervure.sense.file import load, read
from nervure.sense.http import ingest
from nervure.sense.intake import Intake
from nervure.stream.log import Log
from tests.patience import eventually
from tests.support import collect, publish_mqtt, running

pytestmark = pytest.mark.service

STREAMS = (
    Datastream(id=7, name="inflow", unit="L/s", thing=1, solution="water", low=0, high=500, every_ns=HOUR_NS),
    Datastream(id=9, name="door", unit="", thing=2, solution="water"),
)
START = 1_677_628_800
TOPIC = "v1.1/Datastreams(7)/Observations"
DOOR = "/ingest/Datastreams(7)"


async def taken(log: Log, limits: Limits | None = None) -> tuple[Batch, list[Reject]]:
    _, last = await log.first_last()
    return Intake(STREAMS, limits or Limits()).take(await collect(log, 0, last))


def test_bad_input_by_mqtt_is_quarantined_with_its_reason_and_the_good_goes_on(settings: Settings) -> None:
    bad = [
        (TOPIC, b'{"result": NaN}'),
        (TOPIC, b'{"result": "12,5"}'),
        (TOPIC, b'{"result": 3, "unit": "Cel"}'),
        ("v1.1/Datastreams(8)/Observations", b'{"result": 3}'),
        (TOPIC, b'{"result": 3, "phenomenonTime": "1970-01-01T00:00:00Z"}'),
        (TOPIC, b'{"result": 3, "phenomenonTime": "2100-01-01T00:00:00Z"}'),
        (TOPIC, b'{"result": 3, "pad": "' + b"x" * 300_000 + b'"}'),
        (TOPIC, cbor2.dumps([{2: 3.5}])[:-3]),
    ]
    good = (TOPIC, json.dumps({"result": 3, "phenomenonTime": START}).encode())

    async def main() -> None:
        async with running(settings) as (_, log):
            sent = [message for one in bad for message in (good, one)]
            assert await asyncio.to_thread(publish_mqtt, settings.nats.mqtt_port, sent) == len(sent)
            batch, rejects = await taken(log)
            assert batch.value.tolist() == [3.0] * len(bad)
            assert [reject.reason for reject in rejects] == [
                "not-a-number",
                "out-of-type",
                "wrong-unit",
                "unknown-stream",
                "too-old",
                "future",
                "too-large",
                "malformed",
            ]
            assert [reject.sequence for reject in rejects] == list(range(2, 2 * len(bad) + 1, 2))
            assert all(reject.detail and reject.received_ns > START * SECOND_NS for reject in rejects)

    asyncio.run(main())


def test_a_flood_from_one_device_is_cut_and_counted(settings: Settings) -> None:
    async def main() -> None:
        async with running(settings) as (_, log):
            flood = [(TOPIC, b'{"result": 1}')] * 3000
            await asyncio.to_thread(publish_mqtt, settings.nats.mqtt_port, flood)
            batch, rejects = await taken(log, Limits(per_device_s=100))
            assert Counter(reject.reason for reject in rejects) == {"flood": len(rejects)}
            assert len(batch) + len(rejects) == 3000
            assert 200 <= len(batch) < 2000

    asyncio.run(main())


@contextlib.asynccontextmanager
async def served(log: Log, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = ingest(log.publish, Intake(STREAMS, settings.limits))
    config = uvicorn.Config(
        app, host="127.0.0.1", port=settings.http.port, log_level="warning", lifespan="off"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http.port}") as client:
            yield client
    finally:
        server.should_exit = True
        await task


def test_readings_by_http_are_in_the_log_when_it_answers_201(settings: Settings) -> None:
    async def main() -> None:
        async with running(settings) as (_, log), served(log, settings) as client:
            first = await client.post(DOOR, json={"result": 1.5, "phenomenonTime": START})
            pack = cbor2.dumps({"t0": START, "dt": 3600, "v": [1, None, 2]})
            second = await client.post("/ingest/Datastreams(7)", content=pack)
            refused = await client.post(DOOR, content=b'{"result": NaN}')
            large = await client.post(DOOR, content=b"x" * 10_000_000)
            assert [one.status_code for one in (first, second, refused, large)] == [201, 201, 400, 413]
            batch, rejects = await taken(log)
            assert batch.value.tolist() == [1.5, 1.0, 2.0]
            assert rejects == []
            assert batch.id[0] == first.json()["@iot.id"]
            assert batch.id[1] == second.json()["@iot.id"]

    asyncio.run(main())


def test_a_request_sent_twice_with_its_key_is_kept_once(settings: Settings) -> None:
    async def main() -> None:
        async with running(settings) as (_, log), served(log, settings) as client:
            answers = [
                await client.post(DOOR, json={"result": 1}, headers={"Idempotency-Key": "k"})
                for _ in range(2)
            ]
            assert answers[0].json() == answers[1].json()
            assert await log.first_last() == (1, 1)

    asyncio.run(main())


def test_a_file_of_history_comes_through_the_log_whole_and_once(settings: Settings, tmp_path: Path) -> None:
    rows = 20_000
    stamps = (np.datetime64("2021-01-01", "s") + np.arange(rows) * np.timedelta64(1, "h")).astype(str)
    lines = [f"{stamp},{number / 8}" if number % 50 else f"{stamp}," for number, stamp in enumerate(stamps)]
    path = tmp_path / "history.csv"
    path.write_text("ds,inflow\n" + "\n".join(lines))

    async def main() -> None:
        async with running(settings) as (_, log):
            series = read(path, Intake(STREAMS, Limits()).named)
            loaded = await load(series, log.publish)
            again = await load(series, log.publish)
            assert loaded.readings == rows - rows // 50
            assert again.sequence == loaded.sequence == loaded.messages
            batch, rejects = await taken(log)
            assert rejects == []
            assert len(batch) == loaded.readings
            assert batch.value.tolist() == [number / 8 for number in range(rows) if number % 50]

    asyncio.run(main())
