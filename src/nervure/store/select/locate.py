"""Locating: from the ids that a client knows to rows, step by step along a path."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from nervure.core.sensorthings import BY_NAME, Kind, Relation
from nervure.store import sql
from nervure.store.select import observation
from nervure.store.select.condition import table_of
from nervure.store.select.session import Session

__all__ = ["find", "neighbour"]


def find(session: Session, kind: Kind, key: int | str) -> int | None:
    """Return the row id of what a client calls by number or by the key it chose, or None."""
    if kind.table == "observation":
        return key if isinstance(key, int) and _observation(session, key) is not None else None
    if isinstance(key, int) and kind.table == sql.datastream.name:
        return _stream(session, kind, key)
    return _row(session, kind, key, [])


def _stream(session: Session, kind: Kind, id: int) -> int | None:
    """Return the number of a Datastream that a client calls by it."""
    row = session.facts([id]).get(id)
    if row is None or row["key"] is not None or row["multi"] is (kind.name == "Datastream"):
        return None
    return id if session.project in {None, row["project_id"]} else None


def neighbour(
    session: Session, kind: Kind, id: int, relation: Relation, key: int | str | None = None
) -> int | None:
    """Return the row id of what a relation leads to: to one, or to the one with a key among many."""
    target = BY_NAME[relation.target]
    if not relation.many:
        there = _value(session, kind, id, relation.column)
        return None if there is None else _row(session, target, int(there), [], by_row=True)
    if key is None:
        return None
    if target.table == "observation":
        row = _observation(session, key) if isinstance(key, int) else None
        return None if row is None or row[relation.foreign] != id else row["id"]
    table: Any = table_of(target)
    if relation.link is None:
        return _row(session, target, key, [table.c[relation.foreign] == id])
    name, this, other = relation.link
    pairs = sql.METADATA.tables[name]
    related = sa.exists().where(pairs.c[this] == id, pairs.c[other] == table.c.id)
    return _row(session, target, key, [related])


def _row(
    session: Session, kind: Kind, key: int | str, where: list[sa.ColumnElement[bool]], *, by_row: bool = False
) -> int | None:
    if isinstance(key, str) and "\0" in key:  # PostgreSQL has no word for it, so no row has such a key
        return None
    table: Any = table_of(kind)
    # A row whose client chose a key is known by that alone.
    mine = table.c.key == key if isinstance(key, str) else table.c.id == key
    if isinstance(key, int) and not by_row:
        mine = sa.and_(mine, table.c.key.is_(None))
    found = session.sql(sa.select(table.c.id).where(*session.seen(kind), mine, *where).limit(1))
    return found[0]["id"] if found else None


def _observation(session: Session, id: int) -> dict[str, Any] | None:
    return observation.by_id(session, [id]).get(id)


def _value(session: Session, kind: Kind, id: int, column: str) -> Any:
    if kind.table == "observation":
        return (_observation(session, id) or {}).get(column)
    table: Any = table_of(kind)
    found = session.sql(sa.select(table.c[column].label("there")).where(table.c.id == id))
    return found[0]["there"] if found else None
