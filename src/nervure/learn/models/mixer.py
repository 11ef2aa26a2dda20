"""The default forecaster: a residual MLP on what a window shows beyond the seasonal anchor.

An encoder mixes the whole window with embeddings of the node and of the issue time, and with the
newest readings of the node's neighbours; a decoder, shared by all steps, mixes its context with
what the window shows at the same slot of earlier days and with embeddings of the step's own time.
Beside the net stand plainer forecasts, and validation says how much of the median is whose
(:mod:`nervure.learn.blend`). Source: the idea that embeddings of place and time suffice is STID
(Shao et al., CIKM 2022).

When not to use it: where streams drive each other over many steps (a wave along a river), of which
it sees only the nearest, or with fewer than some hundred windows to learn from.
"""

from __future__ import annotations

import msgspec
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import gelu

from nervure.learn.anchor import Anchor
from nervure.learn.blend import PlainBlend
from nervure.learn.frame import NEWEST, Frame, Seen, Sizes, Times, same_slot, sizes
from nervure.learn.ground import frame_for
from nervure.learn.linear import fit_linear
from nervure.learn.neighbour import nearest
from nervure.learn.task import ForecastTask, widen

__all__ = ["Mixer", "Options", "build", "view"]

_DAYS = 7  # days back that the decoder sees at its own slot


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the net; ``neighbours`` is how many it looks at, ``lags`` whether it sees past days."""

    hidden: int = 192
    blocks: int = 2
    context: int = 32
    decoder: int = 64
    node: int = 16
    time: int = 8
    dropout: float = 0.25
    neighbours: int = 4
    lags: bool = True


def view(task: ForecastTask, options: Options | None = None) -> ForecastTask:
    """Return the task with the channels the mixer looks at: neighbours, yesterday, last week."""
    chosen = options or Options()
    if task.blind:
        return task
    day = sizes(task).full_day
    periods = (day, 7 * day) if chosen.lags and day > 1 else ()
    return widen(task, neighbours=nearest(task, chosen.neighbours), periods=periods)


def build(task: ForecastTask, anchor: Anchor, options: Options | None = None) -> Frame:
    """Return a fresh mixer for the task, its scalers and plainer forecasts taken from the train part."""
    frame = frame_for(task, anchor, Mixer(sizes(task), options or Options()), blend=PlainBlend(task))
    fit_linear(task, anchor, frame)
    return frame


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
    """The net: :class:`Seen` in, heads ``[batch, horizon, quantile]`` out."""

    daily: Tensor
    weekly: Tensor

    def __init__(self, size: Sizes, options: Options) -> None:
        super().__init__()
        self.window, self.horizon = size.window, size.horizon
        daily = same_slot(size.window, size.horizon, size.full_day, _DAYS)
        weekly = same_slot(
            size.window, size.horizon, 7 * size.full_day, 1 if size.horizon > size.full_day else 0
        )
        self.register_buffer("daily", torch.from_numpy(daily), persistent=False)
        self.register_buffer("weekly", torch.from_numpy(weekly), persistent=False)
        self.few = min(NEWEST, size.window)
        self.node = nn.Embedding(size.nodes, options.node)
        self.times = Times(size, options.time)
        width, wide = options.decoder, options.hidden
        about = options.node + 3
        seen = size.window * (2 + size.drivers) + about + self.times.width + size.near * (self.few + 1)
        self.enter = nn.Linear(seen, wide)
        self.encoder = nn.Sequential(*(_Block(wide, options.dropout) for _ in range(options.blocks)))
        self.hand = nn.Linear(wide, size.horizon * options.context)
        days, weeks = daily.shape[1], weekly.shape[1]
        local = 2 * days + (3 if days else 0) + 2 * weeks + 2 * size.lags + 1 + size.ahead
        self.local = nn.Linear(local + self.times.width + options.context, width)
        self.whole = nn.Linear(about, width, bias=False)
        self.step = nn.Parameter(torch.randn(size.horizon, width) * 0.1)
        self.decoder = _Block(width, options.dropout)
        self.leave = nn.Linear(width, size.quantiles)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, seen: Seen) -> Tensor:
        """Return a head for each step and quantile: ``[batch, horizon, quantile]``."""
        about = torch.cat([self.node(seen.node), seen.level, *self._newest(seen)], dim=1)
        context = self._encode(seen, about)
        return self._decode(seen, about, context)

    def _newest(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """Return the mean of the newest eighth of the window, and the newest reading."""
        few = max(1, self.window // 8)
        known = seen.mask[:, -few:].sum(dim=1, keepdim=True).clamp(min=1)
        return seen.apart[:, -few:].sum(dim=1, keepdim=True) / known, seen.apart[:, -1:]

    def _encode(self, seen: Seen, about: Tensor) -> Tensor:
        """Mix the window into a context for each step: ``[batch, horizon, context]``."""
        parts = [seen.apart, seen.mask, seen.drivers.flatten(1), about, self.times(seen.past[:, -1])]
        if seen.near.shape[2]:
            parts += [seen.near[:, -self.few :].flatten(1), seen.near_level]
        mixed = self.encoder(self.enter(torch.cat(parts, dim=1)))
        context: Tensor = rearrange(
            self.hand(mixed), "batch (step size) -> batch step size", step=self.horizon
        )
        return context

    def _decode(self, seen: Seen, about: Tensor, context: Tensor) -> Tensor:
        """Mix each step's context with what its slot showed before: ``[batch, horizon, quantile]``."""
        parts = [context, seen.shape[:, :, None], self.times(seen.then)]
        if self.daily.shape[1]:
            before = (self.daily[:, :1] - 1).clamp(min=0)
            after = (self.daily[:, :1] + 1).clamp(max=self.window - 1)
            days, known = seen.apart[:, self.daily], seen.mask[:, self.daily]
            mean = days.sum(dim=2, keepdim=True) / known.sum(dim=2, keepdim=True).clamp(min=1)
            parts += [days, known, mean, seen.apart[:, before], seen.apart[:, after]]
        if self.weekly.shape[1]:
            parts += [seen.apart[:, self.weekly], seen.mask[:, self.weekly]]
        if seen.lags.shape[2]:
            parts += [seen.lags[:, -self.horizon :], seen.lag_mask[:, -self.horizon :]]
        if seen.ahead.shape[2]:
            parts.append(seen.ahead)
        mixed = self.local(torch.cat(parts, dim=2)) + self.whole(about)[:, None] + self.step
        heads: Tensor = self.leave(self.decoder(mixed))
        return heads
