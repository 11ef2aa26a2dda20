"""Resource paths of SensorThings 1.1 (18-088, section 9.2): which entities a path leads to.

``Things(1)/Datastreams`` is read as steps; :func:`route` follows the relations between entity
sets, so that a path that exists in the model is told apart from one that does not.
"""

from __future__ import annotations

import re

import msgspec

from nervure.core.error import NotFoundError, QueryError
from nervure.serve.answer import Unsupported

__all__ = ["RELATIONS", "SETS", "Step", "route"]

DEEPEST = 8

# Entity set → relation → (the entity set it leads to, whether it leads to many).
RELATIONS: dict[str, dict[str, tuple[str, bool]]] = {
    "Things": {"Datastreams": ("Datastreams", True), "Locations": ("Locations", True)},
    "Locations": {"Things": ("Things", True)},
    "Sensors": {"Datastreams": ("Datastreams", True)},
    "ObservedProperties": {"Datastreams": ("Datastreams", True)},
    "Datastreams": {
        "Thing": ("Things", False),
        "Sensor": ("Sensors", False),
        "ObservedProperty": ("ObservedProperties", False),
        "Observations": ("Observations", True),
    },
    "Observations": {
        "Datastream": ("Datastreams", False),
        "FeatureOfInterest": ("FeaturesOfInterest", False),
    },
    "FeaturesOfInterest": {"Observations": ("Observations", True)},
}
SETS = tuple(RELATIONS)
_LATER = {
    "HistoricalLocations",
    "MultiDatastreams",
    "TaskingCapabilities",
    "Tasks",
    "Actuators",
    "$ref",
    "$value",
}
_STEP = re.compile(r"([A-Za-z]+)(?:\(([^()]*)\))?")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a path: the entity set it is in, the key if one is given, the relation it took."""

    entities: str
    key: int | None
    many: bool


def route(path: str) -> tuple[Step, ...]:
    """Read the part of a path after ``/v1.1/``.

    >>> [step.entities for step in route("Observations(65536)/Datastream/Thing")]
    ['Observations', 'Datastreams', 'Things']
    """
    parts = path.strip("/").split("/")
    if len(parts) > DEEPEST:
        raise QueryError(f"a path may have {DEEPEST} steps at most")
    steps: list[Step] = []
    for part in parts:
        name, key = _step(part)
        entities, many = _lead(steps, name)
        if key is not None and not many:
            raise QueryError(f"{name} is one entity and takes no key")
        if steps and steps[-1].many and steps[-1].key is None:
            raise QueryError(
                f"{steps[-1].entities} needs a key before {name}", hint=f"{steps[-1].entities}(1)/{name}"
            )
        steps.append(Step(entities=entities, key=key, many=many))
    return tuple(steps)


def _step(part: str) -> tuple[str, int | None]:
    if part.startswith("$"):
        raise (
            Unsupported(f"{part} is not supported yet")
            if part in _LATER
            else QueryError(f"{part} is no step")
        )
    read = _STEP.fullmatch(part)
    if not read:
        raise QueryError(f"{part!r} is not a step of a path", hint="write Things(1)/Datastreams")
    name, key = read.groups()
    if key is None:
        return name, None
    if not re.fullmatch(r"[0-9]{1,18}", key):
        raise QueryError(f"the key {key!r} is not a whole number", hint=f"write {name}(1)")
    return name, int(key)


def _lead(steps: list[Step], name: str) -> tuple[str, bool]:
    if name in _LATER:
        raise Unsupported(f"{name} are not served yet")
    if not steps:
        if name in RELATIONS:
            return name, True
        raise NotFoundError(f"there is no entity set {name}", hint=f"there are {', '.join(SETS)}")
    relations = RELATIONS[steps[-1].entities]
    if name in relations:
        return relations[name]
    if name[0].islower():
        raise Unsupported(
            f"reading the single property {name} is not supported yet", hint=f"use $select={name}"
        )
    raise NotFoundError(
        f"{steps[-1].entities} have no relation {name}", hint=f"they have {', '.join(relations)}"
    )
