"""Columns: many messages of one kind, decoded already, become one Part, without a loop over readings."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import endless
from nervure.core.observation import NO_RESULT_TIME
from nervure.sense.decode import Pack, Reading, step_ns
from nervure.sense.directory import Directory
from nervure.sense.moment import FIRST_NS, LAST_NS, moment_ns, moments_ns
from nervure.sense.part import Fault, Part, unissued
from nervure.sense.reason import Unreadable

__all__ = ["NAN", "Block", "joined", "pack_columns", "plain_pack", "reading_columns"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

NAN = endless(math.nan)
_Grids = tuple[Longs, Longs, list[int | None]]
"""Of each pack its first instant, its step, and when it was issued, if it says so."""


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Readings of many messages: ``entry [row]`` is the number of each reading's message.

    ``faults`` are those of whole messages and of single readings, with the message's number.
    """

    part: Part
    entry: Longs
    faults: list[tuple[int, Fault]] = []


def reading_columns(
    messages: list[Reading], rows: list[int], entry: list[int], arrival: Longs, directory: Directory
) -> Block:
    """Put single readings together; ``arrival`` is that of all entries, by which those without a time go."""
    count = len(messages)
    value = np.array([message.result for message in messages], dtype=np.float64)
    where = np.array(entry, dtype=np.int64)
    stream = np.array(rows, dtype=np.int64)
    time = _times([message.phenomenonTime for message in messages], arrival[where])
    issued = [message.resultTime for message in messages]
    codes = [message.unit for message in messages]
    nothing = NAN[:count]
    bare = issued.count(None)
    part = Part(
        stream=stream,
        index=np.zeros(count, dtype=np.int64),
        time=time,
        result_time=time if bare == count else _times(issued, time),
        value=value,
        low=nothing,
        high=nothing,
        marks=unissued(count) if bare == count else _marks(issued) if bare else None,
    )
    if codes.count(None) == count:
        return Block(part=part, entry=where)
    return _converted(part, where, codes, directory)


def _marks(issued: Sequence[object]) -> NDArray[np.int8]:
    return np.array([one is None for one in issued], dtype=np.int8) * np.int8(NO_RESULT_TIME)


def _times(moments: Sequence[object], otherwise: Longs) -> Longs:
    try:
        return moments_ns(moments)  # type: ignore[arg-type]  # nearly always; what is none has no timestamp
    except AttributeError:
        found = [
            int(other) if moment is None else moment_ns(moment)
            for moment, other in zip(moments, otherwise, strict=True)
        ]
        return np.array(found, dtype=np.int64)


def _converted(part: Part, where: Longs, codes: list[str | None], directory: Directory) -> Block:
    """Write the values that came with a unit in their Datastream's own."""
    faults: list[tuple[int, Fault]] = []
    kept = np.ones(len(where), dtype=bool)
    for place, code in enumerate(codes):
        if code is None:
            continue
        try:
            factor, offset = directory.linear(int(part.stream[place]), code)
        except Unreadable as problem:
            kept[place] = False
            faults.append((int(where[place]), Fault(reason=problem.reason, detail=problem.detail)))
        else:
            part.value[place] = part.value[place] * factor + offset
    return Block(part=part if kept.all() else part.take(kept), entry=where[kept], faults=faults)


def plain_pack(pack: Pack, most: int) -> bool:
    """Tell whether a pack is of the usual kind: regular, in the Datastream's unit, of even columns."""
    count = len(pack.v)
    return (
        pack.t is None
        and pack.unit is None
        and 0 < count <= most
        and (pack.low is None or len(pack.low) == count)
        and (pack.high is None or len(pack.high) == count)
    )


