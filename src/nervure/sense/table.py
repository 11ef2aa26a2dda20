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

from nervure.core.columnar import constant, endless
from nervure.core.observation import NO_END
from nervure.sense.extra import EXTRAS, extra_of
from nervure.sense.moment import moment_ns, span_ns, texts_ns
from nervure.sense.part import Fault, Part, Place, Rows, join, require_depth, unissued
from nervure.sense.reason import MALFORMED, TOO_LARGE, UNKNOWN_FEATURE, UNKNOWN_STREAM, Unreadable, shown

__all__ = ["Aware", "Exact", "Reference", "Table", "read_tables"]

Aware = Annotated[datetime, msgspec.Meta(tz=True)]
Exact = Annotated[float, msgspec.Meta(gt=-(2.0**53), lt=2.0**53)]  # beyond, digits may be lost

_NAN = endless(math.nan)

Row = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]  # ids of the catalogue

_FEATURE = "FeatureOfInterest/id"
_AROUND = 2  # the list of tables and the table, in which rows lie
_FIELDS = frozenset(("phenomenonTime", "resultTime", "result", _FEATURE, *EXTRAS))


class Reference(msgspec.Struct, frozen=True):
    """A Datastream by its id, as SensorThings writes it."""

    id: int | str = msgspec.field(name="@iot.id")


class Table(msgspec.Struct, kw_only=True, frozen=True):
    """Observations of one Datastream; the rows are read when their components are known."""

    components: tuple[str, ...]
    rows: msgspec.Raw = msgspec.field(name="dataArray")
    datastream: Reference | None = msgspec.field(name="Datastream", default=None)
    several: Reference | None = msgspec.field(name="MultiDatastream", default=None)


@lru_cache(maxsize=64)
def _decoder(components: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """Return a decoder of rows in which times are texts, and results and features are numbers."""
    kinds: dict[str, Any] = {"phenomenonTime": str, "resultTime": str, "result": Exact, _FEATURE: Row}
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
            opened = _open(table, place.limits.depth)
            count = len(opened.rows)
            _require_room(start + count, place)
            row = place.target(opened.identity)
            quick = None if place.directory.places[row] else _columns(opened, row, start)
            parts.append(quick or _slow(opened, row, start, place))
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


def _open(table: object, depth: int) -> _Opened:
    if isinstance(table, Table):
        named = table.several if table.datastream is None else table.datastream
        identity = None if named is None else named.id
        rows = _typed(table)
        if rows is None:
            rows = _listed(msgspec.json.decode(table.rows))
            require_depth(rows, depth - _AROUND)
        return _Opened(table.components, rows, identity)
    if not isinstance(table, dict):
        raise Unreadable(MALFORMED, f"{shown(table)} is no data array")
    components = table.get("components")
    if not isinstance(components, list) or not all(isinstance(name, str) for name in components):
        raise Unreadable(MALFORMED, 'a data array needs its components: ["phenomenonTime", "result"]')
    named = table.get("Datastream")
    if named is None:
        named = table.get("MultiDatastream")
    if named is not None and not isinstance(named, dict):
        raise Unreadable(UNKNOWN_STREAM, f'{shown(named)} names no Datastream; write {{"@iot.id": 7}}')
    identity = named.get("@iot.id") if isinstance(named, dict) else None
    return _Opened(tuple(components), _listed(table.get("dataArray")), identity)


def _typed(table: Table) -> list[Any] | None:
    """Return rows by the typed decoder; None where that reads not all of what is kept of them."""
    if any(name in EXTRAS for name in table.components):
        return None
    try:
        found: list[Any] = _decoder(table.components).decode(table.rows)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    return found


def _listed(rows: object) -> list[Any]:
    if not isinstance(rows, list):
        raise Unreadable(MALFORMED, "dataArray is no list of rows")
    return rows


def _columns(table: _Opened, row: int, start: int) -> Part | None:
    """Read rows that the typed decoder has taken, column by column."""
    count = len(table.rows)
    if not count or type(table.rows[0]) is not tuple or "result" not in table.components:
        return None
    if "phenomenonTime" not in table.components or any(name in EXTRAS for name in table.components):
        return None
    columns = {name: [cells[at] for cells in table.rows] for at, name in enumerate(table.components)}
    features = columns.get(_FEATURE)
    time = texts_ns(columns["phenomenonTime"])
    issued = texts_ns(columns["resultTime"]) if "resultTime" in columns else time
    if time is None or issued is None:
        return None
    nothing = _NAN[:count]
    return Part(
        stream=constant(np.int64(row), count),
        index=np.arange(start, start + count, dtype=np.int64),
        time=time,
        result_time=issued,
        value=np.array(columns["result"], dtype=np.float64),
        low=nothing,
        high=nothing,
        feature=None if features is None else np.array(features, dtype=np.int64),
        marks=unissued(count) if issued is time else None,
    )


def _slow(table: _Opened, row: int, start: int, place: Place) -> Part:
    """Read rows of anything, one by one."""
    if "result" not in table.components:
        raise Unreadable(MALFORMED, f"no component is the result: {shown(list(table.components))}")
    found = Rows()
    for index, cells in enumerate(table.rows, start):
        try:
            cell = _cell(table.components, cells)
            number, text = place.result(row, cell["result"])
            when, issued = cell.get("phenomenonTime"), cell.get("resultTime")
            time, end = (place.received_ns, None) if when is None else span_ns(when)
            found.add(
                stream=row,
                index=index,
                time=time,
                end_time=NO_END if end is None else end,
                result_time=None if issued is None else moment_ns(issued),
                value=number,
                text=text,
                feature=_feature(cell.get(_FEATURE)),
                extra=extra_of(cell),
            )
        except Unreadable as problem:
            if found.refuse(index, problem, start + len(table.rows) - index - 1):
                break
    return found.part()


def _feature(identity: object) -> int:
    if identity is None:
        return 0
    if isinstance(identity, bool) or not isinstance(identity, int) or not 0 < identity < 1 << 63:
        raise Unreadable(UNKNOWN_FEATURE, f"there is no FeatureOfInterest {shown(identity)}")
    return identity


def _cell(components: tuple[str, ...], cells: Any) -> dict[str, Any]:
    if not isinstance(cells, list | tuple) or len(cells) != len(components):
        raise Unreadable(MALFORMED, f"the row {shown(cells)} has not {len(components)} components")
    return {name: one for name, one in zip(components, cells, strict=True) if name in _FIELDS}
