"""The site: every Thing with where it is, and every Datastream, as columns for maps and lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from nervure.store import sql
from nervure.store.database import Database

__all__ = ["Shape", "Site", "Streams", "Things", "read_site"]

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]

_STREAM = (
    "id", "name", "thing_id", "project_id", "unit", "solution", "signal", "kind", "source_id", "every_ns",
    "low", "high",
)  # fmt: skip


_FARTHEST = 1e6
"""Degrees beyond which a number is none: JSON may hold integers that no float can, and those would end us."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A Location that is no point, as GeoJSON."""

    thing: int
    name: str
    geometry: dict[str, Any]


class Things(msgspec.Struct, frozen=True, kw_only=True):
    """Things by id ``[thing]``; ``place [thing, 2]`` is longitude and latitude, NaN where nobody said."""

    id: Longs
    project: Longs
    name: list[str]
    place: Floats

    def at(self, ids: Longs) -> Longs:
        """Return the places of some Things in these columns, -1 for one that is not there."""
        return _at(self.id, ids)


class Streams(msgspec.Struct, frozen=True, kw_only=True):
    """Datastreams by id ``[stream]``; ``source`` is 0 for none, ``every_ns`` 0 for no regular interval."""

    id: Longs
    thing: Longs
    project: Longs
    source: Longs
    every_ns: Longs
    name: list[str]
    unit: list[str]
    solution: NDArray[np.str_]
    signal: NDArray[np.str_]
    kind: NDArray[np.str_]
    low: list[float | None]
    high: list[float | None]

    def at(self, ids: Longs) -> Longs:
        """Return the places of some Datastreams in these columns, -1 for one that is not there."""
        return _at(self.id, ids)


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What there is at one moment; ``stamp`` changes when it does."""

    stamp: tuple[int, ...]
    things: Things
    streams: Streams
    shapes: tuple[Shape, ...]


def read_site(database: Database, stamp: tuple[int, ...]) -> Site:
    """Read all of it."""
    with database.read() as connection:
        table = sql.thing
        named = connection.execute(
            sa.select(table.c.id, table.c.project_id, table.c.name).order_by(table.c.id)
        ).all()
        located = list(_located(connection))
        streams = _streams(connection)
    things = Things(
        id=_longs(row.id for row in named),
        project=_longs(row.project_id for row in named),
        name=[row.name for row in named],
        place=np.full((len(named), 2), np.nan),
    )
    shapes = []
    for thing, name, shape in located:
        where = _middle(shape)
        place = int(things.at(_longs([thing]))[0])
        if where is None or place < 0:
            continue
        things.place[place] = where
        if shape["type"] != "Point":
            shapes.append(Shape(thing=thing, name=name, geometry=shape))
    return Site(stamp=stamp, things=things, streams=streams, shapes=tuple(shapes))


def _located(connection: sa.Connection) -> Iterable[tuple[int, str, dict[str, Any]]]:
    """Yield Thing, name and geometry of every present Location that is written as GeoJSON."""
    link, table = sql.thing_location, sql.location
    query = sa.select(link.c.thing_id, table.c.name, table.c.location).join(
        link, link.c.location_id == table.c.id
    )
    for row in connection.execute(query.order_by(link.c.thing_id, table.c.id)):
        shape = row.location
        if isinstance(shape, dict) and isinstance(shape.get("geometry"), dict):
            shape = shape["geometry"]
        if isinstance(shape, dict) and isinstance(shape.get("type"), str):
            yield int(row.thing_id), str(row.name), shape


def _streams(connection: sa.Connection) -> Streams:
    table = sql.datastream
    rows = connection.execute(sa.select(*(table.c[name] for name in _STREAM)).order_by(table.c.id)).all()
    return Streams(
        id=_longs(row.id for row in rows),
        thing=_longs(row.thing_id for row in rows),
        project=_longs(row.project_id for row in rows),
        source=_longs(row.source_id or 0 for row in rows),
        every_ns=_longs(row.every_ns or 0 for row in rows),
        name=[row.name for row in rows],
        unit=[row.unit for row in rows],
        solution=np.array([row.solution for row in rows], dtype=np.str_),
        signal=np.array([row.signal for row in rows], dtype=np.str_),
        kind=np.array([row.kind or "reading" for row in rows], dtype=np.str_),
        low=[row.low for row in rows],
        high=[row.high for row in rows],
    )


def _middle(shape: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return longitude and latitude of the middle of a geometry's box; None if it has none.

    >>> _middle({"type": "LineString", "coordinates": [[1, 2], [3, 6]]})
    (2.0, 4.0)
    """
    found = list(_positions(shape.get("coordinates"), 8))
    if not found:
        return None
    east, north = [one[0] for one in found], [one[1] for one in found]
    return (min(east) + max(east)) / 2, (min(north) + max(north)) / 2


def _positions(value: Any, deep: int) -> Iterable[tuple[float, float]]:
    """Yield the positions of nested coordinates (RFC 7946, 3.1.1)."""
    if not isinstance(value, list) or not deep:
        return
    if len(value) >= 2 and all(type(one) in {int, float} for one in value[:2]):
        if all(abs(one) <= _FARTHEST for one in value[:2]):
            yield float(value[0]), float(value[1])
        return
    for one in value:
        yield from _positions(one, deep - 1)


def _at(known: Longs, ids: Longs) -> Longs:
    if not len(known):
        return np.full(len(ids), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    return np.where(known[place] == ids, place, -1).astype(np.int64)


def _longs(values: Iterable[int]) -> Longs:
    return np.fromiter(values, dtype=np.int64)
