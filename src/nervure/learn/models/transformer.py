"""A small transformer per node: the slots of the window and the steps to come attend to each other.

Every slot of the window, and every step of the horizon, is a token: what it shows (a step: what is
known of it in advance), with learned embeddings of its time, its place and its node. After some
layers of attention each step's token gives its quantiles. Source: Liu et al., "STAEformer:
Spatio-Temporal Adaptive Embedding Makes Vanilla Transformer SOTA for Traffic Forecasting", CIKM
2023; here attention runs over time only, and the nearest nodes come in as channels, so that the
cost grows with the number of sensors and not with its square, and a window is answered alone.

When not to use it: for long windows and horizons (its cost grows with the square of their sum), or
where there are few hundred windows to learn from.

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

__all__ = ["Options", "Transformer", "build", "view"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the net; ``blend`` sets plainer forecasts beside it."""

    size: int = 48
    heads: int = 4
    layers: int = 2
    node: int = 16
    time: int = 8
    dropout: float = 0.1
    neighbours: int = 4
    blend: bool = False


def view(task: ForecastTask, options: Options | None = None) -> ForecastTask:
    """Return the task with neighbours, yesterday and last week."""
    return widened(task, (options or Options()).neighbours)


def build(task: ForecastTask, anchor: Anchor, options: Options | None = None) -> Frame:
    """Return a fresh transformer for the task."""
    chosen = options or Options()
    return framed(task, anchor, Transformer(sizes(task), chosen), blend=chosen.blend)


class _Layer(nn.Module):
    """Attention of some tokens ``[batch, few, size]`` to all ``[batch, many, size]``, then a block."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.each = heads, size // heads
        self.norm = nn.LayerNorm(size)
        self.query = nn.Linear(size, size)
        self.answer = nn.Linear(size, 2 * size)
        self.join = nn.Linear(size, size)
        self.drop = nn.Dropout(dropout)
        self.block = Block(size, dropout, wide=2)

    def forward(self, few: Tensor, many: Tensor) -> Tensor:
        """Return the few tokens with what they found."""
        key, value = self.answer(self.norm(many)).chunk(2, dim=2)
        query, key, value = (self._split(one) for one in (self.query(self.norm(few)), key, value))
        weight = torch.softmax(query @ key.transpose(2, 3) / self.each**0.5, dim=3)
        found = (weight @ value).transpose(1, 2).reshape(few.shape)
        mixed: Tensor = self.block(few + self.drop(self.join(found)))
        return mixed

    def _split(self, x: Tensor) -> Tensor:
        """``[batch, token, size]`` to ``[batch, head, token, size of a head]``."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, self.each).transpose(1, 2)


class Transformer(nn.Module):
    """The net: :class:`Seen` in, heads ``[batch, horizon, quantile]`` out."""

    def __init__(self, size: Sizes, options: Options) -> None:
        super().__init__()
        self.window = size.window
        self.course = Course(size, options.time)
        self.steps = Steps(size, options.time)
        self.about = About(size, options.node)
        self.past = nn.Linear(self.course.width, options.size)
        self.then = nn.Linear(self.steps.width, options.size)
        self.whole = nn.Linear(self.about.width, options.size, bias=False)
        self.place = nn.Parameter(torch.randn(size.window + size.horizon, options.size) * 0.1)
        self.layers = nn.ModuleList(
            _Layer(options.size, options.heads, options.dropout) for _ in range(options.layers)
        )
        self.norm = nn.LayerNorm(options.size)
        self.leave = Leave(options.size, size.quantiles)

    def forward(self, seen: Seen) -> Tensor:
        """Return a head for each step and quantile: ``[batch, horizon, quantile]``."""
        token = torch.cat([self.past(self.course(seen)), self.then(self.steps(seen))], dim=1)
        token = token + self.whole(self.about(seen))[:, None] + self.place
        last = len(self.layers) - 1
        for turn, layer in enumerate(self.layers):  # in the end only the steps need an answer
            token = layer(token[:, self.window :] if turn == last else token, token)
        heads: Tensor = self.leave(self.norm(token))
        return heads
