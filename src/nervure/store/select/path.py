"""Paths: the columns that a property is kept in, as a value, also over relations to one."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.error import QueryError
from nervure.core.sensorthings import Property
from nervure.store.language.tree import Path
from nervure.store.language.way import Way, resolve
from nervure.store.select.frame import Env, Frame, nearest, reach
from nervure.store.select.lookup import looked_up
from nervure.store.select.spoken import spoken
from nervure.store.select.value import Dynamic, Number, Text, Time, Value, json_value

__all__ = ["located", "path_value"]


def located(path: Path, env: Env) -> tuple[tuple[str | int, ...], Frame, Way]:
    """Return the frame that a path begins in, with its prefix, and what the rest of it leads to."""
    prefix, frame = nearest(path, env)
    rest = msgspec.structs.replace(path, steps=path.steps[len(prefix) :])
    return prefix, frame, resolve(rest, frame.kind)


def path_value(path: Path, env: Env) -> Value:
    """Return what a path leads to, as a value."""
    prefix, frame, way = located(path, env)
    for relation in way.relations:
        if relation.many:
            raise QueryError(
                f"{relation.name} leads to several entities (position {path.position})",
                where=f"position {path.position}",
                hint="a filter may ask for one of them; what is sorted by or calculated with needs one value",
            )
    if not way.relations:
        return _column_value(way, frame)
    if frame.kind.name == "Observation":
        return looked_up(way, frame, env, path_value)
    found = reach(prefix, way.relations, env)
    return _over(_column_value(way, found.last), found)


def _column_value(way: Way, frame: Frame) -> Value:
    """Return a property of the rows of a frame."""
    columns = frame.table.c
    if way.property is None:
        return _identity(frame)
    if frame.kind.name == "Observation":
        return _observed(way.property, way.rest, columns)
    names = way.property.columns
    match way.property.form:
        case "text":
            return Text(expression=columns[names[0]])
        case "instant":
            return Time(start=columns[names[0]], end=columns[names[0]])
        case "interval" | "moment":
            return Time(start=columns[names[0]], end=columns[names[1]])
    return json_value(columns[names[0]], way.rest)


def _identity(frame: Frame) -> Value:
    """Return the id: the key that a client chose, or else the number."""
    columns = frame.table.c
    if "key" not in columns:
        return Number(expression=columns.id)
    numbered = columns.key.is_(None)
    return Dynamic(
        number=sa.case((numbered, columns.id)),
        text=columns.key,
        flag=sa.null(),
        present=columns.id.is_not(None),
        key=(columns.id, numbered),
    )


def _observed(one: Property, rest: tuple[str | int, ...], columns: Any) -> Value:
    """Return a property of Observations: some are kept in a column of JSON."""
    match one.name:
        case "phenomenonTime":
            return Time(start=columns.time, end=sa.func.coalesce(columns.end_time, columns.time))
        case "resultTime":
            given = spoken(
                sa.BigInteger(), columns.result_time, columns.marks,
                sqlite="CASE WHEN coalesce({1}, 0) & 1 = 0 THEN {0} END",
            )  # fmt: skip
            return Time(start=given, end=given)
        case "validTime":
            return Time(start=_valid(columns.extra, "start"), end=_valid(columns.extra, "end"))
        case "result":
            return json_value(columns.text, rest, number=None if rest else columns.value)
    return json_value(columns.extra, (one.name, *rest))


def _valid(extra: Any, end: str) -> Any:
    number = f"CAST(json_extract_string({{0}}, '$.validTime.{end}') AS BIGINT)"
    return spoken(sa.BigInteger(), extra, sqlite=f"make_timestamptz({number} // 1000)")


def _over(value: Value, found: Any) -> Value:
    """Return a value of another row as one of this row."""
    match value:
        case Number(expression=expression):
            return Number(expression=found.column(expression))
        case Text(expression=expression):
            return Text(expression=found.column(expression))
        case Time(start=start, end=end):
            first = found.column(start)
            return Time(start=first, end=first if value.instant else found.column(end))
        case Dynamic(json=(root, steps)):
            return json_value(found.column(root), steps)
        case Dynamic(key=(number, numbered)):
            return Dynamic(
                number=found.column(value.number),
                text=found.column(value.text),
                flag=sa.null(),
                present=found.exists(),
                key=(found.column(number), found.column(numbered)),
            )
    return value
