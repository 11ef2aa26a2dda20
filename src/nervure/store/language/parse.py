"""Text to tree: the grammar of ``$filter``, with limits and errors that point at their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from nervure.core.error import QueryError
from nervure.store.language.build import Builder
from nervure.store.language.tree import Expression, children

__all__ = ["parse_filter"]

_WORDS = {
    "_OR": "or",
    "_AND": "and",
    "NOT": "not",
    "IN": "in",
    "EQUALITY": "eq, ne",
    "RELATION": "gt, ge, lt, le",
    "SIGN": "add, sub",
    "FACTOR": "mul, div, mod",
    "MINUS": "a minus sign",
    "_OPEN": "(",
    "_CLOSE": ")",
    "_COMMA": "a comma",
    "FUNCTION": "a function",
    "PATH": "a property",
    "NUMBER": "a number",
    "STRING": "a 'text'",
    "INSTANT": "an instant",
    "$END": "the end",
}
"""Terminals in a client's words; the others are of a kind with one of these."""


def parse_filter(text: str, *, nodes: int = 500, depth: int = 16, characters: int = 16_384) -> Expression:
    """Read an expression, already percent-decoded.

    ``QueryError`` says what was found, where (the position counts from 1), and what could stand there;
    or which limit it goes over: ``nodes``, ``depth`` of nesting, ``characters``.

    >>> parse_filter("result gt 5").operator
    'gt'
    """
    from lark import exceptions

    if len(text) > characters:
        raise QueryError(f"the expression is longer than {characters} characters", hint="ask in parts")
    try:
        found: Expression = _parser()(text)
    except exceptions.UnexpectedToken as cause:
        end = cause.token.type == "$END"
        position = len(text.rstrip()) + 1 if end else int(cause.token.start_pos or 0) + 1
        what = "the end" if end else repr(_short(str(cause.token)))
        raise _misread(what, position, cause.accepts or cause.expected) from cause
    except exceptions.UnexpectedCharacters as cause:
        place = cause.pos_in_stream or 0
        raise _misread(repr(_short(text[place:])), place + 1, cause.allowed or ()) from cause
    _bound(found, nodes, depth)
    return found


@cache
def _parser() -> Callable[[str], Any]:
    """Compile the grammar, once."""
    from lark import Lark

    grammar = (files(__package__) / "grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", transformer=Builder(), maybe_placeholders=False).parse


def _misread(found: str, position: int, expected: Iterable[str]) -> QueryError:
    given = set(expected)
    words = [word for name, word in _WORDS.items() if name in given]
    hint = f"what can stand there: {', '.join(words)}" if words else None
    return QueryError(f"{found} cannot stand at position {position}", where=f"position {position}", hint=hint)


def _short(text: str, most: int = 20) -> str:
    word = text.split(maxsplit=1)[0] if text.split() else text
    return word if len(word) <= most else f"{word[:most]}…"


def _bound(expression: Expression, nodes: int, depth: int) -> None:
    """Refuse an expression that is too large or too deep to be worked on by recursion."""
    count = 0
    waiting: list[tuple[Expression, int]] = [(expression, 1)]
    while waiting:
        one, level = waiting.pop()
        count += 1
        if count > nodes:
            raise QueryError(f"the expression has more than {nodes} parts", hint="ask in several requests")
        if level > depth:
            raise QueryError(
                f"the expression is nested more than {depth} deep at position {one.position}",
                where=f"position {one.position}",
            )
        waiting.extend((child, level + 1) for child in children(one))
