"""Windows: the one way in which readings become what a model eats, in training and in scoring.

Time is cut into slots of ``every_ns``; slot ``k`` holds the reading at ``[k, k + 1) * every_ns``,
the last one if there are several. Training gathers from a whole table ``[slot, stream]``, scoring
from mirrored rings ``[2 * length, stream]``, both by :func:`gather`, so the bits agree.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nervure.core.columnar import every
from nervure.core.group import Groups, grouped

__all__ = ["Rings", "Table", "Window", "gather", "rounds", "tabulate", "turns"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Real = TypeVar("Real", bound=np.floating[Any])


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


def gather(
    values: NDArray[Real], last: Longs, columns: Longs, length: int, back: Longs | None = None
) -> NDArray[Real]:
    """Cut windows of ``length`` rows that end with row ``last``: ``[batch, time, channel]``.

    ``values`` is ``[row, stream]``, ``last`` is ``[batch]``, ``columns`` is ``[batch, channel]``;
    ``back [channel]`` is by how many rows a channel lies earlier. Rows wrap around at the start of
    ``values``, as rings need it.
    """
    rows = (last[:, None] + np.arange(1 - length, 1, dtype=np.int64))[:, :, None]
    if back is not None and back.any():
        rows = rows - back
    picked: NDArray[Real] = values[rows, columns[:, None, :]]
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
    return turns(grouped(streams)) if len(streams) else []


def turns(groups: Groups) -> list[NDArray[Any]]:
    """Split rows that are grouped by stream, in whatever order of streams, as :func:`rounds` does."""
    count = len(groups.order)
    if groups.single:
        return [np.arange(count)] if count else []
    turn = np.empty(count, dtype=np.int64)
    turn[groups.order] = np.arange(count) - np.repeat(groups.starts, groups.counts)
    by_turn = np.argsort(turn, kind="stable")
    return np.split(by_turn, np.flatnonzero(np.diff(turn[by_turn])) + 1)


class Rings:
    """The last ``length`` slots of each stream, mirrored so that a window is one slice.

    ``value`` is ``[2 * length, stream]`` in float32, as models eat it; in memory the slots of a stream
    lie side by side, so that a window is one copy.

    >>> rings = Rings(streams=1, length=3, every_ns=10)
    >>> for time, value in ((100, 1.0), (110, 2.0), (130, 4.0)):
    ...     _ = rings.push(np.array([0]), np.array([time]), np.array([value]))
    >>> rings.window(np.array([[0]]), np.array([13]), 3)[0, :, 0]
    array([ 2., nan,  4.], dtype=float32)
    """

    def __init__(self, *, streams: int, length: int, every_ns: int) -> None:
        self.length = length
        self.every_ns = every_ns
        self._lay(np.full((streams, 2 * length), np.nan, dtype=np.float32))
        self.head: Longs = np.full(streams, -1, dtype=np.int64)

    def _lay(self, held: NDArray[np.float32]) -> None:
        """Hold the slots of streams, ``[stream, 2 * length]``."""
        self.value = held.T
        self._flat = held.reshape(-1)
        self._views: dict[int, NDArray[np.float32]] = {}

    def push(self, streams: Longs, time: Longs, value: Floats) -> NDArray[np.int8]:
        """Write one reading a stream (``[row]``, no stream twice).

        Returns for each row 1 (opens a new slot), 0 (falls into a slot that is still held) or -1
        (older than the ring: not written).
        """
        slot = time // self.every_ns
        head = self.head[streams]
        if every(slot == head + 1):  # as usual: each stream opens its next slot
            self._write(streams, slot, value)
            self.head[streams] = slot
            return np.ones(len(slot), dtype=np.int8)
        state = np.where(slot > head, 1, np.where(slot > head - self.length, 0, -1)).astype(np.int8)
        jumped = np.flatnonzero((state == 1) & (slot != head + 1))
        for row in jumped:
            self._clear(int(streams[row]), int(head[row]), int(slot[row]))
        held = state >= 0
        if not held.all():
            streams, slot, value, head = streams[held], slot[held], value[held], head[held]
        self._write(streams, slot, value)
        self.head[streams] = np.maximum(head, slot)
        return state

    def _write(self, streams: Longs, slot: Longs, value: Floats) -> None:
        place = streams * (2 * self.length) + slot % self.length
        self._flat[place] = value
        self._flat[place + self.length] = value

    def _clear(self, stream: int, head: int, slot: int) -> None:
        """Forget what lay in the slots that were skipped."""
        first = max(head + 1, slot - self.length + 1)
        places = np.arange(first, slot, dtype=np.int64) % self.length
        self.value[places, stream] = np.nan
        self.value[places + self.length, stream] = np.nan

    def window(
        self, columns: Longs, last: Longs, length: int, back: Longs | None = None
    ) -> NDArray[np.float32]:
        """Cut windows that end with slot ``last [batch]``: ``[batch, time, channel]``.

        ``back [channel]`` is by how many slots a channel lies earlier. A stream that has not reached
        a slot, or no longer holds it, shows NaN there.
        """
        most = 0 if back is None else int(back.max(initial=0))
        place = last % self.length + self.length
        if most or length > self.length:
            values = gather(self.value, place, columns, length, back)
        else:  # what `gather` would say
            first = columns * (2 * self.length) + (place - (length - 1))[:, None]
            values = self._view(length)[first].transpose(0, 2, 1)
        head = self.head[columns]
        if length + most <= self.length and (head == last[:, None]).all():
            return values
        slot = last[:, None, None] + np.arange(1 - length, 1, dtype=np.int64)[:, None]
        if back is not None:
            slot = slot - back
        ahead = slot > head[:, None, :]
        gone = slot <= head[:, None, :] - self.length
        values[ahead | gone] = np.nan
        return values

    def _view(self, length: int) -> NDArray[np.float32]:
        """Return every window of a length: ``[first, time]``, which copies nothing."""
        found = self._views.get(length)
        if found is None:
            found = self._views[length] = sliding_window_view(self._flat, length)
        return found

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {"value": self.value[: self.length].tobytes(), "head": self.head.tobytes()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up where :meth:`state` left off."""
        self.head = np.frombuffer(state["head"], dtype=np.int64).copy()
        wide = len(state["value"]) == 8 * self.length * len(self.head)  # as states were once
        held = np.frombuffer(state["value"], dtype=np.float64 if wide else np.float32)
        half = held.astype(np.float32).reshape(self.length, -1).T
        self._lay(np.ascontiguousarray(np.concatenate([half, half], axis=1)))
