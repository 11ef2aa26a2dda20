"""Spoken: SQL that SQLite, PostgreSQL and DuckDB each say in their own words.

SQLite lacks functions; :data:`FUNCTIONS` are given to each of its connections (`store.database`).
PostgreSQL is asked nothing that an extension would have to answer.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from nervure.core.instant import DAY_NS, SECOND_NS, from_ns
from nervure.store.language.moment import read_instant

__all__ = ["FUNCTIONS", "UNKNOWN", "Spoken", "spoken"]

UNKNOWN: sa.ColumnElement[bool] = sa.literal_column("CAST(NULL AS BOOLEAN)", sa.Boolean)
"""Neither true nor false: its contrary is unknown too, and no row is taken for it."""

_PLACE = re.compile(r"\{(\d)\}")
_LONG = 1 << 63
_WHOLE = (FunctionElement, sa.ColumnClause, sa.BindParameter, sa.ScalarSelect, sa.Case, sa.sql.elements.Null)
"""Elements that stand in any words without parentheses; SQLite cannot read very many of those."""


class Spoken(FunctionElement[Any]):
    """An expression with words for each dialect, in which ``{0}``, ``{1}`` … are its arguments."""

    inherit_cache = False
    name = "spoken"

    def __init__(self, words: dict[str, str], type_: Any, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.words = words
        self.type = type_


@compiles(Spoken)
def _say(element: Spoken, compiler: Any, **options: Any) -> str:
    """Put the arguments that the words name into them."""
    dialect = compiler.dialect
    words = element.words.get(dialect.name, element.words["sqlite"])
    if dialect.paramstyle in {"format", "pyformat"}:
        words = words.replace("%", "%%")
    arguments = list(element.clauses)
    said: dict[str, str] = {}

    def place(found: re.Match[str]) -> str:
        number = found[1]
        if number not in said:
            argument = arguments[int(number)]
            text = compiler.process(argument, **options)
            said[number] = text if isinstance(argument, _WHOLE) else f"({text})"
        return said[number]

    return _PLACE.sub(place, words)


def spoken(
    type_: Any, *arguments: Any, sqlite: str, postgresql: str | None = None, duckdb: str | None = None
) -> Spoken:
    """Return an expression; what PostgreSQL has no words for is said as to SQLite, DuckDB as PostgreSQL."""
    server = sqlite if postgresql is None else postgresql
    words = {"sqlite": sqlite, "postgresql": server, "duckdb": server if duckdb is None else duckdb}
    return Spoken(words, type_, *arguments)


# --- what SQLite is given -----------------------------------------------------------------------------


def _mod(left: float | None, right: float | None) -> float | None:
    if left is None or not right or math.isinf(left):
        return None
    return math.fmod(left, right)


def _rounded(how: Callable[[float], float]) -> Callable[[float | None], float | None]:
    def rounded(value: float | None) -> float | None:
        return value if value is None or math.isinf(value) else float(how(value))

    return rounded


def _half_away(value: float) -> float:
    whole = math.trunc(value)
    return float(whole + math.copysign(1, value)) if abs(value - whole) >= 0.5 else float(whole)


def _part(name: str, ns: float | None) -> float | None:
    """Return a part of an instant in UTC; None where it is further away than 64 bits reach."""
    if ns is None or not -_LONG <= ns < _LONG:
        return None
    if name == "fractionalseconds":
        return int(ns) % SECOND_NS / SECOND_NS
    return int(getattr(from_ns(int(ns) // SECOND_NS * SECOND_NS), name))


def _day(ns: float | None) -> int | None:
    return None if ns is None or not -_LONG <= ns < _LONG else int(ns) // DAY_NS * DAY_NS


def _clock(ns: float | None) -> int | None:
    return None if ns is None or not -_LONG <= ns < _LONG else int(ns) % DAY_NS


def _instant(text: str | None) -> int | None:
    ns = None if text is None else read_instant(text)
    return ns if ns is not None and -_LONG <= ns < _LONG else None


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _upper(text: str | None) -> str | None:
    return None if text is None else text.upper()


def _ends(text: str | None, end: str | None) -> bool | None:
    return None if text is None or end is None else text.endswith(end)


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "nervure_mod": (2, _mod),
    "nervure_round": (1, _rounded(_half_away)),
    "nervure_floor": (1, _rounded(math.floor)),
    "nervure_ceiling": (1, _rounded(math.ceil)),
    "nervure_part": (2, _part),
    "nervure_day": (1, _day),
    "nervure_clock": (1, _clock),
    "nervure_instant": (1, _instant),
    "nervure_lower": (1, _lower),
    "nervure_upper": (1, _upper),
    "nervure_ends": (2, _ends),
}
"""What SQLite lacks: each name with its number of arguments; all are deterministic."""
