"""A real PostgreSQL for the tests: Debian's server, on a free port of 127.0.0.1, run as nobody of note."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from nervure.store.catalogue import Catalogue
from tests.support import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Postgres", "programs", "running_postgres"]

USER = "nervure"
FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql*/bin")


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


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, of the newest version there is, or None."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    places = [one for folder in FOLDERS for one in Path("/").glob(folder) if (one / "initdb").exists()]
    return max(places, key=lambda one: int((re.findall(r"\d+", str(one)) or ["0"])[0]), default=None)


@contextlib.contextmanager
def running_postgres(folder: Path) -> Iterator[Postgres]:
    """Run a server with the programs in ``folder`` as long as the block lasts; its data go with it."""
    place = Path(tempfile.mkdtemp(prefix="nervure-postgres-"))
    user = _user()
    if user is not None:
        os.chown(place, pwd.getpwnam(user).pw_uid, -1)
    try:
        make = ("-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N", "-D", place / "data")
        subprocess.run(
            [folder / "initdb", *make], check=True, user=user, cwd=place, stdout=subprocess.DEVNULL
        )
        [port] = free_ports(1)
        serve = ("-D", place / "data", "-h", "127.0.0.1", "-p", str(port), "-k", place, "-F")
        with (place / "log").open("wb") as log:
            server = subprocess.Popen([folder / "postgres", *serve], user=user, cwd=place, stderr=log)
        try:
            _wait(server, port, place / "log")
            yield Postgres(port)
        finally:
            server.send_signal(signal.SIGINT)  # it ends the connections that are left
            server.wait(20)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _user() -> str | None:
    """Return whom to run as; the server refuses to be run by root."""
    if os.getuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    where = f"host=127.0.0.1 port={port} user={USER} dbname=postgres"
    for _ in range(200):
        assert server.poll() is None, log.read_text("utf-8")
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(where):
            return
        time.sleep(0.1)
    raise AssertionError(f"PostgreSQL does not answer: {log.read_text('utf-8')}")
