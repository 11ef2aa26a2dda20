"""Sealing: readings become files of a day each, sorted as a file is, with what Delta says of them.

pyarrow writes them: Delta's own writer takes twice as long for rows that are sorted already.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from nervure.core.instant import from_ns
from nervure.core.observation import Batch
from nervure.store.column import COLUMNS, by_day, to_arrow
from nervure.store.delta import Fresh
from nervure.store.failure import storing

__all__ = ["GROUP_ROWS", "WRITTEN", "Place", "files", "told"]

Place = Callable[[int], Path]
"""Returns a fresh file for a day."""

GROUP_ROWS = 122_880
"""Rows of a group: DuckDB reads groups of this size side by side."""

_WHOLE = ("datastream", "time", "result_time", "id")
WRITTEN: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 3,
    "data_page_version": "2.0",
    "store_schema": False,
    "max_rows_per_page": GROUP_ROWS,
    "use_dictionary": [name for name in COLUMNS.names if name not in _WHOLE],
    "column_encoding": dict.fromkeys(_WHOLE, "DELTA_BINARY_PACKED"),
}
"""How every file is written: whole numbers that grow as differences, the rest by dictionary if it is less."""


def files(rows: Batch, place: Place, folder: Path) -> list[Fresh]:
    """Write rows, which are in order, into one file for each of their days, in the table of ``folder``."""
    with storing("store readings", folder):
        return [_file(place(day), day, some) for day, some in by_day(rows)]


def _file(target: Path, day: int, rows: Batch) -> Fresh:
    target.parent.mkdir(exist_ok=True)
    half = target.with_name(f"{target.name}#")  # what a crash leaves of it is swept away
    pq.write_table(to_arrow(rows), half, row_group_size=GROUP_ROWS, **WRITTEN)
    half.rename(target)
    return Fresh(path=target, day=day, statistics=_statistics(rows))


def _statistics(rows: Batch) -> str:
    """Return what Delta says of rows in the order of a file."""
    streams = int(rows.datastream[0]), int(rows.datastream[-1])
    return told(
        len(rows),
        streams,
        (int(rows.time.min()) // 1000, int(rows.time.max()) // 1000),
        (int(rows.id.min()), int(rows.id.max())),
    )


def told(rows: int, stream: tuple[int, int], us: tuple[int, int], id: tuple[int, int], bare: int = 0) -> str:
    """Return statistics as Delta writes them: the least and the most; ``bare`` rows have no marks."""
    low, high = ({"datastream": stream[edge], "time": _moment(us[edge]), "id": id[edge]} for edge in (0, 1))
    found = {"numRecords": rows, "minValues": low, "maxValues": high, "nullCount": {"marks": bare}}
    return msgspec.json.encode(found).decode()


def _moment(us: int) -> str:
    """Write an instant as Delta's statistics do: in whole milliseconds."""
    return from_ns(us * 1000).isoformat(timespec="milliseconds").replace("+00:00", "Z")
