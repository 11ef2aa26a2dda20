"""Messages as devices send them, told apart by their first byte and their keys.

    {"result": 1.2, "phenomenonTime": "2023-03-01T08:00:00Z"}    a SensorThings Observation
    {"t0": "2023-03-01T08:00:00Z", "dt": 0.01, "v": [1, null]}    a regular pack; null: no reading
    {"t": [1677657600, 1677657660], "v": [1.0, 2.0]}              a pack with its own times
    {"components": [...], "dataArray": [[...]]}                   a SensorThings data array, or a list of them
    [{"bn": "mill", "v": 1.2}]                                    SenML (RFC 8428)
    21.5                                                          a bare number, of now

All of it may come as CBOR instead of JSON. `Reading` and `Pack` are the quick way for what is
usual; `decode` takes anything, and says what is wrong with it.
"""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.instant import SECOND_NS
from nervure.core.observation import NO_END
from nervure.sense.cbor import load_cbor
from nervure.sense.extra import extra_of, feature_of
from nervure.sense.moment import FIRST_NS, LAST_NS, clipped, moment_ns, span_ns
from nervure.sense.part import Fault, Part, Place, Rows, require_depth, result_of, unissued
from nervure.sense.reason import MALFORMED, NOT_A_NUMBER, TOO_LARGE, UNRESOLVED, Unreadable, shown
from nervure.sense.senml import Record, read_senml
from nervure.sense.table import Aware, Exact, Table, read_tables

__all__ = [
    "LONE_PACK",
    "PACK",
    "READING",
    "LonePack",
    "Pack",
    "Reading",
    "decode",
    "loaded",
    "regular",
    "step_ns",
]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_SPAN_S = 4e9
_NUMERIC = frozenset((float, int, type(None)))


class Reading(msgspec.Struct, gc=False):
    """One Observation whose result is a number; fields that are not known here are passed over.

    One with more to it does not fit here, as what more there can be must be null: `decode` reads it.
    """

    result: Exact
    phenomenonTime: Aware | int | float | None = None  # noqa: N815 - SensorThings' own name
    resultTime: Aware | int | float | None = None  # noqa: N815
    unit: str | None = None
    FeatureOfInterest: None = None
    validTime: None = None  # noqa: N815
    parameters: None = None
    resultQuality: None = None  # noqa: N815


class Pack(msgspec.Struct, gc=False):
    """Readings at a fixed distance ``dt`` (seconds) from ``t0``, or at the times ``t``."""

    v: list[float | None]
    t0: Aware | int | float | None = None
    dt: float | None = None
    low: list[float | None] | None = None
    high: list[float | None] | None = None
    resultTime: Aware | int | float | None = None  # noqa: N815
    unit: str | None = None
    t: list[Any] | None = None


class LonePack(Pack, gc=False):
    """A pack in which there is no single reading as well, which would go before."""

    result: None = None


READING = msgspec.json.Decoder(Reading)
PACK = msgspec.json.Decoder(Pack)
LONE_PACK = msgspec.json.Decoder(LonePack)
_RECORDS = msgspec.json.Decoder(list[Record])
_TABLES = msgspec.json.Decoder(list[Table])


def decode(payload: bytes, place: Place) -> Part:
    """Read one message of any kind; ``Unreadable`` if nothing in it can be taken.

    A reading that is wrong does not take the others of its message with it: it is one of the
    Part's faults.
    """
    head = payload[:1]
    if head == b"[":
        quick = _quick_list(payload, place)
        if quick is not None:
            return quick
    item = loaded(payload, place.limits.depth)
    if isinstance(item, list | tuple):
        return _read_list(list(item), place)
    if isinstance(item, dict):
        return _read_object(item, place)
    return _observation({"result": item}, place)


def loaded(payload: bytes, depth: int) -> Any:
    """Read what a message holds, JSON or CBOR nested at most so deep."""
    if payload[:1] >= b"\x80" and not payload.startswith(b"\xef\xbb\xbf"):
        item = load_cbor(payload, depth)
    else:
        item = _load_json(payload)
    require_depth(item, depth)
    return item


