"""Making entities: what a body may say, what is refused, and what lies in it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from nervure.core.error import ConflictError, NotFoundError, QueryError, UnsupportedQuery
from nervure.store.catalogue import Catalogue
from nervure.store.scope import Scope
from nervure.store.write.writer import Parent, Writer
from tests.body import POINT, SENSOR, datastream, feature, location, multi, observed, rows, thing


def test_a_thing_keeps_what_is_said_of_it(writer: Writer, catalogue: Catalogue) -> None:
    body = thing(properties={"people": 1000}, **{"Datastreams@iot.navigationLink": "x", "@iot.id": 77})
    made = writer.create("Thing", body, Scope(project=1, who="ann"))
    assert (made.kind, made.id, made.key, made.name, made.drafts) == ("Thing", 1, None, 1, ())
    [row] = rows(catalogue, "thing")
    assert (row["name"], row["description"], row["properties"]) == ("pump", "A pump", {"people": 1000})
    [line] = catalogue.audits()
    assert (line.who, line.what, line.detail["id"]) == ("ann", "thing.create", 1)
    assert writer.resolve("Thing", 1) == 1


@pytest.mark.parametrize("catalogue_place", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("kind", "body", "where", "what"),
    [
        ("Thing", {"name": "a"}, "$.description", "is missing"),
        ("Thing", thing(name=None), "$.name", "may not be null"),
        ("Thing", thing(name=5), "$.name", "must be a text"),
        ("Thing", thing(name="a\0b"), "$.name", "U+0000"),
        ("Thing", thing(properties=[1]), "$.properties", "must be a JSON object"),
        ("Thing", thing(properties={"a": ["\0"]}), "$.properties", "U+0000"),
        ("Thing", thing(colour="red"), "$.colour", "no property 'colour'"),
        ("Thing", [], "$", "needs a JSON object"),
        ("Thing", thing(Locations=5), "$.Locations", "needs an array"),
        ("Thing", thing(Locations=[{"@iot.id": 9}]), "$.Locations[0]", "there is no Location 9"),
        ("Thing", thing(Locations=[{"@iot.id": 1 << 70}]), "$.Locations[0]", "there is no Location"),
        ("Thing", thing(Datastreams=[datastream(Sensor=None)]), "$.Datastreams[0].Sensor", "is missing"),
        ("Location", location(location=None), "$.location", "may not be null"),
        ("Location", location(location={"type": "Dot"}), "$.location", "no GeoJSON"),
        ("Location", location(location="here"), "$.location", "no GeoJSON"),
        ("Datastream", datastream(), "$.Thing", "is missing"),
        ("Datastream", datastream(unitOfMeasurement="L/s"), "$.unitOfMeasurement", "must be a JSON object"),
        ("Datastream", datastream(unitOfMeasurement={"name": 5}), "$.unitOfMeasurement.name", "a text"),
        ("Datastream", datastream(observationType=None), "$.observationType", "may not be null"),
        ("HistoricalLocation", {"time": "yesterday", "Thing": {"@iot.id": 1}}, "$.time", "no instant"),
        ("HistoricalLocation", {"time": "0001-01-01T00:00:00Z"}, "$.time", "too far away"),
        (
            "MultiDatastream",
            multi("a", Thing=thing(), ObservedProperties=[]),
            "$.ObservedProperties",
            "missing",
        ),
        ("MultiDatastream", multi("a", Thing=thing(), unitOfMeasurements=[]), "$", "do not fit together"),
        ("MultiDatastream", multi("a", unitOfMeasurements=[5]), "$.unitOfMeasurements", "JSON object"),
        ("TaskingCapability", {"name": "a", "description": "b"}, "$.taskingParameters", "is missing"),
    ],
)
def test_what_the_standard_does_not_allow_is_refused_with_its_place(
    writer: Writer, catalogue: Catalogue, kind: str, body: Any, where: str, what: str
) -> None:
    with pytest.raises(QueryError) as caught:
        writer.create(kind, body)
    assert what in caught.value.what
    assert caught.value.where == where
    assert rows(catalogue, "thing") == rows(catalogue, "location") == rows(catalogue, "sensor") == []


def test_deep_insert_makes_everything_or_nothing(writer: Writer, catalogue: Catalogue) -> None:
    body = thing(
        Locations=[location()],
        Datastreams=[
            datastream(Observations=[{"result": 1}, {"result": 2, "FeatureOfInterest": feature(12.5)}])
        ],
        MultiDatastreams=[multi("a", "b", Observations=[{"result": [1, 2]}])],
        TaskingCapabilities=[
            {
                "name": "switch",
                "description": "On or off",
                "taskingParameters": {},
                "Actuator": {**SENSOR, "metadata": {"relay": 1}},
                "Tasks": [{"taskingParameters": {}}],
            }
        ],
    )
    broken = thing(**{**body, "MultiDatastreams": [multi("a", Observations=[{"result": 1}])]})
    with pytest.raises(QueryError, match="array of 1") as caught:
        writer.create("Thing", broken)
    assert caught.value.where == "$.MultiDatastreams[0].Observations[0].result"
    assert (
        rows(catalogue, "thing")
        == rows(catalogue, "actuator")
        == rows(catalogue, "feature_of_interest")
        == []
    )
    made = writer.create("Thing", body)
    streams = {row["multi"]: row for row in rows(catalogue, "datastream")}
    assert {row["thing_id"] for row in streams.values()} == {made.id}
    assert streams[False]["unit"] == "L/s"
    assert streams[True]["observation_type"].endswith("OM_ComplexObservation")
    assert [one.datastream for one in made.drafts] == [streams[False]["id"]] * 2 + [streams[True]["id"]]
    said = [msgspec.json.decode(one.message) for one in made.drafts]
    [default, other] = [row["id"] for row in rows(catalogue, "feature_of_interest")]
    assert [one["FeatureOfInterest"]["@iot.id"] for one in said] == [default, other, default]
    assert rows(catalogue, "location")[0]["feature_id"] == default
    assert rows(catalogue, "task")[0]["status"] == "requested"
    assert len(catalogue.audits()) == 1


def test_links_win_over_what_stands_beside_them(writer: Writer, catalogue: Catalogue) -> None:
    meter = writer.create("Sensor", SENSOR).id
    there = writer.create("Thing", thing()).id
    linked = {**SENSOR, "name": "another", "@iot.id": meter, "@iot.selfLink": "x"}
    writer.create("Datastream", datastream(Sensor=linked, Thing={"@iot.id": there}))
    assert [row["name"] for row in rows(catalogue, "sensor")] == ["meter"]
    stream = rows(catalogue, "datastream")[0]
    other = writer.create("Sensor", {**SENSOR, "name": "new", "Datastreams": [{"@iot.id": stream["id"]}]}).id
    assert rows(catalogue, "datastream")[0]["sensor_id"] == other


def test_a_client_may_choose_a_key(writer: Writer, catalogue: Catalogue) -> None:
    made = writer.create("Thing", thing(**{"@iot.id": "pump-1"}))
    assert (made.key, made.name) == ("pump-1", "pump-1")
    assert writer.resolve("Thing", "pump-1") == made.id
    with pytest.raises(NotFoundError):
        writer.resolve("Thing", made.id)
    with pytest.raises(ConflictError, match="already"):
        writer.create("Thing", thing(**{"@iot.id": "pump-1"}))
    elsewhere = writer.create("Thing", thing(**{"@iot.id": "pump-1"}), Scope(project=2))
    assert elsewhere.id != made.id
    inside = datastream(Thing={"@iot.id": "pump-1"}, Sensor={**SENSOR, "@iot.id": "m"})
    writer.create("Datastream", inside)
    writer.create("Datastream", inside)  # the same Sensor, for it is there now
    assert [row["key"] for row in rows(catalogue, "sensor")] == ["m"]
    with pytest.raises(QueryError, match="no Thing 'pump-9'"):
        writer.create("Datastream", datastream(Thing={"@iot.id": "pump-9"}))
    writer.create("Datastream", datastream(Thing=thing(), **{"@iot.id": "d"}))
    with pytest.raises(ConflictError):  # a MultiDatastream shares the keys of Datastreams
        writer.create("MultiDatastream", multi("a", Thing=thing(), **{"@iot.id": "d"}))


def test_the_path_says_what_an_entity_belongs_to(writer: Writer, catalogue: Catalogue) -> None:
    pump = writer.create("Thing", thing()).id
    other = writer.create("Thing", thing(name="other")).id
    below = Parent(kind="Thing", id=pump, relation="Datastreams")
    stream = writer.create("Datastream", datastream(Thing={"@iot.id": other}), parent=below).id
    assert rows(catalogue, "datastream")[0]["thing_id"] == pump
    writer.create(
        "Datastream", {"@iot.id": stream}, parent=Parent(kind="Thing", id=other, relation="Datastreams")
    )
    assert rows(catalogue, "datastream")[0]["thing_id"] == other
    here = writer.create("Location", location()).id
    writer.create("Thing", {"@iot.id": pump}, parent=Parent(kind="Location", id=here, relation="Things"))
    new = writer.create("Thing", thing(), parent=Parent(kind="Location", id=here, relation="Things")).id
    assert {(row["thing_id"], row["location_id"]) for row in rows(catalogue, "thing_location")} == {
        (pump, here),
        (new, here),
    }
    with pytest.raises(NotFoundError, match="no Thing 99"):
        writer.create("Datastream", datastream(), parent=Parent(kind="Thing", id=99, relation="Datastreams"))
    with pytest.raises(QueryError, match="can be made"):
        writer.create("Sensor", SENSOR, parent=Parent(kind="Datastream", id=stream, relation="Sensor"))
    with pytest.raises(QueryError, match="no relation"):
        writer.create("Sensor", SENSOR, parent=Parent(kind="Thing", id=pump, relation="Sensors"))
    with pytest.raises(UnsupportedQuery):
        writer.change("Observation", 1, {})


def test_things_move_and_remember_it(writer: Writer, catalogue: Catalogue) -> None:
    words = location(name="words", encodingType="text/plain", location="behind the mill")
    pump = writer.create("Thing", thing(Locations=[location(1.0), words])).id
    assert len(rows(catalogue, "historical_location")) == 1
    assert len(rows(catalogue, "historical_place")) == 2
    below = Parent(kind="Thing", id=pump, relation="Locations")
    new = writer.create("Location", location(2.0), parent=below).id
    assert [row["location_id"] for row in rows(catalogue, "thing_location")] == [new]
    writer.change("Thing", pump, {"Locations": [{"@iot.id": new}]})  # it is there already
    assert len(rows(catalogue, "historical_location")) == 2
    writer.change("Thing", pump, {"Locations": [{"@iot.id": 1}]})
    assert len(rows(catalogue, "historical_location")) == 3


def test_a_newer_historical_location_moves_its_thing_an_older_does_not(
    writer: Writer, catalogue: Catalogue
) -> None:
    pump = writer.create("Thing", thing()).id
    stay = {"Thing": {"@iot.id": pump}, "time": "2016-01-01T07:00:00Z", "Locations": [location(1.0)]}
    writer.create("HistoricalLocation", stay)
    assert [row["location_id"] for row in rows(catalogue, "thing_location")] == [1]
    writer.create("HistoricalLocation", stay | {"time": "2016-01-01T05:00:00Z", "Locations": [location(2.0)]})
    assert [row["location_id"] for row in rows(catalogue, "thing_location")] == [1]
    writer.create(
        "HistoricalLocation", stay | {"time": "2016-01-01T09:00:00Z", "Locations": [{"@iot.id": 2}]}
    )
    assert [row["location_id"] for row in rows(catalogue, "thing_location")] == [2]
    with pytest.raises(QueryError, match="Locations is missing"):
        writer.create("HistoricalLocation", {"time": stay["time"], "Thing": {"@iot.id": pump}})


def test_a_multi_datastream_keeps_the_order_of_what_it_observes(writer: Writer, catalogue: Catalogue) -> None:
    first, second = (writer.create("ObservedProperty", observed(name)).id for name in ("a", "b"))
    links = [{"@iot.id": second}, {"@iot.id": first}, {"@iot.id": second}]
    writer.create("MultiDatastream", multi("x", "y", "z", Thing=thing(), ObservedProperties=links))
    found = sorted(
        (row["position"], row["observed_property_id"]) for row in rows(catalogue, "datastream_property")
    )
    assert found == [(0, second), (1, first), (2, second)]
    inside = observed("c") | {"MultiDatastreams": [multi(Thing=thing(), **_arrays(1))]}
    assert writer.create("ObservedProperty", inside).id
    with pytest.raises(QueryError, match="chooses its ObservedProperties"):
        writer.create("ObservedProperty", observed("d") | {"MultiDatastreams": [{"@iot.id": 1}]})


def test_projects_do_not_see_each_other(writer: Writer, catalogue: Catalogue) -> None:
    ours, theirs = Scope(project=1), Scope(project=2)
    pump = writer.create("Thing", thing(), theirs).id
    with pytest.raises(NotFoundError):
        writer.resolve("Thing", pump, ours)
    with pytest.raises(QueryError, match=f"no Thing {pump}"):
        writer.create("Datastream", datastream(Thing={"@iot.id": pump}), ours)
    for change in (
        lambda: writer.change("Thing", pump, {"name": "ours"}, ours),
        lambda: writer.patch("Thing", pump, [], ours),
        lambda: writer.delete("Thing", pump, ours),
        lambda: writer.create(
            "Datastream", datastream(), ours, Parent(kind="Thing", id=pump, relation="Datastreams")
        ),
    ):
        with pytest.raises(NotFoundError):
            change()
    # Who sees everything writes into the project that the path leads to.
    writer.create("Datastream", datastream(), parent=Parent(kind="Thing", id=pump, relation="Datastreams"))
    assert [row["project_id"] for row in rows(catalogue, "datastream")] == [2]


def test_one_request_has_its_bounds(writer: Writer) -> None:
    body: dict[str, Any] = location()
    for _ in range(8):
        body = location(Things=[thing(Locations=[body])])
    with pytest.raises(QueryError, match="deep"):
        writer.create("Location", body)


def test_who_keeps_streams_in_memory_sees_that_something_changed(
    writer: Writer, catalogue: Catalogue
) -> None:
    before = catalogue.stamp()
    made = writer.create("Datastream", datastream(Thing=thing(Locations=[location()]))).id
    after = catalogue.stamp()
    assert after != before
    writer.change("Datastream", made, {"description": "changed"})
    assert catalogue.stamp() != after
    after = catalogue.stamp()
    writer.create("Sensor", SENSOR)
    assert catalogue.stamp() == after
    writer.delete("Datastream", made)
    assert catalogue.stamp() != after


def test_what_is_made_together_is_taken_back_together(writer: Writer, catalogue: Catalogue) -> None:
    def work() -> None:
        with catalogue.together():
            made = writer.create("Datastream", datastream(Thing=thing(Locations=[location()]))).id
            writer.draft({"result": 1, "Datastream": {"@iot.id": made}})
            raise QueryError("the second part of the batch is wrong")

    with pytest.raises(QueryError):
        work()
    assert rows(catalogue, "thing") == rows(catalogue, "datastream") == rows(catalogue, "audit") == []
    with pytest.raises(QueryError, match="no Datastream 1"):
        writer.draft({"result": 1, "Datastream": {"@iot.id": 1}})


def _arrays(count: int) -> dict[str, Any]:
    return {
        "multiObservationDataTypes": ["t"] * count,
        "unitOfMeasurements": [{"name": "u", "symbol": None, "definition": None}] * count,
        "ObservedProperties": [],
    }


def test_geojson_of_any_shape_is_taken(writer: Writer) -> None:
    whole = {"type": "Feature", "geometry": POINT, "properties": {}}
    for shape in (whole, {"type": "FeatureCollection", "features": [whole]}, whole | {"geometry": None}):
        assert writer.create("Location", location(location=shape)).id
