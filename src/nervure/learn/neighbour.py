"""Which streams tell something about each other: neighbours found in the train part.

For each node those are chosen whose present says most about how it will change, beyond what its
own present says (partial correlation). A road graph, where there is one, puts its edges first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nervure.core.instant import DAY_NS
from nervure.learn.task import ForecastTask

__all__ = ["nearest"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_MOST_ROWS = 20_000  # newest rows of the train part that tell
_FEW_ROWS = 500  # that must tell however many nodes there are
_PRODUCTS = 40_000_000_000  # multiplications that the correlations of all nodes may take
_BLOCK = 512  # nodes whose neighbours are looked for at a time
_OFF_GRAPH = 0.7  # what the correlation of two nodes without an edge counts


def nearest(task: ForecastTask, most: int) -> Longs:
    """Return the neighbours of each node, the most telling first: ``[node, neighbour]``.

    There are ``most`` of them, or as many as there are other nodes; none where the train part is
    too short to tell chance from what is there.
    """
    count = min(most, task.nodes - 1)
    most = int(np.clip(_PRODUCTS // task.nodes**2, _FEW_ROWS, _MOST_ROWS))
    rows = task.split.train[-most:]
    ahead = max(1, task.horizon // 4)
    if count < 1 or len(rows) < 20 * (ahead + 1):
        return np.empty((task.nodes, 0), dtype=np.int64)
    now = _apart(task, rows)
    change = np.zeros_like(now)
    change[:-ahead] = now[ahead:] - now[:-ahead]
    change = _unit(change)
    own = np.sum(change * now, axis=0)[:, None]  # [node, 1], with itself
    found = np.empty((task.nodes, count), dtype=np.int64)
    for start in range(0, task.nodes, _BLOCK):  # the square of thousands of nodes would fill the memory
        some = slice(start, start + _BLOCK)
        both = now[:, some].T @ now
        other = change[:, some].T @ now  # [node, other]
        free = (1 - own[some] ** 2) * (1 - both**2)
        partial = np.abs(other - own[some] * both) / np.sqrt(np.maximum(free, 1e-3))
        if task.adjacency is not None:
            edge = (task.adjacency[some] > 0) | (task.adjacency.T[some] > 0)
            partial *= np.where(edge, 1.0, _OFF_GRAPH)
        partial[np.arange(len(partial)), np.arange(start, start + len(partial))] = -1.0
        found[some] = np.argsort(-partial, axis=1, kind="stable")[:, :count]
    return found


def _apart(task: ForecastTask, rows: Longs) -> Floats:
    """Return the readings beyond their mean by hour of the day, scaled: ``[row, node]``, gaps 0."""
    value = task.table.value[np.ix_(rows, task.targets)]
    day = max(1, DAY_NS // task.table.every_ns)
    slot = (task.table.first + rows) % day
    known = ~np.isnan(value)
    filled = np.where(known, value, 0.0)
    total, count = np.zeros((day, task.nodes)), np.zeros((day, task.nodes))
    np.add.at(total, slot, filled)
    np.add.at(count, slot, known)
    mean = total / np.maximum(count, 1)
    return _unit(np.where(known, value - mean[slot], 0.0))


def _unit(value: Floats) -> Floats:
    """Scale each column to length one; an empty one stays zero."""
    length = np.sqrt((value**2).sum(axis=0))
    scaled: Floats = value / np.where(length > 1e-9, length, 1.0)
    return scaled
