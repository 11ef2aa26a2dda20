"""The linear part of the default model: ridge regression per node on what the anchor leaves.

It is the best guess where only noise is left to learn, and it errs differently from a net, so the
two together do better than either; how much each counts is chosen by validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nervure.learn.anchor import Anchor
from nervure.learn.blend import features
from nervure.learn.frame import Frame, profile_of
from nervure.learn.task import ForecastTask, Samples, samples, truth, windows

__all__ = ["fit_linear"]

Floats = NDArray[np.float64]

_PENALTIES = (10.0, 100.0, 1000.0, 10_000.0)
_MILD = 0.15  # errors below this, in scales, all weigh about the same
_NEAR = 2  # steps on either side whose errors count too when a step's penalty is chosen
_KNOWN = 0.7  # of a window must be known for it to teach
_ROWS = 4096
_CELLS = 40_000_000  # numbers that the features of one node may take


class _Cut(NamedTuple):
    """Features ``[row, feature]``, targets beyond anchor and level ``[row, horizon]``, known share."""

    x: Floats
    y: Floats
    known: Floats


def fit_linear(task: ForecastTask, anchor: Anchor, frame: Frame) -> None:
    """Fit the linear part of the frame's blend, ``[node, feature, horizon]``, in scales of the node.

    The penalty of each node and step, and whether the level counts, is chosen on the validation
    part.
    """
    train, judged = samples(task, "train"), samples(task, "validation")
    linear = frame.blend.get_buffer("linear")  # type: ignore[union-attr]  # the caller gave it one
    most = max(64, _CELLS // (linear.shape[1] + task.horizon))
    for node in range(task.nodes):
        taught = _cut(task, anchor, frame, _newest(train, node, most))
        weight = torch.zeros(linear.shape[1:])
        if len(taught.x):
            held = _cut(task, anchor, frame, _newest(judged, node, most))
            weight = torch.from_numpy(_solve(taught, held)).float()
        linear[node] = weight


def _newest(chosen: Samples, node: int, most: int) -> Samples:
    return chosen.take(np.flatnonzero(chosen.node == node)[-most:])


def _solve(taught: _Cut, held: _Cut) -> Floats:
    """Return the weights ``[feature, horizon]`` whose errors on the validation part are smallest."""
    whole = ~np.isnan(taught.y).any(axis=1) & (taught.known >= _KNOWN)
    x, y = taught.x[whole], taught.y[whole]
    best = np.zeros((taught.x.shape[1], taught.y.shape[1]))
    if not len(x):
        return best
    first = list(_solutions(x.T @ x, x.T @ y))[1]
    heavy = x / (_MILD + np.abs(y - x @ first).mean(axis=1, keepdims=True))  # towards least absolute error
    gram, moment = heavy.T @ x, heavy.T @ y
    least = np.full(y.shape[1], np.inf)
    for tried in _solutions(gram, moment):
        error = _near(np.abs(held.y - held.x @ tried))
        better = error < least
        best[:, better], least[better] = tried[:, better], error[better]
    return best


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


def _cut(task: ForecastTask, anchor: Anchor, frame: Frame, chosen: Samples) -> _Cut:
    """See the samples as the frame does, the anchor without each reading's own week."""
    xs, ys, known = [], [], []
    for start in range(0, len(chosen), _ROWS):
        part = chosen.take(slice(start, start + _ROWS))
        window = windows(task, part)
        x, node, days = (torch.tensor(one) for one in (window.x, window.node, window.calendar))
        ahead = None if window.ahead is None else torch.tensor(window.ahead)
        profile = torch.tensor(profile_of(task, anchor, part), dtype=torch.float32)
        with torch.no_grad():
            ground = frame.ground(x, node, days, ahead, profile)
            seen = frame.see(x, node, days, ahead, ground, profile)
            xs.append(features(seen).numpy().astype(np.float64))
        base, scale = (one[:, task.window :].numpy() for one in (ground.base, ground.scale))
        ys.append((truth(task, part) - base) / scale - seen.level.numpy())
        known.append(seen.mask.mean(dim=1).numpy())
    if not xs:
        width = _width(frame)
        return _Cut(np.empty((0, width)), np.empty((0, task.horizon)), np.empty(0))
    return _Cut(np.concatenate(xs), np.concatenate(ys).astype(np.float64), np.concatenate(known))


def _width(frame: Frame) -> int:
    """Return how many features the linear part eats."""
    return int(frame.blend.get_buffer("linear").shape[1])  # type: ignore[union-attr]
