"""The hybrid CNN-LSTM per node: convolutions over a window's slots, an LSTM over time, a residual.

Convolutions mix the node's own readings with those of its neighbours and with drivers, so space
enters as channels and the net serves any number of sensors; the LSTM reads what they make of it from
old to new. Its last state goes to a decoder that knows the steps' own times, and what comes out is
added to the seasonal anchor at the window's level. Source: Shi et al. (convolutional LSTM, NIPS
2015); Wu & Tan (short-term traffic with CNN and LSTM, arXiv:1612.01022); the form over all nodes at
once is :mod:`nervure.learn.models.cnn_lstm_joint`.

When not to use it: for windows of many hundred slots, which an LSTM walks one by one; where the
mixer does as well, which is cheaper.

Shapes: ``Seen`` of ``[batch, time, channel]`` in, heads ``[batch, horizon, quantile]`` out.
"""

from __future__ import annotations

import msgspec
from torch import Tensor, nn
from torch.nn.functional import gelu

from nervure.learn.anchor import Anchor
from nervure.learn.frame import Frame, Seen, Sizes, sizes
from nervure.learn.layer import Course, Decoder, framed, widened
from nervure.learn.task import ForecastTask

__all__ = ["CnnLstm", "Options", "build", "view"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the net; ``neighbours`` is how many it looks at, ``blend`` sets plain forecasts beside it."""

    channels: int = 48
    hidden: int = 64
    decoder: int = 96
    time: int = 4
    dropout: float = 0.1
    neighbours: int = 6
    blend: bool = False


def view(task: ForecastTask, options: Options | None = None) -> ForecastTask:
    """Return the task with neighbours, yesterday and last week."""
    return widened(task, (options or Options()).neighbours)


def build(task: ForecastTask, anchor: Anchor, options: Options | None = None) -> Frame:
    """Return a fresh CNN-LSTM for the task."""
    chosen = options or Options()
    return framed(task, anchor, CnnLstm(sizes(task), chosen), blend=chosen.blend)


class CnnLstm(nn.Module):
    """The net: :class:`Seen` in, heads ``[batch, horizon, quantile]`` out."""

    def __init__(self, size: Sizes, options: Options) -> None:
        super().__init__()
        wide = options.channels
        self.course = Course(size, options.time)
        self.near = nn.Conv1d(self.course.width, wide, 3, padding=1)
        self.far = nn.Conv1d(wide, wide, 3, padding=1)
        self.lstm = nn.LSTM(wide, options.hidden, batch_first=True)
        self.drop = nn.Dropout(options.dropout)
        self.decoder = Decoder(size, options.hidden, width=options.decoder, dropout=options.dropout)

    def forward(self, seen: Seen) -> Tensor:
        """Return a head for each step and quantile: ``[batch, horizon, quantile]``."""
        x = gelu(self.near(self.course(seen).transpose(1, 2)))
        x = x + gelu(self.far(x))
        walked, _ = self.lstm(x.transpose(1, 2))
        heads: Tensor = self.decoder(self.drop(walked[:, -1]), seen)
        return heads
