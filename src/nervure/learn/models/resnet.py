"""A residual 1-D CNN over time: pollutants, weather and neighbours are its channels.

Blocks of two convolutions each, whose reach doubles from block to block, are added to what came
before them; the mean over the window and its newest slot go to a decoder that knows the steps' own
times. Source: He et al., CVPR 2016 (residual blocks), and ECCV 2016 (normalised before, as here);
Zhang et al. (residual nets for city-wide forecasts, AAAI 2017); Bai et al., arXiv:1803.01271
(dilations). Channels are normalised in groups, not over the batch, so that a window is answered
alike alone and in company.

When not to use it: where what matters lies further back than the window, or where streams repeat a
week exactly, which the anchor alone foresees.

Shapes: ``Seen`` of ``[batch, time, channel]`` in, heads ``[batch, horizon, quantile]`` out.
"""

from __future__ import annotations

import msgspec
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from nervure.learn.anchor import Anchor
from nervure.learn.frame import Frame, Seen, Sizes, sizes
from nervure.learn.layer import Course, Decoder, framed, widened
from nervure.learn.task import ForecastTask

__all__ = ["Options", "ResNet", "build", "view"]

_GROUPS = 4


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the net; ``channels`` in fours, ``blend`` sets plainer forecasts beside it."""

    channels: int = 48
    blocks: int = 3
    decoder: int = 96
    time: int = 4
    dropout: float = 0.2
    neighbours: int = 6
    blend: bool = False


def view(task: ForecastTask, options: Options | None = None) -> ForecastTask:
    """Return the task with neighbours, yesterday and last week."""
    return widened(task, (options or Options()).neighbours)


def build(task: ForecastTask, anchor: Anchor, options: Options | None = None) -> Frame:
    """Return a fresh residual CNN for the task."""
    chosen = options or Options()
    return framed(task, anchor, ResNet(sizes(task), chosen), blend=chosen.blend)


class _Residual(nn.Module):
    """Two convolutions with a reach of ``dilation`` slots, added: ``[batch, channel, time]``, and back."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(_GROUPS, channels) for _ in range(2))
        self.turns = nn.ModuleList(
            nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation) for _ in range(2)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions find."""
        found = x
        for norm, turn in zip(self.norms, self.turns, strict=True):
            found = turn(self.drop(gelu(norm(found))))
        return x + found


class ResNet(nn.Module):
    """The net: :class:`Seen` in, heads ``[batch, horizon, quantile]`` out."""

    def __init__(self, size: Sizes, options: Options) -> None:
        super().__init__()
        wide = options.channels
        self.course = Course(size, options.time)
        self.enter = nn.Conv1d(self.course.width, wide, 3, padding=1)
        self.blocks = nn.Sequential(
            *(_Residual(wide, 2**turn, options.dropout) for turn in range(options.blocks))
        )
        self.norm = nn.LayerNorm(2 * wide)
        self.decoder = Decoder(size, 2 * wide, width=options.decoder, dropout=options.dropout)

    def forward(self, seen: Seen) -> Tensor:
        """Return a head for each step and quantile: ``[batch, horizon, quantile]``."""
        found = self.blocks(self.enter(self.course(seen).transpose(1, 2)))
        context = gelu(self.norm(torch.cat([found.mean(dim=2), found[:, :, -1]], dim=1)))
        heads: Tensor = self.decoder(context, seen)
        return heads
