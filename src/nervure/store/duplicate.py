"""Duplicates: one row a key, and the first one wins.

The key is (Datastream, time, result time). The same result again is a duplicate and only counted;
another result for a key that is taken is a conflict, which goes to quarantine. Rows whose Datastream
was made by a client have no key: there every Observation is one of its own. Only a reading whose
time and result time are both no newer than the newest of its Datastream can be one: everything
else is let through without a look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isnan

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import endless, every, least, most
from nervure.core.group import Groups, grouped
from nervure.core.instant import DAY_NS
from nervure.core.observation import Batch, Quality, Reject, sequence_of
from nervure.store.latest import Latest
from nervure.stream.subject import reading_subject

__all__ = [
    "CONFLICT",
    "LATE_NS",
    "Key",
    "Keys",
    "Result",
    "Verdict",
    "conflicts",
    "judge",
    "lateness",
    "matches",
]

CONFLICT = "conflict"
"""The reason under which another result for a taken key is quarantined."""

LATE_NS = DAY_NS
"""A reading this much older than the newest of its Datastream is stored as LATE."""

Longs = NDArray[np.int64]
Key = tuple[int, int, int]
Result = tuple[float, str | None]


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Keys to look for, all ``[row]``; instants in nanoseconds."""

    datastream: Longs
    time: Longs
    result_time: Longs

    def tuples(self) -> list[Key]:
        """Return the keys one by one."""
        columns = (self.datastream.tolist(), self.time.tolist(), self.result_time.tolist())
        return list(zip(*columns, strict=True))


Find = Callable[[Keys], Mapping[Key, Result]]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows to keep ``[row]``, and the positions of those that were there before or contradict.

    ``newer`` are the places in ``latest`` of the batch's groups, if each row is newer than what came before
    it, so that nothing has to be looked for.
    """

    keep: NDArray[np.bool_]
    duplicates: Longs
    conflicts: Longs
    newer: Longs | None = None


_NONE = np.empty(0, np.int64)
_ALL = endless(np.bool_(True))


def judge(batch: Batch, latest: Latest, find: Find) -> Verdict:
    """Sort the rows of a batch into new ones, duplicates and conflicts.

    ``find`` returns what is stored under some keys. Rows that have no key are all new.
    """
    groups = batch.groups
    first = groups.firsts
    place = latest.slots(batch.datastream[first])
    if every(batch.time[first] > latest.time[place]) and groups.rising(batch.time):
        return Verdict(keep=_ALL[: len(batch)], duplicates=_NONE, conflicts=_NONE, newer=place)
    if batch.keyed is not None and not every(batch.keyed):
        return _judge_keyed(batch, latest, find, np.flatnonzero(batch.keyed))
    return _compare(batch, latest.slots(batch.datastream), latest, find)


def _judge_keyed(batch: Batch, latest: Latest, find: Find, rows: Longs) -> Verdict:
    """Look only at the rows that have a key."""
    keep = np.ones(len(batch), np.bool_)
    if not len(rows):
        return Verdict(keep=keep, duplicates=_NONE, conflicts=_NONE)
    found = judge(batch.take(rows), latest, find)
    keep[rows] = found.keep
    return Verdict(keep=keep, duplicates=rows[found.duplicates], conflicts=rows[found.conflicts])


def _compare(batch: Batch, slot: Longs, latest: Latest, find: Find) -> Verdict:
    order = np.lexsort((batch.result_time, batch.time, slot))
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = np.diff(slot[order]) != 0
    fresh[1:] |= np.diff(batch.time[order]) != 0
    fresh[1:] |= np.diff(batch.result_time[order]) != 0
    lead = order[fresh]
    maybe = (batch.time[lead] <= latest.time[slot[lead]]) & (
        batch.result_time[lead] <= latest.result_time[slot[lead]]
    )
    stored = _stored(batch, lead, maybe, find)
    leader = np.empty(len(order), np.int64)
    leader[order] = lead[np.cumsum(fresh) - 1]
    keep = np.zeros(len(order), np.bool_)
    keep[lead] = True
    if stored:
        keep[list(stored)] = False
    rest = np.flatnonzero(~keep)
    same = _same(batch, rest, leader[rest], stored)
    return Verdict(keep=keep, duplicates=rest[same], conflicts=rest[~same])


def _stored(batch: Batch, lead: Longs, maybe: NDArray[np.bool_], find: Find) -> dict[int, Result]:
    """Return, by row, the result that is stored under the row's key."""
    rows = lead[maybe]
    if not len(rows):
        return {}
    keys = Keys(datastream=batch.datastream[rows], time=batch.time[rows], result_time=batch.result_time[rows])
    found = find(keys)
    if not found:
        return {}
    pairs = zip(rows.tolist(), keys.tuples(), strict=True)
    return {row: found[key] for row, key in pairs if key in found}


