"""What is newest of each Datastream, kept in memory so that it is never scanned for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import every, only
from nervure.core.group import Groups, Places
from nervure.core.observation import NO_RESULT_TIME, Batch

__all__ = ["ALWAYS", "NEVER", "Latest", "Span", "Summary"]

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
Span = tuple[int, int, int | None, int | None]
"""First and newest phenomenon time, first and newest result time (None where nobody gave one), in ns."""

_FEW = 64

NEVER = np.iinfo(np.int64).min
ALWAYS = np.iinfo(np.int64).max


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One row a Datastream ``[stream]``: the newest time with its value and result time, and the rest.

    ``result_time`` is the newest of all, which need not be that of the newest time; ``end`` is the
    newest end of a phenomenon time, ``first_result`` and ``last_result`` are of result times that
    somebody gave.
    """

    datastream: Longs
    time: Longs
    value: Floats
    result_of_time: Longs
    result_time: Longs
    first: Longs
    rows: Longs
    end: Longs
    first_result: Longs
    last_result: Longs


class Latest:
    """The newest time, its value and the newest result time of each Datastream, and how many rows it has.

    ``slot`` is the place of a Datastream in the columns; places move when a new Datastream comes.
    ``deep_time`` and ``deep_result`` are the newest instants of rows that have left memory: a
    reading newer than either is not in the files, so nobody has to look there.

    >>> latest = Latest()
    >>> batch = Batch.of(id=[1, 2], datastream=[9, 9], time=[0, 5000], value=[1.0, 2.0])
    >>> latest.add(batch)
    >>> latest.last([9, 10])
    {9: (5000, 2.0)}
    """

    def __init__(self) -> None:
        self.datastream: Longs = np.empty(0, np.int64)
        self._places = Places(self.datastream)
        self._slot: dict[int, int] = {}
        self.time: Longs = np.empty(0, np.int64)
        self.value: Floats = np.empty(0, np.float64)
        self.result_time: Longs = np.empty(0, np.int64)
        self.result_of_time: Longs = np.empty(0, np.int64)
        self.first: Longs = np.empty(0, np.int64)
        self.rows: Longs = np.empty(0, np.int64)
        self.end: Longs = np.empty(0, np.int64)
        self.first_result: Longs = np.empty(0, np.int64)
        self.last_result: Longs = np.empty(0, np.int64)
        self.moved: NDArray[np.bool_] = np.empty(0, np.bool_)
        self.deep_time: Longs = np.empty(0, np.int64)
        self.deep_result: Longs = np.empty(0, np.int64)

    @classmethod
    def of(cls, summary: Summary) -> Latest:
        """Start from what lies in the files."""
        latest = cls()
        latest.absorb(summary)
        return latest

    def absorb(self, summary: Summary) -> None:
        """Take up more rows that lie in the files."""
        slot = self.slots(summary.datastream)
        newer = (summary.time > self.time[slot]) | (
            (summary.time == self.time[slot]) & (summary.result_of_time >= self.result_of_time[slot])
        )
        self.value[slot[newer]] = summary.value[newer]
        self.result_of_time[slot[newer]] = summary.result_of_time[newer]
        self.time[slot] = self.deep_time[slot] = np.maximum(self.time[slot], summary.time)
        self.result_time[slot] = np.maximum(self.result_time[slot], summary.result_time)
        self.deep_result[slot] = self.result_time[slot]
        self.first[slot] = np.minimum(self.first[slot], summary.first)
        self.rows[slot] += summary.rows
        self.end[slot] = np.maximum(self.end[slot], summary.end)
        self.first_result[slot] = np.minimum(self.first_result[slot], summary.first_result)
        self.last_result[slot] = np.maximum(self.last_result[slot], summary.last_result)
        self.moved[slot] = True

    def summary(self) -> Summary:
        """Return what :meth:`of` begins with."""
        there = self.rows > 0
        return Summary(**{name: getattr(self, name)[there] for name in Summary.__struct_fields__})

    def slots(self, datastreams: Longs) -> Longs:
        """Return the place of each row's Datastream ``[row]``, making places for new ones."""
        slot = self._places.of(datastreams)
        if not len(datastreams):
            return slot
        if not len(self.datastream) or not every(self.datastream[slot] == datastreams):
            self._insert(datastreams)
            slot = self._places.of(datastreams)
        return slot

    def known(self, ids: Iterable[int]) -> Longs:
        """Return the places of those of the Datastreams that have rows."""
        wanted = np.unique(np.asarray(list(ids), dtype=np.int64))
        slot = np.searchsorted(self.datastream, wanted)
        inside = slot < len(self.datastream)
        slot, wanted = slot[inside], wanted[inside]
        kept: Longs = slot[(self.datastream[slot] == wanted) & (self.time[slot] != NEVER)]
        return kept

    def rises(self, batch: Batch) -> int | None:
        """Return the place of the one Datastream of a few plain rows that rise above its newest; else None.

        Plain are rows without a result time or an end.
        """
        mark = None if batch.marks is None else only(batch.marks)
        plain = mark is not None and mark & NO_RESULT_TIME and batch.result_time is batch.time
        if not plain or batch.end_time is not None or len(batch) > _FEW or len(batch.groups.starts) != 1:
            return None
        stream = int(batch.datastream[0])
        place = self._slot.get(stream)
        if place is None:
            place = self._slot[stream] = int(self.slots(batch.datastream[:1])[0])
        times = batch.time.tolist()
        return place if times[0] > self.time[place] and times == sorted(set(times)) else None

    def rise_to(self, batch: Batch, place: int) -> None:
        """Take up rows of which :meth:`rises` has told the place: what `add` does for many, for one."""
        newest = batch.time[-1]
        self.time[place] = self.result_of_time[place] = newest
        self.value[place] = batch.value[-1]
        self.result_time[place] = max(self.result_time[place], newest)
        self.first[place] = min(self.first[place], batch.time[0])
        self.rows[place] += len(batch)
        self.end[place] = max(self.end[place], newest)
        self.moved[place] = True

    def add(self, batch: Batch, newer: Longs | None = None) -> None:
        """Take up rows that were stored.

        ``newer`` are the places of the batch's groups, if it is known that their times rise, all of them
        above what was there.
        """
        if not len(batch):
            return
        groups = batch.groups
        order, starts = groups.order, groups.starts
        place = self.slots(batch.datastream[groups.firsts]) if newer is None else newer
        plain = newer is not None or groups.rising(batch.time)
        if not plain:
            order = np.lexsort((batch.result_time, batch.time, groups.spread(np.arange(len(starts)))))
        ends = order[groups.ends]
        last, there = ends, place
        if newer is None:
            newer = (batch.time[ends] > self.time[place]) | (
                (batch.time[ends] == self.time[place])
                & (batch.result_time[ends] >= self.result_of_time[place])
            )
            last, there = ends[newer], place[newer]
        self.time[there] = batch.time[last]
        self.value[there] = batch.value[last]
        self.result_of_time[there] = batch.result_time[last]
        if plain and batch.result_time is batch.time:
            newest_result = batch.time[ends]
        else:
            newest_result = np.maximum.reduceat(batch.result_time[order], starts)
        self.result_time[place] = np.maximum(self.result_time[place], newest_result)
        self.first[place] = np.minimum(self.first[place], batch.time[order[starts]])
        self.rows[place] += groups.counts
        self.end[place] = np.maximum(self.end[place], batch.time[ends])
        self.moved[place] = True
        if batch.end_time is not None:
            newest_end = np.maximum.reduceat(batch.end_time[order], starts)
            self.end[place] = np.maximum(self.end[place], newest_end)
        self._add_results(batch, groups, place)

    def _add_results(self, batch: Batch, groups: Groups, place: Longs) -> None:
        """Widen the spans of the result times that somebody gave."""
        low = high = batch.result_time
        if batch.marks is not None:
            if (mark := only(batch.marks)) is not None and mark & NO_RESULT_TIME:
                return
            none = (batch.marks & NO_RESULT_TIME).astype(np.bool_)
            if none.all():
                return
            low, high = np.where(none, ALWAYS, low), np.where(none, NEVER, high)
        first = np.minimum.reduceat(groups.of(low), groups.starts)
        last = np.maximum.reduceat(groups.of(high), groups.starts)
        self.first_result[place] = np.minimum(self.first_result[place], first)
        self.last_result[place] = np.maximum(self.last_result[place], last)

    def remove(self, gone: Summary) -> Longs:
        """Take rows away; return the Datastreams that lost a first or a newest one.

        What is known of those is wrong from now on, until :meth:`restate`.
        """
        slot = self.slots(gone.datastream)
        self.rows[slot] -= gone.rows
        self.moved[slot] = True
        edge = (gone.first <= self.first[slot]) | (gone.time >= self.time[slot])
        edge |= (gone.result_time >= self.result_time[slot]) | (gone.end >= self.end[slot])
        edge |= (gone.first_result <= self.first_result[slot]) & (gone.first_result != ALWAYS)
        edge |= (gone.last_result >= self.last_result[slot]) & (gone.last_result != NEVER)
        touched: Longs = gone.datastream[edge]
        return touched

    def restate(self, datastreams: Sequence[int] | Longs, summary: Summary | None) -> None:
        """Set anew what is known of some Datastreams; those that ``summary`` lacks have no rows."""
        slot = self.slots(np.unique(np.asarray(datastreams, dtype=np.int64)))
        for name in (*Summary.__struct_fields__[1:], "moved"):
            getattr(self, name)[slot] = _NEUTRAL[name]
        if summary is not None:
            deep = self.deep_time.copy(), self.deep_result.copy()
            self.absorb(summary)
            self.deep_time, self.deep_result = deep

    def sink(self, batch: Batch) -> None:
        """Note that rows have left memory: from now on they are found in the files only."""
        if not len(batch):
            return
        groups = batch.groups
        place = self.slots(batch.datastream[groups.firsts])
        for name, column in (("deep_time", batch.time), ("deep_result", batch.result_time)):
            deep = getattr(self, name)
            deep[place] = np.maximum(deep[place], np.maximum.reduceat(groups.of(column), groups.starts))

    def deep(self, datastream: int) -> int:
        """Return the newest time of a Datastream's rows that are found in the files only."""
        place = int(np.searchsorted(self.datastream, datastream))
        known = place < len(self.datastream) and self.datastream[place] == datastream
        return int(self.deep_time[place]) if known else NEVER

    def rise(self, datastream: Longs, deep_time: int) -> None:
        """Note that all rows after an instant are in memory."""
        slot = self.slots(datastream)
        self.deep_time[slot] = np.minimum(self.deep_time[slot], deep_time)

    def recount(self, summary: Summary, memory: Sequence[Batch]) -> None:
        """Set rows and first times anew, from the files and what is not in them yet."""
        self.slots(summary.datastream)
        for name in ("rows", "first", "first_result", "moved"):
            getattr(self, name)[:] = _NEUTRAL[name]
        slot = np.searchsorted(self.datastream, summary.datastream)
        for name in ("rows", "first", "first_result"):
            getattr(self, name)[slot] = getattr(summary, name)
        for batch in memory:
            slot = self.slots(batch.datastream)
            self.rows += np.bincount(slot, minlength=len(self.rows))
            np.minimum.at(self.first, slot, batch.time)
            given = batch.result_time
            if batch.marks is not None:
                given = np.where(batch.marks & NO_RESULT_TIME, ALWAYS, given)
            np.minimum.at(self.first_result, slot, given)

    def spans(self, ids: Iterable[int]) -> dict[int, Span]:
        """Return the times of each of the Datastreams that has rows."""
        slot = self.known(ids)
        slot = slot[self.rows[slot] > 0]
        names = ("datastream", "first", "end", "first_result", "last_result")
        columns = [getattr(self, name)[slot].tolist() for name in names]
        return {
            key: (first, end, None, None) if begun == ALWAYS else (first, end, begun, newest)
            for key, first, end, begun, newest in zip(*columns, strict=True)
        }

    def take_moved(self) -> list[int]:
        """Return the Datastreams whose times may have changed since the last call."""
        found: list[int] = self.datastream[self.moved].tolist()
        self.moved[:] = False
        return found

    def last(self, ids: Iterable[int]) -> dict[int, tuple[int, float]]:
        """Return time in nanoseconds and value of the newest row of each Datastream that has one."""
        slot = self.known(ids)
        pairs = zip(self.time[slot].tolist(), self.value[slot].tolist(), strict=True)
        return dict(zip(self.datastream[slot].tolist(), pairs, strict=True))

    def count(self, datastream: int | None = None) -> int:
        """Return how many rows there are, in all or of one Datastream."""
        return int(self.rows.sum() if datastream is None else self.rows[self.known([datastream])].sum())

    def span(self, datastream: int | None = None) -> tuple[int, int] | None:
        """Return the first and the newest time in nanoseconds, in all or of one Datastream."""
        slot = np.flatnonzero(self.time != NEVER) if datastream is None else self.known([datastream])
        slot = slot[self.rows[slot] > 0]
        return (int(self.first[slot].min()), int(self.time[slot].max())) if len(slot) else None

    def _insert(self, datastreams: Longs) -> None:
        """Make places for Datastreams that are new; the columns stay sorted."""
        merged = np.union1d(self.datastream, datastreams)
        place = np.searchsorted(merged, self.datastream)
        for name, neutral in _NEUTRAL.items():
            old = getattr(self, name)
            column = np.full(len(merged), neutral, dtype=old.dtype)
            column[place] = old
            setattr(self, name, column)
        self.datastream = merged
        self._places = Places(merged)
        self._slot.clear()


_NEUTRAL = {
    "time": NEVER,
    "value": np.nan,
    "result_time": NEVER,
    "result_of_time": NEVER,
    "first": ALWAYS,
    "rows": 0,
    "end": NEVER,
    "first_result": ALWAYS,
    "last_result": NEVER,
    "moved": True,
    "deep_time": NEVER,
    "deep_result": NEVER,
}
