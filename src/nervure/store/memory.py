"""Memory: readings that are not in the table yet, what is newest, and what was just written."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from nervure.core.observation import PACK_BITS, Batch, Reject
from nervure.store.column import whole_microseconds
from nervure.store.duplicate import Key, Keys, Result, conflicts, judge, lateness, matches
from nervure.store.latest import Latest
from nervure.store.tail import Tail

__all__ = ["RECENT_ROWS", "Appended", "Memory"]

RECENT_ROWS = 400_000
"""How many sealed rows stay in memory, where a late duplicate is found without opening a file."""

Search = Callable[[Keys], Mapping[Key, Result]]


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: rows taken, duplicates left out, and the results that contradict."""

    rows: int
    duplicates: int = 0
    conflicts: tuple[Reject, ...] = ()


class Memory:
    """The tail, the rows on their way into the table, and the newest of each Datastream.

    It is not thread-safe: the caller holds a lock. ``search`` looks for keys in the files.
    """

    def __init__(self, latest: Latest, taken: int, search: Search) -> None:
        self.latest = latest
        self.taken = taken
        self._search = search
        self._tail = Tail()
        self._sealing: Batch | None = None
        self._recent: deque[Batch] = deque()

    @property
    def rows(self) -> int:
        """How many rows are not in the table yet."""
        return len(self._tail) + (len(self._sealing) if self._sealing is not None else 0)

    @property
    def waiting(self) -> int:
        """How many rows no seal has begun to write."""
        return len(self._tail)

    @property
    def age_s(self) -> float:
        """How long the oldest of these has waited, in seconds."""
        return self._tail.age_s

    def parts(self) -> tuple[Batch, ...]:
        """Return the rows that are not in the table yet."""
        parts = (self._sealing, self._tail.batch())
        return tuple(part for part in parts if part is not None and len(part))

    def append(self, batch: Batch, upto: int) -> Appended:
        """Take what is new of a batch."""
        batch = whole_microseconds(_after(batch, self.taken))
        slot = self.latest.slots(batch.datastream)
        verdict = judge(batch, slot, self.latest, self._find)
        refused = conflicts(batch, verdict.conflicts, time.time_ns())
        if not verdict.keep.all():
            batch, slot = batch.take(verdict.keep), slot[verdict.keep]
        batch = lateness(batch, slot, self.latest)
        self._tail.push(batch)
        self.latest.add(batch, slot)
        self.taken = max(self.taken, upto)
        return Appended(rows=len(batch), duplicates=len(verdict.duplicates), conflicts=tuple(refused))

    def begin(self) -> Batch:
        """Take the rows that are to be written; new ones go into a new tail meanwhile."""
        rows = self._tail.batch()
        self._sealing, self._tail = rows, Tail()
        return rows

    def done(self) -> None:
        """Note that these rows are in the table now."""
        if self._sealing is not None:
            self._remember(self._sealing)
        self._sealing = None

    def undo(self) -> None:
        """Put rows that could not be written back in front of the tail."""
        if self._sealing is None:
            return
        whole = Tail(self.rows + 4096)
        whole.push(self._sealing)
        whole.push(self._tail.batch())
        self._tail, self._sealing = whole, None

    def landed(self, position: int) -> None:
        """Note that what came up to ``position`` is in the table, though its seal seemed to fail."""
        rows = self._tail.batch()
        there = rows.id >> PACK_BITS <= position
        self._tail = Tail()
        self._tail.push(rows.take(~there))
        self._remember(rows.take(there))

    def _remember(self, rows: Batch) -> None:
        """Keep what was just written at hand, and let go of the oldest of it."""
        self._recent.append(rows)
        while sum(map(len, self._recent)) > RECENT_ROWS:
            self.latest.sink(self._recent.popleft())

    def _find(self, keys: Keys) -> Mapping[Key, Result]:
        """Find keys in memory first; only what may have left it is looked for in files."""
        found: dict[Key, Result] = {}
        for part in (*self.parts(), *self._recent):
            if len(part):
                found |= matches(part, keys)
        slot = self.latest.slots(keys.datastream)
        deep = keys.time <= self.latest.deep_time[slot]
        deep &= keys.result_time <= self.latest.deep_result[slot]
        if found and deep.any():
            deep &= np.array([key not in found for key in keys.tuples()], dtype=np.bool_)
        if deep.any():
            some = {"datastream": keys.datastream, "time": keys.time, "result_time": keys.result_time}
            found |= self._search(Keys(**{name: column[deep] for name, column in some.items()}))
        return found


def _after(batch: Batch, taken: int) -> Batch:
    """Leave out the readings of log entries that were taken before."""
    new = batch.id >> PACK_BITS > taken
    return batch if new.all() else batch.take(new)