def _same(batch: Batch, rows: Longs, leader: Longs, stored: Mapping[int, Result]) -> NDArray[np.bool_]:
    """Tell for each row whether its result is the one that its key has."""
    text = batch.text
    same = np.empty(len(rows), np.bool_)
    pairs = zip(rows.tolist(), leader.tolist(), strict=True)
    for number, (row, first) in enumerate(pairs):
        value, words = stored.get(first) or (float(batch.value[first]), text[first] if text else None)
        mine = float(batch.value[row])
        equal = mine == value or (isnan(mine) and isnan(value))
        same[number] = equal and (text[row] if text else None) == words
    return same


def matches(batch: Batch, keys: Keys) -> dict[Key, Result]:
    """Find keys among rows in memory."""
    near = np.isin(batch.datastream, np.unique(keys.datastream))
    near &= (batch.time >= keys.time.min()) & (batch.time <= keys.time.max())
    rows = np.flatnonzero(near)
    if not len(rows):
        return {}
    wanted = set(keys.tuples())
    some = batch.take(rows)
    there = Keys(datastream=some.datastream, time=some.time, result_time=some.result_time).tuples()
    words = some.text if some.text is not None else [None] * len(rows)
    results = zip(there, some.value.tolist(), words, strict=True)
    return {key: (value, text) for key, value, text in results if key in wanted}


def lateness(batch: Batch, slot: Longs, latest: Latest) -> Batch:
    """Mark as LATE what is more than a day older than the newest reading before it in the log.

    A forecast (a result from before its time) is never late, and what follows one is not late for it:
    a Datastream has come no further than to its newest result time.
    """
    newest = latest.time[slot]
    if not len(batch) or max(int(most(newest)), int(most(batch.time))) <= LATE_NS + int(least(batch.time)):
        return batch
    groups = grouped(slot)
    if (batch.time >= newest).all() and groups.rising(batch.time):
        return batch
    before = np.minimum(
        np.maximum(newest, _newest_so_far(batch.time, groups)),
        np.maximum(latest.result_time[slot], _newest_so_far(batch.result_time, groups)),
    )
    late = (before > LATE_NS + batch.time) & (batch.result_time >= batch.time)
    late &= batch.quality == Quality.GOOD
    if batch.keyed is not None:
        late &= batch.keyed
    if not late.any():
        return batch
    quality = np.where(late, np.int8(Quality.LATE), batch.quality).astype(np.int8)
    return msgspec.structs.replace(batch, quality=quality)


def _newest_so_far(time: Longs, groups: Groups) -> Longs:
    ranked = time[groups.order]
    for part in np.split(ranked, groups.starts[1:]):
        np.maximum.accumulate(part, out=part)
    newest = np.empty_like(ranked)
    newest[groups.order] = ranked
    return newest


def conflicts(batch: Batch, rows: Longs, now_ns: int) -> list[Reject]:
    """Describe rows that contradict what is stored, as they go to quarantine."""
    found = []
    for row in rows.tolist():
        datastream, identity = int(batch.datastream[row]), int(batch.id[row])
        words = batch.text[row] if batch.text else None
        result = float(batch.value[row]) if words is None else words
        times = {"time_ns": int(batch.time[row]), "result_time_ns": int(batch.result_time[row])}
        found.append(
            Reject(
                sequence=sequence_of(identity),
                index=identity & 0xFFFF,
                subject=reading_subject(datastream),
                reason=CONFLICT,
                detail=f"Datastream {datastream} has another result for this instant; the first one stays",
                payload=msgspec.json.encode(times | {"result": result}),
                received_ns=now_ns,
            )
        )
    return found
