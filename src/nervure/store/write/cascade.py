"""Deleting entities, and with them what cannot be without them (18-088, table 26; 17-079, table 13)."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from nervure.core.sensorthings import Kind
from nervure.store import sql
from nervure.store.write import area
from nervure.store.write.form import Gone
from nervure.store.write.work import Work, chunks, table_of

__all__ = ["delete"]


def delete(work: Work, kind: Kind, id: int) -> Gone:
    """Delete an entity, and return whose Observations must go too.

    Rows that hold its key go by the database's own cascade: HistoricalLocations and
    TaskingCapabilities of a Thing, Tasks of a TaskingCapability, TaskingCapabilities of an Actuator.
    """
    work.find(kind, id)
    streams = _streams(work, kind, id)
    features: tuple[int, ...] = ()
    around: list[int] = []
    if kind.name == "Location":
        _stays(work, id)
    elif kind.name == "FeatureOfInterest":
        features = (id,)
        seen = sql.datastream_feature
        held = sa.select(seen.c.datastream_id).where(seen.c.feature_id == id)
        around = [int(one) for one in work.connection.execute(held).scalars()]
    for part in chunks(streams):
        table = sql.datastream
        work.connection.execute(sa.delete(table).where(table.c.id.in_(part)))
    table = table_of(kind)
    work.connection.execute(sa.delete(table).where(table.c.id == id))
    area.recompute(work.connection, around)
    work.touched = True
    return Gone(datastreams=tuple(streams), features=features)


def _streams(work: Work, kind: Kind, id: int) -> list[int]:
    """Return the Datastreams that go, and the forecasts and scores that are about them."""
    table, pairs = sql.datastream, sql.datastream_property
    by_kind: dict[str, sa.ColumnElement[bool]] = {
        "Datastream": table.c.id == id,
        "MultiDatastream": table.c.id == id,
        "Thing": table.c.thing_id == id,
        "Sensor": table.c.sensor_id == id,
        "ObservedProperty": sa.or_(
            table.c.observed_property_id == id,
            table.c.id.in_(sa.select(pairs.c.datastream_id).where(pairs.c.observed_property_id == id)),
        ),
    }
    if kind.name not in by_kind:
        return []
    found: set[int] = set()
    new = _ids(work, by_kind[kind.name])
    while new:
        found |= new
        about: set[int] = set()
        for part in chunks(sorted(new)):
            about |= _ids(work, table.c.source_id.in_(part))
        new = about - found
    return sorted(found)


def _ids(work: Work, condition: sa.ColumnElement[bool]) -> set[int]:
    query = sa.select(sql.datastream.c.id).where(condition)
    found: Iterable[int] = work.connection.execute(query).scalars()
    return {int(one) for one in found}


def _stays(work: Work, location: int) -> None:
    """Delete the HistoricalLocations that have no other Location."""
    past, link = sql.historical_location, sql.historical_place
    other = sa.select(link.c.historical_location_id).where(link.c.location_id != location)
    mine = sa.select(link.c.historical_location_id).where(link.c.location_id == location)
    work.connection.execute(sa.delete(past).where(past.c.id.in_(mine), past.c.id.not_in(other)))
