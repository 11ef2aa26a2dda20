"""Track: the newest reading of each stream, and since when it has shown that value."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import endless, every, taken
from nervure.core.group import Groups, gathered

__all__ = ["Seen", "Track"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

_NEVER = -(1 << 62)
_TRUE, _NOTHING = endless(np.bool_(True)), endless(np.int64(0))


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a reading is to its stream, ``[row]``.

    ``newer`` than every reading before it, ``fresh`` if its value differs from the last one,
    ``flat_ns`` how long the value has not changed, ``before_ns`` how long it had not at the reading
    before.
    """

    newer: Flags
    fresh: Flags
    flat_ns: Longs
    before_ns: Longs

    def take(self, rows: Longs) -> Seen:
        """Return what some readings are."""
        return Seen(**taken(self, Seen.__struct_fields__, rows))


class Track:
    """The newest reading of each stream.

    >>> track = Track(1)
    >>> for time, value in ((0, 5.0), (10, 5.0), (20, 6.0)):
    ...     print(int(track.step(np.array([0]), np.array([time]), np.array([value])).flat_ns[0]))
    0
    10
    0
    """

    def __init__(self, streams: int) -> None:
        self.time: Longs = np.full(streams, _NEVER, dtype=np.int64)
        self.since: Longs = np.full(streams, _NEVER, dtype=np.int64)
        self.value: Floats = np.full(streams, np.nan)

    def step(self, streams: Longs, time: Longs, value: Floats) -> Seen:
        """Take one reading a stream (``[row]``, no stream twice)."""
        last = self.time[streams]
        newer = time > last
        before = self.value[streams]
        fresh = value != before
        since = np.where(fresh, time, self.since[streams])
        if every(newer):
            self.time[streams], self.since[streams], self.value[streams] = time, since, value
        else:
            moved = streams[newer]
            self.time[moved], self.since[moved], self.value[moved] = time[newer], since[newer], value[newer]
        return Seen(
            newer=newer, fresh=fresh, flat_ns=time - since, before_ns=np.where(fresh, 0, last - since)
        )

    def run(self, streams: Longs, time: Longs, value: Floats) -> Seen | None:
        """Take several readings a stream at once, ``[row]`` in log order; None if they do not rise in time.

        It says and leaves what :meth:`step` would, one reading a stream after the other.
        """
        groups = gathered(streams)
        return self.follow(streams[groups.firsts], groups, time, value)

    def follow(self, stream: Longs, groups: Groups, time: Longs, value: Floats) -> Seen | None:
        """Do the same with readings that are grouped by stream, where ``stream`` is that of each group."""
        if groups.single and groups.same:
            return self._once(stream, time, value)
        moment, shown, starts = groups.of(time), groups.of(value), groups.starts
        last = _before(moment, self.time, stream, starts)
        if not (moment > last).all():
            return None
        fresh = shown != _before(shown, self.value, stream, starts)
        ends, true = groups.ends, _TRUE[: len(moment)]
        if fresh.all():
            self.time[stream] = self.since[stream] = moment[ends]
            self.value[stream] = shown[ends]
            return _all_fresh(len(moment))
        since = moment.copy()
        kept = ~fresh[starts]  # streams that show what they showed before
        since[starts[kept]] = self.since[stream[kept]]
        since = since[np.maximum.accumulate(np.where(fresh | groups.fresh, np.arange(len(since)), 0))]
        held = np.where(fresh, 0, last - _before(since, self.since, stream, starts))
        self.time[stream], self.since[stream], self.value[stream] = moment[ends], since[ends], shown[ends]
        return Seen(
            newer=true,
            fresh=groups.back(fresh),
            flat_ns=groups.back(moment - since),
            before_ns=groups.back(held),
        )

    def _once(self, streams: Longs, time: Longs, value: Floats) -> Seen | None:
        """Take one reading a stream, as usual: each newer, and of another value than the one before."""
        if not every(time > self.time[streams]):
            return None
        if not every(value != self.value[streams]):
            return self.step(streams, time, value)
        self.time[streams] = self.since[streams] = time
        self.value[streams] = value
        return _all_fresh(len(streams))

    def grow(self, streams: int) -> None:
        """Make room for streams added later."""
        more = Track(max(0, streams - len(self.time)))
        self.time = np.concatenate([self.time, more.time])
        self.since = np.concatenate([self.since, more.since])
        self.value = np.concatenate([self.value, more.value])

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {"time": self.time.tobytes(), "since": self.since.tobytes(), "value": self.value.tobytes()}

    def restore(self, state: dict[str, Any], here: Longs, there: Longs) -> None:
        """Take up where :meth:`state` left off, for streams at ``here`` that were at ``there``."""
        self.time[here] = np.frombuffer(state["time"], dtype=np.int64)[there]
        self.since[here] = np.frombuffer(state["since"], dtype=np.int64)[there]
        self.value[here] = np.frombuffer(state["value"], dtype=np.float64)[there]


def _all_fresh(count: int) -> Seen:
    true, nothing = _TRUE[:count], _NOTHING[:count]
    return Seen(newer=true, fresh=true, flat_ns=nothing, before_ns=nothing)


def _before(column: NDArray[Any], held: NDArray[Any], stream: Longs, starts: Longs) -> NDArray[Any]:
    """Return what came before each row: the row before, or what is held of the stream that starts there."""
    before = np.empty_like(column)
    before[1:] = column[:-1]
    before[starts] = held[stream]
    return before
