"""Files of readings, CSV or Parquet, long or wide, as packs for the log: how history comes in bulk.

A long file has columns ``unique_id``, ``ds`` and ``y`` (the frame that forecasting libraries use);
a wide one has a time column and a column for each Datastream. Empty cells are gaps.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import iso
from nervure.sense.gateway import Publish, Resolve
from nervure.stream.subject import reading_subject

__all__ = ["Loaded", "Series", "load", "packs", "read"]

Layout = Literal["auto", "long", "wide"]

POINTS = 8192
"""Readings in one pack: below a quarter of a megabyte, however many digits they have."""

_IN_FLIGHT = 64
_TIMES = ("ds", "time", "timestamp", "phenomenontime", "datetime", "date")
_NAMES = ("unique_id", "datastream", "stream", "sensor", "thing")
_VALUES = ("y", "value", "result")
_NULLS = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-"]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The readings of one Datastream by time: ``time [row]`` in ns since 1970, ``value [row]``."""

    datastream: int
    name: str
    time: NDArray[np.int64]
    value: NDArray[np.float64]


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a file: how many Datastreams, readings and messages, and the last one's sequence."""

    streams: int
    readings: int
    messages: int
    sequence: int


def read(
    path: Path, resolve: Resolve, *, layout: Layout = "auto", time: str = "", zone: str = "UTC"
) -> list[Series]:
    """Read a file; ``DataError`` names the column and the row of the first thing that is wrong.

    ``time`` names the time column where its name is unusual; times without a zone are local times
    of ``zone``. ``resolve`` finds a Datastream's id by the name the file gives it.
    """
    table = _open(path)
    columns = {name.lower(): name for name in table.column_names}
    when = time or _one_of(columns, _TIMES) or ""
    if when not in table.column_names:
        raise DataError(
            f"{path.name} has no column of times" if not time else f"{path.name} has no column {time!r}",
            where=str(path),
            hint=f"its columns are {', '.join(table.column_names)}; name the one with the times",
        )
    name, value = _one_of(columns, _NAMES), _one_of(columns, _VALUES)
    long = layout == "long" or (layout == "auto" and name is not None and value is not None)
    if long and (name is None or value is None):
        raise DataError(
            f"{path.name} is not a long file: it lacks {'unique_id' if name is None else 'y'}",
            where=str(path),
            hint="a long file has the columns unique_id, ds and y",
        )
    moments = _moments(table, when, zone, path)
    if long:
        return _long(table, (str(name), str(value)), moments, resolve, path)
    return _wide(table, when, moments, resolve, path)


def _one_of(columns: dict[str, str], wanted: Sequence[str]) -> str | None:
    return next((columns[name] for name in wanted if name in columns), None)


def _open(path: Path) -> Any:
    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            return pq.read_table(path)
        delimiter, names = _header(path)
        return pacsv.read_csv(
            path,
            parse_options=pacsv.ParseOptions(delimiter=delimiter),
            read_options=pacsv.ReadOptions(use_threads=False),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), null_values=_NULLS, strings_can_be_null=True
            ),
        )
    except (OSError, UnicodeDecodeError, pa.ArrowException) as cause:
        raise DataError(
            f"cannot read {path.name}: {cause}", where=str(path), hint="it must be CSV in UTF-8, or Parquet"
        ) from cause


