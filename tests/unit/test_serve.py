"""SensorThings, read: every resource path, over a real catalogue and a real store."""

from __future__ import annotations

from typing import Any

import pytest

from nervure.core.error import NotFoundError, QueryError, UnsupportedQuery
from nervure.core.observation import observation_id
from nervure.core.sensorthings import BY_NAME, KINDS
from nervure.serve.path import route
from nervure.serve.sensorthings import SensorThings
from tests.entities import BASE, ONE, answer, get, ids

FIRST = observation_id(1)
TEXT = observation_id(22)
OBJECT = observation_id(23)
MULTI = observation_id(24)
SPAN = observation_id(25)


# --- resource paths -------------------------------------------------------------------------------


def test_root_lists_the_sets_and_what_of_the_standard_is_met(things: SensorThings) -> None:
    root = get(things, "")
    assert [one["name"] for one in root["value"]] == [kind.entities for kind in KINDS]
    for one in root["value"]:
        assert "value" in get(things, one["url"])
    settings = root["serverSettings"]
    create = (
        "http://www.opengis.net/spec/iot_sensing/1.1/req/create-observations-via-mqtt/observations-creation"
    )
    assert settings[create]["endpoints"] == ["mqtt://127.0.0.1:1883"]
    assert {create, "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel"} <= set(
        settings["conformance"]
    )


def test_every_link_of_every_entity_leads_somewhere(things: SensorThings) -> None:
    todo = [one["url"] for one in get(things, "")["value"]]
    seen: set[str] = set()
    while todo:
        url = todo.pop()
        if url in seen or url.count("/") > 8:
            continue
        seen.add(url)
        body = get(things, url)
        for entity in body.get("value", [body]):
            todo += [link for name, link in entity.items() if name.endswith(("selfLink", "navigationLink"))]
    kinds = {one.removeprefix(BASE).split("(")[0].strip("/") for one in seen}
    assert kinds >= {kind.entities for kind in KINDS}


def test_an_entity_has_its_id_links_and_properties(things: SensorThings) -> None:
    assert get(things, "Things(1)") == {
        "@iot.id": 1,
        "@iot.selfLink": f"{BASE}/Things(1)",
        "name": "Thing 1",
        "description": "Thing 1.",
        "properties": {"n": 1, "a": {"b": [4, 1]}},
        **{
            f"{name}@iot.navigationLink": f"{BASE}/Things(1)/{name}"
            for name in (
                "Datastreams", "MultiDatastreams", "Locations", "HistoricalLocations", "TaskingCapabilities",
            )
        },
    }  # fmt: skip
    stream = get(things, "Datastreams(1)")
    assert stream["unitOfMeasurement"] == {
        "name": "litre a second", "symbol": "l/s", "definition": "ucum:L/s"
    }  # fmt: skip
    assert stream["phenomenonTime"] == "2023-11-14T22:00:00.000Z/2023-11-15T19:00:00.000Z"
    assert stream["observationType"].endswith("OM_Measurement")
    assert "observedArea" not in stream
    multi = get(things, "MultiDatastreams(3)")
    assert multi["observationType"].endswith("OM_ComplexObservation")
    assert len(multi["unitOfMeasurements"]) == len(multi["multiObservationDataTypes"]) == 3
    assert get(things, "HistoricalLocations(1)")["time"] == "2023-11-14T23:00:00.000Z"


def test_a_stream_that_a_solution_declared_says_so(things: SensorThings) -> None:
    stream = get(things, "Datastreams(5)")
    assert stream["unitOfMeasurement"] == {"name": "L/s", "symbol": "L/s", "definition": "ucum:L/s"}
    assert stream["properties"] == {
        "solution": "water", "signal": "inflow", "kind": "reading", "every_s": 3600.0, "low": 0.0
    }  # fmt: skip


def test_results_are_of_every_kind(things: SensorThings) -> None:
    assert get(things, f"Observations({FIRST})")["result"] == 0
    assert get(things, f"Observations({FIRST + 1})")["result"] == 0.5
    assert get(things, f"Observations({TEXT})")["result"] == "off"
    unnamed = get(things, f"Observations({OBJECT})")
    assert (unnamed["result"], unnamed["resultTime"]) == ({"a": [1, 2]}, None)
    assert get(things, f"Observations({MULTI})")["result"] == [1, 2.5, None]
    span = get(things, f"Observations({SPAN})")
    both = "2023-11-14T22:00:00.000Z/2023-11-14T23:00:00.000Z"
    assert (span["phenomenonTime"], span["validTime"]) == (both, both)
    assert (span["resultQuality"], span["parameters"]) == ("good", {"p": [1]})
    band = get(things, "Datastreams(5)/Observations")["value"][0]
    assert band["parameters"] == {"low": 2.5, "high": 3.5}


