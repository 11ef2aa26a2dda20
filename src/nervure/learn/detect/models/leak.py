"""Flows and pressures of a network by an autoencoder, and its inflow by an LSTM a day ahead.

Both say what should have been read; what to make of the difference over hours and days, and where a
leak is, is the matter of :mod:`nervure.learn.detect.leak.watch`. Not for networks in which
normal operation was never seen without leaks: what was there from the start is normal to them.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.core.error import DataError
from nervure.learn.detect.baseline import Scaler
from nervure.learn.detect.block import Block, unite
from nervure.learn.detect.train import Effort, Run, train
from nervure.learn.detect.windowed import Windowed, ending

__all__ = ["InflowLstm", "LeakAutoencoder"]

Longs = NDArray[np.int64]
_HELD = 0.2  # the last share of each block tells when to stop


class LeakAutoencoder(Windowed):
    """Autoencoder of flows and pressures, whose pressures have to come through a narrow code.

    ``driven`` are the channels that a leak moves least by itself and the network most (flows,
    levels): they go round the code, so that pressures are expected from them, while what all
    pressures share by chance goes through it. Pressures are hidden at random while it learns
    (Vincent et al., JMLR 11, 2010).
    """

    name = "flow/pressure autoencoder"
    effort = Effort(cpu_s=60.0, epochs=60, batch=256, rate=3e-3)
    run: Run | None = None

    def __init__(
        self, driven: tuple[int, ...], *, code: int = 2, seed: int = 0, effort: Effort | None = None
    ) -> None:
        self.driven, self.code, self.seed, self.effort = driven, code, seed, effort or self.effort

    def fit(self, *blocks: Block) -> Self:
        """Learn from blocks without leaks; the last fifth of each tells when to stop."""
        self._begin(blocks)
        if not self.driven or max(self.driven) >= len(self.channels):
            raise DataError(f"channels {self.driven} do not drive {len(self.channels)} channels")
        torch.manual_seed(self.seed)
        scaler = Scaler(unite([_kept(one) for one in blocks]))
        module = _Autoencoder(scaler, self.driven, self.code)
        x, held = (
            torch.from_numpy(scaler(unite([part(one) for one in blocks])).astype(np.float32))
            for part in (_kept, _held)
        )
        random = torch.Generator().manual_seed(self.seed)
        rest = [at for at in range(len(self.channels)) if at not in self.driven]

        def loss(index: Longs) -> Tensor:
            own = x[torch.from_numpy(index)]
            shown = own * (torch.rand(own[:, :1].shape, generator=random) > 0.5)
            return (module.rebuilt(own, shown) - own)[:, rest].square().mean()

        def judge() -> float:
            return float((module.rebuilt(held, held) - held)[:, rest].square().mean())

        self.run = train(module, len(x), loss, judge, effort=self.effort, seed=self.seed)
        self.module = module
        return self


class _Autoencoder(nn.Module):
    """Score and expectation of the newest row; ``rebuilt`` works on scaled rows ``[batch, channel]``."""

    mean: Tensor
    deviation: Tensor
    driven: Tensor

    def __init__(self, scaler: Scaler, driven: tuple[int, ...], code: int, width: int = 48) -> None:
        super().__init__()
        count, known = len(scaler.mean), len(driven)
        self.register_buffer("mean", torch.from_numpy(scaler.mean.astype(np.float32)))
        self.register_buffer("deviation", torch.from_numpy(scaler.deviation.astype(np.float32)))
        self.register_buffer("driven", torch.tensor(driven))
        self.encoder = nn.Sequential(nn.Linear(count, width), nn.SiLU(), nn.Linear(width, code))
        self.decoder = nn.Sequential(
            nn.Linear(code + known, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, count),
        )
        self.straight = nn.Linear(known, count)

    def rebuilt(self, row: Tensor, shown: Tensor) -> Tensor:
        """Return what rows should be, from their driven channels and a code of what is ``shown``."""
        known = row[:, self.driven]
        code = self.encoder(shown)
        answer: Tensor = self.straight(known) + self.decoder(torch.cat([code, known], dim=1))
        return answer

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        last = (x[:, -1] - self.mean) / self.deviation
        known = ~torch.isnan(last)
        z = torch.where(known, last, torch.zeros_like(last))
        expected = self.rebuilt(z, z)
        expected = expected.index_copy(1, self.driven, z[:, self.driven])
        part = torch.where(known, (z - expected).square(), torch.zeros_like(z))
        return part.mean(dim=1), part, expected * self.deviation + self.mean


class InflowLstm(Windowed):
    """What flows in now, forecast by an LSTM from the hours around this time yesterday and last week.

    Nothing of the last ``ahead`` rows is seen but the clock it implies, so a leak is not taken for
    normal before a day has passed. The score is how much more flows in than was forecast, in
    standard deviations of the forecast on held rows. ``inflow`` are the channels added up; a
    week and a half day have to fit before the first row that is forecast.
    """

    name = "inflow LSTM"
    effort = Effort(cpu_s=60.0, epochs=30, batch=256, rate=4e-3)
    run: Run | None = None

    def __init__(
        self, inflow: tuple[int, ...], *, day: int = 48, seed: int = 0, effort: Effort | None = None
    ) -> None:
        self.inflow, self.day, self.seed, self.effort = inflow, day, seed, effort or self.effort
        self.window = 7 * day + day // 2 + 1

    def fit(self, *blocks: Block) -> Self:
        """Learn from blocks without leaks; the last fifth of each tells when to stop, and the deviation."""
        self._begin(blocks)
        torch.manual_seed(self.seed)
        scaler = Scaler(
            unite([_kept(one) for one in blocks])[:, list(self.inflow)].sum(axis=1, keepdims=True)
        )
        module = _Inflow(scaler, self.inflow, self.day, len(self.channels))
        x, held = (torch.cat([self._shown(part(one)) for one in blocks]) for part in (_kept, _held))

        def loss(index: Longs) -> Tensor:
            own = x[torch.from_numpy(index)]
            found, real = module.ahead(own)
            return (found - real).square().mean()

        def judge() -> float:
            found, real = module.ahead(held)
            return float((found - real).square().mean())

        self.run = train(module, len(x), loss, judge, effort=self.effort, seed=self.seed)
        with torch.no_grad():
            found, real = module.ahead(held)
            module.usual.fill_(float((found - real).std()))
        self.module = module
        return self

    def _shown(self, block: Block) -> Tensor:
        """Return the scaled inflow of every whole window, ``[window, time]``."""
        total = block.value[:, list(self.inflow)].sum(axis=1, keepdims=True).astype(np.float32)
        if len(total) <= self.window:
            raise DataError(f"{len(total)} rows do not hold a window of {self.window}", hint="give more days")
        return torch.from_numpy(np.ascontiguousarray(ending(total, self.window)[self.window :, :, 0]))


class _Inflow(nn.Module):
    mean: Tensor
    deviation: Tensor
    usual: Tensor

    def __init__(
        self, scaler: Scaler, inflow: tuple[int, ...], day: int, channels: int, width: int = 24
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(float(scaler.mean[0])))
        self.register_buffer("deviation", torch.tensor(float(scaler.deviation[0])))
        self.register_buffer("usual", torch.tensor(1.0))
        self.inflow, self.day, self.channels = list(inflow), day, channels
        self.lstm = nn.LSTM(2, width, batch_first=True)
        self.out = nn.Sequential(nn.Linear(width + 2, width), nn.SiLU(), nn.Linear(width, 1))

    def ahead(self, total: Tensor) -> tuple[Tensor, Tensor]:
        """Return forecast and truth of the newest row, scaled, from raw inflow ``[batch, time]``."""
        z = (total - self.mean) / self.deviation
        z = torch.where(torch.isnan(z), torch.zeros_like(z), z)
        half, end = self.day // 2, z.shape[1]
        week = z[:, : 2 * half]  # half a day about this time last week
        yesterday = z[:, end - 1 - self.day - half : end - 1 - self.day + half]
        yesterday = torch.cat([yesterday[:, : half + 1], week[:, half + 1 :]], dim=1)
        state, _ = self.lstm(torch.stack([week, yesterday], dim=2))
        now = torch.stack([week[:, half], yesterday[:, half]], dim=1)
        found = now.mean(dim=1) + self.out(torch.cat([state[:, -1], now], dim=1))[:, 0]
        return found, z[:, -1]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        total = x[:, :, self.inflow].sum(dim=2)
        found, real = self.ahead(total)
        sound = ~torch.isnan(total[:, -1]) & ~torch.isnan(total[:, 0])
        over = torch.where(sound, (real - found) / self.usual, torch.zeros_like(found))
        share = torch.zeros(x.shape[0], self.channels, device=x.device)
        share[:, self.inflow] = over.clamp(min=0.0)[:, None] / len(self.inflow)
        expected = x[:, -1].clone()
        left = ((real - found) * self.deviation)[:, None] / len(self.inflow)
        expected[:, self.inflow] = expected[:, self.inflow] - left
        return over, share, torch.nan_to_num(expected)


def _kept(block: Block) -> Block:
    return block.part(0, round(len(block) * (1 - _HELD)))


def _held(block: Block) -> Block:
    return block.part(round(len(block) * (1 - _HELD)))