def _header(path: Path) -> tuple[str, list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
    delimiter = max(",;\t|", key=first.count)
    names = next(csv.reader([first], delimiter=delimiter), [])
    if not names or len(set(names)) < len(names):
        raise DataError(
            f"{path.name} begins with no row of different column names",
            where=f"{path} row 1",
            hint="the first row must name the columns: unique_id,ds,y",
        )
    return delimiter, names


def _moments(table: Any, column: str, zone: str, path: Path) -> NDArray[np.int64]:
    """Return the times of all rows in nanoseconds since 1970."""
    times = table.column(column).combine_chunks()
    kind = times.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        times = _parsed(times, column, path)
    elif pa.types.is_date(kind):
        times = times.cast(pa.timestamp("s"))
    elif not pa.types.is_timestamp(kind):
        raise DataError(
            f"column {column!r} of {path.name} holds {kind}, not times", where=f"{path} column {column!r}"
        )
    if times.null_count:
        row = int(np.flatnonzero(times.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"row {_row(row)} of {path.name} has no time", where=f"{path} column {column!r}")
    try:
        if times.type.tz is None:
            times = pc.assume_timezone(times, zone, ambiguous="earliest", nonexistent="latest")
        return times.cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    except pa.ArrowInvalid as cause:
        raise DataError(
            f"column {column!r} of {path.name}: {cause}",
            where=f"{path} column {column!r}",
            hint="name the zone as Europe/Rome; times must lie between 1678 and 2261",
        ) from cause


def _parsed(texts: Any, column: str, path: Path) -> Any:
    texts = pc.utf8_trim_whitespace(texts)
    zoned = pc.any(pc.match_substring_regex(texts, r"(?:[zZ]|[+-]\d\d:?\d\d)$")).as_py()
    kind = pa.timestamp("ns", "UTC") if zoned else pa.timestamp("ns")
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid as cause:
        row = _first_bad(texts, kind)
        raise DataError(
            f"row {_row(row)} of {path.name}: {texts[row].as_py()!r} is not a time",
            where=f"{path} column {column!r} row {_row(row)}",
            hint="write all times as 2023-03-01 08:00:00, or all with a zone: 2023-03-01T08:00:00Z",
        ) from cause


def _numbers(column: Any, name: str, path: Path) -> NDArray[np.float64]:
    """Return the values of a column, NaN where there is none."""
    cells = column.combine_chunks()
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        cells = pc.utf8_trim_whitespace(cells)
    if pa.types.is_null(cells.type):
        return np.full(len(cells), np.nan)
    try:
        numbers: NDArray[np.float64] = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as cause:
        row = _first_bad(cells, pa.float64())
        raise DataError(
            f"row {_row(row)} of {path.name}: {cells[row].as_py()!r} in column {name!r} is not a number",
            where=f"{path} column {name!r} row {_row(row)}",
            hint="leave a missing reading empty; the decimal mark is a point",
        ) from cause
    if np.isinf(numbers).any():
        row = int(np.flatnonzero(np.isinf(numbers))[0])
        raise DataError(
            f"row {_row(row)} of {path.name}: the value in column {name!r} is infinite",
            where=f"{path} column {name!r} row {_row(row)}",
            hint="leave a missing reading empty",
        )
    return numbers


def _first_bad(cells: Any, kind: Any) -> int:
    """Return the first cell that cannot be read as that type, by halving."""
    low, high = 0, len(cells)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            cells.slice(low, middle - low).cast(kind)
            low = middle
        except pa.ArrowException:
            high = middle
    return low


def _row(place: int) -> int:
    """Return the line of a file, as a person counts: the header is the first."""
    return place + 2


def _identity(name: object, resolve: Resolve, path: Path, column: str) -> int:
    identity = resolve(str(name))
    if identity is None:
        raise DataError(
            f"{path.name} speaks of {name!r}, and there is no such Datastream",
            where=f"{path} column {column!r}",
            hint="create it first, or rename it in the file; names and ids both do",
        )
    return identity


def _long(
    table: Any, columns: tuple[str, str], moments: NDArray[np.int64], resolve: Resolve, path: Path
) -> list[Series]:
    name, value = columns
    numbers = _numbers(table.column(value), value, path)
    coded = table.column(name).combine_chunks().cast(pa.string()).dictionary_encode()
    if coded.null_count:
        row = int(np.flatnonzero(coded.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"row {_row(row)} of {path.name} has no {name}", where=f"{path} column {name!r}")
    codes = coded.indices.to_numpy(zero_copy_only=False)
    order = np.lexsort((moments, codes))
    cuts = np.searchsorted(codes[order], np.arange(1, len(coded.dictionary)))
    return [
        _series(_identity(one, resolve, path, name), str(one), moments[rows], numbers[rows])
        for one, rows in zip(coded.dictionary.to_pylist(), np.split(order, cuts), strict=True)
    ]


def _wide(table: Any, when: str, moments: NDArray[np.int64], resolve: Resolve, path: Path) -> list[Series]:
    order = np.argsort(moments, kind="stable")
    return [
        _series(
            _identity(name, resolve, path, name),
            name,
            moments[order],
            _numbers(table.column(name), name, path)[order],
        )
        for name in table.column_names
        if name != when
    ]


def _series(identity: int, name: str, time: NDArray[np.int64], value: NDArray[np.float64]) -> Series:
    read = ~np.isnan(value)
    return Series(datastream=identity, name=name, time=time[read], value=value[read])


def packs(series: Iterable[Series], *, points: int = POINTS) -> Iterator[tuple[str, bytes, str]]:
    """Turn series, sorted by time, into messages ``(subject, payload, once)`` of at most ``points`` readings.

    ``once`` names the message by its content, so that loading a file again at once adds nothing.

    >>> hours = np.array([0, 1, 3]) * 3_600_000_000_000
    >>> one = Series(datastream=7, name="x", time=hours, value=np.array([1.0, 2.0, 3.0]))
    >>> next(packs([one]))[1]
    b'{"t0":0,"dt":3600.0,"v":[1.0,2.0,null,3.0]}'
    """
    for one in series:
        subject = reading_subject(one.datastream)
        step = _step(one.time)
        for start, stop in _cuts(one.time, step, points):
            time, value = one.time[start:stop], one.value[start:stop]
            payload = msgspec.json.encode(_pack(time, value, step))
            mark = hashlib.blake2b(payload, digest_size=12).hexdigest()
            yield subject, payload, f"file-{one.datastream}-{mark}"


def _step(time: NDArray[np.int64]) -> int:
    """Return the distance that all times are multiples of, 0 if it is too small to be worth gaps."""
    gaps = np.diff(time)
    if not len(gaps) or gaps.min() <= 0:
        return 0
    step = int(np.gcd.reduce(gaps))
    return step if (int(time[-1]) - int(time[0])) // step < 4 * len(time) and step % 1000 == 0 else 0


def _cuts(time: NDArray[np.int64], step: int, points: int) -> list[tuple[int, int]]:
    """Return the runs of rows that go into one message each."""
    rows = len(time)
    if not rows:
        return []
    place = np.arange(rows) if not step else (time - time[0]) // step
    inner = np.flatnonzero(np.diff(place // points)) + 1
    edges = [0, *inner.tolist(), rows]
    return list(pairwise(edges))


def _pack(time: NDArray[np.int64], value: NDArray[np.float64], step: int) -> dict[str, Any]:
    first = int(time[0])
    if not step:
        return {"t": [_stamp(one) for one in time.tolist()], "v": value.tolist()}
    slots: list[float | None] = [None] * (int(time[-1] - first) // step + 1)
    for place, one in zip(((time - first) // step).tolist(), value.tolist(), strict=True):
        slots[place] = one
    return {"t0": _stamp(first), "dt": step / 1e9, "v": slots}


def _stamp(ns: int) -> int | str:
    """Write an instant as a number, or as text where a number would be read in another unit."""
    return ns if abs(ns) >= 10**17 or ns == 0 else iso(ns)


async def load(series: Iterable[Series], publish: Publish, *, in_flight: int = _IN_FLIGHT) -> Loaded:
    """Append the readings of a file to the log; returns once the log has all of them."""
    counted = list(series)
    messages = last = 0
    window: list[tuple[str, bytes, str]] = []

    async def flush() -> None:
        nonlocal messages, last
        sequences = await asyncio.gather(*(publish(one[0], one[1], once=one[2]) for one in window))
        messages += len(window)
        last = max([last, *sequences])
        window.clear()

    for message in packs(counted):
        window.append(message)
        if len(window) >= in_flight:
            await flush()
    await flush()
    return Loaded(
        streams=len(counted), readings=sum(len(one.time) for one in counted), messages=messages, sequence=last
    )
