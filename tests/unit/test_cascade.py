"""What goes with an entity that is deleted (18-088, table 26; 17-079, table 13)."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from nervure.core.entity import Datastream, Thing
from nervure.core.error import NotFoundError
from nervure.store.catalogue import Catalogue
from nervure.store.write.writer import Gone, Writer
from tests.body import SENSOR, datastream, feature, location, multi, rows, thing

TABLES = (
    "actuator",
    "datastream",
    "feature_of_interest",
    "historical_location",
    "location",
    "observed_property",
    "sensor",
    "task",
    "tasking_capability",
    "thing",
)


@pytest.fixture
def made(writer: Writer) -> Writer:
    """One of everything: a Datastream 1 and a MultiDatastream 2 of Thing 1, each with its own Sensor."""
    capability = {
        "name": "switch",
        "description": "On or off",
        "taskingParameters": {},
        "Actuator": SENSOR,
        "Tasks": [{"taskingParameters": {}}],
    }
    body = thing(
        Locations=[location()],
        Datastreams=[datastream()],
        MultiDatastreams=[multi("a", "b")],
        TaskingCapabilities=[capability],
    )
    writer.create("Thing", body)
    writer.create("FeatureOfInterest", feature())
    return writer


@pytest.mark.parametrize(
    ("kind", "id", "gone", "lost"),
    [
        (
            "Thing",
            1,
            Gone(datastreams=(1, 2)),
            "datastream historical_location task tasking_capability thing",
        ),
        ("Sensor", 1, Gone(datastreams=(1,)), ""),
        ("ObservedProperty", 3, Gone(datastreams=(2,)), ""),
        ("Datastream", 1, Gone(datastreams=(1,)), ""),
        ("MultiDatastream", 2, Gone(datastreams=(2,)), ""),
        ("Location", 1, Gone(), "historical_location location"),
        ("HistoricalLocation", 1, Gone(), "historical_location"),
        ("FeatureOfInterest", 1, Gone(features=(1,)), "feature_of_interest"),
        ("Actuator", 1, Gone(), "actuator task tasking_capability"),
        ("TaskingCapability", 1, Gone(), "task tasking_capability"),
        ("Task", 1, Gone(), "task"),
    ],
)
def test_what_cannot_be_without_it_goes_too(
    made: Writer, catalogue: Catalogue, kind: str, id: int, gone: Gone, lost: str
) -> None:
    assert made.delete(kind, id) == gone
    empty = [table for table in TABLES if not rows(catalogue, table)]
    assert empty == lost.split()
    assert {row["id"] for row in rows(catalogue, "datastream")} == {1, 2} - set(gone.datastreams)
    assert catalogue.audits(1)[0].what.endswith(".delete")
    with pytest.raises(NotFoundError):
        made.delete(kind, id)


def test_a_number_is_never_given_again(made: Writer, catalogue: Catalogue) -> None:
    for kind, body in (("Thing", thing()), ("Location", location()), ("FeatureOfInterest", feature())):
        made.delete(kind, 1)
        assert made.create(kind, body).id == 2
    if catalogue.database.url.get_backend_name() == "sqlite":
        query = sa.text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'")
        with catalogue.database.read() as connection:
            assert set(TABLES) <= set(connection.execute(query).scalars())


def test_a_stay_at_several_places_outlives_one_of_them(writer: Writer, catalogue: Catalogue) -> None:
    words = location(2.0, encodingType="text/plain", location="behind the mill")
    writer.create("Thing", thing(Locations=[location(), words]))
    writer.delete("Location", 1)
    assert len(rows(catalogue, "historical_location")) == len(rows(catalogue, "thing_location")) == 1
    writer.delete("Location", 2)
    assert rows(catalogue, "historical_location") == rows(catalogue, "thing_location") == []


def test_forecasts_go_with_what_they_are_about(writer: Writer, catalogue: Catalogue) -> None:
    pump = catalogue.ensure_thing(Thing(name="pump"))
    other = catalogue.ensure_thing(Thing(name="other"))
    readings = catalogue.ensure_datastream(Datastream(name="a", unit="L/s", thing=pump.id))
    ahead = Datastream(name="b", unit="L/s", thing=other.id, kind="forecast", source=readings.id)
    forecast = catalogue.ensure_datastream(ahead)
    score = Datastream(name="c", unit="1", thing=other.id, kind="score", source=forecast.id)
    scored = catalogue.ensure_datastream(score)
    kept = catalogue.ensure_datastream(Datastream(name="d", unit="1", thing=other.id))
    assert writer.delete("Thing", pump.id).datastreams == (readings.id, forecast.id, scored.id)
    assert catalogue.datastreams() == [kept]


def test_a_default_feature_that_was_deleted_is_made_again(writer: Writer, catalogue: Catalogue) -> None:
    stream = writer.create("Datastream", datastream(Thing=thing(Locations=[location()]))).id
    first = writer.default_features([stream])[stream]
    assert first is not None
    assert writer.default_features([stream, stream]) == {stream: first}
    assert writer.delete("FeatureOfInterest", first).features == (first,)
    second = writer.default_features([stream])[stream]
    assert [row["id"] for row in rows(catalogue, "feature_of_interest")] == [second]
    assert second != first
    assert writer.default_features([99]) == {99: None}
