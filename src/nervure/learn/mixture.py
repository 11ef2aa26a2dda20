"""Whose forecast counts how much: the weights of the blend, chosen on the validation part.

The weights of forecasts are moved by exponentiated gradients (Kivinen & Warmuth, 1997). Whether they
beat the best plain forecast is judged by two-fold cross-validation in time (Stone, J. R. Stat. Soc. B
36(2), 1974), so that a stream without memory is foreseen as plainly as it deserves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.core.window import Window
from nervure.learn.blend import CANDIDATES, PRIOR, PlainBlend
from nervure.learn.frame import Frame, Ground, Seen
from nervure.learn.task import ForecastTask, Samples, batches

__all__ = ["look", "mixture", "weigh"]

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]
Predict = Callable[[Window], NDArray[np.float32]]

_ROUNDS = 60  # moves of the weights
_PACE = 8.0  # how far the first of them goes
_ALIKE = 40.0  # as many windows of all nodes stand beside a node's own when it weighs the blend
_OWN = 32  # windows that a node must have been looked at in to weigh for itself
_PLAIN = CANDIDATES.index("level")  # from here on candidates are plain: nothing was fitted but the anchor
_ROWS = 4096


class _Looked(NamedTuple):
    """What the candidates foresaw on validation, and what happened.

    ``found [sample, horizon, candidate]``, ``real [sample, horizon]``, ``last [sample]`` is the row
    of the table that a window ends with, ``own`` says which samples are whose.
    """

    found: Singles
    real: Singles
    last: Longs
    own: list[Longs]


def weigh(task: ForecastTask, frame: Frame, predict: Predict, chosen: Samples) -> None:
    """Choose the weights of the frame's blend: of all nodes together, then of each as far as it knows.

    If a plain forecast does better than weights that were chosen on the other half of the time, it
    stands alone: nothing more can be learned here.
    """
    blend = frame.blend
    assert isinstance(blend, PlainBlend)  # noqa: S101  the caller saw to it
    seen = _Looked(*look(task, blend, predict, chosen), chosen.last, _by_node(chosen, task.nodes))
    alone = _alone(seen)
    if alone is None:
        blend.weight.copy_(torch.from_numpy(_weights(seen, np.ones(len(chosen), dtype=bool))))
    else:
        blend.weight.zero_()
        blend.weight[:, :, alone] = 1.0


def _by_node(chosen: Samples, nodes: int) -> list[Longs]:
    order = np.argsort(chosen.node, kind="stable")
    return np.split(order, np.searchsorted(chosen.node[order], np.arange(1, nodes)))


def _weights(seen: _Looked, rows: Flags) -> Floats:
    """Return the weights ``[node, horizon, candidate]`` that do best on the rows."""
    unit = np.array([_spread(seen.real[own]) for own in seen.own])
    found, real, horizon = seen.found, seen.real, seen.real.shape[1]
    pooled = mixture(found[rows], real[rows], np.tile(PRIOR, (horizon, 1)), float(unit.mean()))
    windows = max(1.0, np.ptp(seen.last[rows]) / horizon)  # that do not overlap
    weight = np.repeat(pooled[None], len(seen.own), axis=0)
    for node, every in enumerate(seen.own):
        own = every[rows[every]]
        if len(own) >= _OWN:
            mine = mixture(found[own], real[own], pooled, unit[node])
            weight[node] = (windows * mine + _ALIKE * pooled) / (windows + _ALIKE)
    return weight


def _alone(seen: _Looked) -> int | None:
    """Return the plain candidate that errs less than the mixture, None if there is none.

    Weights are judged on the half of the time that they did not see, or they would look better than
    they are: on a random walk nearly every mixture of its past fits better than its last value.
    """
    half = seen.last <= np.median(seen.last)
    if half.all() or not np.isfinite(seen.real).any():
        return None
    node, unit = np.empty(len(half), dtype=np.int64), np.empty(len(half))
    for place, own in enumerate(seen.own):
        node[own], unit[own] = place, _spread(seen.real[own])
    weights = np.stack([_weights(seen, one) for one in (half, ~half)])
    mixed = np.zeros_like(seen.real)
    for start in range(0, len(node), _ROWS):
        rows = slice(start, start + _ROWS)
        mixed[rows] = (seen.found[rows] * weights[half[rows].astype(np.int64), node[rows]]).sum(axis=2)
    errors = [_error(seen.found[:, :, one], seen.real, unit) for one in range(_PLAIN, len(PRIOR))]
    best = int(np.argmin(errors))
    return None if _error(mixed, seen.real, unit) < errors[best] else _PLAIN + best


def _error(y: Singles, real: Singles, unit: Floats) -> float:
    """Return the mean error in units of each window's node."""
    return float(np.nanmean(np.abs(y - real) / unit[:, None]))


