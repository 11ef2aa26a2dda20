"""Fixtures of every test."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nervure.store.catalogue import Catalogue
from nervure.store.write.writer import Writer
from tests.postgres import Postgres, programs, running_postgres
from tests.support import make_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nervure.core.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a node of its own: a fresh data folder and free ports on loopback."""
    return make_settings(tmp_path)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this test process."""
    folder = programs()
    if folder is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt install postgresql)")
    with running_postgres(folder) as server:
        yield server


@pytest.fixture(scope="session")
def empty_catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every table and no rows, to be copied."""
    place = tmp_path_factory.mktemp("empty") / "catalogue.db"
    Catalogue.open(place).close()
    return place


@pytest.fixture(params=["sqlite", "postgresql"])
def catalogue_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | Path]:
    """Where a catalogue lies, on either database: its tables stand, and are empty."""
    if request.param == "sqlite":
        empty = request.getfixturevalue("empty_catalogue")
        yield Path(shutil.copy(empty, tmp_path / "catalogue.db"))
        return
    server: Postgres = request.getfixturevalue("postgres")
    made = server.catalogue()
    yield made
    server.drop(made)


@pytest.fixture
def catalogue(catalogue_place: str | Path) -> Iterator[Catalogue]:
    """A catalogue of either database."""
    opened = Catalogue.open(catalogue_place)
    yield opened
    opened.close()


@pytest.fixture
def writer(catalogue: Catalogue) -> Writer:
    """What makes and changes entities in :func:`catalogue`."""
    return Writer(catalogue)
