"""Calibration on the validation part: how much of the median is whose, and how wide the bands.

How much of the median is the net's, and how much that of the plainer forecasts beside it, is what
errs least at each step. Then the bands are made to hold what they promise, split-conformal per node
and step.

The steps between a net's quantiles are stretched so that each quantile covers what it promises on
validation, newer weeks weighing more. Stretching steps (never negative) keeps quantiles in order.
Source: conformalised quantile regression (Romano, Patterson, Candès, NeurIPS 2019), weights for
drift as in Barber et al., "Conformal prediction beyond exchangeability", Ann. Statist. 51(2), 2023;
the weights of forecasts are moved by exponentiated gradients (Kivinen & Warmuth, 1997).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from nervure.core.window import Window
from nervure.learn.blend import PRIOR, PlainBlend
from nervure.learn.frame import Frame
from nervure.learn.task import ForecastTask, Samples, batches, samples, thin

__all__ = ["calibrate", "mixture", "stretched", "stretches", "weighted_quantile"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Predict = Callable[[Window], NDArray[np.float32]]

_HALF_LIFE = 0.5  # of the validation part: after it a reading weighs half
_SHRINK = 200.0  # as many readings of all nodes stand beside a node's own
_MOST = 60_000  # samples that calibrate
_WEIGHED = 24_000  # samples that weigh the blend
_ROUNDS = 60  # moves of the weights
_PACE = 8.0  # how far the first of them goes
_ALIKE = 40.0  # as many windows of all nodes stand beside a node's own when it weighs the blend
_WIDEST = 20.0  # no step is stretched further


def calibrate(task: ForecastTask, frame: Frame, predict: Predict) -> list[tuple[float, float]]:
    """Set the frame's blend ``[node, horizon, candidate]`` and ``stretch [node, horizon, quantile]``.

    Returns by how much the outer quantiles moved outwards on average, below and above, for each
    step of the horizon, in raw units.
    """
    every = samples(task, "validation")
    chosen = thin(task, every, _MOST)
    stretch = frame.get_buffer("stretch")
    stretch.fill_(1.0)
    if isinstance(frame.blend, PlainBlend):
        _weigh(task, frame.blend, predict, thin(task, every, _WEIGHED))
    pairs = [(predict(window), real) for window, real in batches(task, chosen, 2048)]
    y = np.concatenate([one for one, _ in pairs])
    real = np.concatenate([one for _, one in pairs])
    age = (chosen.last.max() - chosen.last) / max(1, int(np.ptp(chosen.last)))
    found = stretches(
        y.astype(np.float64),
        real.astype(np.float64),
        chosen.node,
        0.5 ** (age / _HALF_LIFE),
        median=task.median,
        quantiles=task.quantiles,
        nodes=task.nodes,
    )
    stretch.copy_(torch.tensor(found, dtype=torch.float32))
    moved = np.zeros((task.horizon, 2))
    for start in range(0, len(chosen), 2048):
        part = chosen.take(slice(start, start + 2048))
        new = stretched(y[start : start + 2048], found[part.node], task.median)
        old = y[start : start + 2048]
        moved += np.stack([(old - new)[:, :, 0], (new - old)[:, :, -1]], axis=2).sum(axis=0)
    return [(float(below), float(above)) for below, above in moved / len(chosen)]


def _weigh(task: ForecastTask, blend: PlainBlend, predict: Predict, chosen: Samples) -> None:
    """Choose the weights of the blend: of all nodes together, then of each as far as it knows."""
    parts: list[Floats] = []
    for place in range(len(PRIOR)):  # each candidate in turn, as if it were all
        blend.weight.zero_()
        blend.weight[:, :, place] = 1.0
        parts.append(
            np.concatenate([predict(window)[:, :, task.median] for window, _ in batches(task, chosen, 2048)])
        )
    found = np.stack(parts, axis=2).astype(np.float64)  # [sample, horizon, candidate]
    real = np.concatenate([real for _, real in batches(task, chosen, 2048)]).astype(np.float64)
    unit = np.array([_spread(real[chosen.node == node]) for node in range(task.nodes)])
    pooled = mixture(found, real, np.tile(PRIOR, (task.horizon, 1)), unit.mean())
    windows = max(1.0, np.ptp(chosen.last) / task.horizon)  # that do not overlap
    for node in range(task.nodes):
        rows = chosen.node == node
        own = mixture(found[rows], real[rows], pooled, unit[node])
        mixed = (windows * own + _ALIKE * pooled) / (windows + _ALIKE)
        blend.weight[node] = torch.tensor(mixed, dtype=torch.float32)


def _spread(real: Floats) -> float:
    """Return the mean distance of readings from their median, the unit in which a node errs."""
    known = real[np.isfinite(real)]
    wide = float(np.abs(known - np.median(known)).mean()) if len(known) else 0.0
    return wide if wide > 0 else 1.0


def mixture(found: Floats, real: Floats, start: Floats, unit: float) -> Floats:
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
    weight = 0.98 * start + 0.02 / start.shape[1]
    mean = np.zeros_like(weight)
    for turn in range(_ROUNDS):
        error = np.where(known, (found * weight).sum(axis=2) - real, 0.0)
        slope = (np.sign(error)[:, :, None] * found).sum(axis=0) / count / unit
        slope -= (slope * weight).sum(axis=1, keepdims=True)
        weight = weight * np.exp(np.clip(-_PACE / np.sqrt(turn + 1) * slope, -4, 4))
        weight /= weight.sum(axis=1, keepdims=True)
        mean += weight
    mean /= _ROUNDS
    alone = np.eye(start.shape[1])
    tried = np.stack([mean, weight, start, *(np.tile(one, (len(start), 1)) for one in alone)])
    error = np.stack(
        [np.nansum(np.abs((found * one).sum(axis=2) - real), axis=0) / count[:, 0] for one in tried]
    )
    best: Floats = tried[error.argmin(axis=0), np.arange(len(start))]
    padded = np.pad(best, ((1, 1), (0, 0)), mode="edge")
    smooth: Floats = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return smooth


def stretches(
    y: Floats,
    real: Floats,
    node: Longs,
    weight: Floats,
    *,
    median: int,
    quantiles: tuple[float, ...],
    nodes: int,
) -> Floats:
    """Return by what to stretch the step to each quantile: ``[node, horizon, quantile]``.

    ``y [batch, horizon, quantile]`` are forecasts, ``real [batch, horizon]`` what happened, ``node``
    and ``weight [batch]``. From the median outwards each step gets the stretch with which the
    quantile covers its share, given the stretches inside it; a node with few readings leans on all.
    """
    result = np.ones((nodes, y.shape[1], y.shape[2]))
    outward = [*range(median + 1, len(quantiles)), *range(median - 1, -1, -1)]
    base = y[:, :, median].copy()
    for quantile in outward:
        side = 1 if quantile > median else -1
        if quantile == median - 1:
            base = y[:, :, median].copy()
        step = np.abs(y[:, :, quantile] - y[:, :, quantile - side])
        needed = np.clip(side * (real - base) / np.maximum(step, 1e-9), -1.0, _WIDEST)
        needed[y[:, :, -1] <= y[:, :, 0]] = np.nan  # at night nothing is open, and nothing to be stretched
        share = quantiles[quantile] if side > 0 else 1 - quantiles[quantile]
        pooled = weighted_quantile(needed, weight, share)
        for one in range(nodes):
            rows = node == one
            own = weighted_quantile(needed[rows], weight[rows], share)
            count = (~np.isnan(needed[rows])).sum(axis=0)
            mixed = (count * np.nan_to_num(own) + _SHRINK * pooled) / (count + _SHRINK)
            result[one, :, quantile] = np.maximum(mixed, 0.0)
        base += side * step * result[node, :, quantile]
    return result


def stretched(y: Floats, stretch: Floats, median: int) -> Floats:
    """Return the quantiles ``[batch, horizon, quantile]`` after stretching, as the graph does it."""
    steps = np.diff(y, axis=2)
    up = np.cumsum(steps[:, :, median:] * stretch[:, :, median + 1 :], axis=2)
    down = np.cumsum((steps[:, :, :median] * stretch[:, :, :median])[:, :, ::-1], axis=2)[:, :, ::-1]
    middle = y[:, :, median : median + 1]
    return np.concatenate([middle - down, middle, middle + up], axis=2)


def weighted_quantile(value: Floats, weight: Floats, share: float) -> Floats:
    """Return for each column of ``value [row, column]`` its quantile, NaN left out; 1 where empty.

    The one reading that is to come counts too, as infinitely large, as conformal prediction asks.

    >>> weighted_quantile(np.arange(1.0, 10.0)[:, None], np.ones(9), 0.8)
    array([8.])
    """
    if not len(value):
        return np.ones(value.shape[1])
    order = np.argsort(value, axis=0, kind="stable")  # NaN last
    ranked = np.take_along_axis(value, order, axis=0)
    heavy = np.where(np.isnan(ranked), 0.0, weight[order])
    total = heavy.sum(axis=0)
    mean = total / np.maximum((heavy > 0).sum(axis=0), 1)
    reached = np.cumsum(heavy, axis=0) >= share * (total + mean) - 1e-12
    place = np.where(reached.any(axis=0), np.argmax(reached, axis=0), (heavy > 0).sum(axis=0) - 1)
    found: Floats = np.take_along_axis(ranked, np.maximum(place, 0)[None], axis=0)[0]
    return np.where(total > 0, found, 1.0)
