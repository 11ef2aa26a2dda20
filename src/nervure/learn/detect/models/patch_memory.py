"""Embeddings of each channel's newest patch, held against a memory of normal moments.

As PatchCore does for images (Roth et al., CVPR, 2022): a small net learns to describe patches without
labels, here by mending patches of which stretches are hidden; a coreset of what normal moments look like
is kept; what is far from all of them is odd. A distance is a sum over channels, so how near the nearest
moment is when one channel is left out can be asked of every channel at once: that is how the faulty one
is named, and what the moments that are nearest by the other channels read there is what was expected
(auto-associative kernel regression; Hines and Garvey, 2006).
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
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
from nervure.learn.detect.train import Effort, Run, train
from nervure.learn.detect.windowed import Windowed

__all__ = ["PatchMemory"]

Longs = NDArray[np.int64]
_FIT = 512
_NEAR = 3  # moments that the score is the mean distance to
_POOL = 6000  # moments that the memory is chosen from
_CALIBRATE = 6000


class _Embed(nn.Module):
    """A patch of one channel and what of it was read, ``[case, 2, time]``, to ``[case, width]``, and back."""

    def __init__(self, window: int, width: int, hidden: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(2, hidden, 5, stride=2, padding=2), nn.GELU(),
            nn.Conv1d(hidden, hidden, 3, stride=2, padding=1), nn.GELU(), nn.Flatten(),
        )  # fmt: skip
        inner = hidden * ((((window + 1) // 2) + 1) // 2)
        self.down = nn.Linear(inner, width)
        self.back = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, window))

    def forward(self, patch: Tensor) -> Tensor:
        found: Tensor = self.down(self.body(patch))
        return found


class _Graph(nn.Module):
    """Distances of windows from the memory; see the module's text."""

    typical: Tensor
    usual: Tensor
    middle: Tensor
    spread: Tensor
    memory: Tensor
    value: Tensor
    warmth: Tensor
    limit: Tensor
    alone: Tensor
    missed: Tensor
    whole: Tensor

    def __init__(self, frame: Frame, embed: _Embed, typical: Tensor) -> None:
        super().__init__()
        self.frame, self.embed = frame, embed
        self.register_buffer("typical", typical)
        self.register_buffer("usual", torch.zeros_like(typical))

    def features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features ``[batch, channel, feature]``, the share read, and the newest deviations."""
        z, known = self.frame(x)
        filled = forward_filled(z, known)
        batch, window, channels = z.shape
        both = torch.stack([filled, known], dim=1).permute(0, 3, 1, 2).reshape(-1, 2, window)
        code = self.embed(both).reshape(batch, channels, -1)
        level = leveled(z, known, self.typical)
        rough = torch.where(roughness(z, known)[1] >= 0.25, level, self.usual.expand_as(level))
        found = torch.cat([code, filled[:, -1, :, None], rough[..., None]], dim=-1)
        return found, 0.5 * (known[:, -1] + known.mean(dim=1)), filled[:, -1]

    def distances(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the distance ``[batch]``, and of each channel, ``[batch, channel]``, four things.

        By how much the distance falls without it, how far it is alone, how far the newest row is
        from what the others let expect, squared, and what that is.
        """
        found, share, newest = self.features(x)
        u = ((found - self.middle) / self.spread).transpose(0, 1)  # [channel, batch, feature]
        apart = (u**2).sum(dim=2)[..., None] + (self.memory**2).sum(dim=2)[:, None]
        apart = apart - 2 * torch.bmm(u, self.memory.transpose(1, 2))
        each = apart.clamp(min=0.0) * share.transpose(0, 1)[..., None]
        total = each.sum(dim=0)
        without = total[None] - each
        least = total.min(dim=1).values
        fall = (least[None] - without.min(dim=2).values).clamp(min=0.0).transpose(0, 1)
        near = torch.softmax(-without / self.warmth[:, None, None], dim=2)
        wanted = (near * self.value[:, None]).sum(dim=2).transpose(0, 1)
        whole = total.topk(_NEAR, dim=1, largest=False).values.mean(dim=1)
        missed = (newest - wanted) ** 2 * share
        return whole, fall, each.min(dim=2).values.transpose(0, 1), missed, wanted

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Judge windows ``[batch, time, channel]``."""
        whole, fall, alone, missed, wanted = self.distances(x)
        part = fall / self.limit + alone / self.alone + missed / self.missed
        score = whole / self.whole + part.max(dim=1).values
        return score, part, self.frame.back(wanted)


class PatchMemory(Windowed):
    """Distance of the newest patches from those of normal moments, several modes of normal welcome.

    Not where normal drifts away from all that was seen: a memory does not follow.
    """

    name = "patch memory"

    def __init__(
        self, window: int = 16, width: int = 6, *, moments: int = 256, most: int = 20_000, seed: int = 0,
        effort: Effort | None = None,
    ) -> None:  # fmt: skip
        self.window, self.width, self.moments = window, width, moments
        self.most, self.seed = most, seed
        self.effort = effort or Effort(cpu_s=6.0, epochs=6.0, batch=256)
        self.run: Run | None = None

    def fit(self, *blocks: Block) -> Self:
        """Learn to describe patches, then keep a memory of those seen."""
        value = unite(blocks)
        self._begin(blocks)
        shown, _ = drawn(blocks, self.window, self.most, seed=self.seed)
        torch.manual_seed(self.seed)
        frame, x = Frame(value), torch.from_numpy(shown)
        with torch.no_grad():
            parts = [frame(part) for part in cut(x, 4096)]
            typical = usual_step(parts)
        graph = _Graph(frame, _Embed(self.window, self.width), typical)
        self.run = self._describe(graph.embed, parts)
        with torch.no_grad():
            self._remember(graph.eval(), x)
        self.module = graph
        return self

    def _describe(self, embed: _Embed, parts: list[tuple[Tensor, Tensor]]) -> Run:
        """Train the embedding to mend patches; every tenth stretch of rows judges."""
        z = torch.cat([forward_filled(*one) for one in parts]).transpose(1, 2)
        known = torch.cat([one[1] for one in parts]).transpose(1, 2)
        turn = torch.arange(len(z)) * 50 // max(len(z), 50) % 10 == 9
        learn, held = torch.nonzero(~turn)[:, 0], torch.nonzero(turn)[:, 0]
        held = held if len(held) else learn
        random = torch.Generator().manual_seed(self.seed)
        channels = z.shape[1]
        proof = held[torch.randint(len(held), (2048,), generator=random)]
        which = torch.randint(channels, (2048,), generator=random)
        hidden = self._hidden(2048, random)

        def cost(rows: Tensor, channel: Tensor, hide: Tensor) -> Tensor:
            clean, seen = z[rows, channel], known[rows, channel] * (1 - hide)
            found = embed.back(embed(torch.stack([clean * seen, seen], dim=1)))
            wrong: Tensor = (found - clean) ** 2 * known[rows, channel]
            return wrong.mean()

        def loss(index: Longs) -> Tensor:
            rows = learn[torch.from_numpy(index) % len(learn)]
            channel = torch.randint(channels, (len(rows),), generator=random)
            return cost(rows, channel, self._hidden(len(rows), random))

        count = min(len(learn) * channels, 30_000)
        return train(
            embed, count, loss, lambda: float(cost(proof, which, hidden)), effort=self.effort, seed=self.seed
        )

    def _hidden(self, count: int, random: torch.Generator) -> Tensor:
        """Return 1 where a stretch of a patch is hidden, ``[count, time]``."""
        start = torch.randint(self.window, (count, 1), generator=random)
        length = torch.randint(1 + self.window // 2, (count, 1), generator=random)
        place = torch.arange(self.window)
        return ((place >= start) & (place < start + length)).float()

    def _remember(self, graph: _Graph, x: Tensor) -> None:
        """Choose the memory and learn how far normal moments are from it, on others than it holds."""
        turns = torch.randperm(len(x), generator=torch.Generator().manual_seed(self.seed))
        pool = turns[: min(max(len(x) * 2 // 3, 1), _POOL)]
        others = turns[len(pool) :][:_CALIBRATE] if len(x) > len(pool) + 50 else turns[:_CALIBRATE]
        shown = [graph.frame(part) for part in cut(x[pool], _FIT)]
        levels = torch.cat([leveled(z, known, graph.typical) for z, known in shown])
        graph.register_buffer("usual", levels.median(dim=0).values)
        made = [graph.features(part) for part in cut(x[pool], _FIT)]
        features, newest = torch.cat([one[0] for one in made]), torch.cat([one[2] for one in made])
        spread = features.std(dim=0, correction=0)
        floor = torch.cat([torch.full((self.width + 1,), 0.02), torch.tensor([0.2])])
        graph.register_buffer("middle", features.mean(dim=0))
        graph.register_buffer("spread", torch.where(spread < 1e-3, 1.0, torch.maximum(spread, floor)))
        u = (features - graph.middle) / graph.spread
        count = int(np.clip(self.moments * 8 // max(u.shape[1], 8), 48, self.moments))
        chosen = _coreset(u.flatten(1), count, self.seed)
        graph.register_buffer("memory", u[chosen].transpose(0, 1).contiguous())
        graph.register_buffer("value", newest[chosen].T.contiguous())
        graph.register_buffer("warmth", torch.full((u.shape[1],), float(u.shape[1] * u.shape[2]) * 0.1))
        found = [graph.distances(part) for part in cut(x[others], _FIT)]
        whole, fall, alone, missed = (torch.cat([one[at] for one in found]) for at in range(4))
        graph.register_buffer("whole", torch.quantile(whole, 0.99).clamp(min=1e-2))
        graph.register_buffer("limit", torch.quantile(fall, 0.99, dim=0).clamp(min=1e-1))
        graph.register_buffer("missed", torch.quantile(missed, 0.99, dim=0).clamp(min=1e-2))
        graph.register_buffer("alone", torch.quantile(alone, 0.99, dim=0).clamp(min=1e-1))


def _coreset(u: Tensor, count: int, seed: int) -> Tensor:
    """Choose moments ``[moment]``: half by chance, as normal mostly is, half farthest from those chosen."""
    if len(u) <= count:
        return torch.arange(max(len(u), _NEAR)) % len(u)
    random = torch.Generator().manual_seed(seed)
    if u.shape[1] > 48:  # distances survive a random projection
        u = u @ torch.randn(u.shape[1], 48, generator=random) / 48**0.5
    chosen = torch.randperm(len(u), generator=random)[: count // 2].tolist()
    apart = torch.cdist(u, u[chosen]).min(dim=1).values
    for _ in range(count - len(chosen)):
        farthest = int(apart.argmax())
        chosen.append(farthest)
        apart = torch.minimum(apart, (u - u[farthest]).norm(dim=1))
    return torch.tensor(chosen)
