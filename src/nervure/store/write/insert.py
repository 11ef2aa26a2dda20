"""Making entities, with everything inside of them (deep insert, 18-088, section 10.2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.error import QueryError
from nervure.core.sensorthings import BY_NAME, Kind, Relation
from nervure.store import sql
from nervure.store.write import content, multi, place, task
from nervure.store.write.work import Later, Work, related, table_of

__all__ = ["adopt", "make", "pair", "target"]

Given = Mapping[str, Sequence[int]]
"""Relations that are known already, by name: to the entity that this one lies in."""

_OWNED = (
    ("Thing", "Locations"),
    ("HistoricalLocation", "Locations"),
    ("MultiDatastream", "ObservedProperties"),
)
"""Relations whose members only together make sense: they are written at once."""


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    """An entity that is being made: what it says, what is known of it already, where it lies."""

    kind: Kind
    relations: dict[str, Any]
    known: dict[str, Sequence[int]]
    where: str
    depth: int


def make(
    work: Work, kind: Kind, body: object, *, where: str = "$", given: Given | None = None, depth: int = 0
) -> int:
    """Make an entity and what lies in it, and return its row id."""
    work.step(depth, where)
    said = content.read(kind, body, where)
    entity = _Body(kind=kind, relations=said.relations, known=dict(given or {}), where=where, depth=depth)
    values = dict(said.values)
    for relation in kind.relations:
        if relation.column:
            values[relation.column] = _one(work, entity, relation)
    owned = {name: _members(work, entity, name) for of, name in _OWNED if of == kind.name}
    identity = work.insert(kind, _completed(work, kind, values, owned, where), said.key)
    for name, ids in owned.items():
        pair(work, kind, identity, name, ids)
    for relation in kind.relations:
        if relation.many and relation.name not in owned and relation.name in said.relations:
            _inside(work, entity, identity, relation)
    if kind.name == "HistoricalLocation":
        place.arrive(work, identity)
    return identity


def target(work: Work, kind: Kind, value: object, where: str, depth: int, given: Given | None = None) -> int:
    """Return the row id of what a relation names: an entity that is there, or one made for it."""
    name = content.reference(value)
    if name is not None:
        return work.referred(kind, name, where)
    if isinstance(value, Mapping):
        key = content.name_of(value)
        found = None if key is None else work.resolve(kind, key)
        if found is not None:
            return found
    return make(work, kind, value, where=where, given=given, depth=depth + 1)


def adopt(work: Work, kind: Kind, identity: int, relation: Relation, child: int, where: str) -> None:
    """Relate an entity to one that is there, by the name that the relation has on this side."""
    if relation.foreign:
        work.update(BY_NAME[relation.target], child, {relation.foreign: identity})
        work.touched = True
    elif relation.name == "MultiDatastreams":
        raise QueryError(
            "a MultiDatastream chooses its ObservedProperties itself, with a unit for each",
            where=where,
            hint="change the MultiDatastream",
        )
    elif kind.name == "Location" and relation.name == "Things":
        place.move(work, child, [identity])
    else:
        pair(work, kind, identity, relation.name, [child])


def pair(work: Work, kind: Kind, identity: int, name: str, ids: Sequence[int]) -> None:
    """Relate an entity to others through a table of pairs; for a Thing's Locations that is a move."""
    if (kind.name, name) == ("Thing", "Locations"):
        if ids:
            place.move(work, identity, ids)
        return
    if name == "ObservedProperties":
        multi.write(work, identity, ids)
        return
    table, mine, theirs = related(kind, name).link or ("", "", "")
    columns = sql.METADATA.tables[table].c
    held = sa.select(columns[theirs]).where(columns[mine] == identity)
    present = set(work.connection.execute(held).scalars())
    rows = [{mine: identity, theirs: one} for one in dict.fromkeys(ids) if one not in present]
    if rows:
        work.connection.execute(sa.insert(sql.METADATA.tables[table]), rows)


def _one(work: Work, entity: _Body, relation: Relation) -> int | None:
    name, where = relation.name, f"{entity.where}.{relation.name}"
    if name in entity.known:
        return entity.known[name][0]
    if entity.relations.get(name) is None:
        if relation.required:
            what = f"{entity.kind.name}: {name} is missing"
            raise QueryError(what, where=where, hint='link it: {"@iot.id": 1}')
        return None
    return target(work, BY_NAME[relation.target], entity.relations[name], where, entity.depth)


def _members(work: Work, entity: _Body, name: str) -> list[int]:
    relation, where = related(entity.kind, name), f"{entity.where}.{name}"
    ids = list(entity.known.get(name, ()))
    for index, item in enumerate(content.items(entity.relations.get(name) or [], where)):
        ids.append(target(work, BY_NAME[relation.target], item, f"{where}[{index}]", entity.depth))
    if relation.required and not ids:
        raise QueryError(f"{entity.kind.name}: {name} is missing", where=where, hint="it needs at least one")
    return ids


def _inside(work: Work, entity: _Body, identity: int, relation: Relation) -> None:
    """Make or adopt the members of a relation to many."""
    child = BY_NAME[relation.target]
    inside = content.items(entity.relations[relation.name] or [], f"{entity.where}.{relation.name}")
    for index, item in enumerate(inside):
        where = f"{entity.where}.{relation.name}[{index}]"
        if child.name == "Observation":
            work.step(entity.depth + 1, where)
            work.later.append(Later(body=item, where=where, given={relation.inverse: identity}))
            continue
        name = content.reference(item)
        if name is None and isinstance(item, Mapping) and (key := content.name_of(item)) is not None:
            name = key if work.resolve(child, key) is not None else None
        if name is not None:
            there = work.referred(child, name, where)
            adopt(work, entity.kind, identity, relation, there, where)
        else:
            given = {relation.inverse: [identity]}
            make(work, child, item, where=where, given=given, depth=entity.depth + 1)


def _completed(
    work: Work, kind: Kind, values: dict[str, Any], owned: Mapping[str, Sequence[int]], where: str
) -> dict[str, Any]:
    """Add what the service gives by itself."""
    if "definition" in table_of(kind).c:
        values.setdefault("definition", "")
    if kind.table == "datastream":
        values |= {"solution": "", "signal": "", "kind": "reading", "every_ns": 0}
        values |= multi.completed(kind, values, owned.get("ObservedProperties", ()), where)
        work.touched = True
    elif kind.name == "Task":
        values |= task.asked(work, values, where)
    elif kind.name == "TaskingCapability":
        values |= task.filled(work, values, where)
        task.keeps(work, {}, values, where)
    elif kind.name in {"Thing", "Location"}:
        work.touched = True
    return values
