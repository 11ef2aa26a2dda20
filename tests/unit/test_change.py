"""Changing entities: PATCH, PUT, JSON Patch and references."""

from __future__ import annotations

from typing import Any

import pytest

from nervure.core.error import ConflictError, NotFoundError, QueryError, UnsupportedQuery
from nervure.store.catalogue import Catalogue
from nervure.store.write.change import patched
from nervure.store.write.writer import Parent, Writer
from tests.body import SENSOR, datastream, feature, location, multi, observed, rows, thing

UNITS = ("multiObservationDataTypes", "unitOfMeasurements")


@pytest.fixture
def stream(writer: Writer) -> int:
    return writer.create(
        "Datastream", datastream(Thing=thing(properties={"a": 1}, Locations=[location()]))
    ).id


def test_patch_changes_what_it_names(writer: Writer, catalogue: Catalogue, stream: int) -> None:
    writer.change("Thing", 1, {"name": "new", "@iot.id": 5, "properties": None})
    [row] = rows(catalogue, "thing")
    assert (row["id"], row["name"], row["description"], row["properties"]) == (1, "new", "A pump", None)
    writer.change("Datastream", stream, {"unitOfMeasurement": {"name": "Celsius", "symbol": "°C"}})
    assert rows(catalogue, "datastream")[0]["unit"] == "Cel"
    writer.change("Datastream", stream, {"unitOfMeasurement": {"name": "unknown"}, "phenomenonTime": "x"})
    assert rows(catalogue, "datastream")[0]["unit"] == ""
    [line] = catalogue.audits(1)
    assert (line.what, line.detail["names"]) == ("datastream.change", ["phenomenonTime", "unitOfMeasurement"])


