"""A real PostgreSQL for the tests: Debian's server, on a free port of 127.0.0.1, run as nobody of note."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import psycopg

from nervure.bench.speed.postgres import USER, programs, serving
from nervure.store.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Postgres", "programs", "running_postgres"]


class Postgres:
    """A running server, and fresh databases in it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._made = 0
        self._template = False

    def database(self, template: str = "template0") -> str:
        """Make a database and return its URL."""
        self._made += 1
        name = f"nervure_{self._made}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._url(name)

    def catalogue(self) -> str:
        """Make a database whose tables stand already, and return its URL."""
        if not self._template:
            self._run("CREATE DATABASE migrated TEMPLATE template0")
            Catalogue.open(self._url("migrated")).close()
            self._template = True
        return self.database("migrated")

    def drop(self, url: str) -> None:
        """Delete a database, whoever is still connected to it."""
        self._run(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self._port}/{name}"

    def _run(self, statement: str) -> None:
        where = f"host=127.0.0.1 port={self._port} user={USER} dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextlib.contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """Run a server with the programs in ``folder`` as long as the block lasts; its data go with it."""
    with serving(folder) as server:
        yield Postgres(server.port)
