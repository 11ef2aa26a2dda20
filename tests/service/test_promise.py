"""What a change of entities leaves for the log comes there once, also after a stop in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from operator import not_
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from nervure.node.compose import Node
from nervure.store.catalogue import Catalogue
from tests.body import datastream, feature, location, thing
from tests.patience import eventually
from tests.support import make_settings

pytestmark = pytest.mark.service

JSON = {"content-type": "application/json"}


class Running:
    """A node in this process, and a client of it."""

    def __init__(self, folder: Path) -> None:
        self.node = Node(make_settings(folder))
        http = self.node.settings.http
        self.client = httpx.AsyncClient(base_url=f"http://{http.host}:{http.port}/v1.1/", timeout=20)

    async def __aenter__(self) -> Self:
        await self.node.start()
        self._task = asyncio.create_task(self.node.run())
        await eventually(lambda: self.client.get("Things"), forgive=(httpx.ConnectError,))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()
        self.node.stop()
        await self._task

    async def make(self, results: Sequence[int]) -> httpx.Response:
        """Make a Thing with a Datastream with Observations."""
        inside = datastream(Observations=[{"result": result} for result in results])
        return await self.client.post("Things", json=thing(Locations=[location()], Datastreams=[inside]))

    async def kept(self) -> None:
        """Wait until nothing is left to be told."""
        await eventually(self.node.catalogue.intents, not_)

    async def results(self) -> list[int]:
        answer = await self.client.get("Observations?$orderby=result")
        return [one["result"] for one in answer.json()["value"]]

    async def come(self, *wanted: int) -> None:
        """Wait until the results are those wanted: views follow."""
        await eventually(self.results, equals=list(wanted))


def test_what_a_broken_log_keeps_back_is_told_at_the_next_start(tmp_path: Path) -> None:
    async def before() -> None:
        async with Running(tmp_path) as running:
            assert (await running.make([1, 2])).status_code == 201
            assert await running.results() == [1, 2]
            running.node.readings.close()  # nothing comes into the log any more
            for answer in (
                await running.client.delete("Datastreams(1)"),
                await running.make([3, 4]),
                await running.client.post("$batch", json={"requests": together()}),
            ):
                found = answer.json()
                for one in found.get("responses", [{"status": answer.status_code, "body": found}]):
                    assert one["status"] == 503
                    assert "the entities are changed as was asked" in one["body"]["message"]
            assert (await running.client.get("Datastreams?$count=true&$top=0")).json()["@iot.count"] == 2
            assert running.node.observations.count() == 2

    async def after() -> None:
        async with Running(tmp_path) as running:
            await running.kept()
            await eventually(lambda: running.node.observations.count(1), equals=0)  # told, and then read
            await running.come(3, 4, 5, 6)

    asyncio.run(before())
    asyncio.run(after())
    asyncio.run(after())


def together() -> list[dict[str, Any]]:
    inner = datastream(Thing={"@iot.id": 1}, Observations=[{"result": 5}])
    outer = {"result": 6, "Datastream": {"@iot.id": "$a"}}
    return [
        {"id": "a", "atomicityGroup": "g", "method": "post", "url": "Datastreams", "body": inner},
        {"id": "b", "atomicityGroup": "g", "method": "post", "url": "Observations", "body": outer},
    ]


def test_what_the_log_has_is_not_told_again(tmp_path: Path) -> None:
    async def before() -> None:
        async with Running(tmp_path) as running:
            node = running.node
            await node._switching.acquire()  # the log is read no further
            asked = asyncio.create_task(running.make([1, 2, 3]))
            await eventually(node.log.first_last, lambda seen: seen[1])
            assert [one.made for one in node.catalogue.intents()] == [3]
            node.readings.close()
            assert (await asked).status_code == 503

    async def after() -> None:
        async with Running(tmp_path) as running:
            await running.kept()
            assert (await running.node.log.first_last())[1] == 1
            await running.come(1, 2, 3)

    asyncio.run(before())
    asyncio.run(after())


def test_nothing_is_kept_of_a_change_with_an_observation_that_cannot_be(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Running(tmp_path) as running:
            assert (await running.make([])).status_code == 201
            long = "x" * (1 << 18)
            one = feature(name="new", Observations=[{"result": long, "Datastream": {"@iot.id": 1}}])
            answer = await running.client.post("FeaturesOfInterest", json=one)
            assert answer.status_code == 413, answer.text
            assert (await running.client.get("FeaturesOfInterest")).json()["value"] == []
            deep: Any = 1
            for _ in range(40):
                deep = {"a": deep}
            late = "9999-12-31T23:59:59Z"
            for odd in ({"result": 10**400}, {"phenomenonTime": late}, {"parameters": deep}):
                inside = datastream(Observations=[{"result": 1}, {"result": 2} | odd])
                new = thing(Locations=[location()], Datastreams=[inside])
                together = [
                    {"id": "a", "atomicityGroup": "g", "method": "post", "url": "Things", "body": new}
                ]
                for path, body in (("Things", new), ("$batch", {"requests": together})):
                    answer = await running.client.post(path, content=json.dumps(body), headers=JSON)
                    found = answer.json()
                    assert found.get("responses", [{"status": answer.status_code}])[0]["status"] == 400, found
            assert (await running.client.get("Things?$count=true&$top=0")).json()["@iot.count"] == 1

    asyncio.run(scenario())
    catalogue = Catalogue.open(tmp_path / "data" / "catalogue.db")
    assert catalogue.intents() == []
    catalogue.close()
