"""Bodies of entities, each with a name of its own, and a station with one of every kind."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from tests.conformance.client import Client, Id, Json, at, link
from tests.conformance.model import BY_NAME

__all__ = [
    "MEASUREMENT",
    "Station",
    "actuator",
    "capability",
    "datastream",
    "feature",
    "grid",
    "location",
    "multi_datastream",
    "observed_property",
    "point",
    "sensor",
    "station",
    "thing",
    "unique",
]

MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
CELSIUS = {"name": "degree Celsius", "symbol": "degC", "definition": "ucum:Cel"}
PERCENT = {"name": "percent", "symbol": "%", "definition": "ucum:%"}
GEOJSON = "application/geo+json"
_number = itertools.count(1)


def unique(start: str) -> str:
    """Return a name that nothing else on this node has; the same in every process that collects the tests."""
    return f"{start} {next(_number)}"


def point(longitude: float, latitude: float) -> Json:
    """Return a GeoJSON Point."""
    return {"type": "Point", "coordinates": [longitude, latitude]}


def thing(**more: Any) -> Json:
    """Return a Thing."""
    return {"name": unique("thing"), "description": "a thing"} | more


def location(**more: Any) -> Json:
    """Return a Location at a Point."""
    return {
        "name": unique("location"),
        "description": "a place",
        "encodingType": GEOJSON,
        "location": point(8.5, 51.5),
    } | more


def sensor(**more: Any) -> Json:
    """Return a Sensor."""
    return {
        "name": unique("sensor"),
        "description": "a sensor",
        "encodingType": "application/pdf",
        "metadata": "http://example.org/sensor.pdf",
    } | more


def observed_property(**more: Any) -> Json:
    """Return an ObservedProperty."""
    return {
        "name": unique("property"),
        "definition": "http://example.org/temperature",
        "description": "a property",
    } | more


def feature(**more: Any) -> Json:
    """Return a FeatureOfInterest."""
    return {
        "name": unique("feature"),
        "description": "a feature",
        "encodingType": GEOJSON,
        "feature": point(8.6, 51.6),
    } | more


def datastream(**more: Any) -> Json:
    """Return a Datastream with its Sensor and ObservedProperty in it, and no Thing."""
    return {
        "name": unique("datastream"),
        "description": "a datastream",
        "unitOfMeasurement": CELSIUS,
        "observationType": MEASUREMENT,
        "Sensor": sensor(),
        "ObservedProperty": observed_property(),
    } | more


def multi_datastream(**more: Any) -> Json:
    """Return a MultiDatastream of two properties, and no Thing."""
    return {
        "name": unique("multi"),
        "description": "a multi datastream",
        "unitOfMeasurements": [CELSIUS, PERCENT],
        "multiObservationDataTypes": [MEASUREMENT, MEASUREMENT],
        "Sensor": sensor(),
        "ObservedProperties": [observed_property(), observed_property()],
    } | more


def actuator(**more: Any) -> Json:
    """Return an Actuator."""
    return {
        "name": unique("actuator"),
        "description": "an actuator",
        "encodingType": "application/pdf",
        "metadata": "http://example.org/actuator.pdf",
    } | more


def capability(**more: Any) -> Json:
    """Return a TaskingCapability that switches something on and off, with its Actuator, and no Thing."""
    return {
        "name": unique("capability"),
        "description": "switches a light",
        "taskingParameters": {
            "type": "DataRecord",
            "field": [
                {
                    "name": "status",
                    "label": "On or off",
                    "type": "Category",
                    "constraint": {"type": "AllowedTokens", "value": ["on", "off"]},
                }
            ],
        },
        "Actuator": actuator(),
    } | more


class Station(msgspec.Struct, frozen=True, kw_only=True):
    """One entity of every kind, all bound together: the id of each, by its kind."""

    ids: dict[str, Id]
    multi_observation: Id

    def path(self, kind: str) -> str:
        """Return the path of its entity of a kind."""
        return at(BY_NAME[kind].entities, self.ids[kind])

    def far(self, kind: str, *relations: str) -> Id:
        """Return the id of what relations lead to, one after the other."""
        key = self.ids[kind]
        for relation in relations:
            below = kind == "MultiDatastream" and relation == "Observations"
            kind = dict(BY_NAME[kind].many).get(relation, relation)
            key = self.multi_observation if below else self.ids[kind]
        return key


def station(client: Client) -> Station:
    """Make a Thing with one of everything, three Observations and a Task."""
    ids: dict[str, Id] = {}
    body = thing(
        properties={"colour": "green", "size": 7, "deep": {"list": [1, 2, 3], "on": True}},
        Locations=[location(properties={"floor": 3})],
        Datastreams=[
            datastream(
                properties={"quality": "good"},
                Sensor=sensor(properties={"serial": 5}),
                ObservedProperty=observed_property(properties={"level": 1}),
            )
        ],
        TaskingCapabilities=[
            capability(properties={"colour": "red"}, Actuator=actuator(properties={"watts": 5}))
        ],
    )
    ids["Thing"] = client.create("Things", body)
    top = at("Things", ids["Thing"])
    for kind in ("Location", "HistoricalLocation", "Datastream", "TaskingCapability"):
        (ids[kind],) = client.ids(f"{top}/{BY_NAME[kind].entities}")
    stream = at("Datastreams", ids["Datastream"])
    for kind in ("Sensor", "ObservedProperty"):
        ids[kind] = client.get(f"{stream}/{kind}")["@iot.id"]
    both = [link(ids["ObservedProperty"]), observed_property()]
    multi = multi_datastream(Sensor=link(ids["Sensor"]), ObservedProperties=both, properties={"a": 1})
    ids["MultiDatastream"] = client.create(f"{top}/MultiDatastreams", multi)
    able = at("TaskingCapabilities", ids["TaskingCapability"])
    ids["Actuator"] = client.get(f"{able}/Actuator")["@iot.id"]
    ids["Task"] = client.create(f"{able}/Tasks", {"taskingParameters": {"status": "on"}})
    ids["FeatureOfInterest"] = client.create("FeaturesOfInterest", feature(properties={"rooms": 2}))
    ids["Observation"] = _observe(client, stream, ids["FeatureOfInterest"])
    pair = {"result": [21.5, 40], "FeatureOfInterest": link(ids["FeatureOfInterest"])}
    path = at("MultiDatastreams", ids["MultiDatastream"])
    return Station(ids=ids, multi_observation=client.create(f"{path}/Observations", pair))


def _observe(client: Client, stream: str, feature_id: Id) -> Id:
    for hour in (10, 11):
        body = {"phenomenonTime": f"2024-05-01T{hour}:00:00Z", "result": hour}
        client.create(f"{stream}/Observations", body | {"FeatureOfInterest": link(feature_id)})
    whole = {
        "phenomenonTime": "2024-05-01T12:00:00Z/2024-05-01T13:00:00Z",
        "resultTime": "2024-05-01T13:05:00Z",
        "validTime": "2024-05-01T13:00:00Z/2024-05-02T13:00:00Z",
        "result": 12.5,
        "resultQuality": {"code": 2},
        "parameters": {"method": "quick", "deep": {"list": [4, 5]}},
        "FeatureOfInterest": link(feature_id),
    }
    found: Id = client.create(f"{stream}/Observations", whole)
    return found


def grid(client: Client, results: list[Any], **more: Any) -> str:
    """Make a Datastream with Observations an hour apart from 2024-01-01; return its path."""
    rows = [
        {"phenomenonTime": f"2024-01-{1 + at // 24:02d}T{at % 24:02d}:00:00Z", "result": value}
        for at, value in enumerate(results)
    ]
    body = datastream(Thing=thing(Locations=[location()]), Observations=rows) | more
    return f"Datastreams({client.create('Datastreams', body)})"
