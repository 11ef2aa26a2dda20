"""Laying rows down: one sorted Parquet file of rows that lie in several, in bounded memory.

The files are sorted already, so they are read side by side, each once and a few thousand rows at a time.
What none of them can have more of is put in order and written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nervure.core.group import grouped
from nervure.store.column import COLUMNS, RARE
from nervure.store.failure import storing
from nervure.store.gone import NOTHING, Gone
from nervure.store.seal import GROUP_ROWS, WRITTEN
from nervure.store.shelf import Files

__all__ = ["lay"]

Longs = NDArray[np.int64]
Key = tuple[int, ...]

PART_ROWS = GROUP_ROWS
"""About how many rows are held and sorted at once."""

LEAST_ROWS = 4_096
"""Of each file so many are, however many files there are."""

_KEY = ("datastream", "time", "result_time")
_EVERYWHERE = {*COLUMNS.names} - {*RARE} | {"marks"}


def lay(files: Files, target: Path, *, gone: Gone = NOTHING) -> None:
    """Write the rows of files into ``target``, by Datastream, time and result time.

    Rows that are ``gone`` are left out, and columns in which none of the files has anything. Raises
    ``StoreError`` when the disk takes no more, or a file cannot be read.
    """
    had = _EVERYWHERE.union(*({*RARE} - {*lacking} for lacking in files.lacking))
    schema = pa.schema([one for one in COLUMNS if one.name in had])
    with storing("merge files", target.parent), ExitStack() as stack:
        sides = [stack.enter_context(closing(one)) for one in _sides(files, schema, gone)]
        writer = stack.enter_context(pq.ParquetWriter(target, schema, **WRITTEN))
        rest = schema.empty_table()
        while sides := [one for one in sides if one.waits()]:
            until = min((one.last for one in sides if one.last is not None), default=None)
            part = _ordered(pa.concat_tables([one.upto(until) for one in sides]).combine_chunks())
            rest = _put(writer, pa.concat_tables([rest, part]))
        writer.write_table(rest)


def _sides(files: Files, schema: pa.Schema, gone: Gone) -> Iterator[_Side]:
    rows = max(LEAST_ROWS, PART_ROWS // max(1, len(files)))
    for lacking, paths in files.lacking.items():
        there = [name for name in schema.names if name not in lacking]
        for path in paths:
            yield _Side(path, there, rows, schema, gone)


def _put(writer: pq.ParquetWriter, table: pa.Table) -> pa.Table:
    """Write whole row groups; return the rows that are left."""
    whole = len(table) // GROUP_ROWS * GROUP_ROWS
    if whole:
        writer.write_table(table.slice(0, whole), row_group_size=GROUP_ROWS)
    return table.slice(whole)


class _Side:
    """A sorted file, and those of its rows that were read and not written yet.

    ``last`` is the key of the last of them, if the file has more; what comes later does not lie before it.
    """

    def __init__(self, path: str, there: list[str], rows: int, schema: pa.Schema, gone: Gone) -> None:
        self.last: Key | None = None
        self._file = pq.ParquetFile(path)
        self._batches = self._file.iter_batches(rows, columns=there, use_threads=False)
        self._schema = schema
        self._gone = gone
        self._rows = schema.empty_table()
        self._key: tuple[Longs, ...] = ()
        self._left = self._file.metadata.num_rows

    def close(self) -> None:
        """Read no more."""
        self._file.close()

    def waits(self) -> bool:
        """Read on if all that was read is written; tell whether there is anything that is not."""
        while not len(self._rows) and self._left:
            batch = next(self._batches)
            self._left -= len(batch)
            self._rows = self._kept(batch)
            self._key = tuple(_whole(self._rows[name]) for name in _KEY)
            more = self._left > 0 and len(self._rows) > 0
            self.last = tuple(int(one[-1]) for one in self._key) if more else None
        return len(self._rows) > 0

    def upto(self, key: Key | None) -> pa.Table:
        """Take the rows up to and with a key, or all, which are written next."""
        count = len(self._rows)
        if key is not None and key != self.last:
            begin = 0
            for column, value in zip(self._key, key, strict=True):
                there = column[begin:count]
                count = begin + int(np.searchsorted(there, value, "right"))
                begin += int(np.searchsorted(there, value, "left"))
        found, self._rows = self._rows.slice(0, count), self._rows.slice(count)
        self._key = tuple(one[count:] for one in self._key)
        return found

    def _kept(self, batch: pa.RecordBatch) -> pa.Table:
        """Return rows that are not gone with all columns."""
        rows = pa.table({one.name: _column(batch, one) for one in self._schema}, self._schema)
        return rows.filter(pa.array(~self._gone.rows(rows))) if self._gone else rows


def _column(batch: pa.RecordBatch, field: pa.Field) -> pa.Array:
    """Return a column of some rows; where a file has none, nobody has marked anything, or said it."""
    if field.name in batch.schema.names:
        return batch.column(field.name).cast(field.type)
    return (
        pa.array(np.zeros(len(batch), np.int8)) if field.name == "marks" else pa.nulls(len(batch), field.type)
    )


def _ordered(rows: pa.Table) -> pa.Table:
    """Put in order rows that were so in each file; nearly always one file goes on where another ended."""
    stream, time, result_time = (_whole(rows[name]) for name in _KEY)
    groups = grouped(stream)
    if groups.rising(time):
        return rows if groups.same else rows.take(pa.array(groups.order))
    return rows.take(pa.array(np.lexsort((result_time, time, stream))))


def _whole(column: pa.ChunkedArray) -> Longs:
    whole: Longs = column.cast(pa.int64()).to_numpy()
    return whole
