"""Pieces that deep models share: what is known of each slot and of each step, and a decoder of steps.

A model differs in how it encodes the window; what the calendar, earlier days and drivers known ahead
say about a step of the horizon is the same for all, and so is how a context becomes quantiles.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from nervure.learn.anchor import Anchor
from nervure.learn.blend import PlainBlend
from nervure.learn.frame import Frame, Seen, Sizes, Times, same_slot, sizes
from nervure.learn.linear import fit_linear
from nervure.learn.neighbour import nearest
from nervure.learn.task import ForecastTask, widen

__all__ = ["About", "Block", "Course", "Decoder", "Leave", "Steps", "framed", "widened"]

_DAYS = 7  # days back that a step sees at its own slot


def widened(task: ForecastTask, neighbours: int, *, lags: bool = True) -> ForecastTask:
    """Return the task with channels of the nearest nodes, of yesterday and of last week.

    A blind task, which shows nothing of its own past, is returned as it is.
    """
    if task.blind:
        return task
    day = sizes(task).full_day
    near = nearest(task, neighbours) if neighbours else None
    return widen(task, neighbours=near, periods=(day, 7 * day) if lags and day > 1 else ())


def framed(task: ForecastTask, anchor: Anchor, net: nn.Module, *, blend: bool) -> Frame:
    """Return the net in its frame, alone or with the plainer forecasts beside it."""
    if not blend:
        return Frame(task, anchor, net)
    frame = Frame(task, anchor, net, blend=PlainBlend(task))
    fit_linear(task, anchor, frame)
    return frame


class Block(nn.Module):
    """A residual block: normalise, mix, bend, add. ``[..., size]``, and back."""

    def __init__(self, size: int, dropout: float, *, wide: int = 1) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.up = nn.Linear(size, wide * size)
        self.down = nn.Linear(wide * size, size)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the block makes of ``x``."""
        added: Tensor = self.drop(self.down(gelu(self.up(self.norm(x)))))
        return x + added


class Course(nn.Module):
    """What a window shows at each of its slots: ``[batch, time, width]``.

    The reading and whether it is there, drivers, neighbours, and embeddings of the slot's time (none
    if ``time`` is 0).
    """

    def __init__(self, size: Sizes, time: int) -> None:
        super().__init__()
        self.times = Times(size, time) if time else None
        self.width = 2 + size.drivers + size.near + (self.times.width if self.times else 0)

    def forward(self, seen: Seen) -> Tensor:
        """Put the window's channels side by side."""
        parts = [torch.stack([seen.apart, seen.mask], dim=2), seen.drivers, seen.near]
        return torch.cat(parts if self.times is None else [*parts, self.times(seen.past)], dim=2)


class About(nn.Module):
    """What is known of a window as a whole: ``[batch, width]``.

    An embedding of the node, how far window and neighbours lie from their anchors, the mean of the
    newest eighth and the newest reading.
    """

    def __init__(self, size: Sizes, node: int) -> None:
        super().__init__()
        self.few = max(1, size.window // 8)
        self.node = nn.Embedding(size.nodes, node)
        self.width = node + 3 + size.near

    def forward(self, seen: Seen) -> Tensor:
        """Put it side by side."""
        known = seen.mask[:, -self.few :].sum(dim=1, keepdim=True).clamp(min=1)
        mean = seen.apart[:, -self.few :].sum(dim=1, keepdim=True) / known
        level = [seen.level, seen.near_level] if seen.near.shape[2] else [seen.level]
        return torch.cat([self.node(seen.node), mean, seen.newest, *level], dim=1)


class Steps(nn.Module):
    """What is known of each step before anything is encoded: ``[batch, horizon, width]``.

    The anchor's course, embeddings of the step's time (none if ``time`` is 0), what the window and
    the lag channels show at the same slot of earlier days and weeks, and drivers known ahead.
    """

    daily: Tensor
    weekly: Tensor

    def __init__(self, size: Sizes, time: int) -> None:
        super().__init__()
        self.horizon = size.horizon
        self.times = Times(size, time) if time else None
        daily = same_slot(size.window, size.horizon, size.full_day, _DAYS)
        weekly = same_slot(size.window, size.horizon, 7 * size.full_day, 1)
        self.register_buffer("daily", torch.from_numpy(daily), persistent=False)
        self.register_buffer("weekly", torch.from_numpy(weekly), persistent=False)
        days, weeks = daily.shape[1], weekly.shape[1]
        self.width = 1 + 2 * (days + weeks) + (days > 0) + 2 * size.lags + size.ahead
        self.width += self.times.width if self.times else 0

    def forward(self, seen: Seen) -> Tensor:
        """Put it side by side."""
        parts = [seen.shape[:, :, None]]
        if self.times is not None:
            parts.append(self.times(seen.then))
        if self.daily.shape[1]:
            days, known = seen.apart[:, self.daily], seen.mask[:, self.daily]
            mean = days.sum(dim=2, keepdim=True) / known.sum(dim=2, keepdim=True).clamp(min=1)
            parts += [days, known, mean]
        if self.weekly.shape[1]:
            parts += [seen.apart[:, self.weekly], seen.mask[:, self.weekly]]
        if seen.lags.shape[2]:
            parts += [seen.lags[:, -self.horizon :], seen.lag_mask[:, -self.horizon :]]
        return torch.cat([*parts, seen.ahead], dim=2)


class Leave(nn.Linear):
    """The last layer, zero at first: the untrained net foresees its anchor at the window's level."""

    def reset_parameters(self) -> None:
        """Start at zero."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


class Decoder(nn.Module):
    """Turn a window's context ``[batch, context]`` into heads ``[batch, horizon, quantile]``.

    The context is handed to every step through a layer of its own, and mixed there with what is
    known of the step and of the window as a whole.
    """

    def __init__(
        self, size: Sizes, context: int, *, width: int, dropout: float, node: int = 16, time: int = 8
    ) -> None:
        super().__init__()
        self.horizon = size.horizon
        self.about = About(size, node)
        self.steps = Steps(size, time)
        each = width // 4
        self.hand = nn.Linear(context, size.horizon * each)
        self.local = nn.Linear(each + self.steps.width, width)
        self.whole = nn.Linear(self.about.width, width, bias=False)
        self.step = nn.Parameter(torch.randn(size.horizon, width) * 0.1)
        self.block = Block(width, dropout)
        self.leave = Leave(width, size.quantiles)

    def forward(self, context: Tensor, seen: Seen) -> Tensor:
        """Return the heads."""
        each = self.hand(context).reshape(context.shape[0], self.horizon, -1)
        mixed = self.local(torch.cat([each, self.steps(seen)], dim=2))
        mixed = mixed + self.whole(self.about(seen))[:, None] + self.step
        heads: Tensor = self.leave(self.block(mixed))
        return heads
