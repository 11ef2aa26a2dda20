"""How entities look as SensorThings 1.1 JSON (18-088, section 8.2 and 9.3.1.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from nervure.core.alert import Alert
from nervure.core.instant import iso
from nervure.core.observation import NO_RESULT_TIME, Quality
from nervure.core.sensorthings import Kind, Property
from nervure.serve.request import link
from nervure.store.select.row import wire_id

__all__ = ["EXACT", "address", "alert", "moment", "navigation", "observation", "properties", "stream_of"]

_MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
_COMPLEX = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_ComplexObservation"
EXACT = 1 << 53
"""Whole numbers below are exact as a float, and written as whole numbers."""

_NOTHING: Mapping[str, Any] = {}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = Mapping[str, Any]


def moment(microseconds: int) -> str:
    """Write microseconds since 1970 as ISO 8601 in UTC, in milliseconds or, where there are, microseconds.

    >>> moment(1_420_027_199_000_000), moment(1), moment(-1000)
    ('2014-12-31T11:59:59.000Z', '1970-01-01T00:00:00.000001Z', '1969-12-31T23:59:59.999Z')
    """
    minute, rest = divmod(microseconds, 60_000_000)
    if rest % 1000:
        return f"{_minute(minute)}{rest // 1_000_000:02}.{rest % 1_000_000:06}Z"
    return f"{_minute(minute)}{rest // 1_000_000:02}.{rest // 1000 % 1000:03}Z"


@lru_cache(8192)
def _minute(minutes: int) -> str:
    """Write minutes since 1970 up to the seconds; readings that follow each other share them."""
    return (_EPOCH + timedelta(minutes=minutes)).isoformat(timespec="minutes")[:-6] + ":"


def address(kind: Kind, row: Row, base: str) -> str:
    """Return the address of an entity.

    >>> from nervure.core.sensorthings import BY_NAME
    >>> address(BY_NAME["Thing"], {"id": 7}, "http://localhost/v1.1")
    'http://localhost/v1.1/Things(7)'
    """
    return link(base, kind.entities, wire_id(row))


def navigation(kind: Kind, row: Row, start: str) -> dict[str, str]:
    """Return the address of each relation of the entity at ``start``; one that leads nowhere has none."""
    return {
        one.name: f"{start}/{one.name}"
        for one in kind.relations
        if not one.column or _leads(one.name, row, one.column)
    }


def _leads(name: str, row: Row, column: str) -> bool:
    """Return whether a relation to one leads anywhere; an Observation is of one kind of Datastream."""
    if column == "datastream":
        return row["multi"] is (name == "MultiDatastream")
    return row.get(column) is not None


def properties(kind: Kind, row: Row) -> dict[str, Any]:
    """Return the properties of an entity that have a value, in the order of the standard."""
    if kind.name == "Observation":
        return observation(row)
    found = {}
    for one in kind.properties:
        if (
            one.columns[0] in row
            and (value := _VALUES.get((kind.table, one.name), _plain)(one, row)) is not None
        ):
            found[one.name] = value
    return found


def observation(row: Row) -> dict[str, Any]:
    """Return the properties of an Observation; its result time is null where nobody gave one."""
    start, end, issued = row["time"], row["end_time"], row["result_time"]
    begun = moment(start)
    found: dict[str, Any] = {
        "phenomenonTime": begun if end is None else f"{begun}/{moment(end)}",
        "resultTime": begun if issued == start else moment(issued),
        "result": _result(row),
    }
    if row["marks"] and row["marks"] & NO_RESULT_TIME:
        found["resultTime"] = None
    said = _json(row["extra"]) if row["extra"] else _NOTHING
    extra = said if isinstance(said, dict) else _NOTHING  # text: older versions kept what nobody can read
    if "resultQuality" in extra:
        found["resultQuality"] = extra["resultQuality"]
    elif row["quality"]:
        found["resultQuality"] = Quality(row["quality"]).name.lower().replace("_", " ")
    if valid := extra.get("validTime"):
        found["validTime"] = _interval(valid["start"], valid["end"])
    if "parameters" in extra:
        found["parameters"] = extra["parameters"]
    elif row["low"] is not None or row["high"] is not None:
        found["parameters"] = {"low": row["low"], "high": row["high"]}
    return found


def stream_of(row: Row, base: str) -> tuple[str, str]:
    """Return by which relation an Observation leads to its Datastream, and the address of that."""
    if row["multi"]:
        return "MultiDatastream", link(base, "MultiDatastreams", wire_id(row["stream"]))
    return "Datastream", link(base, "Datastreams", wire_id(row["stream"]))


def _result(row: Row) -> Any:
    """Return a result; a whole number is written as one, one of many digits from its text."""
    value = row["value"]
    if row["text"] is not None:
        return _json(row["text"])
    if value is None:
        return None
    return int(value) if -EXACT < value < EXACT and value == int(value) else value


def _json(text: str) -> Any:
    """Return what a stored JSON text stands for."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _plain(one: Property, row: Row) -> Any:
    value = row[one.columns[0]]
    if value is None or one.form not in {"instant", "interval"}:
        return value
    if one.form == "instant":
        return moment(value // 1000)
    end = row[one.columns[1]]
    return None if end is None else _interval(value, end)


def _interval(start_ns: int, end_ns: int) -> str:
    return f"{moment(start_ns // 1000)}/{moment(end_ns // 1000)}"


def _unit(_: Property, row: Row) -> Any:
    """Return a unit; a stream that a solution declared has its UCUM code alone."""
    unit = row["unit"]
    return row["unit_of_measurement"] or {"name": unit, "symbol": unit, "definition": f"ucum:{unit}"}


def _observation_type(_: Property, row: Row) -> str:
    return row["observation_type"] or (_COMPLEX if row.get("multi") else _MEASUREMENT)


def _stream_properties(_: Property, row: Row) -> Any:
    """Return the properties of a stream, with what a solution declared of it."""
    if not row["solution"]:
        return row["properties"]
    ours = {
        "solution": row["solution"],
        "signal": row["signal"],
        "kind": row["kind"],
        "source": row["source_id"],
        "every_s": row["every_ns"] / 1e9 or None,
        "low": row["low"],
        "high": row["high"],
    }
    return {name: value for name, value in ours.items() if value not in {None, ""}} | (
        row["properties"] or {}
    )


def _present(one: Property, row: Row) -> Any:
    """Return a JSON object, an empty one where there is none: clients are known that need one here."""
    return row[one.columns[0]] or {}


_VALUES: dict[tuple[str, str], Callable[[Property, Row], Any]] = {
    ("actuator", "properties"): _present,
    ("datastream", "unitOfMeasurement"): _unit,
    ("datastream", "observationType"): _observation_type,
    ("datastream", "properties"): _stream_properties,
}


def alert(one: Alert) -> dict[str, Any]:
    """Write an alert with its instants as ISO 8601."""
    found = msgspec.to_builtins(one)
    for name in ("start_ns", "raised_ns", "end_ns", "shelved_until_ns"):
        value = found.pop(name)
        found[name.removesuffix("_ns")] = None if value is None else iso(value)
    for seen in found["evidence"]:
        seen["time"] = iso(seen.pop("time_ns"))
    return dict(found)
