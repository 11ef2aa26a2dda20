"""Intake: entries of the log become a Batch, and what cannot be taken becomes Rejects.

What is usual, single readings and regular packs in JSON on a Datastream's own subject, is decoded
by typed decoders and put together as columns; all else goes through `decode`, message by message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.declaration import Solution
from nervure.core.entity import Datastream
from nervure.core.instant import SECOND_NS
from nervure.core.observation import PACK_BITS, Batch, Reject, Sound
from nervure.core.settings import Limits
from nervure.sense.column import Block, joined, reading_columns
from nervure.sense.decode import LONE_PACK, PACK, READING, Reading, decode, loaded
from nervure.sense.directory import Directory
from nervure.sense.foretold import Foretold
from nervure.sense.gateway import refusal_of
from nervure.sense.pack import Packs, pack_columns
from nervure.sense.part import Fault, Part, Place, Rows
from nervure.sense.reason import FLOOD, MALFORMED, TOO_LARGE, UNKNOWN_STREAM, UNRESOLVED, Unreadable
from nervure.sense.screen import bounds, out_of_range, why_not, wrong
from nervure.sense.sound import LONG, UNREADABLE, flat, sound, sounds
from nervure.stream.subject import datastream_of, feature_of
from nervure.stream.wire import Entries

__all__ = ["KEPT_BYTES", "SHARED", "Intake"]

Longs = NDArray[np.int64]

SHARED = "v1//1.Observations"
"""The subject for readings that name their Datastream themselves."""

KEPT_BYTES = 4096
"""How much of a rejected message is kept to be looked at."""

_BURST_S = 2.0
_PACK = (b'{"t0"', b'{"v"', b'{"dt"')  # as a pack begins that has no more to it than it must


class _Sorted:
    """The messages of one batch, sorted by how they are decoded: entry numbers, rows and messages."""

    def __init__(self, most: int) -> None:
        self.reading: tuple[list[Reading], list[int], list[int]] = ([], [], [])
        self.packs = Packs(most)
        self.other: list[int] = []
        self.flooded: list[int] = []


class Intake:
    """Decodes and screens what the log holds; bad input never raises.

    The same entries in the same order give the same result. The only state is how fast each
    Datastream has been sending lately. ``solutions`` say which signals may be known ahead of time.

    >>> intake = Intake([Datastream(id=7, name="inflow", unit="L/s", thing=1)], Limits())
    >>> subject = "v1//1.Datastreams(7).Observations"
    >>> entries = Entries(
    ...     sequence=[1, 2], subject=[subject] * 2, payload=[b'{"result": 3}', b"?"], received_ns=[10**18] * 2
    ... )
    >>> batch, rejects = intake.take(entries)
    >>> batch.value, rejects[0].reason
    (array([3.]), 'malformed')
    """

    def __init__(
        self, datastreams: Iterable[Datastream], limits: Limits, solutions: Iterable[Solution] = ()
    ) -> None:
        self.limits = limits
        self._ahead = {
            (one.name, signal.name): signal.ahead_ns for one in solutions for signal in one.signals
        }
        self._bounds = bounds(limits)
        self._cost_ns = round(SECOND_NS / limits.per_device_s)
        self._burst_ns = round(_BURST_S * SECOND_NS)
        self._given: tuple[Datastream, ...] = ()
        self._directory = Directory(())
        self._busy: list[int] = []
        self._foretold = Foretold()
        self.version = 0
        """How often what is known of Datastreams has changed."""
        self.learn(datastreams)

    def learn(self, datastreams: Iterable[Datastream]) -> None:
        """Take over which Datastreams there are; those that are not among them are no more."""
        given = tuple(datastreams)
        if given == self._given:
            return
        busy = dict(zip(self._directory.id.tolist(), self._busy, strict=True))
        self._directory = Directory(given, self._ahead)
        self.version += 1
        self._busy = [busy.get(one.id, 0) for one in self._directory.datastreams]
        self._given = given

    def forget(self, ids: Sequence[int]) -> None:
        """Take nothing more for some Datastreams, which were deleted."""
        if any(one in self._directory.row_of_id for one in ids):
            self.learn(one for one in self._directory.datastreams if one.id not in set(ids))

    def stream_of(self, subject: str) -> Datastream | None:
        """Return the Datastream whose own subject it is."""
        row = self._directory.row_of_subject.get(subject)
        return None if row is None else self._directory.datastreams[row]

    def named(self, name: str) -> int | None:
        """Return the id of a Datastream by its number, ``"7"`` or ``"Datastreams(7)"``, or by its name.

        The number goes first: settings say it, and a key like it can be chosen by anybody.
        """
        row = self._directory.numbered(name)
        if row is None:
            row = self._directory.find(name)
        return None if row is None else self._directory.datastreams[row].id

    def take(self, entries: Entries) -> tuple[Batch, list[Reject]]:
        """Decode and screen one batch of entries: the readings, and the rejects, both in log order."""
        return self._take(entries, bounded=True)

    def again(self, entries: Entries) -> tuple[Batch, list[Reject]]:
        """Look again at messages that have been taken already: they are not counted a second time."""
        return self._take(entries, bounded=False)

    def charge(self, datastreams: Iterable[int], received_ns: int) -> None:
        """Count readings that came gathered against their senders, as if each had been a message."""
        for one, count in Counter(datastreams).items():
            row = self._directory.row_of_id.get(one)
            if row is not None:
                self._busy[row] = max(self._busy[row], received_ns) + count * self._cost_ns

    def flooded(self, subject: str, now_ns: int) -> bool:
        """Tell whether a message sent now would be left out because its Datastream sends too many."""
        row = self._directory.row_of_subject.get(subject)
        return row is not None and self._busy[row] - now_ns > self._burst_ns

    def check(self, subject: str, payload: bytes, received_ns: int) -> tuple[Batch, list[Reject]]:
        """Tell what :meth:`take` would make of a message, without counting it against its sender."""
        one = Entries(sequence=[0], subject=[subject], payload=[payload], received_ns=[received_ns])
        return self._take(one, bounded=False)

    def foretell(self, subject: str, payload: bytes, received_ns: int) -> tuple[Batch, list[Reject]]:
        """Do what `check` does for a message that will come: it is not decoded again then."""
        self._foretold.expect(payload)
        return self.check(subject, payload, received_ns)

    def sound(self, subject: str, payload: bytes, received_ns: int) -> Sound | None:
        """Read at once one usual reading which will be taken; None: ask `check`."""
        row = self._directory.plain.get(subject)
        if row is None or len(payload) > self.limits.message_bytes:
            return None
        return sound(payload, row, self._directory, self._bounds, received_ns)

    def sounds(self, readings: Sequence[tuple[int, Sound]], sequence: int, received_ns: int) -> Batch | None:
        """Return what the log's message of readings ``(datastream, reading)`` holds; None: decode it."""
        return sounds(readings, sequence, received_ns, self._directory, self._bounds)

    def _take(self, entries: Entries, *, bounded: bool) -> tuple[Batch, list[Reject]]:
        arrival = np.array(entries.received_ns, dtype=np.int64)
        found = self._sort(entries, bounded=bounded)
        blocks = []
        if found.reading[0]:
            blocks.append(reading_columns(*found.reading, arrival, self._directory))
        if found.packs.said:
            blocks.append(pack_columns(found.packs, arrival, self._directory))
        blocks += [self._decode(entries, number) for number in found.other]
        floods = {one: self._flood(one) for one in {entries.subject[number] for number in found.flooded}}
        faults = [(number, floods[entries.subject[number]]) for number in found.flooded]
        block = joined(blocks or [Block(part=Rows().part(), entry=np.zeros(0, dtype=np.int64))])
        block, screened = self._screen(block, arrival)
        rejects = [_reject(entries, *one) for one in chain(faults, block.faults, screened)]
        rejects.sort(key=lambda one: (one.sequence, one.index))
        return self._batch(block, entries), rejects

    def _sort(self, entries: Entries, *, bounded: bool) -> _Sorted:
        """Decode what is usual at once, and set aside what is not."""
        found = _Sorted(self.limits.pack)
        readings, reading_rows, reading_entries = found.reading
        row_of, busy = self._directory.plain.get, self._busy
        decode_reading, decode_pack, decode_lone = READING.decode, PACK.decode, LONE_PACK.decode
        pack_up = found.packs.take
        burst, cost, most = self._burst_ns, self._cost_ns, self.limits.message_bytes
        arrivals = zip(entries.subject, entries.payload, entries.received_ns, strict=True)
        for number, (subject, payload, received) in enumerate(arrivals):
            row = row_of(subject)
            if row is None or len(payload) > most:
                over = bounded and self._over(subject, received)
                (found.flooded if over else found.other).append(number)
                continue
            if bounded:
                until = busy[row]
                if until - received > burst:
                    found.flooded.append(number)
                    continue
                busy[row] = (until if until > received else received) + cost  # noqa: FURB136 - twice as fast as max
            if payload.startswith(_PACK) and pack_up(decode_lone, payload, row, number):
                continue
            if len(payload) <= LONG or _single(payload):  # else a pack, most likely
                try:
                    readings.append(decode_reading(payload))
                except UNREADABLE:
                    pass
                else:
                    reading_rows.append(row)
                    reading_entries.append(number)
                    continue
            if not pack_up(decode_pack, payload, row, number):
                found.other.append(number)
        return found

    def _over(self, subject: str, received: int) -> bool:
        """Count an unusual message against the Datastream that it comes for; tell if it is too many."""
        row = self._directory.row_of_subject.get(subject)
        if row is None:
            return False
        until = self._busy[row]
        if until - received > self._burst_ns:
            return True
        self._busy[row] = max(until, received) + self._cost_ns
        return False

    def _decode(self, entries: Entries, number: int) -> Block:
        """Decode one message of an unusual kind."""
        try:
            part = self._part(entries.subject[number], entries.payload[number], entries.received_ns[number])
        except Unreadable as problem:
            part = _nothing(Fault(reason=problem.reason, detail=problem.detail))
        except Exception as cause:  # noqa: BLE001 - whatever a device sends, the loop goes on
            part = _nothing(
                Fault(reason=MALFORMED, detail=f"it cannot be read: {type(cause).__name__}: {cause}")
            )
        return Block(
            part=part,
            entry=np.full(len(part.index), number, dtype=np.int64),
            faults=[(number, fault) for fault in part.faults],
        )

    def _part(self, subject: str, payload: bytes, received_ns: int) -> Part:
        row = self._directory.row_of_subject.get(subject)
        apart = row is None and subject != SHARED
        described = apart and feature_of(subject) is not None
        if apart and not described:
            raise _unknown(subject, payload)
        if len(payload) > self.limits.message_bytes:
            raise Unreadable(
                TOO_LARGE,
                f"{len(payload):,} bytes; at most {self.limits.message_bytes:,} are taken in a message",
            )
        if described:
            loaded(payload, self.limits.depth)
            raise Unreadable(UNRESOLVED, "the topic names a FeatureOfInterest alone")
        known = self._foretold.find(payload, self.version) if subject == SHARED else None
        if known is not None:
            return known
        place = Place(directory=self._directory, limits=self.limits, row=row, received_ns=received_ns)
        part = decode(payload, place)
        self._foretold.keep(payload, self.version, part, received_ns)
        return part

    def _flood(self, subject: str) -> Fault:
        stream = self._directory.id[self._directory.row_of_subject[subject]]
        return Fault(
            reason=FLOOD,
            detail=f"Datastream {stream} sends more than {self.limits.per_device_s:g} "
            "messages a second; those above are left out",
        )

    def _screen(self, block: Block, arrival: Longs) -> tuple[Block, list[tuple[int, Fault]]]:
        part, entry = block.part, block.entry
        verdict = wrong(part, arrival[entry], self._directory, self._bounds)
        if verdict is None:
            return block, []
        faults: dict[tuple[int, int], Fault] = {}
        for place in np.flatnonzero(verdict).tolist():
            key = (int(entry[place]), int(verdict[place]))
            seen = faults.get(key)
            if seen is not None:
                faults[key] = msgspec.structs.replace(seen, count=seen.count + 1)
                continue
            row = int(part.stream[place])
            reason, detail = why_not(
                key[1],
                int(part.time[place]),
                int(part.result_time[place]),
                int(arrival[key[0]]),
                self._bounds if self._directory.declared[row] else None,
                int(self._directory.reach[row]),
            )
            faults[key] = Fault(reason=reason, detail=detail, index=int(part.index[place]))
        good = verdict == 0
        kept = Block(part=part.take(good), entry=entry[good], faults=block.faults)
        return kept, [(number, fault) for (number, _), fault in faults.items()]

    def _batch(self, block: Block, entries: Entries) -> Batch:
        part = block.part
        sequence = np.array(entries.sequence, dtype=np.int64)
        identity = sequence[block.entry]
        identity <<= PACK_BITS
        identity |= part.index
        return Batch(
            id=identity,
            datastream=self._directory.id[part.stream],
            time=part.time,
            result_time=part.result_time,
            value=part.value,
            low=part.low,
            high=part.high,
            quality=out_of_range(part, self._directory),
            text=_some(part.text),
            end_time=part.end_time,
            feature=part.feature,
            marks=part.marks,
            extra=_some(part.extra),
            keyed=self._keyed(part),
        )

    def _keyed(self, part: Part) -> NDArray[np.bool_] | None:
        """Tell which rows are of Datastreams that a solution declares; ``None``: all."""
        directory = self._directory
        if directory.all_declared:
            return None
        keyed: NDArray[np.bool_] = directory.declared[part.stream]
        return None if keyed.all() else keyed


