"""The HTTP door as an ASGI application; with a list for a log, as only the answers matter here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import cbor2
import httpx
import msgspec
import pytest

from nervure.core.entity import Datastream
from nervure.core.error import NotFoundError, StreamError
from nervure.core.observation import observation_id
from nervure.core.settings import Limits
from nervure.sense import http as door_module
from nervure.sense.http import ingest
from nervure.sense.intake import Intake
from tests.patience import eventually

STREAMS = (
    Datastream(id=7, name="inflow", unit="L/s", thing=1, solution="water"),
    Datastream(id=9, name="door", unit="", thing=1, solution="water"),
)
SINGLE = "/ingest/Datastreams(7)"
OTHER = 9


class Kept:
    """A log that keeps what it is given; it can be made slow or made to fail."""

    def __init__(self) -> None:
        self.items: list[tuple[str, bytes, str | None]] = []
        self.gate: asyncio.Event | None = None
        self.fails = False

    async def publish(self, subject: str, payload: bytes, *, once: str | None = None) -> int:
        if self.gate is not None:
            await self.gate.wait()
        if self.fails:
            raise StreamError("the disk is full")
        self.items.append((subject, payload, once))
        return len(self.items)


def post(kept: Kept, path: str, *, limits: Limits | None = None, **how: Any) -> httpx.Response:
    async def main() -> httpx.Response:
        app = ingest(kept.publish, Intake(STREAMS, limits or Limits()))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return await client.request(how.pop("method", "POST"), path, **how)

    return asyncio.run(main())


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_an_observation_is_created_where_it_is_posted(kept: Kept) -> None:
    answer = post(kept, SINGLE, content=b'{"result": 3, "phenomenonTime": "2023-03-01T00:00:00Z"}')
    assert answer.status_code == 201
    identity = observation_id(1)
    assert answer.headers["location"] == f"/v1.1/Observations({identity})"
    assert answer.json() == {
        "@iot.id": identity,
        "@iot.selfLink": f"/v1.1/Observations({identity})",
        "sequence": 1,
    }
    subject, payload, once = kept.items[0]
    assert subject == "v1//1.Datastreams(7).Observations"
    assert payload == b'{"result": 3, "phenomenonTime": "2023-03-01T00:00:00Z"}'
    assert once is None


def test_an_observation_that_names_its_datastream(kept: Kept) -> None:
    assert post(kept, "/ingest", json={"result": 3, "Datastream": {"@iot.id": 7}}).status_code == 201
    assert kept.items[0][0] == "v1//1.Observations"


def test_data_arrays_are_taken_in_part(kept: Kept) -> None:
    tables = [
        {"Datastream": {"@iot.id": 7}, "components": ["result"], "dataArray": [[1], ["x"], [3]]},
        {"Datastream": {"@iot.id": 99}, "components": ["result"], "dataArray": [[1]]},
        {"Datastream": {"@iot.id": 9}, "components": ["result"], "dataArray": [["open"]]},
    ]
    answer = post(kept, "/ingest", json=tables)
    assert answer.status_code == 201
    assert answer.json()["readings"] == 3
    assert [(one["index"], one["reason"]) for one in answer.json()["rejected"]] == [
        (1, "out-of-type"),
        (3, "unknown-stream"),
    ]


def test_nobody_writes_to_what_they_do_not_see(kept: Kept) -> None:
    seen: list[list[int]] = []

    async def allow(_scope: Any, datastreams: Sequence[int]) -> str:
        seen.append(list(datastreams))
        if 9 in datastreams:
            raise NotFoundError("there is no Datastream 9")
        return "device 1"

    async def main() -> list[int]:
        app = ingest(kept.publish, Intake(STREAMS, Limits()), allow)
        tables = [
            {"Datastream": {"@iot.id": one}, "components": ["result"], "dataArray": [[1]]} for one in (7, 9)
        ]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return [
                (await client.post(SINGLE, json={"result": 1})).status_code,
                (await client.post("/ingest/Datastreams(9)", json={"result": "open"})).status_code,
                (await client.post("/ingest", json=tables)).status_code,
            ]

    assert asyncio.run(main()) == [201, 404, 404]
    assert seen == [[7], [9], [0], [7, 9]]
    assert len(kept.items) == 1


@pytest.mark.parametrize(
    "message",
    [
        b'{"t0": 1677628800, "dt": 1, "v": [1, 2]}',
        b'[{"v": 1}, {"v": 2, "t": -1}]',
        cbor2.dumps([{2: 1.0}, {2: 2.0, 6: -1}]),
    ],
)
def test_packs_of_any_kind(kept: Kept, message: bytes) -> None:
    answer = post(kept, "/ingest/Datastreams(7)", content=message)
    assert answer.status_code == 201
    assert answer.json()["readings"] == 2
    assert answer.json()["rejected"] == []
    assert kept.items[0][1] == message


def test_what_is_good_in_part_is_taken_and_the_rest_named(kept: Kept) -> None:
    answer = post(kept, "/ingest/Datastreams(7)", content=b'{"dt": 1, "v": ["x", 2, 3]}')
    assert answer.status_code == 201
    assert answer.json()["@iot.id"] == observation_id(1, 1)
    assert answer.json()["rejected"] == [
        {
            "index": 0,
            "count": 1,
            "reason": "out-of-type",
            "detail": "the result is the text 'x', where a number in 'L/s' is expected",
        }
    ]


@pytest.mark.parametrize(
    ("path", "content", "status", "reason"),
    [
        (SINGLE, b"{", 400, "malformed"),
        (SINGLE, b"", 400, "malformed"),
        (SINGLE, b'{"result": "x"}', 400, "out-of-type"),
        (SINGLE, b'{"result": 1, "phenomenonTime": "2100-01-01T00:00:00Z"}', 400, "future"),
        (SINGLE, b'{"result": 1, "unit": "kg"}', 400, "wrong-unit"),
        ("/ingest/Datastreams(8)", b'{"result": 1}', 404, "unknown-stream"),
        (SINGLE, b'{"v": [null], "dt": 1}', 400, None),
        (SINGLE, b"x" * 300_000, 413, "too-large"),
        ("/v1.1/Things", b"{}", 404, None),
        ("/ingest/Datastreams(x)", b"{}", 404, None),
    ],
)
def test_what_is_refused(kept: Kept, path: str, content: bytes, status: int, reason: str | None) -> None:
    answer = post(kept, path, content=content)
    assert answer.status_code == status
    assert answer.json()["code"] == status
    assert answer.json()["message"]
    assert answer.json().get("reason") == reason
    assert kept.items == []


def test_a_large_message_in_pieces_without_a_length_is_stopped(kept: Kept) -> None:
    async def pieces() -> Any:
        for _ in range(100):
            yield b"x" * 10_000

    assert post(kept, SINGLE, content=pieces()).status_code == 413


def test_other_methods_and_encodings(kept: Kept) -> None:
    answer = post(kept, SINGLE, method="GET")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert post(kept, SINGLE, content=b"x", headers={"content-encoding": "gzip"}).status_code == 415


def test_who_sees_some_datastreams_is_told_nothing_of_the_others(kept: Kept) -> None:
    async def allow(_scope: Any, datastreams: Sequence[int]) -> str:
        if set(datastreams) - {7}:
            raise NotFoundError("there is no such Datastream")
        return "device 1"

    def table(id: int, result: Any) -> dict[str, Any]:
        return {"Datastream": {"@iot.id": id}, "components": ["result"], "dataArray": [[result]]}

    async def main() -> None:
        app = ingest(kept.publish, Intake(STREAMS, Limits()), allow)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            ways = [
                ("/ingest", [table(OTHER, "word")]),
                ("/ingest", [table(7, 1), table(OTHER, 1)]),
                ("/ingest", [table(7, 1), table(OTHER, None)]),
                (f"/ingest/Datastreams({OTHER})", "word"),
                (SINGLE, {"result": 1, "parameters": {"a": 1}, "Datastream": {"@iot.id": OTHER}}),
            ]
            for path, body in ways:
                text = msgspec.json.encode(body)
                there = await client.post(path, content=text)
                gone = await client.post(path.replace("9", "5"), content=text.replace(b"9", b"5"))
                assert there.status_code == gone.status_code >= 400, body
                assert there.text.replace("9", "5") == gone.text
            assert not kept.items
            key = {"idempotency-key": "a"}
            assert (await client.post(SINGLE, json={"result": 1}, headers=key)).status_code == 201

    asyncio.run(main())
    assert kept.items[-1][2] == "http|device|1|v1//1.Datastreams(7).Observations|a"


def test_an_idempotency_key_names_the_message_for_the_log(kept: Kept) -> None:
    post(kept, SINGLE, content=b'{"result": 1}', headers={"idempotency-key": "a-1"})
    assert kept.items[0][2] == "http|v1//1.Datastreams(7).Observations|a-1"
    assert post(kept, SINGLE, content=b'{"result": 1}', headers={"idempotency-key": "a 1"}).status_code == 400


def test_a_log_that_fails_is_not_the_clients_fault(kept: Kept) -> None:
    kept.fails = True
    answer = post(kept, SINGLE, content=b'{"result": 1}')
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert "the disk is full" in answer.json()["message"]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "IN_FLIGHT", 3)


@pytest.mark.usefixtures("narrow")
def test_who_comes_when_too_much_is_under_way_is_asked_to_wait(kept: Kept) -> None:
    async def main() -> tuple[list[httpx.Response], httpx.Response, httpx.Response]:
        kept.gate = asyncio.Event()
        app = ingest(kept.publish, Intake(STREAMS, Limits()))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            first = [asyncio.create_task(client.post(SINGLE, content=b'{"result": 1}')) for _ in range(3)]
            await eventually(lambda: app.standing().waiting, equals=3, every_s=0)
            over = await client.post(SINGLE, content=b'{"result": 1}')
            kept.gate.set()
            done = await asyncio.gather(*first)
            return done, over, await client.post(SINGLE, content=b'{"result": 1}')

    done, over, after = asyncio.run(main())
    assert [one.status_code for one in done] == [201, 201, 201]
    assert over.status_code == 429
    assert over.headers["retry-after"] == "1"
    assert after.status_code == 201


def test_a_flood_is_asked_to_wait_before_the_log_has_it(kept: Kept) -> None:
    async def main() -> list[int]:
        app = ingest(kept.publish, Intake(STREAMS, Limits(per_device_s=2)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return [(await client.post(SINGLE, content=b'{"result": 1}')).status_code for _ in range(12)]

    codes = asyncio.run(main())
    assert codes[:3] == [201] * 3
    assert codes[-1] == 429
    assert len(kept.items) == codes.count(201)
