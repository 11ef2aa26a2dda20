"""The root of the service, and what HTTP asks of every resource (18-088 sections 9.2.1, 9.3.1)."""

from __future__ import annotations

import pytest

from tests.conformance.client import Client, at
from tests.conformance.model import KINDS
from tests.conformance.requirement import REQUIREMENTS, requirement
from tests.conformance.sample import Station, thing


@requirement("resource-path/resource-path-to-entities")
def test_the_root_lists_every_entity_set(client: Client) -> None:
    listed = {one["name"]: one["url"] for one in client.get("")["value"]}
    assert {kind.entities for kind in KINDS} <= set(listed)
    for kind in KINDS:
        assert listed[kind.entities] == f"{client.root}/{kind.entities}"
        assert "value" in client.get(listed[kind.entities], top=1)


@requirement("resource-path/resource-path-to-entities")
def test_the_root_says_which_requirements_are_met(client: Client) -> None:
    declared = client.get("")["serverSettings"]["conformance"]
    missing = [one for one in REQUIREMENTS if not any(one.startswith(part) for part in declared)]
    assert not missing


@requirement("receive-updates-via-mqtt/receive-updates", "create-observations-via-mqtt/observations-creation")
def test_the_root_says_where_mqtt_is(client: Client) -> None:
    settings = client.get("")["serverSettings"]
    for name in (
        "create-observations-via-mqtt/observations-creation",
        "receive-updates-via-mqtt/receive-updates",
    ):
        uri = f"http://www.opengis.net/spec/iot_sensing/1.1/req/{name}"
        assert any(str(client.mqtt_port) in one for one in settings[uri]["endpoints"])


@requirement("resource-path/resource-path-to-entities")
def test_the_root_answers_with_a_slash_too(client: Client) -> None:
    assert client.send("GET", f"{client.root}/").json() == client.get("")


@requirement("request-data/status-code")
@pytest.mark.parametrize("path", ["", "Things", "Things?$count=true&$top=1"])
def test_head_is_get_without_a_body(client: Client, path: str) -> None:
    answer = client.send("HEAD", path)
    assert answer.status_code == 200
    assert answer.content == b""
    assert int(answer.headers["content-length"]) > 0


@requirement("request-data/status-code")
def test_head_of_what_is_not_there_is_404(client: Client) -> None:
    assert client.send("HEAD", "Things(987654321)").status_code == 404


@requirement("request-data/status-code")
@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("Things", {"GET", "POST"}),
        ("Things({key})", {"GET", "PATCH", "PUT", "DELETE"}),
        ("CreateObservations", {"POST"}),
        ("$batch", {"POST"}),
    ],
)
def test_options_says_which_methods_there_are(
    client: Client, home: Station, path: str, methods: set[str]
) -> None:
    answer = client.send("OPTIONS", path.format(key=home.ids["Thing"]))
    assert answer.status_code in {200, 204}
    assert methods <= {one.strip() for one in answer.headers["allow"].split(",")}


@requirement("request-data/status-code")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", ""),
        ("PUT", "Things"),
        ("PATCH", "Things"),
        ("GET", "CreateObservations"),
        ("GET", "$batch"),
        ("PUT", "CreateObservations"),
    ],
)
def test_a_method_that_is_not_there_is_405(client: Client, method: str, path: str) -> None:
    answer = client.send(method, path)
    assert answer.status_code == 405, answer.text
    assert answer.headers["allow"]


@requirement("request-data/status-code")
def test_posting_to_an_entity_is_no_creation(client: Client, home: Station) -> None:
    client.refuse("POST", home.path("Thing"), thing(), 400, 404, 405)


@requirement("request-data/status-code")
@pytest.mark.parametrize(
    "path",
    [
        "Nothings",
        "things",
        "Things(1)/Nothings",
        "Things(1)/nothing",
        "Things(1)/Sensor",
        "Thing",
        "Things(1)/name/more",
        "Observations(1)/Thing",
        "Things(1)/Locations(1)/nothing",
    ],
)
def test_an_unknown_path_is_404(client: Client, path: str) -> None:
    assert client.status(path) == 404


@requirement("request-data/status-code")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("key", [987_654_321, 2**63 - 1, 2**64 + 7, 0, "nobody", "it''s", ""])
def test_an_absent_entity_is_404(client: Client, kind: object, key: int | str) -> None:
    entities = kind.entities  # type: ignore[attr-defined]
    assert client.status(at(entities, key)) == 404


@requirement("request-data/status-code")
@pytest.mark.parametrize("key", ["-1", "null", "1.5", "abc", "'open", "1,2", "", "1 or 1 eq 1"])
def test_an_unreadable_key_is_no_entity(client: Client, key: str) -> None:
    assert client.status(f"Things({key})") in {400, 404}


@requirement("request-data/status-code")
def test_a_query_too_long_is_refused(client: Client) -> None:
    answer = client.ask("Things", filter=f"name eq '{'x' * 60_000}'")
    assert answer.status_code in {400, 413, 414, 431}


@requirement("request-data/status-code")
def test_a_body_too_large_is_refused(client: Client) -> None:
    answer = client.send("POST", "Things", thing(description="x" * 30_000_000))
    assert answer.status_code in {400, 413}


@requirement("request-data/status-code")
def test_a_document_is_json(client: Client, home: Station) -> None:
    answer = client.send("GET", home.path("Thing"), headers={"accept": "application/json"})
    assert answer.headers["content-type"].startswith("application/json")
