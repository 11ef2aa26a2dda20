"""A real PostgreSQL of our own: a fresh cluster on a free port of 127.0.0.1, run as nobody of note."""

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
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import psycopg

from nervure.bench.process import free_ports
from nervure.core.error import EnvironmentMissing

__all__ = ["USER", "Server", "programs", "serving"]

USER = "nervure"

_FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql*/bin")


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, of the newest version there is, or None."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    places = [one for folder in _FOLDERS for one in Path("/").glob(folder) if (one / "initdb").exists()]
    return max(places, key=lambda one: int((re.findall(r"\d+", str(one)) or ["0"])[0]), default=None)


class Server:
    """A cluster in ``place``; it does not wait for the disk (``-F``): no process's death loses anything."""

    def __init__(self, folder: Path, place: Path, options: Sequence[str] = ()) -> None:
        self._folder, self._options = folder, options
        self._user = _user()
        self._process: subprocess.Popen[bytes] | None = None
        self.place = place
        self.port = 0
        if self._user is not None:
            os.chown(place, pwd.getpwnam(self._user).pw_uid, -1)
        make = ("-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N", "-D", place / "data")
        subprocess.run(
            [folder / "initdb", *make], check=True, user=self._user, cwd=place, stdout=subprocess.DEVNULL
        )

    @property
    def where(self) -> str:
        """How psycopg finds its first database."""
        return f"host=127.0.0.1 port={self.port} user={USER} dbname=postgres"

    def start(self) -> None:
        """Start it on a free port and wait until it answers."""
        [self.port] = free_ports(1)
        serve = ("-D", self.place / "data", "-h", "127.0.0.1", "-p", str(self.port), "-k", self.place, "-F")
        with (self.place / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._folder / "postgres", *serve, *self._options],
                user=self._user,
                cwd=self.place,
                stderr=log,
            )
        for _ in range(600):
            if self._process.poll() is not None:
                break
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.where):
                return
            time.sleep(0.05)
        words = (self.place / "log").read_text("utf-8")
        raise EnvironmentMissing(f"PostgreSQL does not answer: {words}")

    def stop(self) -> None:
        """End it, and the connections that are left."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def cpu_s(self) -> float:
        """Return the processor seconds of its processes so far, those that ended among them."""
        if self._process is None:
            return 0.0
        root = psutil.Process(self._process.pid)
        ended = root.cpu_times()
        spent = float(ended.children_user + ended.children_system)
        for one in (root, *root.children(recursive=True)):
            with contextlib.suppress(OSError):
                spent += int(Path(f"/proc/{one.pid}/schedstat").read_text("ascii").split()[0]) / 1e9
        return spent


@contextlib.contextmanager
def serving(folder: Path, options: Sequence[str] = ()) -> Iterator[Server]:
    """Run a server with the programs in ``folder`` as long as the block lasts; its data go with it."""
    place = Path(tempfile.mkdtemp(prefix="nervure-postgres-"))
    try:
        server = Server(folder, place, options)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _user() -> str | None:
    """Return whom to run as; the server refuses to be run by root."""
    if os.getuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"
