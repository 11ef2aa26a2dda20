"""The data model as the standards print it, typed in here again so that the tests know it by themselves.

Sources: OGC 18-088, section 8 and 14 (MultiDatastream); OGC 17-079, section 8.
"""

from __future__ import annotations

import msgspec

__all__ = ["BY_NAME", "KINDS", "RELATIONS", "Kind"]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of entity: which properties a client must give, may give, and what the service gives."""

    name: str
    entities: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    one: tuple[str, ...] = ()
    many: tuple[tuple[str, str], ...] = ()

    @property
    def properties(self) -> tuple[str, ...]:
        return self.required + self.optional + self.given

    @property
    def relations(self) -> tuple[str, ...]:
        return self.one + tuple(name for name, _ in self.many)


_STREAM = ("phenomenonTime", "resultTime", "observedArea")

KINDS = (
    Kind(
        name="Thing",
        entities="Things",
        required=("name", "description"),
        optional=("properties",),
        many=(
            ("Locations", "Location"),
            ("HistoricalLocations", "HistoricalLocation"),
            ("Datastreams", "Datastream"),
            ("MultiDatastreams", "MultiDatastream"),
            ("TaskingCapabilities", "TaskingCapability"),
        ),
    ),
    Kind(
        name="Location",
        entities="Locations",
        required=("name", "description", "encodingType", "location"),
        optional=("properties",),
        many=(("Things", "Thing"), ("HistoricalLocations", "HistoricalLocation")),
    ),
    Kind(
        name="HistoricalLocation",
        entities="HistoricalLocations",
        required=("time",),
        one=("Thing",),
        many=(("Locations", "Location"),),
    ),
    Kind(
        name="Datastream",
        entities="Datastreams",
        required=("name", "description", "unitOfMeasurement", "observationType"),
        optional=("properties",),
        given=_STREAM,
        one=("Thing", "Sensor", "ObservedProperty"),
        many=(("Observations", "Observation"),),
    ),
    Kind(
        name="MultiDatastream",
        entities="MultiDatastreams",
        required=("name", "description", "multiObservationDataTypes", "unitOfMeasurements"),
        optional=("properties", "observationType"),
        given=_STREAM,
        one=("Thing", "Sensor"),
        many=(("ObservedProperties", "ObservedProperty"), ("Observations", "Observation")),
    ),
    Kind(
        name="Sensor",
        entities="Sensors",
        required=("name", "description", "encodingType", "metadata"),
        optional=("properties",),
        many=(("Datastreams", "Datastream"), ("MultiDatastreams", "MultiDatastream")),
    ),
    Kind(
        name="ObservedProperty",
        entities="ObservedProperties",
        required=("name", "definition", "description"),
        optional=("properties",),
        many=(("Datastreams", "Datastream"), ("MultiDatastreams", "MultiDatastream")),
    ),
    Kind(
        name="Observation",
        entities="Observations",
        required=("result",),
        optional=("phenomenonTime", "resultTime", "resultQuality", "validTime", "parameters"),
        one=("Datastream", "FeatureOfInterest"),
    ),
    Kind(
        name="FeatureOfInterest",
        entities="FeaturesOfInterest",
        required=("name", "description", "encodingType", "feature"),
        optional=("properties",),
        many=(("Observations", "Observation"),),
    ),
    Kind(
        name="Actuator",
        entities="Actuators",
        required=("name", "description", "encodingType", "metadata"),
        optional=("properties",),
        many=(("TaskingCapabilities", "TaskingCapability"),),
    ),
    Kind(
        name="TaskingCapability",
        entities="TaskingCapabilities",
        required=("name", "description", "taskingParameters"),
        optional=("properties",),
        one=("Thing", "Actuator"),
        many=(("Tasks", "Task"),),
    ),
    Kind(
        name="Task",
        entities="Tasks",
        required=("taskingParameters",),
        given=("creationTime",),
        one=("TaskingCapability",),
    ),
)

BY_NAME = {kind.name: kind for kind in KINDS}

RELATIONS = tuple((kind.name, relation) for kind in KINDS for relation in kind.relations)
"""Every (kind, relation) that the standards name."""
