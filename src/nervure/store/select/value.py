"""Values: what the parts of an expression are in SQL, by the type they have.

A value in JSON has the type that it is compared with: a :class:`Dynamic` says what it is as a number,
as a text and as a flag, each null where it is of another type.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

from nervure.store.language.moment import read_clock, read_duration, read_time
from nervure.store.language.tree import Duration, Geometry, Instant, Interval, Scalar
from nervure.store.select.spoken import spoken

__all__ = [
    "Dynamic",
    "Flag",
    "Nothing",
    "Number",
    "Shape",
    "Span",
    "Text",
    "Time",
    "Value",
    "absent",
    "as_flag",
    "as_number",
    "as_span",
    "as_text",
    "as_time",
    "constant",
    "json_item",
    "json_value",
    "span_of",
    "spelled",
    "time_of",
]

Expression: TypeAlias = Any
"""An expression of SQLAlchemy of one type or another."""

_LONG = (1 << 63) - 1


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """A number; ``calculated`` where it may be no number at all (the difference of infinities)."""

    expression: Expression
    fixed: int | float | None = None
    calculated: bool = False
    divided: bool = False
    """Whether a division is in it."""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A text; ``fixed`` is the constant that it is, if it is one."""

    expression: Expression
    fixed: str | None = None


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """True, false or unknown."""

    expression: Expression


class Time(msgspec.Struct, frozen=True, kw_only=True):
    """From an instant to another one; both are one expression for what is always an instant."""

    start: Expression
    end: Expression
    fixed: Instant | Interval | None = None

    @property
    def instant(self) -> bool:
        """Whether it can be nothing but an instant."""
        return self.start is self.end


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A length of time."""

    expression: Expression
    fixed: int | None = None


class Dynamic(msgspec.Struct, frozen=True, kw_only=True):
    """A value whose type is known by row only; ``present`` says whether there is one.

    ``key`` is, for an id, the pair of its number and the condition under which that is the id.
    ``json`` is, for JSON, the column and the steps into it.
    """

    number: Expression
    text: Expression
    flag: Expression
    present: Expression
    key: tuple[Expression, Expression] | None = None
    json: tuple[Expression, tuple[str | int, ...]] | None = None


class Nothing(msgspec.Struct, frozen=True, kw_only=True):
    """Null."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A geometry that was written as a constant."""

    wkt: str


Value: TypeAlias = Number | Text | Flag | Time | Span | Dynamic | Nothing | Shape

_NUMBER: sa.Double[float] = sa.Double()
_TEXT = sa.Text()
_FLAG = sa.Boolean()


def constant(value: Scalar) -> Value:
    """Return what was written as a constant."""
    match value:
        case None:
            return Nothing()
        case bool():
            return Flag(expression=sa.true() if value else sa.false())
        case int() | float():
            return _number(value)
        case str():
            return Text(expression=sa.literal(value, _TEXT), fixed=value)
        case Instant(ns=ns):
            moment = time_of(ns)
            return Time(start=moment, end=moment, fixed=value)
        case Interval(start_ns=start, end_ns=end):
            return Time(start=time_of(start), end=time_of(end), fixed=value)
        case Duration(ns=ns):
            return Span(expression=span_of(ns), fixed=ns)
        case Geometry(wkt=wkt):
            return Shape(wkt=wkt)


def _number(value: float) -> Number:
    """Write a number into the SQL: PostgreSQL reads its digits, the others take the double as it is."""
    if isinstance(value, int):
        return Number(expression=sa.literal_column(str(value), sa.BigInteger), fixed=value)
    exact = spoken(
        _NUMBER, sa.literal(value, _NUMBER), sqlite="{0}", postgresql=f"CAST({value!r} AS NUMERIC)",
        duckdb="CAST({0} AS DOUBLE)",
    )  # fmt: skip
    return Number(expression=exact, fixed=value)


def time_of(ns: int) -> Expression:
    """Return an instant: nanoseconds in the catalogue, as far as 64 bits reach, a timestamp in DuckDB."""
    short = max(-_LONG, min(_LONG, ns))
    return spoken(sa.BigInteger(), sqlite=f"{short}", duckdb=f"make_timestamptz({ns // 1000})")


def span_of(ns: int) -> Expression:
    """Return a length of time: nanoseconds in the catalogue, microseconds in DuckDB."""
    short = max(-_LONG, min(_LONG, ns))
    return spoken(sa.BigInteger(), sqlite=f"({short})", duckdb=f"({short // 1000})")


