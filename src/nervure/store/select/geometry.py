"""Geometry: comparisons with functions of space, answered by shapely over the rows that hold them.

The few rows that have a geometry are read and judged here, and the answer goes into the condition as
keys, so neither database needs an extension. Coordinates are taken as they are, in a plane: distances
and lengths are in their unit (degrees), as other SensorThings services have it. What cannot be read as
a GeoJSON geometry is no place: it neither fulfils a condition nor its contrary.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from nervure.core.error import QueryError, UnsupportedQuery
from nervure.store.language.function import GEOMETRIC
from nervure.store.language.tree import (
    Binary,
    Call,
    Expression,
    Geometry,
    Literal,
    Negation,
    Path,
    children,
    paths,
)
from nervure.store.select.among import among
from nervure.store.select.frame import Env, reach, table_of, visible
from nervure.store.select.path import located

__all__ = ["geometric", "judged", "measured"]

MOST = 50_000
"""How many rows a question may look at."""

_PATTERN = re.compile(r"[TF012*]{9}")
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_CALCULATED: dict[str, Callable[[Any, Any], float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "mod": math.fmod,
}


def geometric(expression: Expression) -> bool:
    """Return whether a function of space is in an expression that is one condition."""
    if isinstance(expression, Call) and expression.name in GEOMETRIC:
        return True
    return any(geometric(one) for one in children(expression))


def judged(expression: Expression, env: Env) -> Any:
    """Return a condition with functions of space as one on keys."""
    found = _answers(expression, env)
    if not isinstance(found, tuple):
        return sa.null() if found is None else sa.true() if found else sa.false()
    key, answers = found
    yes = among(key, [one for one, answer in answers if answer is True])
    if not env.exact:
        return yes
    no = among(key, [one for one, answer in answers if answer is False])
    return sa.case((yes, sa.true()), (no, sa.false()))


def measured(expression: Expression, env: Env, most: int = 1_000) -> Any:
    """Return a number with functions of space, to be sorted by; not of more than ``most`` rows."""
    found = _answers(expression, env)
    if not isinstance(found, tuple):
        return sa.literal(found)
    key, answers = found
    known = {one: float(answer) for one, answer in answers if answer is not None}
    if len(known) > most:
        raise UnsupportedQuery(f"more than {most} places cannot be sorted", hint="sort by another property")
    return sa.case(known, value=key) if known else sa.null()


def _answers(expression: Expression, env: Env) -> Any:
    """Return the key of the rows that hold the geometries, with each row's answer; or one answer to all."""
    ways = {path.steps: path for path in _places(expression)}
    if len(_places(expression)) < len(paths(expression)):
        raise UnsupportedQuery(
            f"a function of space can only be compared with constants (position {expression.position})",
            where=f"position {expression.position}",
        )
    if not ways:
        return _evaluate(expression, {})
    first = next(iter(ways.values()))
    prefix, _, way = located(first, env)
    if env.observing:
        raise UnsupportedQuery("functions of space are answered for locations and features only")
    base = first.steps[: len(prefix) + len(way.relations)]
    if any(path.steps[:-1] != base for path in ways.values()):
        raise UnsupportedQuery(
            f"geometries of two entities cannot be compared (position {first.position})",
            where=f"position {first.position}",
        )
    table = table_of(way.kind)
    names = [_column(path, env) for path in ways.values()]
    statement = sa.select(table.c.id, *(table.c[name] for name in names))
    rows = env.source.rows(statement.where(*visible(way.kind, env.source.project)).limit(MOST + 1))
    if len(rows) > MOST:
        raise UnsupportedQuery(f"there are more than {MOST} geometries to look at")
    if way.relations:
        found = reach(prefix, way.relations, env)
        key = found.column(found.last.table.c.id)
    else:
        key = env.frames[prefix].table.c.id
    return key, _judge(expression, tuple(ways), rows)


def _places(expression: Expression) -> list[Path]:
    """Return the paths that stand in functions of space."""
    if isinstance(expression, Call) and expression.name in GEOMETRIC:
        return [one for one in expression.arguments if isinstance(one, Path)]
    return [path for one in children(expression) for path in _places(one)]


def _column(path: Path, env: Env) -> str:
    way = located(path, env)[2]
    if way.property is None or way.property.form != "any" or way.rest:
        raise QueryError(
            f"this is no geometry (position {path.position})",
            where=f"position {path.position}",
            hint="geometries are location, feature and observedArea",
        )
    return way.property.columns[0]


