"""Columns: many messages of one kind, decoded already, become one Part, without a loop over readings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import endless
from nervure.core.observation import NO_RESULT_TIME
from nervure.sense.decode import Reading
from nervure.sense.directory import Directory
from nervure.sense.moment import moment_ns, moments_ns
from nervure.sense.part import Fault, Part, unissued
from nervure.sense.reason import Unreadable

__all__ = ["NAN", "Block", "joined", "marks", "reading_columns"]

Longs = NDArray[np.int64]

NAN = endless(math.nan)


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
        marks=unissued(count) if bare == count else marks(issued) if bare else None,
    )
    if codes.count(None) == count:
        return Block(part=part, entry=where)
    return _converted(part, where, codes, directory)


def marks(issued: Sequence[object]) -> NDArray[np.int8]:
    """Mark readings of which nobody said when they were issued."""
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
