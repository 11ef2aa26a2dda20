"""Sound readings: usual ones that were looked at on their way in become columns when the log brings them.

Who posts is told at once whether a reading will be taken, so it is decoded then; what the log brings back
a moment later are the same bytes, and mean the same. Whatever is not as usual is decoded once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import endless
from nervure.core.observation import PACK_BITS, Batch, Sound
from nervure.sense.column import NAN
from nervure.sense.decode import READING
from nervure.sense.directory import Directory
from nervure.sense.moment import FIRST_NS, LAST_NS, moment_ns
from nervure.sense.part import unissued
from nervure.sense.screen import GOOD, Bounds
from nervure.stream.subject import reading_subject

__all__ = ["FLAT", "LONG", "UNREADABLE", "flat", "sound", "sounds"]

Flags = NDArray[np.bool_]

LONG = 160  # bytes; what is longer is seldom a single reading
FLAT = 32  # a reading with more brackets may be nested deep
UNREADABLE = (msgspec.MsgspecError, RecursionError, ValueError)

_UNKEYED = endless(np.bool_(False))


def flat(payload: bytes) -> bool:
    """Tell at once that a message in JSON has few brackets; typed decoders do not look how deep it is nested.

    How deep they can go depends on who asks: what was read on its way in must be read from the log again.
    """
    return len(payload) <= LONG or payload.count(b"[") + payload.count(b"{") <= FLAT


def sound(payload: bytes, row: int, directory: Directory, bound: Bounds, received_ns: int) -> Sound | None:
    """Read one usual reading for the Datastream in a row, if it will be taken; None: look at it."""
    if not flat(payload):
        return None
    try:
        reading = READING.decode(payload)
    except UNREADABLE:
        return None
    if reading.unit is not None:
        return None
    first, latest = FIRST_NS, LAST_NS
    if directory.declared[row]:
        first, latest = bound.oldest, received_ns + bound.future
    time = issued = None
    if reading.phenomenonTime is not None:
        time = moment_ns(reading.phenomenonTime)
        if not first <= time <= latest:
            return None
    if reading.resultTime is not None:
        issued = moment_ns(reading.resultTime)
        if not first <= issued <= latest:
            return None
    plain = issued is None and (len(payload) <= LONG or b'"result"' in payload)
    return Sound(reading.result, time, plain)


def sounds(
    readings: Sequence[tuple[int, Sound]], sequence: int, arrival_ns: int, directory: Directory, bound: Bounds
) -> Batch | None:
    """Put readings ``(datastream, reading)`` of one message of the log together; None: decode it.

    It is what `Intake` makes of them where nothing is the matter: each in time, within the range of any
    Datastream, without a result time.
    """
    streams = [one for one, _ in readings]
    found = {one: directory.plain.get(reading_subject(one), -1) for one in set(streams)}
    if directory.several is not None or -1 in found.values() or not all(one.plain for _, one in readings):
        return None
    times = [arrival_ns if one.time is None else one.time for _, one in readings]
    latest = min(arrival_ns + bound.future, LAST_NS - 1)
    if min(times) < max(bound.oldest, FIRST_NS + 1) or max(times) > latest:
        return None
    values = [one.value for _, one in readings]
    lowest, highest = directory.inner
    if min(values) < lowest or max(values) > highest:
        return None
    count = len(readings)
    time, nothing = np.array(times, dtype=np.int64), NAN[:count]
    return Batch(
        id=np.arange(sequence << PACK_BITS, (sequence << PACK_BITS) + count, dtype=np.int64),
        datastream=np.array(streams, dtype=np.int64),
        time=time,
        result_time=time,
        value=np.array(values, dtype=np.float64),
        low=nothing,
        high=nothing,
        quality=GOOD[:count],
        marks=unissued(count),
        keyed=_keyed(streams, found, directory),
    )


def _keyed(streams: Sequence[int], rows: Mapping[int, int], directory: Directory) -> Flags | None:
    """Tell which readings are of Datastreams that a solution declares; ``None``: all."""
    if directory.all_declared:
        return None
    declared = {one: bool(directory.declared[row]) for one, row in rows.items()}
    if all(declared.values()):
        return None
    if not any(declared.values()):
        return _UNKEYED[: len(streams)]
    return np.array([declared[one] for one in streams], dtype=np.bool_)
