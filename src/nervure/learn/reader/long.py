"""Layout ``long``: one file, a row for each time and Thing, a column for each signal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nervure.core.declaration import Source
from nervure.core.error import DeclarationError
from nervure.learn.reader.prepare import table_of
from nervure.learn.reader.rows import Rows, names_of, numbers
from nervure.learn.reader.stamp import stamps

__all__ = ["join", "read"]


def read(source: Source, paths: list[Path]) -> Rows:
    """Read the file; ``source.thing`` names the column of Things, ``columns`` map to signals.

    Each Thing's rows are dated on their own, so that a repeated hour is told per Thing.
    """
    if source.thing is None:
        raise DeclarationError("the layout 'long' needs the column of Things", where="$.data.thing")
    path = paths[0]
    table = table_of(source, paths)
    names = table.column(source.thing).cast(pa.string())
    named = names_of(source.columns, table.column_names, where=str(path))
    table = table.select([source.time, *named])  # what is not read need not be copied
    parts = []
    for one in pc.unique(names):
        thing = one.as_py()
        if thing in source.without:
            continue
        part = table.filter(pc.equal(names, one))  # a Python string here would load pandas: 40 MB
        time = stamps(part, source.time, source.zone, where=f"{path} {thing}")
        value = np.stack([numbers(part, name, where=f"{path} {thing}") for name in named], axis=1)
        parts.append(Rows.of_grid([f"{thing}/{signal}" for signal in named.values()], time, value))
    return join(parts)


def join(parts: list[Rows]) -> Rows:
    """Put rows of several readings behind each other; their streams are told apart by name.

    The list is emptied meanwhile, as else everything would be in memory twice.
    """
    streams = tuple(name for part in parts for name in part.streams)
    count = sum(len(part.time) for part in parts)
    column, time, value = np.empty(count, np.int32), np.empty(count, np.int64), np.empty(count)
    first = row = 0
    while parts:
        part = parts.pop(0)
        rows = slice(row, row + len(part.time))
        column[rows], time[rows], value[rows] = part.column + first, part.time, part.value
        first, row = first + len(part.streams), rows.stop
    return Rows(streams=streams, column=column, time=time, value=value)
