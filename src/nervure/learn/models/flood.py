"""River levels: how fast the river rises, here and upstream, and the rain; what is foreseen is the rise.

The frame holds the last reading (:class:`nervure.learn.ground.LastFrame`), so without news the
forecast is the level as it is. The net sees level differences over spans from one slot to the whole
window, of the node and of the gauges whose rise comes before its own (chosen by lagged correlation
over leads up to the horizon), the rain of the window and, where it is known, the rain to come. It
answers with the rise up to each step. Differences as inputs: Campolo, Andreussi & Soldati, Water
Resources Research 35(4), 1999.

How likely a level is exceeded follows from the calibrated quantiles (:mod:`nervure.core.exceed`).

When not to use it: for tides and reservoirs that follow a timetable (the mixer knows the season).
"""

from __future__ import annotations

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import gelu

from nervure.learn.anchor import Anchor
from nervure.learn.blend import PlainBlend
from nervure.learn.frame import Frame, Seen, Sizes, sizes
from nervure.learn.ground import LastFrame
from nervure.learn.linear import fit_linear
from nervure.learn.task import ForecastTask, widen

__all__ = ["Flood", "Options", "build", "upstream", "view"]

_LEADS = 6  # leads over which a gauge upstream may run ahead, up to the horizon
_ROWS = 20_000  # newest rows of the train part that tell who is upstream


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the net; ``neighbours`` is how many gauges it looks at beside its own."""

    hidden: int = 96
    node: int = 8
    dropout: float = 0.1
    neighbours: int = 4


def view(task: ForecastTask, options: Options | None = None) -> ForecastTask:
    """Return the task with the channels of the gauges upstream."""
    chosen = options or Options()
    return task if task.blind else widen(task, neighbours=upstream(task, chosen.neighbours))


def build(task: ForecastTask, anchor: Anchor, options: Options | None = None) -> Frame:
    """Return a fresh net in a frame that holds the last reading, its plainer forecasts fitted."""
    net = Flood(sizes(task), options or Options(), median=task.median)
    frame = LastFrame(task, anchor, net, blend=PlainBlend(task))
    fit_linear(task, anchor, frame)
    return frame


def upstream(task: ForecastTask, most: int) -> NDArray[np.int64]:
    """Return the gauges whose past rise tells most of a node's coming rise: ``[node, gauge]``.

    Past rises are over spans up to the window's third; what counts is the partial correlation
    beyond the node's own past rise, the best over several leads. None where the train part is too
    short to tell chance from what is there.
    """
    count = min(most, task.nodes - 1)
    value = task.table.value[np.ix_(task.split.train[-_ROWS:], task.targets)]
    leads = sorted({max(1, task.horizon * (turn + 1) // _LEADS) for turn in range(_LEADS)})
    if count < 1 or len(value) < 20 * (leads[-1] + 1):
        return np.empty((task.nodes, 0), dtype=np.int64)
    best = np.zeros((task.nodes, task.nodes))
    for lead in leads:
        past, coming = value[lead:-lead] - value[: -2 * lead], value[2 * lead :] - value[lead:-lead]
        now, later = _ranked(past), _ranked(coming)
        own = (now * later).sum(axis=0)[:, None]
        both, other = now.T @ now, later.T @ now
        partial = (other - own * both) / np.sqrt(np.maximum((1 - own**2) * (1 - both**2), 1e-3))
        best = np.maximum(best, partial)
    np.fill_diagonal(best, -1.0)
    found: NDArray[np.int64] = np.argsort(-best, axis=1, kind="stable")[:, :count]
    return found


def _ranked(rise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tame rises ``[row, node]`` by their square roots (one flood is not all there is); length one."""
    known = np.where(np.isfinite(rise), np.sign(rise) * np.sqrt(np.abs(rise)), 0.0)
    length = np.sqrt((known**2).sum(axis=0))
    scaled: NDArray[np.float64] = known / np.where(length > 1e-9, length, 1.0)
    return scaled


class Flood(nn.Module):
    """The net: :class:`Seen` in, heads ``[batch, horizon, quantile]`` out.

    ``span [span]`` are the slots back over which rises are taken: 1, 2, 3, 6, 12, ... of the window.
    """

    span: Tensor
    middle: Tensor

    def __init__(self, size: Sizes, options: Options, *, median: int) -> None:
        super().__init__()
        hidden = options.hidden
        spans = [one for one in (1, 2, 3, 6, 12, 24, 48, 96) if one < size.window]
        self.register_buffer("span", torch.tensor([*spans, size.window - 1]), persistent=False)
        rises = len(self.span) * (1 + size.near)
        self.node = nn.Embedding(size.nodes, options.node)
        self.rain = nn.Conv1d(size.drivers, hidden // 4, 5, stride=2) if size.drivers else None
        wide = 2 * rises + 1 + options.node + (hidden // 4 if size.drivers else 0) + 2 * size.drivers
        self.enter = nn.Linear(wide + size.ahead * size.horizon, hidden)
        self.deep = nn.Sequential(
            nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.GELU(), nn.Dropout(options.dropout)
        )
        self.leave = nn.Linear(2 * hidden, size.horizon * size.quantiles)
        self.straight = nn.Linear(rises, size.horizon, bias=False)
        self.horizon = size.horizon
        self.register_buffer("middle", torch.eye(size.quantiles)[median], persistent=False)
        for one in (self.leave.weight, self.leave.bias, self.straight.weight):
            nn.init.zeros_(one)

    def forward(self, seen: Seen) -> Tensor:
        """Return a head for each step and quantile: ``[batch, horizon, quantile]``."""
        rise = self._rises(seen)
        bent = torch.sign(rise) * torch.log1p(rise.abs())  # a flood is many scales high
        parts = [rise.clamp(-10, 10), bent, seen.mask.mean(dim=1, keepdim=True), self.node(seen.node)]
        if self.rain is not None:
            fallen = gelu(self.rain(seen.drivers.transpose(1, 2))).mean(dim=2)
            parts += [fallen, seen.drivers.mean(dim=1), seen.drivers[:, -6:].mean(dim=1)]
        mixed = gelu(self.enter(torch.cat([*parts, seen.ahead.flatten(1)], dim=1)))
        heads = self.leave(torch.cat([mixed, self.deep(mixed)], dim=1)).unflatten(1, (self.horizon, -1))
        whole: Tensor = heads + self.straight(rise)[:, :, None] * self.middle
        return whole

    def _rises(self, seen: Seen) -> Tensor:
        """Return how much the node and its neighbours rose over each span, ``[batch, span * gauge]``."""
        level = torch.cat([seen.apart[:, :, None], seen.near + seen.near_level[:, None]], dim=2)
        known = torch.cat([seen.mask[:, :, None], torch.ones_like(seen.near)], dim=2)
        then = level.shape[1] - 1 - self.span
        rise = (level[:, -1:] - level[:, then]) * known[:, -1:] * known[:, then]
        return rise.flatten(1)
