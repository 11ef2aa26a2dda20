"""Batch requests as multipart (18-088 section 11) and as JSON (OData 4.01)."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from tests.conformance.client import Client, Json, link
from tests.conformance.requirement import requirement
from tests.conformance.sample import datastream, feature, grid, observed_property, sensor, thing, unique

BATCH = requirement("batch-request/batch-request")


def _part(line: str, body: Any = None, number: str = "") -> str:
    head = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
    head += f"Content-ID: {number}\r\n" if number else ""
    text = "" if body is None else json.dumps(body, ensure_ascii=False)
    inner = "Host: localhost\r\n"
    if text:
        inner += f"Content-Type: application/json\r\nContent-Length: {len(text.encode())}\r\n"
    return f"{head}\r\n{line} HTTP/1.1\r\n{inner}\r\n{text}"


def _change_set(*parts: str) -> str:
    inner = "".join(f"--changeset_1\r\n{part}\r\n" for part in parts)
    return f"Content-Type: multipart/mixed;boundary=changeset_1\r\n\r\n{inner}--changeset_1--\r\n"


def _send(client: Client, *parts: str) -> httpx.Response:
    body = "".join(f"--batch_1\r\n{part}\r\n" for part in parts) + "--batch_1--\r\n"
    headers = {"content-type": "multipart/mixed;boundary=batch_1"}
    return client.send("POST", "$batch", content=body.encode(), headers=headers)


def _statuses(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("multipart/mixed")
    return [int(one) for one in re.findall(r"^HTTP/1.1 (\d{3})", answer.text, re.MULTILINE | re.IGNORECASE)]


def _bodies(answer: httpx.Response) -> list[Any]:
    return [json.loads(one) for one in re.findall(r"^(\{.*\})\s*$", answer.text, re.MULTILINE)]


@BATCH
def test_parts_are_answered_in_order(client: Client) -> None:
    key = client.create("Things", thing(name="before"))
    answer = _send(
        client,
        _part(f"GET /v1.1/Things({key})?$select=name"),
        _change_set(
            _part("POST /v1.1/Things", thing(name="Straße"), "1"),
            _part(f"PATCH /v1.1/Things({key})", {"name": "after"}, "2"),
        ),
        _part("GET /v1.1/Things(987654321)"),
        _part(f"GET /v1.1/Things({key})/name"),
    )
    statuses = _statuses(answer)
    assert statuses[:2] == [200, 201]
    assert statuses[2] in {200, 204}
    assert statuses[3:] == [404, 200]
    bodies = _bodies(answer)
    assert bodies[0] == {"name": "before"}
    assert bodies[-1] == {"name": "after"}
    made = re.search(r"^Location: (\S+)", answer.text, re.MULTILINE | re.IGNORECASE)
    assert made
    assert client.get(made[1])["name"] == "Straße"
    assert re.findall(r"Content-ID: (\S+)", answer.text, re.IGNORECASE) == ["1", "2"]


@BATCH
@pytest.mark.parametrize("start", ["/v1.1/", "", "{root}/"])
def test_addresses_of_every_form(client: Client, start: str) -> None:
    mark = unique("batch").replace(" ", "-")
    client.create("Things", thing(name=mark))
    path = f"{start.format(root=client.root)}Things?$filter=name%20eq%20'{mark}'&$select=name&$count=true"
    answer = _send(client, _part(f"GET {path}"))
    assert _statuses(answer) == [200]
    (found,) = _bodies(answer)
    assert found == {"@iot.count": 1, "value": [{"name": mark}]}


@BATCH
def test_a_change_set_refers_to_what_it_made(client: Client) -> None:
    top = client.create("Things", thing())
    watched = client.create("ObservedProperties", observed_property())
    mark = unique("referred")
    stream = datastream(name=mark, Sensor=link("$tool"), ObservedProperty=link(watched))
    answer = _send(
        client,
        _change_set(
            _part("POST /v1.1/Sensors", sensor(), "tool"),
            _part(f"POST /v1.1/Things({top})/Datastreams", stream, "stream"),
        ),
    )
    assert _statuses(answer) == [201, 201]
    (found,) = client.values(f"Things({top})/Datastreams", expand="Sensor,ObservedProperty")
    assert found["name"] == mark
    assert found["ObservedProperty"]["@iot.id"] == watched
    assert found["Sensor"]["name"].startswith("sensor")


@BATCH
def test_a_change_set_posts_below_what_it_made(client: Client) -> None:
    mark = unique("below")
    answer = _send(
        client,
        _change_set(
            _part("POST /v1.1/Things", thing(name=mark), "top"),
            _part("POST $top/Datastreams", datastream(), "stream"),
            _part("PATCH $top", {"description": "patched"}, "patch"),
        ),
    )
    statuses = _statuses(answer)
    assert statuses[:2] == [201, 201]
    (found,) = client.values("Things", filter=f"name eq '{mark}'", expand="Datastreams")
    assert len(found["Datastreams"]) == 1
    assert found["description"] == "patched"


@BATCH
def test_a_change_set_is_whole_or_not_at_all(client: Client) -> None:
    mark = unique("atomic")
    answer = _send(
        client,
        _change_set(
            _part("POST /v1.1/Things", thing(name=mark), "1"),
            _part("POST /v1.1/Things", {"name": mark}, "2"),
        ),
        _part("GET /v1.1/Things?$top=0"),
    )
    statuses = _statuses(answer)
    assert 400 in statuses
    assert statuses[-1] == 200
    assert client.values("Things", filter=f"name eq '{mark}'") == []


@BATCH
def test_requests_outside_a_change_set_stand_alone(client: Client) -> None:
    mark = unique("alone")
    answer = _send(
        client,
        _part("POST /v1.1/Things", thing(name=mark)),
        _part("POST /v1.1/Things", {"name": mark}),
        _part("POST /v1.1/Things", thing(name=mark)),
    )
    assert _statuses(answer) == [201, 400, 201]
    assert len(client.values("Things", filter=f"name eq '{mark}'")) == 2


@BATCH
def test_observations_and_deletions_in_a_batch(client: Client) -> None:
    path = grid(client, [1])
    (old,) = client.ids(f"{path}/Observations")
    answer = _send(
        client,
        _change_set(
            _part(f"POST /v1.1/{path}/Observations", {"result": 2}, "1"),
            _part(f"DELETE /v1.1/Observations({old})", None, "2"),
        ),
        _part(f"GET /v1.1/{path}/Observations?$select=result"),
    )
    assert _statuses(answer)[0] == 201
    assert client.results(f"{path}/Observations") == [2]
    assert _bodies(answer)[-1]["value"] == [{"result": 2}]


@BATCH
def test_lines_may_end_without_carriage_return(client: Client) -> None:
    key = client.create("Things", thing())
    body = f"--batch_1\r\n{_part(f'GET /v1.1/Things({key})/name')}\r\n--batch_1--".replace("\r\n", "\n")
    headers = {"content-type": 'multipart/mixed; boundary="batch_1"'}
    answer = client.send("POST", "$batch", content=body.encode(), headers=headers)
    assert _statuses(answer) == [200]


@BATCH
@requirement("request-data/status-code")
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/mixed", "--a\r\n\r\n--a--"),
        ("multipart/mixed;boundary=a", "nothing of it"),
        ("multipart/mixed;boundary=a", "--a\r\nContent-Type: text/plain\r\n\r\nhello\r\n--a--"),
        ("text/plain", "hello"),
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/json", '{"requests": 5}'),
        ("application/json", '{"requests": [5]}'),
        ("application/json", '{"requests": [{"id": "1"}]}'),
    ],
)
def test_a_malformed_batch_is_400(client: Client, kind: str, content: str) -> None:
    answer = client.send("POST", "$batch", content=content, headers={"content-type": kind})
    assert answer.status_code in {400, 415} or "400" in answer.text


def _json(client: Client, *requests: Json) -> dict[str, Json]:
    answer = client.send("POST", "$batch", {"requests": list(requests)})
    assert answer.status_code == 200, answer.text
    found = answer.json()["responses"]
    assert [one["id"] for one in found] == [one["id"] for one in requests]
    return {one["id"]: one for one in found}


@BATCH
def test_json_requests(client: Client) -> None:
    key = client.create("Things", thing(name="before"))
    found = _json(
        client,
        {"id": "0", "method": "get", "url": f"Things({key})?$select=name"},
        {"id": "1", "atomicityGroup": "g", "method": "post", "url": "Things", "body": thing(name="new")},
        {
            "id": "2",
            "atomicityGroup": "g",
            "method": "PATCH",
            "url": f"/v1.1/Things({key})",
            "body": {"name": "x"},
        },
        {"id": "3", "method": "get", "url": f"{client.root}/Things(987654321)"},
        {"id": "4", "method": "get", "url": f"Things({key})/name"},
    )
    assert found["0"]["body"] == {"name": "before"}
    assert found["1"]["status"] == 201
    place = found["1"].get("location") or found["1"]["headers"]["location"]
    assert client.get(place)["name"] == "new"
    assert found["2"]["status"] in {200, 204}
    assert found["3"]["status"] == 404
    assert found["3"]["body"]["message"]
    assert found["4"]["body"] == {"name": "x"}


@BATCH
def test_json_requests_refer_to_each_other(client: Client) -> None:
    found = _json(
        client,
        {"id": "tool", "atomicityGroup": "g", "method": "post", "url": "Sensors", "body": sensor()},
        {"id": "top", "atomicityGroup": "g", "method": "post", "url": "Things", "body": thing()},
        {
            "id": "stream",
            "atomicityGroup": "g",
            "method": "post",
            "url": "$top/Datastreams",
            "body": datastream(Sensor=link("$tool")),
        },
        {
            "id": "seen",
            "atomicityGroup": "g",
            "method": "post",
            "url": "$stream/Observations",
            "body": {"result": 1, "FeatureOfInterest": feature()},
        },
    )
    assert [one["status"] for one in found.values()] == [201] * 4
    place = found["stream"].get("location") or found["stream"]["headers"]["location"]
    tool = found["tool"].get("location") or found["tool"]["headers"]["location"]
    assert client.get(f"{place}/Sensor")["@iot.selfLink"] == tool
    assert client.results(f"{place}/Observations") == [1]


@BATCH
def test_a_json_group_is_whole_or_not_at_all(client: Client) -> None:
    mark = unique("group")
    found = _json(
        client,
        {"id": "1", "atomicityGroup": "g", "method": "post", "url": "Things", "body": thing(name=mark)},
        {"id": "2", "atomicityGroup": "g", "method": "post", "url": "Things", "body": {"name": mark}},
        {"id": "3", "method": "post", "url": "Things", "body": thing(name=mark)},
    )
    assert found["1"]["status"] >= 400
    assert found["2"]["status"] >= 400
    assert found["3"]["status"] == 201
    assert len(client.values("Things", filter=f"name eq '{mark}'")) == 1
