"""The rows of ``nervure bench store``: a city's sensors, one reading a minute each, as they would arrive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from nervure.core.instant import DAY_NS
from nervure.core.observation import Batch, observation_id

__all__ = ["BATCH", "COMMIT", "MINUTE_NS", "SENSORS", "SLOT_NS", "Part", "instant_of", "part", "parts"]

SENSORS = 1_000
MINUTE_NS = 60_000_000_000
SLOT_NS = 15 * MINUTE_NS
BATCH = 4_096
"""So many rows come at once."""
COMMIT = 200_000
"""So many rows at least are in a commit: what the node holds before it seals."""

_START_NS = 19_675 * DAY_NS
_SEED = 6


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Rows from number ``first`` on: as a Batch, and as the Arrow table that the peers are given.

    The table has the columns that a plain reading fills, and its day.
    """

    first: int
    rows: Batch
    table: pa.Table

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self) -> Iterator[tuple[Batch, int]]:
        """Yield the rows as they come from the log, each batch with its last position; none is copied."""
        columns: dict[str, Any] = {name: getattr(self.rows, name) for name in self.rows.__struct_fields__}
        for start in range(0, len(self), BATCH):
            end = min(start + BATCH, len(self))
            some: dict[str, Any] = {
                name: None if column is None else column[start:end] for name, column in columns.items()
            }
            yield Batch(**some), self.first + end

    def commits(self) -> Iterator[pa.Table]:
        """Yield the table in as many rows as belong in a commit."""
        for start in range(0, len(self), COMMIT):
            yield self.table.slice(start, COMMIT)


def instant_of(row: int) -> int:
    """Return the time of a row, in nanoseconds; a thousand rows have the same."""
    return _START_NS + row // SENSORS * MINUTE_NS


def part(first: int, count: int) -> Part:
    """Make rows: each sensor has a level, swings with the day and is noisy, to two decimals."""
    number = np.arange(first, first + count)
    sensor, minute = number % SENSORS, number // SENSORS
    level = np.random.default_rng(_SEED).normal(20, 5, SENSORS)
    noise = np.random.default_rng([_SEED, first]).normal(0, 0.3, count)
    time = _START_NS + minute * MINUTE_NS
    rows = Batch.of(
        id=observation_id(1) * (number + 1),
        datastream=sensor + 1,
        time=time,
        value=np.round(level[sensor] + 3 * np.sin(2 * np.pi * minute / 1440) + noise, 2),
    )
    instants = pa.array(time // 1000).view(pa.timestamp("us", "UTC"))
    columns = {
        "datastream": rows.datastream,
        "time": instants,
        "result_time": instants,
        "id": rows.id,
        "value": rows.value,
        "quality": rows.quality,
        "day": pa.array((time // DAY_NS).astype(np.int32)).view(pa.date32()),
    }
    return Part(first=first, rows=rows, table=pa.table(columns))


def parts(first: int, count: int, size: int) -> Iterator[Part]:
    """Yield ``count`` rows from a number on, in parts of ``size``."""
    for start in range(first, first + count, size):
        yield part(start, min(size, first + count - start))
