"""Two processes at one store: a reader beside the writer, and a writer that is killed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from nervure.bench.speed.row import Row, Turns
from nervure.bench.speed.store_program import Opened, Seen
from nervure.bench.speed.store_rows import SENSORS, part
from nervure.bench.speed.store_subject import DELTA, DUCKDB, OURS, POSTGRES, Clock, Subject, asked_of
from nervure.core.error import DataError
from nervure.store.digest import forget

__all__ = ["killed", "read_meanwhile"]

_READ = (OURS, DELTA, POSTGRES)
_KILLED = (OURS, DUCKDB)

Case = Callable[[str], str]


def read_meanwhile(case: Case, subjects: Sequence[Subject], rows: int, size: int, turns: int) -> list[Row]:
    """Write on, alone and while another process asks without pause; DuckDB lets no other process in."""
    found, next_row = Turns("store"), dict.fromkeys(_READ, rows)
    for turn in range(2 * turns):
        read = turn % 4 in {1, 2}
        for subject in subjects:
            name = subject.name
            if name not in _READ:
                continue
            one, clock = part(next_row[name], size), Clock(subject)
            next_row[name] += size
            if read:
                with _reader(subject, rows) as seen, clock:
                    subject.write(one)
                for question, each_ms in seen[0].each_ms.items():
                    asked = case(f"{question}, from another process meanwhile")
                    found.add(asked, name, "ms", float(np.median(each_ms)))
            else:
                with clock:
                    subject.write(one)
            who = _read_by(name) if read else name
            found.add(case("write on"), who, "rows/s", size / clock.wall_s)
            found.add(case("write on"), who, "rows per CPU-s", size / clock.cpu_s)
    return found.rows({_read_by(name): [name] for name in _READ} | {OURS: [DELTA, POSTGRES]})


def _read_by(name: str) -> str:
    return f"{name}, being read"


@contextmanager
def _reader(subject: Subject, rows: int) -> Iterator[list[Seen]]:
    """Let another process ask meanwhile; the list holds afterwards what it saw."""
    seen: list[Seen] = []
    with _program("read", subject, rows) as process:
        _line(process)
        yield seen
        assert process.stdin is not None  # noqa: S101 - it was asked for
        process.stdin.close()
        seen.append(msgspec.json.decode(_line(process), type=Seen))


def killed(case: Case, subjects: Sequence[Subject], turns: int, forgotten: int) -> list[Row]:
    """Kill a process that writes, at a random instant, and open the store again.

    Ours is killed ``forgotten`` times more, and opened without the digest that quickens its start. Raises
    ``DataError`` where a row is lost that was stored, or is there twice.
    """
    found = Turns("store")
    for subject in subjects:
        if subject.name not in _KILLED:
            continue
        rows = int(subject.count(asked_of(SENSORS, 0))[0][0])
        subject.close()
        for turn in range(turns + (forgotten if subject.name == OURS else 0)):
            stored, begun = _kill(subject, rows)
            if turn >= turns:
                forget(Path(subject.place))
            opened, rows = _open(subject, stored)
            what = "from kill -9 to answers" + (", without its digest" if turn >= turns else "")
            found.add(case(what), subject.name, "s", opened - begun)
        subject.open()
    return found.rows({OURS: [DUCKDB]})


def _kill(subject: Subject, rows: int) -> tuple[int, float]:
    """Return how many rows were stored for certain, and when the writer was killed."""
    with _program("write", subject, rows) as process:
        _line(process)
        stored = int(_line(process))
        time.sleep(random.uniform(0.05, 0.8))
        begun = time.perf_counter()
        process.kill()
        assert process.stdout is not None  # noqa: S101 - it was asked for
        rest = process.stdout.read().splitlines()
    return int(rest[-1]) if rest else stored, begun


def _open(subject: Subject, stored: int) -> tuple[float, int]:
    """Return when a new process has answered, and how many rows there are."""
    with _program("open", subject, stored) as process:
        found = msgspec.json.decode(_line(process), type=Opened)
        opened = time.perf_counter()
    if found.rows < stored or found.rows != found.expected or found.sensors != SENSORS:
        raise DataError(f"{subject.name}: {stored} rows were stored, after the kill there are {found}")
    return opened, found.rows


@contextmanager
def _program(what: str, subject: Subject, rows: int) -> Iterator[subprocess.Popen[bytes]]:
    program = [sys.executable, "-m", "nervure.bench.speed.store_program"]
    command = [*program, what, subject.name, subject.place, str(rows)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            if what != "open":
                process.kill()


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    found = process.stdout.readline()
    if not found:
        raise DataError("a process beside the bench ended; see what it printed")
    return found
