"""A net over raw vibrations: a bank of filters, log energies, and small convolutions over them.

What a sensor shakes at is read off by filters a few hundred readings wide, windowed waves laid where the
energy is. They are fitted to the cases and then stand still: filters that go on learning (Ravanelli &
Bengio, SLT, 2018) gave .80 to .89 instead of .98 on validation runs of a frame. Each filter and channel
answers its mean log energy, how much the energy comes in bursts (the spectral kurtosis of Antoni, MSSP
20(2), 2006) and, of several channels, how it moves with the first one: a transfer function.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nervure.core.error import DataError
from nervure.learn.detect.casenet import CaseNet, Cases, Way
from nervure.learn.detect.train import Effort

__all__ = ["Bank", "VibrationCnn", "jittered"]

Floats = NDArray[np.float64]
_FLOOR = 1e-6  # of a channel's own variance: what is quieter than that is called silence


class Bank(msgspec.Struct, frozen=True, kw_only=True):
    """The filters: ``count`` of them, ``width`` readings wide each, a step every ``hop`` readings.

    ``width`` sets how fine frequencies are told apart, 1 / width of the sampling rate; ``highest`` is
    the highest centre, in cycles a reading. ``spread`` 0 lays the centres out evenly, 1 where the
    training cases have their energy.
    """

    count: int = 64
    width: int = 256
    hop: int = 64
    highest: float = 0.5
    spread: float = 0.5

    def centres(self, x: NDArray[np.float32]) -> Floats:
        """Return the centre of each filter for cases ``x [case, time, channel]``, in cycles a reading."""
        near = x - x.mean(axis=1, keepdims=True)
        level = np.abs(np.fft.rfft(near, axis=1)).mean(axis=(0, 2))
        rate = np.fft.rfftfreq(x.shape[1])
        inside = (rate > 0.5 / self.width) & (rate < self.highest)
        share = self.spread * level[inside] / max(level[inside].sum(), 1e-12)
        share += (1 - self.spread) / inside.sum()
        place = (np.arange(self.count) + 0.5) / self.count
        found: Floats = np.interp(place, np.cumsum(share), rate[inside])
        return found


class VibrationCnn(CaseNet):
    """A 1-D net over windows of vibration ``[case, time, channel]``, of one length and sampling rate.

    Loudness is left out: a case is scaled by its own first channel, so that gain and mounting tell
    nothing. ``speed`` is by how much the time axis is stretched at random while it learns, a share;
    0 where the frequency itself is the sign, as in a structure that loses stiffness. Not where the
    length of a window differs between classes, and not for bearings that were not learnt from: on CWRU
    its spectra tell which bearing it is (macro AUROC .56); take envelope orders there.
    """

    name = "vibration_cnn"
    kind: Literal["deep"] = "deep"
    effort = Effort(cpu_s=60.0, epochs=25, batch=32, rate=2e-3, decay=1e-2)

    def __init__(
        self, *, bank: Bank | None = None, speed: float = 0.0, noise: float = 0.05, width: int = 32,
        seed: int = 0, effort: Effort | None = None,
    ) -> None:  # fmt: skip
        super().__init__(seed=seed, effort=effort)
        self.bank, self.speed, self.noise, self.width = bank or Bank(), speed, noise, width

    def build(self, cases: Cases, classes: int) -> nn.Module:
        """Return the net, its filters laid where these cases have their energy."""
        if cases.x.shape[1] < self.bank.width:
            raise DataError(
                f"windows of {cases.x.shape[1]} readings are shorter than filters of {self.bank.width}",
                hint="take longer windows, or a Bank of a smaller width",
            )
        extra = 0 if cases.extra is None else cases.extra.shape[1]
        return _Net(self.bank, self.bank.centres(cases.x), cases.x, extra, self.width, classes)

    def augment(self, x: Tensor, random: torch.Generator) -> Tensor:
        """Change gain, add noise, shift in time and, where asked, change the speed."""
        return jittered(x, random, noise=self.noise, speed=self.speed)

    def way(self, x: Tensor, extra: Tensor) -> Way:
        """Explain the filters instead of readings: contributions are ``[case, map, filter]``.

        Beside the mean case it was fitted to; :meth:`maps` names the maps. A window held still would
        be no comparison, for loudness is taken out.
        """
        module = self._fitted()
        assert isinstance(module, _Net)  # noqa: S101
        with torch.no_grad():
            shown = (module.picture(x) - module.mean) / module.deviation
        return Way(torch.zeros_like(shown), shown, extra, module.judged)

    @staticmethod
    def maps(channels: tuple[str, ...]) -> tuple[str, ...]:
        """Return what the maps of the picture are, in their order; channel 0 is the one others follow."""
        others = channels[1:]
        names = [f"level {channels[0]}", *(f"burst {one}" for one in channels)]
        for kind in ("level over", "along", "across"):
            names += [f"{one} {kind} {channels[0]}" for one in others]
        return tuple(names)


def jittered(x: Tensor, random: torch.Generator, *, noise: float, speed: float = 0.0) -> Tensor:
    """Return windows ``[case, time, channel]`` with other gain, noise, start and speed.

    ``noise`` is relative to each channel's deviation. All channels of a case change alike, so that
    what lies between them stays as it was; the sign may turn, as a sensor may be mounted either way.
    """
    count, length, _ = x.shape
    gain = torch.exp(0.5 * torch.randn((count, 1, 1), generator=random))
    gain = gain * torch.where(torch.rand((count, 1, 1), generator=random) < 0.5, -1.0, 1.0)
    deviation = x.std(dim=1, keepdim=True)
    level = noise * torch.rand((count, 1, 1), generator=random)
    x = gain * (x + level * deviation * torch.randn(x.shape, generator=random))
    x = torch.roll(x, int(torch.randint(length, (1,), generator=random)), dims=1)
    if speed:
        factor = 1 + speed * (2 * float(torch.rand((), generator=random)) - 1)
        place = (torch.arange(length) * factor).clamp(max=length - 1.0)
        low = place.floor().long().clamp(max=length - 2)
        x = torch.lerp(x[:, low], x[:, low + 1], (place - low)[None, :, None])
    return x


class _Net(nn.Module):
    """``x [case, time, channel]`` to logits, by way of a picture ``[case, map, filter]``."""

    wave: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self, bank: Bank, centres: Floats, x: NDArray[np.float32], extra: int, width: int, classes: int
    ) -> None:
        super().__init__()
        self.hop, self.channels = bank.hop, x.shape[2]
        self.register_buffer("wave", _waves(centres, bank.width))
        maps = 2 * self.channels + 2 * (self.channels - 1)
        with torch.no_grad():
            seen = torch.cat([self.picture(torch.from_numpy(x[at : at + 64])) for at in range(0, len(x), 64)])
        self.register_buffer("mean", seen.mean(dim=0))
        self.register_buffer("deviation", seen.std(dim=0) + 0.05)
        self.first = nn.Conv1d(maps, width, 5, padding=2)
        self.second = nn.Conv1d(width, width, 5, padding=2)
        places = bank.count // 2
        self.extra_norm = nn.BatchNorm1d(extra) if extra else nn.Identity()
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(width * places + extra, classes)
        self.straight = nn.Linear(maps * bank.count, classes)

    def picture(self, x: Tensor) -> Tensor:
        """Return log energies, burstiness and transfer to the first channel, ``[case, map, filter]``."""
        x = torch.nan_to_num(x)
        x = x - x.mean(dim=1, keepdim=True)
        own = torch.sqrt((x[:, :, :1] ** 2).mean(dim=1, keepdim=True) + 1e-20)
        flat = rearrange(x / own, "case time channel -> (case channel) 1 time")
        wave = functional.conv1d(flat, self.wave, stride=self.hop)
        wave = rearrange(
            wave, "(case channel) (part filter) step -> part case channel filter step",
            channel=self.channels, part=2,
        )  # fmt: skip
        real, imaginary = wave[0], wave[1]
        power = real**2 + imaginary**2
        energy = power.mean(dim=-1) + _FLOOR
        burst = torch.log((power**2).mean(dim=-1) / energy**2 + 0.1)
        level = torch.log(energy)
        maps = [level[:, :1], burst]
        if self.channels > 1:
            along = (real[:, 1:] * real[:, :1] + imaginary[:, 1:] * imaginary[:, :1]).mean(dim=-1)
            across = (imaginary[:, 1:] * real[:, :1] - real[:, 1:] * imaginary[:, :1]).mean(dim=-1)
            root = torch.sqrt(energy[:, 1:] * energy[:, :1])
            maps += [level[:, 1:] - level[:, :1], along / root, across / root]
        return torch.cat(maps, dim=1)

    def forward(self, x: Tensor, extra: Tensor) -> Tensor:
        return self.judged((self.picture(x) - self.mean) / self.deviation, extra)

    def judged(self, shown: Tensor, extra: Tensor) -> Tensor:
        """Return the logits for pictures in deviations from the mean case."""
        found = functional.max_pool1d(torch.relu(self.first(shown)), 2)
        found = torch.relu(self.second(found))
        found = rearrange(found, "case map filter -> case (map filter)")
        if extra.shape[1]:
            found = torch.cat([found, self.extra_norm(extra)], dim=1)
        answer: Tensor = self.out(self.drop(found)) + self.straight(self.drop(shown).flatten(1))
        return answer


def _waves(centres: Floats, width: int) -> Tensor:
    """Return windowed cosines and then sines, ``[2 * filter, 1, width]``, each of energy 1 on white noise."""
    at = np.arange(width) - (width - 1) / 2
    window = np.hanning(width + 2)[1:-1]
    window /= math.sqrt(float((window**2).sum()))
    phase = 2 * np.pi * centres[:, None] * at
    both = np.concatenate([np.cos(phase), np.sin(phase)]) * window
    return torch.from_numpy(both[:, None].astype(np.float32))
