"""People, programs and a device that change a node while it is killed, and what they were promised."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from operator import not_
from pathlib import Path
from typing import Any

import httpx
import msgspec

from nervure.bench.process import NodeProcess, free_settings
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from tests.body import datastream, feature, location, thing
from tests.patience import eventually
from tests.support import publish_mqtt

__all__ = ["Clerks"]

STREAMS = 3
INSIDE = 3
CHANGED = 1_000_000
LEAST = 10
PATIENCE_S = 120.0


class Told(msgspec.Struct):
    """What was asked, and what became of it: True promised, False asked only, absent: never asked."""

    made: dict[int, int] = {}
    asked: set[int] = set()
    changed: dict[int, bool] = {}
    deleted: dict[int, bool] = {}
    streams: dict[str, int] = {}
    streams_deleted: dict[int, bool] = {}
    sent: dict[int, bool] = {}

    def least(self) -> int:
        """Return how often that job was done which was done least often."""
        jobs: list[dict[Any, Any]] = [self.made, self.changed, self.deleted, self.streams, self.sent]
        return min(map(len, jobs))


class Clerks:
    """Those who work at the node at once, each of whom notes what was answered."""

    def __init__(self, folder: Path) -> None:
        self.settings = free_settings(folder)
        self.node = NodeProcess(self.settings)
        self.told = Told()
        self._numbers = itertools.count(1)
        self._chance = random.Random(7)
        self._over = asyncio.Event()
        self._up = asyncio.Event()

    async def begin(self) -> None:
        """Start the node and make what all of them work at."""
        await self.node.start()
        streams = [datastream(name=f"d{number}") for number in range(STREAMS)]
        async with self._client() as client:
            body = thing(Locations=[location()], Datastreams=streams)
            assert (await client.post("Things", json=body)).status_code == 201

    async def work(self, crashes: int, most: int = 60) -> None:
        """Work until more than ``LEAST`` came of every job, while the node is killed so many times.

        It is killed each time when up to ``most`` more Observations were promised.
        """
        jobs = (self._make, self._make, self._change, self._delete, self._open, self._shut, self._send)
        told = self.told
        self._up.set()
        working = [asyncio.create_task(self._again(job)) for job in jobs]
        try:
            for _ in range(crashes):
                await self._promised(len(told.made) + self._chance.randint(1, most))
                await asyncio.sleep(self._chance.uniform(0, 0.1))
                self.node.kill()
                self._up.clear()
                await self.node.start()
                self._up.set()
            await eventually(told.least, lambda least: least > LEAST, seconds=PATIENCE_S)
        finally:
            self._over.set()
            self._up.set()
            await asyncio.gather(*working)

    async def _promised(self, made: int) -> None:
        await eventually(lambda: len(self.told.made), lambda seen: seen >= made, seconds=PATIENCE_S)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"{self.node.url}/v1.1/", timeout=20)

    async def _again(self, job: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
        async with self._client() as client:
            while not self._over.is_set():
                try:
                    await job(client)
                except (httpx.TransportError, OSError):  # the node was killed meanwhile
                    await asyncio.sleep(0.05)
                    await self._up.wait()

    # --- the jobs ---------------------------------------------------------------------------------

    async def _make(self, client: httpx.AsyncClient) -> None:
        number = next(self._numbers)
        self.told.asked.add(number)
        body: dict[str, Any] = {"result": number}
        if number % 4 == 0:  # the slow way, over the catalogue
            body["FeatureOfInterest"] = feature(name=f"h{number}")
        answer = await client.post(f"Datastreams({number % STREAMS + 1})/Observations", json=body)
        if answer.status_code == 201:
            self.told.made[number] = answer.json()["@iot.id"]

    async def _change(self, client: httpx.AsyncClient) -> None:
        number = self._chosen(self.told.changed)
        if number is not None:
            self.told.changed[number] = False
            path = f"Observations({self.told.made[number]})"
            answer = await client.patch(path, json={"result": number + CHANGED})
            self.told.changed[number] = answer.status_code == 200
        await asyncio.sleep(0.01)

    async def _delete(self, client: httpx.AsyncClient) -> None:
        number = self._chosen(self.told.deleted)
        if number is not None:
            self.told.deleted[number] = False
            answer = await client.delete(f"Observations({self.told.made[number]})")
            self.told.deleted[number] = answer.status_code in {200, 204}
        await asyncio.sleep(0.02)

    def _chosen(self, taken: dict[int, bool]) -> int | None:
        """Choose an Observation that nobody changes or deletes."""
        free = [one for one in self.told.made if one not in self.told.changed | self.told.deleted | taken]
        return self._chance.choice(free[-50:]) if free else None

    async def _open(self, client: httpx.AsyncClient) -> None:
        number = next(self._numbers)
        inside = [{"result": -(INSIDE * number + index)} for index in range(INSIDE)]
        body = datastream(name=f"x{number}", Observations=inside)
        answer = await client.post("Things(1)/Datastreams", json=body)
        if answer.status_code == 201:
            self.told.streams[f"x{number}"] = answer.json()["@iot.id"]

    async def _shut(self, client: httpx.AsyncClient) -> None:
        free = [one for one in self.told.streams.values() if one not in self.told.streams_deleted]
        if len(free) > 2:
            stream = self._chance.choice(free)
            self.told.streams_deleted[stream] = False
            answer = await client.delete(f"Datastreams({stream})")
            self.told.streams_deleted[stream] = answer.status_code in {200, 204}
        await asyncio.sleep(0.01)

    async def _send(self, _: httpx.AsyncClient) -> None:
        """Send a message that describes what it is about, as a device would."""
        number = next(self._numbers)
        self.told.sent[number] = False
        body = {"result": number, "FeatureOfInterest": feature(name=f"m{number}")}
        message = ("v1.1/Datastreams(1)/Observations", json.dumps(body).encode())
        port = self.settings.nats.mqtt_port
        self.told.sent[number] = await asyncio.to_thread(publish_mqtt, port, [message]) == 1
        await asyncio.sleep(0.02)

    # --- what has become of it --------------------------------------------------------------------

    async def check(self) -> None:
        """Everything promised is there once, nothing else is; nothing is about what is gone."""
        told = self.told
        print({name: len(getattr(told, name)) for name in told.__struct_fields__})
        async with self._client() as client:
            await self._settled(client)
            stored = [one async for one in _all(client, "Observations?$select=id,result&$top=1000")]
            found = {one["@iot.id"]: one["result"] for one in stored}
            streams = [
                one
                async for one in _all(
                    client, "Datastreams?$expand=Observations($count=true;$top=0)&$top=1000"
                )
            ]
            features = Counter([one["name"] async for one in _all(client, "FeaturesOfInterest?$top=1000")])
        assert len(found) == len(stored)
        results = Counter(found.values())
        for number, identity in told.made.items():
            new = told.changed.get(number)
            allowed = {number + CHANGED} if new else {number} if new is None else {number, number + CHANGED}
            if told.deleted.get(number) is None:
                assert found.get(identity) in allowed, (number, identity)
            elif told.deleted[number]:
                assert identity not in found, (number, identity)
        for number in told.asked:
            there = results[number] + (results[number + CHANGED] if number in told.changed else 0)
            assert there <= 1, number
            if number % 4 == 0:
                assert features[f"h{number}"] >= there, number
                assert features[f"h{number}"] == there or number in told.deleted, number
        for number, acknowledged in told.sent.items():
            assert results[number] == features[f"m{number}"], number
            assert results[number] >= 1 or not acknowledged, number  # who got no word may send it again
        self._check_streams(streams)

    def _check_streams(self, streams: list[dict[str, Any]]) -> None:
        there = {one["@iot.id"]: one for one in streams}
        for stream in self.told.streams.values():
            gone = self.told.streams_deleted.get(stream)
            assert gone is False or (stream in there) == (gone is None), stream
        for one in streams:
            if one["name"].startswith("x"):
                assert one["Observations@iot.count"] == INSIDE, one["name"]

    async def _settled(self, client: httpx.AsyncClient) -> None:
        """Wait until the node has told the log what is left, and read the log."""
        with_intents = Catalogue.open(self.settings.folder / "catalogue.db")
        try:
            await eventually(with_intents.intents, not_)
        finally:
            with_intents.close()
        answer = await client.post("Datastreams(1)/Observations", json={"result": 0})
        assert answer.status_code == 201

    def check_orphans(self) -> None:
        """No row is of a Datastream that is not there; for a node that was stopped."""
        catalogue = Catalogue.open(self.settings.folder / "catalogue.db")
        known = {one.id for one in catalogue.datastreams()}
        catalogue.close()
        store = Observations.open(self.settings.folder / "observations", write=False)
        streams = store.ask("SELECT DISTINCT datastream FROM {observation}")["datastream"].to_pylist()
        store.close()
        assert set(streams) <= known


async def _all(client: httpx.AsyncClient, path: str) -> AsyncIterator[dict[str, Any]]:
    """Yield a set, over its pages."""
    link: str | None = path
    while link is not None:
        page = (await client.get(link)).raise_for_status().json()
        for one in page["value"]:
            yield one
        link = page.get("@iot.nextLink")
