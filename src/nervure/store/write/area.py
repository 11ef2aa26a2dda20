"""Where Datastreams have observed: the bounding box of their features (18-088, section 8.2.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from nervure.store import sql
from nervure.store.write.work import chunks

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

__all__ = ["GEOJSON", "geometry", "observed", "recompute"]

GEOJSON = frozenset({"application/geo+json", "application/vnd.geo+json"})
"""Media types under which a Location or a feature is GeoJSON."""


def geometry(value: object) -> BaseGeometry | None:
    """Read GeoJSON (RFC 7946): a geometry, a Feature or a FeatureCollection; None if it is none."""
    import shapely
    from shapely.geometry import shape

    if not isinstance(value, Mapping):
        return None
    if value.get("type") == "FeatureCollection":
        inside = value.get("features")
        parts = [geometry(one) for one in inside] if isinstance(inside, list) else [None]
        whole = [one for one in parts if one is not None]
        return shapely.GeometryCollection(whole) if len(whole) == len(parts) else None
    if value.get("type") == "Feature":
        inner = value.get("geometry")
        return shapely.GeometryCollection() if inner is None else geometry(inner)
    try:
        return shape(dict(value))
    except (
        ArithmeticError, AttributeError, LookupError, TypeError, ValueError, shapely.errors.ShapelyError
    ):  # fmt: skip
        return None


def observed(connection: sa.Connection, pairs: Iterable[tuple[int, int]]) -> bool:
    """Note which features Datastreams have observed, let their observedArea grow; tell if any was new."""
    table = sql.datastream_feature
    wanted = sorted(set(pairs))
    streams = sorted({stream for stream, _ in wanted})
    features = sorted({feature for _, feature in wanted})
    alive = _alive(connection, sql.datastream, streams), _alive(connection, sql.feature_of_interest, features)
    known = set()
    for part in chunks(streams):
        held = sa.select(table.c.datastream_id, table.c.feature_id).where(table.c.datastream_id.in_(part))
        known |= {(int(row[0]), int(row[1])) for row in connection.execute(held)}
    new = [one for one in wanted if one not in known and one[0] in alive[0] and one[1] in alive[1]]
    if not new:
        return False
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    rows = [{"datastream_id": stream, "feature_id": feature} for stream, feature in new]
    connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)
    shapes = _shapes(connection, sorted({feature for _, feature in new}))
    for stream in {stream for stream, _ in new}:
        area = sa.select(sql.datastream.c.observed_area).where(sql.datastream.c.id == stream)
        before = geometry(connection.execute(area).scalar_one())
        _write(connection, stream, [before, *(shapes.get(one) for of, one in new if of == stream)])
    return True


def recompute(connection: sa.Connection, streams: Iterable[int]) -> None:
    """Write the observedArea of Datastreams anew, after a feature has changed or is gone."""
    table = sql.datastream_feature
    for stream in sorted(set(streams)):
        held = sa.select(table.c.feature_id).where(table.c.datastream_id == stream)
        shapes = _shapes(connection, [int(one) for one in connection.execute(held).scalars()])
        _write(connection, stream, list(shapes.values()))


def _alive(connection: sa.Connection, table: sa.Table, ids: list[int]) -> set[int]:
    found: set[int] = set()
    for part in chunks(ids):
        found |= set(connection.execute(sa.select(table.c.id).where(table.c.id.in_(part))).scalars())
    return found


def _shapes(connection: sa.Connection, features: list[int]) -> dict[int, BaseGeometry]:
    table = sql.feature_of_interest
    found: dict[int, BaseGeometry] = {}
    for part in chunks(features):
        query = sa.select(table.c.id, table.c.feature).where(table.c.id.in_(part))
        for row in connection.execute(query.where(table.c.encoding_type.in_(GEOJSON))):
            shape = geometry(row.feature)
            if shape is not None:
                found[int(row.id)] = shape
    return found


def _write(connection: sa.Connection, stream: int, shapes: Iterable[BaseGeometry | None]) -> None:
    some = [one.bounds for one in shapes if one is not None and not one.is_empty]
    box = _box(some) if some else sa.null()
    table = sql.datastream
    connection.execute(sa.update(table).where(table.c.id == stream).values(observed_area=box))


def _box(bounds: Sequence[tuple[float, float, float, float]]) -> dict[str, Any]:
    """Return the box around boxes: a polygon, or a point or a line where it has no extent."""
    west, south, east, north = (
        end(one[place] for one in bounds) for place, end in enumerate((min, min, max, max))
    )
    if (west, south) == (east, north):
        return {"type": "Point", "coordinates": [west, south]}
    if west == east or south == north:
        return {"type": "LineString", "coordinates": [[west, south], [east, north]]}
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}
