"""A small town in a real catalogue and a real store of observations, written row by row."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec
import sqlalchemy as sa

from nervure.core.observation import NO_END, NO_RESULT_TIME, Batch, observation_id
from nervure.store import sql
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.store.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nervure.serve.answer import Answer
    from nervure.serve.sensorthings import SensorThings

__all__ = ["BASE", "HOUR", "ONE", "START", "TWO", "answer", "get", "ids", "town"]

BASE = "http://127.0.0.1:8088/v1.1"
ONE, TWO = Scope(project=1), Scope(project=2)
START = 1_700_000_000_000_000_000 // 3_600_000_000_000 * 3_600_000_000_000
"""2023-11-14T22:00:00Z."""
HOUR = 3_600_000_000_000


@contextlib.contextmanager
def town(folder: Path, database: str = "") -> Iterator[tuple[Catalogue, Observations]]:
    """Two projects: Things 1 to 6 in the first, Thing 7 with Datastream 6 in the second.

    ``database`` is the URL of another database than a SQLite file in the folder.
    """
    with contextlib.ExitStack() as stack:
        catalogue = Catalogue.open(database or folder / "catalogue.db")
        stack.callback(catalogue.close)
        with catalogue.database.write() as connection:
            for name, rows in _rows().items():
                table = sql.METADATA.tables[name]
                for row in rows:
                    connection.execute(sa.insert(table).values(row))
        observations = Observations.open(folder / "observations")
        stack.callback(observations.close)
        observations.append(_old(), 10)
        observations.seal()
        observations.append(_new(), 40)
        yield catalogue, observations


def _described(id: int, name: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "name": name, "description": f"{name}.", "definition": "", "properties": {}, **more}


def _rows() -> dict[str, list[dict[str, Any]]]:
    point = {"type": "Point", "coordinates": [11.3, 46.5]}
    things = [_described(n, f"Thing {n}", properties={"n": n, "a": {"b": [4, n]}}) for n in range(1, 6)]
    things += [_described(6, "Quoted", key="it's"), _described(7, "Foreign", project_id=2)]
    encoded = {"encoding_type": "application/geo+json"}
    return {
        "thing": things,
        **_places(point, encoded),
        "sensor": [_described(1, "Meter", encoding_type="text/html", metadata="http://example.org/meter")],
        "observed_property": [_described(1, "Flow", definition="http://x/flow"), _described(2, "Heat")],
        "datastream": _streams(),
        "datastream_property": [
            {"datastream_id": 3, "position": place, "observed_property_id": one}
            for place, one in enumerate((2, 1, 2))
        ],
        **_tasking(),
    }


def _places(point: dict[str, Any], encoded: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    return {
        "feature_of_interest": [_described(1, "Square", feature=point, **encoded)],
        "location": [
            _described(1, "Home", location=point, feature_id=1, **encoded),
            _described(2, "Away", location=point, **encoded),
            _described(3, "There", location=point, project_id=2, **encoded),
        ],
        "thing_location": [
            {"thing_id": 1, "location_id": 1},
            {"thing_id": 2, "location_id": 1},
            {"thing_id": 7, "location_id": 3},
        ],
        "historical_location": [{"id": n, "thing_id": 1, "time_ns": START + n * HOUR} for n in (1, 2)],
        "historical_place": [
            {"historical_location_id": 1, "location_id": 2},
            {"historical_location_id": 2, "location_id": 1},
        ],
    }


def _tasking() -> dict[str, list[dict[str, Any]]]:
    return {
        "actuator": [_described(1, "Valve", encoding_type="text/html", metadata={"maker": "M"})],
        "tasking_capability": [
            _described(1, "Open", tasking_parameters={"type": "DataRecord"}, thing_id=1, actuator_id=1)
        ],
        "task": [
            {
                "id": 1, "creation_ns": START, "tasking_parameters": {"open": 0.5}, "status": "requested",
                "run_log": [], "properties": {}, "tasking_capability_id": 1,
            }
        ],
    }  # fmt: skip


def _streams() -> list[dict[str, Any]]:
    def stream(id: int, thing: int, **more: Any) -> dict[str, Any]:
        unit = {"name": "litre a second", "symbol": "l/s", "definition": "ucum:L/s"}
        return _described(
            id, f"Stream {id}", thing_id=thing, sensor_id=1, observed_property_id=1, unit="L/s",
            unit_of_measurement=unit, observation_type="", solution="", signal="", kind="reading", every_ns=0,
        ) | more  # fmt: skip

    unit = {"name": "a", "symbol": "a", "definition": "http://x/a"}
    multi = {"observed_property_id": None, "unit_of_measurement": None, "units_of_measurement": [unit] * 3}
    return [
        stream(1, 1),
        stream(2, 1),
        stream(3, 1, multi=True, data_types=["http://x/measurement"] * 3, **multi),
        stream(4, 2, key="four"),
        stream(5, 3, solution="water", signal="inflow", every_ns=HOUR, low=0.0, unit_of_measurement=None),
        stream(6, 7, project_id=2),
    ]


def _old() -> Batch:
    """Twenty hourly readings of Datastream 1 and of Datastream 6, about feature 1."""
    count = 20
    time = [START + row * HOUR for row in range(count)]
    return Batch.of(
        id=[
            *(observation_id(1, row) for row in range(count)),
            *(observation_id(2, row) for row in range(count)),
        ],
        datastream=[1] * count + [6] * count,
        time=time * 2,
        value=[row / 2 for row in range(count)] * 2,
        feature=[1] * count + [0] * count,
    )


def _new() -> Batch:
    """Results of every kind: text, arrays, intervals, an Observation without a result time."""
    extra = (
        '{"resultQuality":"good","parameters":{"p":[1]},"validTime":{"start":%d,"end":%d}}'  # noqa: UP031
        % (START, START + HOUR)
    )
    return Batch.of(
        id=[observation_id(number) for number in range(20, 28)],
        datastream=[1, 1, 2, 2, 3, 4, 4, 5],
        time=[START + hour * HOUR for hour in (20, 21, 0, 1, 0, 0, 1, 0)],
        end_time=[*[NO_END] * 5, START + HOUR, NO_END, NO_END],
        value=[10.0, 10.5, *[float("nan")] * 3, 7.25, -1.0, 3.0],
        low=[*[float("nan")] * 7, 2.5],
        high=[*[float("nan")] * 7, 3.5],
        text=[None, None, '"off"', '{"a":[1,2]}', "[1,2.5,null]", None, None, None],
        feature=[1, 1, 1, 0, 0, 0, 1, 0],
        marks=[0, 0, 0, NO_RESULT_TIME, 0, 0, 0, 0],
        extra=[*[None] * 5, extra, None, None],
        keyed=[False] * 7 + [True],
    )


def answer(things: SensorThings, url: str, scope: Scope = ONE) -> Answer:
    parts = urlsplit(url.removeprefix(BASE).lstrip("/"))
    return things.get(unquote(parts.path), parts.query, BASE, scope)


def get(things: SensorThings, url: str, scope: Scope = ONE) -> Any:
    found = answer(things, url, scope)
    assert found.status == 200, url
    return msgspec.json.decode(found.body)


def ids(page: Any) -> list[Any]:
    return [one["@iot.id"] for one in page["value"]]
