"""Sealing: readings become files of a day each, sorted as a file is, with what Delta says of them.

pyarrow writes them: Delta's own writer takes twice as long for rows that are sorted already. They lie so
until they are merged (`nervure.store.lay`), so they are written by what costs least, not what is smallest:
without columns in which nothing is, without statistics that no question makes use of, and by LZ4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from nervure.core.instant import from_ns
from nervure.core.observation import Batch
from nervure.store.column import COLUMNS, RARE, by_day, slim
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
"""How a file that stays is written: whole numbers that grow as differences, others by dictionary if less."""

_PLAIN = ("datastream", "quality", "marks")  # runs of one number, which LZ4 finds sooner than a dictionary
_SEALED: dict[str, Any] = WRITTEN | {
    "compression": "lz4",
    "compression_level": None,
    "max_rows_per_page": 16_384,  # a merge holds a page of each column of some hundred files
    "use_dictionary": [name for name in COLUMNS.names if name not in {*_WHOLE, *_PLAIN}],
    "column_encoding": WRITTEN["column_encoding"] | dict.fromkeys(_PLAIN, "PLAIN"),
    "write_statistics": ["datastream", "time", "id", "value"],
}


def files(rows: Batch, place: Place, folder: Path) -> list[Fresh]:
    """Write rows, which are in order, into one file for each of their days, in the table of ``folder``."""
    with storing("store readings", folder):
        return [_file(place(day), day, some) for day, some in by_day(rows)]


def _file(target: Path, day: int, rows: Batch) -> Fresh:
    target.parent.mkdir(exist_ok=True)
    half = target.with_name(f"{target.name}#")  # what a crash leaves of it is swept away
    table = slim(rows)
    pq.write_table(table, half, row_group_size=GROUP_ROWS, **_SEALED)
    half.rename(target)
    lacking = [name for name in RARE if name not in table.column_names]
    return Fresh(path=target, day=day, statistics=_statistics(rows, lacking))


def _statistics(rows: Batch, lacking: Sequence[str]) -> str:
    """Return what Delta says of rows in the order of a file that lacks some columns."""
    streams = int(rows.datastream[0]), int(rows.datastream[-1])
    return told(
        len(rows),
        streams,
        (int(rows.time.min()) // 1000, int(rows.time.max()) // 1000),
        (int(rows.id.min()), int(rows.id.max())),
        nothing={"marks": 0} | dict.fromkeys(lacking, len(rows)),
    )


def told(
    rows: int,
    stream: tuple[int, int],
    us: tuple[int, int],
    id: tuple[int, int],
    nothing: Mapping[str, int],
) -> str:
    """Return statistics as Delta writes them: the least and the most, and how many rows have ``nothing``."""
    low, high = ({"datastream": stream[edge], "time": _moment(us[edge]), "id": id[edge]} for edge in (0, 1))
    found = {"numRecords": rows, "minValues": low, "maxValues": high, "nullCount": nothing}
    return msgspec.json.encode(found).decode()


def _moment(us: int) -> str:
    """Write an instant as Delta's statistics do: in whole milliseconds."""
    return from_ns(us * 1000).isoformat(timespec="milliseconds").replace("+00:00", "Z")