def _quick_list(payload: bytes, place: Place) -> Part | None:
    """Read a list by a typed decoder; ``None`` if it is not quite as usual."""
    tables = b'"dataArray"' in payload
    if not tables and b'_"' in payload:  # a label that must be understood, perhaps
        return None
    try:
        found: list[Any] = (_TABLES if tables else _RECORDS).decode(payload)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    if tables:
        return read_tables(found, place)
    return read_senml(found, place) if found else None


def _load_json(payload: bytes) -> Any:
    if not payload.strip():
        raise Unreadable(MALFORMED, "the message is empty")
    if payload.startswith(b"\xef\xbb\xbf"):
        payload = payload[3:]
    try:
        return msgspec.json.decode(payload)
    except RecursionError as cause:
        raise Unreadable(MALFORMED, "the message is nested too deep") from cause
    except (msgspec.DecodeError, ValueError) as cause:
        if b"NaN" in payload or b"Infinity" in payload:  # Python's json writes these, JSON knows them not
            try:
                return json.loads(payload)
            except (ValueError, RecursionError):
                pass
        said = str(cause).removeprefix("JSON is malformed: ")
        raise Unreadable(MALFORMED, f"neither JSON nor CBOR: {said}, at {shown(payload[:24])}") from cause


def _read_list(items: list[Any], place: Place) -> Part:
    if not items:
        raise Unreadable(MALFORMED, "the list is empty")
    if any(isinstance(one, dict) and "dataArray" in one for one in items):
        return read_tables(items, place)
    if not any(isinstance(one, dict) for one in items):
        return _observation({"result": items}, place)
    return read_senml(items, place)


def _read_object(item: dict[Any, Any], place: Place) -> Part:
    if "dataArray" in item:
        return read_tables([item], place)
    if "result" in item:
        return _observation(item, place)
    if "v" in item:
        return _pack(item, place)
    raise Unreadable(
        MALFORMED, f"it has no result, no v and no dataArray, but {shown(sorted(map(str, item)))}"
    )


def _target(item: dict[Any, Any], place: Place) -> int:
    named = item.get("Datastream")
    if named is None:
        named = item.get("MultiDatastream")
    if not isinstance(named, dict):
        return place.target(named)
    if place.row is None and "@iot.id" not in named:
        raise Unreadable(UNRESOLVED, "the message describes its Datastream")
    return place.target(named.get("@iot.id"))


def _when(item: dict[Any, Any], key: str) -> int | None:
    value = item.get(key)
    return None if value is None else moment_ns(value)


def _factor(item: dict[Any, Any], row: int, place: Place) -> tuple[float, float]:
    code = item.get("unit")
    if code is None:
        return 1.0, 0.0
    if isinstance(code, dict):  # unitOfMeasurement as SensorThings writes it
        code = code.get("symbol")
    return place.directory.linear(row, code if isinstance(code, str) else repr(type(code)))


def _observation(item: dict[Any, Any], place: Place) -> Part:
    row = _target(item, place)
    number, text = place.result(row, item["result"])
    factor, offset = _factor(item, row, place)
    time, end = (
        (place.received_ns, None) if item.get("phenomenonTime") is None else span_ns(item["phenomenonTime"])
    )
    rows = Rows()
    rows.add(
        stream=row,
        index=0,
        time=time,
        end_time=NO_END if end is None else end,
        result_time=_when(item, "resultTime"),
        value=number * factor + offset,
        text=text if factor == 1.0 or math.isnan(number) else None,
        feature=feature_of(item.get("FeatureOfInterest")),
        extra=extra_of(item),
    )
    return rows.part()


def _pack(item: dict[Any, Any], place: Place) -> Part:
    row = _target(item, place)
    values, faults = _numbers(item["v"], place.directory.number_unit(row))
    count = len(values)
    if count > place.limits.pack:
        raise Unreadable(
            TOO_LARGE, f"{count:,} readings in one pack; at most {place.limits.pack:,} are taken"
        )
    factor, offset = _factor(item, row, place)
    time = _times(item, count, row, place)
    issued = _when(item, "resultTime")
    low, high = (_bound(item, name, count) * factor + offset for name in ("low", "high"))
    kept = np.flatnonzero(~np.isnan(values))
    part = Part(
        stream=np.full(count, row, dtype=np.int64),
        index=np.arange(count, dtype=np.int64),
        time=time,
        result_time=time if issued is None else np.full(count, issued, dtype=np.int64),
        value=values * factor + offset,
        low=low,
        high=high,
        marks=unissued(count) if issued is None else None,
    )
    return msgspec.structs.replace(part.take(kept), faults=tuple(faults))


