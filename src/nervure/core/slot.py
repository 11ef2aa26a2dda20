"""Readings of several streams laid side by side on slots of one step, in a file's whole or as they come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Slots", "laid"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


def laid(
    place: Longs, time: Longs, value: Floats, streams: int, *, every_ns: int, origin_ns: int
) -> tuple[Longs, Floats, Longs]:
    """Lay readings ``[reading]`` of streams ``place`` on the nearest slots.

    Returns the slots' times ``[row]``, their readings ``[row, stream]`` and the row of each ``[reading]``.

    Slots are ``every_ns`` apart from ``origin_ns`` on; only those in which something was read have a row,
    NaN where a stream has nothing there; of two readings the later in the array counts.

    >>> laid(np.array([0, 1, 0]), np.array([0, 4, 11]), np.array([1.0, 2.0, 3.0]), 2, every_ns=10,
    ...      origin_ns=0)[:2]
    (array([ 0, 10]), array([[ 1.,  2.],
           [ 3., nan]]))
    """
    slot = np.floor_divide(time - origin_ns + every_ns // 2, every_ns)
    rows, at = np.unique(slot, return_inverse=True)
    table = np.full((len(rows), streams), np.nan)
    table[at, place] = value
    return origin_ns + rows * every_ns, table, at


class Slots:
    """The slots that are not over yet, of readings that come one by one.

    A slot is over when a reading of a later one comes, when every stream has been read in it, or when
    nobody has waited for less than half a step since its first reading came. What comes for a slot that
    is over is too late: ``late`` counts it. ``done_ns`` is the newest slot that is over.

    >>> slots = Slots(2, every_ns=10, origin_ns=0)
    >>> slots.put(0, 1, 5.0, 0.0), slots.put(0, 11, 6.0, 0.0)
    ([], [(0, array([ 5., nan]))])
    """

    def __init__(self, streams: int, *, every_ns: int, origin_ns: int, done_ns: int | None = None) -> None:
        self.streams, self.every_ns, self.origin_ns = streams, every_ns, origin_ns
        self.done_ns, self.late = done_ns, 0
        self._row: Floats = np.full(streams, np.nan)
        self._slot: int | None = None
        self._since = 0.0

    def put(self, stream: int, time_ns: int, value: float, now_s: float) -> list[tuple[int, Floats]]:
        """Take a reading that came at ``now_s`` of a steady clock; returns ``(time, row)`` of slots over."""
        slot = (time_ns - self.origin_ns + self.every_ns // 2) // self.every_ns
        slot = self.origin_ns + slot * self.every_ns
        found: list[tuple[int, Floats]] = []
        if (self.done_ns is not None and slot <= self.done_ns) or (
            self._slot is not None and slot < self._slot
        ):
            self.late += 1
            return found
        if self._slot is not None and slot > self._slot:
            found += self._over()
        if self._slot is None:
            self._slot, self._since = slot, now_s
        self._row[stream] = value
        if not np.isnan(self._row).any():
            found += self._over()
        return found

    def tick(self, now_s: float) -> list[tuple[int, Floats]]:
        """Return the slot whose grace of half a step has ended, if there is one."""
        waits = self._slot is not None and now_s - self._since < self.every_ns / 2e9
        return [] if waits else self._over()

    def _over(self) -> list[tuple[int, Floats]]:
        if self._slot is None:
            return []
        found = (self._slot, self._row)
        self.done_ns, self._slot = self._slot, None
        self._row = np.full(self.streams, np.nan)
        return [found]
