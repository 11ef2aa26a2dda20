"""Columns: how a Batch lies in Arrow and in the files of the Delta table.

Instants are whole microseconds there (Delta knows no finer ones), so they are cut to microseconds
before they are compared or kept. A result that is no number has a null ``value`` and its JSON text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nervure.core.instant import DAY_NS
from nervure.core.observation import Batch

__all__ = ["COLUMNS", "NAMES", "SCHEMA", "from_arrow", "in_order", "to_arrow", "whole_microseconds"]

_INSTANT = pa.timestamp("us", "UTC")

COLUMNS: pa.Schema = pa.schema(
    [
        ("datastream", pa.int64()),
        ("time", _INSTANT),
        ("result_time", _INSTANT),
        ("id", pa.int64()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("quality", pa.int8()),
        ("text", pa.string()),
    ]
)
"""What lies in a file."""

SCHEMA: pa.Schema = COLUMNS.insert(0, pa.field("day", pa.date32()))
"""The table: the UTC day of ``time`` is its partition."""

NAMES = ", ".join(COLUMNS.names)
"""The columns of a file, as SQL lists them."""


def whole_microseconds(batch: Batch) -> Batch:
    """Cut the instants of a Batch to what the table can keep.

    >>> whole_microseconds(Batch.of(id=[1], datastream=[1], time=[1_999], value=[0.0])).time.tolist()
    [1000]
    """
    rest, result_rest = batch.time % 1000, batch.result_time % 1000
    if not rest.any() and not result_rest.any():
        return batch
    return Batch(
        id=batch.id,
        datastream=batch.datastream,
        time=batch.time - rest,
        result_time=batch.result_time - result_rest,
        value=batch.value,
        low=batch.low,
        high=batch.high,
        quality=batch.quality,
        text=batch.text,
    )


def in_order(batch: Batch) -> Batch:
    """Sort a Batch as the files are sorted: by day, Datastream, time, result time."""
    day = batch.time // DAY_NS
    return batch.take(np.lexsort((batch.result_time, batch.time, batch.datastream, day)))


def to_arrow(batch: Batch, *, day: bool = False) -> pa.Table:
    """Lay a Batch out as Arrow, with the partition's ``day`` in front if asked for."""
    columns = [
        pa.array(batch.datastream),
        _instants(batch.time),
        _instants(batch.result_time),
        pa.array(batch.id),
        _numbers(batch.value),
        _numbers(batch.low),
        _numbers(batch.high),
        pa.array(batch.quality),
        pa.nulls(len(batch), pa.string()) if batch.text is None else pa.array(batch.text, pa.string()),
    ]
    if not day:
        return pa.Table.from_arrays(columns, schema=COLUMNS)
    days = pa.array((batch.time // DAY_NS).astype(np.int32)).view(pa.date32())
    return pa.Table.from_arrays([days, *columns], schema=SCHEMA)


def from_arrow(table: pa.Table) -> Batch:
    """Read a Batch from a table with the columns of :data:`COLUMNS`."""
    text = table["text"]
    return Batch(
        id=_integers(table["id"]),
        datastream=_integers(table["datastream"]),
        time=_integers(table["time"]) * 1000,
        result_time=_integers(table["result_time"]) * 1000,
        value=_floats(table["value"]),
        low=_floats(table["low"]),
        high=_floats(table["high"]),
        quality=table["quality"].to_numpy().astype(np.int8),
        text=None if text.null_count == len(text) else text.to_pylist(),
    )


def _instants(ns: NDArray[np.int64]) -> pa.Array:
    return pa.array(ns // 1000).view(_INSTANT)


def _numbers(values: NDArray[np.float64]) -> pa.Array:
    """NaN means that there is no number: null in the table."""
    missing = np.isnan(values)
    if missing.all():
        return pa.nulls(len(values), pa.float64())
    return pa.array(values, mask=missing) if missing.any() else pa.array(values)


def _integers(column: Any) -> NDArray[np.int64]:
    whole: NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return whole


def _floats(column: Any) -> NDArray[np.float64]:
    """Null becomes NaN."""
    if column.null_count == len(column):
        return np.full(len(column), np.nan)
    numbers: NDArray[np.float64] = column.to_numpy()
    return numbers
