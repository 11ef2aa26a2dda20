"""Windows: the one way in which readings become what a model eats, in training and in scoring.

Time is cut into slots of ``every_ns``; slot ``k`` holds the reading at ``[k, k + 1) * every_ns``,
the last one if there are several. Training gathers from a whole table ``[slot, stream]``, scoring
from mirrored rings ``[2 * length, stream]``, both by :func:`gather`, so the bits agree.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

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
    order = np.argsort(streams, kind="stable")
    ranked = streams[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(order) else order
    if len(starts) == len(order):
        return [np.arange(len(order))] if len(order) else []
    sizes = np.diff(np.r_[starts, len(order)])
    turn = np.empty(len(order), dtype=np.int64)
    turn[order] = np.arange(len(order)) - np.repeat(starts, sizes)
    by_turn = np.argsort(turn, kind="stable")
    return np.split(by_turn, np.flatnonzero(np.diff(turn[by_turn])) + 1)


class Rings:
    """The last ``length`` slots of each stream, mirrored so that a window is one slice.

    >>> rings = Rings(streams=1, length=3, every_ns=10)
    >>> for time, value in ((100, 1.0), (110, 2.0), (130, 4.0)):
    ...     _ = rings.push(np.array([0]), np.array([time]), np.array([value]))
    >>> rings.window(np.array([[0]]), np.array([13]), 3)[0, :, 0]
    array([ 2., nan,  4.])
    """

    def __init__(self, *, streams: int, length: int, every_ns: int) -> None:
        self.length = length
        self.every_ns = every_ns
        self.value: Floats = np.full((2 * length, streams), np.nan)
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
        values = gather(self.value, last % self.length + self.length, columns, length, shift)
        head = self.head[columns]
        if (head == last[:, None]).all() and length + int(shift.max(initial=0)) <= self.length:
            return values
        slot = last[:, None, None] + np.arange(1 - length, 1, dtype=np.int64)[:, None] - shift
        ahead = slot > head[:, None, :]
        gone = slot <= head[:, None, :] - self.length
        values[ahead | gone] = np.nan
        return values

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {"value": self.value[: self.length].tobytes(), "head": self.head.tobytes()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        half = np.frombuffer(state["value"], dtype=np.float64).reshape(self.length, -1)
        self.value = np.concatenate([half, half])
        self.head = np.frombuffer(state["head"], dtype=np.int64).copy()
