"""Entities in the catalogue: found or made by name, read back as the nouns of core."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from nervure.core.answer import ANSWER
from nervure.core.entity import (
    Actuator,
    Datastream,
    FeatureOfInterest,
    Location,
    ObservedProperty,
    Sensor,
    TaskingCapability,
    Thing,
)
from nervure.core.error import NotFoundError
from nervure.core.loop import LOOP
from nervure.core.unit import describe
from nervure.store import sql, tally

__all__ = [
    "datastreams",
    "ensure",
    "ensure_capability",
    "ensure_datastream",
    "ensure_feature",
    "ensure_property",
    "ensure_sensor",
    "ensure_thing",
    "features",
    "history",
    "locations",
    "move",
    "one",
    "properties",
    "save_spans",
    "sensors",
    "settle",
    "things",
]

T = TypeVar("T")
Named = TypeVar("Named", Sensor, ObservedProperty, FeatureOfInterest, Actuator)

MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
_WORDS = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_CategoryObservation"

_PROJECT = 1
"""What a solution declares belongs to the first project."""

_UNIT = "unit_of_measurement"
_LINKS = {name: f"{name}_id" for name in ("thing", "sensor", "observed_property", "source")}
_ABSENT_AS_ZERO = ("sensor", "observed_property")


def ensure(
    connection: sa.Connection, table: sa.Table, key: Mapping[str, Any], values: Mapping[str, Any]
) -> int:
    """Return the id of the row with that key; make it, or set what differs."""
    mine = sa.select(table).where(table.c.project_id == _PROJECT, *_equal(table, key))
    found = connection.execute(mine.order_by(table.c.id).limit(1)).mappings().one_or_none()
    if found is None:
        extra = {"definition": ""} | ({"observation_type": MEASUREMENT} if table is sql.datastream else {})
        made = connection.execute(sa.insert(table).values({**extra, **key, **values}))
        identity = made.inserted_primary_key
        return int(identity[0]) if identity else 0
    changed = {name: value for name, value in values.items() if found[name] != value}
    if "unit" not in changed and found.get(_UNIT) is not None:
        changed.pop(_UNIT, None)  # what somebody called the unit stays
    if changed:
        connection.execute(sa.update(table).where(table.c.id == found["id"]).values(changed))
        tally.count(connection)
    return int(found["id"])


def ensure_thing(connection: sa.Connection, thing: Thing, location: Location | None) -> Thing:
    """Find or make a Thing by its name, and say where it is."""
    values = {"description": thing.description, "properties": thing.properties}
    identity = ensure(connection, sql.thing, {"name": thing.name}, values)
    if location is not None:
        _place(connection, identity, location)
    return msgspec.structs.replace(thing, id=identity)


def ensure_sensor(connection: sa.Connection, sensor: Sensor) -> Sensor:
    """Find or make a Sensor by its name."""
    return _by_name(connection, sql.sensor, sensor)


def ensure_property(connection: sa.Connection, observed: ObservedProperty) -> ObservedProperty:
    """Find or make an ObservedProperty by its name."""
    return _by_name(connection, sql.observed_property, observed)


def ensure_feature(connection: sa.Connection, feature: FeatureOfInterest) -> FeatureOfInterest:
    """Find or make a FeatureOfInterest by its name."""
    return _by_name(connection, sql.feature_of_interest, feature)


def ensure_datastream(connection: sa.Connection, datastream: Datastream) -> Datastream:
    """Find or make a Datastream by its Thing and its name."""
    values = {_LINKS.get(name, name): value for name, value in msgspec.structs.asdict(datastream).items()}
    for name in _ABSENT_AS_ZERO:
        values[_LINKS[name]] = values[_LINKS[name]] or None
    key = {"thing_id": values.pop("thing_id"), "name": values.pop("name")}
    del values["id"]
    values[_UNIT] = describe(datastream.unit)
    if datastream.kind == ANSWER and not datastream.unit:
        values["observation_type"] = _WORDS
    return msgspec.structs.replace(datastream, id=ensure(connection, sql.datastream, key, values))


def ensure_capability(
    connection: sa.Connection, capability: TaskingCapability, actuator: Actuator
) -> TaskingCapability:
    """Find or make a TaskingCapability of a Thing by its name, or by the loop that it says it is.

    One that is there stays as it is: what it keeps to is for the engineer of the plant to change.
    """
    table, mark = sql.tasking_capability, capability.properties.get(LOOP)
    mine = sa.select(table.c.id, table.c.name, table.c.properties).where(table.c.thing_id == capability.thing)
    for row in connection.execute(mine.order_by(table.c.id)):
        if row.name == capability.name or (mark and (row.properties or {}).get(LOOP) == mark):
            return msgspec.structs.replace(capability, id=int(row.id))
    drive = _by_name(connection, sql.actuator, actuator).id
    values = {"definition": "", **msgspec.structs.asdict(capability), "actuator_id": drive}
    values["thing_id"] = values.pop("thing")
    del values["id"], values["actuator"]
    made = connection.execute(sa.insert(table).values(values)).inserted_primary_key
    return msgspec.structs.replace(capability, id=int(made[0]) if made else 0, actuator=drive)


def things(connection: sa.Connection) -> list[Thing]:
    """Return every Thing by id."""
    return _all(connection, sa.select(sql.thing).order_by(sql.thing.c.id), _plain(Thing))


def locations(connection: sa.Connection, thing_id: int | None) -> list[Location]:
    """Return every Location by id, or those where a Thing is now."""
    query = sa.select(sql.location).order_by(sql.location.c.id)
    if thing_id is not None:
        query = query.join(sql.thing_location).where(sql.thing_location.c.thing_id == thing_id)
    return _all(connection, query, _plain(Location))


def history(connection: sa.Connection, thing_id: int) -> list[tuple[int, Location]]:
    """Return where a Thing was, with the instant from which on, newest first."""
    past, place = sql.historical_location, sql.historical_place
    query = (
        sa.select(past.c.time_ns, sql.location)
        .join(place, place.c.historical_location_id == past.c.id)
        .join(sql.location, place.c.location_id == sql.location.c.id)
        .where(past.c.thing_id == thing_id)
        .order_by(past.c.time_ns.desc(), past.c.id.desc())
    )
    read = _plain(Location)
    return [(int(row["time_ns"]), read(dict(row))) for row in connection.execute(query).mappings()]


def sensors(connection: sa.Connection) -> list[Sensor]:
    """Return every Sensor by id."""
    return _all(connection, sa.select(sql.sensor).order_by(sql.sensor.c.id), _plain(Sensor))


def properties(connection: sa.Connection) -> list[ObservedProperty]:
    """Return every ObservedProperty by id."""
    table = sql.observed_property
    return _all(connection, sa.select(table).order_by(table.c.id), _plain(ObservedProperty))


def features(connection: sa.Connection) -> list[FeatureOfInterest]:
    """Return every FeatureOfInterest by id."""
    table = sql.feature_of_interest
    return _all(connection, sa.select(table).order_by(table.c.id), _plain(FeatureOfInterest))


def datastreams(connection: sa.Connection, **wanted: Any) -> list[Datastream]:
    """Return the Datastreams by id whose columns have the wanted values; None: any."""
    table = sql.datastream
    known = {_LINKS.get(name, name): value for name, value in wanted.items() if value is not None}
    query = sa.select(table).where(*_equal(table, known)).order_by(table.c.id)
    return _all(connection, query, _datastream)


def one(connection: sa.Connection, kind: type[T], identity: int) -> T:
    """Return the entity of that kind and id."""
    table = _TABLES[kind]
    row = connection.execute(sa.select(table).where(table.c.id == identity)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"there is no {kind.__name__} {identity}")
    read: Callable[[Mapping[str, Any]], Any] = _datastream if kind is Datastream else _plain(kind)
    found: T = read(dict(row))
    return found


def save_spans(connection: sa.Connection, spans: Mapping[int, tuple[int, int]]) -> None:
    """Note the first and the newest phenomenon time of Datastreams."""
    table = sql.datastream
    for identity, (start, end) in spans.items():
        connection.execute(
            sa.update(table)
            .where(table.c.id == identity)
            .values(phenomenon_start_ns=start, phenomenon_end_ns=end)
        )


_TABLES: dict[type[Any], sa.Table] = {
    Thing: sql.thing,
    Location: sql.location,
    Sensor: sql.sensor,
    ObservedProperty: sql.observed_property,
    FeatureOfInterest: sql.feature_of_interest,
    Datastream: sql.datastream,
}


def _by_name(connection: sa.Connection, table: sa.Table, entity: Named) -> Named:
    values = msgspec.structs.asdict(entity)
    del values["id"]
    identity = ensure(connection, table, {"name": values.pop("name")}, values)
    return msgspec.structs.replace(entity, id=identity)


def move(connection: sa.Connection, thing_id: int, location_ids: Sequence[int], time_ns: int) -> int:
    """Bring a Thing to its new Locations, and return the HistoricalLocation that remembers it."""
    settle(connection, thing_id, location_ids)
    past = sql.historical_location
    project = sa.select(sql.thing.c.project_id).where(sql.thing.c.id == thing_id).scalar_subquery()
    values = {"thing_id": thing_id, "time_ns": time_ns, "project_id": project}
    made = connection.execute(sa.insert(past).values(values)).inserted_primary_key
    stay = int(made[0]) if made else 0
    rows = [{"historical_location_id": stay, "location_id": one} for one in location_ids]
    connection.execute(sa.insert(sql.historical_place), rows)
    return stay


def settle(connection: sa.Connection, thing_id: int, location_ids: Sequence[int]) -> None:
    """Say where a Thing is now, without remembering it."""
    link = sql.thing_location
    connection.execute(sa.delete(link).where(link.c.thing_id == thing_id))
    rows = [{"thing_id": thing_id, "location_id": one} for one in location_ids]
    if rows:
        connection.execute(sa.insert(link), rows)
    tally.count(connection)


def _place(connection: sa.Connection, thing_id: int, location: Location) -> None:
    """Say where a Thing is; a place of another name is a move, and is remembered."""
    link, table = sql.thing_location, sql.location
    values = msgspec.structs.asdict(location)
    del values["id"]
    query = sa.select(table.c.id, table.c.name, table.c.location).join(link, link.c.location_id == table.c.id)
    present = {row.name: row for row in connection.execute(query.where(link.c.thing_id == thing_id))}
    here = present.get(location.name)
    if here is not None:
        if here.location != location.location:
            values["feature_id"] = None  # what was observed before was observed there
            tally.count(connection)
        connection.execute(sa.update(table).where(table.c.id == here.id).values(values))
        return
    made = connection.execute(sa.insert(table).values({"definition": "", **values})).inserted_primary_key
    move(connection, thing_id, [int(made[0]) if made else 0], time.time_ns())


def _equal(table: sa.Table, values: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in values.items()]


def _all(connection: sa.Connection, query: sa.Select[Any], read: Callable[[Mapping[str, Any]], T]) -> list[T]:
    return [read(dict(row)) for row in connection.execute(query).mappings()]


def _plain(kind: type[T]) -> Callable[[Mapping[str, Any]], T]:
    """Read rows whose columns are called as the fields are."""
    names = [field.name for field in msgspec.structs.fields(kind)]  # type: ignore[arg-type]  # a Struct

    def read(row: Mapping[str, Any]) -> T:
        return kind(**{name: _given(name, row[name]) for name in names})

    return read


def _given(name: str, value: Any) -> Any:
    """Return the value of a field; properties that nobody gave are none."""
    return {} if value is None and name == "properties" else value


def _datastream(row: Mapping[str, Any]) -> Datastream:
    names = [field.name for field in msgspec.structs.fields(Datastream)]
    values = {name: _given(name, row[_LINKS.get(name, name)]) for name in names}
    return Datastream(**{**values, **{name: values[name] or 0 for name in _ABSENT_AS_ZERO}})
