"""Conditions: what a ``$filter`` says, as SQL over the rows of a kind.

A path over a relation to several entities asks for one of them. Comparisons that are joined by ``and``
and go over the same relation speak of the same one: ``Datastreams/name eq 'a' and
Datastreams/Sensor/name eq 'b'`` is one Datastream with both. ``any()`` begins anew each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from nervure.core.error import QueryError, UnsupportedQuery
from nervure.core.sensorthings import Kind
from nervure.store.language.function import GEOMETRIC
from nervure.store.language.option import Order
from nervure.store.language.tree import (
    Binary,
    Call,
    Expression,
    Junction,
    Listing,
    Literal,
    Negation,
    Not,
    Path,
    Some,
)
from nervure.store.language.way import follow
from nervure.store.select import border
from nervure.store.select.compare import compare, order_of
from nervure.store.select.frame import Env, Frame, Prefix, Reach, nearest, reach, table_of, visible
from nervure.store.select.function import calculate, call, negative
from nervure.store.select.geometry import geometric, judged, measured
from nervure.store.select.path import path_value
from nervure.store.select.source import Source
from nervure.store.select.spoken import spoken
from nervure.store.select.value import Dynamic, Flag, Number, Text, Time, Value, as_flag, constant

__all__ = ["condition", "ordering", "table_of", "visible"]


def condition(
    expression: Expression, kind: Kind, source: Source, table: sa.FromClause | None = None
) -> sa.ColumnElement[bool]:
    """Return an expression as a condition on the rows of a kind.

    ``table`` is the alias of the kind's table that the statement uses; by default the table itself.
    It says nothing about the marker and project of these rows themselves: :func:`visible` does.
    Raises ``QueryError`` for what makes no sense, ``UnsupportedQuery`` for what is not answered.
    """
    rows = table_of(kind) if table is None else table
    env = Env(source=source, frames={(): Frame(kind=kind, table=rows)})
    found: sa.ColumnElement[bool] = _holds(expression, env)
    return found


def ordering(
    order: Order, kind: Kind, source: Source, table: sa.FromClause | None = None
) -> list[sa.UnaryExpression[Any]]:
    """Return a key of ``$orderby`` as the keys of ORDER BY; nulls come last, or first in falling order."""
    rows = table_of(kind) if table is None else table
    env = Env(source=source, frames={(): Frame(kind=kind, table=rows)})
    if geometric(order.expression):
        keys = [measured(order.expression, env)]
    else:
        keys = _sorted_by(_value(order.expression, env), env)
    if order.descending:
        return [sa.nulls_first(sa.desc(one)) for one in keys]
    return [sa.nulls_last(sa.asc(one)) for one in keys]


def _sorted_by(value: Value, env: Env) -> list[Any]:
    """Return what a value is sorted by: JSON by its numbers first, then its texts, then its flags."""
    match value:
        case Text(expression=expression):
            return [order_of(expression)]
        case Time():
            ends = (value.start,) if value.instant else (value.start, value.end)
            return [_moment(one) if env.observing else one for one in ends]
        case Dynamic(key=(number, _)):
            return [number]
        case Dynamic():
            return [value.number, order_of(value.text), value.flag]
        case Number() | Flag():
            return [value.expression]
    raise QueryError("nothing can be sorted by this", hint="sort by a property: $orderby=name desc")


def _moment(time: Any) -> Any:
    """Leave a column as it is, so that its order on disk is of use; make a number of what is calculated."""
    if isinstance(time, sa.ColumnClause):
        return time
    return spoken(sa.BigInteger(), time, sqlite="epoch_us({0})")


# --- conditions -----------------------------------------------------------------------------------------


def _holds(expression: Expression, env: Env) -> Any:
    """Return an expression as a condition."""
    if env.observing and (relation := border.beyond(expression, env)) is not None:
        return border.asked_catalogue(expression, relation, env, condition)
    match expression:
        case Junction(operator="and", parts=parts):
            return sa.and_(*_together(parts, env))
        case Junction(parts=parts):
            return sa.or_(*(_holds(one, env) for one in _gathered(parts, "or", env)))
        case Not(operand=operand):
            return sa.not_(_holds(operand, _exact(env)))
        case Some():
            return _some(expression, env)
    prefix = _many(expression, env)
    if prefix is not None:
        return _exists(prefix, [expression], env)
    return _simple(expression, env)


def _exact(env: Env) -> Env:
    return msgspec.structs.replace(env, exact=True)


def _simple(expression: Expression, env: Env) -> Any:
    """Return a condition that speaks of rows at hand only."""
    if geometric(expression):
        return judged(expression, env)
    flag = as_flag(_value(expression, env))
    if flag is None:
        raise QueryError(
            f"this is no condition (position {expression.position})",
            where=f"position {expression.position}",
            hint="compare it: name eq 'x'",
        )
    return flag


def _gathered(parts: Sequence[Expression], operator: str, env: Env) -> list[Expression]:
    """Join again what lies beyond the same relation, so that the catalogue is asked once."""
    if not env.observing:
        return list(parts)
    beyond: dict[str, list[Expression]] = {}
    found: list[Expression] = []
    for one in parts:
        relation = border.beyond(one, env)
        if relation is None:
            found.append(one)
        else:
            beyond.setdefault(relation.name, []).append(one)
    for some in beyond.values():
        whole = Junction(operator=operator, parts=tuple(some), position=some[0].position)
        found.append(some[0] if len(some) == 1 else whole)
    return found


def _together(parts: Sequence[Expression], env: Env) -> list[Any]:
    """Return conditions that must hold together: those on the same related entities as one EXISTS."""
    found: list[Any] = []
    groups: dict[Prefix, list[Expression]] = {}
    for one in _gathered(parts, "and", env):
        prefix = _common(one, env)
        if prefix is None:
            found.append(_holds(one, env))
        else:
            groups.setdefault(prefix, []).append(one)
    for prefix, some in groups.items():
        if all(isinstance(one, Not) for one in some):  # nothing says that there is such an entity at all
            found += [_holds(one, env) for one in some]
        else:
            found.append(_exists(prefix, some, env))
    return found


def _common(expression: Expression, env: Env) -> Prefix | None:
    """Return the relation to several entities that every part of a condition goes over first."""
    if isinstance(expression, Not):
        return _common(expression.operand, env)
    if isinstance(expression, Junction):
        prefixes = {_common(one, env) for one in expression.parts}
        return prefixes.pop() if len(prefixes) == 1 else None
    return None if isinstance(expression, Some) else _many(expression, env)


def _many(expression: Expression, env: Env) -> Prefix | None:
    """Return the first relation to several entities that a path goes over and that is no frame yet."""
    for path in border.free_paths(expression):
        prefix, frame = nearest(path, env)
        rest = msgspec.structs.replace(path, steps=path.steps[len(prefix) :])
        relations, _, _ = follow(rest, frame.kind)
        for count, relation in enumerate(relations, 1):
            if frame.kind.name == "Observation":
                break
            if relation.many:
                return path.steps[: len(prefix) + count]
    return None


def _exists(prefix: Prefix, parts: Sequence[Expression], env: Env) -> Any:
    """Return the condition that one of the entities behind a relation fulfils all parts."""
    begin, relations = _relations(prefix, env)
    if relations[-1].target == "Observation":
        owner = prefix[:-1]
        if len(relations) > 1:
            found = reach(begin, relations[:-1], env)
            inner = msgspec.structs.replace(found.env, frames={**found.env.frames, owner: found.last})
            return found.exists(_exists(prefix, parts, inner))
        return border.asked_observations(prefix, parts, relations[-1], env, condition)
    found = reach(begin, relations, env)
    there = found.exists(*_together(parts, found.env))
    return _or_none(there, parts, found)


def _or_none(there: Any, parts: Sequence[Expression], found: Reach) -> Any:
    """Let ``eq null`` hold as well where there is no such entity at all."""
    if len(parts) == 1 and border.asks_for_null(parts[0]):
        return sa.or_(there, sa.not_(found.exists()))
    return there


def _relations(prefix: Prefix, env: Env) -> tuple[Prefix, Any]:
    path = Path(steps=prefix)
    begin, frame = nearest(path, env)
    relations, _, _ = follow(msgspec.structs.replace(path, steps=prefix[len(begin) :]), frame.kind)
    return begin, relations


def _some(some: Some, env: Env) -> Any:
    """Return the condition that ``any`` asks for; the variable is a frame of its own."""
    prefix = some.path.steps
    begin, relations = _relations(prefix, env)
    if relations[-1].target == "Observation":
        if len(relations) > 1:
            found = reach(begin, relations[:-1], env)
            return found.exists(_some(some, found.env))
        renamed = border.renamed(some.operand, (some.variable,), prefix)
        return border.asked_observations(prefix, [renamed], relations[-1], env, condition)
    found = reach(begin, relations, env)
    frames = {**env.frames, (some.variable,): found.last}
    return found.exists(_holds(some.operand, msgspec.structs.replace(env, frames=frames)))


# --- values ---------------------------------------------------------------------------------------------


def _value(expression: Expression, env: Env) -> Value:
    """Return what an expression says of one row, as a value."""
    match expression:
        case Literal(value=value):
            return constant(value)
        case Path():
            return path_value(expression, env)
        case Call(name=name, arguments=arguments):
            if name in GEOMETRIC:
                raise UnsupportedQuery(
                    f"{name} is answered in comparisons only (position {expression.position})"
                )
            return call(expression, [_value(one, env) for one in arguments])
        case Binary(operator="in"):
            return Flag(expression=_member(expression, env))
        case Binary(operator=name, left=left, right=right, position=position):
            if name in {"add", "sub", "mul", "div", "mod"}:
                return calculate(expression, _value(left, env), _value(right, env))
            return Flag(expression=compare(name, _value(left, env), _value(right, env), position))
        case Negation(operand=operand, position=position):
            return negative(_value(operand, env), position)
        case Junction() | Not() | Some():
            return Flag(expression=_holds(expression, _exact(env)))
    raise QueryError(
        f"a list stands after 'in' only (position {expression.position})",
        where=f"position {expression.position}",
    )


def _member(binary: Binary, env: Env) -> Any:
    """Return whether a value is one of a list, or of an array in JSON."""
    left, position = _value(binary.left, env), binary.position
    if isinstance(binary.right, Listing):
        items = [_value(one, env) for one in binary.right.items]
        return sa.or_(*(compare("eq", left, one, position) for one in items))
    right = _value(binary.right, env)
    if not (isinstance(right, Dynamic) and right.json and isinstance(binary.left, Literal)):
        raise UnsupportedQuery(
            f"after 'in' stands a list, or an array in JSON with a constant before it (position {position})",
            where=f"position {position}",
        )
    return border.holds_item(right, binary.left)
