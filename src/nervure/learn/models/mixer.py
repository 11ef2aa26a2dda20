"""The default forecaster: a residual MLP on what a window shows beyond the seasonal anchor.

An encoder mixes the whole window with embeddings of the node and of the issue time; a decoder,
shared by all steps, mixes its context with what the window shows at the same slot of earlier days
and with embeddings of the step's own time. Beside the net stands a linear forecast per node, and
validation says how much of the median is whose. Source: the idea that embeddings of place and time
suffice is STID (Shao et al., CIKM 2022); reversible normalisation is Kim et al., ICLR 2022.

When not to use it: where streams drive each other with delays (a wave along a river), which it
cannot see, or with fewer than some hundred windows to learn from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import gelu, softplus

from nervure.core.instant import DAY_NS
from nervure.learn.anchor import Anchor, per_day
from nervure.learn.linear import fit_linear
from nervure.learn.task import ForecastTask

__all__ = ["Mixer", "Options", "build", "same_slot"]

_DAYS = 7  # days back that the decoder sees at its own slot
_SHARE = 0.6  # of the net in the median, until validation has chosen


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the net."""

    hidden: int = 192
    blocks: int = 2
    context: int = 32
    decoder: int = 128
    node: int = 16
    time: int = 8
    dropout: float = 0.25


