"""Packs: regular packs of one batch, decoded already, become one Part, with hardly a look at a reading."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from nervure.sense.column import NAN, Block, marks
from nervure.sense.decode import Pack, step_ns
from nervure.sense.directory import Directory
from nervure.sense.moment import FIRST_NS, LAST_NS, moment_ns, moments_ns
from nervure.sense.part import Fault, Part, unissued
from nervure.sense.reason import Unreadable
from nervure.sense.sound import UNREADABLE

__all__ = ["Packs", "pack_columns"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_Grids = tuple[Longs, Longs, list[int | None]]
"""Of each pack its first instant, its step, and when it was issued, if it says so."""

_NONE: list[float | None] = []


class Packs:
    """Regular packs, in lists that belong together: how each says its times, how many values, which.

    Values are kept as bytes of 64-bit floats from the first, and the numbers let go of: those of hundreds
    of packs would have left the processor's cache before they are put together.
    """

    __slots__ = ("_most", "counts", "entries", "holes", "rows", "said", "values")

    def __init__(self, most: int) -> None:
        self.said: list[Pack] = []
        self.rows: list[int] = []
        self.entries: list[int] = []
        self.counts: list[int] = []
        self.values: list[bytes] = []
        self.holes = False
        """Whether a value is null, and so no reading."""
        self._most = most

    def take(self, decode: Callable[[bytes], Pack], payload: bytes, row: int, number: int) -> bool:
        """Take a message if it is a pack of the usual kind, in the Datastream's unit, with even columns.

        ``row`` is that of its Datastream, ``number`` that of its entry.
        """
        try:
            pack = decode(payload)
        except UNREADABLE:
            return False
        values, low, high = pack.v, pack.low, pack.high
        count = len(values)
        if pack.t is not None or pack.unit is not None or not 0 < count <= self._most:
            return False
        if (low is not None and len(low) != count) or (high is not None and len(high) != count):
            return False
        try:  # `struct` reads a list of numbers twice as fast as numpy, but takes no null
            raw = _packer(count)(*values)
        except struct.error:
            raw = np.array(values, dtype=np.float64).tobytes()
            self.holes = True
        pack.v = _NONE
        self.said.append(pack)
        self.rows.append(row)
        self.entries.append(number)
        self.counts.append(count)
        self.values.append(raw)
        return True

    def only(self, kept: list[int]) -> Packs:
        """Return some of them, by their places."""
        found = Packs(self._most)
        found.holes = self.holes
        for name in ("said", "rows", "entries", "counts", "values"):
            column = getattr(self, name)
            setattr(found, name, [column[place] for place in kept])
        return found


@lru_cache(maxsize=1024)
def _packer(count: int) -> Callable[..., bytes]:
    return struct.Struct(f"{count}d").pack


def pack_columns(packs: Packs, arrival: Longs, directory: Directory) -> Block:
    """Put packs together; ``arrival`` is that of all entries, by which those without a time go."""
    faults: list[tuple[int, Fault]] = []
    grids = _grids(packs, directory)
    if grids is None:
        grids, kept, faults = _grids_one_by_one(packs, arrival, directory)
        packs = packs.only(kept)
    firsts, steps, issues = grids
    even = packs.counts.count(packs.counts[0]) == len(packs.counts) if packs.counts else False
    counts = packs.counts[0] if even else np.array(packs.counts, dtype=np.int64)
    value = np.frombuffer(bytearray().join(packs.values), dtype=np.float64)
    index, time = _times(firsts, steps, counts)
    bare = issues.count(None)
    unsaid = unissued(len(value)) if bare == len(issues) else None
    part = Part(
        stream=np.repeat(np.array(packs.rows, dtype=np.int64), counts),
        index=index,
        time=time,
        result_time=time if bare == len(issues) else _issued(issues, time, counts),
        value=value,
        low=_bounds([pack.low for pack in packs.said], packs.counts),
        high=_bounds([pack.high for pack in packs.said], packs.counts),
        marks=np.repeat(marks(issues), counts) if bare and unsaid is None else unsaid,
    )
    where = np.repeat(np.array(packs.entries, dtype=np.int64), counts)
    if packs.holes:
        read = ~np.isnan(value)
        part, where = part.take(read), where[read]
    return Block(part=part, entry=where, faults=faults)


def _times(firsts: Longs, steps: Longs, counts: int | Longs) -> tuple[Longs, Longs]:
    """Return the place of each reading in its pack, and its instant."""
    if isinstance(counts, int):
        places = np.arange(counts, dtype=np.int64)
        time = steps[:, None] * places
        time += firsts[:, None]
        return np.tile(places, len(firsts)), time.reshape(-1)
    index = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    time = index * np.repeat(steps, counts)
    time += np.repeat(firsts, counts)
    return index, time


def _grids(packs: Packs, directory: Directory) -> _Grids | None:
    """Return where packs begin, their steps and no instants of issue, if all of them are as usual."""
    known: dict[tuple[float | None, int, int], int] = {}
    steps = []
    try:
        firsts = moments_ns([pack.t0 for pack in packs.said])  # type: ignore[misc]  # else it is no datetime
        for pack, count, row in zip(packs.said, packs.counts, packs.rows, strict=True):
            key = (pack.dt, count, directory.datastreams[row].every_ns)
            if key not in known:
                known[key] = step_ns(*key)
            steps.append(known[key])
    except (AttributeError, Unreadable):
        return None
    widest = max((count * step for (_, count, _), step in known.items()), default=0)
    usual = not len(firsts) or (firsts.min() > FIRST_NS and int(firsts.max()) + widest < LAST_NS)
    if not usual or any(pack.resultTime is not None for pack in packs.said):
        return None
    return firsts, np.array(steps, dtype=np.int64), [None] * len(steps)


def _grids_one_by_one(
    packs: Packs, arrival: Longs, directory: Directory
) -> tuple[_Grids, list[int], list[tuple[int, Fault]]]:
    """Return the same of any packs, which of them can be read, and what is wrong with the others."""
    faults: list[tuple[int, Fault]] = []
    firsts, steps, issues, kept = [], [], list[int | None](), []
    for place, (pack, count, row) in enumerate(zip(packs.said, packs.counts, packs.rows, strict=True)):
        number = packs.entries[place]
        try:
            first, step = _grid(pack, count, directory.datastreams[row].every_ns, int(arrival[number]))
            issued = None if pack.resultTime is None else moment_ns(pack.resultTime)
        except Unreadable as problem:
            faults.append((number, Fault(reason=problem.reason, detail=problem.detail)))
            continue
        firsts.append(first)
        steps.append(step)
        issues.append(issued)
        kept.append(place)
    grids = np.array(firsts, dtype=np.int64), np.array(steps, dtype=np.int64), issues
    return grids, kept, faults


def _grid(pack: Pack, count: int, every_ns: int, arrival_ns: int) -> tuple[int, int]:
    step = step_ns(pack.dt, count, every_ns)
    first = arrival_ns - (count - 1) * step if pack.t0 is None else moment_ns(pack.t0)
    if first + count * step >= LAST_NS:  # far beyond what is taken: keep the sum within 64 bits
        return LAST_NS, 0
    return max(first, FIRST_NS), step


def _issued(issues: list[int | None], time: Longs, counts: int | Longs) -> Longs:
    given = np.repeat(np.array([one or 0 for one in issues], dtype=np.int64), counts)
    own = np.repeat(np.array([one is None for one in issues], dtype=bool), counts)
    return np.where(own, time, given)


def _bounds(bounds: list[list[float | None] | None], counts: list[int]) -> Floats:
    if bounds.count(None) == len(bounds):
        return NAN[: sum(counts)]
    filled = [[None] * count if one is None else one for one, count in zip(bounds, counts, strict=True)]
    return np.array(list(chain.from_iterable(filled)), dtype=np.float64)
