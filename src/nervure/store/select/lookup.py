"""Look-ups: what the catalogue says of each Datastream or feature, put into a question to DuckDB.

``result gt Datastream/properties/threshold`` needs both sides at once: the catalogue is asked for the
thresholds, and DuckDB gets them as a small table beside the Observations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from nervure.core.error import UnsupportedQuery
from nervure.core.sensorthings import BY_NAME
from nervure.store.language.tree import Path
from nervure.store.language.way import Way
from nervure.store.select.frame import Env, Frame, table_of, visible
from nervure.store.select.spoken import spoken
from nervure.store.select.value import Dynamic, Number, Text, Time, Value

__all__ = ["looked_up"]

MOST = 50_000
"""How many entities a question may carry along."""

_TYPES = {"number": sa.Double(), "text": sa.Text(), "flag": sa.Boolean(), "present": sa.Boolean()}
_WORDS = {"number": "DOUBLE", "text": "VARCHAR", "flag": "BOOLEAN", "present": "BOOLEAN", "time": "BIGINT"}


def looked_up(way: Way, frame: Frame, env: Env, value_of: Callable[[Path, Env], Value]) -> Value:
    """Return what lies beyond the first relation of a way, which leads from Observations to one entity."""
    first, *further = way.relations
    kind = BY_NAME[first.target]
    table = table_of(kind).alias()
    there = Env(source=env.source, frames={(): Frame(kind=kind, table=table)})
    last = "id" if way.property is None else way.property.name
    steps = (*(one.name for one in further), last, *way.rest)
    value = value_of(Path(steps=steps), there)
    columns = _columns(value)
    statement = sa.select(table.c.id, *(column for _, column in columns))
    rows = env.source.rows(statement.where(*visible(kind, env.source.project, table)).limit(MOST + 1))
    if len(rows) > MOST:
        raise UnsupportedQuery(
            f"a comparison with {first.name}/{last} would carry more than {MOST} entities along",
            hint=f"ask for the Observations of fewer: filter by {first.name}/id",
        )
    key = frame.table.c[first.column]
    found = [_beside(rows, place, type_, key) for place, (type_, _) in enumerate(columns, 1)]
    return _value(value, found)


def _columns(value: Value) -> list[tuple[str, Any]]:
    match value:
        case Number(expression=expression):
            return [("number", expression)]
        case Text(expression=expression):
            return [("text", expression)]
        case Time(start=start, end=end):
            return [("time", start), ("time", end)]
        case Dynamic():
            return [(name, getattr(value, name)) for name in ("number", "text", "flag", "present")]
    raise UnsupportedQuery("this cannot be compared across Observations and the catalogue")


def _value(value: Value, found: list[Any]) -> Value:
    match value:
        case Number():
            return Number(expression=found[0])
        case Text():
            return Text(expression=found[0])
        case Time():
            return Time(start=found[0], end=found[0] if value.instant else found[1])
    number, text, flag, present = found
    return Dynamic(number=number, text=text, flag=flag, present=sa.func.coalesce(present, sa.false()))


def _beside(rows: Sequence[Sequence[Any]], place: int, type_: str, key: Any) -> Any:
    """Return the column of a small table: its row with that key, null if there is none."""
    keys = sa.literal([row[0] for row in rows], sa.types.NullType())
    values = sa.literal([_plain(row[place], type_) for row in rows], sa.types.NullType())
    chosen = (
        f"(SELECT m.v FROM (SELECT unnest(CAST({{0}} AS BIGINT[])) AS k, "  # noqa: S608 - constant words
        f"unnest(CAST({{1}} AS {_WORDS[type_]}[])) AS v) AS m WHERE m.k = {{2}})"
    )
    words = f"make_timestamptz({chosen})" if type_ == "time" else chosen
    return spoken(_TYPES.get(type_, sa.BigInteger()), keys, values, key, sqlite=words)


def _plain(value: Any, type_: str) -> Any:
    """Write what a database returned as DuckDB takes it."""
    if value is None:
        return None
    match type_:
        case "number":
            return float(value)
        case "time":
            return int(value) // 1000
        case "text":
            return str(value)
    return bool(value)
