"""What is newest of each Datastream, kept in memory so that it is never scanned for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.observation import Batch
from nervure.store.group import grouped

__all__ = ["Latest", "Summary"]

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]

NEVER = np.iinfo(np.int64).min
ALWAYS = np.iinfo(np.int64).max


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One row a Datastream ``[stream]``: the newest time with its value and result time, and the rest.

    ``result_time`` is the newest of all, which need not be that of the newest time.
    """

    datastream: Longs
    time: Longs
    value: Floats
    result_of_time: Longs
    result_time: Longs
    first: Longs
    rows: Longs


class Latest:
    """The newest time, its value and the newest result time of each Datastream, and how many rows it has.

    ``slot`` is the place of a Datastream in the columns; places move when a new Datastream comes.
    ``deep_time`` and ``deep_result`` are the newest instants of rows that have left memory: a
    reading newer than either is not in the files, so nobody has to look there.

    >>> latest = Latest()
    >>> batch = Batch.of(id=[1, 2], datastream=[9, 9], time=[0, 5000], value=[1.0, 2.0])
    >>> latest.add(batch, latest.slots(batch.datastream))
    >>> latest.last([9, 10])
    {9: (5000, 2.0)}
    """

    def __init__(self) -> None:
        self.datastream: Longs = np.empty(0, np.int64)
        self.time: Longs = np.empty(0, np.int64)
        self.value: Floats = np.empty(0, np.float64)
        self.result_time: Longs = np.empty(0, np.int64)
        self.result_of_time: Longs = np.empty(0, np.int64)
        self.first: Longs = np.empty(0, np.int64)
        self.rows: Longs = np.empty(0, np.int64)
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

    def summary(self) -> Summary:
        """Return what :meth:`of` begins with."""
        return Summary(**{name: getattr(self, name).copy() for name in Summary.__struct_fields__})

    def slots(self, datastreams: Longs) -> Longs:
        """Return the place of each row's Datastream ``[row]``, making places for new ones."""
        slot = np.searchsorted(self.datastream, datastreams)
        if not len(datastreams):
            return slot
        if not len(self.datastream) or not np.array_equal(
            self.datastream[np.minimum(slot, len(self.datastream) - 1)], datastreams
        ):
            self._insert(datastreams)
            slot = np.searchsorted(self.datastream, datastreams)
        return slot

    def known(self, ids: Iterable[int]) -> Longs:
        """Return the places of those of the Datastreams that have rows."""
        wanted = np.unique(np.asarray(list(ids), dtype=np.int64))
        slot = np.searchsorted(self.datastream, wanted)
        inside = slot < len(self.datastream)
        slot, wanted = slot[inside], wanted[inside]
        kept: Longs = slot[(self.datastream[slot] == wanted) & (self.time[slot] != NEVER)]
        return kept

    def add(self, batch: Batch, slot: Longs) -> None:
        """Take up rows that were stored; ``slot`` is the place of each."""
        if not len(batch):
            return
        groups = grouped(slot)
        order, starts = groups.order, groups.starts
        if not groups.rising(batch.time):
            order = np.lexsort((batch.result_time, batch.time, slot))
        ends = order[np.r_[starts[1:], len(order)] - 1]
        place = slot[ends]
        newer = (batch.time[ends] > self.time[place]) | (
            (batch.time[ends] == self.time[place]) & (batch.result_time[ends] >= self.result_of_time[place])
        )
        last, there = ends[newer], place[newer]
        self.time[there] = batch.time[last]
        self.value[there] = batch.value[last]
        self.result_of_time[there] = batch.result_time[last]
        newest_result = np.maximum.reduceat(batch.result_time[order], starts)
        self.result_time[place] = np.maximum(self.result_time[place], newest_result)
        self.first[place] = np.minimum(self.first[place], np.minimum.reduceat(batch.time[order], starts))
        self.rows[place] += np.diff(np.r_[starts, len(order)])

    def sink(self, batch: Batch) -> None:
        """Note that rows have left memory: from now on they are found in the files only."""
        slot = self.slots(batch.datastream)
        np.maximum.at(self.deep_time, slot, batch.time)
        np.maximum.at(self.deep_result, slot, batch.result_time)

    def recount(self, summary: Summary, memory: Sequence[Batch]) -> None:
        """Set rows and first times anew, from the files and what is not in them yet."""
        self.slots(summary.datastream)
        self.rows[:] = 0
        self.first[:] = ALWAYS
        slot = np.searchsorted(self.datastream, summary.datastream)
        self.rows[slot], self.first[slot] = summary.rows, summary.first
        for batch in memory:
            slot = self.slots(batch.datastream)
            self.rows += np.bincount(slot, minlength=len(self.rows))
            np.minimum.at(self.first, slot, batch.time)

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


_NEUTRAL = {
    "time": NEVER,
    "value": np.nan,
    "result_time": NEVER,
    "result_of_time": NEVER,
    "first": ALWAYS,
    "rows": 0,
    "deep_time": NEVER,
    "deep_result": NEVER,
}
