"""Merging: many small files of a day become one, sorted by Datastream, time and result time.

Each seal writes a small file a day. Merging keeps queries quick and the table's log short; no row
changes. Files that are large already are left alone.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from nervure.core.error import StoreError
from nervure.core.instant import from_ns
from nervure.store.column import NAMES
from nervure.store.engine import Engine
from nervure.store.shelf import Shelf

__all__ = ["SORTED", "merge", "mergeable", "statistics"]

SMALL_BYTES = 32 << 20
MANY = 8

SORTED = f"SELECT {NAMES} FROM {{observation}} ORDER BY datastream, time, result_time"  # noqa: S608
_CHECK = """
    SELECT count(*) AS n, min(datastream) AS low_stream, max(datastream) AS high_stream, min(id) AS low_id,
           max(id) AS high_id, min(epoch_us(time)) AS low_time, max(epoch_us(time)) AS high_time,
           count(*) - count(marks) AS bare
    FROM read_parquet($new)
"""


def mergeable(shelf: Shelf) -> list[list[int]]:
    """Return the groups of files to merge: a day with many small ones, or a past day with two.

    The newest two days still grow, so they wait until there are many.
    """
    found: list[list[int]] = []
    small = np.flatnonzero(shelf.size < SMALL_BYTES)
    if not len(small):
        return found
    newest = int(shelf.day.max())
    for day in np.unique(shelf.day[small]).tolist():
        files = small[shelf.day[small] == day].tolist()
        if len(files) >= MANY or (len(files) > 1 and day < newest - 1):
            found.append(files)
    return found


def merge(engine: Engine, shelf: Shelf, files: list[int], target: Path) -> str:
    """Write the rows of some files into one and check it; return its statistics as Delta writes them."""
    engine.copy(SORTED, shelf.files(files), target)
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
    low = {"datastream": check["low_stream"], "time": _moment(check["low_time"]), "id": check["low_id"]}
    high = {"datastream": check["high_stream"], "time": _moment(check["high_time"]), "id": check["high_id"]}
    found = {"numRecords": rows, "minValues": low, "maxValues": high, "nullCount": {"marks": check["bare"]}}
    return msgspec.json.encode(found).decode()


def _moment(us: int) -> str:
    """Write an instant as Delta's statistics do: in whole milliseconds."""
    return from_ns(us * 1000).isoformat(timespec="milliseconds").replace("+00:00", "Z")
