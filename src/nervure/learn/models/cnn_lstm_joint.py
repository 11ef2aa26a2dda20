"""The literature's CNN-LSTM: all sensors at once, convolutions over them, an LSTM over time.

At each slot the readings of all nodes stand side by side in a row; convolutions run along it, an
LSTM follows what they find over time, and a dense layer foresees every node and step. It sees
standardised readings and nothing else: no profile, no calendar, no residual, as published hybrids
do. It is kept as the row that the other models are held against. Source: Wu & Tan, "Short-term
traffic flow forecasting with spatial-temporal correlation in a hybrid deep learning framework",
arXiv:1612.01022; Bogaerts et al., Transportation Research C 112, 2020, have it on graphs. Drivers
known ahead are added to each step linearly.

When not to use it: to deploy. The order of nodes in the row is arbitrary, one sensor more means
another net, one that is silent disturbs all, and the dense layers know too much for weeks of data.

Shapes: a batch is whole rounds, ``[rounds * nodes, time]``; heads ``[rounds * nodes, horizon,
quantile]``.
"""

from __future__ import annotations

import msgspec
import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from nervure.learn.anchor import Anchor, fit_anchor
from nervure.learn.frame import Frame, Ground, Seen, Sizes, sizes
from nervure.learn.task import ForecastTask
from nervure.learn.train import Recipe

__all__ = ["RECIPE", "CnnLstmJoint", "Options", "PlainFrame", "build", "view"]

RECIPE = Recipe(batch=1024, rate=1e-3)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the net: channels of the convolutions, and the LSTM's state."""

    channels: int = 16
    hidden: int = 128
    dropout: float = 0.2


def view(task: ForecastTask, options: Options | None = None) -> ForecastTask:  # noqa: ARG001  one protocol
    """Return the task in whole rounds."""
    return msgspec.structs.replace(task, joint=True)


def build(task: ForecastTask, anchor: Anchor, options: Options | None = None) -> Frame:  # noqa: ARG001
    """Return a fresh net for the task; the seasonal profile is not used."""
    net = CnnLstmJoint(sizes(task), options or Options())
    return PlainFrame(task, fit_anchor(task, "none"), net)


class PlainFrame(Frame):
    """A frame that standardises each node by its mean and spread, and does nothing else."""

    def ground(
        self, x: Tensor, node: Tensor, calendar: Tensor, future: Tensor | None, profile: Tensor | None
    ) -> Ground:
        """Stand on the node's mean, whatever the season."""
        count = calendar.shape[1]
        base = self.table.mean(dim=1)[node][:, None].expand(-1, count)
        return Ground(base=base, scale=self.scale[node][:, None].expand(-1, count))

    def see(
        self,
        x: Tensor,
        node: Tensor,
        calendar: Tensor,
        future: Tensor | None,
        ground: Ground,
        profile: Tensor | None = None,
    ) -> Seen:
        """Return what the window shows, its own level left in."""
        seen = super().see(x, node, calendar, future, ground, profile)
        whole = (seen.apart + seen.level) * seen.mask
        return seen._replace(apart=whole, level=torch.zeros_like(seen.level))


class CnnLstmJoint(nn.Module):
    """The net: :class:`Seen` of whole rounds in, heads ``[batch, horizon, quantile]`` out."""

    def __init__(self, size: Sizes, options: Options) -> None:
        super().__init__()
        self.size = size
        wide = options.channels
        self.first = nn.Conv1d(2 + size.drivers, wide, 3, padding=1)
        self.second = nn.Conv1d(wide, wide, 3, padding=1)
        self.pool = nn.MaxPool1d(2, ceil_mode=True) if size.nodes > 1 else nn.Identity()
        self.lstm = nn.LSTM(wide * ((size.nodes + 1) // 2), options.hidden, batch_first=True)
        self.drop = nn.Dropout(options.dropout)
        self.leave = nn.Linear(options.hidden, size.nodes * size.horizon * size.quantiles)
        self.ahead = nn.Linear(size.ahead, size.quantiles, bias=False) if size.ahead else None

    def forward(self, seen: Seen) -> Tensor:
        """Return a head for each step and quantile: ``[batch, horizon, quantile]``."""
        size = self.size
        x = torch.cat([torch.stack([seen.apart, seen.mask], dim=2), seen.drivers], dim=2)
        x = x.reshape(-1, size.nodes, size.window, x.shape[2]).permute(0, 2, 3, 1)
        row = x.reshape(-1, x.shape[2], size.nodes)  # [rounds * time, channel, node]
        found = self.pool(relu(self.second(relu(self.first(row)))))
        walked, _ = self.lstm(found.reshape(x.shape[0], size.window, -1))
        heads: Tensor = self.leave(self.drop(walked[:, -1])).reshape(-1, size.horizon, size.quantiles)
        return heads if self.ahead is None else heads + self.ahead(seen.ahead)
