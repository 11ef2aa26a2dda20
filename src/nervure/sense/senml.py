"""SenML packs (RFC 8428), in JSON or CBOR: base fields resolved, units and times as ours.

On a Datastream's own subject the first record's name stands for that Datastream, and records with
another name are refused; on the subject for all, names are Datastreams' names.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from nervure.sense.moment import clipped
from nervure.sense.part import Part, Place, Rows, result_of, unissued
from nervure.sense.reason import MALFORMED, NOT_A_NUMBER, TOO_LARGE, UNKNOWN_STREAM, Unreadable, shown
from nervure.sense.senml_unit import UCUM

__all__ = ["LABELS", "Record", "read_senml"]

RELATIVE_S = float(1 << 28)
"""Times below it are relative to now (RFC 8428, section 4.5.3)."""

FAR_S = 9e9
"""Times beyond it do not fit into 64 bits of nanoseconds."""

VERSION = 10.0
"""The version of SenML that is spoken (RFC 8428, section 4.4)."""

LABELS = dict(enumerate(("bs", "bv", "bu", "bt", "bn", "bver"), start=-6)) | dict(
    enumerate(("n", "u", "v", "vs", "vb", "s", "t", "ut", "vd"))
)
"""The numbers that stand for labels in CBOR (RFC 8428, section 6)."""


class Record(msgspec.Struct, kw_only=True, gc=False):
    """One SenML record; what is left out stays ``None``."""

    n: str | None = None
    v: float | None = None
    t: float | None = None
    u: str | None = None
    vs: str | None = None
    vb: bool | None = None
    vd: str | None = None
    s: float | None = None
    bn: str | None = None
    bt: float | None = None
    bu: str | None = None
    bv: float | None = None
    bs: float | None = None
    bver: float | None = None


_FIELDS = Record.__struct_fields__
_KNOWN = {name: name for name in (*_FIELDS, "ut")}
_BASES = ("bn", "bt", "bu", "bv", "bs", "bver")
_ODD = ("vs", "vb", "vd", "s")


class _Base:
    """The base fields as they stand at one record, and what they make of it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._name, self._unit = "", ""
        self._time, self._value = 0.0, 0.0
        self._stream: dict[str, int] = {}

    def set(self, record: Record) -> None:
        """Take the base fields that this record changes."""
        if record.bver is not None and record.bver > VERSION:
            raise Unreadable(MALFORMED, f"SenML version {record.bver:g} is not known here, only up to 10")
        if record.bn is not None:
            self._name = record.bn
        if record.bt is not None:
            self._time = record.bt
        if record.bu is not None:
            self._unit = record.bu
        if record.bv is not None:
            self._value = record.bv

    def stream(self, record: Record) -> int:
        """Return the row of the record's Datastream."""
        name = self._name + (record.n or "")
        row = self._stream.get(name)
        if row is None:
            row = self._row(name)
            self._stream[name] = row
        return row

    def _row(self, name: str) -> int:
        own = self._place.row
        if own is None:
            found = self._place.directory.find(name)
            if found is None:
                raise Unreadable(UNKNOWN_STREAM, f"no Datastream, or more than one, is named {shown(name)}")
            return found
        if self._stream:
            first = next(iter(self._stream))
            raise Unreadable(
                UNKNOWN_STREAM, f"a record is named {shown(name)}, but this pack is about {shown(first)}"
            )
        return own

    def time(self, record: Record) -> int:
        """Return the record's time; small times count from now (RFC 8428, section 4.5.3)."""
        seconds = self._time + (record.t or 0.0)
        if not math.isfinite(seconds):
            raise Unreadable(MALFORMED, f"the time {seconds} is no number of seconds")
        absolute = round(min(max(seconds, -FAR_S), FAR_S) * 1e6) * 1000
        return absolute if abs(seconds) >= RELATIVE_S else clipped(absolute + self._place.received_ns)

    def value(self, record: Record, row: int) -> tuple[float, str | None]:
        """Return the record's value in the Datastream's unit, or its JSON text."""
        unit = self._place.directory.number_unit(row)
        if record.vs is not None or record.vb is not None or record.vd is not None:
            return result_of(_other(record), unit)
        if record.v is None and not self._value:
            has = "a sum, but no value" if record.s is not None else "no value"
            raise Unreadable(MALFORMED, f"the record has {has}")
        number, _ = result_of((record.v or 0.0) + self._value, unit)
        factor, offset = self.linear(record, row)
        return number * factor + offset, None

    def linear(self, record: Record, row: int) -> tuple[float, float]:
        """Return what turns the record's unit into the Datastream's own."""
        code = record.u or self._unit
        if not code:
            return 1.0, 0.0
        return self._place.directory.linear(row, UCUM.get(code, code))


def _other(record: Record) -> Any:
    if record.vs is not None:
        return record.vs
    if record.vb is not None:
        return record.vb
    data = record.vd or ""
    try:
        base64.urlsafe_b64decode(data + "=" * (-len(data) % 4))
    except ValueError as cause:
        raise Unreadable(MALFORMED, f"vd is not base64: {shown(data)}") from cause
    return data


