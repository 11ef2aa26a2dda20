"""Graph WaveNet, small: gated convolutions over time, diffusion over a graph that is partly learned.

All nodes are foreseen at once. Layers of causal convolutions whose reach doubles run over each
node's window; after each, what was found spreads along the road graph (both ways, up to two hops),
where there is one, and along a graph that training makes up: ``softmax(relu(E1 E2'))`` from two
embeddings of each node. A decoder shared by all nodes adds what is known of the steps. Source: Wu et
al., "Graph WaveNet for Deep Spatial-Temporal Graph Modeling", IJCAI 2019. It differs in its size
(here 16 channels and as many layers as the window needs), in normalising channels instead of the
batch, and in foreseeing what the seasonal anchor leaves.

When not to use it: on one core with a thousand sensors (the cost grows with their square), where
sensors come and go (it knows each by place), or where streams do not touch each other.

Shapes: a batch is whole rounds, ``[rounds * nodes, time]``; heads ``[rounds * nodes, horizon,
quantile]``.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from nervure.learn.anchor import Anchor
from nervure.learn.frame import Frame, Seen, Sizes, sizes
from nervure.learn.layer import Course, Decoder, framed, widened
from nervure.learn.task import ForecastTask
from nervure.learn.train import Recipe

__all__ = ["RECIPE", "GraphWaveNet", "Options", "build", "view"]

RECIPE = Recipe(batch=1024, rate=3e-3, patience=15)  # validation wavers: a step sees few moments
_ORDER = 2  # hops that a layer spreads over


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of the net; ``adaptive`` is that of the embeddings that make up the learned graph.

    ``lags`` says whether it sees yesterday and last week, ``blend`` sets plain forecasts beside it.
    ``time`` is the size of time embeddings: a batch holds few moments, and what these have in common
    would be taken for the hour's, so there are none; the anchor knows the season.
    """

    channels: int = 16
    adaptive: int = 10
    context: int = 64
    decoder: int = 64
    time: int = 0
    dropout: float = 0.1
    lags: bool = False
    blend: bool = False


def view(task: ForecastTask, options: Options | None = None) -> ForecastTask:
    """Return the task in whole rounds, on demand with yesterday and last week."""
    wide = widened(task, 0, lags=(options or Options()).lags)
    return msgspec.structs.replace(wide, joint=True)


def build(task: ForecastTask, anchor: Anchor, options: Options | None = None) -> Frame:
    """Return a fresh Graph WaveNet for the task; without an adjacency it learns its graph alone."""
    chosen = options or Options()
    net = GraphWaveNet(sizes(task), chosen, _spreads(task.adjacency, task.nodes))
    return framed(task, anchor, net, blend=chosen.blend)


def _spreads(adjacency: NDArray[np.float32] | None, nodes: int) -> Tensor:
    """Return how far each node spreads in a hop and in two, both ways: ``[graph, node, node]``."""
    if adjacency is None:
        return torch.zeros(0, nodes, nodes)
    linked = np.maximum(adjacency, np.eye(nodes))
    both = [one / one.sum(axis=1, keepdims=True) for one in (linked, linked.T)]
    hops = [np.linalg.matrix_power(one, order) for one in both for order in range(1, _ORDER + 1)]
    return torch.tensor(np.stack(hops), dtype=torch.float32)


class _Layer(nn.Module):
    """A gated convolution ``dilation`` slots back, then diffusion: ``[round, time, node, channel]``.

    Time is shorter by ``dilation`` afterwards. The second result is the newest slot for the output,
    ``[round, node, context]``.
    """

    def __init__(self, options: Options, dilation: int, graphs: int) -> None:
        super().__init__()
        wide = options.channels
        self.dilation = dilation
        self.gated = nn.Linear(2 * wide, 2 * wide)
        self.spread = nn.Linear((1 + graphs) * wide, wide)
        self.skip = nn.Linear(wide, options.context)
        self.norm = nn.LayerNorm(wide)
        self.drop = nn.Dropout(options.dropout)

    def forward(self, x: Tensor, graphs: Tensor) -> tuple[Tensor, Tensor]:
        """Go one layer on; ``graphs [graph * node, node]`` lie below each other."""
        newer = x[:, self.dilation :]
        bent, gate = self.gated(torch.cat([x[:, : -self.dilation], newer], dim=3)).chunk(2, dim=3)
        found = torch.tanh(bent) * torch.sigmoid(gate)
        nodes, wide = found.shape[2], found.shape[3]
        spread = (graphs @ found).reshape(found.shape[0], found.shape[1], -1, nodes, wide)
        parts = torch.cat([found[:, :, None], spread], dim=2).transpose(2, 3).flatten(3)
        return self.norm(newer + self.drop(self.spread(parts))), self.skip(found[:, -1])


class GraphWaveNet(nn.Module):
    """The net: :class:`Seen` of whole rounds in, heads ``[batch, horizon, quantile]`` out."""

    spreads: Tensor

    def __init__(self, size: Sizes, options: Options, spreads: Tensor) -> None:
        super().__init__()
        self.size = size
        self.course = Course(size, options.time)
        self.enter = nn.Linear(self.course.width, options.channels)
        self.level = nn.Linear(1, options.channels, bias=False)  # so that nodes see each other's
        self.register_buffer("spreads", spreads, persistent=False)
        self.node_source = nn.Embedding(size.nodes, options.adaptive)
        self.node_target = nn.Embedding(size.nodes, options.adaptive)
        depth = max(1, math.ceil(math.log2(size.window)))
        graphs = len(spreads) + _ORDER
        self.layers = nn.ModuleList(_Layer(options, 2**turn, graphs) for turn in range(depth))
        self.reach = 2**depth
        self.last = nn.Linear(options.channels, options.context)
        self.decoder = Decoder(
            size, options.context, width=options.decoder, dropout=options.dropout, time=options.time
        )

    def forward(self, seen: Seen) -> Tensor:
        """Return a head for each step and quantile: ``[batch, horizon, quantile]``."""
        size = self.size
        x = self.enter(self.course(seen)) + self.level(seen.level)[:, None]
        x = x.reshape(-1, size.nodes, size.window, x.shape[2])
        x = pad(x.transpose(1, 2), (0, 0, 0, 0, self.reach - size.window, 0))
        graphs, context = self.graphs(), torch.zeros(())
        for layer in self.layers:
            x, skip = layer(x, graphs)
            context = context + skip
        context = relu(context + self.last(x[:, -1]))
        heads: Tensor = self.decoder(context.flatten(0, 1), seen)
        return heads

    def graphs(self) -> Tensor:
        """Return the given graphs and the learned one, a hop and two, below each other."""
        learned = torch.softmax(relu(self.node_source.weight @ self.node_target.weight.T), dim=1)
        return torch.cat([*self.spreads, learned, learned @ learned], dim=0)
