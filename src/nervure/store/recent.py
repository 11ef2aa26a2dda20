"""Recent rows: what is in the table and stays at hand, and pages in the order of time out of memory.

Dashboards ask for the newest rows of a Datastream all day long. Where memory is known to hold them,
they are found by bisection; neither files nor DuckDB are needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.group import grouped
from nervure.core.observation import NO_END, Batch
from nervure.store.latest import NEVER

__all__ = ["Hand", "Near", "Recent"]

_PARTS = 8
"""A part that holds more than one in so many of all rows is not merged any more."""


class Near(msgspec.Struct, frozen=True, kw_only=True):
    """So many rows of a Datastream in the order of time, the newest first if ``falling``.

    Rows of one time are sorted by their ``ends``, if that is asked for, and by their ids. ``after`` is
    the (time, end, id) or (time, id) of the row before the first, in nanoseconds.
    """

    datastream: int
    rows: int
    falling: bool
    ends: bool = False
    after: tuple[int, ...] | None = None


class Recent:
    """Rows in a few parts, each sorted by Datastream, time and id; the oldest rows leave first.

    Small parts are merged, so that there are never many.
    """

    def __init__(self) -> None:
        self._parts: deque[Batch] = deque()

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._parts)

    def add(self, rows: Batch, most: int) -> list[Batch]:
        """Add rows at the new end; return those that leave, so that no more than ``most`` stay."""
        if len(rows):
            while self._parts and len(self._parts[-1]) <= min(2 * len(rows), most // _PARTS - len(rows)):
                rows = Batch.concat([self._parts.pop(), rows])
            self._parts.append(_sorted(rows))
        gone = []
        while sum(map(len, self._parts)) > most:
            gone.append(self._parts.popleft())
        return gone

    def keep(self, kept: Callable[[Batch], NDArray[np.bool_]]) -> None:
        """Let go of the rows for which a mask is false."""
        parts = (part if (mask := kept(part)).all() else part.take(mask) for part in self._parts)
        self._parts = deque(part for part in parts if len(part))


class Hand(msgspec.Struct, frozen=True, kw_only=True):
    """What memory has of a Datastream: every row after ``deep``, among others, in sorted parts and loose.

    ``mark`` is the state of memory in which that was so.
    """

    deep: int
    ranked: tuple[Batch, ...]
    loose: tuple[Batch, ...]
    mark: int = 0

    def near(self, wanted: Near) -> Batch | None:
        """Return the rows, or None if some of them may not be in memory."""
        whole = self.deep == NEVER
        if not wanted.falling and not whole and (wanted.after is None or wanted.after[0] <= self.deep):
            return None
        found = [part.take(rows) for part, rows in self._edges(wanted) if len(rows)]
        rows = _ordered(Batch.concat(found), wanted)
        if wanted.falling and not whole and (len(rows) < wanted.rows or rows.time[-1] <= self.deep):
            return None
        return rows

    def lacks(self, rows: Batch) -> Batch:
        """Return those of some rows that are not in memory."""
        here = np.concatenate([part.id for part in (*self.ranked, *self.loose)] or [rows.id[:0]])
        return rows.take(~np.isin(rows.id, here))

    def _edges(self, wanted: Near) -> Iterable[tuple[Batch, NDArray[np.int64]]]:
        """Choose of each part the rows at the end where the page lies."""
        for part in self.ranked:
            low, high = np.searchsorted(part.datastream, (wanted.datastream, wanted.datastream + 1))
            start, end = _edge(part.time[low:high], wanted)
            yield part, np.arange(low + start, low + end)
        for part in self.loose:
            rows = np.flatnonzero(part.datastream == wanted.datastream)
            rows = rows[np.argsort(part.time[rows], kind="stable")]
            yield part, rows[slice(*_edge(part.time[rows], wanted))]


def _sorted(rows: Batch) -> Batch:
    groups = grouped(rows.datastream)
    if groups.rising(rows.time):
        return rows if groups.same else rows.take(groups.order)
    return rows.take(np.lexsort((rows.id, rows.time, rows.datastream)))


def _edge(time: NDArray[np.int64], wanted: Near) -> tuple[int, int]:
    """Return where among rising times the page lies, with all rows of its first and last time."""
    low, high = 0, len(time)
    if wanted.after is not None:
        left, right = np.searchsorted(time, wanted.after[0]), np.searchsorted(time, wanted.after[0], "right")
        low, high = (0, int(right)) if wanted.falling else (int(left), high)
        spare = int(right - left)
    else:
        spare = 0
    if high - low > wanted.rows + spare:
        if wanted.falling:
            low = int(np.searchsorted(time, time[high - wanted.rows - spare]))
        else:
            high = int(np.searchsorted(time, time[low + wanted.rows + spare - 1], "right"))
    return low, high


def _ordered(rows: Batch, wanted: Near) -> Batch:
    """Sort rows, leave out those before the page, and cut it."""
    keys = [rows.time, rows.id]
    if wanted.ends:
        ends = rows.time if rows.end_time is None else rows.end_time
        keys.insert(1, np.where(ends == NO_END, rows.time, ends))
    order = np.lexsort(keys[::-1])
    if wanted.falling:
        order = order[::-1]
    if wanted.after is not None:
        order = order[_beyond([key[order] for key in keys], wanted.after, falling=wanted.falling)]
    return rows.take(order[: wanted.rows])


def _beyond(keys: list[NDArray[np.int64]], after: tuple[int, ...], *, falling: bool) -> NDArray[np.bool_]:
    """Return which rows come after the one with some keys."""
    beyond = np.zeros(len(keys[0]), np.bool_)
    for key, value in zip(reversed(keys), reversed(after), strict=True):
        beyond = (key < value if falling else key > value) | ((key == value) & beyond)
    return beyond
