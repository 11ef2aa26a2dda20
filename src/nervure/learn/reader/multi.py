"""Layout ``multi``: a file for each Thing, named after it, with a column for each signal."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nervure.core.declaration import Source
from nervure.learn.reader.long import join
from nervure.learn.reader.rows import Rows, names_of, numbers, read_arrow
from nervure.learn.reader.stamp import stamps

__all__ = ["read"]


def read(source: Source, paths: list[Path]) -> Rows:
    """Read every file; the Thing's name is the file's, without its ending."""
    parts = []
    for path in paths:
        table = read_arrow(path)
        named = names_of(source.columns, table.column_names, where=str(path))
        time = stamps(table, source.time, source.zone, where=str(path))
        value = np.stack([numbers(table, name, where=str(path)) for name in named], axis=1)
        thing = path.name.split(".")[0]
        parts.append(Rows.of_grid([f"{thing}/{signal}" for signal in named.values()], time, value))
    return join(parts)
