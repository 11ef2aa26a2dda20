"""The power curve: what a plant makes of a driver known ahead, the wind or the irradiance.

By the method of bins (IEC 61400-12-1), made to rise by isotonic regression (Barlow et al., 1972).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.learn.task import ForecastTask

__all__ = ["Curve", "Drawn", "draw", "power_curve"]

Floats = NDArray[np.float64]

_BINS = 48
_OFTEN = 8  # readings that make a bin


class Drawn(NamedTuple):
    """The curves of the driver at place ``follows``: ``curve [node, bin]`` over the range ``edge``.

    ``left [row, node]`` is what they leave of the train part, ``error`` its mean size.
    """

    follows: int
    curve: Floats
    edge: tuple[float, float]
    left: Floats
    error: float


class Curve(nn.Module):
    """A power curve in a graph; it never falls, and is read between bins by a straight line."""

    curve: Tensor
    edge: Tensor

    def __init__(self, task: ForecastTask, drawn: Drawn) -> None:
        super().__init__()
        self.follows = drawn.follows
        self.follows_at = [one.signal for one in task.inputs].index(task.problem.future[drawn.follows])
        self.register_buffer("curve", torch.tensor(drawn.curve, dtype=torch.float32))
        self.register_buffer("edge", torch.tensor(drawn.edge, dtype=torch.float32))

    def forward(self, x: Tensor, node: Tensor, future: Tensor | None, horizon: int) -> Tensor:
        """Read the curve over window and horizon, ``[batch, time + horizon]``; NaN where the driver is."""
        ahead = x.new_full((x.shape[0], horizon), torch.nan) if future is None else future[:, :, self.follows]
        driver = torch.cat([x[:, :, self.follows_at], ahead], dim=1)
        low, high = self.edge[0], self.edge[1]
        place = ((torch.nan_to_num(driver) - low) / (high - low) * (_BINS - 1)).clamp(0, _BINS - 1)
        left = place.floor().clamp(max=_BINS - 2)
        at = node[:, None] * _BINS + left.long()
        flat = self.curve.flatten()
        drawn = flat[at] + (flat[at + 1] - flat[at]) * (place - left)
        return torch.where(torch.isnan(driver), driver, drawn)


def power_curve(driver: Floats, value: Floats, edge: tuple[float, float], bins: int = _BINS) -> Floats:
    """Return the median output at evenly spaced values of the driver, ``[bin]``, never falling.

    Bins with few readings are bridged. Storms, in which turbines stop, are not in it.

    >>> power_curve(np.arange(90.0), np.arange(90.0) ** 2, (0.0, 89.0), 3).round().tolist()
    [121.0, 1980.0, 6084.0]
    """
    known = np.isfinite(driver) & np.isfinite(value)
    driver, value = driver[known], value[known]
    if not len(value):
        return np.zeros(bins)
    knots = np.linspace(*edge, bins)
    slot = np.clip(np.round((driver - edge[0]) / (edge[1] - edge[0]) * (bins - 1)), 0, bins - 1).astype(
        np.int64
    )
    count = np.bincount(slot, minlength=bins)
    full = np.flatnonzero(count >= min(_OFTEN, count.max()))
    middle = np.array([np.median(value[slot == one]) for one in full])
    found: Floats = np.interp(knots, knots[full], _rising(middle, count[full]))
    return found


def _rising(value: Floats, weight: NDArray[np.int64]) -> Floats:
    """Return the nearest values that never fall, by pooling neighbours that do.

    scikit-learn has this too, but its import takes 100 MB.

    >>> _rising(np.array([1.0, 5.0, 2.0, 9.0]), np.array([1, 1, 2, 1])).tolist()
    [1.0, 3.0, 3.0, 9.0]
    """
    pools: list[tuple[float, int, int]] = []  # mean, weight, how many
    for one in zip(value.tolist(), weight.tolist(), [1] * len(value), strict=True):
        pools.append(one)
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (mean, heavy, size), (before, more, count) = pools.pop(), pools.pop()
            pools.append(((before * more + mean * heavy) / (more + heavy), more + heavy, size + count))
    return np.repeat([mean for mean, _, _ in pools], [size for _, _, size in pools])


def draw(task: ForecastTask) -> Drawn:
    """Return the power curve of the driver known ahead that leaves least of the train part."""
    return min((_curves(task, place) for place in range(task.ahead.shape[1])), key=lambda one: one.error)


def _curves(task: ForecastTask, place: int) -> Drawn:
    """Draw the curves of one driver known ahead from the train part."""
    rows = task.split.train
    driver = task.table.value[rows][:, task.ahead[:, place]]
    value = task.table.value[rows][:, task.targets]
    known = driver[np.isfinite(driver)]
    if not len(known) or known.max() <= known.min():
        return Drawn(place, np.zeros((task.nodes, _BINS)), (0.0, 1.0), value, np.inf)
    edge = (float(np.quantile(known, 0.0005)), float(np.quantile(known, 0.9995)))
    edge = edge if edge[1] > edge[0] else (float(known.min()), float(known.max()))
    curve = np.stack([power_curve(driver[:, node], value[:, node], edge) for node in range(task.nodes)])
    knots = np.linspace(*edge, _BINS)
    drawn = [np.interp(driver[:, node], knots, curve[node]) for node in range(task.nodes)]
    left = value - np.stack(drawn, axis=1)
    return Drawn(place, curve, edge, left, float(np.nanmean(np.abs(left))))
