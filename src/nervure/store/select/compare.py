"""Comparisons: two values and an operator, as a condition.

``eq`` and ``ne`` are always true or false, as OData says: null equals null only, and values of two
types are not equal. What has no order (null, values of two types) is neither smaller nor larger, and
``not`` of such a comparison does not hold either. Times that last are compared as wholes: one is
``lt`` another when it ends before the other one begins.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from nervure.core.error import QueryError
from nervure.store.select.spoken import UNKNOWN, spoken
from nervure.store.select.value import (
    Dynamic,
    Flag,
    Nothing,
    Number,
    Shape,
    Span,
    Text,
    Time,
    Value,
    absent,
    as_flag,
    as_number,
    as_span,
    as_text,
    as_time,
    spelled,
)

__all__ = ["compare", "order_of", "time_relation"]

_ORDERS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "lt": ("<", operator.lt),
    "le": ("<=", operator.le),
    "gt": (">", operator.gt),
    "ge": (">=", operator.ge),
}


def compare(name: str, left: Value, right: Value, position: int) -> Any:
    """Return ``left name right`` as a condition; ``name`` is one of eq ne gt ge lt le."""
    if isinstance(left, Shape) or isinstance(right, Shape):
        raise QueryError(
            f"a geometry cannot be compared by {name} (position {position})",
            where=f"position {position}",
            hint="write st_equals(location, geography'POINT (30 10)')",
        )
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Time) and isinstance(other, Text) and other.fixed and as_time(other) is None:
            raise QueryError(
                f"{other.fixed!r} is no time (position {position})",
                where=f"position {position}",
                hint="write 2026-01-01T00:00:00Z",
            )
    left, right = _meeting(left, right), _meeting(right, left)
    if name == "ne":
        return sa.not_(_equal(left, right))
    return _equal(left, right) if name == "eq" else _ordered(name, left, right)


def _meeting(value: Value, other: Value) -> Value:
    """Return JSON as what it is compared with: its numbers meet a text constant as texts."""
    if isinstance(value, Dynamic) and value.json is not None and isinstance(other, Text) and other.fixed:
        return spelled(value)
    return value


def _equal(left: Value, right: Value) -> Any:
    if isinstance(left, Nothing) or isinstance(right, Nothing):
        return absent(right if isinstance(left, Nothing) else left)
    times = _both(as_time, Time, left, right)
    if times is not None:
        return _known((left, right), (times[0].start, times[1].start), _same_time(*times))
    if isinstance(left, Dynamic) and isinstance(right, Dynamic):
        return _same_dynamic(left, right)
    for read, type_ in ((as_span, Span), (as_number, Number), (as_text, Text)):
        pair = _both(read, type_, left, right)
        if pair is not None:
            return _same(left, right, *pair)
    if isinstance(left, Flag) or isinstance(right, Flag):
        first, second = as_flag(left), as_flag(right)
        if first is not None and second is not None:
            return _known((left, right), (first, second), _alike(first, second))
    return sa.and_(absent(left), absent(right))


def _both(read: Callable[[Value], Any], type_: type, left: Value, right: Value) -> tuple[Any, Any] | None:
    """Return both values as a type that one of them has, if the other one can have it."""
    if not isinstance(left, type_) and not isinstance(right, type_):
        return None
    pair = (read(left), read(right))
    return None if pair[0] is None or pair[1] is None else pair


def _same(left: Value, right: Value, first: Any, second: Any) -> Any:
    """Return whether two values of one type are equal, in words that a database finds an index by."""
    for one, other in ((left, second), (right, first)):
        if isinstance(one, Dynamic) and one.key is not None and getattr(other, "fixed", None) is not None:
            number, numbered = one.key
            if isinstance(other, Number):
                same = sa.and_(number == other.expression, numbered)
                return same if isinstance(number, sa.ColumnClause) else sa.func.coalesce(same, sa.false())
            return sa.func.coalesce(one.text == other.expression, sa.false())
    if first.fixed is not None or second.fixed is not None:
        column = second.expression if first.fixed is not None else first.expression
        same = first.expression == second.expression
        if isinstance(column, sa.ColumnClause):
            return sa.and_(same, column.is_not(None))
        return sa.func.coalesce(same, sa.false())
    expressions = (first.expression, second.expression)
    return _known((left, right), expressions, _alike(*expressions))


def _known(values: tuple[Value, Value], read: tuple[Any, Any], alike: Any) -> Any:
    """Let null be like null only where there is no value: not where there is one of another type."""
    for one, expression in zip(values, read, strict=True):
        if isinstance(one, Dynamic):
            alike = sa.and_(alike, sa.or_(expression.is_not(None), absent(one)))
    return alike


def _alike(first: Any, second: Any) -> Any:
    """Return whether two expressions are equal or both null."""
    return spoken(
        sa.Boolean(), first, second, sqlite="({0} IS {1})", postgresql="({0} IS NOT DISTINCT FROM {1})"
    )


def _same_time(first: Time, second: Time) -> Any:
    same = first.start == second.start
    if not (first.instant and second.instant):
        same = sa.and_(same, first.end == second.end)
    if first.fixed is None and second.fixed is None:
        return sa.or_(
            sa.func.coalesce(same, sa.false()), sa.and_(first.start.is_(None), second.start.is_(None))
        )
    column = second.start if first.fixed is not None else first.start
    return sa.and_(same, column.is_not(None))


def _same_dynamic(left: Dynamic, right: Dynamic) -> Any:
    return sa.func.coalesce(
        left.number == right.number,
        left.text == right.text,
        left.flag == right.flag,
        sa.and_(sa.not_(left.present), sa.not_(right.present)),
    )


def _ordered(name: str, left: Value, right: Value) -> Any:
    """Return a comparison of order; unknown for what has none."""
    if isinstance(left, Nothing) or isinstance(right, Nothing):
        return UNKNOWN
    times = _both(as_time, Time, left, right)
    if times is not None:
        first, second = times if name in {"lt", "le"} else times[::-1]
        return _before(first, second) if name in {"lt", "gt"} else _not_after(first, second)
    words, _ = _ORDERS[name]
    if isinstance(left, Dynamic) and isinstance(right, Dynamic):
        numbers = _numbers(name, Number(expression=left.number), Number(expression=right.number))
        return sa.func.coalesce(numbers, _texts(words, left.text, right.text))
    spans = _both(as_span, Span, left, right)
    if spans is not None:
        return _ORDERS[name][1](spans[0].expression, spans[1].expression)
    numbers = _both(as_number, Number, left, right)
    if numbers is not None:
        return _numbers(name, *numbers)
    texts = _both(as_text, Text, left, right)
    if texts is not None:
        return _texts(words, texts[0].expression, texts[1].expression)
    return UNKNOWN


def _numbers(name: str, left: Number, right: Number) -> Any:
    words, compared = _ORDERS[name]
    if not (left.calculated or right.calculated):
        return compared(left.expression, right.expression)
    return spoken(
        sa.Boolean(), left.expression, right.expression,
        sqlite=f"({{0}} {words} {{1}})",
        duckdb=f"CASE WHEN NOT (isnan({{0}}) OR isnan({{1}})) THEN {{0}} {words} {{1}} END",
    )  # fmt: skip


def _texts(words: str, left: Any, right: Any) -> Any:
    """Compare texts by their code points, whatever the database was set up with."""
    return spoken(
        sa.Boolean(), left, right,
        sqlite=f"({{0}} {words} {{1}})",
        postgresql=f'({{0}} COLLATE "C" {words} {{1}} COLLATE "C")',
        duckdb=f"({{0}} {words} {{1}})",
    )  # fmt: skip


def order_of(text: Any) -> Any:
    """Return a text as it is sorted: by its code points."""
    return spoken(sa.Text(), text, sqlite="{0}", postgresql='{0} COLLATE "C"', duckdb="{0}")


# --- times that last: they hold their start and do not hold their end -------------------------------------


def _before(first: Time, second: Time) -> Any:
    """Return whether one is over when the other one begins; for instants: whether it is earlier."""
    earlier = first.start < second.start
    return earlier if first.instant else sa.and_(earlier, first.end <= second.start)


def _not_after(first: Time, second: Time) -> Any:
    """Return whether one begins no later and ends no later than the other one."""
    starts = first.start <= second.start
    return starts if first.instant and second.instant else sa.and_(starts, first.end <= second.end)


def _meets(first: Time, second: Time) -> Any:
    return sa.or_(first.end == second.start, first.start == second.end)


def _during(first: Time, second: Time) -> Any:
    return sa.and_(first.start >= second.start, first.end <= second.end, first.start < second.end)


def _overlaps(first: Time, second: Time) -> Any:
    return sa.or_(first.start == second.start, sa.and_(first.start < second.end, second.start < first.end))


_RELATIONS: dict[str, Callable[[Time, Time], Any]] = {
    "before": _before,
    "after": lambda first, second: _before(second, first),
    "meets": _meets,
    "during": _during,
    "overlaps": _overlaps,
    "starts": lambda first, second: first.start == second.start,
    "finishes": lambda first, second: first.end == second.end,
}


def time_relation(name: str, left: Value, right: Value, position: int) -> Any:
    """Return how two times lie to each other: before, after, meets, during, overlaps, starts, finishes."""
    first, second = as_time(left), as_time(right)
    if first is None or second is None:
        raise QueryError(f"{name} takes times (position {position})", where=f"position {position}")
    if name == "during" and second.instant:
        raise QueryError(
            f"nothing is during an instant (position {position})",
            where=f"position {position}",
            hint="write the second time as an interval, start/end",
        )
    return _RELATIONS[name](first, second)
