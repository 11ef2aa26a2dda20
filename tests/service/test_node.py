"""A whole node: bad input disturbs nothing, foreign brokers are read, alerts reach MQTT and a webhook."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import cbor2
import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from nervure.bench.process import NodeProcess, free_settings
from nervure.core.entity import Datastream
from nervure.core.instant import HOUR_NS, iso
from nervure.core.settings import Broker, Limits, Notify, Project, Store
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.store.provision import Place, provision
from tests.broker import mosquitto
from tests.patience import PATIENCE_S, eventually

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

BEGIN = 1_677_628_800_000_000_000


class Station:
    """A node with two districts, and a device that waits for each acknowledgement."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.settings = free_settings(
            folder / "data", project=Project(name="test", solutions=("water",)), **changes
        )
        self.settings.folder.mkdir(parents=True)
        catalogue = Catalogue.open(self.settings.folder / "catalogue.db")
        self.streams: dict[str, Datastream] = provision(
            catalogue, find("water"), [Place(name="A"), Place(name="B")]
        )
        catalogue.close()
        self.node = NodeProcess(self.settings)

    def id(self, name: str) -> int:
        return self.streams[name].id

    def publish(self, *messages: tuple[str, bytes]) -> None:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"device-{time.monotonic_ns()}")
        client.connect("127.0.0.1", self.settings.nats.mqtt_port)
        client.loop_start()
        try:
            for sent in [client.publish(topic, payload, qos=1) for topic, payload in messages]:
                sent.wait_for_publish(PATIENCE_S)
                assert sent.is_published()
        finally:
            client.disconnect()
            client.loop_stop()

    def topic(self, name: str) -> str:
        return f"v1.1/Datastreams({self.id(name)})/Observations"

    async def until(self, key: str, wanted: int) -> dict[str, Any]:
        return await eventually(self.node.status, lambda status: status.get(key, 0) >= wanted)

    async def kept(self, reasons: dict[str, int]) -> None:
        """Wait until quarantine holds what was rejected."""
        await eventually(self.node.status, lambda status: status["quarantine"] == reasons)

    async def get(self, path: str) -> Any:
        async with httpx.AsyncClient(timeout=20) as client:
            return (await client.get(f"{self.node.url}{path}")).raise_for_status().json()


@contextlib.asynccontextmanager
async def standing(station: Station) -> AsyncIterator[Station]:
    await station.node.start()
    try:
        yield station
    finally:
        await station.node.stop()


def _reading(value: object, hour: int = 0, **more: object) -> bytes:
    return json.dumps({"result": value, "phenomenonTime": iso(BEGIN + hour * HOUR_NS), **more}).encode()


ONCE = ("not-a-number", "out-of-type", "wrong-unit", "unknown-stream", "too-old", "future", "too-large")


def _bad(here: str) -> list[tuple[str, bytes]]:
    """Return a message of every kind that cannot be taken; two of them cannot be read at all."""
    return [
        (here, b'{"result": NaN}'),
        (here, _reading("twelve")),
        (here, _reading(12.0, unit="Cel")),
        ("v1.1/Datastreams(999999)/Observations", _reading(1.0)),
        (here, b'{"result": 1.0, "phenomenonTime": "1970-01-01T00:00:00Z"}'),
        (here, b'{"result": 1.0, "phenomenonTime": "2100-01-01T00:00:00Z"}'),
        (here, cbor2.dumps([{-2: "A/inflow", 2: 12.0, 6: 1677628800}])[:-3]),
        (here, b"x" * 300_000),
        (here, b""),
    ]


def test_bad_input_is_quarantined_and_disturbs_nothing(tmp_path: Path) -> None:
    station = Station(tmp_path, limits=Limits(per_device_s=50.0))
    good = [(station.topic("B/inflow"), _reading(20.0 + hour, hour)) for hour in range(40)]
    here = station.topic("A/inflow")
    bad = _bad(here)
    flood = [(here, _reading(float(one % 7), 100 + one)) for one in range(400)]

    async def scenario() -> None:
        async with standing(station):
            station.publish(*good[:20], *bad, *good[20:])
            station.publish(*flood)
            status = await station.until("entries", len(good) + len(bad) + len(flood))
            reasons = status["rejected"]
            assert {name: reasons[name] for name in ONCE} == dict.fromkeys(ONCE, 1)
            assert reasons["malformed"] == 2
            assert 0 < reasons["flood"] < len(flood)
            assert status["stored"] == len(good) + len(flood) - reasons["flood"]
            await station.kept(reasons)
            path = f"/v1.1/Datastreams({station.id('B/inflow')})/Observations?$count=true&$top=100"
            found = await station.get(path)
            assert found["@iot.count"] == len(good)
            assert sorted(one["result"] for one in found["value"]) == [20.0 + hour for hour in range(40)]
            await asyncio.sleep(1.0)
            station.publish((here, _reading(3.0, 1000)))
            assert (await station.until("entries", status["entries"] + 1))["problems"] == []

    asyncio.run(scenario())


