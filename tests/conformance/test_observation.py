"""Observations: their times, kinds of results, and FeatureOfInterest (18-088 sections 8.2.7, 8.2.8, 10.2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conformance.client import Client, Json, link
from tests.conformance.requirement import requirement
from tests.conformance.sample import datastream, feature, grid, location, point, thing, unique

PROPERTIES = requirement("datamodel/observation/properties")
FEATURE = requirement("datamodel/feature-of-interest/relations")
CREATE = requirement("create-update-delete/create-entity")


@pytest.fixture(scope="module")
def stream(client: Client) -> str:
    return grid(client, [])


def _make(client: Client, stream: str, **body: Any) -> Json:
    key = client.create(f"{stream}/Observations", {"result": 1} | body)
    found: Json = client.get(f"Observations({key})")
    return found


@PROPERTIES
@pytest.mark.parametrize(
    "result",
    [
        0,
        1,
        -5,
        1.5,
        1e-9,
        1.2345678901234567,
        1e300,
        -0.1,
        2**53 - 1,
        2**53 + 1,
        5577006791947779410,
        -8674665223082153551,
        2**31,
        123456789012,
        True,
        False,
        None,
        "",
        "forty two",
        "5",
        "true",
        "null",
        'ünïcode 漢字 😀 "q" \\ \n',
        [],
        [1, 2.5, "x", True, None],
        [[1, 2], [3]],
        {},
        {"number": 1.23, "text": "x", "flag": True, "none": None, "list": [1]},
        {"type": "Point", "coordinates": [8, 51]},
        "x" * 5000,
    ],
    ids=lambda result: f"{type(result).__name__}-{str(result)[:20]}",
)
def test_a_result_comes_back_as_it_went(client: Client, stream: str, result: Any) -> None:
    found = _make(client, stream, result=result)["result"]
    assert found == result
    assert type(found) is type(result) or isinstance(result, float)


@PROPERTIES
def test_whole_numbers_stay_whole(client: Client, stream: str) -> None:
    key = client.create(f"{stream}/Observations", {"result": 42})
    assert '"result":42' in client.send("GET", f"Observations({key})").text.replace(" ", "").replace(
        "42.0", "no"
    )


@PROPERTIES
def test_the_value_of_a_result(client: Client, stream: str) -> None:
    for result, expected in ((42, "42"), (1.5, "1.5"), ("text", "text"), (True, "true")):
        key = client.create(f"{stream}/Observations", {"result": result})
        assert client.ask(f"Observations({key})/result/$value").text == expected


@PROPERTIES
@pytest.mark.parametrize(
    "quality", ["good", 5, True, {"code": 2, "label": "é"}, [{"code": 1}, {"code": 2}], []]
)
def test_the_quality_is_any_json(client: Client, stream: str, quality: Any) -> None:
    assert _make(client, stream, resultQuality=quality)["resultQuality"] == quality


@PROPERTIES
def test_parameters_are_any_object(client: Client, stream: str) -> None:
    value = {"a": 1, "b": [1, {"c": None}], "ü": "é"}
    assert _make(client, stream, parameters=value)["parameters"] == value


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@PROPERTIES
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2015-03-01T00:40:00Z", "2015-03-01T00:40:00Z"),
        ("2015-03-01T00:40:00.000Z", "2015-03-01T00:40:00Z"),
        ("2015-03-01T00:40:00.123Z", "2015-03-01T00:40:00.123Z"),
        ("2015-03-01T00:40:00.123456Z", "2015-03-01T00:40:00.123456Z"),
        ("2015-03-01T02:40:00+02:00", "2015-03-01T00:40:00Z"),
        ("2015-02-28T17:40:00-07:00", "2015-03-01T00:40:00Z"),
        ("1969-07-20T20:17:40Z", "1969-07-20T20:17:40Z"),
        ("1850-01-01T00:00:00Z", "1850-01-01T00:00:00Z"),
        ("2100-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
    ],
)
def test_an_instant_of_any_form(client: Client, stream: str, given: str, expected: str) -> None:
    found = _make(client, stream, phenomenonTime=given, resultTime=given)
    assert found["phenomenonTime"].endswith("Z")
    assert _instant(found["phenomenonTime"]) == _instant(expected)
    assert _instant(found["resultTime"]) == _instant(expected)


@PROPERTIES
@pytest.mark.parametrize("name", ["phenomenonTime", "validTime"])
def test_an_interval(client: Client, stream: str, name: str) -> None:
    given = "2015-03-01T02:00:00+02:00/2015-03-01T01:00:00Z"
    first, last = _make(client, stream, **{name: given})[name].split("/")
    assert _instant(first) == _instant("2015-03-01T00:00:00Z")
    assert _instant(last) == _instant("2015-03-01T01:00:00Z")


@PROPERTIES
def test_the_service_fills_in_the_time(client: Client, stream: str) -> None:
    found = _make(client, stream)
    assert abs(datetime.now(UTC) - _instant(found["phenomenonTime"])) < timedelta(minutes=1)
    assert found["resultTime"] is None


@PROPERTIES
def test_what_was_not_given_is_null_or_left_out(client: Client, stream: str) -> None:
    found = _make(client, stream)
    for name in ("validTime", "resultQuality", "parameters"):
        assert found.get(name) is None
        assert client.ask(f"Observations({found['@iot.id']})/{name}").status_code == 204


@PROPERTIES
def test_null_is_as_good_as_nothing(client: Client, stream: str) -> None:
    found = _make(client, stream, resultTime=None, validTime=None, parameters=None, resultQuality=None)
    assert found["resultTime"] is None
    assert found.get("parameters") is None


@CREATE
@requirement("request-data/status-code")
@pytest.mark.parametrize(
    "change",
    [
        {"phenomenonTime": "yesterday"},
        {"phenomenonTime": "2015-13-01T00:00:00Z"},
        {"phenomenonTime": "2015-02-30T00:00:00Z"},
        {"phenomenonTime": {}},
        {"phenomenonTime": "2015-03-02T00:00:00Z/2015-03-01T00:00:00Z"},
        {"phenomenonTime": "2015-03-02T00:00:00Z/"},
        {"resultTime": "2015-03-02T00:00:00Z/2015-03-03T00:00:00Z"},
        {"resultTime": "soon"},
        {"validTime": "later"},
        {"parameters": 5},
        {"FeatureOfInterest": {"@iot.id": 987_654_321}},
        {"FeatureOfInterest": {"name": "half"}},
        {"FeatureOfInterest": 5},
    ],
    ids=str,
)
def test_a_malformed_observation_is_400(client: Client, stream: str, change: Json) -> None:
    client.refuse("POST", f"{stream}/Observations", {"result": 1} | change, 400, 404, 409)


@CREATE
def test_a_datastream_must_be_there(client: Client) -> None:
    client.refuse("POST", "Observations", {"result": 1, "FeatureOfInterest": feature()}, 400, 409)


@CREATE
def test_either_a_datastream_or_a_multi_datastream(client: Client, home: Any) -> None:
    both = {name: link(home.ids[name]) for name in ("Datastream", "MultiDatastream", "FeatureOfInterest")}
    client.refuse("POST", "Observations", {"result": 1} | both, 400, 409)


@CREATE
def test_each_observation_is_its_own(client: Client, stream: str) -> None:
    """The same instant twice is two Observations, and every id is another one."""
    body = {"result": 3, "phenomenonTime": "2014-01-01T00:00:00Z"}
    first, second = (client.create(f"{stream}/Observations", body) for _ in range(2))
    assert first != second
    assert client.get(f"Observations({first})")["result"] == 3
    assert client.get(f"Observations({second})")["result"] == 3


@CREATE
def test_what_was_created_is_read_at_once(client: Client, stream: str) -> None:
    for number in range(20):
        key = client.create(f"{stream}/Observations", {"result": 100 + number})
        assert client.results(f"{stream}/Observations", filter=f"id eq {key}") == [100 + number]
        assert client.results(f"{stream}/Observations", orderby="id desc", top=1) == [100 + number]


@FEATURE
def test_the_feature_is_made_from_the_location(client: Client) -> None:
    place = location(location=point(-114.05, 51.05))
    key = client.create("Datastreams", datastream(Thing=thing(Locations=[place])))
    first = client.create(f"Datastreams({key})/Observations", {"result": 1})
    made = client.get(f"Observations({first})/FeatureOfInterest")
    assert made["feature"] == place["location"]
    assert made["encodingType"] == place["encodingType"]
    assert made["name"]
    assert made["description"]


@FEATURE
def test_the_feature_is_used_again_until_the_thing_moves(client: Client) -> None:
    first, second = (client.create("Locations", location(location=point(at, at))) for at in (1, 2))
    top = client.create("Things", thing(Locations=[link(first)]))
    stream = client.create("Datastreams", datastream(Thing=link(top)))

    def seen(of: Any = None) -> Any:
        key = client.create(f"Datastreams({of or stream})/Observations", {"result": 1})
        return client.get(f"Observations({key})/FeatureOfInterest")

    one = seen()
    assert seen()["@iot.id"] == one["@iot.id"]
    client.change("PATCH", f"Things({top})", {"Locations": [link(second)]})
    other = seen()
    assert other["@iot.id"] != one["@iot.id"]
    assert other["feature"] == point(2, 2)
    neighbour = client.create("Datastreams", datastream(Thing=thing(Locations=[link(first)])))
    assert seen(neighbour)["@iot.id"] == one["@iot.id"]


@FEATURE
def test_of_several_locations_the_geometry_is_taken(client: Client) -> None:
    places = [
        location(encodingType="text/plain", location="Main Street 1"),
        location(location=point(8, 51)),
        location(encodingType="text/plain", location="second left"),
    ]
    key = client.create("Datastreams", datastream(Thing=thing(Locations=places)))
    made = client.create(f"Datastreams({key})/Observations", {"result": 1})
    assert client.get(f"Observations({made})/FeatureOfInterest")["feature"] == point(8, 51)


@FEATURE
def test_a_deleted_feature_is_made_anew(client: Client) -> None:
    stream = grid(client, [1])
    (first,) = client.ids(f"{stream}/Observations")
    client.delete(f"FeaturesOfInterest({client.get(f'Observations({first})/FeatureOfInterest')['@iot.id']})")
    key = client.create(f"{stream}/Observations", {"result": 2})
    assert client.get(f"Observations({key})/FeatureOfInterest")["feature"]


@FEATURE
@requirement("request-data/status-code")
def test_without_a_location_there_must_be_a_feature(client: Client) -> None:
    key = client.create("Datastreams", datastream(Thing=thing()))
    client.refuse("POST", f"Datastreams({key})/Observations", {"result": 1}, 400, 409)
    assert client.values(f"Datastreams({key})/Observations") == []
    made = client.create(f"Datastreams({key})/Observations", {"result": 1, "FeatureOfInterest": feature()})
    assert client.get(f"Observations({made})/FeatureOfInterest")["name"].startswith("feature")


@FEATURE
def test_a_given_feature_comes_before_the_location(client: Client, stream: str) -> None:
    own = client.create("FeaturesOfInterest", feature())
    key = client.create(f"{stream}/Observations", {"result": 1, "FeatureOfInterest": link(own)})
    assert client.get(f"Observations({key})/FeatureOfInterest")["@iot.id"] == own
    assert client.ids(f"FeaturesOfInterest({own})/Observations") == [key]


@FEATURE
def test_where_a_feature_is_given_none_is_made(client: Client) -> None:
    place = location(name=unique("place"), location=point(8, 51))
    stream = client.create("Datastreams", datastream(Thing=thing(Locations=[place])))
    own = client.create("FeaturesOfInterest", feature())
    body = {"result": 1, "FeatureOfInterest": link(own)}
    client.create(f"Datastreams({stream})/Observations", body)
    rows = {
        "Datastream": link(stream),
        "components": ["result", "FeatureOfInterest/id"],
        "dataArray": [[2, own]],
    }
    assert client.send("POST", "CreateObservations", [rows]).status_code == 201
    assert client.values("FeaturesOfInterest", filter=f"name eq '{place['name']}'") == []
