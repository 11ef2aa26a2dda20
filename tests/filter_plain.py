"""Filters answered by plain Python: what the databases are held against.

A row is what paths lead to. Numbers, texts, flags and null are Python's; a time is a pair of
nanoseconds, equal for an instant; a duration is a :class:`Span`.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from nervure.core.instant import to_ns
from nervure.store.language.tree import (
    Binary,
    Call,
    Duration,
    Expression,
    Instant,
    Interval,
    Junction,
    Listing,
    Literal,
    Negation,
    Not,
    Path,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Span", "holds"]

Row = "Mapping[tuple[str | int, ...], Any]"


class Span(NamedTuple):
    ns: int


def holds(expression: Expression, row: Mapping[tuple[str | int, ...], Any]) -> bool:
    """Return whether a filter takes a row."""
    return flag(value(expression, row)) is True


def value(expression: Expression, row: Mapping[tuple[str | int, ...], Any]) -> Any:
    match expression:
        case Literal(value=Instant(ns=ns)):
            return (ns, ns)
        case Literal(value=Interval(start_ns=start, end_ns=end)):
            return (start, end)
        case Literal(value=Duration(ns=ns)):
            return Span(ns)
        case Literal(value=constant):
            return constant
        case Path(steps=steps):
            return row[steps]
        case Negation(operand=operand):
            found = number(value(operand, row))
            return None if found is None else -found
        case Not(operand=operand):
            found = flag(value(operand, row))
            return None if found is None else not found
        case Junction(operator=word, parts=parts):
            return joined(word, [flag(value(one, row)) for one in parts])
        case Binary(operator="in", left=left, right=Listing(items=items)):
            return any(equal(*met(left, one, row)) for one in items)
        case Binary(operator=word, left=left, right=right):
            return binary(word, *met(left, right, row))
        case Call(name=name, arguments=arguments):
            return FUNCTIONS[name](*(value(one, row) for one in arguments))
    raise AssertionError(expression)


def met(left: Expression, right: Expression, row: Mapping[tuple[str | int, ...], Any]) -> tuple[Any, Any]:
    """Return two values that meet; a number in JSON meets a text constant as the text it is written as."""
    one, other = value(left, row), value(right, row)
    if isinstance(left, Path) and isinstance(right, Literal) and isinstance(other, str) and other:
        one = spelled(one)
    if isinstance(right, Path) and isinstance(left, Literal) and isinstance(one, str) and one:
        other = spelled(other)
    return one, other


def spelled(found: Any) -> Any:
    plain = number(found)
    if plain is None:
        return found
    return str(int(plain)) if plain.is_integer() else repr(plain)


def joined(word: str, parts: list[bool | None]) -> bool | None:
    """Three-valued logic: what is decided by one part needs no other."""
    decides = word == "or"
    if decides in parts:
        return decides
    return None if None in parts else not decides


def number(found: Any) -> float | None:
    plain = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if plain else None


def text(found: Any) -> str | None:
    return found if isinstance(found, str) else None


def flag(found: Any) -> bool | None:
    return found if isinstance(found, bool) else None


def moment(found: Any) -> tuple[int, int] | None:
    if isinstance(found, str):
        try:
            ns = to_ns(datetime.fromisoformat(found))
        except ValueError:
            return None
        return (ns, ns)
    return found if type(found) is tuple else None


def binary(word: str, left: Any, right: Any) -> Any:
    if word == "eq":
        return equal(left, right)
    if word == "ne":
        return not equal(left, right)
    if word in ORDERS:
        return ordered(word, left, right)
    if word in {"add", "sub"} and (type(left) is tuple or isinstance(right, Span)):
        return shifted(word, left, right)
    one, other = number(left), number(right)
    return None if one is None or other is None else calculated(word, one, other)


def equal(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is None and right is None
    if type(left) is tuple or type(right) is tuple:
        return moment(left) == moment(right) and moment(left) is not None
    for kind in (number, text, flag):
        if kind(left) is not None and kind(right) is not None:
            return bool(kind(left) == kind(right))
    return isinstance(left, Span) and left == right


ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
}


def ordered(word: str, left: Any, right: Any) -> bool | None:
    if type(left) is tuple or type(right) is tuple:
        first, second = moment(left), moment(right)
        if first is None or second is None:
            return None
        if word in {"gt", "ge"}:
            first, second = second, first
        return (
            before(first, second) if word in {"lt", "gt"} else first[0] <= second[0] and first[1] <= second[1]
        )
    for kind in (number, text):
        if kind(left) is not None and kind(right) is not None:
            return ORDERS[word](kind(left), kind(right))
    return ORDERS[word](left, right) if isinstance(left, Span) and isinstance(right, Span) else None


def before(first: tuple[int, int], second: tuple[int, int]) -> bool:
    return first[0] < second[0] and first[1] <= second[0]


def shifted(word: str, left: Any, right: Any) -> Any:
    sign = 1 if word == "add" else -1
    if isinstance(left, Span) and isinstance(right, Span):
        return Span(left.ns + sign * right.ns)
    first = moment(left)
    if first is None or right is None:
        return None
    if isinstance(right, Span):
        return (first[0] + sign * right.ns, first[1] + sign * right.ns)
    return Span(first[0] - right[0])


def calculated(word: str, left: float, right: float) -> float | None:
    if word in {"div", "mod"} and right == 0:
        return None
    match word:
        case "add":
            return left + right
        case "sub":
            return left - right
        case "mul":
            return left * right
        case "div":
            return left / right
    return math.fmod(left, right)


def of_texts(function: Callable[..., Any]) -> Callable[..., Any]:
    def called(*arguments: Any) -> Any:
        texts = [text(one) for one in arguments]
        return None if None in texts else function(*texts)

    return called


def of_number(function: Callable[[float], Any]) -> Callable[[Any], Any]:
    def called(argument: Any) -> Any:
        found = number(argument)
        return None if found is None else function(found)

    return called


def half_away(found: float) -> float:
    return math.copysign(math.floor(abs(found) + 0.5), found)


def substring(whole: Any, start: Any, length: Any = math.inf) -> str | None:
    known, first, count = text(whole), number(start), number(length)
    if known is None or first is None or count is None:
        return None
    begin = int(max(0.0, first))
    return known[begin:] if count == math.inf else known[begin : begin + int(max(0.0, count))]


def of_date(read: Callable[[datetime, int], Any]) -> Callable[[Any], Any]:
    def called(argument: Any) -> Any:
        found = moment(argument)
        if found is None:
            return None
        seconds, rest = divmod(found[0], 1_000_000_000)
        return read(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), rest)

    return called


def midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0)


def related(
    relation: Callable[[tuple[int, int], tuple[int, int]], bool],
) -> Callable[[Any, Any], bool | None]:
    def called(left: Any, right: Any) -> bool | None:
        first, second = moment(left), moment(right)
        return None if first is None or second is None else relation(first, second)

    return called


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "length": of_texts(len),
    "concat": of_texts(lambda one, other: one + other),
    "contains": of_texts(lambda one, other: other in one),
    "substringof": of_texts(lambda one, other: one in other),
    "startswith": of_texts(str.startswith),
    "endswith": of_texts(str.endswith),
    "indexof": of_texts(str.find),
    "tolower": of_texts(str.lower),
    "toupper": of_texts(str.upper),
    "trim": of_texts(lambda one: one.strip(" \t\r\n")),
    "substring": substring,
    "round": of_number(half_away),
    "floor": of_number(lambda found: float(math.floor(found))),
    "ceiling": of_number(lambda found: float(math.ceil(found))),
    "year": of_date(lambda at, _: at.year),
    "day": of_date(lambda at, _: at.day),
    "hour": of_date(lambda at, _: at.hour),
    "second": of_date(lambda at, _: at.second),
    "fractionalseconds": of_date(lambda _, rest: rest / 1_000_000_000),
    "totaloffsetminutes": of_date(lambda *_: 0),
    "date": of_date(lambda at, _: (to_ns(midnight(at)), to_ns(midnight(at)))),
    "time": of_date(lambda at, rest: Span(to_ns(at) - to_ns(midnight(at)) + rest)),
    "before": related(before),
    "after": related(lambda first, second: before(second, first)),
    "meets": related(lambda first, second: first[1] == second[0] or first[0] == second[1]),
    "overlaps": related(
        lambda first, second: first[0] == second[0] or (first[0] < second[1] and second[0] < first[1])
    ),
    "starts": related(lambda first, second: first[0] == second[0]),
    "finishes": related(lambda first, second: first[1] == second[1]),
}
