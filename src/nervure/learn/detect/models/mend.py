"""Autoencoders that may not see what they are asked: each channel is expected from the other channels.

A plain autoencoder copies a faulty reading through its latent and smears its error over all channels, so
its squared residual blames the wrong sensor. Here a channel's own readings are hidden when it is asked
what it should read (denoising by masks; Vincent et al., JMLR 11, 2010), and while learning other channels
are spoilt at random, so that one faulty sensor moves the expectation of the rest as little as can be. A
second view hides the newest rows of all channels and asks what the past lets expect.
"""

from __future__ import annotations

from typing import Self

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.learn.detect.block import Block, unite
from nervure.learn.detect.models.frame import Frame, cut, drawn, leveled, roughness, usual_step
from nervure.learn.detect.train import Effort, Run, train
from nervure.learn.detect.windowed import Windowed

__all__ = ["Mending"]

Longs = NDArray[np.int64]
_FIT = 512
_PROOF = 1024  # held windows that judge a training
_SEEN = 0.2  # weight of what was not hidden
_SPOILT = 0.5  # share of windows that are shown a channel gone wrong


class _Graph(nn.Module):
    """Views of a window in which something is hidden, what the net makes of it, and how far off that is."""

    hide: Tensor
    typical: Tensor
    usual: Tensor
    trust: Tensor
    limits: Tensor

    def __init__(self, frame: Frame, body: nn.Module, hide: Tensor, typical: Tensor, newest: int) -> None:
        super().__init__()
        self.frame, self.body, self.newest = frame, body, newest
        self.register_buffer("hide", hide)  # [view, channel]: which channels a view hides
        self.register_buffer("typical", typical)
        self.register_buffer("usual", torch.zeros_like(typical))

    def mended(self, z: Tensor, seen: Tensor) -> Tensor:
        """Return what the net makes of windows of which it sees some, all ``[batch, time, channel]``."""
        found: Tensor = self.body(torch.cat([z * seen, seen], dim=-1))
        return found

    def residuals(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return squared residuals ``[batch, channel, 4]``, and the newest row by others and by the past.

        Residuals: of the newest row by the others; of the window's mean by the others; of the newest
        rows by the past; of the roughness.
        """
        z, known = self.frame(x)
        batch, window, channels = z.shape
        late = (torch.arange(window) >= window - self.newest).to(z.dtype)[:, None]
        views = self.hide.shape[0]
        # what nobody but the past can tell is asked of the past alone: a single channel has no others
        seen = torch.cat([known * (1 - one) for one in self.hide] + [known * (1 - late)])
        made = self.mended(z.repeat(views + 1, 1, 1), seen).reshape(views + 1, batch, window, channels)
        others = (made[:-1] * self.hide[:, None, None]).sum(dim=0)
        wrong = (z - others) * known
        count = known.sum(dim=1).clamp(min=1.0)
        past = (((z - made[-1]) ** 2 * known)[:, -self.newest :]).mean(dim=1)
        level = leveled(z, known, self.typical) - self.usual
        rough = torch.where(roughness(z, known)[1] >= 0.25, level**2, torch.zeros_like(level))
        found = torch.stack([wrong[:, -1] ** 2, (wrong.sum(dim=1) / count) ** 2, past, rough], dim=-1)
        return found, others[:, -1], made[-1, :, -1]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Judge windows ``[batch, time, channel]``."""
        found, others, past = self.residuals(x)
        part = (found / self.limits).sum(dim=-1)
        score = part.max(dim=1).values + part.mean(dim=1)
        return score, part, self.frame.back(self.trust * others + (1 - self.trust) * past)


class Mending(Windowed):
    """An autoencoder trained to mend; a model's file says in ``build`` what net does it.

    ``views`` is into how many groups channels are dealt, each hidden in turn: with as many as there are
    channels each is expected from all others, fewer are faster. At most ``most`` windows are learnt from,
    in ``steps`` steps at least, where the effort's CPU seconds last so long.
    """

    views = 8
    effort = Effort(cpu_s=15.0, epochs=8.0, batch=128)

    def __init__(
        self, window: int = 16, *, most: int = 20_000, steps: int = 1000, seed: int = 0,
        effort: Effort | None = None,
    ) -> None:  # fmt: skip
        self.window, self.most, self.steps, self.seed = window, most, steps, seed
        self.effort = effort or self.effort
        self.run: Run | None = None

    def build(self, window: int, channels: int) -> nn.Module:
        """Return the untrained net: ``[batch, time, 2 * channel]`` to ``[batch, time, channel]``.

        It is shown readings, 0 where hidden or not read, and then 1 where there is one.
        """
        raise NotImplementedError

    def fit(self, *blocks: Block) -> Self:
        """Learn to mend windows in which channels or rows are hidden, then how far off that is."""
        value = unite(blocks)
        self._begin(blocks)
        shown, _ = drawn(blocks, self.window, self.most, seed=self.seed)
        torch.manual_seed(self.seed)
        frame, x = Frame(value), torch.from_numpy(shown)
        with torch.no_grad():
            parts = [frame(part) for part in cut(x, 4096)]
            typical = usual_step(parts)
        channels = x.shape[2]
        graph = _Graph(
            frame, self.build(self.window, channels), self._dealt(channels), typical, max(1, self.window // 4)
        )
        held = torch.arange(len(x)) * 50 // max(len(x), 50) % 5 == 4  # each fifth stretch of rows
        if not held.any():
            held[:] = True
        z, known = (torch.cat([one[at] for one in parts]) for at in range(2))
        self.run = self._train(graph, z, known, held)
        with torch.no_grad():
            self._calibrate(graph.eval(), x, held)
        self.module = graph
        return self

    def _dealt(self, channels: int) -> Tensor:
        """Deal the channels to views at random, evenly: ``[view, channel]``."""
        views = min(channels, self.views)
        turn = torch.randperm(channels, generator=torch.Generator().manual_seed(self.seed)) % views
        return (turn[None] == torch.arange(views)[:, None]).float()

    def _train(self, graph: _Graph, z: Tensor, known: Tensor, held: Tensor) -> Run:
        random = torch.Generator().manual_seed(self.seed)
        learn, proof = torch.nonzero(~held)[:, 0], torch.nonzero(held)[:, 0]
        learn = learn if len(learn) else proof
        proof = proof[torch.randperm(len(proof), generator=random)[:_PROOF]]
        hidden = self._hidden(len(proof), z.shape[2], random)

        def cost(z: Tensor, known: Tensor, shown: Tensor, hide: Tensor) -> Tensor:
            made = graph.mended(shown, known * (1 - hide))
            weight = known * (_SEEN + (1 - _SEEN) * hide)
            wrong: Tensor = (made - z) ** 2 * weight
            return wrong.sum() / weight.sum().clamp(min=1.0)

        def loss(index: Longs) -> Tensor:
            rows = learn[torch.from_numpy(index)]
            hide = self._hidden(len(rows), z.shape[2], random)
            return cost(z[rows], known[rows], self._spoilt(z[rows], random), hide)

        def judge() -> float:
            return float(cost(z[proof], known[proof], z[proof], hidden))

        # few windows are gone through more often
        steps = self.steps * min(self.effort.batch, len(learn)) / len(learn)
        effort = msgspec.structs.replace(self.effort, epochs=max(self.effort.epochs, steps))
        return train(graph.body, len(learn), loss, judge, effort=effort, seed=self.seed)

    def _hidden(self, count: int, channels: int, random: torch.Generator) -> Tensor:
        """Return 1 where a window is hidden, ``[count, time, channel]``: channels, or the newest rows."""
        share = torch.rand(count, 1, generator=random) * 0.5
        lost = (torch.rand(count, channels, generator=random) < share).float()
        one = torch.randint(channels, (count,), generator=random)
        lost[torch.arange(count), one] = 1.0
        late = (torch.arange(self.window) >= self.window - max(1, self.window // 4)).float()
        asked = torch.rand(count, 1, 1, generator=random) < (0.4 if channels > 1 else 1.0)
        return torch.where(asked, late[None, :, None].expand(count, -1, channels), lost[:, None])

    def _spoilt(self, z: Tensor, random: torch.Generator) -> Tensor:
        """Return windows of which some have a channel moved off, held, or swapped with another window's."""
        count, _, channels = z.shape
        which = torch.nn.functional.one_hot(torch.randint(channels, (count,), generator=random), channels)
        chosen = which * (torch.rand(count, 1, generator=random) < _SPOILT) * (channels > 1)
        kind = torch.randint(3, (count, 1, 1), generator=random)
        moved = z + 3 * torch.randn(count, 1, channels, generator=random)
        still = z[:, :1].expand_as(z)
        swapped = z[torch.randperm(count, generator=random)]
        wrong = torch.where(kind == 0, moved, torch.where(kind == 1, still, swapped))
        return torch.where(chosen[:, None] > 0, wrong, z)

    def _calibrate(self, graph: _Graph, x: Tensor, held: Tensor) -> None:
        """Learn how far off the net usually is, on windows that it was not trained on."""
        rows = torch.nonzero(held)[:, 0]
        rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), 5000)).long()]
        shown = [graph.frame(part) for part in cut(x[rows], _FIT)]
        levels = torch.cat([leveled(z, known, graph.typical) for z, known in shown])
        graph.register_buffer("usual", levels.median(dim=0).values)
        found = torch.cat([graph.residuals(part)[0] for part in cut(x[rows], _FIT)])
        floor = torch.tensor([1e-3, 1e-4, 1e-3, 0.25])
        graph.register_buffer("limits", torch.maximum(torch.quantile(found, 0.99, dim=0), floor))
        middle = found.mean(dim=0).clamp(min=1e-6)
        alone = x.shape[2] == 1
        graph.register_buffer(
            "trust", torch.zeros(1) if alone else middle[:, 2] / (middle[:, 0] + middle[:, 2])
        )
