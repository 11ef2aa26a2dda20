"""A catalogue of an older version, with rows in it, brought up to date on either database."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from nervure.core.entity import Datastream, Location, Sensor, Thing
from nervure.store.catalogue import Catalogue
from nervure.store.database import Database
from nervure.store.sql import METADATA
from nervure.store.write.writer import Writer
from tests.body import rows
from tests.postgres import Postgres

ROWS = """
INSERT INTO thing VALUES (1, 'pump', 'A pump', '', '{"people": 5}');
INSERT INTO thing VALUES (2, 'mill', '', '', '{}');
INSERT INTO location VALUES (1, 'depot', '', '', 'application/geo+json', '{"type": "Point"}', '{}');
INSERT INTO location VALUES (2, 'street', '', '', 'application/geo+json', '{"type": "Point"}', '{}');
INSERT INTO thing_location VALUES (1, 2);
INSERT INTO historical_location VALUES (1, 1, 1, 5), (2, 1, 2, 9);
INSERT INTO sensor VALUES (1, 'meter', '', '', 'text/html', 'https://example.org/"meter"', '{}');
INSERT INTO observed_property VALUES (1, 'inflow', '', 'urn:inflow', '{}');
INSERT INTO feature_of_interest VALUES (1, 'pipe', '', '', 'application/geo+json', '{"type": "Point"}', '{}');
"""
STREAM: dict[str, object] = {
    "name": "inflow",
    "description": "",
    "definition": "",
    "thing_id": 1,
    "sensor_id": 1,
    "observed_property_id": 1,
    "unit": "L/s",
    "observation_type": "",
    "solution": "water",
    "signal": "inflow",
    "kind": "reading",
    "every_ns": 60,
    "properties": "{}",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """A catalogue as version 0002 left it."""
    server: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    place: str | Path = tmp_path / "catalogue.db" if server is None else server.database()
    config = Config()
    config.set_main_option("script_location", "src/nervure/store/migration")
    with closing(Database(place)) as database, database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for statement in filter(None, map(str.strip, ROWS.split(";\n"))):
            connection.exec_driver_sql(statement)
        table = sa.table("datastream", *(sa.column(name) for name in ("id", "source_id", *STREAM)))
        ahead: dict[str, object] = {"name": "ahead", "kind": "forecast", "source_id": 1, "unit": "odd"}
        for row, said in ((1, STREAM), (2, STREAM | ahead)):
            values: dict[str, Any] = {
                name: sa.literal_column(_written(value)) for name, value in said.items()
            }
            connection.execute(sa.insert(table).values(id=row, **values))
    return place


def test_every_row_of_an_older_catalogue_is_kept(old: str | Path) -> None:
    with closing(Catalogue.open(old)) as catalogue:
        assert catalogue.things() == [
            Thing(id=1, name="pump", description="A pump", properties={"people": 5}),
            Thing(id=2, name="mill"),
        ]
        point = {"type": "Point"}
        here = Location(id=2, name="street", location=point)
        assert catalogue.locations(1) == [here]
        assert catalogue.historical_locations(1) == [
            (9, here),
            (5, Location(id=1, name="depot", location=point)),
        ]
        assert catalogue.sensors() == [Sensor(id=1, name="meter", metadata='https://example.org/"meter"')]
        assert catalogue.features()[0].name == "pipe"
        readings, ahead = catalogue.datastreams()
        assert readings == Datastream(
            id=1,
            name="inflow",
            unit="L/s",
            thing=1,
            sensor=1,
            observed_property=1,
            solution="water",
            signal="inflow",
            every_ns=60,
        )
        assert (ahead.source, ahead.unit) == (1, "odd")
        first, second = rows(catalogue, "datastream")
        assert first["unit_of_measurement"]["name"] == "liter per second"
        assert second["unit_of_measurement"]["name"] == "odd"
        assert {row["project_id"] for row in (first, second)} == {1}
        assert [row["multi"] for row in (first, second)] == [False, False]


def test_foreign_keys_hold_again_after_tables_were_copied(old: str | Path) -> None:
    with closing(Catalogue.open(old)) as catalogue:
        assert Writer(catalogue).delete("Sensor", 1).datastreams == (1, 2)
        assert rows(catalogue, "datastream") == []
        for name in ("thing", "location"):
            with catalogue.database.write() as connection:
                connection.execute(sa.delete(METADATA.tables[name]))
        assert rows(catalogue, "historical_location") == rows(catalogue, "historical_place") == []


def test_tables_that_were_changed_are_those_that_the_code_declares(old: str | Path) -> None:
    Catalogue.open(old).close()
    with closing(Database(old)) as database, database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def _written(value: object) -> str:
    return str(value) if isinstance(value, int) else f"'{value}'"
