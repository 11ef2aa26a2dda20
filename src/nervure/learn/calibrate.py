"""Calibration on the validation part: how much of the median is whose, and how wide the bands.

How much of the median is the net's, and how much that of the plainer forecasts beside it, is what
errs least at each step. Then the bands are made to hold what they promise, split-conformal per node
and step.

The steps between a net's quantiles are stretched so that each quantile covers what it promises on
validation, newer weeks weighing more. Stretching steps (never negative) keeps quantiles in order.
Source: conformalised quantile regression (Romano, Patterson, Candès, NeurIPS 2019), weights for
drift as in Barber et al., "Conformal prediction beyond exchangeability", Ann. Statist. 51(2), 2023.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from nervure.core.window import Window
from nervure.learn.blend import PlainBlend
from nervure.learn.frame import Frame
from nervure.learn.mixture import mixture, weigh
from nervure.learn.task import ForecastTask, batches, samples, some

__all__ = ["calibrate", "mixture", "stretched", "stretches", "weighted_quantile"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Predict = Callable[[Window], NDArray[np.float32]]

_HALF_LIFE = 0.5  # of the validation part: after it a reading weighs half
_SHRINK = 200.0  # as many readings of all nodes stand beside a node's own
_MOST = 60_000  # samples that calibrate
_WEIGHED = 24_000  # samples that weigh the blend
_STEPS = 720_000, 400_000  # and steps of a horizon that either may hold: some seconds of one core
_WIDEST = 20.0  # no step is stretched further


def calibrate(task: ForecastTask, frame: Frame, predict: Predict) -> list[tuple[float, float]]:
    """Set the frame's blend ``[node, horizon, candidate]`` and ``stretch [node, horizon, quantile]``.

    Returns by how much the outer quantiles moved outwards on average, below and above, for each
    step of the horizon, in raw units.
    """
    every = samples(task, "validation")
    most, weighed = (max(64, one // task.horizon) for one in _STEPS)
    chosen = some(task, every, min(_MOST, most))
    stretch = frame.get_buffer("stretch")
    stretch.fill_(1.0)
    if isinstance(frame.blend, PlainBlend):
        weigh(task, frame, predict, some(task, every, min(_WEIGHED, weighed)))
    pairs = [(predict(window), real) for window, real in batches(task, chosen, 2048)]
    y = np.concatenate([one for one, _ in pairs])
    real = np.concatenate([one for _, one in pairs])
    age = (chosen.last.max() - chosen.last) / max(1, int(np.ptp(chosen.last)))
    found = stretches(
        y,
        real,
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


def stretches(
    y: NDArray[np.floating],
    real: NDArray[np.floating],
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
    order = np.argsort(node, kind="stable")
    mine = np.split(order, np.searchsorted(node[order], np.arange(1, nodes)))
    outward = [*range(median + 1, len(quantiles)), *range(median - 1, -1, -1)]
    base = y[:, :, median].astype(np.float64)
    for quantile in outward:
        side = 1 if quantile > median else -1
        if quantile == median - 1:
            base = y[:, :, median].astype(np.float64)
        step = np.abs(y[:, :, quantile].astype(np.float64) - y[:, :, quantile - side])
        needed = np.clip(side * (real - base) / np.maximum(step, 1e-9), -1.0, _WIDEST)
        needed[y[:, :, -1] <= y[:, :, 0]] = np.nan  # at night nothing is open, and nothing to be stretched
        share = quantiles[quantile] if side > 0 else 1 - quantiles[quantile]
        pooled = weighted_quantile(needed, weight, share)
        for one, rows in enumerate(mine):
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
