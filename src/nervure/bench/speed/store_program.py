"""Processes beside ``nervure bench store``: one that reads while another writes, one that is killed.

python -m nervure.bench.speed.store_program read|write|open KIND PLACE ROWS

ROWS is how many there are. ``read`` asks until its input ends, ``write`` adds rows until it is killed
and prints how many are stored after each commit, ``open`` opens the store and asks once.
"""

from __future__ import annotations

import select
import sys
import time
from pathlib import Path

import msgspec
import numpy as np

from nervure.bench.speed.store_ours import Ours
from nervure.bench.speed.store_peer import DuckTable, PlainDelta
from nervure.bench.speed.store_rows import COMMIT, MINUTE_NS, part
from nervure.bench.speed.store_subject import DELTA, DUCKDB, OURS, POSTGRES, QUESTIONS, Subject, asked_of
from nervure.core.error import DataError

__all__ = ["Opened", "Seen", "main"]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader saw: the milliseconds of each question, and how many rows there were at the end."""

    each_ms: dict[str, list[float]]
    rows: int


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What was there after opening; ``expected`` is what the position in the log says."""

    rows: int
    expected: int
    sensors: int


def _opened(kind: str, place: str, *, write: bool) -> Subject:
    if kind == OURS:
        return Ours(Path(place), write=write)
    if kind == DUCKDB:
        return DuckTable(Path(place))
    if kind == DELTA:
        return PlainDelta(Path(place))
    from nervure.bench.speed.store_postgres import Postgres

    return Postgres(where=place)


def _read(subject: Subject, rows: int) -> None:
    """Ask all day long what a dashboard asks, and see that nothing is lost or there twice."""
    each: dict[str, list[float]] = {}
    known = turn = 0
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        asked, turn = asked_of(rows, turn), turn + 1
        if subject.name != POSTGRES:  # a server's answers are new by themselves
            begun = time.perf_counter()
            subject.refresh()
            each.setdefault("see what is new", []).append((time.perf_counter() - begun) * 1e3)
        for name, ask in QUESTIONS.items():
            if name.startswith("table"):
                continue
            begun = time.perf_counter()
            found = ask(subject, asked)
            each.setdefault(name, []).append((time.perf_counter() - begun) * 1e3)
            if name.startswith("24 h") and (np.diff(found[0]) != MINUTE_NS).any():
                raise DataError(f"{subject.name}: a reading is lost or there twice")
            if name.startswith("count"):
                if found[0][0] < known:
                    raise DataError(f"{subject.name}: there were {known} rows, now {found[0][0]}")
                known = int(found[0][0])
    print(msgspec.json.encode(Seen(each_ms=each, rows=known)).decode(), flush=True)


def _write(subject: Subject, rows: int) -> None:
    """Add rows until the end."""
    print("ready", flush=True)
    while True:
        subject.write(part(rows, COMMIT))
        rows += COMMIT
        print(rows, flush=True)


def _open(subject: Subject, rows: int) -> None:
    """Ask once."""
    asked = asked_of(rows, 0)
    count = int(subject.count(asked)[0][0])
    sensors = len(subject.last(asked)[0])
    if (np.diff(subject.day(asked)[0]) != MINUTE_NS).any():
        raise DataError(f"{subject.name}: a reading is lost or there twice")
    expected = subject.store.position if isinstance(subject, Ours) else count
    print(msgspec.json.encode(Opened(rows=count, expected=expected, sensors=sensors)).decode(), flush=True)


def main() -> None:
    """Do what is asked."""
    what, kind, place, rows = sys.argv[1:]
    subject = _opened(kind, place, write=what != "read")
    {"read": _read, "write": _write, "open": _open}[what](subject, int(rows))
    subject.close()


if __name__ == "__main__":
    main()
