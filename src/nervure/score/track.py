"""Track: the newest reading of each stream, and since when it has shown that value."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Seen", "Track"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

_NEVER = -(1 << 62)


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
        if newer.all():
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
        order = np.argsort(streams, kind="stable")
        stream, moment, shown = streams[order], time[order], value[order]
        first = np.ones(len(order), dtype=bool)
        first[1:] = stream[1:] != stream[:-1]
        last = _before(moment, self.time, stream, first)
        if not (moment > last).all():
            return None
        fresh = shown != _before(shown, self.value, stream, first)
        begun = np.maximum.accumulate(np.where(fresh | first, np.arange(len(order)), 0))
        since = np.where(fresh[begun], moment[begun], self.since[stream])
        held = last - _before(since, self.since, stream, first)
        end = np.flatnonzero(np.append(first[1:], True)) if len(order) else order
        moved = stream[end]
        self.time[moved], self.since[moved], self.value[moved] = moment[end], since[end], shown[end]
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return Seen(
            newer=np.ones(len(order), dtype=bool),
            fresh=fresh[back],
            flat_ns=(moment - since)[back],
            before_ns=np.where(fresh, 0, held)[back],
        )

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


def _before(column: NDArray[Any], held: NDArray[Any], stream: Longs, first: Flags) -> NDArray[Any]:
    """Return what came before each row of a stream: the row before, or what is held of the stream."""
    before = np.empty_like(column)
    before[1:] = column[:-1]
    before[first] = held[stream[first]]
    return before
