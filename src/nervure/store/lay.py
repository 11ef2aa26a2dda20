"""Laying rows down: one sorted Parquet file of rows that lie in several, in bounded memory.

Sorting some million rows at once takes some hundred bytes for each of them, which is more than a node
may use in all. The files are sorted by Datastream already, so the rows of a few Datastreams are found
without reading the rest: they are taken, sorted and written part by part, those of a Datastream that
has very many by time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nervure.core.instant import from_ns
from nervure.store.column import COLUMNS, NAMES
from nervure.store.engine import Engine
from nervure.store.failure import storing
from nervure.store.gone import NOTHING, Gone
from nervure.store.seal import GROUP_ROWS, WRITTEN
from nervure.store.shelf import Files

__all__ = ["lay"]

Longs = NDArray[np.int64]

PART_ROWS = GROUP_ROWS
"""About how many rows are sorted at once."""

_SPANS = """
    SELECT datastream, count(*) AS rows, min(epoch_us(time)) AS first, max(epoch_us(time)) AS last
    FROM {observation} GROUP BY datastream ORDER BY datastream
"""
_PART = f"""
    SELECT {NAMES} FROM {{observation}}
    WHERE datastream BETWEEN $low AND $high AND time >= $start AND time < $end
    ORDER BY datastream, time, result_time
"""  # noqa: S608
_LIMIT_S = 600.0


def lay(
    engine: Engine, files: Files, target: Path, *, memory: Sequence[pa.Table] = (), gone: Gone = NOTHING
) -> None:
    """Write the rows of files and tables into ``target``, by Datastream, time and result time.

    Rows of files that are ``gone`` are left out. Raises ``StoreError`` when the disk takes no more.
    """
    found = engine.rows(_SPANS, files, memory, gone=gone, limit_s=_LIMIT_S)
    with storing("merge files", target.parent), pq.ParquetWriter(target, COLUMNS, **WRITTEN) as writer:
        rest = COLUMNS.empty_table()
        for span in _spans(*(found[name].to_numpy() for name in found.column_names)):
            part = engine.rows(_PART, files, memory, span, gone=gone, limit_s=_LIMIT_S).cast(COLUMNS)
            rest = _put(writer, pa.concat_tables([rest, part]))
        writer.write_table(rest)


def _put(writer: pq.ParquetWriter, table: pa.Table) -> pa.Table:
    """Write whole row groups; return the rows that are left."""
    whole = len(table) // GROUP_ROWS * GROUP_ROWS
    if whole:
        writer.write_table(table.slice(0, whole), row_group_size=GROUP_ROWS)
    return table.slice(whole)


def _spans(stream: Longs, rows: Longs, first: Longs, last: Longs) -> Iterator[dict[str, Any]]:
    """Yield what bounds each part: many Datastreams, or a while of one that has many rows."""
    part, large = (np.cumsum(rows) - 1) // PART_ROWS, rows > PART_ROWS
    starts = np.flatnonzero((np.diff(part, prepend=-1) > 0) | large | np.roll(large, 1))
    for start, end in zip(starts, np.append(starts, len(stream))[1:], strict=True):
        low, high = int(first[start:end].min()), int(last[start:end].max()) + 1
        count = -(-int(rows[start:end].sum()) // (2 * PART_ROWS)) if end - start == 1 else 1
        cuts = [low + (high - low) * cut // count for cut in range(count + 1)]  # exact, whatever the instant
        for begin, until in pairwise(cuts):
            yield {
                "low": int(stream[start]),
                "high": int(stream[end - 1]),
                "start": from_ns(begin * 1000),
                "end": from_ns(until * 1000),
            }
