"""Each channel against its own level, its own last readings and its own roughness: robust, and quick.

What a person with a chart of one sensor sees: it is far from where it ever was, it jumped, it is noisier
or quieter than it was. Each of these is divided by its own 99.5 % quantile on the fitted rows, so 1 is as
far as normal goes. Control charts of Shewhart (1931) for level and range, on windows.
"""

from __future__ import annotations

from typing import Literal, Self

import torch
from torch import Tensor, nn

from nervure.learn.detect.block import Block, unite
from nervure.learn.detect.models.frame import (
    Frame,
    cut,
    drawn,
    forward_filled,
    leveled,
    roughness,
    usual_step,
)
from nervure.learn.detect.windowed import Windowed

__all__ = ["Change"]

_LEVEL = 0.995
_LEAST = (0.5, 0.1, 0.1, 0.2)  # limits in deviations (the last a logarithm) below which nothing is odd
_FIT = 4096


class _Graph(nn.Module):
    """Four signs of each channel, ``[batch, channel, sign]``: level, jump, step, roughness."""

    typical: Tensor
    middle: Tensor
    limit: Tensor

    def __init__(self, frame: Frame, channels: int) -> None:
        super().__init__()
        self.frame = frame
        self.register_buffer("typical", torch.ones(channels))
        self.register_buffer("middle", torch.zeros(channels))
        self.register_buffer("limit", torch.ones(channels, len(_LEAST)))

    def signs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return how large each sign is, and what the newest row was expected to be, in deviations."""
        z, known = self.frame(x)
        filled = forward_filled(z, known)
        before, newest = filled[:, :-1], filled[:, -1]
        recent = before.mean(dim=1)
        read = known[:, -1]
        rough = leveled(z, known, self.typical) - self.middle
        some = (roughness(z, known)[1] >= 0.5).to(z.dtype)
        found = torch.stack(
            [
                newest.abs() * read,
                (newest - recent).abs() * read,
                (newest - before[:, -1]).abs() * read,
                rough.abs() * some,
            ],
            dim=2,
        )
        return found, recent

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Judge windows ``[batch, time, channel]``."""
        found, recent = self.signs(x)
        part = (found / self.limit).max(dim=2).values
        return part.max(dim=1).values, part, self.frame.back(recent)


class Change(Windowed):
    """The largest sign of any channel; deterministic, fitted in well under a second.

    Not for channels that are odd only together.

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=(500, 2))
    >>> block = Block(name="one", channels=("a", "b"), value=noise, time=np.arange(500), every_ns=1)
    >>> odd = noise.copy()
    >>> odd[400, 1] += 9
    >>> int(Change().fit(block).contributions(odd)[400].argmax())
    1
    """

    name = "change"
    kind: Literal["baseline", "deep", "peer"] = "baseline"

    def __init__(self, window: int = 16, *, most: int = 20_000, seed: int = 0) -> None:
        self.window, self.most, self.seed = window, most, seed

    def fit(self, *blocks: Block) -> Self:
        """Learn how far each sign of each channel goes when all is well."""
        self._begin(blocks)
        shown, _ = drawn(blocks, self.window, self.most, seed=self.seed)
        graph = _Graph(Frame(unite(blocks)), len(self.channels))
        parts = cut(torch.from_numpy(shown), _FIT)
        with torch.no_grad():
            graph.typical = usual_step(graph.frame(part) for part in parts)
            level = torch.cat([_level(graph, part) for part in parts])
            graph.middle = level.median(dim=0).values
            found = torch.cat([graph.signs(part)[0] for part in parts])
            graph.limit = torch.maximum(torch.quantile(found, _LEVEL, dim=0), torch.tensor(_LEAST))
        self.module = graph.eval()
        return self


def _level(graph: _Graph, x: Tensor) -> Tensor:
    z, known = graph.frame(x)
    return leveled(z, known, graph.typical)
