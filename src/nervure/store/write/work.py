"""One change of the catalogue: its transaction, on whose behalf, and what is left to do at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.error import ConflictError, NotFoundError, QueryError
from nervure.core.sensorthings import Kind, Relation
from nervure.store import sql
from nervure.store.scope import Scope
from nervure.store.write.form import Touched

__all__ = ["Later", "Work", "chunks", "find", "related", "resolve", "seen", "table_of"]

DEPTH = 12
"""How deep entities may lie in each other in one request."""

MOST = 20_000
"""How many entities one request may make."""

_LARGEST = (1 << 63) - 1
_CHUNK = 10_000


class Later(msgspec.Struct, frozen=True, kw_only=True):
    """An Observation inside of another entity, made when everything it may depend on is there."""

    body: Any
    where: str
    given: dict[str, int]


class Work:
    """What one request does to the catalogue, all of it inside of one project."""

    def __init__(self, connection: sa.Connection, scope: Scope, project: int | None = None) -> None:
        self.connection = connection
        self.project = scope.home if project is None else project
        self.scope = msgspec.structs.replace(scope, project=self.project)
        self.now_ns = time.time_ns() // 1000 * 1000  # as finely as it is answered
        self.later: list[Later] = []
        self.made: list[tuple[str, int]] = []
        self.changed: list[Touched] = []
        self.touched = False
        """Whether something changed that those who read streams keep in memory."""

    def step(self, depth: int, where: str) -> None:
        """Count an entity that is made; one request may not make too many, nor too deep."""
        if depth > DEPTH:
            raise QueryError(f"entities lie in each other more than {DEPTH} deep", where=where)
        if len(self.made) + len(self.later) >= MOST:
            raise QueryError(f"one request may make {MOST} entities", where=where, hint="send several")

    def insert(self, kind: Kind, values: Mapping[str, Any], key: str | None) -> int:
        """Write a row of an entity and return its id."""
        table = table_of(kind)
        if key is not None and self.resolve(kind, key) is not None:
            raise ConflictError(f"there is a {kind.name} {key!r} already", hint="choose another @iot.id")
        row = {**values, "project_id": self.project, "key": key}
        made = self.connection.execute(sa.insert(table).values(row)).inserted_primary_key
        identity = int(made[0]) if made else 0
        self.made.append((kind.name, identity))
        return identity

    def update(self, kind: Kind, id: int, values: Mapping[str, Any]) -> None:
        """Change columns of an entity."""
        table = table_of(kind)
        self.connection.execute(sa.update(table).where(table.c.id == id).values(dict(values)))

    def resolve(self, kind: Kind, name: int | str) -> int | None:
        """Return the row id of what a body calls by number or key, or None."""
        return resolve(self.connection, kind, name, self.scope)

    def told(self) -> list[Touched]:
        """Return what was made and changed, for those who follow it."""
        made = [Touched(kind=kind, id=identity, made=True) for kind, identity in self.made]
        return [*made, *self.changed]

    def find(self, kind: Kind, id: int) -> dict[str, Any]:
        """Return the row of an entity that this scope sees."""
        return find(self.connection, kind, id, self.scope)

    def referred(self, kind: Kind, name: int | str, where: str) -> int:
        """Return the row id of what a body refers to; what is not there is the body's mistake."""
        found = self.resolve(kind, name)
        if found is None:
            raise QueryError(f"there is no {kind.name} {name!r}", where=where)
        return found


def table_of(kind: Kind) -> sa.Table:
    """Return the table of a kind; Observations have none in the catalogue."""
    return sql.METADATA.tables[kind.table]


def related(kind: Kind, name: str) -> Relation:
    """Return a relation that a kind has."""
    return next(one for one in kind.relations if one.name == name)


def seen(kind: Kind, scope: Scope) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of the rows of a kind that a scope sees."""
    table = table_of(kind)
    conditions = [] if kind.marker is None else [table.c[kind.marker[0]] == kind.marker[1]]
    if scope.project is not None:
        conditions.append(table.c.project_id == scope.project)
    return conditions


def find(connection: sa.Connection, kind: Kind, id: int, scope: Scope) -> dict[str, Any]:
    """Return the row of an entity, or raise ``NotFoundError``."""
    table = table_of(kind)
    row = None
    if 0 <= id <= _LARGEST:
        query = sa.select(table).where(table.c.id == id, *seen(kind, scope))
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"there is no {kind.name} {id}")
    return dict(row)


def resolve(connection: sa.Connection, kind: Kind, name: int | str, scope: Scope) -> int | None:
    """Return the row id of what a client calls by number or key, or None."""
    table = table_of(kind)
    if isinstance(name, int):
        if not 0 <= name <= _LARGEST:
            return None
        # Who chose a key is known by it alone.
        mine = sa.and_(table.c.id == name, table.c.key.is_(None))
    elif "\0" in name:
        return None
    else:
        mine = table.c.key == name
    query = sa.select(table.c.id).where(mine, *seen(kind, scope)).order_by(table.c.id).limit(1)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else int(found)


def chunks(ids: Sequence[int]) -> list[Sequence[int]]:
    """Cut ids into lists that a database takes in one statement."""
    return [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
