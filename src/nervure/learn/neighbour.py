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
_OFF_GRAPH = 0.7  # what the correlation of two nodes without an edge counts


def nearest(task: ForecastTask, most: int) -> Longs:
    """Return the neighbours of each node, the most telling first: ``[node, neighbour]``.

    There are ``most`` of them, or as many as there are other nodes; none where the train part is
    too short to tell chance from what is there.
    """
    count = min(most, task.nodes - 1)
    rows = task.split.train[-_MOST_ROWS:]
    ahead = max(1, task.horizon // 4)
    if count < 1 or len(rows) < 20 * (ahead + 1):
        return np.empty((task.nodes, 0), dtype=np.int64)
    now = _apart(task, rows)
    change = np.zeros_like(now)
    change[:-ahead] = now[ahead:] - now[:-ahead]
    change = _unit(change)
    own = np.sum(change * now, axis=0)[:, None]  # [node, 1], with itself
    both = now.T @ now
    other = change.T @ now  # [node, other]
    partial = np.abs(other - own * both) / np.sqrt(np.maximum((1 - own**2) * (1 - both**2), 1e-3))
    if task.adjacency is not None:
        partial *= np.where((task.adjacency > 0) | (task.adjacency.T > 0), 1.0, _OFF_GRAPH)
    np.fill_diagonal(partial, -1.0)
    found: Longs = np.argsort(-partial, axis=1, kind="stable")[:, :count]
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
