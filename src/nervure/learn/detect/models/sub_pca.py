"""PCA of sliding windows: each channel's window in a few shapes, and all channels' shapes together.

Sub-PCA in the sense of Aggarwal, Outlier Analysis, 2017, ch. 3 (the plain method that is hard to beat on
TSB-AD, Liu and Paparrizos, NeurIPS, 2024), with a noise floor under the components that are left out
(probabilistic PCA; Tipping and Bishop, J. Royal Stat. Soc. B 61(3), 1999). So there is one distance, and by
how much it falls when a channel is replaced by what the others let expect has a closed form: the
reconstruction-based contribution (Alcala and Qin, Automatica 45(7), 2009), which names a single faulty sensor
where squared residuals smear.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.learn.detect.block import Block, unite
from nervure.learn.detect.models.frame import Frame, drawn, forward_filled, leveled, roughness
from nervure.learn.detect.windowed import Windowed

__all__ = ["SubPca"]

Floats = NDArray[np.float64]
_FILLS = 6  # rounds in which what was not read is set to what the rest lets expect
_FIT = 4096  # windows judged at once while fitting


class _Graph(nn.Module):
    """Features of each channel, ``[batch, channel, feature]``, and their distance from normal.

    Features: the window along ``shapes [time, shape]``, what those leave of the newest row, and how
    rough the window is.
    """

    shapes: Tensor
    typical: Tensor
    middle: Tensor
    spread: Tensor
    shrink: Tensor
    inverse: Tensor
    own: Tensor
    limit: Tensor
    whole: Tensor

    def __init__(self, frame: Frame, shapes: Tensor, typical: Tensor) -> None:
        super().__init__()
        self.frame = frame
        self.register_buffer("shapes", shapes)
        self.register_buffer("typical", typical)

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features, and how far each may be believed by what was read: as the features, 0..1."""
        z, known = self.frame(x)
        filled = forward_filled(z, known)
        along = torch.einsum("btc,ts->bcs", filled, self.shapes)
        rest = filled[:, -1] - along @ self.shapes[-1]
        rough = leveled(z, known, self.typical)
        share = (0.5 * (known[:, -1] + known.mean(dim=1)))[..., None].expand_as(along)
        steps = (roughness(z, known)[1] * 2 - 0.5).clamp(0.0, 1.0)[..., None]
        features = torch.cat([along, rest[..., None], rough[..., None]], dim=-1)
        return features, torch.cat([share, known[:, -1:].transpose(1, 2), steps], dim=-1)

    def learn(self, features: Tensor, share: Tensor, explained: float) -> None:
        """Take what is normal from features ``[window, channel, feature]`` and their belief.

        A feature that never moved is taken for independent of the others, with a deviation of 1. The
        fewer windows, the more correlations are drawn to none.
        """
        flat, weight = features.flatten(1).double(), share.flatten(1).double()
        total = weight.sum(dim=0).clamp(min=1e-6)
        middle = (flat * weight).sum(dim=0) / total
        spread = (((flat - middle) ** 2 * weight).sum(dim=0) / total).sqrt()
        still = spread < 1e-3
        spread = torch.where(still, 1.0, spread)
        u = (flat - middle) / spread * weight
        trust = len(u) / (len(u) + 0.2 * u.shape[1])
        moment = trust * (u.T @ u) / (weight.T @ weight).clamp(min=0.05 * len(u))
        inverse, shrink = _inverse(moment + (1 - trust) * torch.eye(len(moment)), ~still, explained)
        channels, width = features.shape[1], features.shape[2]
        blocks = inverse.reshape(channels, width, channels, width)
        index = torch.arange(channels)
        self.register_buffer("middle", middle.float())
        self.register_buffer("spread", spread.float())
        self.register_buffer("shrink", shrink.float())
        self.register_buffer("inverse", inverse.float())
        self.register_buffer("own", torch.linalg.inv(blocks[index, :, index]).float())

    def distances(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the distance ``[batch]``, its fall without each channel, and what was expected."""
        found, share = self.features(x)
        batch, channels, width = found.shape
        u = (found.flatten(1) - self.middle) / self.spread
        known = share.flatten(1)
        read = u * known
        for _ in range(_FILLS):
            read = u * known + (read @ self.shrink) * (1 - known)
        pull = read @ self.inverse
        whole = (read * pull).sum(dim=1)
        pull = pull.reshape(batch, channels, width)
        move = torch.einsum("bcf,cfg->bcg", pull, self.own)
        fall = (pull * move).sum(dim=2).clamp(min=0.0)
        wanted = (read - move.flatten(1)) * self.spread + self.middle
        wanted = wanted.reshape(batch, channels, width)
        newest = wanted[..., :-2] @ self.shapes[-1] + wanted[..., -2]
        return whole, fall, newest

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Judge windows ``[batch, time, channel]``."""
        whole, fall, newest = self.distances(x)
        part = fall / self.limit
        score = whole / self.whole + part.max(dim=1).values
        return score, part, self.frame.back(newest)


def _inverse(covariance: Tensor, moves: Tensor, explained: float) -> tuple[Tensor, Tensor]:
    """Return the inverse with a floor under the lesser components, and what fills in what was not read.

    Features that do not move stand alone, with a variance of 1.
    """
    place = torch.nonzero(moves)[:, 0]
    inverse, shrink = torch.eye(len(covariance)).double(), torch.zeros_like(covariance)
    if len(place):
        value, axes = torch.linalg.eigh(covariance[place][:, place])
        value, axes = value.flip(0), axes.flip(1)
        kept = int((value.cumsum(0) / value.sum() < explained).sum()) + 1
        floor = max(float(value[kept:].mean()) if kept < len(value) else 0.0, 1e-3)
        value = torch.where(torch.arange(len(value)) < kept, value.clamp(min=floor), floor)
        inverse[place[:, None], place] = axes @ torch.diag(1 / value) @ axes.T
        shrink[place[:, None], place] = axes @ torch.diag(1 - floor / value) @ axes.T
    return inverse, shrink


class SubPca(Windowed):
    """Distance of the last rows from the main components of all windows; deterministic, fitted in a second.

    Not where normal has many separate modes: a distance from one middle is all it knows.

    >>> block = Block(name="one", channels=("a",), value=np.sin(np.arange(400.0) / 5)[:, None],
    ...     time=np.arange(400), every_ns=1)
    >>> odd = np.r_[block.value[:, 0], 3.0][:, None]
    >>> int(SubPca().fit(block).score(odd)[100:].argmax())
    300
    """

    name = "sub-PCA"
    kind: Literal["baseline", "deep", "peer"] = "baseline"

    def __init__(
        self, window: int = 16, shapes: int = 4, explained: float = 0.98, *, most: int = 20_000, seed: int = 0
    ) -> None:
        self.window, self.shapes, self.explained = window, min(shapes, window), explained
        self.most, self.seed = most, seed

    def fit(self, *blocks: Block) -> Self:
        """Learn the shapes of windows and how channels go together."""
        value = unite(blocks)
        self._begin(blocks)
        shown, _ = drawn(blocks, self.window, self.most, seed=self.seed)
        frame = Frame(value)
        with torch.no_grad():
            self.module = self._learn(frame, torch.from_numpy(shown)).eval()
        return self

    def _learn(self, frame: Frame, x: Tensor) -> _Graph:
        parts = [x[start : start + _FIT] for start in range(0, len(x), _FIT)]
        moment, steps = torch.zeros(self.window, self.window, dtype=torch.float64), []
        for part in parts:
            z, known = frame(part)
            rows = forward_filled(z, known).transpose(1, 2).flatten(0, 1).double()
            moment += rows.T @ rows
            steps.append(roughness(z, known)[0])
        axes = torch.linalg.eigh(moment).eigenvectors.flip(1)[:, : self.shapes]
        step = torch.cat(steps)
        typical = torch.maximum(step.median(dim=0).values, 0.1 * step.mean(dim=0)).clamp(min=1e-6)
        graph = _Graph(frame, axes.float(), typical)
        made = [graph.features(part) for part in parts]
        graph.learn(torch.cat([one[0] for one in made]), torch.cat([one[1] for one in made]), self.explained)
        found = [graph.distances(part) for part in parts]
        whole, fall = (torch.cat([one[at] for one in found]) for at in range(2))
        graph.register_buffer("whole", torch.quantile(whole, 0.99).clamp(min=1e-3))
        graph.register_buffer("limit", torch.quantile(fall, 0.99, dim=0).clamp(min=1e-1))
        return graph
