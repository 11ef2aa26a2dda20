"""Frames: which rows the paths of an expression speak of, and how SQL gets from one to another.

A frame is a kind and an alias of its table, known by the path that leads to it: ``()`` are the rows
that are asked for, ``("Datastreams",)`` the rows inside of an EXISTS on their Datastreams.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

from nervure.core.error import UnsupportedQuery
from nervure.core.sensorthings import BY_NAME, Kind, Relation
from nervure.store.language.tree import Path
from nervure.store.select.source import OBSERVATION, Source
from nervure.store.sql import METADATA

__all__ = ["Env", "Frame", "Prefix", "Reach", "nearest", "reach", "table_of", "visible"]

Prefix: TypeAlias = tuple[str | int, ...]


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of a kind: an alias of its table."""

    kind: Kind
    table: Any


class Env(msgspec.Struct, frozen=True, kw_only=True):
    """The frames that there are, and whom to ask what lies on the other side.

    ``exact``: what is unknown must be told from what is false, since its contrary is asked for.
    """

    source: Source
    frames: Mapping[Prefix, Frame]
    exact: bool = False

    @property
    def observing(self) -> bool:
        """Whether the rows are Observations, in DuckDB."""
        return self.frames[()].kind.name == "Observation"


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What a path of relations leads to: the frames on it, their tables, and how they are joined."""

    env: Env
    last: Frame
    tables: tuple[Any, ...]
    conditions: tuple[Any, ...]

    def exists(self, *conditions: Any) -> Any:
        """Return the condition that there are such rows."""
        there: sa.Select[Any] = sa.select(sa.literal_column("1")).where(*self.conditions, *conditions)
        return there.select_from(*self.tables).correlate_except(*self.tables).exists()

    def column(self, expression: Any) -> Any:
        """Return an expression over the one row that there is, or null."""
        found = sa.select(expression).where(*self.conditions)
        return found.select_from(*self.tables).correlate_except(*self.tables).scalar_subquery()


def table_of(kind: Kind) -> sa.FromClause:
    """Return the table that holds a kind: OBSERVATION for Observations."""
    return OBSERVATION if kind.name == "Observation" else METADATA.tables[kind.table]


def visible(
    kind: Kind, project: int | None, table: sa.FromClause | None = None
) -> list[sa.ColumnElement[bool]]:
    """Return what the rows of a kind must fulfil before anything else: its marker and the project."""
    rows = table_of(kind) if table is None else table
    found: list[sa.ColumnElement[bool]] = []
    if kind.marker is not None:
        column, value = kind.marker
        found.append(rows.c[column].is_(sa.true() if value else sa.false()))
    if project is not None and "project_id" in rows.c:
        found.append(rows.c.project_id == project)
    return found


def nearest(path: Path, env: Env) -> tuple[Prefix, Frame]:
    """Return the frame that a path begins in: the one that is furthest along it."""
    for length in range(len(path.steps), -1, -1):
        prefix = path.steps[:length]
        if prefix in env.frames:
            return prefix, env.frames[prefix]
    return (), env.frames[()]


def reach(prefix: Prefix, relations: tuple[Relation, ...], env: Env) -> Reach:
    """Go from the frame of a prefix along relations; every stop on the way becomes a frame."""
    here = env.frames[prefix]
    frames = dict(env.frames)
    tables: list[Any] = []
    conditions: list[Any] = []
    for relation in relations:
        target = BY_NAME[relation.target]
        if "Observation" in {target.name, here.kind.name}:
            raise UnsupportedQuery(f"a condition cannot go on from {here.kind.name} to {relation.name} here")
        table = table_of(target).alias()
        tables.append(table)
        if relation.link is not None:
            name, own, other = relation.link
            pairs = METADATA.tables[name].alias()
            tables.append(pairs)
            conditions += [pairs.c[own] == here.table.c.id, pairs.c[other] == table.c.id]
        elif relation.column:
            conditions.append(table.c.id == here.table.c[relation.column])
        else:
            conditions.append(table.c[relation.foreign] == here.table.c.id)
        conditions += visible(target, env.source.project, table)
        here = Frame(kind=target, table=table)
        prefix = (*prefix, relation.name)
        frames[prefix] = here
    return Reach(
        env=msgspec.structs.replace(env, frames=frames),
        last=here, tables=tuple(tables), conditions=tuple(conditions),
    )  # fmt: skip
