"""Resource paths of SensorThings 1.1 (18-088, section 9.2), read as steps; nothing is looked up here.

A path is told apart from one that the data model does not have: ``Things(1)/Datastreams`` leads
somewhere, ``Things(1)/Sensors`` does not (``NotFoundError``), ``Things(1`` cannot be read (``QueryError``).
"""

from __future__ import annotations

import re

import msgspec

from nervure.core.error import NotFoundError, QueryError
from nervure.core.sensorthings import BY_NAME, BY_SET, Kind, Relation
from nervure.store.write.form import Parent

__all__ = ["Route", "Step", "Target", "route"]

DEEPEST = 16
LONGEST = 4000

_STEP = re.compile(r"([^/()']+)(?:\(((?:[^'()]|'(?:[^']|'')*')*)\))?(?:/|$)")
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
_NAMED_ID = re.compile(r"(?:id|@iot\.id)\s*=\s*")
_CONTROL = {
    "id": "@iot.id",
    "@iot.id": "@iot.id",
    "selfLink": "@iot.selfLink",
    "@iot.selfLink": "@iot.selfLink",
}
_MOST = 1 << 63


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step: the kind it leads to, the relation it took (none in the first), the key if one is given."""

    kind: Kind
    relation: Relation | None = None
    key: int | str | None = None

    @property
    def many(self) -> bool:
        """Whether it leads to a set and not to one entity."""
        return self.key is None and (self.relation is None or self.relation.many)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Steps over entities, then a property and the way into it, then at most one of the flags."""

    steps: tuple[Step, ...]
    property: tuple[str, ...] = ()
    value: bool = False
    ref: bool = False
    count: bool = False


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a path leads: a set (``many``), or the entity with the row id ``id``.

    ``parent`` is the entity before and the relation from it: ``Things(1)/Datastreams`` has the parent
    ``("Thing", 1, "Datastreams")`` and so has ``Things(1)/Datastreams(2)``. ``id`` is None where a
    relation to one leads nowhere, which only a path with ``$ref`` may do.
    """

    kind: Kind
    id: int | None = None
    many: bool = False
    parent: Parent | None = None
    property: tuple[str, ...] = ()
    value: bool = False
    ref: bool = False
    count: bool = False


def route(path: str) -> Route:
    """Read the part of a path after ``/v1.1/``, percent-decoded.

    >>> [step.kind.name for step in route("Observations(65536)/Datastream/Thing").steps]
    ['Observation', 'Datastream', 'Thing']
    >>> route("Things('it''s')/properties/a/$value").steps[0].key
    "it's"
    """
    parts = _parts(path)
    steps: list[Step] = []
    while parts and (step := _entity(steps, *parts[0])) is not None:
        steps.append(step)
        parts.pop(0)
    flag = _flag(steps[-1], parts)
    names = _property(steps[-1], parts)
    if flag == "$value" and not names:
        raise NotFoundError("$value is asked of a property", hint="write Things(1)/name/$value")
    return Route(
        steps=tuple(steps), property=names, value=flag == "$value", ref=flag == "$ref", count=flag == "$count"
    )


def _parts(path: str) -> list[tuple[str, str | None]]:
    """Split a path at the slashes that are not inside a key."""
    text = path.strip("/")
    if len(text) > LONGEST:
        raise QueryError(f"a path may have {LONGEST} characters at most")
    parts, at = [], 0
    while at < len(text):
        read = _STEP.match(text, at)
        if read is None:
            raise QueryError(f"{text[at:]!r} is not a step of a path", hint="write Things(1)/Datastreams")
        parts.append((read[1], read[2]))
        at = read.end()
    if not parts:
        raise NotFoundError("the path leads nowhere")
    if len(parts) > DEEPEST:
        raise QueryError(f"a path may have {DEEPEST} steps at most")
    return parts


def _entity(steps: list[Step], name: str, key: str | None) -> Step | None:
    """Read a step that leads to entities, or return None where the properties begin."""
    if not steps:
        kind = BY_SET.get(name)
        if kind is None:
            raise NotFoundError(f"there is no entity set {name}", hint=f"there are {', '.join(BY_SET)}")
        return Step(kind=kind, key=_key(name, key))
    last = steps[-1]
    relation = last.kind.relation(name)
    if relation is None:
        return None
    if last.many:
        entities = last.kind.entities
        raise NotFoundError(f"{entities} lead to {name} only with a key", hint=f"{entities}(1)/{name}")
    if key is not None and not relation.many:
        raise NotFoundError(f"{name} is one entity and takes no key")
    return Step(kind=BY_NAME[relation.target], relation=relation, key=_key(name, key))


def _key(name: str, text: str | None) -> int | str | None:
    if text is None:
        return None
    text = _NAMED_ID.sub("", text.strip(), count=1)
    if quoted := _QUOTED.fullmatch(text):
        return quoted[1].replace("''", "'")
    if not re.fullmatch(r"-?[0-9]{1,40}", text):
        raise QueryError(f"the key {text!r} is neither a number nor a string", hint=f"write {name}(1)")
    if not 0 <= int(text) < _MOST:
        raise NotFoundError(f"there is no {name}({text})")
    return int(text)


def _flag(last: Step, parts: list[tuple[str, str | None]]) -> str:
    """Take ``$ref``, ``$value`` or ``$count`` off the end."""
    if not parts or parts[-1][0] not in {"$ref", "$value", "$count"} or parts[-1][1] is not None:
        return ""
    flag = parts.pop()[0]
    if (flag == "$ref" and parts) or (flag == "$count" and (parts or not last.many)):
        raise NotFoundError(f"{flag} leads nowhere here")
    return flag


def _property(last: Step, parts: list[tuple[str, str | None]]) -> tuple[str, ...]:
    """Read what is left as a property and the way into its JSON."""
    if not parts:
        return ()
    name = parts[0][0].partition("[")[0]
    known = last.kind.property(name)
    inner = len(parts) > 1 or "[" in parts[0][0]
    if last.many or (known is None and name not in _CONTROL) or any(key is not None for _, key in parts):
        raise NotFoundError(f"{last.kind.entities} lead to no {name}")
    if inner and (known is None or known.form not in {"object", "any", "list"}):
        raise NotFoundError(f"nothing lies inside of {name}")
    return (_CONTROL.get(parts[0][0], parts[0][0]), *(step for step, _ in parts[1:]))
