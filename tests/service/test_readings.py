"""Observations made, changed and deleted over the log of a real node, read at once by who did it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from nervure.core.entity import Datastream
from nervure.core.error import ConflictError, NotFoundError, QueryError
from nervure.core.instant import iso
from nervure.core.observation import Draft, Group
from nervure.node import event
from nervure.node.compose import Node
from nervure.store.write.writer import Parent
from nervure.stream.subject import CHANGE
from tests.patience import eventually
from tests.support import make_settings

pytestmark = pytest.mark.service

BODY: dict[str, Any] = {
    "name": "hall",
    "description": "a hall",
    "Locations": [
        {
            "name": "here",
            "description": "here",
            "encodingType": "application/geo+json",
            "location": {"type": "Point", "coordinates": [8.0, 47.0]},
        }
    ],
}


def stream(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": name,
        "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Observation",
        "unitOfMeasurement": {"name": "degree", "symbol": "C", "definition": "x"},
        "Sensor": {"name": "s", "description": "s", "encodingType": "text/html", "metadata": "m"},
        "ObservedProperty": {"name": "t", "description": "t", "definition": "x"},
    }


class Running:
    """A node in this process."""

    def __init__(self, folder: Path) -> None:
        self.node = Node(make_settings(folder))

    async def __aenter__(self) -> Node:
        await self.node.start()
        self._task = asyncio.create_task(self.node.run())
        return self.node

    async def __aexit__(self, *_: object) -> None:
        self.node.stop()
        await self._task


def made(node: Node, *names: str) -> list[int]:
    """Return new Datastreams of a new Thing."""
    writer = node.front.writer
    thing = writer.create("Thing", BODY).id
    parent = Parent(kind="Thing", id=thing, relation="Datastreams")
    return [writer.create("Datastream", stream(name), parent=parent).id for name in names]


def draft(datastream: int, **message: Any) -> Draft:
    return Draft(datastream=datastream, message=msgspec.json.encode(message))


def test_what_is_made_changed_and_deleted_is_read_at_once_and_after_a_restart(tmp_path: Path) -> None:
    async def first() -> tuple[list[int], int]:
        async with Running(tmp_path) as node:
            hot, cold = made(node, "hot", "cold")
            readings, store = node.readings, node.observations
            when = "2024-01-01T00:00:00Z/2024-01-01T01:00:00Z"
            ids = await readings.create(
                [
                    draft(hot, result={"a": [1, None]}, phenomenonTime=when, parameters={"p": 1}),
                    draft(hot, result=True, phenomenonTime="2024-01-01T00:00:00Z"),
                    draft(cold, result=None, resultTime="2024-01-02T00:00:00Z", validTime=when),
                ]
            )
            found = [store.by_id(one) for one in ids]
            assert [one.result for one in found if one] == ['{"a":[1,null]}', "true", "null"]
            assert found[0] is not None
            assert found[0].extra == '{"parameters":{"p":1}}'
            assert found[0].end_time_ns == found[0].time_ns + 3_600_000_000_000
            assert found[0].feature
            assert store.count(hot) == 2
            await readings.change(ids[1], draft(hot, result=5.5, phenomenonTime="2024-01-03T00:00:00Z"))
            changed = store.by_id(ids[1])
            assert changed is not None
            assert changed.result == 5.5
            await readings.drop(ids=[ids[0]])
            assert store.by_id(ids[0]) is None
            assert store.count(hot) == 1
            await readings.drop(datastreams=[cold])
            assert store.count() == 1
            return ids, hot

    async def second(ids: list[int], hot: int) -> None:
        async with Running(tmp_path) as node:
            store = node.observations
            assert (store.count(), store.count(hot)) == (1, 1)
            assert [store.by_id(one) is not None for one in ids] == [False, True, False]

    ids, hot = asyncio.run(first())
    asyncio.run(second(ids, hot))


def test_what_cannot_be_taken_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Running(tmp_path) as node:
            (hot,) = made(node, "hot")
            with pytest.raises(NotFoundError):
                await node.readings.create([draft(hot + 1000, result=1)])
            with pytest.raises(QueryError):
                await node.readings.create([draft(hot, result=1, phenomenonTime="never")])

    asyncio.run(scenario())


def test_plain_readings_take_the_fast_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Running(tmp_path) as node:
            (hot,) = made(node, "hot")
            await node._learn()
            readings, store = node.readings, node.observations
            many = await asyncio.gather(*(readings.fast(hot, b'{"result":%d}' % one) for one in range(200)))
            assert len(set(many)) == 200
            assert store.count(hot) == 200
            found = [store.by_id(one) for one in many if one is not None]
            assert sorted(one.result for one in found if one) == list(range(200))
            assert {one.feature for one in found if one} != {None, 0}
            assert await readings.fast(hot, b'{"result":1,"parameters":{}}') is None
            assert await readings.fast(hot, b'{"result":"x"}') is None
            assert await readings.fast(hot + 1000, b'{"result":1}') is None
            once = [await readings.fast(hot, b'{"result":7}', once="mine") for _ in range(2)]
            assert once[0] == once[1]
            assert store.count(hot) == 201

    asyncio.run(scenario())


def test_data_arrays_are_cut_and_answered_row_by_row(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Running(tmp_path) as node:
            hot, cold = made(node, "hot", "cold")
            begin = 1_700_000_000 * 10**9
            rows = [[iso(begin + one * 10**9), one] for one in range(20_000)]
            wanted = [
                Group(
                    datastream=hot, components=("phenomenonTime", "result"), rows=msgspec.json.encode(rows)
                ),
                Group(
                    datastream=cold,
                    components=("result", "phenomenonTime", "parameters", "FeatureOfInterest/id"),
                    rows=msgspec.json.encode(
                        [["a", None, {"b": 1}, None], [1, "never", None, None], [2, None, None, 1], [3]]
                    ),
                ),
            ]
            began = time.process_time()
            ids = await node.readings.arrays(wanted)
            print(
                f"{len(ids) / (time.process_time() - began):,.0f} observations per CPU-second of this process"
            )
            assert [one is None for one in ids[-4:]] == [False, True, False, True]
            assert None not in ids[:20_000]
            assert len({one >> 16 for one in ids if one}) > 1
            assert node.observations.count(hot) == 20_000
            last = node.observations.by_id(ids[19_999] or 0)
            assert last is not None
            assert (last.result, last.time_ns) == (19_999, begin + 19_999 * 10**9)
            found = node.observations.by_id(ids[-4] or 0)
            assert found is not None
            assert (found.result, found.extra) == ('"a"', '{"parameters":{"b":1}}')

    asyncio.run(scenario())


def test_a_device_may_describe_the_feature(tmp_path: Path) -> None:
    feature: dict[str, Any] = {"name": "pond", "description": "", "encodingType": "application/geo+json"}

    feature["feature"] = {"type": "Point", "coordinates": [8.0, 47.0]}

    async def scenario() -> None:
        async with Running(tmp_path) as node:
            (hot,) = made(node, "hot")
            subject = f"v1//1.Datastreams({hot}).Observations"
            messages = [
                {"result": 1, "FeatureOfInterest": feature},
                {"result": 2, "FeatureOfInterest": {"name": "nothing else"}},
                {"result": 3, "FeatureOfInterest": {"@iot.id": 4711}},
                {"result": 4, "FeatureOfInterest": {"@iot.id": 1}},
                {"result": 5},
            ]
            sequences = [await node.log.publish(subject, msgspec.json.encode(one)) for one in messages]
            await eventually(lambda: node.observations.taken, sequences[-1].__le__)
            found = node.observations.series([hot])
            assert sorted(found.value.tolist()) == [1.0, 4.0, 5.0]
            assert found.feature is not None
            assert (found.feature > 0).all()
            await node.watch.commit()
            reasons = {one.sequence: one.reason for one in node.catalogue.quarantine()}
            assert reasons == {sequences[1]: "malformed", sequences[2]: "unknown-feature"}

    asyncio.run(scenario())


def test_http_reads_what_it_wrote(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Running(tmp_path) as node:
            http = node.settings.http
            transport = httpx.AsyncHTTPTransport(retries=8)
            url = f"http://{http.host}:{http.port}/v1.1"
            async with httpx.AsyncClient(base_url=url, timeout=20, transport=transport) as client:
                thing = await client.post("/Things", json=BODY | {"Datastreams": [stream("hot")]})
                assert thing.status_code == 201, thing.text
                datastream = (await client.get(f"{thing.headers['location']}/Datastreams")).json()["value"][0]
                path = f"/Datastreams({datastream['@iot.id']})/Observations"
                plain = await client.post(path, json={"result": 3})
                assert plain.status_code == 201, plain.text
                read = (await client.get(plain.headers["location"])).json()
                assert (read["result"], read["resultTime"]) == (3, None)
                gone = await client.delete(plain.headers["location"])
                assert gone.status_code == 200
                assert (await client.get(plain.headers["location"])).status_code == 404

    asyncio.run(scenario())


def test_what_is_there_already_is_answered_with_the_id_it_has(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Running(tmp_path) as node:
            (hot,) = made(node, "hot")
            store, readings = node.observations, node.readings
            thing = node.catalogue.datastream(hot).thing
            inflow = Datastream(name="inflow", unit="L/s", thing=thing, solution="water", signal="inflow")
            keyed = node.catalogue.ensure_datastream(inflow).id
            body = {"result": 5, "phenomenonTime": "2024-01-01T00:00:00Z"}
            (first,) = await readings.create([draft(keyed, **body)])
            payload = msgspec.json.encode(body)
            assert await readings.fast(keyed, payload) == first
            await asyncio.to_thread(store.seal)
            assert await readings.create([draft(keyed, **body)]) == [first]
            rows = b'[["2024-01-01T00:00:00Z",5],["2024-01-01T00:01:00Z",6],["2024-01-01T00:01:00Z",6]]'
            group = Group(datastream=keyed, components=("phenomenonTime", "result"), rows=rows)
            again, fresh, same = await readings.arrays([group])
            assert (again, fresh) == (first, same)
            assert store.count(keyed) == 2
            with pytest.raises(ConflictError):
                await readings.create([draft(keyed, **body | {"result": 7})])
            assert len(set(await readings.create([draft(hot, **body)] * 2))) == 2

    asyncio.run(scenario())


def test_one_odd_feature_takes_no_other_row_of_its_data_array_along(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Running(tmp_path) as node:
            (hot,) = made(node, "hot")
            names = ("phenomenonTime", "result", "FeatureOfInterest/id")
            for odd in (b"0", b"-1", b"9223372036854775808"):
                rows = b'[["2023-11-14T00:00:00Z",1,%b],["2023-11-14T00:00:01Z",2,null]]' % odd
                told = await node.readings.arrays([Group(datastream=hot, components=names, rows=rows)])
                assert told[0] is None
                assert told[1] in node.observations.series([hot], None, None).id.tolist()

    asyncio.run(scenario())


def test_what_is_nested_too_deep_does_not_end_the_node(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Running(tmp_path) as node:
            (hot,) = made(node, "hot")
            await node.readings.create([draft(hot, result=1)])
            deep = [b'{"result":1,"x":%b%b}' % (b"[" * depth, b"]" * depth) for depth in range(960, 996)]
            for one in deep:
                assert not node.readings.plain(hot, one)
                assert await node.readings.fast(hot, one) is None
            with pytest.raises(QueryError, match="cannot be read"):  # whoever brought it into the log
                await node.readings._append([(CHANGE, event.gathered([(hot, deep[-1])]), None)])
            assert await node.readings.create([draft(hot, result=2)])

    asyncio.run(scenario())
