"""Memory: readings that are not in the table yet, what is newest, and what was just written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from nervure.core.columnar import least
from nervure.core.observation import PACK_BITS, Batch, Reject
from nervure.store.column import whole_microseconds
from nervure.store.duplicate import Key, Keys, Result, conflicts, judge, lateness, matches
from nervure.store.gone import NOTHING, Gone
from nervure.store.latest import NEVER, Latest
from nervure.store.recent import Hand, Recent
from nervure.store.tail import Tail

__all__ = ["RECENT_ROWS", "Appended", "Memory"]

RECENT_ROWS = 400_000
"""How many sealed rows stay in memory, where a late duplicate is found without opening a file."""

_ROOM = 4096

Search = Callable[[Keys], Mapping[Key, Result]]


class Appended(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: rows taken, duplicates left out, and the results that contradict."""

    rows: int
    duplicates: int = 0
    conflicts: tuple[Reject, ...] = ()
    doubles: Batch | None = None
    """The duplicates themselves, if there are any: each has the key of a row that is stored."""


class Memory:
    """The tail, the rows on their way into the table, and the newest of each Datastream.

    ``gone`` is what was deleted or replaced and still lies in the files. A changed row keeps its id,
    so ``_changed`` knows at which log position it was changed.

    It is not thread-safe: the caller holds a lock. ``search`` looks for keys in the files.
    """

    def __init__(self, latest: Latest, taken: int, search: Search) -> None:
        self.latest = latest
        self.taken = taken
        self._search = search
        self._tail = Tail()
        self._sealing: Batch | None = None
        self._later = NOTHING  # what is gone since that seal began
        self._before = NOTHING  # what that seal takes out of the files
        self._changed: dict[int, int] = {}
        self._recent = Recent()
        self._mark = 0  # counts what takes rows away

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

    @property
    def gone(self) -> Gone:
        """What still lies in the files and is no more."""
        return self._before.also(self._later)

    def parts(self) -> tuple[Batch, ...]:
        """Return the rows that are not in the table yet."""
        parts = (self._sealing, self._tail.batch())
        return tuple(part for part in parts if part is not None and len(part))

    def holds(self, ids: Sequence[int], start_ns: int | None) -> bool:
        """Tell whether memory has every row of some Datastreams from an instant on."""
        slot = self.latest.known(ids)
        return bool((self.latest.deep_time[slot] < (NEVER + 1 if start_ns is None else start_ns)).all())

    def recent(self) -> tuple[Batch, ...]:
        """Return rows that are in the table, too."""
        return tuple(self._recent)

    def hand(self, datastream: int) -> Hand:
        """Return what memory has of a Datastream."""
        deep = self.latest.deep(datastream)
        return Hand(deep=deep, ranked=self.recent(), loose=self.parts(), mark=self._mark)

    def recall(self, rows: Batch, hand: Hand, deep: int) -> bool:
        """Take rows of the table to hand: all those of one Datastream after ``deep``.

        They were read when memory was as ``hand`` says; where rows were lost since, nothing happens.
        """
        if hand.mark != self._mark:
            return False
        self.latest.rise(rows.datastream[:1], deep)
        self._remember(self.hand(0).lacks(rows))
        return True

    def forget(self, before_ns: int) -> None:
        """Let go of rows that the table has let go of: those before an instant."""
        self._recent.keep(lambda rows: rows.time >= before_ns)
        self._mark += 1

    def append(self, batch: Batch, upto: int) -> Appended:
        """Take what is new of a batch."""
        batch = whole_microseconds(_after(batch, self.taken))
        place = self.latest.rises(batch)
        if place is not None:
            self._tail.push(batch)
            self.latest.rise_to(batch, place)
            self.taken = max(self.taken, upto)
            return Appended(rows=len(batch))
        verdict = judge(batch, self.latest, self._find)
        if verdict.newer is not None:
            self._tail.push(batch)
            self.latest.add(batch, verdict.newer)
            self.taken = max(self.taken, upto)
            return Appended(rows=len(batch))
        refused = conflicts(batch, verdict.conflicts, time.time_ns())
        doubles = batch.take(verdict.duplicates) if len(verdict.duplicates) else None
        if not verdict.keep.all():
            batch = batch.take(verdict.keep)
        batch = lateness(batch, self.latest.slots(batch.datastream), self.latest)
        self._tail.push(batch)
        self.latest.add(batch)
        self.taken = max(self.taken, upto)
        count = len(verdict.duplicates)
        return Appended(rows=len(batch), duplicates=count, conflicts=tuple(refused), doubles=doubles)

    def drop(self, gone: Gone, upto: int) -> None:
        """Let go of rows, here and in the files."""
        there = gone.mask(self._tail.batch())
        if there.any():
            self._tail = self._tail.without(there)
        if self._sealing is not None:
            self._sealing = self._sealing.take(~gone.mask(self._sealing))
        self._recent.keep(lambda rows: ~gone.mask(rows))
        self._mark += 1
        self._later = self._later.also(gone)
        self.taken = max(self.taken, upto)

    def amend(self, batch: Batch, upto: int) -> None:
        """Put rows in the place of those with the same ids."""
        self.drop(Gone.of(ids=batch.id.tolist(), position=upto), upto)
        self._tail.push(whole_microseconds(batch))
        self._changed |= dict.fromkeys(batch.id.tolist(), upto)

    def begin(self) -> tuple[Batch, Gone]:
        """Take the rows that are to be written, and what is to go; what comes now waits for the next."""
        rows = self._tail.batch()
        self._sealing, self._tail = rows, Tail(max(_ROOM, len(rows)))  # as many come meanwhile, most likely
        self._before, self._later = self._later, NOTHING
        return rows, self._before

    def done(self, rows: Batch, ranked: Batch) -> None:
        """Note that these rows are in the table now, and in which order."""
        if self._sealing is not None:  # some of them may have been dropped meanwhile
            self._remember(ranked if self._sealing is rows else self._sealing)
        self._sealing, self._before = None, NOTHING
        self._forget_changed()

    def undo(self) -> None:
        """Put rows that could not be written back in front of the tail."""
        if self._sealing is None:
            return
        whole = Tail(self.rows + 4096)
        whole.push(self._sealing)
        whole.push(self._tail.batch())
        self._tail, self._sealing = whole, None
        self._later, self._before = self.gone, NOTHING

    def landed(self, position: int) -> None:
        """Note that what came up to ``position`` is in the table, though its seal seemed to fail."""
        rows = self._tail.batch()
        came = rows.id >> PACK_BITS
        if self._changed:
            came = np.array([self._changed.get(one, one >> PACK_BITS) for one in rows.id.tolist()])
        there = came <= position
        self._tail = Tail()
        self._tail.push(rows.take(~there))
        self._remember(rows.take(there))
        self._later = self._later.after(position)
        self._forget_changed()

    def _forget_changed(self) -> None:
        """Remember changes of rows in the tail only."""
        if self._changed:
            waiting = set(self._tail.batch().id.tolist())
            self._changed = {one: at for one, at in self._changed.items() if one in waiting}

    def _remember(self, rows: Batch) -> None:
        """Keep what was just written at hand, and let go of the oldest of it."""
        for gone in self._recent.add(rows, RECENT_ROWS):
            self.latest.sink(gone)
            self._mark += 1

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
    border = (taken + 1) << PACK_BITS
    if not len(batch) or least(batch.id) >= border:
        return batch
    return batch.take(batch.id >= border)
