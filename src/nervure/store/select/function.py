"""Functions and calculations of expressions, in SQL (OGC 18-088, tables 22 and 23).

Instants are in UTC, so ``totaloffsetminutes`` is 0; of a time that lasts, the functions of dates take
the start. What has no answer (a division by zero, a function of null) is null.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from nervure.core.error import QueryError
from nervure.store.language.tree import Binary, Call, Duration, Expression, Instant, children
from nervure.store.select.compare import time_relation
from nervure.store.select.spoken import spoken
from nervure.store.select.value import (
    Flag,
    Number,
    Span,
    Text,
    Time,
    Value,
    as_number,
    as_span,
    as_text,
    as_time,
    constant,
    time_of,
)

__all__ = ["calculate", "call", "negative"]

_NUMBER: sa.Double[float] = sa.Double()
_TEXT, _FLAG, _WHOLE = sa.Text(), sa.Boolean(), sa.BigInteger()
_BLANKS = "' ' || chr(9) || chr(10) || chr(13)"
_DAY_NS = 86_400_000_000_000
_FIRST_NS, _LAST_NS = -62_135_596_800_000_000_000, 253_402_300_799_999_000_000
_NESTED = 3
"""How deep ``substring`` may stand in its own numbers: PostgreSQL and DuckDB read those several times."""


def call(function: Call, arguments: Sequence[Value]) -> Value:
    """Return the value of a function; geometric ones are not among those known here."""
    name, position = function.name, function.position
    if name in _TEXTS:
        return _TEXTS[name](*(_text(one, name, position) for one in arguments))
    if name == "substring":
        return _substring(function, arguments)
    if name in _ROUNDED:
        number = _number(arguments[0], name, position)
        rounded = spoken(_NUMBER, number.expression, **_ROUNDED[name])
        return Number(expression=rounded, calculated=number.calculated, divided=number.divided)
    if name in _NOW:
        return constant(Instant(ns=_NOW[name]()))
    if len(arguments) == 2:
        return Flag(expression=time_relation(name, arguments[0], arguments[1], position))
    moment = as_time(arguments[0])
    if moment is None:
        raise _wrong(f"{name} takes a time", position)
    return _of_time(name, moment.start)


# --- texts ----------------------------------------------------------------------------------------------


def _text(value: Value, name: str, position: int) -> Any:
    text = as_text(value)
    if text is None:
        raise _wrong(f"{name} takes texts", position)
    return text.expression


def _asked(**words: str) -> Callable[..., Flag]:
    return lambda *texts: Flag(expression=spoken(_FLAG, *texts, **words))


def _made(**words: str) -> Callable[..., Text]:
    return lambda *texts: Text(expression=spoken(_TEXT, *texts, **words))


def _counted(**words: str) -> Callable[..., Number]:
    return lambda *texts: Number(expression=spoken(_WHOLE, *texts, **words))


_TEXTS: dict[str, Callable[..., Value]] = {
    "contains": _asked(sqlite="(instr({0}, {1}) > 0)", postgresql="(strpos({0}, {1}) > 0)"),
    "substringof": _asked(sqlite="(instr({1}, {0}) > 0)", postgresql="(strpos({1}, {0}) > 0)"),
    "startswith": _asked(sqlite="(substr({0}, 1, length({1})) = {1})", postgresql="starts_with({0}, {1})"),
    "endswith": _asked(
        sqlite="nervure_ends({0}, {1})",
        postgresql="(right({0}, length({1})) = {1})",
        duckdb="ends_with({0}, {1})",
    ),
    "indexof": _counted(sqlite="(instr({0}, {1}) - 1)", postgresql="(strpos({0}, {1}) - 1)"),
    "length": _counted(sqlite="length({0})"),
    "concat": _made(sqlite="({0} || {1})"),
    "tolower": _made(
        sqlite="nervure_lower({0})", postgresql='lower({0} COLLATE "und-x-icu")', duckdb="lower({0})"
    ),
    "toupper": _made(
        sqlite="nervure_upper({0})", postgresql='upper({0} COLLATE "und-x-icu")', duckdb="upper({0})"
    ),
    "trim": _made(
        sqlite="trim({0}, ' ' || char(9) || char(10) || char(13))",
        postgresql=f"btrim({{0}}, {_BLANKS})",
        duckdb=f"trim({{0}}, {_BLANKS})",
    ),
}


def _substring(function: Call, arguments: Sequence[Value]) -> Text:
    """Return a part of a text; places count from 0, and none is before the first."""
    if _depth(function) > _NESTED:
        raise _wrong(f"places of substring are nested more than {_NESTED} deep", function.position)
    text = _text(arguments[0], "substring", function.position)
    start, *length = [_place(_number(one, "substring", function.position)) for one in arguments[1:]]
    words = "substr({0}, {1} + 1, {2})" if length else "substr({0}, {1} + 1)"
    return Text(expression=spoken(_TEXT, text, start, *length, sqlite=words))


def _depth(expression: Expression) -> int:
    """Return how often a part of an expression is within a place of a substring."""
    below = [_depth(one) for one in children(expression)]
    if isinstance(expression, Call) and expression.name == "substring":
        below[1:] = [one + 1 for one in below[1:]]
    return max(below, default=0)


def _place(number: Number) -> Any:
    """Return a number as a place in a text, from 0 to what any text has."""
    if number.fixed is not None:
        return sa.literal_column(str(int(max(0, min(number.fixed, 1_000_000_000)))))
    bounded = "CASE WHEN {0} < 0 THEN 0 WHEN {0} > 1000000000 THEN 1000000000 ELSE trunc({0}) END"
    return spoken(
        _WHOLE, number.expression,
        sqlite="min(max(CAST({0} AS INTEGER), 0), 1000000000)",
        postgresql=f"CAST({bounded} AS INTEGER)",
        duckdb=f"TRY_CAST({bounded} AS BIGINT)",
    )  # fmt: skip


# --- times ----------------------------------------------------------------------------------------------

_NOW: dict[str, Callable[[], int]] = {
    "now": time.time_ns,
    "mindatetime": lambda: _FIRST_NS,
    "maxdatetime": lambda: _LAST_NS,
}

_NEAR = "{0} BETWEEN -9200000000000000000 AND 9200000000000000000"
_STAMP = "(TIMESTAMP '1970-01-01' + CAST(floor({0} / 1000.0) AS DOUBLE PRECISION) * INTERVAL '1 microsecond')"
_UTC = "make_timestamp(epoch_us({0}))"


def _of_time(name: str, moment: Any) -> Value:
    """Return what a function of one time says."""
    match name:
        case "date":
            day = spoken(
                _WHOLE, moment,
                sqlite="nervure_day({0})",
                postgresql=f"(floor({{0}} / {_DAY_NS}.0) * {_DAY_NS})",
                duckdb=f"make_timestamptz(epoch_us(date_trunc('day', {_UTC})))",
            )  # fmt: skip
            return Time(start=day, end=day)
        case "time":
            clock = spoken(
                _WHOLE, moment,
                sqlite="nervure_clock({0})",
                postgresql=f"({{0}} - floor({{0}} / {_DAY_NS}.0) * {_DAY_NS})",
                duckdb="((epoch_us({0}) % 86400000000 + 86400000000) % 86400000000)",
            )  # fmt: skip
            return Span(expression=clock)
        case "totaloffsetminutes":
            return Number(expression=sa.case((moment.is_not(None), 0)))
        case "fractionalseconds":
            fraction = spoken(
                _NUMBER, moment,
                sqlite="nervure_part('fractionalseconds', {0})",
                postgresql="(({0} - floor({0} / 1000000000.0) * 1000000000) / 1000000000.0)",
                duckdb="(CAST((epoch_us({0}) % 1000000 + 1000000) % 1000000 AS DOUBLE) / 1000000)",
            )  # fmt: skip
            return Number(expression=fraction)
    part = spoken(
        _WHOLE, moment,
        sqlite=f"nervure_part('{name}', {{0}})",
        postgresql=f"CASE WHEN {_NEAR} THEN CAST(floor(extract({name} FROM {_STAMP})) AS BIGINT) END",
        duckdb=f"extract('{name}' FROM {_UTC})",
    )  # fmt: skip
    return Number(expression=part)


# --- calculations ---------------------------------------------------------------------------------------

_ROUNDED: dict[str, Any] = {
    name: {
        "sqlite": f"nervure_{name}({{0}})",
        "postgresql": f"{word}(CAST({{0}} AS NUMERIC))",
        "duckdb": f"{word}(CAST({{0}} AS DOUBLE))",
    }
    for name, word in (("round", "round"), ("floor", "floor"), ("ceiling", "ceil"))
}

_SIGNS = {"add": "+", "sub": "-", "mul": "*"}


def calculate(binary: Binary, left: Value, right: Value) -> Value:
    """Return a sum, difference, product, quotient or remainder; durations shift times."""
    name, position = binary.operator, binary.position
    if name in {"add", "sub"} and any(isinstance(one, Time | Span) for one in (left, right)):
        found = _shift(name, left, right)
        if found is None:
            raise _wrong(f"{name} cannot join these: a time and a duration, or two times", position)
        return found
    first, second = (_number(one, name, position) for one in (left, right))
    if first.fixed is not None and second.fixed is not None and name in _SIGNS:
        return _folded(name, first, second)
    divided = first.divided or second.divided or name in {"div", "mod"}
    return Number(expression=_arithmetic(name, first, second), calculated=True, divided=divided)


def _folded(name: str, first: Number, second: Number) -> Value:
    """Calculate constants here, as doubles like the database would."""
    one, other = float(first.fixed or 0), float(second.fixed or 0)
    result = one + other if name == "add" else one - other if name == "sub" else one * other
    if abs(result) > 1e300:
        return Number(expression=_arithmetic(name, first, second), calculated=True)
    return constant(int(result) if result.is_integer() and abs(result) < 1 << 53 else result)


def _arithmetic(name: str, first: Number, second: Number) -> Any:
    """Return a calculation with doubles, in PostgreSQL with decimal numbers, which do not overflow."""
    double = "CAST({0} AS DOUBLE)"
    divisor = "nullif(CAST({1} AS DOUBLE), 0)"
    if second.divided:  # nullif would say the divisor twice, and that one its own
        divisor = "list_transform([CAST({1} AS DOUBLE)], lambda x: nullif(x, 0))[1]"
    numeric = "CAST({0} AS NUMERIC)", "CAST({1} AS NUMERIC)"
    operands = (first.expression, second.expression)
    if name in _SIGNS:
        sign = _SIGNS[name]
        return spoken(
            _NUMBER, *operands,
            sqlite=f"(CAST({{0}} AS REAL) {sign} {{1}})",
            postgresql=f"({numeric[0]} {sign} {numeric[1]})",
            duckdb=f"({double} {sign} CAST({{1}} AS DOUBLE))",
        )  # fmt: skip
    if name == "div":
        return spoken(
            _NUMBER, *operands,
            sqlite="(CAST({0} AS REAL) / {1})",
            postgresql=f"({numeric[0]} / nullif({numeric[1]}, 0))",
            duckdb=f"({double} / {divisor})",
        )  # fmt: skip
    return spoken(
        _NUMBER, *operands,
        sqlite="nervure_mod({0}, {1})",
        postgresql=f"mod({numeric[0]}, nullif({numeric[1]}, 0))",
        duckdb=f"({double} % {divisor})",
    )  # fmt: skip


def _shift(name: str, left: Value, right: Value) -> Value | None:
    """Return a time and a duration, two durations or two times put together."""
    if isinstance(left, Span) and name == "add" and not isinstance(right, Span):
        left, right = right, left
    span = as_span(right)
    if isinstance(left, Span):
        return None if span is None else _spans(name, left, span)
    moment = as_time(left)
    if moment is None:
        return None
    if span is not None and isinstance(right, Span):
        return _moved(name, moment, span)
    other = as_time(right)
    if other is None or name == "add":
        return None
    apart = spoken(
        _WHOLE, moment.start, other.start,
        sqlite="({0} - {1})",
        postgresql="(CAST({0} AS NUMERIC) - {1})",
        duckdb="(epoch_us({0}) - epoch_us({1}))",
    )  # fmt: skip
    return Span(expression=apart)


def _moved(name: str, moment: Time, span: Span) -> Time:
    sign = _SIGNS[name]
    if isinstance(moment.fixed, Instant) and span.fixed is not None:
        ns = moment.fixed.ns + (span.fixed if name == "add" else -span.fixed)
        start = time_of(max(_FIRST_NS, min(_LAST_NS, ns)))
        return Time(start=start, end=start, fixed=Instant(ns=ns))

    def moved(end: Any) -> Any:
        return spoken(
            _WHOLE, end, span.expression,
            sqlite=f"({{0}} {sign} {{1}})",
            postgresql=f"(CAST({{0}} AS NUMERIC) {sign} {{1}})",
            duckdb="make_timestamptz(CAST("  # 18 digits are 30,000 years; beyond is null
            f"TRY_CAST(CAST(epoch_us({{0}}) AS HUGEINT) {sign} {{1}} AS DECIMAL(18, 0)) AS BIGINT))",
        )  # fmt: skip

    start = moved(moment.start)
    return Time(start=start, end=start if moment.instant else moved(moment.end))


def _spans(name: str, left: Span, right: Span) -> Value:
    if left.fixed is not None and right.fixed is not None:
        return constant(Duration(ns=left.fixed + (right.fixed if name == "add" else -right.fixed)))
    sign = _SIGNS[name]
    joined = spoken(
        _WHOLE, left.expression, right.expression,
        sqlite=f"({{0}} {sign} {{1}})",
        postgresql=f"(CAST({{0}} AS NUMERIC) {sign} {{1}})",
        duckdb=f"(CAST({{0}} AS HUGEINT) {sign} {{1}})",
    )  # fmt: skip
    return Span(expression=joined)


def negative(value: Value, position: int) -> Value:
    """Return a number with the other sign."""
    number = _number(value, "a minus sign", position)
    signed = spoken(_NUMBER, number.expression, sqlite="(- {0})")
    return Number(expression=signed, calculated=number.calculated, divided=number.divided)


def _number(value: Value, name: str, position: int) -> Number:
    number = as_number(value)
    if number is None:
        raise _wrong(f"{name} takes numbers", position)
    return number


def _wrong(what: str, position: int) -> QueryError:
    return QueryError(f"{what} (position {position})", where=f"position {position}")
