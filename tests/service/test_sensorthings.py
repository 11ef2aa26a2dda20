"""The SensorThings service from outside: every method, what is refused and how, the views of a Thing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.opened import Opened, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.service

THING = {"name": "t", "description": "d", "properties": {"a": {"b": [1, 2]}}}
PLACE = {
    "name": "here",
    "description": "d",
    "encodingType": "application/geo+json",
    "location": {"type": "Point", "coordinates": [8.5, 49]},
}
STREAM = {
    "name": "air temperature",
    "description": "d",
    "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
    "unitOfMeasurement": {"name": "degree Celsius", "symbol": "°C", "definition": "ucum:Cel"},
    "Sensor": {"name": "s", "description": "d", "encodingType": "text/html", "metadata": "about:blank"},
    "ObservedProperty": {"name": "p", "description": "d", "definition": "http://example.org/p"},
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with opened(tmp_path_factory.mktemp("things")) as node:
        yield node


@pytest.fixture(scope="module")
def client(node: Opened) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{node.root}/", timeout=30) as client:
        yield client


def make(client: httpx.Client, path: str, body: Any, **headers: str) -> httpx.Response:
    answer = client.post(path, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer


def station(client: httpx.Client) -> tuple[int, int]:
    """Make a Thing with a Location and a Datastream."""
    thing = make(client, "Things", THING | {"Locations": [PLACE], "Datastreams": [STREAM]}).json()["@iot.id"]
    stream = client.get(f"Things({thing})/Datastreams").json()["value"][0]["@iot.id"]
    return thing, stream


def test_what_is_made_is_named_by_its_address(client: httpx.Client) -> None:
    answer = make(client, "Things", THING)
    whole = client.get(answer.headers["location"]).json()
    assert answer.json() == {name: whole[name] for name in ("@iot.id", "@iot.selfLink")}
    assert whole["@iot.selfLink"] == answer.headers["location"]
    full = make(client, "Things", THING, prefer="return=representation").json()
    assert full["properties"] == THING["properties"]
    minimal = client.post("Things", json=THING, headers={"prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (201, b"")
    assert minimal.headers["preference-applied"] == "return=minimal"


def test_an_observation_is_there_when_its_making_is_answered(client: httpx.Client) -> None:
    _, stream = station(client)
    for body in (
        {"result": 1},
        {"result": 2, "parameters": {"a": 1}, "phenomenonTime": "2020-01-01T00:00:00Z/2020-01-02T00:00:00Z"},
        {"result": 3, "FeatureOfInterest": {"name": "f", "description": "d", **_feature()}},
        {"result": "text"},
    ):
        answer = make(client, f"Datastreams({stream})/Observations", body)
        found = client.get(answer.headers["location"]).json()
        assert found["result"] == body["result"]
        assert found.get("parameters") == body.get("parameters")
        assert client.get(f"{answer.headers['location']}/FeatureOfInterest").status_code == 200
    count = client.get(f"Datastreams({stream})/Observations?$count=true&$top=0").json()["@iot.count"]
    assert count == 4


def _feature() -> dict[str, Any]:
    return {"encodingType": "application/geo+json", "feature": PLACE["location"]}


def test_observations_are_changed_under_their_id_and_deleted(client: httpx.Client) -> None:
    _, stream = station(client)
    one = make(client, f"Datastreams({stream})/Observations", {"result": 1, "resultQuality": "good"})
    place = one.headers["location"]
    before = client.get(place).json()
    assert client.patch(place, json={"result": 5}).json()["result"] == 5
    after = client.get(place).json()
    assert after == before | {"result": 5}
    patch = [{"op": "test", "path": "/result", "value": 5}, {"op": "remove", "path": "/resultQuality"}]
    assert client.patch(place, json=patch).status_code == 200
    assert "resultQuality" not in client.get(place).json()
    failing = [{"op": "test", "path": "/result", "value": 6}]
    assert client.patch(place, json=failing).status_code in {400, 409}
    assert client.put(place, json={"result": 7, "phenomenonTime": "2021-01-01T00:00:00Z"}).status_code == 200
    found = client.get(place).json()
    assert (found["result"], found["phenomenonTime"]) == (7, "2021-01-01T00:00:00.000Z")
    assert client.delete(place).status_code == 200
    assert client.get(place).status_code == 404
    assert client.delete(place).status_code == 404
    assert client.patch(place, json={"result": 1}).status_code == 404


def test_entities_are_changed_and_parted(client: httpx.Client) -> None:
    thing, stream = station(client)
    assert client.patch(f"Things({thing})", json={"name": "new"}).json()["name"] == "new"
    patch = [{"op": "add", "path": "/properties/c", "value": 3}]
    typed = {"content-type": "application/json-patch+json"}
    answer = client.patch(f"Things({thing})", content=json.dumps(patch), headers=typed)
    assert answer.json()["properties"] == {"a": {"b": [1, 2]}, "c": 3}
    minimal = client.put(f"Things({thing})", json=THING, headers={"prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (204, b"")
    other = make(client, "Locations", PLACE).json()["@iot.id"]
    assert client.post(f"Things({thing})/Locations/$ref", json={"@iot.id": other}).status_code == 204
    assert len(client.get(f"Things({thing})/Locations/$ref").json()["value"]) >= 1
    assert client.delete(f"Things({thing})/Locations({other})/$ref").status_code == 204
    assert client.delete(f"Datastreams({stream})/Thing/$ref").status_code in {400, 409}
    address = {"@iot.selfLink": f"{client.base_url}Things({make(client, 'Things', THING).json()['@iot.id']})"}
    assert client.put(f"Datastreams({stream})/Thing/$ref", json=address).status_code == 204
    found = client.get(f"Datastreams({stream})/Thing").json()["@iot.selfLink"]
    assert found == address["@iot.selfLink"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "Things", "GET, HEAD, POST"),
        ("DELETE", "Things", "GET, HEAD, POST"),
        ("DELETE", "Things?$filter=id%20eq%201", "GET, HEAD, POST"),
        ("POST", "Things(1)", "GET, HEAD, PATCH, PUT, DELETE"),
        ("PATCH", "Things(1)/name", "GET, HEAD"),
        ("DELETE", "Things(1)/name/$value", "GET, HEAD"),
        ("POST", "", "GET, HEAD"),
        ("GET", "CreateObservations", "POST"),
        ("PUT", "$batch", "POST"),
        ("TRACE", "Things", "GET, HEAD, POST"),
    ],
)
def test_a_method_that_does_not_belong_is_refused(
    client: httpx.Client, method: str, path: str, allow: str
) -> None:
    station(client)
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allow
    assert answer.json()["type"] == "error"


def test_options_tells_the_methods_and_nothing_is_for_other_sites(client: httpx.Client) -> None:
    answer = client.options("Things")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, POST")
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert client.get("Things", headers={"origin": "http://evil.example"}).status_code == 403
    assert client.get("Things", headers={"host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"name": "n", "description": "d"}', "", 201),
        (b'{"name": "n", "description": "d"}', "application/json; charset=utf-8", 201),
        (b'{"name": "n", "description": "d"}', "application/ld+json", 201),
        (b'{"name": "n", "description": "d"}', "application/xml", 415),
        (b'{"name": "n", "description": "d"}', "application/x-www-form-urlencoded", 201),
        (b"name=n&description=d", "application/x-www-form-urlencoded", 400),
        (b'{"name": "n",', "application/json", 400),
        (b'{"name": NaN, "description": "d"}', "application/json", 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "application/json", 400),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "application/json", 400),
        (b'{"name": "\xff", "description": "d"}', "application/json", 400),
        (b'{"name": "' + b"x" * (17 << 20) + b'"}', "application/json", 413),
    ],
    ids=range(15),
)
def test_bodies_are_read_or_refused(client: httpx.Client, body: bytes, kind: str, status: int) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = client.post("Things", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert {"code", "type", "message"} <= answer.json().keys()
    if body == b'{"name": "n",':
        assert "byte 13" in answer.json()["message"]


def test_a_packed_body_is_refused(client: httpx.Client) -> None:
    answer = client.post("Things", content=b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "path", ["Things({})/", "/Things({})", "Things%28{}%29", "Things({})?", "%54hings({})"]
)
def test_paths_are_read_however_they_are_written(node: Opened, client: httpx.Client, path: str) -> None:
    thing = make(client, "Things", THING).json()["@iot.id"]
    where = urlsplit(node.root)
    with socket.create_connection((where.hostname, where.port or 0), timeout=10) as raw:
        line = f"GET /v1.1/{path.format(thing)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        raw.sendall(line.encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert f'"@iot.id":{thing}'.encode() in answer


def test_head_gives_the_headers_alone(client: httpx.Client) -> None:
    answer = client.head("Things?$top=1")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_data_arrays_answer_row_by_row(client: httpx.Client) -> None:
    _, first = station(client)
    _, second = station(client)
    feature = make(client, "FeaturesOfInterest", {"name": "f", "description": "d", **_feature()}).json()[
        "@iot.id"
    ]
    groups = [
        {
            "Datastream": {"@iot.id": first},
            "components": ["phenomenonTime", "result", "FeatureOfInterest/id"],
            "dataArray@iot.count": 3,
            "dataArray": [
                ["2010-12-23T10:20:00-07:00", 20, feature],
                ["2010-12-23T10:21:00-07:00", 30, "probablyNotAValidId"],
                ["2010-12-23T10:22:00-07:00", 40, 987654321],
            ],
        },
        {
            "Datastream": {"@iot.id": second},
            "components": ["phenomenonTime", "result"],
            "dataArray": [["2010-12-23T10:20:00-07:00", 65], ["2010-12-23T10:21:00-07:00", 60], ["never", 1]],
        },
        {"Datastream": {"@iot.id": 987654321}, "components": ["result"], "dataArray": [[1], [2]]},
    ]
    answer = client.post("CreateObservations", json=groups)
    assert answer.status_code == 201, answer.text
    links = answer.json()
    assert [link == "error" for link in links] == [False, True, True, False, False, True, True, True]
    results = [client.get(link).json()["result"] for link in links if link != "error"]
    assert results == [20, 65, 60]
    assert client.get(f"{links[0]}/FeatureOfInterest").json()["@iot.id"] == feature
    made = {client.get(f"{link}/FeatureOfInterest").json()["@iot.id"] for link in links[3:5]}
    assert len(made) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        [{"components": ["result"], "dataArray": [[1]]}],
        [{"Datastream": {"@iot.id": 1}, "components": ["phenomenonTime"], "dataArray": [["x"]]}],
        [{"Datastream": {"@iot.id": 1}, "components": ["result"], "dataArray": {}}],
        [{"Datastream": {"@iot.id": 1}, "components": ["result"]}],
    ],
)
def test_what_is_no_data_array_is_refused(client: httpx.Client, body: Any) -> None:
    assert client.post("CreateObservations", json=body).status_code == 400


def test_a_thing_as_ngsi_ld(client: httpx.Client) -> None:
    thing, stream = station(client)
    make(
        client,
        f"Datastreams({stream})/Observations",
        {"result": 21.5, "phenomenonTime": "2026-01-01T00:00:00Z"},
    )
    answer = client.get(f"Things({thing})/ngsi-ld")
    assert answer.headers["content-type"] == "application/ld+json"
    found = answer.json()
    assert found["id"] == f"urn:ngsi-ld:Thing:{thing}"
    assert found["location"] == {"type": "GeoProperty", "value": PLACE["location"]}
    measured = found["air_temperature"]
    assert (measured["value"], measured["unitCode"]) == (21.5, "CEL")
    assert measured["observedAt"] == "2026-01-01T00:00:00.000Z"
    assert found["@context"][-1].endswith("ngsi-ld-core-context-v1.8.jsonld")
    assert client.get(f"Datastreams({stream})/ngsi-ld").status_code == 404


def test_a_thing_as_a_thing_description(client: httpx.Client, node: Opened) -> None:
    thing, stream = station(client)
    capability = {
        "name": "light",
        "description": "d",
        "taskingParameters": {
            "type": "DataRecord",
            "field": [{"name": "on", "label": "on", "type": "Boolean"}],
        },
        "Thing": {"@iot.id": thing},
        "Actuator": {"name": "a", "description": "d", "encodingType": "text/html", "metadata": "about:blank"},
    }
    make(client, "TaskingCapabilities", capability)
    make(client, f"Datastreams({stream})/Observations", {"result": 21.5})
    answer = client.get(f"Things({thing})/td")
    assert answer.headers["content-type"] == "application/td+json"
    found = answer.json()
    assert found["@context"][0] == "https://www.w3.org/2022/wot/td/v1.1"
    assert found["securityDefinitions"] == {"access": {"scheme": "nosec"}}
    read, follow = found["properties"]["air_temperature"]["forms"]
    assert client.get(found["base"] + read["href"]).json()["value"][0]["result"] == 21.5
    assert follow["href"] == f"mqtt://127.0.0.1:{node.mqtt_port}"
    assert follow["mqv:filter"] == f"v1.1/Datastreams({stream})/Observations"
    action = found["actions"]["light"]
    assert action["input"]["properties"]["taskingParameters"]["properties"]["on"]["type"] == "boolean"
    task = client.post(found["base"] + action["forms"][0]["href"], json={"taskingParameters": {"on": True}})
    assert task.status_code == 201


def test_two_open_nodes_run_side_by_side_on_ports_nobody_chose(node: Opened, tmp_path: Path) -> None:
    with opened(tmp_path) as other:
        assert other.mqtt_port != node.mqtt_port
        assert httpx.get(f"{other.root}/Things").json() == {"value": []}
        settings = httpx.get(other.root).json()["serverSettings"]
        endpoints = [one["endpoints"] for one in settings.values() if isinstance(one, dict)]
        assert endpoints
        assert all(one == [f"mqtt://127.0.0.1:{other.mqtt_port}"] for one in endpoints)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "[::]"])
def test_an_open_node_serves_this_machine_only(host: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nervure.cli", "up", "--open", "--http", f"{host}:8088"]
    done = subprocess.run(
        [*command, "--data", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "may only listen on this machine" in done.stderr
