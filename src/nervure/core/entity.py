"""The catalogue's nouns, as OGC SensorThings 1.1 (18-088, section 8.2) names them.

Keys are whole numbers, given by the catalogue. Rows hold what SensorThings 2.0 (OGC 23-019)
needs too, so that it is a second view of the same rows.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "Actuator",
    "Datastream",
    "FeatureOfInterest",
    "Location",
    "ObservedProperty",
    "Sensor",
    "TaskingCapability",
    "Thing",
]

Kind = Literal["reading", "forecast", "score", "answer"]


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """An object of the world that is sensed or acted on: a district, a pump, a road."""

    id: int = 0
    name: str
    description: str = ""
    properties: dict[str, Any] = {}


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where a Thing is: GeoJSON in WGS 84, longitude first."""

    id: int = 0
    name: str
    description: str = ""
    encoding_type: str = "application/geo+json"
    location: dict[str, Any]
    properties: dict[str, Any] = {}


class Sensor(msgspec.Struct, frozen=True, kw_only=True):
    """The instrument, or the model, that yields the observations of a Datastream."""

    id: int = 0
    name: str
    description: str = ""
    encoding_type: str = "text/html"
    metadata: str = ""
    properties: dict[str, Any] = {}


class ObservedProperty(msgspec.Struct, frozen=True, kw_only=True):
    """The phenomenon that is observed: net inflow, speed, PM2.5."""

    id: int = 0
    name: str
    definition: str = ""
    description: str = ""
    properties: dict[str, Any] = {}


class FeatureOfInterest(msgspec.Struct, frozen=True, kw_only=True):
    """What the observation is about, when that is not the Thing itself."""

    id: int = 0
    name: str
    description: str = ""
    encoding_type: str = "application/geo+json"
    feature: dict[str, Any]
    properties: dict[str, Any] = {}


class Datastream(msgspec.Struct, frozen=True, kw_only=True):
    """The observations of one property of one Thing by one Sensor, in one UCUM unit.

    ``signal`` and ``solution`` say which declaration it fulfils; ``kind`` tells readings from
    forecasts and scores, whose ``source`` is the Datastream of the readings they are about, and
    from answers about the Thing as a whole.
    ``every_ns`` is the declared sampling interval (0 when irregular). One without a solution was made
    by a client and takes any result at any time. ``data_types`` are those of a MultiDatastream, whose
    results are arrays with a value for each.
    """

    id: int = 0
    key: str | None = None
    name: str
    description: str = ""
    unit: str
    multi: bool = False
    data_types: list[str] | None = None
    thing: int
    sensor: int = 0
    observed_property: int = 0
    solution: str = ""
    signal: str = ""
    kind: Kind = "reading"
    source: int | None = None
    every_ns: int = 0
    low: float | None = None
    high: float | None = None
    properties: dict[str, Any] = {}


class Actuator(msgspec.Struct, frozen=True, kw_only=True):
    """The device that carries out a Task (OGC 17-079)."""

    id: int = 0
    name: str
    description: str = ""
    encoding_type: str = "text/html"
    metadata: str = ""
    properties: dict[str, Any] = {}


class TaskingCapability(msgspec.Struct, frozen=True, kw_only=True):
    """What may be asked of a Thing, with its parameters in SWE Common (OGC 17-079)."""

    id: int = 0
    name: str
    description: str = ""
    thing: int
    actuator: int = 0
    tasking_parameters: dict[str, Any]
    properties: dict[str, Any] = {}
