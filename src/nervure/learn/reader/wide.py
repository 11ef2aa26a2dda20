"""Layout ``wide``: one file, a time column, and a column for each stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nervure.core.declaration import Source
from nervure.learn.reader.rows import Rows, names_of, numbers, read_arrow
from nervure.learn.reader.stamp import stamps

__all__ = ["read"]


def read(source: Source, paths: list[Path]) -> Rows:
    """Read the file; ``source.columns`` maps patterns of column names to ``Thing/signal``."""
    path = paths[0]
    table = read_arrow(path)
    where = str(path)
    others = [name for name in table.column_names if name != source.time]
    named = names_of(source.columns, others, where=where)
    time = stamps(table, source.time, source.zone, where=where)
    value = np.stack([numbers(table, name, where=where) for name in named], axis=1)
    return Rows.of_grid(list(named.values()), time, value)
