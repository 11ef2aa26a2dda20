"""Entities, their properties and relations (18-088 section 8, 17-079 section 8)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import Client, at
from tests.conformance.model import BY_NAME, KINDS, RELATIONS, Kind
from tests.conformance.requirement import requirement
from tests.conformance.sample import Station

_SHORT = {
    "Thing": "datamodel/thing",
    "Location": "datamodel/location",
    "HistoricalLocation": "datamodel/historical-location",
    "Datastream": "datamodel/datastream",
    "MultiDatastream": "multi-datastream",
    "Sensor": "datamodel/sensor",
    "ObservedProperty": "datamodel/observed-property",
    "Observation": "datamodel/observation",
    "FeatureOfInterest": "datamodel/feature-of-interest",
    "Actuator": "tasking:actuator",
    "TaskingCapability": "tasking:tasking-capability",
    "Task": "tasking:task",
}
_PROPERTIES = [
    pytest.param(kind, id=kind.name, marks=requirement(f"{_SHORT[kind.name]}/properties")) for kind in KINDS
]
_RELATIONS = [
    pytest.param(kind, id=kind.name, marks=requirement(f"{_SHORT[kind.name]}/relations")) for kind in KINDS
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.mark.parametrize("kind", _PROPERTIES)
def test_an_entity_has_its_properties(client: Client, home: Station, kind: Kind) -> None:
    entity = client.get(home.path(kind.name))
    for name in kind.required + kind.optional:
        assert entity.get(name) is not None, name
    known = {*kind.properties, "status", "runLog", "properties"}
    assert {name for name in entity if "@iot" not in name} <= known


@pytest.mark.parametrize("kind", _RELATIONS)
def test_an_entity_leads_to_its_relations(client: Client, home: Station, kind: Kind) -> None:
    entity = client.get(home.path(kind.name))
    for name in kind.relations:
        found = client.get(entity[f"{name}@iot.navigationLink"])
        assert found["value"] if name in dict(kind.many) else found["@iot.id"]


@requirement("datamodel/entity-control-information/common-control-information")
@every_kind
def test_an_entity_has_an_id_and_a_link_to_itself(client: Client, home: Station, kind: Kind) -> None:
    entity = client.get(home.path(kind.name))
    assert entity["@iot.id"] == home.ids[kind.name]
    assert entity["@iot.selfLink"] == f"{client.root}/{home.path(kind.name)}"
    assert client.get(entity["@iot.selfLink"]) == entity


@requirement("datamodel/entity-control-information/common-control-information")
@every_kind
@pytest.mark.usefixtures("home")
def test_entities_of_a_set_have_control_information_too(client: Client, kind: Kind) -> None:
    for entity in client.values(kind.entities, top=3):
        assert entity["@iot.id"] is not None
        assert entity["@iot.selfLink"].startswith(f"{client.root}/{kind.entities}(")
        links = {name.partition("@")[0] for name in entity if name.endswith("@iot.navigationLink")}
        assert links >= set(kind.relations) - {"Datastream", "FeatureOfInterest"}


@requirement("datamodel/entity-control-information/common-control-information")
@pytest.mark.parametrize(("kind", "relation"), RELATIONS)
def test_a_navigation_link_is_named_after_its_relation(
    client: Client, home: Station, kind: str, relation: str
) -> None:
    value = client.get(home.path(kind))[f"{relation}@iot.navigationLink"]
    assert value.endswith(f"/{relation}")


@requirement("multi-datastream/relations", "datamodel/observation/relations")
def test_an_observation_has_a_datastream_or_a_multi_datastream(client: Client, home: Station) -> None:
    single = client.get(home.path("Observation"))
    several = client.get(at("Observations", home.multi_observation))
    assert "Datastream@iot.navigationLink" in single
    assert "MultiDatastream@iot.navigationLink" not in single
    assert "MultiDatastream@iot.navigationLink" in several
    assert "Datastream@iot.navigationLink" not in several


@requirement("datamodel/datastream/properties", "multi-datastream/properties")
@pytest.mark.parametrize("kind", ["Datastream", "MultiDatastream"])
def test_a_stream_says_what_was_observed_when(client: Client, home: Station, kind: str) -> None:
    entity = client.get(home.path(kind))
    assert "/" in entity["phenomenonTime"]
    assert entity["observedArea"]["type"] in {"Point", "Polygon", "MultiPoint", "GeometryCollection"}


@requirement("datamodel/datastream/properties")
def test_the_unit_has_name_symbol_and_definition(client: Client, home: Station) -> None:
    unit = client.get(home.path("Datastream"))["unitOfMeasurement"]
    assert set(unit) == {"name", "symbol", "definition"}


@requirement("multi-datastream/properties")
def test_a_multi_datastream_is_of_complex_observations(client: Client, home: Station) -> None:
    entity = client.get(home.path("MultiDatastream"))
    assert entity["observationType"].endswith("OM_ComplexObservation")
    assert len(entity["unitOfMeasurements"]) == len(entity["multiObservationDataTypes"]) == 2


@requirement("datamodel/observation/properties")
def test_an_observation_without_result_time_says_null(client: Client, home: Station) -> None:
    stream = home.path("Datastream")
    first = client.values(f"{stream}/Observations", orderby="phenomenonTime asc", top=1)[0]
    assert first["resultTime"] is None
    assert first["phenomenonTime"].startswith("2024-05-01T10:00:00")


@requirement("tasking:task/properties")
def test_a_task_says_when_it_was_created(client: Client, home: Station) -> None:
    created = client.get(home.path("Task"))["creationTime"]
    assert created.startswith("20")
    assert created.endswith("Z")


@requirement("datamodel/thing/relations")
@pytest.mark.parametrize(("kind", "relation"), RELATIONS)
def test_relations_lead_back(client: Client, home: Station, kind: str, relation: str) -> None:
    """What is reached through a relation reaches the entity through the inverse relation."""
    target = dict(BY_NAME[kind].many).get(relation, relation)
    inverse = _inverse(kind, target)
    path = f"{at(BY_NAME[target].entities, home.far(kind, relation))}/{inverse}"
    found: Any = client.get(path)
    reached = [one["@iot.id"] for one in found["value"]] if "value" in found else [found["@iot.id"]]
    assert home.ids[kind] in reached


def _inverse(kind: str, target: str) -> str:
    there = BY_NAME[target]
    return next(
        (name for name, leads in there.many if leads == kind),
        kind,
    )
