"""The linear part of the deep models: ridge regression per node on what the anchor leaves.

It is the best guess where only noise is left to learn, and it errs differently from a net, so the
two together do better than either; how much each counts is chosen by validation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nervure.learn.anchor import Anchor
from nervure.learn.task import ForecastTask, samples

__all__ = ["fit_linear"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_PENALTIES = (10.0, 100.0, 1000.0, 10_000.0)
_MILD = 0.15  # errors below this, in scales, all weigh about the same
_NEAR = 2  # steps on either side whose errors count too when a step's penalty is chosen
_KNOWN = 0.7  # of a window must be known for it to teach
_ROWS = 8192


def fit_linear(task: ForecastTask, anchor: Anchor) -> Floats:
    """Return the weights ``[node, time + 1, horizon]``, in scales of the node around its level.

    The first ``time`` rows weigh the window's distance from anchor and level (0 where missing), the
    last row weighs the level itself. The penalty of each node and step, and whether the level
    counts, is chosen on the validation part.
    """
    apart = (task.table.value[:, task.targets] - anchor.seen) / anchor.scale
    train, judged = samples(task, "train"), samples(task, "validation")
    weight = np.zeros((task.nodes, task.window + 1, task.horizon))
    for node in range(task.nodes):
        last = train.last[train.node == node]
        first = list(_solutions(*_sums(task, apart[:, node], last)))[1]
        gram, moment = _sums(task, apart[:, node], last, first)
        x, y, _ = _cut(task, apart[:, node], judged.last[judged.node == node])
        least = np.full(task.horizon, np.inf)
        for tried in _solutions(gram, moment):
            error = _near(np.abs(y - x @ tried))
            better = error < least
            weight[node][:, better], least[better] = tried[:, better], error[better]
    return weight


def _solutions(gram: Floats, moment: Floats) -> Iterator[Floats]:
    """Yield the weights of every penalty, with and without the level."""
    for size in (len(gram) - 1, len(gram)):
        value, vector = np.linalg.eigh(gram[:size, :size])
        turned = vector.T @ moment[:size]
        for penalty in _PENALTIES:
            solved = np.zeros_like(moment)
            solved[:size] = vector @ (turned / (np.maximum(value, 0) + penalty)[:, None])
            yield solved


def _near(error: Floats) -> Floats:
    """Return the mean error of each step and its neighbours; 0 where nothing was read."""
    known = ~np.isnan(error)
    mean = np.where(known, error, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    padded = np.pad(mean, _NEAR, mode="edge")
    return np.convolve(padded, np.full(2 * _NEAR + 1, 1 / (2 * _NEAR + 1)), mode="valid")


def _sums(
    task: ForecastTask, apart: Floats, last: Longs, before: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return ``X'X`` and ``X'Y`` over the windows whose targets are known and whose gaps are few.

    With the weights found ``before``, a window counts the less the worse they did on it: one step
    of reweighted least squares towards the least absolute error.
    """
    size = task.window + 1
    gram, moment = np.zeros((size, size)), np.zeros((size, task.horizon))
    for start in range(0, len(last), _ROWS):
        x, y, known = _cut(task, apart, last[start : start + _ROWS])
        whole = ~np.isnan(y).any(axis=1) & (known >= _KNOWN)
        x, y = x[whole], y[whole]
        heavy = x
        if before is not None:
            heavy = x / (_MILD + np.abs(y - x @ before).mean(axis=1, keepdims=True))
        gram += heavy.T @ x
        moment += heavy.T @ y
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