def read_senml(records: Sequence[Any], place: Place) -> Part:
    """Resolve a pack; a record that is wrong does not take the others with it.

    ``records`` are `Record`s, or dicts with the labels of JSON or of CBOR. A record that changes
    the base fields and cannot be read makes the whole pack unreadable, as the meaning of what
    follows is unknown.
    """
    if len(records) > place.limits.pack:
        raise Unreadable(
            TOO_LARGE, f"{len(records):,} records in one pack; at most {place.limits.pack:,} are taken"
        )
    return _columns(records, place) or _one_by_one(records, place)


def _columns(records: Sequence[Any], place: Place) -> Part | None:
    """Read a pack of numbers about one Datastream, whose first record alone has base fields."""
    if type(records[0]) is not Record:
        try:
            records = msgspec.convert([_labelled(one) for one in records], list[Record])
        except (msgspec.ValidationError, AttributeError, KeyError, OverflowError, TypeError):
            return None
    columns = dict(zip(_FIELDS, zip(*map(msgspec.structs.astuple, records), strict=True), strict=True))
    first, count = records[0], len(records)
    if any(columns[name].count(None) < count for name in _ODD) or None in columns["v"]:
        return None
    if any(columns[name].count(None) < count - (columns[name][0] is not None) for name in _BASES):
        return None
    if len(set(columns["n"])) > 1 or len(set(columns["u"])) > 1:
        return None
    base = _Base(place)
    base.set(first)
    row = base.stream(first)
    factor, offset = base.linear(first, row)
    seconds = np.array([one or 0.0 for one in columns["t"]], dtype=np.float64) + (first.bt or 0.0)
    value = (np.array(columns["v"], dtype=np.float64) + (first.bv or 0.0)) * factor + offset
    if not (np.abs(seconds) < FAR_S).all() or not np.isfinite(value).all():
        return None
    time = np.rint(seconds * 1e6).astype(np.int64) * 1000
    time[np.abs(seconds) < RELATIVE_S] += place.received_ns
    nothing = np.full(count, math.nan)
    return Part(
        stream=np.full(count, row, dtype=np.int64),
        index=np.arange(count, dtype=np.int64),
        time=time,
        result_time=time,
        value=value,
        low=nothing,
        high=nothing,
        marks=unissued(count),
    )


def _labelled(raw: Any) -> dict[str, Any]:
    return {LABELS[label] if type(label) is int else _KNOWN[label]: value for label, value in raw.items()}


def _one_by_one(records: Sequence[Any], place: Place) -> Part:
    base, rows = _Base(place), Rows()
    for index, raw in enumerate(records):
        try:
            record = raw if type(raw) is Record else _record(raw)
            base.set(record)
            if _only_base(record):
                continue
            row = base.stream(record)
            number, text = base.value(record, row)
            rows.add(stream=row, index=index, time=base.time(record), value=number, text=text)
        except Unreadable as problem:
            _check_base(raw, problem, index)
            if rows.refuse(index, problem, len(records) - index - 1):
                break
    return rows.part()


def _only_base(record: Record) -> bool:
    """Tell whether a record only sets what the next ones build on."""
    own = (record.n, record.v, record.vs, record.vb, record.vd, record.s, record.t, record.bv)
    base = (record.bn, record.bt, record.bu, record.bver)
    return all(one is None for one in own) and any(one is not None for one in base)


def _record(raw: object) -> Record:
    if not isinstance(raw, dict):
        raise Unreadable(MALFORMED, f"{shown(raw)} is no SenML record")
    fields = {
        LABELS.get(label, label) if type(label) is int else label: value for label, value in raw.items()
    }
    for label in fields:
        if isinstance(label, str) and label.endswith("_"):  # RFC 8428, section 4.4
            raise Unreadable(MALFORMED, f"the label {shown(label)} must be understood, and is not known here")
    data = fields.get("vd")
    if isinstance(data, bytes):
        fields["vd"] = base64.urlsafe_b64encode(data).decode()
    for label, value in fields.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise Unreadable(NOT_A_NUMBER, f"{label} is {value}, which is not a finite number")
    try:
        return msgspec.convert({k: v for k, v in fields.items() if isinstance(k, str)}, Record)
    except (msgspec.ValidationError, TypeError, OverflowError) as cause:
        raise Unreadable(MALFORMED, f"a SenML record that is wrong: {cause}") from cause


def _check_base(raw: object, problem: Unreadable, index: int) -> None:
    """Give up the pack if the record that failed was to set what the others build on."""
    if not isinstance(raw, dict) or problem.reason not in {MALFORMED, NOT_A_NUMBER}:
        return
    labels = {LABELS.get(label, label) if type(label) is int else label for label in raw}
    if any(isinstance(label, str) and (label.startswith("b") or label.endswith("_")) for label in labels):
        raise Unreadable(problem.reason, f"record {index}, on which the others build: {problem.detail}")
