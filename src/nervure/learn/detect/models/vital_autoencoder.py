"""Vital signs that do not go together: an autoencoder over hours of heart rate, oxygen and temperature."""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.core.error import DataError
from nervure.learn.detect.baseline import Scaler
from nervure.learn.detect.block import Block, unite
from nervure.learn.detect.train import Effort, Run, train
from nervure.learn.detect.windowed import Windowed, ending

__all__ = ["VitalAutoencoder"]

Floats = NDArray[np.float64]
_NEWEST = 2  # bins at the end that are judged
_STRIDE = 7  # rows between the windows that are learnt from
_HIDDEN = 0.25  # share of bins that training hides


class VitalAutoencoder(Windowed):
    """Rebuilds the means of ``bins`` of the last ``window`` rows through a narrow latent.

    Odd is what the rest of the window and the other signs do not explain (the residual of the newest
    bins, seen through means, so that an artefact of a minute says little), and what lies far from all
    latents that were learnt (Mahalanobis distance), as T2 and Q of PCA (Jackson & Mudholkar, 1979).
    Not for deciding about a patient: it was made on simulated people.
    """

    name = "vital_autoencoder"

    def __init__(
        self,
        *,
        window: int = 480,
        bins: int = 24,
        latent: int = 6,
        seed: int = 0,
        effort: Effort | None = None,
    ) -> None:
        if window % bins:
            raise DataError(f"a window of {window} rows has no {bins} equal bins")
        self.window, self.bins, self.latent, self.seed = window, bins, latent, seed
        self.effort = effort or Effort(cpu_s=45, epochs=40, batch=256, decay=1e-4)
        self.run: Run | None = None

    def fit(self, *blocks: Block) -> Self:
        """Learn from normal rows; the last fifth of the blocks (of a lone block, of its rows) stops it."""
        self._begin(blocks)
        torch.manual_seed(self.seed)
        net = _Net(Scaler(unite(blocks)), self.bins, self.latent)
        with torch.inference_mode():
            each = [net.means(torch.from_numpy(self._windows(one))) for one in blocks]
        if len(each) == 1:
            each = [each[0][: len(each[0]) * 4 // 5], each[0][len(each[0]) * 4 // 5 :]]
        cut = max(1, len(each) - max(1, len(each) // 5))
        shown, held = torch.cat(each[:cut]).clone(), torch.cat(each[cut:]).clone()
        random = torch.Generator().manual_seed(self.seed)
        veil = torch.rand(held.shape[:2], generator=random) < _HIDDEN

        def cost(real: Tensor, hidden: Tensor) -> Tensor:
            off = net.rebuilt(torch.where(hidden[..., None], torch.full_like(real, torch.nan), real)) - real
            known = ~torch.isnan(real)
            return (torch.where(known, off, torch.zeros_like(off)) ** 2).sum() / known.sum()

        def loss(index: NDArray[np.int64]) -> Tensor:
            real = shown[torch.from_numpy(index)]
            return cost(real, torch.rand(real.shape[:2], generator=random) < _HIDDEN)

        self.run = train(
            net, len(shown), loss, lambda: float(cost(held, veil)), effort=self.effort, seed=self.seed
        )
        with torch.inference_mode():
            net.settle(held)
        self.module = net.eval()
        return self

    def _windows(self, block: Block) -> NDArray[np.float32]:
        first = min(self.window // 4, len(block) - 1)
        return np.ascontiguousarray(ending(block.value.astype(np.float32), self.window)[first::_STRIDE])


class _Net(nn.Module):
    mean: Tensor
    deviation: Tensor
    spread: Tensor
    middle: Tensor
    whiten: Tensor

    def __init__(self, scaler: Scaler, bins: int, latent: int) -> None:
        super().__init__()
        width, self.bins = len(scaler.mean), bins
        for name, start in (
            ("mean", torch.tensor(scaler.mean)), ("deviation", torch.tensor(scaler.deviation)),
            ("spread", torch.ones(2, width)), ("middle", torch.zeros(latent)), ("whiten", torch.eye(latent)),
        ):  # fmt: skip
            self.register_buffer(name, start.float())
        self.encoder = nn.Sequential(nn.Linear(2 * bins * width, 64), nn.SiLU(), nn.Linear(64, latent))
        self.decoder = nn.Sequential(nn.Linear(latent, 64), nn.SiLU(), nn.Linear(64, bins * width))

    def means(self, x: Tensor) -> Tensor:
        """Return ``[batch, bin, channel]`` of standard deviations, NaN where nothing was read in a bin."""
        z = rearrange(
            (x - self.mean) / self.deviation,
            "batch (bin row) channel -> batch bin row channel",
            bin=self.bins,
        )
        known = (~torch.isnan(z)).float()
        count = known.sum(dim=2)
        total = torch.where(torch.isnan(z), torch.zeros_like(z), z).sum(dim=2)
        return torch.where(count > 0, total / count.clamp(min=1), torch.full_like(total, torch.nan))

    def code(self, bins: Tensor) -> Tensor:
        known = ~torch.isnan(bins)
        shown = torch.where(known, bins, torch.zeros_like(bins)).clamp(-12, 12)
        found: Tensor = self.encoder(torch.cat([shown, known.float()], dim=2).flatten(1))
        return found

    def rebuilt(self, bins: Tensor) -> Tensor:
        flat = self.decoder(self.code(bins))
        found: Tensor = rearrange(flat, "batch (bin channel) -> batch bin channel", bin=self.bins)
        return found

    def settle(self, bins: Tensor) -> None:
        """Learn from held windows how large residuals are and where latents lie."""
        off = self._residual(bins, self.rebuilt(bins))
        for side, sign in enumerate((-1, 1)):  # activity lifts a heart rate, and nothing lowers it as far
            own = (sign * off).clamp(min=0)
            count = (own > 0).float().sum(dim=0).clamp(min=1)
            self.spread[side] = (own.pow(2).sum(dim=0) / count).sqrt().clamp(min=1e-3)
        code = self.code(bins)
        self.middle.copy_(code.mean(dim=0))
        size, axes = torch.linalg.eigh(torch.cov(code.T) + 1e-4 * torch.eye(code.shape[1]))
        self.whiten.copy_(axes / size.clamp(min=1e-4).sqrt())

    def _residual(self, bins: Tensor, rebuilt: Tensor) -> Tensor:
        off = (bins - rebuilt)[:, -_NEWEST:]
        known = ~torch.isnan(off)
        total = torch.where(known, off, torch.zeros_like(off)).sum(dim=1)
        mean: Tensor = total / known.float().sum(dim=1).clamp(min=1)
        return mean

    def _distance(self, bins: Tensor) -> Tensor:
        found: Tensor = ((self.code(bins) - self.middle) @ self.whiten).pow(2).mean(dim=1)
        return found

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        bins = self.means(x)
        rebuilt, far = self.rebuilt(bins), self._distance(bins)
        off = self._residual(bins, rebuilt)
        outer = (off / torch.where(off < 0, self.spread[0], self.spread[1])) ** 2
        without = []
        for channel in range(bins.shape[2]):
            gone = torch.arange(bins.shape[2]) == channel
            without.append(self._distance(torch.where(gone, torch.zeros_like(bins), bins)))
        inner = (far[:, None] - torch.stack(without, dim=1)).clamp(min=0)
        return far + outer.mean(dim=1), inner + outer, self.mean + rebuilt[:, -1] * self.deviation
