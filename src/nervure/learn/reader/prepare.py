"""From a source's files to one Arrow table: read as they are, or prepared first.

A preparation is a module with ``prepare(paths) -> pa.Table``: it turns files that no general
layout covers (no time stamps, sums since midnight, a file a kind of reading) into a wide or long
table, which then is read like any other.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pyarrow as pa

from nervure.core.declaration import Source
from nervure.core.error import DeclarationError
from nervure.learn.reader.rows import read_arrow

__all__ = ["table_of"]


def table_of(source: Source, paths: list[Path]) -> pa.Table:
    """Return the table of the source: its first file, or what its preparation makes of all.

    Raises ``DeclarationError`` where there is no such preparation.
    """
    if source.prepare is None:
        return read_arrow(paths[0])
    name = source.prepare if "." in source.prepare else f"nervure.learn.reader.{source.prepare}"
    try:
        prepare = importlib.import_module(name).prepare
    except (ModuleNotFoundError, AttributeError) as cause:
        raise DeclarationError(
            f"there is no preparation {source.prepare!r}",
            where="$.data.prepare",
            hint="name a module with a function prepare(paths)",
        ) from cause
    table: pa.Table = prepare(paths)
    return table