def _judge(
    expression: Expression, names: tuple[Any, ...], rows: Sequence[Sequence[Any]]
) -> list[tuple[int, Any]]:
    _evaluate(expression, dict.fromkeys(names))  # what is wrong with the question is wrong without rows
    answers = []
    for key, *documents in rows:
        shapes = dict(zip(names, map(_shape, documents), strict=True))
        answers.append((key, _evaluate(expression, shapes)))
    return answers


def _evaluate(expression: Expression, shapes: Mapping[Any, Any]) -> Any:
    """Return what an expression says of some geometries; None where it cannot be said."""
    match expression:
        case Literal(value=Geometry(wkt=wkt)):
            return _from_wkt(wkt, expression.position)
        case Literal(value=value):
            return value
        case Path(steps=steps):
            return shapes[steps]
        case Negation(operand=operand):
            number = _evaluate(operand, shapes)
            return -number if _numeric(number) else None
        case Call(name=name) if name in GEOMETRIC:
            return _spatial(expression, [_evaluate(one, shapes) for one in expression.arguments])
        case Binary(operator=name, left=left, right=right) if name in _COMPARED or name in _CALCULATED:
            return _joined(name, _evaluate(left, shapes), _evaluate(right, shapes))
    raise UnsupportedQuery(
        f"this cannot stand beside a function of space (position {expression.position})",
        where=f"position {expression.position}",
    )


def _numeric(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _joined(name: str, left: Any, right: Any) -> Any:
    if name in _CALCULATED:
        if not (_numeric(left) and _numeric(right)) or (name in {"div", "mod"} and right == 0):
            return None
        return _CALCULATED[name](left, right)
    if left is None or right is None:
        return None
    if isinstance(left, bool) and isinstance(right, bool) and name in {"eq", "ne"}:
        return _COMPARED[name](left, right)
    return _COMPARED[name](left, right) if _numeric(left) and _numeric(right) else None


def _spatial(call: Call, arguments: list[Any]) -> Any:
    """Answer one function of space."""
    import shapely

    name = call.name
    pattern = arguments.pop() if name == "st_relate" else ""
    if name == "st_relate" and not (isinstance(pattern, str) and _PATTERN.fullmatch(pattern)):
        raise QueryError(
            f"st_relate takes a pattern of nine of T F 0 1 2 * (position {call.position})",
            where=f"position {call.position}",
        )
    given = zip(call.arguments, arguments, strict=False)
    if any(isinstance(one, Literal) and not isinstance(shape, shapely.Geometry) for one, shape in given):
        raise QueryError(
            f"{name} takes geometries (position {call.position})",
            where=f"position {call.position}",
            hint="write geography'POINT (30 10)'",
        )
    if any(one is None for one in arguments):
        return None
    try:
        if name == "geo.distance":
            return float(shapely.distance(*arguments))
        if name == "geo.length":
            return _length(arguments[0])
        if name == "st_relate":
            first, second = arguments
            return bool(shapely.relate_pattern(first, second, str(pattern)))
        return bool(getattr(shapely, name.partition("_")[2] or "intersects")(*arguments))
    except shapely.errors.ShapelyError:
        return None


def _length(shape: Any) -> float:
    """Return the length of lines; a point and an area have none."""
    parts = getattr(shape, "geoms", None)
    if parts is not None:
        return math.fsum(_length(one) for one in parts)
    return float(shape.length) if "Line" in shape.geom_type else 0.0


@lru_cache(maxsize=64)
def _from_wkt(wkt: str, position: int) -> Any:
    import shapely

    try:
        shape = shapely.from_wkt(re.sub(r"^\s*SRID=\d+;", "", wkt))
    except shapely.errors.ShapelyError as cause:
        why = str(cause).partition("\n")[0]
        raise QueryError(
            f"{wkt[:60]!r} is not well-known text: {why} (position {position})",
            where=f"position {position}",
            hint="write geography'POINT (30 10)', longitude first",
        ) from cause
    return shape


def _shape(document: Any) -> Any:
    """Read a GeoJSON geometry or Feature; None for anything else."""
    import shapely
    from shapely.geometry import shape

    if isinstance(document, dict) and document.get("type") == "Feature":
        document = document.get("geometry")
    if not isinstance(document, dict) or not ("coordinates" in document or "geometries" in document):
        return None
    try:
        found = shape(document)
    except (shapely.errors.ShapelyError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return None
    return None if found.is_empty else found