# --- JSON ---------------------------------------------------------------------------------------------


def json_value(
    root: Expression, steps: tuple[str | int, ...], *, number: Expression | None = None
) -> Dynamic:
    """Return what lies at some steps into a JSON document; ``number`` is a column that holds its numbers."""
    path = sa.literal(_dollar(steps), _TEXT)
    place = sa.literal(_listed(steps), _TEXT)
    found = (root, path, place)
    digits = spoken(
        _NUMBER, *found,
        sqlite="CASE WHEN json_type({0}, {1}) IN ('integer', 'real') THEN json_extract({0}, {1}) END",
        postgresql="CASE WHEN json_typeof({0} #> CAST({2} AS TEXT[])) = 'number' "
        "THEN CAST({0} #>> CAST({2} AS TEXT[]) AS NUMERIC) END",
        duckdb="CASE WHEN json_type({0}, {1}) IN ('BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE') "
        "THEN TRY_CAST(json_extract_string({0}, {1}) AS DOUBLE) END",
    )  # fmt: skip
    text = spoken(
        _TEXT, *found,
        sqlite="CASE WHEN json_type({0}, {1}) = 'text' THEN json_extract({0}, {1}) END",
        postgresql="CASE WHEN json_typeof({0} #> CAST({2} AS TEXT[])) = 'string' "
        "THEN {0} #>> CAST({2} AS TEXT[]) END",
        duckdb="CASE WHEN json_type({0}, {1}) = 'VARCHAR' THEN json_extract_string({0}, {1}) END",
    )  # fmt: skip
    flag = spoken(
        _FLAG, *found,
        sqlite="CASE json_type({0}, {1}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END",
        postgresql="CASE WHEN json_typeof({0} #> CAST({2} AS TEXT[])) = 'boolean' "
        "THEN {0} #>> CAST({2} AS TEXT[]) = 'true' END",
        duckdb="CASE WHEN json_type({0}, {1}) = 'BOOLEAN' THEN json_extract_string({0}, {1}) = 'true' END",
    )  # fmt: skip
    present: Expression = spoken(
        _FLAG, *found,
        sqlite="(coalesce(json_type({0}, {1}), 'null') <> 'null')",
        postgresql="(coalesce(json_typeof({0} #> CAST({2} AS TEXT[])), 'null') <> 'null')",
        duckdb="(coalesce(json_type({0}, {1}), 'NULL') <> 'NULL')",
    )  # fmt: skip
    if number is not None:
        digits, present = number, sa.or_(number.is_not(None), present)
    return Dynamic(number=digits, text=text, flag=flag, present=present, json=(root, steps))


def _dollar(steps: tuple[str | int, ...]) -> str:
    """Write steps as SQLite and DuckDB do: ``$."a"[0]``."""
    return "$" + "".join(f"[{one}]" if isinstance(one, int) else f'."{one}"' for one in steps)


def _listed(steps: tuple[str | int, ...]) -> str:
    """Write steps as an array of PostgreSQL: ``{"a","0"}``."""
    return "{" + ",".join(f'"{one}"' for one in steps) + "}"


# --- one value as a certain type -------------------------------------------------------------------------


def as_number(value: Value) -> Number | None:
    """Return a value as a number, null where it is another thing; None if it never is one."""
    match value:
        case Number():
            return value
        case Dynamic(number=number):
            return Number(expression=number)
        case Nothing():
            return Number(expression=sa.null())
    return None


def as_text(value: Value) -> Text | None:
    """Return a value as a text, null where it is another thing; None if it never is one."""
    match value:
        case Text():
            return value
        case Dynamic(text=text):
            return Text(expression=text)
        case Nothing():
            return Text(expression=sa.null())
    return None


def spelled(value: Dynamic) -> Dynamic:
    """Return JSON whose numbers are texts as well, as JSON writes them: what a text constant meets."""
    text = spoken(
        _TEXT, value.text, value.number,
        sqlite="coalesce({0}, CASE WHEN {1} = CAST({1} AS INTEGER) THEN CAST(CAST({1} AS INTEGER) AS TEXT) "
        "ELSE CAST({1} AS TEXT) END)",
        postgresql="coalesce({0}, CAST(trim_scale(CAST({1} AS NUMERIC)) AS TEXT))",
        duckdb="coalesce({0}, CASE WHEN {1} = trunc({1}) AND abs({1}) < 9e15 "
        "THEN CAST(CAST({1} AS BIGINT) AS VARCHAR) ELSE CAST({1} AS VARCHAR) END)",
    )  # fmt: skip
    return msgspec.structs.replace(value, text=text)


