"""The tree of an expression: what a ``$filter`` or a key of ``$orderby`` says, as data.

Sources: OGC 18-088, section 9.3.3.5; OData 4.0 URL Conventions, section 5.1.1. Every node knows its
position in the text, counted from 1, so that an error can point at it.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

__all__ = [
    "Binary",
    "Call",
    "Duration",
    "Expression",
    "Geometry",
    "Instant",
    "Interval",
    "Junction",
    "Listing",
    "Literal",
    "Negation",
    "Not",
    "Path",
    "Scalar",
    "Some",
    "children",
    "paths",
]


class Instant(msgspec.Struct, frozen=True, kw_only=True):
    """An instant in nanoseconds since 1970 in UTC; it may lie outside of what 64 bits hold."""

    ns: int


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """From an instant up to another one, in nanoseconds since 1970 in UTC."""

    start_ns: int
    end_ns: int


class Duration(msgspec.Struct, frozen=True, kw_only=True):
    """A length of time in nanoseconds; a time of day is the duration since midnight."""

    ns: int


class Geometry(msgspec.Struct, frozen=True, kw_only=True):
    """A geometry as well-known text, longitude first."""

    wkt: str


Scalar: TypeAlias = bool | int | float | str | Instant | Interval | Duration | Geometry | None
"""What may be written into an expression as a constant."""


class Literal(msgspec.Struct, frozen=True, kw_only=True):
    """A constant."""

    value: Scalar
    position: int = 1


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """A way from the entity to a value: relations, a property, and steps into its JSON.

    A step that is a number is a place in an array, counted from 0: ``properties/list[1]`` is
    ``("properties", "list", 1)``. The id is written ``id``, however it was spelled.
    """

    steps: tuple[str | int, ...]
    position: int = 1


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A function, by its name in lower case, and its arguments."""

    name: str
    arguments: tuple[Expression, ...]
    position: int = 1


class Binary(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison (eq ne gt ge lt le in) or a calculation (add sub mul div mod)."""

    operator: str
    left: Expression
    right: Expression
    position: int = 1


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Constants in parentheses: the right side of ``in``."""

    items: tuple[Expression, ...]
    position: int = 1


class Junction(msgspec.Struct, frozen=True, kw_only=True):
    """Two or more conditions joined by ``and`` or by ``or``; none of them is such a one itself."""

    operator: str
    parts: tuple[Expression, ...]
    position: int = 1


class Some(msgspec.Struct, frozen=True, kw_only=True):
    """Whether one of several related entities fulfils a condition, in which ``variable`` stands for it.

    ``Datastreams/any(d: d/name eq 'x')`` of OData; SensorThings does without, where one path is enough.
    """

    path: Path
    variable: str
    operand: Expression
    position: int = 1


class Not(msgspec.Struct, frozen=True, kw_only=True):
    """The contrary of a condition."""

    operand: Expression
    position: int = 1


class Negation(msgspec.Struct, frozen=True, kw_only=True):
    """A number with the other sign."""

    operand: Expression
    position: int = 1


Expression: TypeAlias = Literal | Path | Call | Binary | Listing | Junction | Some | Not | Negation


def children(expression: Expression) -> tuple[Expression, ...]:
    """Return what an expression is made of.

    >>> [one.value for one in children(Binary(operator="add", left=Literal(value=1), right=Literal(value=2)))]
    [1, 2]
    """
    match expression:
        case Call(arguments=parts) | Junction(parts=parts) | Listing(items=parts):
            return parts
        case Binary(left=left, right=right):
            return (left, right)
        case Some(path=path, operand=operand):
            return (path, operand)
        case Not(operand=operand) | Negation(operand=operand):
            return (operand,)
    return ()


def paths(expression: Expression) -> list[Path]:
    """Return every path of an expression, from left to right."""
    found: list[Path] = []
    waiting: list[Expression] = [expression]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Path):
            found.append(one)
        waiting.extend(reversed(children(one)))
    return found
