"""``POST /CreateObservations``: data arrays read into groups of rows (OGC 18-088, section 16).

    [{"Datastream": {"@iot.id": 1}, "components": ["phenomenonTime", "result", "FeatureOfInterest/id"],
      "dataArray@iot.count": 2, "dataArray": [["2026-01-01T00:00:00Z", 3, 1], …]}, …]

Who each group is for is found here; its rows are read where readings are taken in.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec

from nervure.core.error import NervureError, NotFoundError, QueryError
from nervure.core.observation import Group
from nervure.serve.answer import Unreadable
from nervure.serve.request import Request, media_of
from nervure.store.scope import Scope
from nervure.store.write.writer import Writer
from nervure.trust.principal import Principal

__all__ = ["Arrays", "groups_of"]

MOST_GROUPS = 10_000

_FEATURES = ("FeatureOfInterest/id", "FeatureOfInterest/@iot.id", "FeatureOfInterest")


class _Link(msgspec.Struct):
    id: int | str = msgspec.field(name="@iot.id")


class _Given(msgspec.Struct):
    components: list[str]
    rows: msgspec.Raw = msgspec.field(name="dataArray")
    datastream: _Link | None = msgspec.field(name="Datastream", default=None)
    multi: _Link | None = msgspec.field(name="MultiDatastream", default=None)
    count: int | None = msgspec.field(name="dataArray@iot.count", default=None)


class Arrays(msgspec.Struct, frozen=True, kw_only=True):
    """Groups, and for each row that was sent whether it is in them; ``None``: all are."""

    groups: tuple[Group, ...]
    rows: list[bool] | None


_decode = msgspec.json.Decoder(list[_Given]).decode
_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_cells = msgspec.json.Decoder(list[list[Any]]).decode


def groups_of(request: Request, principal: Principal, writer: Writer) -> Arrays:
    """Read the body, find the Datastreams and features that it names."""
    if media_of(request) not in {"", "application/json"}:
        raise Unreadable("data arrays are sent as application/json")
    try:
        given = _decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise QueryError(
            f"the body is no list of data arrays: {cause}",
            hint='send [{"Datastream": {"@iot.id": 1}, "components": […], "dataArray": [[…], …]}]',
        ) from cause
    if len(given) > MOST_GROUPS:
        raise QueryError(f"at most {MOST_GROUPS:,} data arrays are taken at once")
    found = [_group(one, principal, writer) for one in given]
    groups = tuple(group for group, _ in found if group is not None)
    if all(good is None for _, good in found):
        return Arrays(groups=groups, rows=None)
    each = zip(given, found, strict=True)
    rows = chain.from_iterable([True] * _count(one) if good is None else good for one, (_, good) in each)
    return Arrays(groups=groups, rows=list(rows))


def _group(one: _Given, principal: Principal, writer: Writer) -> tuple[Group | None, list[bool] | None]:
    """Return what is to be taken, and of each row whether it is in it; ``None``: all are.

    Where all are, they are not even counted: whoever takes them does that.
    """
    target = one.datastream or one.multi
    if target is None or (one.datastream is not None and one.multi is not None):
        raise QueryError("a data array names one Datastream or one MultiDatastream")
    if "result" not in one.components:
        raise QueryError('the components of a data array hold "result"')
    named = ["FeatureOfInterest" if name in _FEATURES else name for name in one.components]
    if doubles := sorted({name for name in named if named.count(name) > 1}):
        raise QueryError(f"the components of a data array name {', '.join(doubles)} twice")
    rows = bytes(one.rows)
    if not rows.startswith(b"["):
        _count(one)
    kind = "Datastream" if one.datastream is not None else "MultiDatastream"
    try:
        datastream = writer.resolve(kind, target.id, principal.scope())
        principal.require_streams([datastream])
    except NotFoundError:
        return None, [False] * _count(one)
    names = tuple(one.components)
    feature = next((name for name in _FEATURES if name in names), None)
    if feature is None:
        return Group(datastream=datastream, components=names, rows=rows), None
    rows, good = _known(rows, names.index(feature), writer, principal.scope())
    if not any(good):
        return None, good
    return Group(datastream=datastream, components=names, rows=rows, count=sum(good)), good


def _count(one: _Given) -> int:
    try:
        return len(_rows(one.rows))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise QueryError(f"dataArray is no list of rows: {cause}") from cause


def _known(rows: bytes, place: int, writer: Writer, scope: Scope) -> tuple[bytes, list[bool]]:
    """Write the features' row ids into the rows, and leave out those whose feature is not there."""
    try:
        cells = _cells(rows)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise QueryError(f"dataArray is no list of rows: {cause}") from cause
    seen: dict[int | str | None, int | None] = {None: 0}
    kept: list[list[Any]] = []
    good: list[bool] = []
    for row in cells:
        key = row[place] if place < len(row) else None
        if isinstance(key, dict):
            key = key.get("@iot.id")
        if isinstance(key, list | dict | bool | float):
            good.append(False)
            continue
        if key not in seen:
            seen[key] = _found(key, writer, scope) if key is not None else 0
        feature = seen[key]
        good.append(feature is not None)
        if feature is not None:
            if place < len(row):
                row[place] = feature or None
            kept.append(row)
    return msgspec.json.encode(kept), good


def _found(key: int | str, writer: Writer, scope: Scope) -> int | None:
    try:
        return writer.resolve("FeatureOfInterest", key, scope)
    except NervureError:
        return None
