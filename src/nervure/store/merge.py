"""Merging: many small files of a day become one, sorted by Datastream, time and result time.

Each seal writes a small file a day. Merging keeps queries quick and the table's log short; no row
changes. A file is merged only with others that hold as much as itself together (on a past day
half of that), so that what is there already is not written again with each seal that comes: a row
is written as often as its file doubles until it is large, some nine times.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nervure.core.error import StoreError
from nervure.store.column import RARE
from nervure.store.engine import Engine
from nervure.store.lay import lay
from nervure.store.seal import told
from nervure.store.shelf import Shelf

__all__ = ["merge", "mergeable", "statistics"]

SMALL_BYTES, SMALL_ROWS = 32 << 20, 4_000_000
"""A file that holds less than both is small."""

MANY = 8
MOST = 256
"""So many files are read side by side at most; what is left waits for the next time."""

_SHARE = 2
"""Of a past day a file may hold so many times as much as those that it is merged with."""

Longs = NDArray[np.int64]

_CHECK = """
    SELECT count(*) AS n, min(datastream) AS low_stream, max(datastream) AS high_stream, min(id) AS low_id,
           max(id) AS high_id, min(epoch_us(time)) AS low_time, max(epoch_us(time)) AS high_time,
           count(*) - count(marks) AS bare
    FROM read_parquet($new)
"""


def mergeable(shelf: Shelf) -> list[list[int]]:
    """Return the groups of files to merge: a day with many small ones, or a past day with two.

    The newest two days still grow, so they wait until there are many. A past day may grow, too: readings
    come late, and where one is of a day to come all others are past.
    """
    found: list[list[int]] = []
    small = np.flatnonzero((shelf.size < SMALL_BYTES) & (shelf.rows < SMALL_ROWS))
    if not len(small):
        return found
    newest = int(shelf.day.max())
    for day in np.unique(shelf.day[small]).tolist():
        files = small[shelf.day[small] == day]
        files = files[np.argsort(shelf.rows[files], kind="stable")][:MOST]
        past = day < newest - 1
        files = files[: _alike(shelf.rows[files], _SHARE if past else 1)]
        if len(files) >= (2 if past else MANY):
            found.append(files.tolist())
    return found


def _alike(rows: Longs, share: int) -> int:
    """Return how many of some files, from the smallest on, each ``share`` times those before it at most."""
    before = np.cumsum(rows) - rows
    worth = np.flatnonzero(rows <= share * before)
    return int(worth[-1]) + 1 if len(worth) else 0


def merge(engine: Engine, shelf: Shelf, files: list[int], target: Path) -> str:
    """Write the rows of some files into one and check it; return its statistics as Delta writes them."""
    earliest_first = sorted(files, key=lambda file: int(shelf.low_time[file]))
    lay(shelf.files(earliest_first), target)
    return statistics(engine, target, int(shelf.rows[files].sum()))


def statistics(engine: Engine, target: Path, rows: int) -> str:
    """Check how many rows were written into a file; return its statistics as Delta writes them."""
    check = engine.ask(_CHECK, {"new": [str(target)]}).to_pylist()[0]
    if check["n"] != rows:
        raise StoreError(
            f"writing {target.name} gave {check['n']} rows instead of {rows}",
            where=str(target.parent),
            hint="the files stay as they are; look for errors of this disk in the system's log",
        )
    stream, time, identity = (
        (check[f"low_{name}"], check[f"high_{name}"]) for name in ("stream", "time", "id")
    )
    lacking = {*RARE} - {*pq.read_schema(target).names}
    return told(rows, stream, time, identity, nothing={"marks": check["bare"]} | dict.fromkeys(lacking, rows))
