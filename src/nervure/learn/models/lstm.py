"""A recurrent net for streams that follow the weather: solar and wind power.

An encoder LSTM reads the window; its last state starts a bidirectional LSTM that reads the horizon:
the drivers known ahead, the calendar, what the stream stands on (:mod:`nervure.learn.ground`: a
clear sky, a power curve), so that each step is foreseen from the weather before it and after it.
Source: Hochreiter & Schmidhuber, Neural Computation 9(8), 1997; for solar power from weather
forecasts Gensler et al., IEEE SMC 2016.

When not to use it: where nothing is known ahead and the day repeats itself (the mixer is cheaper),
or for long horizons of short slots, which it walks one by one.
"""

from __future__ import annotations

import msgspec
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from nervure.learn.anchor import Anchor
from nervure.learn.blend import PlainBlend
from nervure.learn.frame import Frame, Seen, Sizes, Times, sizes
from nervure.learn.ground import frame_for
from nervure.learn.linear import fit_linear
from nervure.learn.neighbour import nearest
from nervure.learn.task import ForecastTask, widen

__all__ = ["Lstm", "Options", "build", "view"]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the net; ``neighbours`` is how many other streams it reads beside its own."""

    hidden: int = 48
    node: int = 8
    time: int = 6
    dropout: float = 0.2
    neighbours: int = 2


def view(task: ForecastTask, options: Options | None = None) -> ForecastTask:
    """Return the task with the channels of the neighbours."""
    chosen = options or Options()
    return task if task.blind else widen(task, neighbours=nearest(task, chosen.neighbours))


def build(task: ForecastTask, anchor: Anchor, options: Options | None = None) -> Frame:
    """Return a fresh net in the frame that the problem asks for, its plainer forecasts fitted."""
    frame = frame_for(
        task, anchor, Lstm(sizes(task), options or Options(), blind=task.blind), blend=PlainBlend(task)
    )
    fit_linear(task, anchor, frame)
    return frame


class Lstm(nn.Module):
    """The net: :class:`Seen` in, heads ``[batch, horizon, quantile]`` out."""

    def __init__(self, size: Sizes, options: Options, *, blind: bool = False) -> None:
        super().__init__()
        hidden = options.hidden
        self.node = nn.Embedding(size.nodes, options.node)
        self.times = Times(size, options.time)
        about = options.node + self.times.width
        seen = 2 + size.drivers + size.near + about
        self.encoder = None if blind else nn.LSTM(seen, hidden, batch_first=True)
        self.still = nn.Parameter(torch.zeros(hidden))  # what is known without a window
        self.hand = nn.Linear(hidden, 4 * hidden)
        step = size.ahead + 1 + about
        self.enter = nn.Linear(step, hidden)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True, bidirectional=True)
        self.drop = nn.Dropout(options.dropout)
        self.mix = nn.Linear(2 * hidden + step + hidden + 2 + size.near, 2 * hidden)
        self.leave = nn.Linear(2 * hidden, size.quantiles)
        self.place = nn.Parameter(torch.randn(size.horizon, hidden) * 0.1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, seen: Seen) -> Tensor:
        """Return a head for each step and quantile: ``[batch, horizon, quantile]``."""
        node = self.node(seen.node)[:, None]
        state = self._read(seen, node)
        step = torch.cat(
            [
                seen.ahead,
                seen.shape[:, :, None],
                self.times(seen.then),
                node.expand(-1, seen.then.shape[1], -1),
            ],
            dim=2,
        )
        first, second = self.hand(state).chunk(2, dim=1)
        start = tuple(torch.stack(one.chunk(2, dim=1)).contiguous() for one in (first.tanh(), second))
        walked, _ = self.decoder(gelu(self.enter(step)) + self.place, start)
        known = torch.cat([state, seen.newest, seen.level, seen.near_level], dim=1)
        whole = torch.cat([walked, step, known[:, None].expand(-1, step.shape[1], -1)], dim=2)
        mixed = gelu(self.mix(whole))
        if self.training:  # all steps of a window are dropped out together
            mixed = mixed * self.drop(torch.ones_like(mixed[:, :1]))
        heads: Tensor = self.leave(mixed)
        return heads

    def _read(self, seen: Seen, node: Tensor) -> Tensor:
        """Read the window into a state, ``[batch, hidden]``; a blind net learns one instead."""
        if self.encoder is None:
            return self.still.expand(node.shape[0], -1)
        count = seen.past.shape[1]
        parts = [seen.apart[:, :, None], seen.mask[:, :, None], seen.drivers, seen.near]
        read, _ = self.encoder(torch.cat([*parts, self.times(seen.past), node.expand(-1, count, -1)], dim=2))
        state: Tensor = read[:, -1] + self.still
        return state
