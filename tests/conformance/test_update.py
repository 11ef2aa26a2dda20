"""Changing entities: PATCH, PUT and JSON Patch (18-088 section 10.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conformance.client import Client, Id, Json, at, link
from tests.conformance.model import BY_NAME, KINDS, Kind
from tests.conformance.requirement import requirement
from tests.conformance.sample import (
    Station,
    datastream,
    feature,
    grid,
    location,
    observed_property,
    point,
    sensor,
    station,
    thing,
)

PATCH = requirement("create-update-delete/update-entity")
PUT = requirement("create-update-delete/update-entity-put")
JSON_PATCH = requirement("create-update-delete/update-entity-jsonpatch")
UNIT = {"name": "Entropy", "symbol": "S", "definition": "http://qudt.org/vocab/unit#Entropy"}
START = {"a": 1, "list": [1, 2], "deep": {"b": 2}}
CHANGES: list[tuple[str, Json]] = [
    ("Thing", {"name": "changed"}),
    ("Thing", {"description": "changed", "properties": {"new": 1}}),
    ("Location", {"location": point(114, -50)}),
    ("Location", {"name": "changed", "encodingType": "application/vnd.geo+json"}),
    ("HistoricalLocation", {"time": "2015-07-01T00:00:00.000Z"}),
    ("Datastream", {"description": "changed", "properties": {"new": 1}}),
    ("Datastream", {"unitOfMeasurement": UNIT, "observationType": "http://example.org/type"}),
    ("MultiDatastream", {"name": "changed", "unitOfMeasurements": [UNIT, UNIT]}),
    ("Sensor", {"metadata": {"changed": True}}),
    ("ObservedProperty", {"definition": "http://example.org/other"}),
    ("FeatureOfInterest", {"feature": point(114, -51), "name": "changed"}),
    ("Observation", {"result": 99}),
    ("Observation", {"result": "ninety nine"}),
    ("Observation", {"result": None}),
    ("Observation", {"phenomenonTime": "2015-07-01T00:40:00.000Z"}),
    ("Observation", {"resultTime": "2015-07-01T00:40:00.000Z", "parameters": {"new": 1}}),
    ("Observation", {"validTime": "2015-07-01T00:40:00.000Z/2015-07-02T00:40:00.000Z"}),
    ("Observation", {"resultQuality": "bad"}),
    ("Actuator", {"metadata": "changed"}),
    ("TaskingCapability", {"name": "changed", "properties": None}),
]


@pytest.fixture(scope="module")
def own(client: Client) -> Station:
    """A station of these tests alone, to be changed."""
    return station(client)


def _plain(entity: Json) -> Json:
    return {name: value for name, value in entity.items() if "@" not in name}


@PATCH
@pytest.mark.parametrize(
    ("kind", "change"), CHANGES, ids=lambda one: one if isinstance(one, str) else ",".join(one)
)
def test_patch_changes_only_what_is_named(client: Client, own: Station, kind: str, change: Json) -> None:
    before = _plain(client.get(own.path(kind)))
    client.change("PATCH", own.path(kind), change)
    after = _plain(client.get(own.path(kind)))
    expected = before | change
    assert {name: _same(value) for name, value in after.items() if value is not None} == {
        name: _same(value) for name, value in expected.items() if value is not None
    }


def _same(value: Any) -> Any:
    return value.replace(".000Z", "Z") if isinstance(value, str) else value


@PATCH
def test_patch_of_a_property_replaces_it_whole(client: Client) -> None:
    key = client.create("Things", thing(properties={"a": 1, "b": {"c": 2}}))
    client.change("PATCH", f"Things({key})", {"properties": {"b": {"d": 3}}})
    assert client.get(f"Things({key})")["properties"] == {"b": {"d": 3}}


@PATCH
def test_patch_keeps_the_id_and_the_links(client: Client, own: Station) -> None:
    before = client.get(own.path("Datastream"))
    client.change("PATCH", own.path("Datastream"), {"name": "again", "@iot.id": 987_654_321})
    after = client.get(own.path("Datastream"))
    assert after["@iot.id"] == before["@iot.id"]
    assert {name: after[name] for name in after if "@" in name} == {
        name: before[name] for name in before if "@" in name
    }


@PATCH
def test_patch_by_way_of_the_parent(client: Client, own: Station) -> None:
    path = f"{own.path('Thing')}/Datastreams({own.ids['Datastream']})/Sensor"
    client.change("PATCH", path, {"description": "by way of the parent"})
    assert client.get(own.path("Sensor"))["description"] == "by way of the parent"


@PATCH
def test_patch_of_a_link(client: Client) -> None:
    stream = client.create("Datastreams", datastream(Thing=thing()))
    others = {
        "Thing": client.create("Things", thing()),
        "Sensor": client.create("Sensors", sensor()),
        "ObservedProperty": client.create("ObservedProperties", observed_property()),
    }
    for name, key in others.items():
        client.change("PATCH", f"Datastreams({stream})", {name: link(key)})
        assert client.get(f"Datastreams({stream})/{name}")["@iot.id"] == key


@PATCH
def test_patch_of_the_links_of_an_observation(client: Client) -> None:
    path = grid(client, [1])
    (key,) = client.ids(f"{path}/Observations")
    seen = client.create("FeaturesOfInterest", feature())
    client.change("PATCH", f"Observations({key})", {"FeatureOfInterest": link(seen)})
    assert client.get(f"Observations({key})/FeatureOfInterest")["@iot.id"] == seen
    other = grid(client, [])
    client.change("PATCH", f"Observations({key})", {"Datastream": link(int(other[12:-1]))})
    assert client.results(f"{path}/Observations") == []
    assert client.results(f"{other}/Observations") == [1]


@PATCH
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Thing", {"Locations": [location()]}),
        ("Thing", {"Datastreams": [{"unitOfMeasurement": UNIT}]}),
        ("Sensor", {"Datastreams": [{"unitOfMeasurement": UNIT}]}),
        ("ObservedProperty", {"Datastreams": [{"unitOfMeasurement": UNIT}]}),
        ("Datastream", {"ObservedProperty": observed_property()}),
        ("Datastream", {"Sensor": sensor()}),
        ("Datastream", {"Thing": thing()}),
        ("Datastream", {"Observations": [{"result": 1}]}),
    ],
    ids=lambda one: one if isinstance(one, str) else ",".join(one),
)
def test_patch_makes_no_related_entities(client: Client, own: Station, kind: str, change: Json) -> None:
    client.refuse("PATCH", own.path(kind), change)


@PATCH
@requirement("request-data/status-code")
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Thing", {"name": None}),
        ("Thing", {"name": 5}),
        ("Thing", {"properties": "x"}),
        ("Location", {"location": None}),
        ("Datastream", {"unitOfMeasurement": "x"}),
        ("Datastream", {"Sensor": link(987_654_321)}),
        ("Datastream", {"Sensor": None}),
        ("Observation", {"phenomenonTime": "never"}),
        ("Observation", {"Datastream": link(987_654_321)}),
        ("HistoricalLocation", {"time": "never"}),
        ("Thing", 5),
        ("Thing", []),
    ],
    ids=str,
)
def test_a_malformed_patch_is_400(client: Client, own: Station, kind: str, change: Any) -> None:
    client.refuse("PATCH", own.path(kind), change, 400, 404, 409)


@PATCH
@PUT
@requirement("request-data/status-code")
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_change_of_what_is_not_there_is_404(client: Client, own: Station, method: str, kind: Kind) -> None:
    whole = _plain(client.get(own.path(kind.name)))
    client.refuse(method, at(kind.entities, 987_654_321), whole, 404)


@PATCH
def test_a_foreign_path_changes_nothing(client: Client, own: Station) -> None:
    other = client.create("Things", thing())
    path = f"Things({other})/Datastreams({own.ids['Datastream']})"
    client.refuse("PATCH", path, {"name": "x"}, 404)
    client.refuse("PATCH", f"{path}/Observations({own.ids['Observation']})", {"result": 3}, 404)
    client.refuse("PUT", f"{path}/Observations({own.ids['Observation']})", {"result": 3}, 404)


@PUT
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_put_of_what_was_got(client: Client, own: Station, kind: Kind) -> None:
    """A client may send back what it got, with its control information."""
    whole = client.get(own.path(kind.name))
    client.change("PUT", own.path(kind.name), whole)
    assert client.get(own.path(kind.name)) == whole


@PUT
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_put_replaces_and_keeps_the_relations(client: Client, own: Station, kind: Kind) -> None:
    before = client.get(own.path(kind.name))
    given = {name: before[name] for name in kind.required}
    client.change("PUT", own.path(kind.name), given)
    after = client.get(own.path(kind.name))
    for name in kind.required:
        assert after[name] == before[name]
    for name in kind.one:
        assert client.get(f"{own.path(kind.name)}/{name}")["@iot.id"] == own.ids[name]
    if "properties" in kind.optional:
        assert not after.get("properties")


@PUT
def test_put_of_an_observation_clears_what_is_not_given(client: Client) -> None:
    rows = [{"result": 1, "parameters": {"a": 1}, "resultTime": "2020-01-01T00:00:00Z", "resultQuality": "x"}]
    path = grid(client, [], Observations=rows)
    (key,) = client.ids(f"{path}/Observations")
    client.change("PUT", f"Observations({key})", {"result": "99", "phenomenonTime": "2015-08-01T00:40:00Z"})
    found = client.get(f"Observations({key})")
    assert found["result"] == "99"
    assert found["phenomenonTime"].startswith("2015-08-01T00:40:00")
    assert found.get("parameters") is None
    assert found.get("resultQuality") is None
    assert found["resultTime"] is None


@PUT
@requirement("request-data/status-code")
@pytest.mark.parametrize("kind", ["Thing", "Location", "Sensor", "Datastream", "ObservedProperty"])
def test_put_needs_what_is_required(client: Client, own: Station, kind: str) -> None:
    for name in BY_NAME[kind].required:
        whole = _plain(client.get(own.path(kind)))
        del whole[name]
        client.refuse("PUT", own.path(kind), whole)


@PUT
def test_put_with_links(client: Client, own: Station) -> None:
    tool = client.create("Sensors", sensor())
    whole = _plain(client.get(own.path("Datastream"))) | {"Sensor": link(tool)}
    client.change("PUT", own.path("Datastream"), whole)
    assert client.get(f"{own.path('Datastream')}/Sensor")["@iot.id"] == tool


def _patch(client: Client, path: str, operations: Any, *expected: int) -> None:
    headers = {"content-type": "application/json-patch+json"}
    answer = client.send("PATCH", path, content=json.dumps(operations), headers=headers)
    assert answer.status_code in (expected or (200, 204)), answer.text


@pytest.fixture
def top(client: Client) -> Id:
    key: Id = client.create("Things", thing(properties=START))
    return key


@JSON_PATCH
@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/properties/c", "value": 3}], START | {"c": 3}),
        ([{"op": "add", "path": "/properties", "value": {"x": 1}}], {"x": 1}),
        ([{"op": "add", "path": "/properties/list/-", "value": 3}], START | {"list": [1, 2, 3]}),
        ([{"op": "add", "path": "/properties/list/0", "value": 0}], START | {"list": [0, 1, 2]}),
        ([{"op": "remove", "path": "/properties/a"}], {"list": [1, 2], "deep": {"b": 2}}),
        ([{"op": "replace", "path": "/properties/deep/b", "value": "x"}], START | {"deep": {"b": "x"}}),
        ([{"op": "move", "from": "/properties/a", "path": "/properties/z"}],
         {"list": [1, 2], "deep": {"b": 2}, "z": 1}),
        ([{"op": "copy", "from": "/properties/a", "path": "/properties/deep/a"}],
         START | {"deep": {"b": 2, "a": 1}}),
        ([{"op": "test", "path": "/properties/a", "value": 1}, {"op": "remove", "path": "/properties/list"}],
         {"a": 1, "deep": {"b": 2}}),
        ([{"op": "remove", "path": "/properties"}], None),
        ([], START),
    ],
)  # fmt: skip
def test_json_patch_of_properties(client: Client, top: Id, operations: Any, expected: Any) -> None:
    _patch(client, f"Things({top})", operations)
    assert client.get(f"Things({top})").get("properties") == expected


@JSON_PATCH
@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Thing", "/name", "patched"),
        ("Location", "/location", point(1, 2)),
        ("Datastream", "/unitOfMeasurement/symbol", "K"),
        ("Sensor", "/metadata", {"patched": True}),
        ("ObservedProperty", "/definition", "http://example.org/patched"),
        ("FeatureOfInterest", "/description", "patched"),
        ("Observation", "/result", 77),
        ("Actuator", "/name", "patched"),
        ("TaskingCapability", "/description", "patched"),
        ("MultiDatastream", "/name", "patched"),
    ],
)
def test_json_patch_of_every_kind(client: Client, own: Station, kind: str, path: str, value: Any) -> None:
    _patch(client, own.path(kind), [{"op": "replace", "path": path, "value": value}])
    found = client.get(own.path(kind))
    for step in path[1:].split("/"):
        found = found[step]
    assert found == value


@JSON_PATCH
@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "test", "path": "/properties/a", "value": 2}, {"op": "remove", "path": "/properties/a"}],
        [{"op": "remove", "path": "/properties/a"}, {"op": "remove", "path": "/properties/nothing"}],
        [{"op": "replace", "path": "/properties/nothing", "value": 1}],
        [{"op": "remove", "path": "/name"}],
        [{"op": "replace", "path": "/name", "value": 5}],
        [{"op": "nothing", "path": "/name"}],
        [{"op": "add", "path": "/name"}],
        [{"op": "add", "value": 1}],
        [{"op": "add", "path": "name", "value": 1}],
        [{"op": "copy", "from": "/nothing", "path": "/name"}],
        {"op": "remove", "path": "/properties/a"},
        "nothing",
        [5],
    ],
    ids=str,
)
def test_a_json_patch_is_whole_or_not_at_all(client: Client, top: Id, operations: Any) -> None:
    before = client.get(f"Things({top})")
    _patch(client, f"Things({top})", operations, 400, 409, 422)
    assert client.get(f"Things({top})") == before


@JSON_PATCH
def test_json_patch_of_what_is_not_there(client: Client) -> None:
    _patch(client, "Things(987654321)", [{"op": "remove", "path": "/properties"}], 404)