def test_ten_megabytes_are_refused_at_the_door(tmp_path: Path) -> None:
    station = Station(tmp_path)
    too_much = b'{"result": 1.0, "pad": "' + b"x" * 10_000_000 + b'"}'

    async def scenario() -> None:
        async with standing(station), httpx.AsyncClient(base_url=station.node.url, timeout=20) as client:
            answer = await client.post(f"/{station.topic('A/inflow')}", content=too_much)
            assert answer.status_code == 413
            assert (await client.get("/health")).status_code == 200

    asyncio.run(scenario())


def test_what_is_posted_can_be_read_at_once(tmp_path: Path) -> None:
    station = Station(tmp_path)

    async def scenario() -> None:
        async with standing(station), httpx.AsyncClient(base_url=station.node.url, timeout=20) as client:
            path = f"/v1.1/Datastreams({station.id('A/inflow')})/Observations"
            for hour in range(5):
                answer = await client.post(path, content=_reading(float(hour), hour))
                assert answer.status_code == 201
                await station.until("readings", hour + 1)
                newest = (await client.get(f"{path}?$orderby=phenomenonTime desc&$top=1")).json()["value"][0]
                assert newest["result"] == hour
                assert newest["phenomenonTime"] == iso(BEGIN + hour * HOUR_NS).replace("Z", ".000Z")
            assert "nervure_" in (await client.get("/metrics")).text

    asyncio.run(scenario())


def test_readings_are_sealed_at_the_end_also_where_the_catalogue_takes_nothing_more(tmp_path: Path) -> None:
    """A node whose catalogue was damaged left them to the log: nothing lost, and nothing to be read."""

    async def run() -> None:
        station = Station(tmp_path, store=Store(seal_s=3600.0))
        await station.node.start()
        try:
            with sqlite3.connect(station.settings.folder / "catalogue.db") as catalogue:
                for change in ("INSERT", "UPDATE"):
                    refuse = f"CREATE TRIGGER broken_{change} BEFORE {change} ON view "
                    catalogue.execute(refuse + "BEGIN SELECT RAISE(ABORT, 'malformed'); END")
            topic = station.topic("A/inflow")
            station.publish(*[(topic, b'{"result": %d}' % one) for one in range(5)])
            await station.until("readings", 5)
        finally:
            await station.node.stop()
        store = Observations.open(station.settings.folder / "observations", write=False)
        assert store.count() == 5
        store.close()

    asyncio.run(run())


def test_a_foreign_broker_is_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with mosquitto(tmp_path) as broker:
            foreign = Broker(name="yard", host="127.0.0.1", port=broker.port, topics={"flow/+": "{1}/inflow"})
            station = Station(tmp_path, broker=(foreign,))
            async with standing(station):
                await eventually(station.node.status, lambda status: status["gateways"][0]["connected"])
                await broker.send("flow/A", *[_reading(7.5, hour).decode() for hour in range(3)])
                await broker.send("flow/Z", _reading(7.5).decode())
                status = await station.until("entries", 4)
                assert status["stored"] == 3
                assert status["rejected"] == {"unknown-stream": 1}

    asyncio.run(scenario())


@contextlib.contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Take posts on loopback; the first one is refused, as a server that restarts would."""
    got: list[dict[str, Any]] = []
    refused: list[bool] = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            first = not refused
            refused.append(True)
            self.send_response(503 if first else 204)
            self.end_headers()
            if not first:
                got.append({"key": self.headers["idempotency-key"], **json.loads(body)})

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Sink)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/alerts", got
    finally:
        server.shutdown()
        server.server_close()


def test_an_alert_reaches_mqtt_the_webhook_and_http_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        with webhook() as (url, posted):
            station = Station(tmp_path, notify=Notify(webhook=url))
            heard, hears = list[dict[str, Any]](), threading.Event()
            async with standing(station):
                ear = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="ear")
                ear.on_message = lambda _client, _data, message: heard.append(json.loads(message.payload))
                ear.on_connect = lambda client, *_: client.subscribe("nervure/alerts/#", 1)
                ear.on_subscribe = lambda *_: hears.set()
                ear.connect("127.0.0.1", station.settings.nats.mqtt_port)
                ear.loop_start()
                assert await asyncio.to_thread(hears.wait, 20)
                station.publish(*[(station.topic("A/inflow"), _reading(5.0, hour)) for hour in range(8)])
                await eventually(lambda: (len(heard), len(posted)), all)
                ear.disconnect()
                ear.loop_stop()
                alerts = await station.get("/alerts")
            shown = alerts["value"] if isinstance(alerts, dict) else alerts
            assert [one["rule"] for one in shown] == ["water.stuck"]
            assert {one["id"] for one in heard} == {one["id"] for one in posted} == {shown[0]["id"]}
            assert len({one["key"] for one in posted}) == len(posted)
            assert "without change since" in posted[0]["text"]

    asyncio.run(scenario())
