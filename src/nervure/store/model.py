"""Models in the catalogue: which there are, and which one scores each problem. Audit of what was done."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.card import Card
from nervure.core.error import NotFoundError
from nervure.store import sql, tally

__all__ = ["Entry", "Model", "add", "audit", "audits", "champion", "models", "one", "promote", "stamp"]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A trained model: its card, and where its file is."""

    id: int
    name: str
    version: str
    solution: str
    problem: str
    package: str
    sha256: str
    card: Card
    added_ns: int
    promoted: bool
    promoted_ns: int | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit: when, who, what, to what and how."""

    time_ns: int
    who: str
    what: str
    detail: dict[str, Any] = {}


def add(connection: sa.Connection, card: Card, package: str, sha256: str, *, promoted: bool) -> Model:
    """Add a model; the same file again is the same model."""
    table = sql.model
    known = connection.execute(sa.select(table.c.id).where(table.c.sha256 == sha256)).scalar_one_or_none()
    if known is None:
        values = {
            "name": card.name,
            "version": card.version,
            "solution": card.solution,
            "problem": card.problem.name,
            "package": package,
            "sha256": sha256,
            "card": msgspec.to_builtins(card),
            "added_ns": time.time_ns(),
            "promoted": False,
        }
        key = connection.execute(sa.insert(table).values(values)).inserted_primary_key
        known = key[0] if key else 0
    return promote(connection, int(known)) if promoted else one(connection, int(known))


def one(connection: sa.Connection, identity: int) -> Model:
    """Return the model of that id."""
    row = connection.execute(sa.select(sql.model).where(sql.model.c.id == identity)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"there is no model {identity}", hint="nervure status lists the models")
    return _read(dict(row))


def models(connection: sa.Connection, solution: str | None) -> list[Model]:
    """Return the models, the newest first."""
    query = sa.select(sql.model).order_by(sql.model.c.id.desc())
    if solution is not None:
        query = query.where(sql.model.c.solution == solution)
    return [_read(dict(row)) for row in connection.execute(query).mappings()]


def champion(connection: sa.Connection, solution: str, problem: str) -> Model | None:
    """Return the model that scores a problem."""
    table = sql.model
    mine = (table.c.solution == solution, table.c.problem == problem, table.c.promoted.is_(True))
    row = connection.execute(sa.select(table).where(*mine)).mappings().one_or_none()
    return None if row is None else _read(dict(row))


def promote(connection: sa.Connection, identity: int) -> Model:
    """Let a model score its problem, in the place of the one before, which stays for going back."""
    table = sql.model
    chosen = one(connection, identity)
    if chosen.promoted:
        return chosen
    mine = (table.c.solution == chosen.solution, table.c.problem == chosen.problem)
    connection.execute(sa.update(table).where(*mine).values(promoted=False))
    now = {"promoted": True, "promoted_ns": time.time_ns()}
    connection.execute(sa.update(table).where(table.c.id == identity).values(now))
    return one(connection, identity)


def stamp(connection: sa.Connection) -> tuple[int, ...]:
    """Return the newest ids, how often entities changed, and when a model was last promoted."""
    newest = [
        sa.select(sa.func.coalesce(sa.func.max(column), 0)).scalar_subquery()
        for column in (sql.thing.c.id, sql.datastream.c.id, sql.model.c.id, sql.model.c.promoted_ns)
    ]
    changes = sa.select(sql.tally.c.number).where(sql.tally.c.name == tally.ENTITY).scalar_subquery()
    row = connection.execute(sa.select(*newest, sa.func.coalesce(changes, 0))).one()
    return tuple(int(one) for one in row)


def audit(connection: sa.Connection, who: str, what: str, detail: Mapping[str, Any]) -> None:
    """Write a line of the audit."""
    values = {"time_ns": time.time_ns(), "who": who, "what": what, "detail": dict(detail)}
    connection.execute(sa.insert(sql.audit).values(values))


def audits(connection: sa.Connection, limit: int) -> list[Entry]:
    """Return the audit, the newest line first."""
    table = sql.audit
    query = sa.select(table).order_by(table.c.id.desc()).limit(limit)
    names = [field.name for field in msgspec.structs.fields(Entry)]
    return [Entry(**{name: row[name] for name in names}) for row in connection.execute(query).mappings()]


def _read(row: Mapping[str, Any]) -> Model:
    values = {field.name: row[field.name] for field in msgspec.structs.fields(Model)}
    return Model(**values | {"card": msgspec.convert(row["card"], Card)})
