"""Local time stamps into true UTC, with the hours that clocks repeat and skip."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS, SECOND_NS, iso
from nervure.learn.reader.rows import as_numpy

__all__ = ["stamps", "to_utc"]

Longs = NDArray[np.int64]


def to_utc(local: Longs, zone: str, *, where: str) -> Longs:
    """Turn local stamps (nanoseconds as if UTC, ``[row]``, in the order of one file) into UTC.

    In the hour that comes twice in autumn, the first row of a stamp is summer time and the second
    winter time; a stamp that is there once is taken as summer time. A stamp in the hour that
    spring skips never was: ``DataError``. Clocks change on whole hours.

    >>> hour = lambda text: np.datetime64(text, "ns").astype(np.int64)
    >>> twice = np.array([hour("2021-10-31T02"), hour("2021-10-31T02"), hour("2021-10-31T03")])
    >>> [iso(time) for time in to_utc(twice, "Europe/Rome", where="doc")]
    ['2021-10-31T00:00:00Z', '2021-10-31T01:00:00Z', '2021-10-31T02:00:00Z']
    """
    hours, place = np.unique(local // HOUR_NS, return_inverse=True)
    offsets = np.array([_offsets(zone, int(hour)) for hour in hours], dtype=np.int64).reshape(-1, 2)
    first, second = offsets[place, 0], offsets[place, 1]
    skipped = np.flatnonzero(first < second)
    if len(skipped):
        text = iso(int(local[skipped[0]])).rstrip("Z")
        raise DataError(
            f"{text} never was in {zone}: clocks skipped that hour ({len(skipped)} rows)",
            where=where,
            hint="declare the zone the stamps are really in, perhaps UTC",
        )
    times: Longs = local - np.where(_again(local) & (first > second), second, first)
    return times


def _again(local: Longs) -> NDArray[np.bool_]:
    """Tell which rows repeat a stamp that an earlier row has."""
    order = np.argsort(local, kind="stable")
    ranked = local[order]
    again = np.zeros(len(local), dtype=bool)
    again[order[1:]] = ranked[1:] == ranked[:-1]
    return again


@lru_cache(maxsize=1 << 16)
def _offsets(zone: str, hour: int) -> tuple[int, int]:
    """Return the offset from UTC of a local hour, at its first and at its second coming."""
    moment = datetime(1970, 1, 1) + timedelta(hours=hour)  # noqa: DTZ001  local by intent
    both = [moment.replace(tzinfo=ZoneInfo(zone), fold=fold).utcoffset() or timedelta() for fold in (0, 1)]
    return int(both[0].total_seconds()) * SECOND_NS, int(both[1].total_seconds()) * SECOND_NS


def stamps(table: pa.Table, name: str, zone: str, *, where: str) -> Longs:
    """Return a table's time column as UTC nanoseconds; naive stamps are local to ``zone``."""
    if name not in table.column_names:
        raise DataError(
            f"there is no time column {name!r}",
            where=where,
            hint=f"there are: {', '.join(table.column_names[:20])}",
        )
    column = table.column(name)
    if column.null_count:
        raise DataError(f"{column.null_count} rows have no time stamp", where=where)
    try:
        aware = pa.types.is_timestamp(column.type) and column.type.tz is not None
        unit = pa.timestamp("ns", "UTC" if aware else None)
        times: Longs = as_numpy(column.cast(unit).cast(pa.int64()).combine_chunks())
    except pa.ArrowInvalid as cause:
        raise DataError(f"column {name!r} holds no time stamps: {cause}", where=where) from cause
    return times if aware or zone == "UTC" else to_utc(times, zone, where=where)
