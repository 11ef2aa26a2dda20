"""The data model of OGC SensorThings 1.1 as data: kinds of entities, their properties and relations.

Everything that speaks the standard is driven by this table: paths, ``$filter``, ``$expand``, creating
and deleting, and the rows it is kept in. Sources: OGC 18-088, section 8 (Sensing), OGC 17-079,
section 8 (Tasking). A relation is written as the standard writes it, and ``column``, ``foreign`` and
``link`` say how the rows hold it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["BY_NAME", "BY_SET", "KINDS", "Kind", "Property", "Relation"]

Form = Literal["text", "object", "any", "instant", "interval", "moment", "list"]
"""How a property is written and kept.

``text``: a string. ``object``: a JSON object, into which a path may lead. ``any``: any JSON value.
``list``: a JSON array. ``instant``: an instant (column in ns). ``interval``: two instants (columns in
ns). ``moment``: an instant or an interval (the second column is null for an instant).
"""


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """A property: its name, its form, and the columns that hold it (two for intervals)."""

    name: str
    form: Form = "text"
    columns: tuple[str, ...]
    required: bool = False
    given: bool = False
    """Whether the service gives it and a client's value is passed over."""


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """A relation: where it leads, and which column or table of pairs holds it.

    ``column``: this row holds the key of the target. ``foreign``: the target's rows hold this key.
    ``link``: a table of pairs, with the columns of this side and of the other one.
    """

    name: str
    target: str
    inverse: str
    many: bool = False
    required: bool = False
    column: str = ""
    foreign: str = ""
    link: tuple[str, str, str] | None = None


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of entity. ``marker`` is the (column, value) that its rows have in a table it shares."""

    name: str
    entities: str
    table: str
    properties: tuple[Property, ...]
    relations: tuple[Relation, ...]
    marker: tuple[str, bool] | None = None

    def property(self, name: str) -> Property | None:
        """Return a property by its name in the standard, or None."""
        return next((one for one in self.properties if one.name == name), None)

    def relation(self, name: str) -> Relation | None:
        """Return a relation by its name in the standard, or None."""
        return next((one for one in self.relations if one.name == name), None)


def _text(name: str, column: str = "", *, required: bool = True) -> Property:
    return Property(name=name, columns=(column or name,), required=required)


def _one(name: str, inverse: str, column: str, *, required: bool = True) -> Relation:
    return Relation(name=name, target=name, inverse=inverse, column=column, required=required)


def _many(name: str, target: str, inverse: str, foreign: str) -> Relation:
    return Relation(name=name, target=target, inverse=inverse, many=True, foreign=foreign)


def _pairs(
    name: str, target: str, inverse: str, link: tuple[str, str, str], *, required: bool = False
) -> Relation:
    return Relation(name=name, target=target, inverse=inverse, many=True, link=link, required=required)


_NAME = _text("name")
_DESCRIPTION = _text("description")
_PROPERTIES = Property(name="properties", form="object", columns=("properties",))
_ENCODING = _text("encodingType", "encoding_type")
_METADATA = Property(name="metadata", form="any", columns=("metadata",), required=True)
_OBSERVED = (
    Property(name="observedArea", form="any", columns=("observed_area",), given=True),
    Property(
        name="phenomenonTime",
        form="interval",
        columns=("phenomenon_start_ns", "phenomenon_end_ns"),
        given=True,
    ),
    Property(name="resultTime", form="interval", columns=("result_start_ns", "result_end_ns"), given=True),
)

KINDS: tuple[Kind, ...] = (
    Kind(
        name="Thing",
        entities="Things",
        table="thing",
        properties=(_NAME, _DESCRIPTION, _PROPERTIES),
        relations=(
            _many("Datastreams", "Datastream", "Thing", "thing_id"),
            _many("MultiDatastreams", "MultiDatastream", "Thing", "thing_id"),
            _pairs("Locations", "Location", "Things", ("thing_location", "thing_id", "location_id")),
            _many("HistoricalLocations", "HistoricalLocation", "Thing", "thing_id"),
            _many("TaskingCapabilities", "TaskingCapability", "Thing", "thing_id"),
        ),
    ),
    Kind(
        name="Location",
        entities="Locations",
        table="location",
        properties=(
            _NAME,
            _DESCRIPTION,
            _ENCODING,
            Property(name="location", form="any", columns=("location",), required=True),
            _PROPERTIES,
        ),
        relations=(
            _pairs("Things", "Thing", "Locations", ("thing_location", "location_id", "thing_id")),
            _pairs(
                "HistoricalLocations",
                "HistoricalLocation",
                "Locations",
                ("historical_place", "location_id", "historical_location_id"),
            ),
        ),
    ),
    Kind(
        name="HistoricalLocation",
        entities="HistoricalLocations",
        table="historical_location",
        properties=(Property(name="time", form="instant", columns=("time_ns",), required=True),),
        relations=(
            _one("Thing", "HistoricalLocations", "thing_id"),
            _pairs(
                "Locations",
                "Location",
                "HistoricalLocations",
                ("historical_place", "historical_location_id", "location_id"),
                required=True,
            ),
        ),
    ),
    Kind(
        name="Datastream",
        entities="Datastreams",
        table="datastream",
        marker=("multi", False),
        properties=(
            _NAME,
            _DESCRIPTION,
            Property(
                name="unitOfMeasurement", form="object", columns=("unit_of_measurement",), required=True
            ),
            _text("observationType", "observation_type"),
            *_OBSERVED,
            _PROPERTIES,
        ),
        relations=(
            _one("Thing", "Datastreams", "thing_id"),
            _one("Sensor", "Datastreams", "sensor_id"),
            _one("ObservedProperty", "Datastreams", "observed_property_id"),
            _many("Observations", "Observation", "Datastream", "datastream"),
        ),
    ),
    Kind(
        name="MultiDatastream",
        entities="MultiDatastreams",
        table="datastream",
        marker=("multi", True),
        properties=(
            _NAME,
            _DESCRIPTION,
            Property(name="observationType", columns=("observation_type",), given=True),
            Property(name="multiObservationDataTypes", form="list", columns=("data_types",), required=True),
            Property(
                name="unitOfMeasurements", form="list", columns=("units_of_measurement",), required=True
            ),
            *_OBSERVED,
            _PROPERTIES,
        ),
        relations=(
            _one("Thing", "MultiDatastreams", "thing_id"),
            _one("Sensor", "MultiDatastreams", "sensor_id"),
            _pairs(
                "ObservedProperties",
                "ObservedProperty",
                "MultiDatastreams",
                ("datastream_property", "datastream_id", "observed_property_id"),
                required=True,
            ),
            _many("Observations", "Observation", "MultiDatastream", "datastream"),
        ),
    ),
    Kind(
        name="Sensor",
        entities="Sensors",
        table="sensor",
        properties=(_NAME, _DESCRIPTION, _ENCODING, _METADATA, _PROPERTIES),
        relations=(
            _many("Datastreams", "Datastream", "Sensor", "sensor_id"),
            _many("MultiDatastreams", "MultiDatastream", "Sensor", "sensor_id"),
        ),
    ),
    Kind(
        name="ObservedProperty",
        entities="ObservedProperties",
        table="observed_property",
        properties=(_NAME, _text("definition"), _DESCRIPTION, _PROPERTIES),
        relations=(
            _many("Datastreams", "Datastream", "ObservedProperty", "observed_property_id"),
            _pairs(
                "MultiDatastreams",
                "MultiDatastream",
                "ObservedProperties",
                ("datastream_property", "observed_property_id", "datastream_id"),
            ),
        ),
    ),
    Kind(
        name="Observation",
        entities="Observations",
        table="observation",
        properties=(
            Property(name="phenomenonTime", form="moment", columns=("time", "end_time")),
            Property(name="result", form="any", columns=("value", "text"), required=True),
            Property(name="resultTime", form="instant", columns=("result_time",)),
            Property(name="resultQuality", form="any", columns=("extra",)),
            Property(name="validTime", form="interval", columns=("extra",)),
            Property(name="parameters", form="object", columns=("extra",)),
        ),
        relations=(
            _one("Datastream", "Observations", "datastream", required=False),
            _one("MultiDatastream", "Observations", "datastream", required=False),
            _one("FeatureOfInterest", "Observations", "feature", required=False),
        ),
    ),
    Kind(
        name="FeatureOfInterest",
        entities="FeaturesOfInterest",
        table="feature_of_interest",
        properties=(
            _NAME,
            _DESCRIPTION,
            _ENCODING,
            Property(name="feature", form="any", columns=("feature",), required=True),
            _PROPERTIES,
        ),
        relations=(_many("Observations", "Observation", "FeatureOfInterest", "feature"),),
    ),
    Kind(
        name="Actuator",
        entities="Actuators",
        table="actuator",
        properties=(_NAME, _DESCRIPTION, _ENCODING, _METADATA, _PROPERTIES),
        relations=(_many("TaskingCapabilities", "TaskingCapability", "Actuator", "actuator_id"),),
    ),
    Kind(
        name="TaskingCapability",
        entities="TaskingCapabilities",
        table="tasking_capability",
        properties=(
            _NAME,
            _DESCRIPTION,
            Property(name="taskingParameters", form="object", columns=("tasking_parameters",), required=True),
            _PROPERTIES,
        ),
        relations=(
            _one("Thing", "TaskingCapabilities", "thing_id"),
            _one("Actuator", "TaskingCapabilities", "actuator_id"),
            _many("Tasks", "Task", "TaskingCapability", "tasking_capability_id"),
        ),
    ),
    Kind(
        name="Task",
        entities="Tasks",
        table="task",
        properties=(
            Property(name="creationTime", form="instant", columns=("creation_ns",), given=True),
            Property(name="taskingParameters", form="object", columns=("tasking_parameters",), required=True),
            Property(name="status", columns=("status",), given=True),
            Property(name="runLog", form="list", columns=("run_log",), given=True),
            _PROPERTIES,
        ),
        relations=(_one("TaskingCapability", "Tasks", "tasking_capability_id"),),
    ),
)
"""Every kind, in the order in which the service lists them."""

BY_NAME: dict[str, Kind] = {one.name: one for one in KINDS}
BY_SET: dict[str, Kind] = {one.entities: one for one in KINDS}
