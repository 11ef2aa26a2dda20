"""A street: a few entities in a real catalogue, and Observations asked by the real engine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import sqlalchemy as sa

from nervure.core.observation import NO_END, NO_RESULT_TIME, Batch
from nervure.core.sensorthings import BY_NAME
from nervure.store.catalogue import Catalogue
from nervure.store.column import to_arrow
from nervure.store.engine import Engine
from nervure.store.language.option import Order
from nervure.store.language.parse import parse_filter
from nervure.store.select.condition import condition, ordering, table_of, visible
from nervure.store.select.dialect import duck
from nervure.store.select.source import OBSERVATION
from nervure.store.shelf import Files
from nervure.store.sql import METADATA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Street", "built", "rows"]

SECOND = 1_000_000_000


class Street:
    """Answers filters and sort keys with the ids of rows, on behalf of a project."""

    def __init__(self, catalogue: Catalogue, engine: Engine, batch: Batch, project: int | None = 1) -> None:
        self.project = project
        self._catalogue = catalogue
        self._engine = engine
        self._table = to_arrow(batch)

    def of(self, project: int | None) -> Street:
        """Return the same street as another project sees it."""
        other = Street.__new__(Street)
        other.__dict__.update(self.__dict__, project=project)
        return other

    def ids(self, kind: str, text: str) -> list[int]:
        """Return the ids of the rows of a kind for which a filter holds."""
        one = BY_NAME[kind]
        table = table_of(one)
        holds = condition(parse_filter(text), one, self)
        statement = sa.select(table.c.id).where(holds, *visible(one, self.project)).order_by(table.c.id)
        return self._first(kind, statement)

    def sorted(self, kind: str, text: str, *, descending: bool = False) -> list[int]:
        """Return the ids of the rows of a kind as a key sorts them, then by id."""
        one = BY_NAME[kind]
        table = table_of(one)
        keys = ordering(Order(expression=parse_filter(text), descending=descending), one, self)
        statement = sa.select(table.c.id).where(*visible(one, self.project)).order_by(*keys, table.c.id)
        return self._first(kind, statement)

    def _first(self, kind: str, statement: sa.Select[Any]) -> list[int]:
        found = self._asked(statement) if kind == "Observation" else self.rows(statement)
        return [row[0] for row in found]

    def _asked(self, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
        text, parameters = duck(statement)
        found = self._engine.rows(text, Files(), [self._table], parameters)
        return list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def rows(self, statement: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        with self._catalogue.database.read() as connection:
            return [tuple(row) for row in connection.execute(statement)]

    def datastreams_with(self, condition: sa.ColumnElement[bool]) -> Sequence[int]:
        return self._distinct(OBSERVATION.c.datastream, condition)

    def features_with(self, condition: sa.ColumnElement[bool]) -> Sequence[int]:
        return self._distinct(OBSERVATION.c.feature, condition)

    def _distinct(self, column: Any, condition: sa.ColumnElement[bool]) -> Sequence[int]:
        found = self._asked(sa.select(column).where(condition).distinct())
        return [key for (key,) in found if key]


@contextlib.contextmanager
def built(
    place: str | Path, folder: Path, tables: dict[str, list[dict[str, Any]]], batch: Batch
) -> Iterator[Street]:
    """Write rows into a catalogue, and let Observations be asked beside it."""
    with contextlib.ExitStack() as stack:
        catalogue = Catalogue.open(place)
        stack.callback(catalogue.close)
        with catalogue.database.write() as connection:
            for name, some in tables.items():
                for row in some:
                    connection.execute(sa.insert(METADATA.tables[name]).values(row))
        engine = Engine(folder)
        stack.callback(engine.close)
        yield Street(catalogue, engine, batch)


def described(id: int, name: str, **more: Any) -> dict[str, Any]:
    """Return the columns that most kinds have."""
    return {"id": id, "name": name, "description": "", "definition": "", "properties": {}, **more}


def rows() -> tuple[dict[str, list[dict[str, Any]]], Batch]:
    """Return the street's entities by table, and its Observations.

    Things 1 to 4, of which the last one is called ``abc`` and has nothing; Datastreams 1 and 2 are of
    Thing 1, 3 and 4 of Thing 2, and 5 is a MultiDatastream of Thing 3. Observations 1 to 20 go round
    the Datastreams, one a second; the results of the last three are no numbers. What has ids from 90
    on belongs to project 2.
    """
    properties: dict[int, Any] = {
        n: {
            "n": n,
            "s": "one" if n < 3 else "two",
            "even": n % 2 == 0,
            "list": [n, n + 1, "x"],
            "o": {"a-b": {"c": n}},
            "since": f"2015-01-0{n}T00:00:00+01:00",
        }
        for n in (1, 2, 3)
    }
    things = [described(n, f"Thing {n}", properties=properties.get(n, {})) for n in (1, 2, 3)]
    things += [described(4, "Thing 4", key="abc"), described(90, "Foreign", project_id=2)]
    written = {"encoding_type": "application/geo+json"}
    places = [described(n, f"Place {n}", location=_point(n, 50), **written) for n in (1, 2, 3)]
    places.append(
        described(4, "Line", location={"type": "LineString", "coordinates": [[0, 0], [3, 4]]}, **written)
    )
    places.append(described(5, "Word", location="behind the church", **written))
    places.append(described(90, "Foreign", location=_point(1, 50), project_id=2, **written))
    square = {"type": "Feature", "properties": {}, "geometry": _point(1, 1)}
    streams = [_stream(n, (n + 1) // 2, sensor_id=1 if n < 4 else None, multi=n == 5) for n in range(1, 6)]
    tables = {
        "thing": things,
        "location": places,
        "thing_location": [{"thing_id": n, "location_id": n} for n in (1, 2, 3, 90)],
        "sensor": [described(1, "Meter", encoding_type="text/html", metadata="http://example.org")],
        "observed_property": [described(1, "Heat")],
        "feature_of_interest": [described(1, "Square", feature=square, **written)],
        "datastream": [*streams, _stream(90, 90, project_id=2, sensor_id=1)],
    }
    return tables, _observations()


def _point(*coordinates: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": list(coordinates)}


def _stream(id: int, thing_id: int, **more: Any) -> dict[str, Any]:
    times = {"phenomenon_start_ns": id * SECOND, "phenomenon_end_ns": 2 * id * SECOND} if id < 4 else {}
    return {
        **described(id, f"Stream {id}", properties={"limit": id * 1.5}),
        "thing_id": thing_id, "observed_property_id": 1, "unit": "",
        "unit_of_measurement": {"name": None, "symbol": "°C"}, "observation_type": "",
        "solution": "", "signal": "", "kind": "", "every_ns": 0, **times, **more,
    }  # fmt: skip


def _observations() -> Batch:
    number = np.arange(1, 21)
    results = {18: '"on"', 19: "true", 20: '[1,2,{"a":"b"}]'}
    extra = [
        {"parameters": {"n": int(n)}, "validTime": {"start": int(n) * SECOND, "end": (int(n) + 2) * SECOND}}
        for n in number
    ]
    return Batch.of(
        id=number,
        datastream=(number - 1) % 5 + 1,
        time=number * SECOND,
        end_time=np.where(number == 10, 12 * SECOND, NO_END),
        value=np.where(number < 18, number, np.nan),
        text=[results.get(int(n)) for n in number],
        feature=np.where(number < 5, 1, 0),
        marks=np.where(number % 2, NO_RESULT_TIME, 0),
        extra=[
            msgspec.json.encode(one).decode() if n % 3 == 0 else None
            for n, one in zip(number, extra, strict=True)
        ],
    )
