"""An LSTM with attention: the window is read once, and each step asks it for what it needs.

An LSTM reads the window with the calendar of its slots. Each step of the horizon then asks with all
that is known of it in advance (its slot, weekday, holiday and season, the weather forecast, the same
slot of yesterday and last week), and attention gathers the states of those slots that answer it.
Source: Bahdanau et al., ICLR 2015 (an encoder asked by a decoder); Luong et al., EMNLP 2015, and
Vaswani et al., NIPS 2017 (the scaled dot product, which costs less than Bahdanau's sum on a CPU).
The steps ask side by side, so no error feeds the next step.

When not to use it: for windows of some hundred slots and more, which an LSTM walks one by one and
attention compares with every step.

Shapes: ``Seen`` of ``[batch, time, channel]`` in, heads ``[batch, horizon, quantile]`` out.
"""

from __future__ import annotations

import msgspec
import torch
from torch import Tensor, nn

from nervure.learn.anchor import Anchor
from nervure.learn.frame import Frame, Seen, Sizes, sizes
from nervure.learn.layer import About, Block, Course, Leave, Steps, framed, widened
from nervure.learn.task import ForecastTask

__all__ = ["AttentionLstm", "Options", "build", "view"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the net; ``blend`` sets plainer forecasts beside it."""

    hidden: int = 64
    heads: int = 4
    node: int = 8
    time: int = 6
    dropout: float = 0.2
    neighbours: int = 2
    blend: bool = False


def view(task: ForecastTask, options: Options | None = None) -> ForecastTask:
    """Return the task with neighbours, yesterday and last week."""
    return widened(task, (options or Options()).neighbours)


def build(task: ForecastTask, anchor: Anchor, options: Options | None = None) -> Frame:
    """Return a fresh net for the task."""
    chosen = options or Options()
    return framed(task, anchor, AttentionLstm(sizes(task), chosen), blend=chosen.blend)


class AttentionLstm(nn.Module):
    """The net: :class:`Seen` in, heads ``[batch, horizon, quantile]`` out."""

    def __init__(self, size: Sizes, options: Options) -> None:
        super().__init__()
        wide = options.hidden
        self.heads, self.each = options.heads, wide // options.heads
        self.course = Course(size, options.time)
        self.steps = Steps(size, options.time)
        self.about = About(size, options.node)
        self.lstm = nn.LSTM(self.course.width, wide, batch_first=True)
        self.ask = nn.Linear(self.steps.width, wide)
        self.whole = nn.Linear(self.about.width + wide, wide, bias=False)
        self.step = nn.Parameter(torch.randn(size.horizon, wide) * 0.1)
        self.query = nn.Linear(wide, wide)
        self.answer = nn.Linear(wide, 2 * wide)
        self.join = nn.Linear(2 * wide, wide)
        self.drop = nn.Dropout(options.dropout)
        self.block = Block(wide, options.dropout)
        self.leave = Leave(wide, size.quantiles)

    def forward(self, seen: Seen) -> Tensor:
        """Return a head for each step and quantile: ``[batch, horizon, quantile]``."""
        states, _ = self.lstm(self.course(seen))
        whole = self.whole(torch.cat([self.about(seen), states[:, -1]], dim=1))
        asked = torch.tanh(self.ask(self.steps(seen)) + whole[:, None] + self.step)
        found = self.join(torch.cat([asked, self.attend(asked, states)], dim=2))
        heads: Tensor = self.leave(self.block(self.drop(found)))
        return heads

    def attend(self, asked: Tensor, states: Tensor) -> Tensor:
        """Gather for each step ``[batch, horizon, size]`` the states ``[batch, time, size]`` it asks for."""
        key, value = self.answer(states).chunk(2, dim=2)
        query, key, value = (self._split(one) for one in (self.query(asked), key, value))
        weight = torch.softmax(query @ key.transpose(2, 3) / self.each**0.5, dim=3)
        return (weight @ value).transpose(1, 2).reshape(asked.shape)

    def _split(self, x: Tensor) -> Tensor:
        """``[batch, slot, size]`` to ``[batch, head, slot, size of a head]``."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, self.each).transpose(1, 2)
