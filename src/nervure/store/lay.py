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

PART_ROWS = 2 * GROUP_ROWS
"""About how many rows are held and sorted at once."""

LEAST_ROWS = 4_096
"""Of each file so many are, however many files there are."""

PART_BYTES = 256 << 20
"""Where there are texts, which may be long, no more rows are held than have about so many bytes."""

_TEXT_BYTES = 64 << 10  # a text has seldom more; of files with texts so many rows are read at a time
_WIDE = {"text", "extra"}
_BUFFER = 1 << 20

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
        rest, size = schema.empty_table(), 0
        while sides := [one for one in sides if one.waits()]:
            until = min((one.last for one in sides if one.last is not None), default=None)
            part = _ordered(pa.concat_tables([one.upto(until) for one in sides]).combine_chunks())
            size += part.nbytes
            rest = _put(writer, pa.concat_tables([rest, part]), all_=size > PART_BYTES)
            size = size if len(rest) > len(part) else rest.nbytes
        writer.write_table(rest)


def _sides(files: Files, schema: pa.Schema, gone: Gone) -> Iterator[_Side]:
    rows = max(LEAST_ROWS, PART_ROWS // max(1, len(files)))
    room = PART_BYTES // max(1, len(files))
    for lacking, paths in files.lacking.items():
        there = [name for name in schema.names if name not in lacking]
        for path in paths:
            yield _Side(path, there, (rows, room), schema, gone)


def _put(writer: pq.ParquetWriter, table: pa.Table, *, all_: bool) -> pa.Table:
    """Write whole row groups, or all; return the rows that are left."""
    whole = len(table) if all_ else len(table) // GROUP_ROWS * GROUP_ROWS
    if whole:
        writer.write_table(table.slice(0, whole), row_group_size=GROUP_ROWS)
    return table.slice(whole)


class _Side:
    """A sorted file, and those of its rows that were read and not written yet.

    ``last`` is the key of the last of them, if the file has more; what comes later does not lie before it.
    """

    def __init__(
        self, path: str, there: list[str], most: tuple[int, int], schema: pa.Schema, gone: Gone
    ) -> None:
        self.last: Key | None = None
        wide = not _WIDE.isdisjoint(there)
        self._most_rows, self._most_bytes = most
        self._file = pq.ParquetFile(path, buffer_size=_BUFFER if wide else 0)
        few = max(64, self._most_bytes // _TEXT_BYTES)
        step = min(few, self._most_rows) if wide else self._most_rows
        self._batches = self._file.iter_batches(step, columns=there, use_threads=False)
        self._schema = schema
        self._gone = gone
        self._rows = schema.empty_table()
        self._key: tuple[Longs, ...] = (np.empty(0, np.int64),) * len(_KEY)
        self._left = self._file.metadata.num_rows
        self._brought = 1  # so many rows came at the last reading

    def close(self) -> None:
        """Read no more."""
        self._file.close()

    def waits(self) -> bool:
        """Read on where little is left that is not written; tell whether there is anything that is not.

        All sides are filled up at once: if each were read on when its rows are all written, each would
        come to its end at another time, and whatever ends first bounds what all of them give.
        """
        while 2 * len(self._rows) < self._brought and self._left:
            more = self._kept(self._read())
            self._brought = len(more) or 1
            self._rows = pa.concat_tables([self._rows, more])
            fresh = (_whole(more[name]) for name in _KEY)
            self._key = tuple(map(np.concatenate, zip(self._key, fresh, strict=True)))
            there = self._left > 0 and len(self._rows) > 0
            self.last = tuple(int(one[-1]) for one in self._key) if there else None
        return len(self._rows) > 0

    def _read(self) -> pa.Table:
        """Read as many rows as are held at once."""
        batches = list[pa.RecordBatch]()
        count = size = 0
        while self._left and count < self._most_rows and size < self._most_bytes:
            batches.append(next(self._batches))
            self._left -= len(batches[-1])
            count, size = count + len(batches[-1]), size + batches[-1].nbytes
        return pa.Table.from_batches(batches)

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

    def _kept(self, read: pa.Table) -> pa.Table:
        """Return rows that are not gone with all columns."""
        rows = pa.table({one.name: _column(read, one) for one in self._schema}, self._schema)
        return rows.filter(pa.array(~self._gone.rows(rows))) if self._gone else rows


def _column(rows: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    """Return a column of some rows; where a file has none, nobody has marked anything, or said it."""
    if field.name in rows.schema.names:
        return rows.column(field.name).cast(field.type)
    return (
        pa.array(np.zeros(len(rows), np.int8)) if field.name == "marks" else pa.nulls(len(rows), field.type)
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
