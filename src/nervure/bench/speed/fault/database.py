"""A PostgreSQL of our own, to be taken away: on a free port of 127.0.0.1, in a folder of its own.

It is run as nobody of note where we are root, whom the server refuses.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from nervure.bench.process import free_ports
from nervure.core.error import EnvironmentMissing

__all__ = ["Postgres", "postgres"]

_USER = "nervure"
_READY_S = 30.0


class Postgres:
    """A server that can be killed and started again; its one database is the catalogue's."""

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        (self._port,) = free_ports(1)
        self._programs, self._folder, self._user = programs, folder, user
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the database."""
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self._port}/postgres"

    def make(self) -> None:
        """Make the data folder; commits are flushed, as in production."""
        command: list[str | Path] = [
            self._programs / "initdb", "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-D",
            self._folder / "data",
        ]  # fmt: skip
        subprocess.run(command, check=True, user=self._user, cwd=self._folder, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command: list[str | Path] = [
            self._programs / "postgres", "-D", self._folder / "data", "-h", "127.0.0.1", "-p",
            str(self._port), "-k", self._folder,
        ]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(command, user=self._user, cwd=self._folder, stderr=log)
        begun = time.monotonic()
        ready: list[str | Path] = [
            self._programs / "pg_isready",
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(self._port),
        ]
        while subprocess.run(ready, check=False).returncode:
            if time.monotonic() - begun > _READY_S:
                raise EnvironmentMissing("PostgreSQL does not answer", where=str(self._folder / "log"))
            time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, with the processes of its connections, as a crash of its machine would."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT)  # its own word for that: SIGKILL would leave children
            self._server.wait()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a server as long as the block lasts; its data go with it."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="nervure-postgres-"))
    user = None
    if os.getuid() == 0:
        user = "postgres" if "postgres" in {one.pw_name for one in pwd.getpwall()} else "nobody"
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    server = Postgres(programs, folder, user)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places:
        raise EnvironmentMissing("no PostgreSQL server is installed", hint="apt install postgresql")
    return places[-1]