def same_slot(window: int, horizon: int, period: int, most: int) -> NDArray[np.int64]:
    """Return where in the window each step finds its own slot of the period, newest first.

    The result is ``[horizon, count]``; count is 0 if the window is shorter than a period.

    >>> same_slot(6, 2, 3, 7)
    array([[3, 0],
           [4, 1]])
    """
    count = min(most, window // period)
    step = np.arange(horizon)
    newest = window - period + step % period
    place: NDArray[np.int64] = newest[:, None] - period * np.arange(count)
    return place


def build(task: ForecastTask, anchor: Anchor, options: Options | None = None) -> Mixer:
    """Return a fresh mixer for the task, its scalers and profile taken from the train part."""
    chosen = options or Options()
    values = task.table.value[task.split.train]
    drivers = task.channels[:, 1:]
    return Mixer(
        options=chosen,
        window=task.window,
        horizon=task.horizon,
        every_ns=task.table.every_ns,
        quantiles=task.quantiles,
        anchor=anchor,
        linear=fit_linear(task, anchor),
        past=_moments(values, drivers),
        ahead=_moments(values, task.ahead),
        bounds=(task.low, task.high),
    )


def _moments(values: NDArray[np.float64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return mean and spread of each node's drivers: ``[2, node, driver]``."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, values - mean, 0) ** 2).sum(axis=0) / count)
    spread = np.where(spread > 1e-9 * (1 + np.abs(mean)), spread, 1.0)
    return np.stack([mean[columns], spread[columns]])


class _Seen(NamedTuple):
    """What a window shows beyond the anchor, in scales of its node: level taken out, gaps zero.

    ``apart`` and ``mask`` are ``[batch, time]``, ``shape`` the anchor's own course over the horizon
    ``[batch, horizon]``, ``about [batch, feature]`` what holds for the window as a whole.
    """

    apart: Tensor
    mask: Tensor
    shape: Tensor
    about: Tensor


class _Block(nn.Module):
    """A residual block: normalise, widen, bend, add; steps of one window are dropped out together."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.up = nn.Linear(size, size)
        self.down = nn.Linear(size, size)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, size]`` or ``[batch, step, size]``, and back."""
        mixed: Tensor = self.down(gelu(self.up(self.norm(x))))
        if self.training:
            mixed = mixed * self.drop(torch.ones_like(mixed if mixed.ndim == 2 else mixed[:, :1]))
        return x + mixed


class Mixer(nn.Module):
    """The net, with its scalers, masks, profile and calibration inside.

    ``x [batch, time, channel]`` in raw units with NaN gaps, ``node [batch]``, ``calendar [batch,
    time + horizon, 4]`` and, where drivers are known ahead, ``future [batch, horizon, driver]``
    become ``y [batch, horizon, quantile]`` in raw units, quantiles not falling.
    """

    scale: Tensor
    table: Tensor
    past_mean: Tensor
    past_scale: Tensor
    ahead_mean: Tensor
    ahead_scale: Tensor
    linear: Tensor
    share: Tensor
    stretch: Tensor
    daily: Tensor
    weekly: Tensor

    def __init__(
        self,
        *,
        options: Options,
        window: int,
        horizon: int,
        every_ns: int,
        quantiles: Sequence[float],
        anchor: Anchor,
        linear: NDArray[np.float64],
        past: NDArray[np.float64],
        ahead: NDArray[np.float64],
        bounds: tuple[float | None, float | None],
    ) -> None:
        super().__init__()
        self.window, self.horizon, self.bounds = window, horizon, bounds
        self.quantiles = tuple(quantiles)
        self.median = self.quantiles.index(0.5)
        self.full_day = max(1, DAY_NS // every_ns)
        self.fine_day = per_day(every_ns)
        self._keep(anchor, linear, past, ahead)
        daily = same_slot(window, horizon, self.full_day, _DAYS)
        weekly = same_slot(window, horizon, 7 * self.full_day, 1 if horizon > self.full_day else 0)
        self.register_buffer("daily", torch.from_numpy(daily), persistent=False)
        self.register_buffer("weekly", torch.from_numpy(weekly), persistent=False)
        self._layers(options, nodes=len(anchor.scale), drivers=past.shape[2], ahead=ahead.shape[2])

    def _keep(
        self,
        anchor: Anchor,
        linear: NDArray[np.float64],
        past: NDArray[np.float64],
        ahead: NDArray[np.float64],
    ) -> None:
        """Hold what was measured on the train part as constants of the graph."""
        facts = {
            "scale": anchor.scale,
            "table": anchor.table,
            "linear": linear,
            "share": np.full(self.horizon, _SHARE),
            "past_mean": past[0],
            "past_scale": past[1],
            "ahead_mean": ahead[0],
            "ahead_scale": ahead[1],
            "stretch": np.ones((len(anchor.scale), self.horizon, len(self.quantiles))),
        }
        for name, fact in facts.items():
            self.register_buffer(name, torch.tensor(fact, dtype=torch.float32))

    def _layers(self, options: Options, *, nodes: int, drivers: int, ahead: int) -> None:
        size, width = options.hidden, options.decoder
        self.node = nn.Embedding(nodes, options.node)
        self.slot = nn.Embedding(self.fine_day, options.time)
        self.weekday = nn.Embedding(7, options.time)
        self.holiday = nn.Embedding(2, options.time)
        seen = self.window * (2 + drivers) + options.node + 3 * options.time + 3
        self.enter = nn.Linear(seen, size)
        self.encoder = nn.Sequential(*(_Block(size, options.dropout) for _ in range(options.blocks)))
        self.hand = nn.Linear(size, self.horizon * options.context)
        days, weeks = self.daily.shape[1], self.weekly.shape[1]
        local = 2 * days + (3 if days else 0) + 2 * weeks + 1 + ahead + 3 * options.time + options.context
        self.local = nn.Linear(local, width)
        self.whole = nn.Linear(options.node + 3, width, bias=False)
        self.step = nn.Parameter(torch.randn(self.horizon, width) * 0.1)
        self.decoder = _Block(width, options.dropout)
        self.leave = nn.Linear(width, len(self.quantiles))
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(
        self,
        x: Tensor,
        node: Tensor,
        calendar: Tensor,
        future: Tensor | None = None,
        profile: Tensor | None = None,
    ) -> Tensor:
        """Foresee; ``profile [batch, time + horizon]`` replaces the table's own in training."""
        base = self._profile(node, calendar) if profile is None else profile
        scale = self.scale[node][:, None]
        target = x[:, :, 0]
        mask = (~torch.isnan(target)).float()
        apart = (torch.nan_to_num(target) - base[:, : self.window]) / scale * mask
        known = mask.sum(dim=1, keepdim=True).clamp(min=1)
        level = apart.sum(dim=1, keepdim=True) / known
        apart = (apart - level) * mask
        shape = (base[:, self.window :] - base.mean(dim=1, keepdim=True)) / scale
        about = torch.cat([self.node(node), level, *self._newest(apart, mask)], dim=1)
        seen = _Seen(apart, mask, shape, about)
        context = self._encode(self._drivers(x, node), calendar[:, self.window - 1], seen)
        ahead = None if future is None else self._ahead(future, node)
        heads = self._decode(context, calendar[:, self.window :], seen, ahead)
        quantile = self._rise(heads, node)
        if not self.training:  # the net learns the whole, not what the linear part leaves
            lags = torch.cat([apart, level], dim=1)[:, None]
            straight = torch.matmul(lags, self.linear[node])[:, 0]
            middle = quantile[:, :, self.median]
            quantile = quantile + ((1 - self.share) * (straight - middle))[:, :, None]
        y = (quantile + level[:, :, None]) * scale[:, :, None] + base[:, self.window :, None]
        return self._bound(y)

    def _profile(self, node: Tensor, calendar: Tensor) -> Tensor:
        """Look up the seasonal profile at every slot: ``[batch, time + horizon]``."""
        slot = calendar[..., 0]
        if self.full_day != self.fine_day:
            slot = slot * self.fine_day // self.full_day
        weekday = torch.where(calendar[..., 2] == 1, 6, calendar[..., 1])
        key = node[:, None] * self.table.shape[1] + weekday * self.fine_day + slot
        return self.table.flatten()[key]

    def _newest(self, apart: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean of the newest eighth of the window, and the newest reading."""
        few = max(1, self.window // 8)
        known = mask[:, -few:].sum(dim=1, keepdim=True).clamp(min=1)
        return apart[:, -few:].sum(dim=1, keepdim=True) / known, apart[:, -1:]

    def _times(self, calendar: Tensor) -> list[Tensor]:
        slot = calendar[..., 0]
        if self.full_day != self.fine_day:
            slot = slot * self.fine_day // self.full_day
        return [self.slot(slot), self.weekday(calendar[..., 1]), self.holiday(calendar[..., 2])]

    def _drivers(self, x: Tensor, node: Tensor) -> Tensor:
        """Scale the past drivers, gaps at their mean: ``[batch, time * driver]``."""
        drivers = (x[:, :, 1:] - self.past_mean[node][:, None]) / self.past_scale[node][:, None]
        flat: Tensor = rearrange(torch.nan_to_num(drivers), "batch time driver -> batch (time driver)")
        return flat

    def _ahead(self, future: Tensor, node: Tensor) -> Tensor:
        """Scale the drivers known ahead, gaps at their mean: ``[batch, horizon, driver]``."""
        ahead = (future - self.ahead_mean[node][:, None]) / self.ahead_scale[node][:, None]
        return torch.nan_to_num(ahead)

    def _encode(self, drivers: Tensor, now: Tensor, seen: _Seen) -> Tensor:
        """Mix the window into a context for each step: ``[batch, horizon, context]``."""
        parts = [seen.apart, seen.mask, drivers, seen.about, *self._times(now)]
        mixed = self.encoder(self.enter(torch.cat(parts, dim=1)))
        context: Tensor = rearrange(
            self.hand(mixed), "batch (step size) -> batch step size", step=self.horizon
        )
        return context

    def _decode(self, context: Tensor, then: Tensor, seen: _Seen, ahead: Tensor | None) -> Tensor:
        """Mix each step's context with what its slot showed before: ``[batch, horizon, quantile]``."""
        parts = [context, seen.shape[:, :, None], *self._times(then)]
        if self.daily.shape[1]:
            before = (self.daily[:, :1] - 1).clamp(min=0)
            after = (self.daily[:, :1] + 1).clamp(max=self.window - 1)
            days, known = seen.apart[:, self.daily], seen.mask[:, self.daily]
            mean = days.sum(dim=2, keepdim=True) / known.sum(dim=2, keepdim=True).clamp(min=1)
            parts += [days, known, mean, seen.apart[:, before], seen.apart[:, after]]
        if self.weekly.shape[1]:
            parts += [seen.apart[:, self.weekly], seen.mask[:, self.weekly]]
        if ahead is not None:
            parts.append(ahead)
        mixed = self.local(torch.cat(parts, dim=2)) + self.whole(seen.about)[:, None] + self.step
        heads: Tensor = self.leave(self.decoder(mixed))
        return heads

    def _rise(self, heads: Tensor, node: Tensor) -> Tensor:
        """Let the quantiles rise from the median outwards, by steps stretched as calibration found."""
        middle = heads[..., self.median : self.median + 1]
        steps = softplus(heads - 0.5) * self.stretch[node]
        up = torch.cumsum(steps[..., self.median + 1 :], dim=-1)
        down = torch.cumsum(steps[..., : self.median].flip(-1), dim=-1).flip(-1)
        return torch.cat([middle - down, middle, middle + up], dim=-1)

    def _bound(self, y: Tensor) -> Tensor:
        low, high = self.bounds
        return y if low is None and high is None else torch.clamp(y, min=low, max=high)
