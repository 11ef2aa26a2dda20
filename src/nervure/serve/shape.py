"""How the catalogue's nouns look as SensorThings 1.1 JSON (18-088, section 8.2)."""

from __future__ import annotations

from collections.abc import Iterable
from math import isnan
from typing import Any

import msgspec

from nervure.core.alert import Alert
from nervure.core.entity import Datastream, FeatureOfInterest, Location, ObservedProperty, Sensor, Thing
from nervure.core.error import QueryError
from nervure.core.instant import iso
from nervure.core.observation import Batch, Observation, Quality
from nervure.serve.path import RELATIONS

__all__ = ["Entity", "alert", "entity_set", "feature", "observations", "properties", "shape"]

Entity = Thing | Location | Sensor | ObservedProperty | Datastream | FeatureOfInterest | Observation

_SETS: dict[type[Entity], str] = {
    Thing: "Things",
    Location: "Locations",
    Sensor: "Sensors",
    ObservedProperty: "ObservedProperties",
    Datastream: "Datastreams",
    FeatureOfInterest: "FeaturesOfInterest",
    Observation: "Observations",
}
_MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"


def entity_set(entity: Entity) -> str:
    """Return the entity set that an entity belongs to.

    >>> entity_set(Thing(name="district A"))
    'Things'
    """
    return _SETS[type(entity)]


def shape(entity: Entity, base: str, select: tuple[str, ...] = ()) -> dict[str, Any]:
    """Write an entity as SensorThings JSON; ``base`` is the service's address with ``/v1.1``.

    >>> shape(Thing(id=1, name="district A"), "http://localhost:8088/v1.1", ("id", "name"))
    {'@iot.id': 1, 'name': 'district A'}
    """
    entities = entity_set(entity)
    link = f"{base}/{entities}({entity.id})"
    full: dict[str, Any] = {"@iot.id": entity.id, "@iot.selfLink": link, **properties(entity)}
    full |= {f"{name}@iot.navigationLink": f"{link}/{name}" for name in RELATIONS[entities]}
    return _chosen(full, select, entities) if select else full


def properties(entity: Entity) -> dict[str, Any]:
    """Return an entity's own properties, without keys and links."""
    match entity:
        case Thing():
            return {"name": entity.name, "description": entity.description, "properties": entity.properties}
        case Location():
            return {**_described(entity), "encodingType": entity.encoding_type, "location": entity.location}
        case FeatureOfInterest():
            return {**_described(entity), "encodingType": entity.encoding_type, "feature": entity.feature}
        case Sensor():
            return {**_described(entity), "encodingType": entity.encoding_type, "metadata": entity.metadata}
        case ObservedProperty():
            return {**_described(entity), "definition": entity.definition}
        case Datastream():
            return _datastream(entity)
        case Observation():
            return _observation(entity)


def observations(batch: Batch) -> list[Observation]:
    """Turn columns into single Observations, in the order of the rows."""
    text = batch.text or [None] * len(batch)
    numbers = (batch.id, batch.datastream, batch.time, batch.result_time, batch.value, batch.low, batch.high)
    columns = [column.tolist() for column in (*numbers, batch.quality)]
    return [
        Observation(
            id=row[0],
            datastream=row[1],
            time_ns=row[2],
            result_time_ns=row[3],
            result=row[4] if words is None else words,
            low=None if isnan(row[5]) else row[5],
            high=None if isnan(row[6]) else row[6],
            quality=row[7],
        )
        for words, *row in zip(text, *columns, strict=True)
    ]


def feature(location: Location) -> FeatureOfInterest:
    """Return what an Observation is about: the place of its Thing, under the Location's key."""
    return FeatureOfInterest(
        id=location.id,
        name=location.name,
        description=location.description,
        encoding_type=location.encoding_type,
        feature=location.location,
        properties=location.properties,
    )


def alert(one: Alert) -> dict[str, Any]:
    """Write an alert with its instants as ISO 8601."""
    found = msgspec.to_builtins(one)
    for name in ("start_ns", "raised_ns", "end_ns", "shelved_until_ns"):
        value = found.pop(name)
        found[name.removesuffix("_ns")] = None if value is None else iso(value)
    for seen in found["evidence"]:
        seen["time"] = iso(seen.pop("time_ns"))
    return dict(found)


def _described(entity: Location | FeatureOfInterest | Sensor | ObservedProperty) -> dict[str, Any]:
    return {"name": entity.name, "description": entity.description, "properties": entity.properties}


def _datastream(entity: Datastream) -> dict[str, Any]:
    ours = {
        "solution": entity.solution,
        "signal": entity.signal,
        "kind": entity.kind,
        "source": entity.source,
        "every_s": entity.every_ns / 1e9 or None,
        "low": entity.low,
        "high": entity.high,
    }
    return {
        "name": entity.name,
        "description": entity.description,
        "observationType": _MEASUREMENT,
        "unitOfMeasurement": {
            "name": entity.unit,
            "symbol": entity.unit,
            "definition": f"ucum:{entity.unit}",
        },
        "properties": {name: value for name, value in ours.items() if value not in {None, ""}}
        | entity.properties,
    }


def _observation(entity: Observation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "phenomenonTime": iso(entity.time_ns),
        "resultTime": iso(entity.result_time_ns),
        "result": entity.result if isinstance(entity.result, float | int) else _value(entity.result),
    }
    if entity.quality:
        found["resultQuality"] = Quality(entity.quality).name.lower().replace("_", " ")
    if entity.low is not None or entity.high is not None:
        found["parameters"] = {"low": entity.low, "high": entity.high}
    return found


def _value(text: str) -> Any:
    """Return the result that a stored JSON text stands for."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _chosen(full: dict[str, Any], select: Iterable[str], entities: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in select:
        key = f"@iot.{name}" if name in {"id", "selfLink"} else name
        if name in RELATIONS[entities]:
            key = f"{name}@iot.navigationLink"
        if key in full:
            found[key] = full[key]
        elif name not in _OPTIONAL.get(entities, ()):
            raise QueryError(f"{entities} have no property {name!r}")
    return found


_OPTIONAL = {"Observations": ("resultQuality", "parameters", "validTime")}
