"""Curves: plain columns of some Datastreams in a span of time, and how they fill a matrix of columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nervure.core.observation import Quality
from nervure.store.look import FEW, WITHIN, View, among, between

__all__ = ["Curve", "Goodness", "Summed", "curves", "matrix", "quality"]

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
Summed = Literal["mean", "min", "max", "last"]

_OF = {
    "mean": "avg(value)",
    "min": "min(value)",
    "max": "max(value)",
    "last": "arg_max(value, (time, id))",
}


_MANY = 8
"""With so many rows a cell it is DuckDB that sums them up."""


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """One Datastream's numbers by rising time ``[row]``, in microseconds since 1970.

    Of several rows of one instant the one that came last stays. ``low`` and ``high`` are NaN where
    there is no interval, and None where no row has one.
    """

    time: Longs
    value: Floats
    low: Floats | None = None
    high: Floats | None = None


def curves(view: View, ids: Sequence[int], start_ns: int, end_ns: int) -> dict[int, Curve]:
    """Return the curves of those Datastreams that have numbers in ``start <= time < end``."""
    if not len(ids):
        return {}
    found = view.ask(
        "SELECT datastream, epoch_us(time) AS time, epoch_us(result_time) AS came, value, low, high "  # noqa: S608
        f"FROM {{observation}} WHERE {among(ids)} AND {WITHIN} AND value IS NOT NULL ORDER BY datastream",
        between(start_ns, end_ns),
        ids=ids, start_ns=start_ns, end_ns=end_ns,
    )  # fmt: skip
    stream = found["datastream"].to_numpy()
    if not len(stream):
        return {}
    columns = {
        name: found[name].to_numpy(zero_copy_only=False) for name in ("time", "came", "value", "low", "high")
    }
    edges = np.flatnonzero(np.r_[True, stream[1:] != stream[:-1]])
    ends = np.r_[edges[1:], len(stream)]
    return {
        int(stream[start]): _curve({name: column[start:end] for name, column in columns.items()})
        for start, end in zip(edges.tolist(), ends.tolist(), strict=True)
    }


def _curve(part: dict[str, NDArray[np.generic]]) -> Curve:
    time, came = part["time"].astype(np.int64), part["came"].astype(np.int64)
    order: Longs | None = None
    if (np.diff(time) < 0).any():
        order = np.argsort(time, kind="stable")
    if order is None and len(time) > 1 and (np.diff(time) == 0).any():
        order = np.arange(len(time))
    if order is not None and (np.diff(time[order]) == 0).any():
        order = np.lexsort((came, time))
        last = np.r_[np.diff(time[order]) > 0, True]
        order = order[last]
    rows = slice(None) if order is None else order
    low, high = (np.asarray(part[name], dtype=np.float64)[rows] for name in ("low", "high"))
    there = bool(np.isfinite(low).any() or np.isfinite(high).any())
    return Curve(
        time=time[rows],
        value=np.asarray(part["value"], dtype=np.float64)[rows],
        low=low if there else None,
        high=high if there else None,
    )


def matrix(
    view: View,
    ids: Sequence[int],
    start_ns: int,
    end_ns: int,
    columns: int,
    summed: Summed,
    *,
    rows: float,
) -> NDArray[np.float32]:
    """Return what the numbers of each Datastream come to in each column ``[stream, column]``, NaN: nothing.

    The columns share ``start <= time < end`` evenly; ``ids`` rise. Of about ``rows`` rows DuckDB makes
    groups where they are many more than cells; else they are put into their cells as they are, which
    takes a third of the time.
    """
    wanted = np.asarray(ids, dtype=np.int64)
    cells = len(wanted) * columns
    if not cells:
        return np.full((len(wanted), columns), np.nan, dtype=np.float32)
    whole = len(wanted) == int(wanted[-1] - wanted[0]) + 1
    kept = f"datastream BETWEEN {wanted[0]} AND {wanted[-1]}" if whole or len(ids) > FEW else among(ids)
    grouped = rows > _MANY * cells
    large = "::HUGEINT" if (end_ns - start_ns) // 1000 * columns >= 1 << 63 else ""  # centuries, in columns
    value = f"{_OF[summed]}::FLOAT AS value" if grouped else "value::FLOAT AS value"
    found = view.ask(
        "SELECT datastream::INTEGER AS datastream, "  # noqa: S608 - whole numbers and constant text
        f"((epoch_us(time) - $start){large} * $columns // ($end - $start))::INTEGER AS place, {value}"
        f"{'' if grouped or summed != 'last' else ', epoch_us(time) AS time, id'} FROM {{observation}} "
        f"WHERE {kept} AND {WITHIN} AND value IS NOT NULL{' GROUP BY datastream, place' if grouped else ''}",
        {**between(start_ns, end_ns), "columns": columns},
        ids=ids, start_ns=start_ns, end_ns=end_ns,
    )  # fmt: skip
    if not grouped and summed == "last":
        found = found.take(np.lexsort((found["id"].to_numpy(), found["time"].to_numpy())))
    cell, values = _cells(found, wanted, columns, whole=whole)
    return _filled(cell, values, cells, summed).reshape(-1, columns)


class Goodness(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of the rows of each Datastream ``[stream]``: all, intervals with one, and of bad quality.

    ``gaps`` is how often nothing came for three intervals, ``longest_ns`` the longest time without a row.
    """

    rows: Longs
    slots: Longs
    late: Longs
    out_of_range: Longs
    stuck: Longs
    gaps: Longs
    longest_ns: Longs