def look(task: ForecastTask, blend: PlainBlend, predict: Predict, chosen: Samples) -> tuple[Singles, Singles]:
    """Return every candidate's forecast ``[sample, horizon, candidate]`` in raw units, and what happened.

    ``predict`` is that of the frame around the blend: the candidates are caught on their way.
    """
    caught: list[Singles] = []
    real: list[Singles] = []

    def catch(_: nn.Module, given: tuple[Seen, Ground, Tensor], __: Tensor) -> None:
        seen, ground, middle = given
        window = seen.apart.shape[1]
        base, scale = ground.base[:, window:, None], ground.scale[:, window:, None]
        y = (blend.candidates(seen, ground, middle) + seen.level[:, :, None]) * scale + base
        if ground.dark is not None:
            y = y * (1 - ground.dark[:, window:, None])
        caught.append(y.cpu().numpy())

    handle = blend.register_forward_hook(catch)
    try:
        for window, happened in batches(task, chosen, 2048):
            predict(window)
            real.append(happened)
    finally:
        handle.remove()
    found = np.concatenate(caught)
    bounded = task.low is not None or task.high is not None
    return (np.clip(found, task.low, task.high) if bounded else found), np.concatenate(real)


def _spread(real: Singles) -> float:
    """Return the mean distance of readings from their median, the unit in which a node errs."""
    known = real[np.isfinite(real)].astype(np.float64)
    wide = float(np.abs(known - np.median(known)).mean()) if len(known) else 0.0
    return wide if wide > 0 else 1.0


def mixture(found: NDArray[np.floating], real: NDArray[np.floating], start: Floats, unit: float) -> Floats:
    """Return weights ``[horizon, candidate]`` that add up to one, and err least together.

    ``found [sample, horizon, candidate]`` are forecasts, ``real [sample, horizon]`` what happened.
    Neighbouring steps are smoothed. Where one candidate alone errs less than the mixture, it wins.

    >>> found = np.array([[[1.0, 9.0]], [[2.0, 1.0]]])
    >>> mixture(found, np.array([[1.0], [2.0]]), np.array([[0.5, 0.5]]), 1.0).round(1).tolist()
    [[1.0, 0.0]]
    """
    known = ~np.isnan(real)
    if not known.any():
        return start
    count = np.maximum(known.sum(axis=0), 1)[:, None]
    apart = _apart(found, real)
    weight = 0.98 * start + 0.02 / start.shape[1]
    mean = np.zeros_like(weight)
    for turn in range(_ROUNDS):
        side = np.sign(apart @ weight[:, :, None].astype(np.float32))  # [horizon, sample, 1]
        slope = (side.transpose(0, 2, 1) @ apart)[:, 0] / count / unit
        slope -= (slope * weight).sum(axis=1, keepdims=True)
        weight = weight * np.exp(np.clip(-_PACE / np.sqrt(turn + 1) * slope, -4, 4))
        weight /= weight.sum(axis=1, keepdims=True)
        mean += weight
    mean /= _ROUNDS
    alone = np.eye(start.shape[1])
    tried = np.stack([mean, weight, start, *(np.tile(one, (len(start), 1)) for one in alone)])
    error = np.abs(apart @ tried.transpose(1, 2, 0).astype(np.float32)).sum(axis=1)  # [horizon, tried]
    best: Floats = tried[error.argmin(axis=1), np.arange(len(start))]
    padded = np.pad(best, ((1, 1), (0, 0)), mode="edge")
    smooth: Floats = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return smooth


def _apart(found: NDArray[np.floating], real: NDArray[np.floating]) -> Singles:
    """Return by how much forecasts miss, ``[horizon, sample, candidate]``; 0 where nothing was read."""
    missed = np.nan_to_num(found - real[:, :, None], copy=False)
    return np.ascontiguousarray(missed.transpose(1, 0, 2), dtype=np.float32)
