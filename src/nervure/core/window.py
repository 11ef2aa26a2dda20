"""Windows: the one way in which readings become what a model eats, in training and in scoring.

Time is cut into slots of ``every_ns``; slot ``k`` holds the reading at ``[k, k + 1) * every_ns``,
the last one if there are several. Training gathers from a whole table ``[slot, stream]``, scoring
from mirrored rings ``[2 * length, stream]``, both by :func:`gather`, so the bits agree.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nervure.core.group import grouped

__all__ = ["Rings", "Table", "Window", "gather", "rounds", "tabulate"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What a model eats: ``x [batch, time, channel]`` in float32, NaN where nothing was read.

    ``ahead [batch, horizon, driver]`` are drivers that are known over the horizon too, if any.
    """

    x: NDArray[np.float32]
    node: Longs
    calendar: Longs
    ahead: NDArray[np.float32] | None = None


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A regular history: ``value [slot, stream]`` with NaN gaps, from slot ``first``."""

    streams: tuple[str, ...]
    first: int
    every_ns: int
    value: Floats

    @property
    def slots(self) -> Longs:
        """The slot numbers ``[slot]``."""
        return self.first + np.arange(len(self.value), dtype=np.int64)


def gather(values: Floats, last: Longs, columns: Longs, length: int, back: Longs | None = None) -> Floats:
    """Cut windows of ``length`` rows that end with row ``last``: ``[batch, time, channel]``.

    ``values`` is ``[row, stream]``, ``last`` is ``[batch]``, ``columns`` is ``[batch, channel]``;
    ``back [channel]`` is by how many rows a channel lies earlier. Rows wrap around at the start of
    ``values``, as rings need it.
    """
    rows = (last[:, None] + np.arange(1 - length, 1, dtype=np.int64))[:, :, None]
    if back is not None and back.any():
        rows = rows - back
    picked: Floats = values[rows, columns[:, None, :]]
    return picked


def tabulate(streams: tuple[str, ...], column: Longs, time: Longs, value: Floats, every_ns: int) -> Table:
    """Put readings (``column``, ``time``, ``value``, all ``[row]``) on the slots of a table.

    Rows must be in the order they came in: the last reading of a slot stays.
    """
    slot = time // every_ns
    first = int(slot.min()) if len(slot) else 0
    height = int(slot.max()) - first + 1 if len(slot) else 0
    table = np.full((height, len(streams)), np.nan)
    table[slot - first, column] = value
    return Table(streams=streams, first=first, every_ns=every_ns, value=table)


def rounds(streams: Longs) -> list[NDArray[Any]]:
    """Split rows into rounds in which no stream comes twice, keeping each stream's order.

    >>> [chosen.tolist() for chosen in rounds(np.array([4, 5, 4, 4]))]
    [[0, 1], [2], [3]]
    """
    count = len(streams)
    if count < 2:
        return [np.arange(count)] if count else []
    groups = grouped(streams)
    if len(groups.starts) == count:
        return [np.arange(count)]
    turn = np.empty(count, dtype=np.int64)
    turn[groups.order] = np.arange(count) - np.repeat(groups.starts, groups.counts)
    by_turn = np.argsort(turn, kind="stable")
    return np.split(by_turn, np.flatnonzero(np.diff(turn[by_turn])) + 1)


class Rings:
    """The last ``length`` slots of each stream, mirrored so that a window is one slice.

    ``value`` is ``[2 * length, stream]``; in memory the slots of a stream lie side by side, so that a
    window is one copy.

    >>> rings = Rings(streams=1, length=3, every_ns=10)
    >>> for time, value in ((100, 1.0), (110, 2.0), (130, 4.0)):
    ...     _ = rings.push(np.array([0]), np.array([time]), np.array([value]))
    >>> rings.window(np.array([[0]]), np.array([13]), 3)[0, :, 0]
    array([ 2., nan,  4.])
    """

    def __init__(self, *, streams: int, length: int, every_ns: int) -> None:
        self.length = length
        self.every_ns = every_ns
        self.value: Floats = np.full((streams, 2 * length), np.nan).T
        self._views: dict[int, Floats] = {}
        self.head: Longs = np.full(streams, -1, dtype=np.int64)

    def push(self, streams: Longs, time: Longs, value: Floats) -> NDArray[np.int8]:
        """Write one reading a stream (``[row]``, no stream twice).

        Returns for each row 1 (opens a new slot), 0 (falls into a slot that is still held) or -1
        (older than the ring: not written).
        """
        slot = time // self.every_ns
        head = self.head[streams]
        state = np.where(slot > head, 1, np.where(slot > head - self.length, 0, -1)).astype(np.int8)
        jumped = np.flatnonzero((state == 1) & (slot != head + 1))
        for row in jumped:
            self._clear(int(streams[row]), int(head[row]), int(slot[row]))
        held = state >= 0
        if not held.all():
            streams, slot, value, head = streams[held], slot[held], value[held], head[held]
        place = slot % self.length
        self.value[place, streams] = value
        self.value[place + self.length, streams] = value
        self.head[streams] = np.maximum(head, slot)
        return state

    def _clear(self, stream: int, head: int, slot: int) -> None:
        """Forget what lay in the slots that were skipped."""
        first = max(head + 1, slot - self.length + 1)
        places = np.arange(first, slot, dtype=np.int64) % self.length
        self.value[places, stream] = np.nan
        self.value[places + self.length, stream] = np.nan

    def window(self, columns: Longs, last: Longs, length: int, back: Longs | None = None) -> Floats:
        """Cut windows that end with slot ``last [batch]``: ``[batch, time, channel]``.

        ``back [channel]`` is by how many slots a channel lies earlier. A stream that has not reached
        a slot, or no longer holds it, shows NaN there.
        """
        shift = np.zeros(columns.shape[1], dtype=np.int64) if back is None else back
        most = int(shift.max(initial=0))
        place = last % self.length + self.length
        if most or length > self.length:
            values = gather(self.value, place, columns, length, shift)
        else:  # what `gather` would say
            values = self._view(length)[columns, (place - (length - 1))[:, None]].transpose(0, 2, 1)
        head = self.head[columns]
        if (head == last[:, None]).all() and length + most <= self.length:
            return values
        slot = last[:, None, None] + np.arange(1 - length, 1, dtype=np.int64)[:, None] - shift
        ahead = slot > head[:, None, :]
        gone = slot <= head[:, None, :] - self.length
        values[ahead | gone] = np.nan
        return values

    def _view(self, length: int) -> Floats:
        """Return every window of a length: ``[stream, first row, time]``, which copies nothing."""
        found = self._views.get(length)
        if found is None:
            found = self._views[length] = sliding_window_view(self.value.T, length, axis=1)
        return found

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {"value": self.value[: self.length].tobytes(), "head": self.head.tobytes()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        half = np.frombuffer(state["value"], dtype=np.float64).reshape(self.length, -1)
        self.value = np.concatenate([half.T, half.T], axis=1).T
        self._views.clear()
        self.head = np.frombuffer(state["head"], dtype=np.int64).copy()