def quality(view: View, ids: Sequence[int], every_ns: Sequence[int], start_ns: int, end_ns: int) -> Goodness:
    """Return how good what some Datastreams sent in a span is; ``ids`` rise, an interval of 0 is none."""
    names = Goodness.__struct_fields__
    found = {name: np.zeros(len(ids), dtype=np.int64) for name in names}
    if not len(ids):
        return Goodness(**found)
    wanted = np.asarray(ids, dtype=np.int64)
    every = np.maximum(np.asarray(every_ns, dtype=np.int64) // 1000, 0)
    kinds = {name: int(Quality[name.upper()]) for name in ("late", "out_of_range", "stuck")}
    counted = ", ".join(f"count(*) FILTER (quality = {code}) AS {name}" for name, code in kinds.items())
    table = view.ask(
        f"""
        WITH mine AS (
            SELECT o.datastream, epoch_us(time) AS moment, quality, keys.every
            FROM (SELECT * FROM {{observation}} WHERE {among(ids)} AND {WITHIN}) AS o
            JOIN keys ON o.datastream = keys.stream
        ), after AS (
            SELECT *, moment - lag(moment) OVER (PARTITION BY datastream ORDER BY moment) AS hole FROM mine
        )
        SELECT datastream, count(*) AS rows,
               count(DISTINCT CASE WHEN every > 0 THEN moment // every ELSE NULL END) AS slots, {counted},
               count(*) FILTER (every > 0 AND hole > 3 * every) AS gaps,
               coalesce(max(hole), 0) * 1000 AS longest_ns
        FROM after GROUP BY datastream
        """,  # noqa: S608 - whole numbers and constant text
        between(start_ns, end_ns),
        keys=pa.table({"stream": wanted, "every": every}),
        ids=ids, start_ns=start_ns, end_ns=end_ns,
    )  # fmt: skip
    place = np.searchsorted(wanted, table["datastream"].to_numpy())
    for name in names:
        found[name][place] = table[name].to_numpy()
    return Goodness(**found)


def _cells(found: pa.Table, wanted: Longs, columns: int, *, whole: bool) -> tuple[Longs, NDArray[np.float32]]:
    """Return the cell of each row that is of a Datastream wanted, and its value."""
    stream = found["datastream"].to_numpy()
    place, values = found["place"].to_numpy(), found["value"].to_numpy()
    if whole:
        return (stream - wanted[0]) * columns + place, values
    row = np.full(int(wanted[-1] - wanted[0]) + 1, -1, dtype=np.int64)
    row[wanted - wanted[0]] = np.arange(len(wanted))
    row = row[stream - wanted[0]]
    mine = row >= 0
    return (row * columns + place)[mine], values[mine]


def _filled(cell: Longs, values: NDArray[np.float32], cells: int, summed: Summed) -> NDArray[np.float32]:
    """Put values into cells; where one cell gets several they are summed up."""
    found = np.full(cells, np.nan, dtype=np.float32)
    found[cell] = values  # of several the last stays
    if summed == "last" or int((~np.isnan(found)).sum()) == len(cell):
        return found
    if summed == "mean":
        with np.errstate(invalid="ignore"):
            mean = np.bincount(cell, values, cells) / np.bincount(cell, minlength=cells)
        return mean.astype(np.float32)
    (np.fmin if summed == "min" else np.fmax).at(found, cell, values)
    return found
