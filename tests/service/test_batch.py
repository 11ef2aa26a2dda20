"""Batches, as multipart and as JSON (OGC 18-088, section 15): order, change sets, references."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.opened import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.service

SENSOR = {"name": "s", "description": "d", "encodingType": "text/html", "metadata": "about:blank"}
PROPERTY = {"name": "p", "description": "d", "definition": "http://example.org/p"}
THING = {"name": "New", "description": "Thing"}
HERE = {
    "name": "here",
    "description": "d",
    "encodingType": "application/geo+json",
    "location": {"type": "Point", "coordinates": [8, 49]},
}


def datastream(**links: Any) -> dict[str, Any]:
    return {
        "name": "ds",
        "description": "d",
        "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        "unitOfMeasurement": {"name": "metre", "symbol": "m", "definition": "ucum:m"},
        **links,
    }


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        opened(tmp_path_factory.mktemp("batch")) as node,
        httpx.Client(base_url=f"{node.root}/", timeout=30) as client,
    ):
        yield client


def lines(*parts: str) -> bytes:
    return "\r\n".join(parts).encode()


def request(method: str, url: str, body: object = None, *, id: str = "") -> tuple[str, ...]:
    head = ("Content-Type: application/http", *((f"Content-ID: {id}",) if id else ()), "")
    if body is None:
        return (*head, f"{method} {url} HTTP/1.1", "Host: localhost", "", "")
    text = json.dumps(body)
    return (*head, f"{method} {url} HTTP/1.1", "Content-Type: application/json", "", text)


def multipart(client: httpx.Client, *parts: tuple[str, ...] | list[tuple[str, ...]], **headers: str) -> str:
    said: list[str] = []
    for part in parts:
        said.append("--batch")
        if isinstance(part, list):
            said += ["Content-Type: multipart/mixed;boundary=set", ""]
            for one in part:
                said += ["--set", *one]
            said.append("--set--")
        else:
            said += part
    kind = {"content-type": "multipart/mixed;boundary=batch", **headers}
    answer = client.post("$batch", content=lines(*said, "--batch--"), headers=kind)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("multipart/mixed; boundary=")
    return answer.text.replace("\r\n", "\n")


def several(client: httpx.Client, *requests: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    answer = client.post("$batch", json={"requests": requests}, headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["responses"]
    return found


def count(client: httpx.Client, entities: str) -> int:
    found: int = client.get(f"{entities}?$count=true&$top=0").json()["@iot.count"]
    return found


def test_a_multipart_is_answered_part_by_part_in_order(client: httpx.Client) -> None:
    first = client.post("Things", json=THING).json()["@iot.id"]
    text = multipart(
        client,
        request("GET", f"/v1.1/Things({first})?$select=name"),
        [
            request("POST", "/v1.1/Things", THING, id="1"),
            request("PATCH", f"/v1.1/Things({first})", {"name": "Patched"}, id="2"),
        ],
        request("GET", "/v1.1/Things(987654321)"),
        request("GET", f"Things({first})?$select=name"),
        request("GET", f"{client.base_url}Things?$filter=name%20eq%20'Patched'&$select=name"),
    )
    statuses = [line.split()[1] for line in text.splitlines() if line.startswith("HTTP/1.1")]
    assert statuses == ["200", "201", "200", "404", "200", "200"]
    assert text.index('{"name":"New"}') < text.index("Location: ") < text.index('{"name":"Patched"}')
    assert text.index("Content-ID: 1") < text.index("Content-ID: 2")


def test_a_change_set_refers_to_what_it_has_made(client: httpx.Client) -> None:
    thing = client.post("Things", json=THING | {"Locations": [HERE]}).json()["@iot.id"]
    text = multipart(
        client,
        [
            request("POST", "Sensors", SENSOR, id="sensor1"),
            request("POST", "ObservedProperties", PROPERTY, id="p"),
            request(
                "POST",
                f"Things({thing})/Datastreams",
                datastream(Sensor={"@iot.id": "$sensor1"}, ObservedProperty={"@iot.id": "$p"}),
                id="ds",
            ),
            request("POST", "$ds/Observations", {"result": 4}, id="o"),
        ],
        request("GET", "$o?$select=result"),
        request("GET", "$ds/Sensor?$select=name"),
    )
    assert text.count("HTTP/1.1 201 Created") == 4, text
    assert '{"result":4}' in text
    assert '{"name":"s"}' in text


def test_a_change_set_that_fails_leaves_nothing_behind(client: httpx.Client) -> None:
    before = count(client, "Things"), count(client, "Sensors")
    text = multipart(
        client,
        [
            request("POST", "Things", THING, id="1"),
            request("POST", "Sensors", SENSOR, id="2"),
            request("POST", "Things", {"name": "no description"}, id="3"),
        ],
        request("GET", "Things?$top=1"),
    )
    assert [line.split()[1] for line in text.splitlines() if line.startswith("HTTP/1.1")] == ["400", "200"]
    assert (count(client, "Things"), count(client, "Sensors")) == before


def test_what_a_failed_set_made_is_not_remembered(client: httpx.Client) -> None:
    thing = client.post("Things", json=THING | {"Locations": [HERE]}).json()["@iot.id"]
    made = datastream(Sensor=SENSOR, ObservedProperty=PROPERTY)
    found = several(
        client,
        {
            "id": "a",
            "atomicityGroup": "g",
            "method": "post",
            "url": f"Things({thing})/Datastreams",
            "body": made,
        },
        {"id": "b", "atomicityGroup": "g", "method": "post", "url": "$a/Observations", "body": {"result": 1}},
        {"id": "c", "atomicityGroup": "g", "method": "delete", "url": "Things(987654321)"},
    )
    assert [one["status"] for one in found] == [424, 424, 404]
    newest = client.get("Datastreams?$orderby=id desc&$top=1&$select=id").json()["value"]
    ghost = 1 + (newest[0]["@iot.id"] if newest else 0)
    assert client.post(f"Datastreams({ghost})/Observations", json={"result": 1}).status_code == 404


def test_json_requests_groups_and_references(client: httpx.Client) -> None:
    thing = client.post("Things", json=THING).json()["@iot.id"]
    patch = {"name": "J"}
    found = several(
        client,
        {"id": "0", "method": "get", "url": f"Things({thing})?$select=name"},
        {"id": "1", "atomicityGroup": "g", "method": "post", "url": "Things", "body": THING},
        {
            "id": "2",
            "atomicityGroup": "g",
            "method": "PATCH",
            "url": f"Things({thing})",
            "body": patch,
        },
        {"id": "3", "method": "get", "url": "Things(null)"},
        {"id": "4", "method": "get", "url": "$1?$select=name"},
        {"id": "5", "method": "delete", "url": "$1"},
        {"id": "6", "method": "get", "url": "/v1.1/$1"},
    )
    assert [one["id"] for one in found] == list("0123456")
    assert [one["status"] for one in found][:3] == [200, 201, 200]
    assert found[0]["body"] == {"name": "New"}
    assert found[1]["location"] == found[1]["headers"]["location"]
    assert "body" not in found[2]
    assert found[3]["status"] in {400, 404}
    assert [one["status"] for one in found[4:]] == [200, 200, 404]


def test_a_json_request_may_wait_for_others(client: httpx.Client) -> None:
    found = several(
        client,
        {"id": "good", "method": "post", "url": "Things", "body": THING},
        {"id": "bad", "method": "post", "url": "Things", "body": {}},
        {"id": "a", "method": "get", "url": "$good", "dependsOn": ["good"]},
        {"id": "b", "method": "get", "url": "Things", "dependsOn": ["bad"]},
        {"id": "c", "method": "get", "url": "Things", "if": "not $bad/$succeeded", "dependsOn": ["bad"]},
        {"id": "d", "method": "get", "url": "Things", "if": "$bad/$succeeded", "dependsOn": ["bad"]},
        {"id": "e", "method": "get", "url": "Things", "if": "1 eq 1"},
    )
    assert [one["status"] for one in found] == [201, 400, 200, 424, 200, 424, 501]


def test_it_goes_on_after_an_error_unless_that_is_not_wanted(client: httpx.Client) -> None:
    wrong = {"id": "1", "method": "get", "url": "Nothing"}
    right = {"id": "2", "method": "get", "url": "Things?$top=1"}
    assert [one["status"] for one in several(client, wrong, right)] == [404, 200]
    stopped = several(client, wrong, right, prefer="odata.continue-on-error=false")
    assert [one["status"] for one in stopped] == [404]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/mixed", b"--a--", 400),
        ("multipart/mixed; boundary=a", b"", 400),
        ("multipart/mixed; boundary=a", b"--a\r\nContent-Type: application/http\r\n\r\nGET Things", 400),
        ("multipart/mixed; boundary=a", b"--a\r\nnonsense\r\n--a--", 400),
        ("multipart/mixed; boundary=a", b"--a\r\nContent-Type: text/plain\r\n\r\nx\r\n--a--", 400),
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'{"requests": [{"id": 1}]}', 400),
        ("application/json", b'{"requests": ' + b"[" * 100 + b"]" * 100 + b"}", 400),
        ("application/xml", b"<a/>", 415),
    ],
)
def test_what_is_no_batch_is_refused(client: httpx.Client, kind: str, body: bytes, status: int) -> None:
    assert client.post("$batch", content=body, headers={"content-type": kind}).status_code == status


def test_a_batch_has_bounds(client: httpx.Client) -> None:
    many = [{"id": str(number), "method": "get", "url": "Things?$top=0"} for number in range(1001)]
    assert client.post("$batch", json={"requests": many}).status_code == 400
    inner = {"id": "1", "method": "post", "url": "$batch", "body": {"requests": []}}
    assert [one["status"] for one in several(client, inner)] == [400]
    assert client.get("$batch").status_code == 405