def test_an_observation_is_of_a_stream_or_of_a_multi_stream(things: SensorThings) -> None:
    plain, multi = get(things, f"Observations({FIRST})"), get(things, f"Observations({MULTI})")
    assert "Datastream@iot.navigationLink" in plain
    assert "MultiDatastream@iot.navigationLink" not in plain
    assert "MultiDatastream@iot.navigationLink" in multi
    assert get(things, f"Observations({MULTI})/MultiDatastream")["@iot.id"] == 3
    with pytest.raises(NotFoundError):
        answer(things, f"Observations({MULTI})/Datastream")
    with pytest.raises(NotFoundError):
        answer(things, "Datastreams(3)")


def test_strings_are_ids_as_well(things: SensorThings) -> None:
    thing = get(things, "Things('it''s')")
    assert (thing["@iot.id"], thing["@iot.selfLink"]) == ("it's", f"{BASE}/Things('it''s')")
    assert ids(get(things, thing["Datastreams@iot.navigationLink"])) == []
    assert len(ids(get(things, "Datastreams('four')/Observations"))) == 2
    for path in ("Things(6)", "Things('1')", "Things('''')", "Datastreams(4)"):
        with pytest.raises(NotFoundError):
            answer(things, path)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("Things(1)/name", {"name": "Thing 1"}),
        ("Things(1)/@iot.id", {"@iot.id": 1}),
        ("Things(1)/properties/a/b", {"b": [4, 1]}),
        ("Things(1)/properties/a/b[1]", {"b[1]": 1}),
        (f"Observations({FIRST})/result", {"result": 0}),
        (f"Observations({MULTI})/result[1]", {"result[1]": 2.5}),
        (f"Observations({OBJECT})/result/a", {"a": [1, 2]}),
        ("Datastreams(1)/unitOfMeasurement/symbol", {"symbol": "l/s"}),
        ("Datastreams(1)/Thing/name", {"name": "Thing 1"}),
        ("Tasks(1)/status", {"status": "requested"}),
        ("Things(1)/$ref", {"@iot.selfLink": f"{BASE}/Things(1)"}),
        ("Datastreams(1)/Thing/$ref", {"@iot.selfLink": f"{BASE}/Things(1)"}),
        ("Things(2)/Locations/$ref", {"value": [{"@iot.selfLink": f"{BASE}/Locations(1)"}]}),
    ],
)
def test_properties_and_references(things: SensorThings, path: str, found: Any) -> None:
    assert get(things, path) == found


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        ("Things(1)/name/$value", "Thing 1", "text/plain"),
        (f"Observations({FIRST + 1})/result/$value", "0.5", "text/plain"),
        (f"Observations({TEXT})/result/$value", "off", "text/plain"),
        ("Things(1)/properties/$value", '{"n":1,"a":{"b":[4,1]}}', "application/json"),
        ("Things(1)/properties/n/$value", "1", "text/plain"),
        ("Things/$count", "6", "text/plain"),
        ("Datastreams(1)/Observations/$count", "22", "text/plain"),
    ],
)
def test_values_as_they_are(things: SensorThings, path: str, text: str, kind: str) -> None:
    found = answer(things, path)
    assert (found.body.decode(), found.kind.split(";")[0]) == (text, kind)


@pytest.mark.parametrize(
    "path",
    [
        f"Observations({OBJECT})/resultTime",
        "Datastreams(1)/observedArea",
        "Datastreams(1)/observedArea/$value",
    ],
)
def test_a_property_without_a_value_is_no_content(things: SensorThings, path: str) -> None:
    assert (answer(things, path).status, answer(things, path).body) == (204, b"")