def _single(payload: bytes) -> bool:
    return b'"result"' in payload and flat(payload)


def _some(texts: list[str | None] | None) -> list[str | None] | None:
    return texts if texts and any(one is not None for one in texts) else None


def _nothing(fault: Fault) -> Part:
    return msgspec.structs.replace(Rows().part(), faults=(fault,))


def _unknown(subject: str, payload: bytes) -> Unreadable:
    if subject.startswith("nv.in."):
        found = refusal_of(payload)
        return Unreadable(found.reason, found.detail)
    identity = datastream_of(subject)
    if identity is None:
        return Unreadable(UNKNOWN_STREAM, f"no Datastream takes what is sent to {subject!r}")
    return Unreadable(UNKNOWN_STREAM, f"there is no Datastream {identity}")


def _reject(entries: Entries, number: int, fault: Fault) -> Reject:
    payload, subject = entries.payload[number], entries.subject[number]
    if fault.reason == FLOOD:
        payload = b""  # they are many, and one like the other
    elif subject.startswith("nv.in."):
        payload = refusal_of(payload).head
    return Reject(
        sequence=entries.sequence[number],
        index=fault.index,
        count=fault.count,
        subject=subject,
        reason=fault.reason,
        detail=fault.detail if fault.count == 1 else f"{fault.detail} (and {fault.count - 1:,} more like it)",
        payload=payload[:KEPT_BYTES],
        received_ns=entries.received_ns[number],
    )
