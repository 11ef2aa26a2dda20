"""Ways: paths of an expression, checked against the data model."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nervure.core.error import QueryError
from nervure.core.sensorthings import BY_NAME, Kind, Property, Relation
from nervure.store.language.tree import Expression, Path, Some, children

__all__ = ["OPEN", "Way", "follow", "resolve", "validate"]

OPEN = frozenset({"object", "any", "list"})
"""Forms of properties that a path may lead into."""

MOST_RELATIONS = 12
"""How many relations a path may go over."""

_NOWHERE: Mapping[str, Kind] = {}


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """What a path leads to: over which relations, of which kind, which property, where in its JSON.

    Without ``property`` it is the id.
    """

    relations: tuple[Relation, ...]
    kind: Kind
    property: Property | None
    rest: tuple[str | int, ...] = ()


def resolve(path: Path, kind: Kind) -> Way:
    """Find what a path leads to from a kind; ``QueryError`` names what there is instead."""
    relations, end, rest = follow(path, kind)
    if len(relations) > MOST_RELATIONS:
        raise _wrong(
            path, f"a path goes over more than {MOST_RELATIONS} relations", "ask in several requests"
        )
    if not rest:
        raise _wrong(
            path, f"{_written(path)} leads to entities, not to a value", f"name a property: {_choices(end)}"
        )
    name, *inner = rest
    if name == "id":
        if inner:
            raise _wrong(path, "an id has no parts", f"write {_written(path).partition('id')[0]}id")
        return Way(relations=relations, kind=end, property=None)
    found = end.property(str(name)) if isinstance(name, str) else None
    if found is None:
        raise _wrong(path, f"{end.name} has no property {str(name)!r}", f"it has id, {_choices(end)}")
    if inner and found.form not in OPEN:
        raise _wrong(path, f"{found.name} of {end.name} has no parts", f"compare {found.name} itself")
    return Way(relations=relations, kind=end, property=found, rest=tuple(inner))


def follow(path: Path, kind: Kind) -> tuple[tuple[Relation, ...], Kind, tuple[str | int, ...]]:
    """Go along the relations that a path begins with: return them, where they end, and what is left."""
    relations: list[Relation] = []
    rest = path.steps
    while rest and isinstance(rest[0], str):
        relation = kind.relation(rest[0])
        if relation is None:
            break
        relations.append(relation)
        kind, rest = BY_NAME[relation.target], rest[1:]
    return tuple(relations), kind, rest


def validate(expression: Expression, kind: Kind, variables: Mapping[str, Kind] = _NOWHERE) -> None:
    """Check every path of an expression against the kind that it is about."""
    if isinstance(expression, Path):
        head = expression.steps[0]
        if isinstance(head, str) and head in variables:
            if len(expression.steps) > 1:
                rest = msgspec.structs.replace(expression, steps=expression.steps[1:])
                resolve(rest, variables[head])
            else:
                raise _wrong(expression, f"{head} is an entity, not a value", "name a property of it")
        else:
            resolve(expression, kind)
    elif isinstance(expression, Some):
        _validate_some(expression, kind, variables)
    else:
        for child in children(expression):
            validate(child, kind, variables)


def _validate_some(some: Some, kind: Kind, variables: Mapping[str, Kind]) -> None:
    head = some.path.steps[0]
    start, path = kind, some.path
    if isinstance(head, str) and head in variables:
        start, path = variables[head], msgspec.structs.replace(path, steps=path.steps[1:])
    relations, end, rest = follow(path, start)
    if rest or not relations or not relations[-1].many:
        raise _wrong(
            some.path,
            f"any() stands after a relation to several entities, not after {_written(some.path)}",
            f"{start.name} has {', '.join(one.name for one in start.relations if one.many)}",
        )
    validate(some.operand, kind, {**variables, some.variable: end})


def _choices(kind: Kind) -> str:
    return ", ".join([*(one.name for one in kind.properties), *(one.name for one in kind.relations)])


def _written(path: Path) -> str:
    text = ""
    for step in path.steps:
        text += f"[{step}]" if isinstance(step, int) else f"/{step}"
    return text.removeprefix("/")


def _wrong(path: Path, what: str, hint: str) -> QueryError:
    return QueryError(f"{what} (position {path.position})", where=f"position {path.position}", hint=hint)