def test_paths_lead_from_one_entity_to_the_next(things: SensorThings) -> None:
    deep = f"Things(1)/Datastreams(1)/Observations({FIRST})/Datastream/Thing/Locations(1)/Things(2)/name"
    assert get(things, deep) == {"name": "Thing 2"}
    assert ids(get(things, "MultiDatastreams(3)/ObservedProperties")) == [2, 1, 2]
    assert ids(get(things, "ObservedProperties(2)/MultiDatastreams")) == [3]
    assert ids(get(things, "Locations(2)/HistoricalLocations")) == [1]
    assert len(ids(get(things, "FeaturesOfInterest(1)/Observations"))) == 24
    assert get(things, "Tasks(1)/TaskingCapability/Actuator")["metadata"] == {"maker": "M"}


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("Things(9)", NotFoundError),
        (f"Things({2**63 - 1})", NotFoundError),
        (f"Things({10**30})", NotFoundError),
        ("Things(-1)", NotFoundError),
        ("Nothings", NotFoundError),
        ("Things(1)/Sensors", NotFoundError),
        ("Things/Datastreams", NotFoundError),
        ("Things/name", NotFoundError),
        ("Things(2)/Datastreams(1)", NotFoundError),
        ("Things(2)/Datastreams(1)/Observations", NotFoundError),
        (f"Datastreams('four')/Observations({FIRST})", NotFoundError),
        ("Observations(99)", NotFoundError),
        ("Observations('99')", NotFoundError),
        ("Datastreams(1)/Thing(1)", NotFoundError),
        ("Things(1)/name/first", NotFoundError),
        ("Things(1)/properties/none", NotFoundError),
        ("Things(1)/$value", NotFoundError),
        ("Things(1)/$count", NotFoundError),
        ("Things(1)/name/$ref", NotFoundError),
        ("Things(1)/$nothing", NotFoundError),
        (f"Observations({OBJECT})/FeatureOfInterest", NotFoundError),
        ("Things(x)", QueryError),
        ("Things(1", QueryError),
        ("Things('1)", QueryError),
        ("Things()", QueryError),
        ("Things//name", QueryError),
        ("Things(1)" + "/Datastreams(1)/Thing" * 9, QueryError),
        ("Things(1)?$filter=name eq 'a'", QueryError),
        ("Things?$resultFormat=dataArray", QueryError),
        ("Observations?$resultFormat=dataArray&$expand=Datastream", QueryError),
        ("Observations?$resultFormat=dataArray&$select=Datastream", QueryError),
        ("Observations?$resultFormat=CSV", UnsupportedQuery),
        ("Things?$skiptoken=x", QueryError),
        ("Datastreams?$expand=Thing($filter=name eq 'a')", QueryError),
        ("Things?$expand=Datastreams($skiptoken=x)", QueryError),
    ],
)
def test_what_is_not_there_or_cannot_be_read(things: SensorThings, path: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        answer(things, path.replace(" ", "%20"))


# --- for those who write and tell -----------------------------------------------------------------


def test_targets_say_what_a_path_leads_to(things: SensorThings) -> None:
    whole = things.resolve("Things(1)/Datastreams", ONE)
    assert (whole.kind.name, whole.id, whole.many) == ("Datastream", None, True)
    assert whole.parent is not None
    assert (whole.parent.kind, whole.parent.id, whole.parent.relation) == ("Thing", 1, "Datastreams")
    one = things.resolve("Things('it''s')", ONE)
    assert (one.id, one.many, one.parent) == (6, False, None)
    inner = things.resolve("Datastreams('four')/Thing/properties/n/$value", ONE)
    assert (inner.id, inner.property, inner.value) == (2, ("properties", "n"), True)
    loose = things.resolve(f"Observations({OBJECT})/FeatureOfInterest/$ref", ONE)
    assert (loose.id, loose.ref, loose.many) == (None, True, False)


def test_entities_are_written_for_news(things: SensorThings) -> None:
    kind = BY_NAME["Observation"]
    found = things.entities(kind, [FIRST, MULTI, 5], BASE, ONE, "$select=result")
    assert found == {FIRST: {"result": 0}, MULTI: {"result": [1, 2.5, None]}}
    assert things.entity(BY_NAME["Thing"], 7, BASE, ONE) is None
    whole = things.entity(BY_NAME["Thing"], 1, BASE, ONE)
    assert whole == get(things, "Things(1)")


def test_a_route_is_read_without_asking_anybody() -> None:
    found = route("Datastreams('a/b (c)''d')/Observations(5)/result/$value")
    assert [step.key for step in found.steps] == ["a/b (c)'d", 5]
    assert (found.property, found.value) == (("result",), True)
    assert route("Things(id=1)").steps[0].key == 1
