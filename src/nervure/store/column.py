"""Columns: how a Batch lies in Arrow and in the files of the Delta table.

Instants are whole microseconds there (Delta knows no finer ones), so they are cut to microseconds
before they are compared or kept. A result that is no number has a null ``value`` and its JSON text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nervure.core.columnar import only, some
from nervure.core.group import grouped
from nervure.core.instant import DAY_NS
from nervure.core.observation import NO_END, Batch

__all__ = [
    "COLUMNS",
    "LATER",
    "NAMES",
    "RARE",
    "SCHEMA",
    "by_day",
    "from_arrow",
    "in_order",
    "names",
    "slim",
    "to_arrow",
    "whole_microseconds",
]

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
        ("end_time", _INSTANT),
        ("feature", pa.int64()),
        ("marks", pa.int8()),
        ("extra", pa.string()),
    ]
)
"""What lies in a file."""

LATER = ("end_time", "feature", "marks", "extra")
"""Columns that files of older versions do not have."""

RARE: dict[str, str] = {
    "low": "NULL::DOUBLE",
    "high": "NULL::DOUBLE",
    "text": "NULL::VARCHAR",
    "end_time": "NULL::TIMESTAMPTZ",
    "feature": "NULL::BIGINT",
    "marks": "0::TINYINT",
    "extra": "NULL::VARCHAR",
}
"""Columns that a file need not have, and what SQL reads in their place."""

SCHEMA: pa.Schema = COLUMNS.insert(0, pa.field("day", pa.date32()))
"""The table: the UTC day of ``time`` is its partition."""

NAMES = ", ".join(COLUMNS.names)
"""The columns of a row, as SQL lists them."""


def names(lacking: Sequence[str]) -> str:
    """List the columns of a row, as SQL reads them from files that lack some.

    >>> names(["low", "high", "text", "feature", "extra"])[:58]
    'datastream, time, result_time, id, value, NULL::DOUBLE AS '
    """
    return ", ".join(f"{RARE[name]} AS {name}" if name in lacking else name for name in COLUMNS.names)


def whole_microseconds(batch: Batch) -> Batch:
    """Cut the instants of a Batch to what the table can keep.

    >>> whole_microseconds(Batch.of(id=[1], datastream=[1], time=[1_999], value=[0.0])).time.tolist()
    [1000]
    """
    changes: dict[str, Any] = {}
    for name in ("time", "result_time", "end_time"):
        column = getattr(batch, name)
        if column is None:
            continue
        if name == "result_time" and column is batch.time:
            if "time" in changes:
                changes[name] = changes["time"]
            continue
        rest = column % 1000
        if name == "end_time":
            rest[column == NO_END] = 0
        if some(rest != 0):
            changes[name] = column - rest
    return msgspec.structs.replace(batch, **changes) if changes else batch


def in_order(batch: Batch) -> Batch:
    """Sort a Batch as a file is sorted: by Datastream, time, result time."""
    groups = grouped(batch.datastream)
    if groups.rising(batch.time):  # nearly always: what a device sends is in order
        return batch if groups.same else batch.take(groups.order)
    return batch.take(np.lexsort((batch.result_time, batch.time, batch.datastream)))


def by_day(batch: Batch) -> list[tuple[int, Batch]]:
    """Take a Batch apart by the UTC day of its times; the rows of a day stay in their order."""
    if not len(batch):
        return []
    first = int(batch.time.min()) // DAY_NS
    if int(batch.time.max()) // DAY_NS == first:
        return [(first, batch)]
    groups = grouped(batch.time // DAY_NS)
    days = (batch.time[groups.order[groups.starts]] // DAY_NS).tolist()
    return list(zip(days, map(batch.take, np.split(groups.order, groups.starts[1:])), strict=True))


def to_arrow(batch: Batch) -> pa.Table:
    """Lay a Batch out as Arrow."""
    found = _columns(batch)
    columns = [pa.nulls(len(batch), one.type) if (had := found[one.name]) is None else had for one in COLUMNS]
    return pa.Table.from_arrays(columns, schema=COLUMNS)


def slim(batch: Batch) -> pa.Table:
    """Lay a Batch out as Arrow without the columns in which nothing is; of others say if all rows have some.

    In a file a column costs the same whether it is empty or not, and so does a note of what each row has.

    >>> slim(Batch.of(id=[1], datastream=[7], time=[0], value=[1.5])).column_names
    ['datastream', 'time', 'result_time', 'id', 'value', 'quality', 'marks']
    """
    found = {name: column for name, column in _columns(batch).items() if column is not None}
    found.setdefault("value", pa.nulls(len(batch), pa.float64()))
    fields = [one.with_nullable(found[one.name].null_count > 0) for one in COLUMNS if one.name in found]
    return pa.Table.from_arrays([found[one.name] for one in fields], schema=pa.schema(fields))


def _columns(batch: Batch) -> dict[str, pa.Array | None]:
    """Lay out every column in which there is something."""
    time = _instants(batch.time)
    end_time = _some(batch.end_time, NO_END)
    return {
        "datastream": pa.array(batch.datastream),
        "time": time,
        "result_time": time if batch.result_time is batch.time else _instants(batch.result_time),
        "id": pa.array(batch.id),
        "value": _numbers(batch.value),
        "low": _numbers(batch.low),
        "high": _numbers(batch.high),
        "quality": pa.array(np.ascontiguousarray(batch.quality)),
        "text": _words(batch.text),
        "end_time": None if end_time is None else end_time.view(_INSTANT),
        "feature": _some(batch.feature, 0),
        "marks": pa.array(
            np.zeros(len(batch), np.int8) if batch.marks is None else np.ascontiguousarray(batch.marks)
        ),
        "extra": _words(batch.extra),
    }


def from_arrow(table: pa.Table) -> Batch:
    """Read a Batch from a table with the columns of :data:`COLUMNS`."""
    end_time, feature, marks = table["end_time"], table["feature"], table["marks"].to_numpy()
    return Batch(
        id=_integers(table["id"]),
        datastream=_integers(table["datastream"]),
        time=_integers(table["time"]) * 1000,
        result_time=_integers(table["result_time"]) * 1000,
        value=_floats(table["value"]),
        low=_floats(table["low"]),
        high=_floats(table["high"]),
        quality=table["quality"].to_numpy().astype(np.int8),
        text=_listed(table["text"]),
        end_time=None if _empty(end_time) else _whole(end_time, NO_END, 1000),
        feature=None if _empty(feature) else _whole(feature, 0, 1),
        marks=marks.astype(np.int8) if marks.any() else None,
        extra=_listed(table["extra"]),
    )


def _instants(ns: NDArray[np.int64]) -> pa.Array:
    return pa.array(ns // 1000).view(_INSTANT)


def _numbers(values: NDArray[np.float64]) -> pa.Array | None:
    """NaN means that there is no number: null in the table."""
    if (value := only(values)) is not None and np.isnan(value):
        return None
    values = np.ascontiguousarray(values)
    missing = np.isnan(values)
    if missing.all():
        return None
    return pa.array(values, mask=missing) if missing.any() else pa.array(values)


def _some(values: NDArray[np.int64] | None, nothing: int) -> pa.Array | None:
    """Whole numbers that a row may lack; instants in microseconds."""
    if values is None:
        return None
    values = np.ascontiguousarray(values)
    missing = values == nothing
    if missing.all():
        return None
    return pa.array(values // 1000 if nothing == NO_END else values, pa.int64(), mask=missing)


def _words(texts: Any) -> pa.Array | None:
    if texts is None:
        return None
    words = pa.array(texts, pa.string())
    return words if words.null_count < len(words) else None


def _empty(column: Any) -> bool:
    return bool(column.null_count == len(column))


def _listed(column: Any) -> list[str | None] | None:
    return None if _empty(column) else column.to_pylist()


def _whole(column: Any, nothing: int, scale: int) -> NDArray[np.int64]:
    there = column.is_valid().to_numpy()
    numbers = column.cast(pa.int64()).fill_null(0).to_numpy() * scale
    whole: NDArray[np.int64] = np.where(there, numbers, nothing)
    return whole


def _integers(column: Any) -> NDArray[np.int64]:
    whole: NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return whole


def _floats(column: Any) -> NDArray[np.float64]:
    """Null becomes NaN."""
    if column.null_count == len(column):
        return np.full(len(column), np.nan)
    numbers: NDArray[np.float64] = column.to_numpy()
    return numbers
