"""Layout ``wide``: one file, a time column, and a column for each stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nervure.core.declaration import Source
from nervure.learn.reader.prepare import table_of
from nervure.learn.reader.rows import Rows, names_of, numbers
from nervure.learn.reader.stamp import stamps

__all__ = ["read"]


def read(source: Source, paths: list[Path]) -> Rows:
    """Read the file; ``source.columns`` maps patterns of column names to ``Thing/signal``."""
    table = table_of(source, paths)
    where = str(paths[0])
    others = [name for name in table.column_names if name != source.time]
    named = names_of(source.columns, others, where=where)
    named = {name: to for name, to in named.items() if to.rpartition("/")[0] not in source.without}
    time = stamps(table, source.time, source.zone, where=where)
    value = np.stack([numbers(table, name, where=where) for name in named], axis=1)
    return Rows.of_grid(list(named.values()), time, value)
