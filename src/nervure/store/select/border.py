"""The border: conditions that speak of the catalogue and of Observations, which lie in two databases.

What lies wholly on the other side is asked there first, and comes back as keys. Joined conditions on
the other side are asked together, for they speak of the same entity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec
import sqlalchemy as sa

from nervure.core.error import QueryError, UnsupportedQuery
from nervure.core.sensorthings import BY_NAME, Relation
from nervure.store.language.tree import (
    Binary,
    Call,
    Expression,
    Junction,
    Literal,
    Negation,
    Not,
    Path,
    Some,
    children,
)
from nervure.store.select.among import among
from nervure.store.select.frame import Env, Prefix, table_of, visible
from nervure.store.select.spoken import UNKNOWN
from nervure.store.select.value import Dynamic, json_item

__all__ = [
    "asked_catalogue",
    "asked_observations",
    "asks_for_null",
    "beyond",
    "free_paths",
    "holds_item",
    "renamed",
    "rewritten",
]

Condition: TypeAlias = Callable[..., sa.ColumnElement[bool]]
"""What makes a condition of an expression: :func:`nervure.store.select.condition.condition`."""

_OBSERVATION = BY_NAME["Observation"]


def free_paths(expression: Expression, variables: frozenset[str] = frozenset()) -> list[Path]:
    """Return the paths of an expression that do not begin with a variable of its own ``any``."""
    match expression:
        case Path(steps=(head, *_)):
            return [] if head in variables else [expression]
        case Some(path=path, variable=variable, operand=operand):
            return [*free_paths(path, variables), *free_paths(operand, variables | {variable})]
    return [found for one in children(expression) for found in free_paths(one, variables)]


def asks_for_null(expression: Expression) -> bool:
    """Return whether a comparison is ``… eq null``."""
    if not (isinstance(expression, Binary) and expression.operator == "eq"):
        return False
    return any(isinstance(one, Literal) and one.value is None for one in children(expression))


def rewritten(
    expression: Expression, change: Callable[[Path], Path], variables: frozenset[str] = frozenset()
) -> Expression:
    """Write the free paths of an expression anew."""
    match expression:
        case Path(steps=(head, *_)):
            return expression if head in variables else change(expression)
        case Call(arguments=parts):
            return msgspec.structs.replace(expression, arguments=_each(parts, change, variables))
        case Junction(parts=parts):
            return msgspec.structs.replace(expression, parts=_each(parts, change, variables))
        case Binary(left=left, right=right):
            first, second = _each((left, right), change, variables)
            return msgspec.structs.replace(expression, left=first, right=second)
        case Not(operand=operand) | Negation(operand=operand):
            return msgspec.structs.replace(expression, operand=rewritten(operand, change, variables))
        case Some(path=path, variable=variable, operand=operand):
            return msgspec.structs.replace(
                expression,
                path=rewritten(path, change, variables),
                operand=rewritten(operand, change, variables | {variable}),
            )
    return expression


def _each(
    parts: Sequence[Expression], change: Callable[[Path], Path], variables: frozenset[str]
) -> tuple[Expression, ...]:
    return tuple(rewritten(one, change, variables) for one in parts)


def renamed(expression: Expression, before: Prefix, after: Prefix) -> Expression:
    """Write free paths that begin with ``before`` so that they begin with ``after``."""

    def change(path: Path) -> Path:
        if path.steps[: len(before)] != before:
            return path
        return msgspec.structs.replace(path, steps=(*after, *path.steps[len(before) :]))

    return rewritten(expression, change)


# --- from Observations into the catalogue ---------------------------------------------------------------


def beyond(expression: Expression, env: Env) -> Relation | None:
    """Return the relation of Observations that all paths of an expression go over, if it is one."""
    heads = {path.steps[0] for path in free_paths(expression)}
    if len(heads) != 1:
        return None
    head = heads.pop()
    return env.frames[()].kind.relation(head) if isinstance(head, str) else None


def asked_catalogue(expression: Expression, relation: Relation, env: Env, condition: Condition) -> Any:
    """Return a condition that lies beyond a relation to one entity, as the keys for which it holds.

    Where there is no such entity, all that it has is null, and the condition may hold of that too.
    """
    column = env.frames[()].table.c[relation.column]
    kind, source = BY_NAME[relation.target], env.source
    table = table_of(kind)
    holds = condition(renamed(expression, (relation.name,), ()), kind, source)

    def keys(*conditions: Any) -> list[int]:
        found = source.rows(sa.select(table.c.id).where(*conditions, *visible(kind, source.project)))
        return [row[0] for row in found]

    def of_none(wanted: Any) -> bool:
        nothing = sa.select(sa.literal(1).label("n")).subquery()
        rows = nothing.outerjoin(table, sa.false())
        return bool(source.rows(sa.select(nothing.c.n).select_from(rows).where(wanted)))

    if env.exact:
        unheld = keys(sa.not_(holds))
        none = sa.true() if of_none(holds) else sa.false() if of_none(sa.not_(holds)) else UNKNOWN
        known = among(column, keys())
        return sa.case(
            (among(column, keys(holds)), sa.true()), (among(column, unheld), sa.false()),
            (known, UNKNOWN), else_=none,
        )  # fmt: skip
    if of_none(holds):
        others = keys(sa.not_(sa.func.coalesce(holds, sa.false())))
        return sa.not_(sa.func.coalesce(among(column, others), sa.false()))
    return among(column, keys(holds))


# --- from the catalogue into Observations ---------------------------------------------------------------


def asked_observations(
    prefix: Prefix, parts: Sequence[Expression], relation: Relation, env: Env, condition: Condition
) -> Any:
    """Return a condition on the Observations of a frame, as the keys that have such a one."""
    owner = prefix[:-1]
    if owner not in env.frames:
        raise UnsupportedQuery(f"{'/'.join(map(str, prefix))} cannot be asked for here")
    table = env.frames[owner].table
    inner = [_turned(one, prefix, owner, relation.inverse) for one in parts]
    whole = inner[0] if len(inner) == 1 else Junction(operator="and", parts=tuple(inner))
    keys = _keys(relation, env, condition(whole, _OBSERVATION, env.source))
    there = among(table.c.id, keys)
    if len(parts) == 1 and asks_for_null(parts[0]):
        return sa.or_(there, sa.not_(among(table.c.id, _keys(relation, env, sa.true()))))
    return there


def _keys(relation: Relation, env: Env, condition: Any) -> Sequence[int]:
    if relation.foreign == "feature":
        return env.source.features_with(condition)
    return env.source.datastreams_with(condition)


def _turned(expression: Expression, prefix: Prefix, owner: Prefix, inverse: str) -> Expression:
    """Write paths as seen from the Observation; what its owner has lies beyond ``inverse``."""

    def change(path: Path) -> Path:
        if path.steps[: len(prefix)] == prefix:
            return msgspec.structs.replace(path, steps=path.steps[len(prefix) :])
        if path.steps[: len(owner)] == owner:
            return msgspec.structs.replace(path, steps=(inverse, *path.steps[len(owner) :]))
        raise UnsupportedQuery(
            f"Observations cannot be compared with this (position {path.position})",
            where=f"position {path.position}",
        )

    return rewritten(expression, change)


# --- arrays in JSON -------------------------------------------------------------------------------------


def holds_item(array: Dynamic, item: Literal) -> Any:
    """Return whether an array in JSON has a constant among its items."""
    if array.json is None or not isinstance(item.value, str | int | float | bool):
        raise QueryError(f"no array holds this (position {item.position})", where=f"position {item.position}")
    return json_item(array.json[0], array.json[1], item.value)
