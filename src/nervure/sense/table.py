"""SensorThings data arrays (OGC 18-088, section 16): many observations of Datastreams in one message."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from types import GenericAlias
from typing import Annotated, Any

import msgspec
import numpy as np

from nervure.sense.moment import moment_ns, moments_ns
from nervure.sense.part import Fault, Part, Place, Rows, join, result_of
from nervure.sense.reason import MALFORMED, TOO_LARGE, UNKNOWN_STREAM, Unreadable, shown

__all__ = ["Aware", "Reference", "Table", "read_tables"]

Aware = Annotated[datetime, msgspec.Meta(tz=True)]

_FIELDS = ("phenomenonTime", "resultTime", "result")


class Reference(msgspec.Struct, frozen=True):
    """A Datastream by its id, as SensorThings writes it."""

    id: int | str = msgspec.field(name="@iot.id")


class Table(msgspec.Struct, kw_only=True, frozen=True):
    """Observations of one Datastream; the rows are read when their components are known."""

    components: tuple[str, ...]
    rows: msgspec.Raw = msgspec.field(name="dataArray")
    datastream: Reference | None = msgspec.field(name="Datastream", default=None)


@lru_cache(maxsize=64)
def _decoder(components: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """Return a decoder of rows in which every time has a zone and every result is a number."""
    kinds: dict[str, Any] = {"phenomenonTime": Aware, "resultTime": Aware, "result": float}
    row = GenericAlias(tuple, tuple(kinds.get(name, msgspec.Raw) for name in components))
    return msgspec.json.Decoder(GenericAlias(list, (row,)))


def read_tables(tables: Sequence[Any], place: Place) -> Part:
    """Read data arrays; a Datastream that is unknown or a row that is wrong takes only itself along.

    ``tables`` are `Table`s, or dicts of the same content. Readings are numbered through the message.
    """
    parts: list[Part] = []
    faults: list[Fault] = []
    start = 0
    for table in tables:
        count = 1
        try:
            opened = _open(table)
            count = len(opened.rows)
            _require_room(start + count, place)
            row = place.target(opened.identity)
            parts.append(_columns(opened, row, start) or _slow(opened, row, start, place))
        except Unreadable as problem:
            if count:
                faults.append(Fault(reason=problem.reason, detail=problem.detail, index=start, count=count))
        start += count
    return join(parts, faults)


class _Opened(msgspec.Struct, frozen=True):
    """A data array whose rows are read: tuples if by the typed decoder, else lists of anything."""

    components: tuple[str, ...]
    rows: list[Any]
    identity: object


def _require_room(count: int, place: Place) -> None:
    if count > place.limits.pack:
        raise Unreadable(TOO_LARGE, f"more than {place.limits.pack:,} readings in one message")


def _open(table: object) -> _Opened:
    if isinstance(table, Table):
        identity = None if table.datastream is None else table.datastream.id
        try:
            return _Opened(table.components, _decoder(table.components).decode(table.rows), identity)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return _Opened(table.components, _listed(msgspec.json.decode(table.rows)), identity)
    if not isinstance(table, dict):
        raise Unreadable(MALFORMED, f"{shown(table)} is no data array")
    components = table.get("components")
    if not isinstance(components, list) or not all(isinstance(name, str) for name in components):
        raise Unreadable(MALFORMED, 'a data array needs its components: ["phenomenonTime", "result"]')
    named = table.get("Datastream")
    if named is not None and not isinstance(named, dict):
        raise Unreadable(UNKNOWN_STREAM, f'{shown(named)} names no Datastream; write {{"@iot.id": 7}}')
    return _Opened(tuple(components), _listed(table.get("dataArray")), named and named.get("@iot.id"))


def _listed(rows: object) -> list[Any]:
    if not isinstance(rows, list):
        raise Unreadable(MALFORMED, "dataArray is no list of rows")
    return rows


def _columns(table: _Opened, row: int, start: int) -> Part | None:
    """Read rows that the typed decoder has taken, column by column."""
    count = len(table.rows)
    if not count or type(table.rows[0]) is not tuple or "result" not in table.components:
        return None
    columns = dict(zip(table.components, zip(*table.rows, strict=True), strict=True))
    times = columns.get("phenomenonTime")
    if times is None:
        return None
    time = moments_ns(times)
    issued = columns.get("resultTime")
    nothing = np.full(count, math.nan)
    return Part(
        stream=np.full(count, row, dtype=np.int64),
        index=np.arange(start, start + count, dtype=np.int64),
        time=time,
        result_time=time if issued is None else moments_ns(issued),
        value=np.array(columns["result"], dtype=np.float64),
        low=nothing,
        high=nothing,
    )


def _slow(table: _Opened, row: int, start: int, place: Place) -> Part:
    """Read rows of anything, one by one."""
    if "result" not in table.components:
        raise Unreadable(MALFORMED, f"no component is the result: {shown(list(table.components))}")
    found = Rows()
    for index, cells in enumerate(table.rows, start):
        try:
            cell = _cell(table.components, cells)
            number, text = result_of(cell["result"], place.directory.number_unit(row))
            when, issued = cell.get("phenomenonTime"), cell.get("resultTime")
            found.add(
                stream=row,
                index=index,
                time=place.received_ns if when is None else moment_ns(when),
                result_time=None if issued is None else moment_ns(issued),
                value=number,
                text=text,
            )
        except Unreadable as problem:
            if found.refuse(index, problem, start + len(table.rows) - index - 1):
                break
    return found.part()


def _cell(components: tuple[str, ...], cells: Any) -> dict[str, Any]:
    if not isinstance(cells, list | tuple) or len(cells) != len(components):
        raise Unreadable(MALFORMED, f"the row {shown(cells)} has not {len(components)} components")
    return {name: one for name, one in zip(components, cells, strict=True) if name in _FIELDS}
