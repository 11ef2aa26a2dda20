"""Building the tree: what each rule of the grammar becomes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from nervure.core.error import QueryError
from nervure.store.language.function import check
from nervure.store.language.moment import read_clock, read_duration, read_time
from nervure.store.language.tree import (
    Binary,
    Call,
    Duration,
    Expression,
    Geometry,
    Junction,
    Listing,
    Literal,
    Negation,
    Not,
    Path,
    Scalar,
    Some,
)

__all__ = ["Builder", "read_path"]

_STEP = re.compile(r"\[(\d{1,9})\]|([^/\[\]]+)")
_CONSTANT = {"true": True, "false": False, "null": None}
_LONG = 1 << 63


class Builder:
    """A method for each rule of the grammar, which takes what the rule found.

    It holds nothing, so threads share one. Tokens are strings with their place, ``start_pos``.
    """

    def either(self, found: Sequence[Any]) -> Expression:
        """Conditions of which one must hold."""
        return _joined("or", found)

    def both(self, found: Sequence[Any]) -> Expression:
        """Conditions that must hold together."""
        return _joined("and", found)

    def contrary(self, found: Sequence[Any]) -> Expression:
        """The contrary of a condition."""
        return Not(operand=found[1], position=_place(found[0]))

    def binary(self, found: Sequence[Any]) -> Expression:
        """A comparison or a calculation."""
        left, operator, right = found
        return Binary(operator=str(operator), left=left, right=right, position=_place(operator))

    def membership(self, found: Sequence[Any]) -> Expression:
        """One of several constants, or of an array."""
        left, operator, right = found
        if isinstance(right, Literal):
            right = Listing(items=(right,), position=right.position)
        if isinstance(right, Listing) and not all(isinstance(one, Literal) for one in right.items):
            raise _wrong("the list after 'in' may hold constants only", right.position)
        if not isinstance(right, Listing | Path):
            raise _wrong("after 'in' stands a list, ('a', 'b'), or a property", right.position)
        return Binary(operator="in", left=left, right=right, position=_place(operator))

    def negation(self, found: Sequence[Any]) -> Expression:
        """A number with the other sign; of a constant it is a constant."""
        sign, operand = found
        if isinstance(operand, Literal) and type(operand.value) in {int, float}:
            return Literal(value=-operand.value, position=_place(sign))  # type: ignore[operator]
        return Negation(operand=operand, position=_place(sign))

    def listing(self, found: Sequence[Any]) -> Expression:
        """Several expressions in parentheses."""
        return Listing(items=tuple(found), position=found[0].position)

    def call(self, found: Sequence[Any]) -> Expression:
        """A function with its arguments."""
        name = str(found[0])[:-1].rstrip()
        check(name, len(found) - 1, _place(found[0]))
        return Call(name=name, arguments=tuple(found[1:]), position=_place(found[0]))

    def some(self, found: Sequence[Any]) -> Expression:
        """A condition on one of several related entities."""
        head, operand = found
        path, _, variable = str(head).rstrip(": \t\r\n").rpartition("(")
        relation = Path(steps=tuple(path.split("/")[:-1]), position=_place(head))
        return Some(path=relation, variable=variable.strip(), operand=operand, position=_place(head))

    def path(self, found: Sequence[Any]) -> Expression:
        """A way to a value."""
        return read_path(str(found[0]), _place(found[0]))

    def number(self, found: Sequence[Any]) -> Expression:
        """A number: whole where it is written without point and exponent and fits into 64 bits."""
        text, position = str(found[0]), _place(found[0])
        if text.isdecimal() and len(text) < 20 and int(text) < _LONG:
            return Literal(value=int(text), position=position)
        value = float(text)
        if not math.isfinite(value):
            raise _wrong("the number is too large", position)
        return Literal(value=value, position=position)

    def string(self, found: Sequence[Any]) -> Expression:
        """A text in quotes, in which two quotes stand for one."""
        return Literal(value=_unquoted(str(found[0]), _place(found[0])), position=_place(found[0]))

    def typed(self, found: Sequence[Any]) -> Expression:
        """A geometry or a duration."""
        kind, _, rest = str(found[0]).partition("'")
        position = _place(found[0])
        text = _unquoted(f"'{rest}", position)
        if kind != "duration":
            return Literal(value=Geometry(wkt=text), position=position)
        ns = read_duration(text)
        if ns is None:
            raise _wrong(f"{text!r} is not a duration such as P1DT2H30M", position)
        return Literal(value=Duration(ns=ns), position=position)

    def moment(self, found: Sequence[Any]) -> Expression:
        """An instant or an interval."""
        text = str(found[0])
        value: Scalar = read_time(text)
        if value is None:
            what = "an interval whose end is not before its start" if "/" in text else "an instant"
            raise _wrong(f"{text!r} is not {what}", _place(found[0]))
        return Literal(value=value, position=_place(found[0]))

    def clock(self, found: Sequence[Any]) -> Expression:
        """A time of day."""
        ns = read_clock(str(found[0]))
        if ns is None:
            raise _wrong(f"{str(found[0])!r} is not a time of day", _place(found[0]))
        return Literal(value=Duration(ns=ns), position=_place(found[0]))

    def constant(self, found: Sequence[Any]) -> Expression:
        """True, false or null."""
        return Literal(value=_CONSTANT[str(found[0])], position=_place(found[0]))


def read_path(text: str, position: int = 1) -> Path:
    """Read a path; ``@iot.id`` is written ``id``.

    >>> read_path("properties/list[1]/a").steps, read_path("Thing/@iot.id").steps
    (('properties', 'list', 1, 'a'), ('Thing', 'id'))
    """
    steps = [int(index) if index else name for index, name in _STEP.findall(text)]
    return Path(steps=tuple("id" if one == "@iot.id" else one for one in steps), position=position)


def _joined(operator: str, found: Sequence[Any]) -> Expression:
    """Join conditions; those that are joined by the same word already become one with these."""
    if len(found) == 1:
        single: Expression = found[0]
        return single
    parts: list[Expression] = []
    for one in found:
        same = isinstance(one, Junction) and one.operator == operator
        parts.extend(one.parts if same else (one,))
    return Junction(operator=operator, parts=tuple(parts), position=parts[0].position)


def _unquoted(text: str, position: int) -> str:
    inner = text[1:-1].replace("''", "'")
    if "\0" in inner or (not inner.isascii() and any("\ud800" <= one <= "\udfff" for one in inner)):
        raise _wrong("the text holds a character that no text may hold", position)
    return inner


def _place(token: Any) -> int:
    return int(token.start_pos) + 1


def _wrong(what: str, position: int) -> QueryError:
    return QueryError(f"{what} (position {position})", where=f"position {position}")
