"""The linear part of the default model: ridge regression per node on what the anchor leaves.

It is the best guess where only noise is left to learn, and it errs differently from a net, so the
two together do better than either; how much each counts is chosen by validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nervure.learn.anchor import Anchor
from nervure.learn.blend import PlainBlend, features
from nervure.learn.frame import Frame, profile_of
from nervure.learn.task import ForecastTask, Samples, samples, some, truth, windows

__all__ = ["fit_linear"]

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Longs = NDArray[np.int64]

_PENALTIES = (10.0, 100.0, 1000.0, 10_000.0)
_FIRST = 100.0  # the penalty of the first guess, which weighs the rows
_MILD = 0.15  # errors below this, in scales, all weigh about the same
_NEAR = 2  # steps on either side whose errors count too when a step's penalty is chosen
_KNOWN = 0.7  # of a window must be known for it to teach
_ROWS = 4096
_CELLS = 120_000_000  # numbers that all windows looked at may hold: some seconds of one core
_PRODUCTS = 40_000_000_000  # multiplications that the normal equations of all nodes may take
_OWN = 30_000  # rows of one node that are looked at
_CUBES = 6_000_000_000  # and what solving those of nodes with few rows may take, in features cubed
_SURE = 3  # rows a feature: a node with fewer leans on a line of all nodes
_SHARED = 16_000  # rows that the line of all nodes is taken from


class _Cut(NamedTuple):
    """Features ``[row, feature]``, targets beyond anchor and level ``[row, horizon]``, known share."""

    x: Singles
    y: Singles
    known: Singles


def fit_linear(task: ForecastTask, anchor: Anchor, frame: Frame) -> None:
    """Fit the linear part of the frame's blend, ``[node, feature, horizon]``, in scales of the node.

    The penalty of each node and step, and whether the level counts, is chosen on the validation
    part. What it costs is bounded: of a long train part rows are taken evenly, and where there are
    so many nodes that each would get too few of them, one line serves all: ``[1, feature, horizon]``.
    """
    blend = frame.blend
    assert isinstance(blend, PlainBlend)  # noqa: S101  the caller gave it one
    parts = samples(task, "train"), samples(task, "validation")
    wide = blend.linear.shape[1]
    most = _most(task, wide)
    few = min(most, len(parts[0])) < _SURE * wide * task.nodes
    shared = None
    if few and task.nodes > 1:
        taught, held = (_cut(task, anchor, frame, some(task, one, min(most, _SHARED))) for one in parts)
        shared = _solve(taught, held)
        if most < min(len(parts[0]), wide * task.nodes) or task.nodes * wide**3 > _CUBES:
            blend.linear = torch.from_numpy(shared).float()[None]
            return
    rows = [_by_node(one, task.nodes) for one in parts]
    for node in range(task.nodes):
        taught, held = (
            _cut(task, anchor, frame, chosen.take(_evenly(own[node], min(_OWN, max(64, most // task.nodes)))))
            for chosen, own in zip(parts, rows, strict=True)
        )
        blend.linear[node] = torch.from_numpy(_solve(taught, held, shared)).float()


def _most(task: ForecastTask, wide: int) -> int:
    """Return how many windows of all nodes may be looked at, so that no file takes for ever."""
    cells = task.window * task.channels.shape[1] + wide + task.horizon
    return int(max(256, min(_CELLS // cells, _PRODUCTS // (wide * (wide + task.horizon)))))


def _by_node(chosen: Samples, nodes: int) -> list[Longs]:
    """Return which samples are whose."""
    order = np.argsort(chosen.node, kind="stable")
    return np.split(order, np.searchsorted(chosen.node[order], np.arange(1, nodes)))


def _evenly(rows: Longs, most: int) -> Longs:
    """Return at most so many of the rows, evenly spaced, the newest among them."""
    if len(rows) <= most:
        return rows
    kept: Longs = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    return kept


def _solve(taught: _Cut, held: _Cut, shared: Floats | None = None) -> Floats:
    """Return the weights ``[feature, horizon]`` whose errors on the validation part are smallest.

    ``shared`` are the weights of all nodes together: a node may do better with them.
    """
    rows = np.flatnonzero(~np.isnan(taught.y).any(axis=1) & (taught.known >= _KNOWN))
    wide, horizon = taught.x.shape[1], taught.y.shape[1]
    best = np.zeros((wide, horizon)) if shared is None else shared.copy()
    if not len(rows):
        return best
    least = np.full(horizon, np.inf) if shared is None else _near(np.abs(held.y - held.x @ shared))
    first = next(_solutions(*_normal(taught, rows), (_FIRST,)), best)
    for tried in _solutions(*_normal(taught, rows, first), _PENALTIES):
        error = _near(np.abs(held.y - held.x @ tried.astype(np.float32)))
        better = error < least
        best[:, better], least[better] = tried[:, better], error[better]
    return best


def _normal(taught: _Cut, rows: Longs, first: Floats | None = None) -> tuple[Floats, Floats]:
    """Return both sides of the normal equations; rows that a first guess misses far weigh less.

    So the weights come near those of least absolute error. The rows are taken a block at a time, as
    all of them in double precision would be the most that a training ever holds.
    """
    wide, horizon = taught.x.shape[1], taught.y.shape[1]
    gram, moment = np.zeros((wide, wide)), np.zeros((wide, horizon))
    for start in range(0, len(rows), _ROWS):
        some_rows = rows[start : start + _ROWS]
        x, y = taught.x[some_rows].astype(np.float64), taught.y[some_rows].astype(np.float64)
        heavy = x if first is None else x / (_MILD + np.abs(y - x @ first).mean(axis=1, keepdims=True))
        gram += heavy.T @ x
        moment += heavy.T @ y
    return gram, moment


def _solutions(gram: Floats, moment: Floats, penalties: Iterable[float]) -> Iterator[Floats]:
    """Yield the weights of every penalty, without and with the level.

    The level stands last, so the triangle of the whole holds that of what is before it.
    """
    left, right = torch.from_numpy(gram), torch.from_numpy(moment)
    ridge = torch.eye(len(left), dtype=left.dtype)
    for penalty in penalties:
        factor, wrong = torch.linalg.cholesky_ex(left + penalty * ridge)
        if int(wrong):  # numbers so large that the penalty is lost among them: a larger one may do
            continue
        without = torch.zeros_like(right)
        without[:-1] = torch.cholesky_solve(right[:-1], factor[:-1, :-1])
        yield without.numpy()
        yield torch.cholesky_solve(right, factor).numpy()


def _near(error: NDArray[np.floating]) -> Floats:
    """Return the mean error of each step and its neighbours; 0 where nothing was read."""
    known = ~np.isnan(error)
    mean = np.where(known, error, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    padded = np.pad(mean, _NEAR, mode="edge")
    return np.convolve(padded, np.full(2 * _NEAR + 1, 1 / (2 * _NEAR + 1)), mode="valid")


def _cut(task: ForecastTask, anchor: Anchor, frame: Frame, chosen: Samples) -> _Cut:
    """See the samples as the frame does, the anchor without each reading's own week."""
    count = len(chosen)
    cut = _Cut(
        np.empty((count, _width(frame)), dtype=np.float32),
        np.empty((count, task.horizon), dtype=np.float32),
        np.empty(count, dtype=np.float32),
    )
    for start in range(0, count, _ROWS):
        rows = slice(start, start + _ROWS)
        part = chosen.take(rows)
        window = windows(task, part)
        x, node, days = (torch.tensor(one) for one in (window.x, window.node, window.calendar))
        ahead = None if window.ahead is None else torch.tensor(window.ahead)
        profile = torch.tensor(profile_of(task, anchor, part), dtype=torch.float32)
        with torch.no_grad():
            ground = frame.ground(x, node, days, ahead, profile)
            seen = frame.see(x, node, days, ahead, ground, profile)
            cut.x[rows] = features(seen).numpy()
        base, scale = (one[:, task.window :].numpy() for one in (ground.base, ground.scale))
        cut.y[rows] = (truth(task, part) - base) / scale - seen.level.numpy()
        cut.known[rows] = seen.mask.mean(dim=1).numpy()
    return cut


def _width(frame: Frame) -> int:
    """Return how many features the linear part eats."""
    return int(frame.blend.get_buffer("linear").shape[1])  # type: ignore[union-attr]
