"""DuckDB's dialect of SQL: SQLAlchemy statements over OBSERVATION, as text with named parameters.

DuckDB speaks PostgreSQL's dialect in all that is used here, but for how parameters are written.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect

__all__ = ["duck"]


class _DuckDialect(PGDialect):
    """PostgreSQL's dialect under another name, by which elements tell the two apart."""

    name = "duckdb"
    supports_statement_cache = False

    def __init__(self) -> None:
        super().__init__(paramstyle="pyformat")  # type: ignore[no-untyped-call]


_DIALECT = _DuckDialect()


def duck(statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> tuple[str, dict[str, Any]]:
    """Return a statement as DuckDB's SQL over ``{observation}``, and its parameters by name.

    >>> text, parameters = duck(sa.select(sa.column("id")).where(sa.column("value") > 5))
    >>> " ".join(text.split()), parameters
    ('SELECT id WHERE value > $value_1', {'value_1': 5})
    """
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    parameters = dict(compiled.params)
    return str(compiled) % {name: f"${name}" for name in parameters}, parameters