def pack_columns(
    packs: list[Pack], rows: list[int], entry: list[int], arrival: Longs, directory: Directory
) -> Block:
    """Put regular packs together; a null in one is no reading."""
    faults: list[tuple[int, Fault]] = []
    grids = _grids(packs, rows, directory)
    if grids is None:
        grids, kept, faults = _grids_one_by_one(packs, rows, entry, arrival, directory)
        packs = [packs[place] for place in kept]
        rows, entry = [rows[place] for place in kept], [entry[place] for place in kept]
    firsts, steps, issues = grids
    counts = np.array([len(pack.v) for pack in packs], dtype=np.int64)
    value = _values(packs)
    index = np.arange(len(value), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    time = index * np.repeat(steps, counts)
    time += np.repeat(firsts, counts)
    bare = issues.count(None)
    part = Part(
        stream=np.repeat(np.array(rows, dtype=np.int64), counts),
        index=index,
        time=time,
        result_time=time if bare == len(packs) else _issued(issues, time, counts),
        value=value,
        low=_bounds([pack.low for pack in packs], counts),
        high=_bounds([pack.high for pack in packs], counts),
        marks=unissued(len(value)) if bare == len(packs) else _some_issued(issues, counts) if bare else None,
    )
    where = np.repeat(np.array(entry, dtype=np.int64), counts)
    read = ~np.isnan(value)
    if not read.all():
        part, where = part.take(read), where[read]
    return Block(part=part, entry=where, faults=faults)


def _grids(packs: list[Pack], rows: list[int], directory: Directory) -> _Grids | None:
    """Return where packs begin, their steps and no instants of issue, if all of them are as usual."""
    known: dict[tuple[float | None, int, int], int] = {}
    steps = []
    try:
        firsts = moments_ns([pack.t0 for pack in packs])  # type: ignore[misc]  # else it is no datetime
        for pack, row in zip(packs, rows, strict=True):
            key = (pack.dt, len(pack.v), directory.datastreams[row].every_ns)
            if key not in known:
                known[key] = step_ns(*key)
            steps.append(known[key])
    except (AttributeError, Unreadable):
        return None
    widest = max((count * step for (_, count, _), step in known.items()), default=0)
    usual = not len(firsts) or (firsts.min() > FIRST_NS and int(firsts.max()) + widest < LAST_NS)
    if not usual or any(pack.resultTime is not None for pack in packs):
        return None
    return firsts, np.array(steps, dtype=np.int64), [None] * len(packs)


def _grids_one_by_one(
    packs: list[Pack], rows: list[int], entry: list[int], arrival: Longs, directory: Directory
) -> tuple[_Grids, list[int], list[tuple[int, Fault]]]:
    """Return the same of any packs, which of them can be read, and what is wrong with the others."""
    faults: list[tuple[int, Fault]] = []
    firsts, steps, issues, kept = [], [], list[int | None](), []
    for place, (pack, row) in enumerate(zip(packs, rows, strict=True)):
        try:
            first, step = _grid(pack, directory.datastreams[row].every_ns, int(arrival[entry[place]]))
            issued = None if pack.resultTime is None else moment_ns(pack.resultTime)
        except Unreadable as problem:
            faults.append((entry[place], Fault(reason=problem.reason, detail=problem.detail)))
            continue
        firsts.append(first)
        steps.append(step)
        issues.append(issued)
        kept.append(place)
    grids = np.array(firsts, dtype=np.int64), np.array(steps, dtype=np.int64), issues
    return grids, kept, faults


def _grid(pack: Pack, every_ns: int, arrival_ns: int) -> tuple[int, int]:
    count = len(pack.v)
    step = step_ns(pack.dt, count, every_ns)
    first = arrival_ns - (count - 1) * step if pack.t0 is None else moment_ns(pack.t0)
    if first + count * step >= LAST_NS:  # far beyond what is taken: keep the sum within 64 bits
        return LAST_NS, 0
    return max(first, FIRST_NS), step


def _values(packs: list[Pack]) -> Floats:
    """Put the values end to end; a null becomes NaN."""
    try:  # `struct` reads a list of numbers twice as fast as numpy, but takes no null
        raw = b"".join([_packer(len(pack.v)).pack(*pack.v) for pack in packs])
    except struct.error:
        return np.array(list(chain.from_iterable(pack.v for pack in packs)), dtype=np.float64)
    return np.frombuffer(bytearray(raw), dtype=np.float64)


@lru_cache(maxsize=1024)
def _packer(count: int) -> struct.Struct:
    return struct.Struct(f"{count}d")


def _issued(issues: list[int | None], time: Longs, counts: Longs) -> Longs:
    given = np.repeat(np.array([one or 0 for one in issues], dtype=np.int64), counts)
    own = np.repeat(np.array([one is None for one in issues], dtype=bool), counts)
    return np.where(own, time, given)


def _some_issued(issues: list[int | None], counts: Longs) -> NDArray[np.int8]:
    return np.repeat(_marks(issues), counts)


def _bounds(bounds: list[list[float | None] | None], counts: Longs) -> Floats:
    if bounds.count(None) == len(bounds):
        return NAN[: int(counts.sum())]
    filled = [[None] * int(count) if one is None else one for one, count in zip(bounds, counts, strict=True)]
    return np.array(list(chain.from_iterable(filled)), dtype=np.float64)


def joined(blocks: list[Block]) -> Block:
    """Put blocks together, in the order of their messages."""
    faults = [fault for block in blocks for fault in block.faults]
    filled = [block for block in blocks if len(block.entry)] or blocks[:1]
    if len(filled) == 1:
        return Block(part=filled[0].part, entry=filled[0].entry, faults=faults)
    entry = np.concatenate([block.entry for block in filled])
    order = np.argsort(entry, kind="stable")
    part = Part.concat([block.part for block in filled]).take(order)
    return Block(part=part, entry=entry[order], faults=faults)