def as_flag(value: Value) -> Expression | None:
    """Return a value as a condition, unknown where it is another thing; None if it never is one."""
    match value:
        case Flag(expression=expression) | Dynamic(flag=expression):
            return expression
        case Nothing():
            return sa.null()
    return None


def as_time(value: Value) -> Time | None:
    """Return a value as a time: a text that was written as one is, too."""
    match value:
        case Time():
            return value
        case Text(fixed=str(text)):
            read = read_time(text)
            made = None if read is None else constant(read)
            return made if isinstance(made, Time) else None
        case Dynamic(text=text):
            moment = _json_time(text)
            return Time(start=moment, end=moment)
    return None


def as_span(value: Value) -> Span | None:
    """Return a value as a length of time: a text that was written as one is, too."""
    match value:
        case Span():
            return value
        case Text(fixed=str(text)):
            ns = read_duration(text)
            ns = read_clock(text) if ns is None else ns
            return None if ns is None else Span(expression=span_of(ns), fixed=ns)
    return None


def absent(value: Value) -> Expression:
    """Return the condition that there is no value."""
    match value:
        case Dynamic(present=present):
            return sa.not_(present)
        case Time(start=expression):
            return expression.is_(None)
        case Nothing():
            return sa.true()
        case Shape():
            return sa.false()
    return value.expression.is_(None)


_DATE = "CAST(substr({0}, 1, 7) || '-01' AS DATE) + (CAST(substr({0}, 9, 2) AS INTEGER) - 1)"
_CLOCK = "CAST(coalesce(substring({0} FROM 'T([0-9:.]+)'), '00:00') AS INTERVAL)"
_AHEAD = "CAST(coalesce(substring({0} FROM '[+-][0-9][0-9]:[0-9][0-9]$'), '00:00') AS INTERVAL)"
_WRITTEN = (
    "^[0-9][0-9][0-9][0-9]-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    "(T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?(Z|[+-][01][0-9]:[0-5][0-9])?)?$"
)


def _json_time(text: Expression) -> Expression:
    """Read a text as an instant, null where it is none; it is never an error."""
    seconds = f"extract(epoch FROM {_DATE} + {_CLOCK} - {_AHEAD})"
    return spoken(
        sa.BigInteger(), text,
        sqlite="nervure_instant({0})",
        postgresql=f"CASE WHEN {{0}} ~ '{_WRITTEN}' AND substr({{0}}, 1, 4) BETWEEN '1700' AND '2250' "
        f"THEN CAST({seconds} * 1000000000 AS BIGINT) END",
        duckdb="TRY_CAST({0} AS TIMESTAMPTZ)",
    )  # fmt: skip


def json_item(root: Expression, steps: tuple[str | int, ...], item: str | float | bool) -> Expression:
    """Return whether the array at some steps into a JSON document has an item; false where it is none."""
    text = msgspec.json.encode(item).decode()
    if isinstance(item, bool):
        same = f"e.type = '{text}'"
    elif isinstance(item, str):
        same = "e.type = 'text' AND e.value = {3}"
    else:
        same = "e.type IN ('integer', 'real') AND e.value = {3}"
    return spoken(
        _FLAG, root, sa.literal(_dollar(steps), _TEXT), sa.literal(_listed(steps), _TEXT), sa.literal(item),
        sa.literal(text, _TEXT),
        sqlite="(json_type({0}, {1}) IS 'array' AND "  # noqa: S608 - constant words
        f"EXISTS (SELECT 1 FROM json_each({{0}}, {{1}}) AS e WHERE {same}))",
        postgresql="CASE WHEN json_typeof({0} #> CAST({2} AS TEXT[])) = 'array' "
        "THEN CAST({0} #> CAST({2} AS TEXT[]) AS JSONB) @> CAST({4} AS JSONB) ELSE false END",
        duckdb="CASE WHEN json_type({0}, {1}) = 'ARRAY' THEN "
        "list_contains(CAST(json_extract({0}, {1}) AS JSON[]), CAST({4} AS JSON)) ELSE false END",
    )  # fmt: skip
