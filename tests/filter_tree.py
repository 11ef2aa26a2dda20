"""Filters that hypothesis makes up, as trees and as text."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from hypothesis import reject
from hypothesis import strategies as st

from nervure.core.error import QueryError
from nervure.core.instant import iso
from nervure.store.language.parse import parse_filter
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

__all__ = ["HALF", "INSTANTS", "NUMBERS", "PAIRS", "T0", "WORDS", "bare", "expressions", "readable"]

Made: TypeAlias = st.SearchStrategy[Expression]
T0 = 1_420_070_400_000_000_000
"""2015-01-01T00:00:00Z."""
HALF = 500_000_000

# --- expressions, by the type they have -----------------------------------------------------------------

WORDS = st.text("aBä' ", max_size=4)
EXACT = [0, 2, -4, 0.5]
"""Divisors whose quotients are the same in doubles and in decimal numbers."""
NUMBERS = st.integers(-6, 6) | st.sampled_from([0.5, -1.5, 2.25])
INSTANTS = st.integers(-3, 6).map(lambda n: T0 + n * HALF)
PAIRS = st.tuples(INSTANTS, INSTANTS).map(sorted)


def literal(values: st.SearchStrategy[Any]) -> Made:
    return values.map(lambda value: Literal(value=value))


def path(*names: str) -> Made:
    return st.sampled_from([Path(steps=tuple(name.split("/"))) for name in names])


def call(names: list[str], *arguments: Made) -> Made:
    given = st.tuples(st.sampled_from(names), st.tuples(*arguments))
    return given.map(lambda one: Call(name=one[0], arguments=one[1]))


def binary(words: list[str], left: Any, right: Any) -> Made:
    given = st.tuples(st.sampled_from(words), left, right)
    return given.map(lambda one: Binary(operator=one[0], left=one[1], right=one[2]))


ORDERS = ["eq", "ne", "lt", "le", "gt", "ge"]


def expressions(texts: list[str], any_typed: list[str], times: list[str]) -> Made:
    """Return conditions over some paths, each the more deeply nested the more hypothesis feels like it."""
    anything, times_of = path(*any_typed), path(*times)
    span = literal(st.integers(-4, 4).map(lambda n: Duration(ns=n * HALF)))
    fixed = literal(INSTANTS.map(lambda ns: Instant(ns=ns)))
    lasting = literal(PAIRS.map(lambda pair: Interval(start_ns=pair[0], end_ns=pair[1])))
    time = times_of | fixed | lasting | binary(["add", "sub"], times_of, span)
    text: Made = st.deferred(lambda: literal(WORDS) | path(*texts) | anything | of_texts(text, anything))
    number: Made = st.deferred(lambda: literal(NUMBERS) | anything | of_numbers(number, anything, text, time))
    listed = st.lists(literal(NUMBERS | WORDS), min_size=1, max_size=3).map(listing)
    single = (
        binary(ORDERS, number, number)
        | binary(ORDERS, text, text)
        | binary(ORDERS, anything, anything | text | number | time)
        | binary(ORDERS, time, time | anything)
        | binary(["eq", "ne"], text | number | anything | time, literal(st.none()))
        | binary(["eq", "ne"], anything, literal(st.booleans()))
        | binary(ORDERS, call(["time"], time), span)
        | binary(ORDERS, binary(["sub"], time, time), span)
        | binary(ORDERS, call(["date"], time), fixed)
        | call(["contains", "substringof", "startswith", "endswith"], text, text)
        | call(["before", "after", "meets", "overlaps", "starts", "finishes"], time, time)
        | binary(["in"], anything | text, listed)
        | anything
    )
    return st.recursive(single, nested, max_leaves=6)


def of_texts(text: Made, anything: Made) -> Made:
    return (
        call(["concat"], text, text)
        | call(["tolower", "toupper", "trim"], text)
        | call(["substring"], text, literal(NUMBERS))
        | call(["substring"], text, literal(NUMBERS) | anything, literal(NUMBERS))
    )


def of_numbers(number: Made, anything: Made, text: Made, time: Made) -> Made:
    return (
        binary(["add", "sub", "mul", "mod"], number, number)
        | binary(["div"], number, literal(st.sampled_from(EXACT)))
        | call(["round", "floor", "ceiling"], number)
        | call(["length"], text)
        | call(["indexof"], text, text)
        | call(["year", "day", "hour", "second", "fractionalseconds", "totaloffsetminutes"], time)
        | (anything | binary(["add", "mul"], number, number)).map(lambda one: Negation(operand=one))
    )


def listing(items: list[Expression]) -> Expression:
    return Listing(items=tuple(items))


def nested(condition: Made) -> Made:
    several = st.tuples(st.sampled_from(["and", "or"]), st.lists(condition, min_size=2, max_size=3))
    return several.map(lambda one: junction(*one)) | condition.map(lambda one: Not(operand=one))


def junction(word: str, parts: list[Expression]) -> Expression:
    flat: list[Expression] = []
    for one in parts:
        flat.extend(one.parts if isinstance(one, Junction) and one.operator == word else (one,))
    return Junction(operator=word, parts=tuple(flat))


# --- as text --------------------------------------------------------------------------------------------


def written(one: Expression) -> str:
    match one:
        case Literal(value=value):
            return constant(value)
        case Path(steps=steps):
            return "/".join(map(str, steps))
        case Call(name=name, arguments=parts):
            return f"{name}({', '.join(map(written, parts))})"
        case Listing(items=parts):
            return f"({', '.join(map(written, parts))})"
        case Junction(operator=word, parts=parts):
            return f"({f' {word} '.join(map(written, parts))})"
        case Binary(operator=word, left=left, right=right):
            return f"({written(left)} {word} {written(right)})"
        case Not(operand=operand):
            return f"(not {written(operand)})"
        case Negation(operand=operand):
            return f"-{written(operand)}"
    raise AssertionError(one)


def constant(value: Any) -> str:
    match value:
        case str():
            return "'" + value.replace("'", "''") + "'"
        case Instant(ns=ns):
            return iso(ns)
        case Interval(start_ns=start, end_ns=end):
            return f"{iso(start)}/{iso(end)}"
        case Duration(ns=ns):
            return f"duration'{'-' if ns < 0 else ''}PT{abs(ns) / 1e9}S'"
    return msgspec.json.encode(value).decode()


def readable(tree: Expression) -> str:
    """Write a tree, if it is not nested deeper than a query may be."""
    text = written(tree)
    try:
        parse_filter(text)
    except QueryError as refused:
        if "deep" not in refused.what:
            raise
        reject()
    return text


def bare(one: Any) -> Any:
    """Return a tree without its positions."""
    if isinstance(one, tuple):
        return tuple(map(bare, one))
    if not isinstance(one, msgspec.Struct):
        return one
    fields = {name: bare(getattr(one, name)) for name in one.__struct_fields__}
    return type(one)(**(fields | ({"position": 1} if "position" in fields else {})))