@pytest.mark.parametrize(
    ("kind", "body", "where"),
    [
        ("Thing", {"name": None}, "$.name"),
        ("Thing", {"names": "x"}, "$.names"),
        ("Thing", {"Locations": [location()]}, "$.Locations[0]"),
        ("Thing", {"Datastreams": [{"name": "x"}]}, "$.Datastreams[0]"),
        ("Thing", {"Locations": [{"@iot.id": 9}]}, "$.Locations[0]"),
        ("Datastream", {"Sensor": SENSOR}, "$.Sensor"),
        ("Datastream", {"Sensor": None}, "$.Sensor"),
        ("Datastream", {"Sensor": {"@iot.id": 9}}, "$.Sensor"),
        ("Datastream", {"Observations": [{"result": 1}]}, "$.Observations[0]"),
        ("Datastream", [], "$"),
    ],
)
@pytest.mark.parametrize("catalogue_place", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("stream")
def test_a_change_brings_no_new_entities_and_takes_nothing_mandatory(
    writer: Writer, kind: str, body: Any, where: str
) -> None:
    with pytest.raises(QueryError) as caught:
        writer.change(kind, 1, body)
    assert caught.value.where == where


def test_put_makes_empty_what_it_does_not_name(writer: Writer, catalogue: Catalogue, stream: int) -> None:
    writer.change("Thing", 1, {"@iot.id": 1, "name": "new", "description": "d"}, replace=True)
    [row] = rows(catalogue, "thing")
    assert (row["name"], row["properties"]) == ("new", None)
    assert rows(catalogue, "datastream")[0]["thing_id"] == 1
    with pytest.raises(QueryError, match="description is missing"):
        writer.change("Thing", 1, {"name": "new"}, replace=True)
    with pytest.raises(NotFoundError):
        writer.change("Datastream", stream + 1, {})
    with pytest.raises(NotFoundError):  # of another kind
        writer.change("MultiDatastream", stream, {})


def test_relations_are_linked_anew(writer: Writer, catalogue: Catalogue, stream: int) -> None:
    meter = writer.create("Sensor", {**SENSOR, "name": "new"}).id
    writer.change("Datastream", stream, {"Sensor": {"@iot.id": meter, "name": "passed over"}})
    assert rows(catalogue, "datastream")[0]["sensor_id"] == meter
    other = writer.create("Thing", thing(name="other")).id
    writer.change("Thing", other, {"Datastreams": [{"@iot.id": stream}]})
    assert rows(catalogue, "datastream")[0]["thing_id"] == other
    with pytest.raises(UnsupportedQuery):
        writer.change("Datastream", stream, {"Observations": [{"@iot.id": 1}]})


def test_json_patch_is_checked_as_a_whole(writer: Writer, catalogue: Catalogue, stream: int) -> None:
    writer.patch("Thing", 1, [{"op": "add", "path": "/properties", "value": {"key1": 1}}])
    copied = {"op": "copy", "from": "/properties/key1", "path": "/properties/copied"}
    moved = {"op": "move", "from": "/properties/key1", "path": "/properties/key2"}
    writer.patch("Thing", 1, [copied, moved])
    assert rows(catalogue, "thing")[0]["properties"] == {"copied": 1, "key2": 1}
    writer.patch("Datastream", stream, [{"op": "replace", "path": "/unitOfMeasurement/symbol", "value": "m"}])
    assert rows(catalogue, "datastream")[0]["unit_of_measurement"]["symbol"] == "m"
    with pytest.raises(ConflictError, match="test"):
        writer.patch("Thing", 1, [{"op": "test", "path": "/name", "value": "x"}])
    for wrong in (
        [{"op": "remove", "path": "/description"}],
        [{"op": "replace", "path": "/name", "value": 5}],
        [{"op": "add", "path": "/colour", "value": "red"}],
        [{"op": "remove", "path": "/nothing"}],
        [{"op": "fly", "path": "/name"}],
        [{"path": "/name"}],
        ["x"],
        [{"op": "replace", "path": "", "value": []}],
        {"op": "remove"},
    ):
        with pytest.raises(QueryError):
            writer.patch("Thing", 1, wrong)  # type: ignore[arg-type]  # what a client may send
    assert rows(catalogue, "thing")[0]["description"] == "A pump"


def test_a_patch_that_doubles_itself_is_stopped() -> None:
    double = [{"op": "copy", "from": "/properties", "path": f"/properties/{number}"} for number in range(60)]
    with pytest.raises(QueryError, match="copies"):
        patched({"properties": {"a": 1}}, double)


def test_a_location_that_is_corrected_gets_a_new_feature(
    writer: Writer, catalogue: Catalogue, stream: int
) -> None:
    first = writer.default_features([stream])[stream]
    writer.change("Location", 1, {"description": "the same place"})
    assert writer.default_features([stream]) == {stream: first}
    writer.change("Location", 1, {"location": location(12.5)["location"]})
    second = writer.default_features([stream])[stream]
    found = [row["feature"]["coordinates"][0] for row in rows(catalogue, "feature_of_interest")]
    assert (second != first, found) == (True, [11.88, 12.5])


def test_what_belongs_together_in_a_multi_datastream_changes_together(
    writer: Writer, catalogue: Catalogue
) -> None:
    made = writer.create("MultiDatastream", multi("a", "b", Thing=thing())).id
    third = writer.create("ObservedProperty", observed("c")).id
    three = {name: body for name, body in multi("a", "b", "c").items() if name in UNITS}
    alone: dict[str, Any] = {"ObservedProperties": [{"@iot.id": third}]}
    empty: dict[str, Any] = {UNITS[1]: []}
    for wrong in (three, alone, empty):
        with pytest.raises(QueryError, match="do not fit together"):
            writer.change("MultiDatastream", made, wrong)
    writer.change("MultiDatastream", made, {**three, "ObservedProperties": [{"@iot.id": third}]})
    assert _order(catalogue) == [1, 2, third]
    one = {name: body for name, body in multi("a").items() if name in UNITS}
    writer.change("MultiDatastream", made, {**one, "ObservedProperties": [{"@iot.id": third}]})
    assert _order(catalogue) == [third]
    with pytest.raises(QueryError, match="chooses its ObservedProperties"):
        writer.change("ObservedProperty", 1, {"MultiDatastreams": [{"@iot.id": made}]})


def test_a_reference_that_is_taken_from_a_multi_datastream_takes_its_unit_along(
    writer: Writer, catalogue: Catalogue
) -> None:
    made = writer.create("MultiDatastream", multi("a", "b", "c", Thing=thing())).id
    parent = Parent(kind="MultiDatastream", id=made, relation="ObservedProperties")
    writer.unlink(parent, 2)
    assert _order(catalogue) == [1, 3]
    [row] = rows(catalogue, "datastream")
    assert [one["name"] for one in row["units_of_measurement"]] == ["unit of a", "unit of c"]
    with pytest.raises(NotFoundError):
        writer.unlink(parent, 2)
    writer.unlink(Parent(kind="ObservedProperty", id=3, relation="MultiDatastreams"), made)
    with pytest.raises(QueryError, match="its last"):
        writer.unlink(parent, 1)
    with pytest.raises(QueryError, match="together with its unit"):
        writer.link(parent, 2)


def test_references_come_and_go(writer: Writer, catalogue: Catalogue, stream: int) -> None:
    there = writer.create("Location", location(2.0)).id
    locations = Parent(kind="Thing", id=1, relation="Locations")
    writer.link(locations, there)
    assert [row["location_id"] for row in rows(catalogue, "thing_location")] == [1, there]
    writer.unlink(locations, 1)
    assert [row["location_id"] for row in rows(catalogue, "thing_location")] == [there]
    writer.unlink(Parent(kind="Location", id=there, relation="Things"), 1)
    assert rows(catalogue, "thing_location") == []
    other = writer.create("Thing", thing()).id
    writer.link(Parent(kind="Datastream", id=stream, relation="Thing"), other)
    assert rows(catalogue, "datastream")[0]["thing_id"] == other
    writer.link(Parent(kind="Thing", id=1, relation="Datastreams"), stream)
    assert rows(catalogue, "datastream")[0]["thing_id"] == 1
    stay = rows(catalogue, "historical_place")[0]["historical_location_id"]
    places = Parent(kind="HistoricalLocation", id=stay, relation="Locations")
    with pytest.raises(QueryError, match="its last"):
        writer.unlink(places, 1)
    writer.link(places, there)
    writer.unlink(places, 1)
    for kind, relation, target, error in (
        ("Datastream", "Sensor", None, QueryError),
        ("Datastream", "Sensor", 99, NotFoundError),
        ("Thing", "Datastreams", stream, QueryError),
        ("Sensor", "Datastreams", 99, NotFoundError),
        ("Thing", "Locations", None, QueryError),
        ("Thing", "Locations", 99, NotFoundError),
        ("Datastream", "Observations", 1, UnsupportedQuery),
    ):
        with pytest.raises(error):
            writer.unlink(Parent(kind=kind, id=1, relation=relation), target)


def test_observed_area_is_the_box_around_what_was_observed(
    writer: Writer, catalogue: Catalogue, stream: int
) -> None:
    features = [writer.create("FeatureOfInterest", feature(longitude)).id for longitude in (1.0, 3.0, 2.0)]
    writer.observed([(stream, features[0]), (stream, 99), (99, features[0])])
    assert _area(catalogue) == {"type": "Point", "coordinates": [1.0, 45.4]}
    writer.observed([(stream, one) for one in features])
    assert _area(catalogue) == {"type": "LineString", "coordinates": [[1.0, 45.4], [3.0, 45.4]]}
    corner = {"type": "Point", "coordinates": [1.0, 46.0]}
    writer.change("FeatureOfInterest", features[0], {"feature": corner})
    assert _area(catalogue)["coordinates"] == [
        [[1.0, 45.4], [3.0, 45.4], [3.0, 46.0], [1.0, 46.0], [1.0, 45.4]]
    ]
    writer.delete("FeatureOfInterest", features[1])
    assert _area(catalogue)["coordinates"][0][1] == [2.0, 45.4]


def _order(catalogue: Catalogue) -> list[int]:
    found = sorted(rows(catalogue, "datastream_property"), key=lambda row: int(row["position"]))
    return [row["observed_property_id"] for row in found]


def _area(catalogue: Catalogue) -> Any:
    return rows(catalogue, "datastream")[0]["observed_area"]
