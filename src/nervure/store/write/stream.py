"""What an Observation needs to know of its Datastream and its feature, kept in memory for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from nervure.store import model, sql
from nervure.store.database import Database
from nervure.store.write.area import GEOJSON
from nervure.store.write.work import chunks

__all__ = ["Known", "Stream", "default_features", "make_features", "streams"]

K = TypeVar("K")
V = TypeVar("V")

_FRESH_S = 1.0
_MOST = 200_000


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A Datastream or MultiDatastream: whose it is, and how long its array results are (0: no array)."""

    id: int
    project: int
    multi: bool
    width: int
    unit: str
    declared: bool
    keyed: bool


class Known:
    """Streams and features by id, forgotten when the catalogue changes.

    Changes of this process are seen at once (:meth:`forget`), those of another one within a second.
    What a transaction has not kept yet is never held.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._next = 0.0
        self._streams: dict[int, Stream] = {}
        self._projects: dict[int, int] = {}
        self._defaults: dict[int, int | None] = {}
        self._pairs: dict[tuple[int, int], bool] = {}
        self.generation = 0
        """Raised whenever everything is forgotten."""

    def forget(self) -> None:
        """Forget everything."""
        with self._lock:
            self._streams, self._projects, self._defaults, self._pairs = {}, {}, {}, {}
            self.generation += 1

    def stream(self, id: int) -> Stream | None:
        """Return a stream, or None if there is none of that id."""
        kept = self._kept(self._streams)
        found = kept.get(id)
        if found is None:
            with self._database.read() as connection:
                found = streams(connection, [id]).get(id)
            if found is not None:
                kept[id] = found
        return found

    def project_of_feature(self, id: int) -> int | None:
        """Return the project of a FeatureOfInterest that is known by its number, or None."""
        kept = self._kept(self._projects)
        found = kept.get(id)
        if found is None and 0 <= id < 1 << 63:
            table = sql.feature_of_interest
            query = sa.select(table.c.project_id).where(table.c.id == id, table.c.key.is_(None))
            with self._database.read() as connection:
                found = connection.execute(query).scalar_one_or_none()
            if found is not None:
                kept[id] = found
        return found

    def defaults(self, ids: Iterable[int]) -> tuple[dict[int, int | None], list[int]]:
        """Return the default features that are known, and the Datastreams whose are not."""
        kept = self._kept(self._defaults)
        wanted = list(dict.fromkeys(ids))
        found = {one: kept[one] for one in wanted if one in kept}
        return found, [one for one in wanted if one not in found]

    def learn(self, defaults: Mapping[int, int | None], generation: int) -> None:
        """Keep default features that were read in a generation, if it still lasts."""
        shelf = self._kept(self._defaults)
        with self._lock:
            if generation == self.generation:
                shelf.update(defaults)

    def unseen(self, pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the pairs of stream and feature that were not noted before."""
        kept = self._kept(self._pairs)
        return [one for one in set(pairs) if one not in kept]

    def seen(self, pairs: Iterable[tuple[int, int]], generation: int) -> None:
        """Hold that pairs of stream and feature are noted."""
        shelf = self._kept(self._pairs)
        with self._lock:
            if generation == self.generation:
                shelf.update(dict.fromkeys(pairs, True))

    def _kept(self, shelf: dict[K, V]) -> dict[K, V]:
        """Return what is held and still true; nothing within a transaction."""
        if self._database.joined:
            return {}
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _FRESH_S
            with self._database.read() as connection:
                stamp = model.stamp(connection)
            if stamp != self._seen or len(shelf) > _MOST:
                self._seen = stamp
                self.forget()
                return {}  # the next question begins a new shelf
        return shelf


def streams(connection: sa.Connection, ids: Sequence[int]) -> dict[int, Stream]:
    """Read Datastreams and MultiDatastreams by id."""
    table, pairs = sql.datastream, sql.datastream_property
    width = sa.select(sa.func.count()).where(pairs.c.datastream_id == table.c.id).scalar_subquery()
    found: dict[int, Stream] = {}
    for part in chunks([one for one in ids if 0 <= one < 1 << 63]):
        names = ("id", "key", "project_id", "multi", "unit", "solution")
        columns = [table.c[name] for name in names]
        query = sa.select(*columns, width.label("width")).where(table.c.id.in_(part))
        for row in connection.execute(query):
            found[int(row.id)] = Stream(
                id=int(row.id),
                project=int(row.project_id),
                multi=bool(row.multi),
                width=int(row.width),
                unit=row.unit,
                declared=bool(row.solution),
                keyed=row.key is not None,
            )
    return found


def default_features(
    connection: sa.Connection, ids: Sequence[int]
) -> tuple[dict[int, int | None], dict[int, list[int]]]:
    """Return the feature of each Datastream's Thing, and Datastreams by the Location that has none yet.

    Of several Locations of a Thing, which are one place written in several ways, the first in
    GeoJSON counts. A Thing without one has no feature: ``None``.
    """
    table, here, place = sql.datastream, sql.thing_location, sql.location
    chosen: dict[int, tuple[bool, int, int | None]] = {}
    for part in chunks(ids):
        query = (
            sa.select(table.c.id, place.c.id.label("place"), place.c.encoding_type, place.c.feature_id)
            .join(here, here.c.thing_id == table.c.thing_id)
            .join(place, place.c.id == here.c.location_id)
            .where(table.c.id.in_(part))
        )
        for row in connection.execute(query):
            rank = (row.encoding_type not in GEOJSON, int(row.place), row.feature_id)
            if row.id not in chosen or rank[:2] < chosen[row.id][:2]:
                chosen[int(row.id)] = rank
    found: dict[int, int | None] = {one: None for one in ids if one not in chosen}
    missing: dict[int, list[int]] = {}
    for stream, (_, location, feature) in chosen.items():
        if feature is None:
            missing.setdefault(location, []).append(stream)
        else:
            found[stream] = int(feature)
    return found, missing


def make_features(
    connection: sa.Connection, ids: Sequence[int], made: list[tuple[str, int]]
) -> dict[int, int | None]:
    """Return the feature of each Datastream's Thing, made from its Location where there is none yet.

    What is made is added to ``made``, as the other entities that a change makes.
    """
    found, missing = default_features(connection, ids)
    table = sql.feature_of_interest
    for location, of in missing.items():
        row = connection.execute(sa.select(sql.location).where(sql.location.c.id == location)).one()
        values = {
            "project_id": row.project_id,
            "name": row.name,
            "description": row.description,
            "definition": "",
            "encoding_type": row.encoding_type,
            "feature": row.location,
            "properties": None,
        }
        key = connection.execute(sa.insert(table).values(values)).inserted_primary_key
        feature = int(key[0]) if key else 0
        made.append(("FeatureOfInterest", feature))
        noted = sa.update(sql.location).where(sql.location.c.id == location).values(feature_id=feature)
        connection.execute(noted)
        found.update(dict.fromkeys(of, feature))
    return found
