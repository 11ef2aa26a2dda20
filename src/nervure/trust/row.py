"""Rows of the access tables as frozen structs, and the few steps that every table needs."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from nervure.core.error import ConflictError, NotFoundError

__all__ = ["add", "one", "rows"]

Row = TypeVar("Row", bound=msgspec.Struct)


def rows(connection: sa.Connection, kind: type[Row], query: sa.Select[Any]) -> list[Row]:
    """Return what a query finds."""
    result = connection.execute(query)
    names = [str(name) for name in list(result.keys())]  # msgspec wants plain text
    return [msgspec.convert(dict(zip(names, row, strict=True)), kind) for row in result]


def one(connection: sa.Connection, kind: type[Row], query: sa.Select[Any], what: str) -> Row:
    """Return the one row that a query finds, or raise ``NotFoundError``."""
    found = rows(connection, kind, query)
    if not found:
        raise NotFoundError(f"there is no {what}")
    return found[0]


def add(connection: sa.Connection, table: sa.Table, values: dict[str, Any], what: str) -> int:
    """Add a row and return its key; ``ConflictError`` if there is one like it."""
    try:
        with connection.begin_nested():
            key = connection.execute(sa.insert(table).values(values)).inserted_primary_key
    except sa.exc.IntegrityError as cause:
        raise ConflictError(f"there is a {what} already", hint="choose another name") from cause
    return int(key[0]) if key and isinstance(key[0], int) else 0
