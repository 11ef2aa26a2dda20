"""The linear part of the deep models: ridge regression per node on what the anchor leaves.

It is the best guess where only noise is left to learn, and it errs differently from a net, so the
two together do better than either; how much each counts is chosen by validation.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nervure.learn.anchor import Anchor
from nervure.learn.task import ForecastTask, samples

__all__ = ["fit_linear"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_PENALTIES = (10.0, 100.0, 1000.0)
_KNOWN = 0.7  # of a window must be known for it to teach
_ROWS = 8192


def fit_linear(task: ForecastTask, anchor: Anchor) -> Floats:
    """Return the weights ``[node, time + 1, horizon]``, in scales of the node around its level.

    The first ``time`` rows weigh the window's distance from anchor and level (0 where missing), the
    last row weighs the level itself. The penalty of each node is chosen on the validation part.
    """
    apart = (task.table.value[:, task.targets] - anchor.seen) / anchor.scale
    train, judged = samples(task, "train"), samples(task, "validation")
    weight = np.zeros((task.nodes, task.window + 1, task.horizon))
    for node in range(task.nodes):
        last = train.last[train.node == node]
        gram, moment = _sums(task, apart[:, node], last)
        value, vector = np.linalg.eigh(gram)
        x, y, _ = _cut(task, apart[:, node], judged.last[judged.node == node])
        least = np.inf
        for penalty in _PENALTIES:
            tried = vector @ ((vector.T @ moment) / (np.maximum(value, 0) + penalty)[:, None])
            error = np.abs(y - x @ tried)
            mean = float(np.nanmean(error)) if np.isfinite(error).any() else 0.0
            if mean < least:
                weight[node], least = tried, mean
    return weight


def _sums(task: ForecastTask, apart: Floats, last: Longs) -> tuple[Floats, Floats]:
    """Return ``X'X`` and ``X'Y`` over the windows whose targets are known and whose gaps are few."""
    size = task.window + 1
    gram, moment = np.zeros((size, size)), np.zeros((size, task.horizon))
    for start in range(0, len(last), _ROWS):
        x, y, known = _cut(task, apart, last[start : start + _ROWS])
        whole = ~np.isnan(y).any(axis=1) & (known >= _KNOWN)
        gram += x[whole].T @ x[whole]
        moment += x[whole].T @ y[whole]
    return gram, moment


def _cut(task: ForecastTask, apart: Floats, last: Longs) -> tuple[Floats, Floats, Floats]:
    """Return features ``[row, time + 1]``, targets around the level, and the share that is known."""
    length = task.window
    both = sliding_window_view(apart, length + task.horizon)[last - length + 1]
    past, y = both[:, :length], both[:, length:]
    mask = ~np.isnan(past)
    level = np.where(mask, past, 0).sum(axis=1, keepdims=True) / np.maximum(
        mask.sum(axis=1, keepdims=True), 1
    )
    x = np.concatenate([np.where(mask, past - level, 0), level], axis=1)
    return x, y - level, mask.mean(axis=1)
