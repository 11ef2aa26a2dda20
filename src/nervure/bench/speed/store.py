"""``nervure bench store``: our store beside DuckDB's own table, PostgreSQL, plain Parquet and plain Delta.

One run: each part of the rows is made once and written by all in turns, then all are asked the same
questions in turns, and their answers must agree. Then one process writes while another reads, and a
writer is killed and the store opened again.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from nervure.bench.speed.row import Row, Turns
from nervure.bench.speed.run import Tell, silent
from nervure.bench.speed.store_beside import killed, read_meanwhile
from nervure.bench.speed.store_ours import Ours
from nervure.bench.speed.store_peer import DuckTable, PlainDelta, PlainParquet
from nervure.bench.speed.store_rows import parts
from nervure.bench.speed.store_subject import OURS, QUESTIONS, Asked, Clock, Subject, agree, asked_of, evict
from nervure.core.error import EnvironmentMissing

__all__ = ["NOTES", "measure"]

NOTES = tuple(
    """\
Rows are one reading a minute of each of 1,000 sensors, to two decimals, in the order of time. All commit \
200,000 of them at a time. What is committed survives the death of any process everywhere; none but DuckDB \
waits for the disk.
Ours finds duplicates, keeps what is newest of each sensor and the position in the log, and has thirteen \
columns. The others have the six that these readings fill. PostgreSQL has the primary key (datastream, time) \
and a gigabyte of shared buffers; the seconds of its client count too. DuckDB, Parquet and Delta are given \
Arrow tables that are made already. Parquet and Delta are in folders by day, with the defaults of their \
writers, and are asked through DuckDB.
Bytes a row are those of what a new reader needs: the files of the newest version and the table's log. \
Compaction is what each has for it: merging by day and sorting (ours), `VACUUM ANALYZE` (PostgreSQL), \
`CHECKPOINT` (DuckDB), one file a day in the order of arrival (Parquet), `optimize.compact` (Delta).
Warm: each was asked before. Cold: before each question the store was closed and opened, and its files were \
taken out of the page cache; what ours keeps in memory is there again once it is open. All answers were \
compared, and agree. The table for training and the means go as far back as there are rows: ten million are \
6.9 days.
After a kill -9 the seconds include the start of the process that opens the store. DuckDB lets no second \
process read while one writes.""".splitlines()
)

PART = 1_000_000
"""So many rows are written in a turn."""


class _Size(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows there are, how many turns of each kind, and whether peers have two processes too."""

    rows: int = 0
    peers: bool = True
    warm: int = 9
    cold: int = 3
    beside: int = 4
    kills: int = 4
    forgotten: int = 4

    @property
    def part(self) -> int:
        """So many rows are written in a turn."""
        return min(PART, max(1, self.rows // 2))

    def case(self, what: str) -> str:
        """Name a case."""
        return f"{self.rows:,} rows: {what}"


_LARGE = 50_000_000
_FEWER = _Size(warm=5, cold=2, beside=2, kills=2, forgotten=2)
_QUICK = _Size(peers=False, warm=3, cold=0, beside=1, kills=1, forgotten=0)


def measure(
    *, rows: Sequence[int], postgres: bool = True, quick: bool = False, progress: Tell = silent
) -> list[Row]:
    """Measure all stores with so many rows, for each number that is given.

    Raises ``DataError`` where two of them answer differently, or a row is lost.
    """
    found: list[Row] = []
    for place, count in enumerate(rows):
        size = _QUICK if quick else _FEWER if count >= _LARGE else _Size()
        size = msgspec.structs.replace(size, rows=count)
        told = partial(_told, progress, place, len(rows))
        with tempfile.TemporaryDirectory(prefix="nervure-bench-") as folder, contextlib.ExitStack() as stack:
            found += _run(size, _subjects(Path(folder), stack, postgres=postgres), told)
    return found


def _told(progress: Tell, place: int, count: int, share: float, what: str) -> None:
    progress((place + share) / count, what)


def _subjects(folder: Path, stack: contextlib.ExitStack, *, postgres: bool) -> list[Subject]:
    """Open all stores, empty."""
    makers: list[Callable[[], Subject]] = [
        lambda: Ours(folder / "nervure"),
        lambda: DuckTable(folder / "duckdb"),
        lambda: PlainParquet(folder / "parquet"),
        lambda: PlainDelta(folder / "delta"),
    ]
    if postgres:
        makers.append(lambda: _postgres(stack))
    found = []
    for make in makers:
        subject = make()
        stack.callback(subject.close)
        found.append(subject)
    return found


def _postgres(stack: contextlib.ExitStack) -> Subject:
    try:
        from nervure.bench.speed.postgres import programs, serving
        from nervure.bench.speed.store_postgres import OPTIONS, Postgres
    except ImportError as cause:
        raise EnvironmentMissing(str(cause), hint="pip install 'nervure[bench]'") from cause
    folder = programs()
    if folder is None:
        raise EnvironmentMissing(
            "no PostgreSQL server is installed", hint="Debian: apt install postgresql; or --no-postgres"
        )
    return Postgres(stack.enter_context(serving(folder, OPTIONS)))


def _run(size: _Size, subjects: Sequence[Subject], progress: Tell) -> list[Row]:
    turns = Turns("store")
    for place, one in enumerate(parts(0, size.rows, size.part)):
        progress(0.4 * place * size.part / size.rows, size.case("writing"))
        for subject in _rotated(subjects, place):
            with Clock(subject) as clock:
                subject.write(one)
            turns.add(size.case("write"), subject.name, "rows/s", len(one) / clock.wall_s)
            turns.add(size.case("write"), subject.name, "rows per CPU-s", len(one) / clock.cpu_s)
    progress(0.4, size.case("compaction"))
    for subject in subjects:
        turns.add(size.case("as written"), subject.name, "bytes a row", subject.size() / size.rows)
        with Clock(subject) as clock:
            subject.settle()
        turns.add(size.case("compaction"), subject.name, "s", clock.wall_s)
        turns.add(size.case("compaction"), subject.name, "CPU-s", clock.cpu_s)
        turns.add(size.case("compacted"), subject.name, "bytes a row", subject.size() / size.rows)
    _ask(size, subjects, turns, progress)
    rows = turns.rows({OURS: [subject.name for subject in subjects if subject.name != OURS]})
    some = [one for one in subjects if size.peers or one.name == OURS]
    progress(0.8, size.case("reading while writing"))
    rows += read_meanwhile(size.case, some, size.rows, size.part, size.beside)
    progress(0.9, size.case("killing and opening"))
    return rows + killed(size.case, some, size.kills, size.forgotten)


def _ask(size: _Size, subjects: Sequence[Subject], turns: Turns, progress: Tell) -> None:
    """Ask in turns, warm and then cold; the first answers are not measured, and all must agree."""
    for turn in range(size.warm + 1):
        progress(0.45 + 0.2 * turn / (size.warm + 1), size.case("asking"))
        for name in QUESTIONS:
            known = turns if turn else Turns("store")
            _one(size.case(f"{name}, warm"), name, subjects, turn, asked_of(size.rows, turn), known)
    for turn in range(size.cold):
        progress(0.65 + 0.15 * turn / size.cold, size.case("asking, cold"))
        for name in QUESTIONS:
            for subject in subjects:
                subject.close()
                subject.open()
                evict(subject.files())
            _one(size.case(f"{name}, cold"), name, subjects, turn, asked_of(size.rows, turn), turns)


def _one(case: str, name: str, subjects: Sequence[Subject], turn: int, asked: Asked, turns: Turns) -> None:
    """Ask all one question."""
    answers, clocks = {}, {}
    for subject in _rotated(subjects, turn):
        with Clock(subject) as clocks[subject.name]:
            answers[subject.name] = QUESTIONS[name](subject, asked)
    for subject in subjects:
        turns.add(case, subject.name, "ms", clocks[subject.name].wall_s * 1e3)
        turns.add(case, subject.name, "CPU ms", clocks[subject.name].cpu_s * 1e3)
    agree(case, answers)


def _rotated(subjects: Sequence[Subject], turn: int) -> list[Subject]:
    """Let another one begin in each turn."""
    first = turn % len(subjects)
    return [*subjects[first:], *subjects[:first]]
