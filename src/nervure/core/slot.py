"""Readings of several streams laid side by side on slots of one step, in a file's whole or as they come."""

from __future__ import annotations

from typing import Any

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


class _Open:
    """A slot that is not over: its readings, how many streams are missing, and since when it waits."""

    __slots__ = ("row", "since_s")

    def __init__(self, streams: int, since_s: float) -> None:
        self.row: Floats = np.full(streams, np.nan)
        self.since_s = since_s


class Slots:
    """The slots that are not over yet, of readings that come as they come.

    A slot is over when every stream has been read in it, or half a step after its first reading came;
    they are over in order of time, so a whole one waits for those before it. Of more than ``MOST`` the
    oldest are over. What comes for a slot that is over is too late: ``late`` counts it. ``done_ns`` is the
    newest slot that is over.

    >>> slots = Slots(2, every_ns=10, origin_ns=0)
    >>> slots.put(np.array([0, 1, 0]), np.array([1, 2, 11]), np.array([5.0, 6.0, 7.0]), 0.0)
    >>> slots.over(0.0), slots.over(9.0)
    ((array([0]), array([[5., 6.]])), (array([10]), array([[ 7., nan]])))
    """

    MOST = 4_096

    def __init__(self, streams: int, *, every_ns: int, origin_ns: int, done_ns: int | None = None) -> None:
        self.streams, self.every_ns, self.origin_ns = streams, every_ns, origin_ns
        self.done_ns, self.late = done_ns, 0
        self._open: dict[int, _Open] = {}

    def __len__(self) -> int:
        return len(self._open)

    def put(self, place: Longs, time: Longs, value: Floats, now_s: float) -> None:
        """Take readings ``[reading]`` of streams ``place`` that came at ``now_s`` of a steady clock."""
        ways = {"every_ns": self.every_ns, "origin_ns": self.origin_ns}
        moments, table, _ = laid(place, time, value, self.streams, **ways)
        for moment, row in zip(moments.tolist(), table, strict=True):
            known = ~np.isnan(row)
            if self.done_ns is not None and moment <= self.done_ns:
                self.late += int(known.sum())
                continue
            slot = self._open.get(moment)
            if slot is None:
                slot = self._open[moment] = _Open(self.streams, now_s)
            slot.row[known] = row[known]

    def over(self, now_s: float) -> tuple[Longs, Floats]:
        """Return the slots that are over, ``[row]`` in order of time, and what was read in them."""
        if not self._open:
            return np.empty(0, dtype=np.int64), np.empty((0, self.streams))
        done: list[int] = []
        grace, spare = self.every_ns / 2e9, len(self._open) - self.MOST
        for moment in sorted(self._open):
            slot = self._open[moment]
            if len(done) >= spare and now_s - slot.since_s < grace and np.isnan(slot.row).any():
                break
            done.append(moment)
        rows = [self._open.pop(one).row for one in done]
        if done:
            self.done_ns = done[-1]
        return np.array(done, dtype=np.int64), np.array(rows).reshape(-1, self.streams)

    def state(self) -> dict[str, Any]:
        """Return what :meth:`restore` needs to go on after a restart."""
        return {
            "done_ns": self.done_ns,
            "late": self.late,
            "open": {moment: slot.row.tobytes() for moment, slot in self._open.items()},
        }

    def restore(self, state: dict[str, Any], now_s: float) -> None:
        """Take up where :meth:`state` left off; slots that were not over wait anew."""
        self.done_ns, self.late = state["done_ns"], int(state["late"])
        for moment, row in state["open"].items():
            slot = self._open[int(moment)] = _Open(self.streams, now_s)
            slot.row[:] = np.frombuffer(row)
