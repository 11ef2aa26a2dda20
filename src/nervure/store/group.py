"""Rows by Datastream: the grouping that duplicates, lateness and the newest readings are found by."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Groups", "grouped"]

Longs = NDArray[np.int64]


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by place ``[row]``, each group in the order it came, and where groups start ``[group]``."""

    order: Longs
    starts: Longs
    fresh: NDArray[np.bool_]

    def rising(self, time: Longs) -> bool:
        """Tell whether time strictly rises within every group."""
        ranked = time[self.order]
        return bool(((ranked[1:] > ranked[:-1]) | self.fresh[1:]).all())


def grouped(place: Longs) -> Groups:
    """Group rows by their place; small places are sorted by numpy's radix sort, in linear time.

    >>> groups = grouped(np.array([1, 0, 1]))
    >>> groups.order.tolist(), groups.starts.tolist()
    ([1, 0, 2], [0, 1])
    """
    small = len(place) > 0 and int(place.max()) < 1 << 16
    order = np.argsort(place.astype(np.uint16) if small else place, kind="stable")
    ranked = place[order]
    fresh = np.ones(len(place), dtype=np.bool_)
    fresh[1:] = ranked[1:] != ranked[:-1]
    return Groups(order=order, starts=np.flatnonzero(fresh), fresh=fresh)
