"""Bodies of SensorThings entities as clients write them, and rows to look them up in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from nervure.store import sql

if TYPE_CHECKING:
    from nervure.store.catalogue import Catalogue

__all__ = [
    "POINT",
    "SENSOR",
    "datastream",
    "feature",
    "location",
    "multi",
    "observed",
    "rows",
    "thing",
]

POINT = {"type": "Point", "coordinates": [11.88, 45.4]}
UNIT = {"name": "litre per second", "symbol": "L/s", "definition": "ucum:L/s"}
SENSOR = {"name": "meter", "description": "A meter", "encodingType": "text/html", "metadata": "see there"}


def thing(**more: Any) -> dict[str, Any]:
    return {"name": "pump", "description": "A pump", **more}


def location(longitude: float = 11.88, **more: Any) -> dict[str, Any]:
    point = {"type": "Point", "coordinates": [longitude, 45.4]}
    return {
        "name": f"at {longitude}",
        "description": "A place",
        "encodingType": "application/geo+json",
        "location": point,
        **more,
    }


def feature(longitude: float = 11.88, **more: Any) -> dict[str, Any]:
    made = location(longitude, **more)
    made["feature"] = made.pop("location")
    return made


def observed(name: str = "inflow") -> dict[str, Any]:
    return {"name": name, "description": "Water that flows in", "definition": f"urn:{name}"}


def datastream(**more: Any) -> dict[str, Any]:
    return {
        "name": "inflow of the pump",
        "description": "What flows in",
        "unitOfMeasurement": UNIT,
        "observationType": "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        "Sensor": SENSOR,
        "ObservedProperty": observed(),
        **more,
    }


def multi(*names: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "several",
        "description": "Several at once",
        "multiObservationDataTypes": ["OM_Measurement" for _ in names],
        "unitOfMeasurements": [{**UNIT, "name": f"unit of {name}"} for name in names],
        "Sensor": SENSOR,
        "ObservedProperties": [observed(name) for name in names],
        **more,
    }


def rows(catalogue: Catalogue, table: str) -> list[dict[str, Any]]:
    """Return every row of a table, by id."""
    with catalogue.database.read() as connection:
        found = connection.execute(sa.select(sql.METADATA.tables[table])).mappings().all()
    return sorted((dict(one) for one in found), key=lambda one: tuple(map(str, one.values())))
