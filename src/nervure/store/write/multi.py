"""Units of Datastreams, and what belongs together in a MultiDatastream (18-088, section 8.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nervure.core.error import QueryError
from nervure.core.sensorthings import BY_NAME, Kind
from nervure.core.unit import code_of
from nervure.store import sql
from nervure.store.write.possible import bounds
from nervure.store.write.work import Work

__all__ = ["COMPLEX", "changed", "completed", "observed", "take_out", "write"]

COMPLEX = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_ComplexObservation"

_MULTI = BY_NAME["MultiDatastream"]


def completed(kind: Kind, values: Mapping[str, Any], properties: Sequence[int], where: str) -> dict[str, Any]:
    """Return the columns that follow from what is said of a new Datastream or MultiDatastream."""
    if kind.name == "Datastream":
        own = {"multi": False, "unit": code_of(values["unit_of_measurement"])}
        return own | bounds(values.get("properties"), where)
    _check(values["units_of_measurement"], values["data_types"], properties, where)
    return {"multi": True, "unit": "", "observation_type": COMPLEX}


def write(work: Work, identity: int, properties: Sequence[int]) -> None:
    """Write which ObservedProperties a MultiDatastream observes, in order."""
    table = sql.datastream_property
    work.connection.execute(sa.delete(table).where(table.c.datastream_id == identity))
    rows = [
        {"datastream_id": identity, "position": position, "observed_property_id": one}
        for position, one in enumerate(properties)
    ]
    if rows:
        work.connection.execute(sa.insert(table), rows)
    work.touched = True


def observed(connection: sa.Connection, identity: int) -> list[int]:
    """Return the ObservedProperties of a MultiDatastream, in order."""
    table = sql.datastream_property
    query = sa.select(table.c.observed_property_id).where(table.c.datastream_id == identity)
    return [int(one) for one in connection.execute(query.order_by(table.c.position)).scalars()]


def changed(work: Work, row: Mapping[str, Any], values: Mapping[str, Any], linked: Sequence[int]) -> None:
    """Check a change of a MultiDatastream, and write its ObservedProperties.

    Those that are linked come to those there are; where units and data types say that they are
    all, they take their place.
    """
    present = observed(work.connection, row["id"])
    after = {**row, **values}
    units, types = after["units_of_measurement"], after["data_types"]
    fits = len(linked) == len(units) and len(present) + len(linked) != len(units)
    properties = list(linked) if linked and fits else [*present, *linked]
    _check(units, types, properties, "$")
    if linked:
        write(work, row["id"], properties)


def take_out(work: Work, row: Mapping[str, Any], gone: int) -> bool:
    """Let a MultiDatastream observe one property less, and tell whether it observed it."""
    present = observed(work.connection, row["id"])
    stay = [position for position, one in enumerate(present) if one != gone]
    if len(stay) == len(present):
        return False
    if not stay:
        raise QueryError("a MultiDatastream needs an ObservedProperty; this is its last")
    rest = {
        name: [row[name][position] for position in stay] for name in ("units_of_measurement", "data_types")
    }
    work.update(_MULTI, row["id"], rest)
    write(work, row["id"], [present[position] for position in stay])
    return True


def _check(units: Sequence[Any], types: Sequence[Any], properties: Sequence[int], where: str) -> None:
    if not len(units) == len(types) == len(properties):
        raise QueryError(
            f"{len(units)} unitOfMeasurements, {len(types)} multiObservationDataTypes and "
            f"{len(properties)} ObservedProperties do not fit together",
            where=where,
            hint="a MultiDatastream has as many of each, in the same order",
        )
