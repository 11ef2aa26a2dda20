"""The blend: how much of a forecast is the net's, and how much is that of plainer forecasts.

Beside the net stand a ridge regression per node, the seasonal profile at the window's level, at the
last reading and by itself, the last reading held, and the same slot of yesterday and of last week.
The weights of each node and step add up to one and are chosen on the validation part. So the net is
trusted where it has proved better, and a stream of which nothing can be learned is foreseen as
plainly as it deserves. Combination of forecasts: Bates & Granger, Oper. Res. Q. 20(4), 1969.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from nervure.learn.frame import NEWEST, Ground, Seen, newest, same_slot, sizes
from nervure.learn.task import ForecastTask

__all__ = ["CANDIDATES", "PRIOR", "PlainBlend", "features"]

CANDIDATES = ("net", "linear", "level", "shifted", "profile", "last", "day", "week")
PRIOR = (0.6, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)  # until validation has chosen


def features(seen: Seen) -> Tensor:
    """Return what the linear part eats, ``[batch, feature]``; the last one is the window's level."""
    few = min(NEWEST, seen.apart.shape[1])
    parts = [seen.apart]
    if seen.lags.shape[2]:
        parts.append(seen.lags[:, -seen.shape.shape[1] :].flatten(1))
    if seen.near.shape[2]:
        parts += [seen.near[:, -few:].flatten(1), seen.near_level]
    return torch.cat([*parts, seen.level], dim=1)


class PlainBlend(nn.Module):
    """Weights of the candidates ``[node, horizon, candidate]``, and the linear part's own.

    ``linear [node, feature, horizon]`` is fitted by :mod:`nervure.learn.linear`; of very many nodes
    it may be one for all, ``[1, feature, horizon]``.
    """

    weight: Tensor
    linear: Tensor
    daily: Tensor
    weekly: Tensor

    def __init__(self, task: ForecastTask) -> None:
        super().__init__()
        size = sizes(task)
        wide = size.window + size.lags * size.horizon + 1
        if size.near:
            wide += size.near * (min(NEWEST, size.window) + 1)
        self.register_buffer("linear", torch.zeros(size.nodes, wide, size.horizon))
        prior = np.broadcast_to(PRIOR, (size.nodes, size.horizon, len(PRIOR)))
        self.register_buffer("weight", torch.tensor(prior, dtype=torch.float32))
        for name, days in (("daily", 1), ("weekly", 7)):
            place = same_slot(size.window, size.horizon, days * size.full_day, 1)
            self.register_buffer(name, torch.from_numpy(place), persistent=False)
        periods = [(one.back + task.horizon) // size.full_day for one in task.inputs if one.back]
        self.lag_day = periods.index(1) if 1 in periods else -1
        self.lag_week = periods.index(7) if 7 in periods else -1

    def forward(self, seen: Seen, ground: Ground, middle: Tensor) -> Tensor:
        """Mix the net's median ``middle`` with the candidates: ``[batch, horizon]``."""
        mixed: Tensor = (self.candidates(seen, ground, middle) * self.weight[seen.node]).sum(dim=2)
        return mixed

    def candidates(self, seen: Seen, ground: Ground, middle: Tensor) -> Tensor:
        """Return every candidate, in scales beyond anchor and level: ``[batch, horizon, candidate]``."""
        window = seen.apart.shape[1]
        past, base, scale = ground.base[:, :window], ground.base[:, window:], ground.scale[:, window:]
        straight = self._line(seen)
        zero = torch.zeros_like(middle)
        held = past.gather(1, newest(seen.mask)) - base
        shifted = seen.newest.expand_as(middle)
        plain = {
            "net": middle,
            "linear": straight,
            "level": zero,
            "shifted": shifted,
            "profile": -seen.level.expand_as(middle),
            "last": shifted + held / scale,
            "day": self._before(seen, past, base, scale, self.daily, self.lag_day),
            "week": self._before(seen, past, base, scale, self.weekly, self.lag_week),
        }
        return torch.stack([plain[name] for name in CANDIDATES], dim=2)

    def _line(self, seen: Seen) -> Tensor:
        """Return what the linear part makes of the window: ``[batch, horizon]``."""
        line = self.linear
        if len(line) == 1:  # one for all
            return torch.matmul(features(seen), line[0])
        own: Tensor = torch.matmul(features(seen)[:, None], line[seen.node])[:, 0]
        return own

    def _before(
        self, seen: Seen, past: Tensor, base: Tensor, scale: Tensor, place: Tensor, lag: int
    ) -> Tensor:
        """Return the reading of the same slot before, where it is known, else level and profile."""
        if place.shape[1]:
            found = place[:, 0]
            return (seen.apart[:, found] + (past[:, found] - base) / scale) * seen.mask[:, found]
        if lag >= 0:  # beyond its own day's anchor: taken as how much that day differed
            horizon = base.shape[1]
            return seen.lags[:, -horizon:, lag] * seen.lag_mask[:, -horizon:, lag]
        return torch.zeros_like(base)
