"""Rows by what they belong to: Datastreams found by number, and rows put together by Datastream.

Devices send in turn or in packs, so ids lie close together, and rows of one often stand together
already: both are made use of.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Groups", "Places", "gathered", "grouped"]

Longs = NDArray[np.int64]
Some = TypeVar("Some", bound=np.generic)

_RUN = 4
_SPARSE = 16
_FEW = 64


class Places:
    """Finds numbers among others that are sorted, as ``searchsorted`` does, by a look into a table.

    >>> places = Places(np.array([3, 5, 9]))
    >>> places.of(np.array([9, 3, 4, 100])).tolist()
    [2, 0, 1, 2]
    """

    def __init__(self, known: Longs) -> None:
        self.known = known
        self._low = int(known[0]) if len(known) else 0
        span = int(known[-1]) - self._low + 1 if len(known) else 0
        dense = span <= _SPARSE * len(known)
        self._table = np.searchsorted(known, np.arange(self._low, self._low + span)) if dense else None

    def of(self, wanted: Longs) -> Longs:
        """Return where each number is, or would be, ``[row]``, and at most the last place."""
        if self._table is not None and len(self._table):
            return self._table.take(wanted - self._low, mode="clip")
        return np.minimum(np.searchsorted(self.known, wanted), max(0, len(self.known) - 1))


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by place ``[row]``, each group in the order it came, and where groups start ``[group]``.

    ``fresh [row]`` tells which rows begin a group; ``same`` that rows were in that order already.
    """

    order: Longs
    starts: Longs
    fresh: NDArray[np.bool_]
    same: bool

    @property
    def single(self) -> bool:
        """Whether every group is one row."""
        return len(self.starts) == len(self.order)

    @property
    def firsts(self) -> Longs:
        """The first row of each group."""
        return self.starts if self.same else self.order[self.starts]

    @property
    def ends(self) -> Longs:
        """The last of each group, as a place in ``order``."""
        return self.starts if self.single else self._after() - 1

    @property
    def counts(self) -> Longs:
        """How many rows each group has."""
        return np.ones_like(self.starts) if self.single else self._after() - self.starts

    def _after(self) -> Longs:
        """Where the next group starts; numpy's own ``append`` and ``diff`` cost microseconds more."""
        after = np.empty_like(self.starts)
        after[:-1], after[-1:] = self.starts[1:], len(self.order)
        return after

    def of(self, column: NDArray[Some]) -> NDArray[Some]:
        """Return a column in the order of the groups."""
        return column if self.same else column[self.order]

    def back(self, column: NDArray[Some]) -> NDArray[Some]:
        """Return a column that is in the order of the groups in the order of the rows."""
        if self.same:
            return column
        found = np.empty_like(column)
        found[self.order] = column
        return found

    def spread(self, column: NDArray[Some]) -> NDArray[Some]:
        """Return what is said of each group of each of its rows ``[row]``."""
        return column if self.single and self.same else self.back(np.repeat(column, self.counts))

    def rising(self, time: Longs) -> bool:
        """Tell whether time strictly rises within every group."""
        if self.single:
            return True
        ranked = self.of(time)
        return bool(((ranked[1:] > ranked[:-1]) | self.fresh[1:]).all())


def grouped(place: Longs) -> Groups:
    """Group rows by their place; small places are sorted by numpy's radix sort, in linear time.

    >>> groups = grouped(np.array([1, 0, 1]))
    >>> groups.order.tolist(), groups.starts.tolist()
    ([1, 0, 2], [0, 1])
    """
    count = len(place)
    if count < 2:
        every = np.arange(count)
        return Groups(order=every, starts=every, fresh=np.ones(count, dtype=np.bool_), same=True)
    change = place[1:] != place[:-1]
    if _RUN * np.count_nonzero(change) <= count:
        return _of_runs(place, change, sort=True)
    order, ranked = np.arange(count), place
    same = bool((place[1:] >= place[:-1]).all())
    if not same:
        order = _ranked(place)
        ranked = place[order]
        change = ranked[1:] != ranked[:-1]
    fresh = np.ones(count, dtype=np.bool_)
    fresh[1:] = change
    return Groups(order=order, starts=np.flatnonzero(fresh), fresh=fresh, same=same)


def _of_runs(place: Longs, change: NDArray[np.bool_], *, sort: bool) -> Groups:
    """Group rows of which those of one place stand together: run by run, with hardly a look at a row.

    ``change`` tells which rows are of another place than the one before. Where groups need not be sorted
    and no place comes again, rows are in order as they are.
    """
    count = len(place)
    starts = np.append(0, np.flatnonzero(change) + 1)
    keys = place[starts]
    same = bool((keys[1:] > keys[:-1]).all()) or not (sort or _repeats(keys))
    if same:
        fresh = np.ones(count, dtype=np.bool_)
        fresh[1:] = change
        return Groups(order=np.arange(count), starts=starts, fresh=fresh, same=True)
    runs = _ranked(keys)
    counts, keys = np.diff(starts, append=count)[runs], keys[runs]
    begin = np.cumsum(counts) - counts
    order = _rows(starts[runs], counts, begin)
    first = np.append(True, keys[1:] != keys[:-1])
    fresh = np.zeros(count, dtype=np.bool_)
    fresh[begin[first]] = True
    return Groups(order=order, starts=begin[first], fresh=fresh, same=False)


def _rows(starts: Longs, counts: Longs, begin: Longs) -> Longs:
    """Return the rows of runs, one after the other; ``begin`` is where each lies then.

    Packs mostly have one length, and what numpy repeats as often each time costs it a third.
    """
    if (counts == counts[0]).all():
        return np.asarray(starts[:, None] + np.arange(counts[0])).reshape(-1)
    rows: Longs = np.arange(int(counts.sum())) + np.repeat(starts - begin, counts)
    return rows


def _repeats(keys: Longs) -> bool:
    return len(np.unique(keys)) < len(keys)


def _apart(count: int, groups: int) -> Groups:
    """Return the groups of rows that are each of another place, or all of one."""
    every, fresh = np.arange(count), np.arange(count) < groups
    every.flags.writeable = fresh.flags.writeable = False
    return Groups(order=every, starts=every[:groups], fresh=fresh, same=True)


_SINGLE = [_apart(count, count) for count in range(_FEW + 1)]
_WHOLE = [_apart(count, min(count, 1)) for count in range(_FEW + 1)]


def gathered(place: Longs) -> Groups:
    """Group rows by their place as :func:`grouped` does, but groups may come in any order.

    So neither a few rows, each of another place or all of one, as come when readings are scored one by one
    or posted, nor packs, each of another place, are sorted.
    """
    count = len(place)
    if count <= _FEW:
        places = len(set(place.tolist()))
        if places == count:
            return _SINGLE[count]
        return _WHOLE[count] if places == 1 else grouped(place)
    change = place[1:] != place[:-1]
    if _RUN * np.count_nonzero(change) <= count:
        return _of_runs(place, change, sort=False)
    return grouped(place)


def _ranked(place: Longs) -> Longs:
    low = int(place.min())
    small = int(place.max()) - low < 1 << 16
    order: Longs = np.argsort((place - low).astype(np.uint16) if small else place, kind="stable")
    return order