def _numbers(values: object, unit: str | None) -> tuple[Floats, list[Fault]]:
    """Return the values of a pack, NaN where there is no reading, and what is wrong with the others."""
    if isinstance(values, np.ndarray):  # a typed array, in which NaN is no gap but a number gone wrong
        return _finite(values, np.zeros(len(values), dtype=bool), [])
    if not isinstance(values, list | tuple):
        raise Unreadable(MALFORMED, f"v is {shown(values)}, not a list of numbers")
    faults: list[Fault] = []
    if not _NUMERIC.issuperset(map(type, values)):
        odd = [index for index, value in enumerate(values) if type(value) not in _NUMERIC]
        first = odd[0]
        try:
            result_of(values[first], unit or "1")
        except Unreadable as problem:
            faults.append(Fault(reason=problem.reason, detail=problem.detail, index=first, count=len(odd)))
        values = [value if type(value) in _NUMERIC else None for value in values]
    gaps = np.array([value is None for value in values], dtype=bool)
    try:
        numbers = np.array(values, dtype=np.float64)
    except OverflowError:
        numbers = np.array([_float(value) for value in values])
    return _finite(numbers, gaps, faults)


def _float(value: float | None) -> float:
    """Turn a number into a float, infinite if it is too large for one."""
    if value is None:
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _finite(numbers: Floats, gaps: NDArray[np.bool_], faults: list[Fault]) -> tuple[Floats, list[Fault]]:
    """Leave out what is not finite; where there is a gap, that is no fault."""
    finite = np.isfinite(numbers)
    bad = np.flatnonzero(~finite & ~gaps)
    if len(bad):
        first = int(bad[0])
        detail = f"the result is {numbers[first]}, which is not a finite number"
        faults = [*faults, Fault(reason=NOT_A_NUMBER, detail=detail, index=first, count=len(bad))]
    return (numbers if finite.all() else np.where(finite, numbers, math.nan)), faults


def _bound(item: dict[Any, Any], name: str, count: int) -> Floats:
    if item.get(name) is None:
        return np.full(count, math.nan)
    found, faults = _numbers(item[name], None)
    if faults or len(found) != count:
        raise Unreadable(
            faults[0].reason if faults else MALFORMED, f"{name} must be {count} numbers or nulls, as v is"
        )
    return found


def _times(item: dict[Any, Any], count: int, row: int, place: Place) -> Longs:
    own = item.get("t")
    if own is None:
        t0, dt = item.get("t0"), item.get("dt")
        step = step_ns(dt, count, place.directory.datastreams[row].every_ns)
        first = place.received_ns - (count - 1) * step if t0 is None else moment_ns(t0)
        return regular(first, step, count)
    if isinstance(own, np.ndarray):
        own = own.tolist()
    if not isinstance(own, list | tuple) or len(own) != count:
        raise Unreadable(MALFORMED, f"t must be {count} times, as v has {count} values")
    return np.array([moment_ns(one) for one in own], dtype=np.int64)


def step_ns(dt: object, count: int, every_ns: int) -> int:
    """Return the distance between the readings of a pack: its own, or that of its Datastream."""
    if dt is None and (every_ns or count < 2):
        return every_ns
    if isinstance(dt, bool) or not isinstance(dt, int | float) or not 0 < dt * max(count, 1) < _SPAN_S:
        raise Unreadable(
            MALFORMED, f"dt is {shown(dt)}; it must be the seconds from one reading to the next, as 0.01"
        )
    return max(1, round(dt * SECOND_NS))


def regular(first: int, step: int, count: int) -> Longs:
    """Return ``count`` instants from ``first``, cut to what 64 bits hold."""
    if first > FIRST_NS and first + count * step < LAST_NS:
        return np.arange(count, dtype=np.int64) * step + first
    return np.array([clipped(first + place * step) for place in range(count)], dtype=np.int64)
