"""What ``nervure bench store`` asks of each store, and how answers are held against each other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.speed.store_rows import MINUTE_NS, SENSORS, Part, instant_of
from nervure.core.error import DataError
from nervure.core.instant import DAY_NS

__all__ = [
    "DELTA",
    "DUCKDB",
    "OURS",
    "PARQUET",
    "POSTGRES",
    "QUESTIONS",
    "Answer",
    "Asked",
    "Clock",
    "Subject",
    "agree",
    "asked_of",
    "evict",
    "placed",
    "weight",
]

OURS = "nervure"
DUCKDB, PARQUET, DELTA, POSTGRES = "DuckDB table", "plain Parquet", "plain Delta", "PostgreSQL"

Answer = tuple[NDArray[Any], ...]
"""Columns ``[row]``, of which all but the last are keys; or a single array."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """About what is asked: one sensor, or some that are numbered in a row, up to an instant."""

    sensor: int
    first: int
    last: int
    end_ns: int
    history_ns: int

    @property
    def day(self) -> tuple[int, int]:
        """The last 24 hours."""
        return self.end_ns - DAY_NS, self.end_ns

    @property
    def week(self) -> tuple[int, int]:
        """The last 7 days."""
        return self.end_ns - 7 * DAY_NS, self.end_ns

    @property
    def history(self) -> tuple[int, int]:
        """What training takes."""
        return self.end_ns - self.history_ns, self.end_ns


def asked_of(rows: int, turn: int) -> Asked:
    """Return what is asked in a turn about the newest of so many rows."""
    chance = np.random.default_rng([1, turn])
    first = int(chance.integers(1, SENSORS - 100))
    return Asked(
        sensor=int(chance.integers(1, SENSORS + 1)),
        first=first,
        last=first + 99,
        end_ns=instant_of(rows - 1) + MINUTE_NS,
        history_ns=min(28 * DAY_NS, -(-rows // SENSORS) * MINUTE_NS),
    )


class Subject(Protocol):
    """A store with its rows."""

    @property
    def name(self) -> str:
        """Its name, in words for people."""

    @property
    def place(self) -> str:
        """Where another process finds it."""

    def cpu_s(self) -> float:
        """Return the processor seconds of all its processes so far, this one among them."""

    def write(self, part: Part) -> None:
        """Store rows in commits; the death of the process loses none of them afterwards."""

    def settle(self) -> None:
        """Do what is done now and then for size and queries: compaction, vacuum, checkpoint."""

    def size(self) -> int:
        """Return the bytes that its rows take on the disk, with all that belongs to them."""

    def open(self) -> None:
        """Open it again after it was closed: what it kept in memory is gone."""

    def files(self) -> Iterable[Path]:
        """Return what lies on the disk."""

    def refresh(self) -> None:
        """See what another process has stored since."""

    def close(self) -> None:
        """Let go."""

    def last(self, asked: Asked) -> Answer:
        """Return sensor, time (ns) and value of the newest reading of each."""

    def day(self, asked: Asked) -> Answer:
        """Return time (ns) and value of the readings of one sensor in a day."""

    def means(self, asked: Asked) -> Answer:
        """Return sensor, slot (ns) and mean over 15 minutes of some sensors in a week."""

    def count(self, asked: Asked) -> Answer:
        """Return how many readings there are."""

    def table(self, asked: Asked) -> Answer:
        """Return the readings of some sensors as ``[minute, sensor]``."""


QUESTIONS: dict[str, Callable[[Subject, Asked], Answer]] = {
    "last value of each of 1,000 sensors": lambda subject, asked: subject.last(asked),
    "24 h of one sensor": lambda subject, asked: subject.day(asked),
    "15-min means of 100 sensors over 7 days": lambda subject, asked: subject.means(asked),
    "count of all": lambda subject, asked: subject.count(asked),
    "table of 100 sensors for training": lambda subject, asked: subject.table(asked),
}


class Clock:
    """Time on the clock and processor time of a subject, inside a ``with``."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.wall_s = self.cpu_s = 0.0

    def __enter__(self) -> Self:
        self._cpu, self._wall = self._subject.cpu_s(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s += time.perf_counter() - self._wall
        self.cpu_s += self._subject.cpu_s() - self._cpu


def agree(question: str, answers: dict[str, Answer]) -> None:
    """Raise ``DataError`` where two subjects answer the same question differently."""
    (first, mine), *others = answers.items()
    mine = _ordered(mine)
    for name, theirs in others:
        for left, right in zip(mine, _ordered(theirs), strict=True):
            if left.shape != right.shape or not np.allclose(left, right, rtol=1e-9, atol=0, equal_nan=True):
                raise DataError(f"{question}: {name} answers otherwise than {first}")


def _ordered(answer: Answer) -> Answer:
    """Put rows in the order of their keys."""
    if len(answer) == 1:
        return answer
    order = np.lexsort(answer[-2::-1])
    return tuple(column[order] for column in answer)


def placed(asked: Asked, sensor: NDArray[Any], time_us: NDArray[Any], value: NDArray[Any]) -> Answer:
    """Put rows on the minutes of a table ``[minute, sensor]``."""
    start, end = asked.history
    first = start // MINUTE_NS
    found = np.full((-(-end // MINUTE_NS) - first, asked.last - asked.first + 1), np.nan)
    found[time_us // (MINUTE_NS // 1000) - first, sensor - asked.first] = value
    return (found,)


def weight(files: Iterable[Path]) -> int:
    """Return how many bytes files have together."""
    return sum(file.stat().st_size for file in files)


def evict(files: Iterable[Path]) -> None:
    """Take files out of the system's page cache, so that they are read from the disk again."""
    for file in files:
        handle = os.open(file, os.O_RDONLY)
        try:
            os.fsync(handle)  # what is not written yet cannot leave
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
