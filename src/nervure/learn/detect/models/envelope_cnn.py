"""A 2-D net over an envelope-order picture of a vibration, or over any picture in time and frequency.

Of a bearing the picture is :func:`nervure.learn.detect.order.order_picture`: carrier bands beside zones,
a zone being the surroundings of one fault's harmonic. The same small convolutions run over every zone,
and the places in a zone are weighed by four learnt windows, begun at the harmonic, its sidebands at the
shaft's speed, those at the cage's, and the whole: what a bearing's textbook says, and the data may change.
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from nervure.core.error import DataError
from nervure.learn.detect.casenet import CaseNet, Cases
from nervure.learn.detect.order import HARMONICS, Geometry
from nervure.learn.detect.train import Effort

__all__ = ["EnvelopeCnn"]

_CAGE = 0.4  # turns of the cage in one of the shaft, about
_NARROW = 0.1  # orders


class EnvelopeCnn(CaseNet):
    """A 2-D net over pictures ``[case, zone and offset, band]``; ``groups`` times ``harmonics`` zones.

    A sound's spectrogram ``[case, time, frequency]`` is one zone: ``groups=1, harmonics=1``. Levels are
    logarithms. On CWRU, form and effort were chosen on validation folds inside the training bearings;
    a few zones and strong priors are there because there are bearings by the dozen, not by the thousand.
    """

    name = "envelope_cnn"
    kind: Literal["deep"] = "deep"
    effort = Effort(cpu_s=60.0, epochs=25, batch=64, rate=3e-3, decay=1e-2)

    def __init__(
        self, *, groups: int = len(Geometry._fields), harmonics: int = HARMONICS, width: int = 24,
        seed: int = 0, effort: Effort | None = None,
    ) -> None:  # fmt: skip
        super().__init__(seed=seed, effort=effort)
        self.groups, self.harmonics, self.width = groups, harmonics, width

    def build(self, cases: Cases, classes: int) -> nn.Module:
        """Return the net; ``DataError`` where the picture's rows are not so many zones."""
        rows, zones = cases.x.shape[1], self.groups * self.harmonics
        if rows % zones or rows < 2 * zones:
            raise DataError(f"{rows} rows of a picture are no {zones} zones", hint="say groups and harmonics")
        return _Net(self.groups, self.harmonics, rows // zones, cases.x.shape[2], self.width, classes)

    def augment(self, x: Tensor, random: torch.Generator) -> Tensor:
        """Change how far faults stand out, add noise, leave bands out, and shift a little, as slip does."""
        count, _, bands = x.shape
        gain = 0.7 + 0.6 * torch.rand((count, 1, 1), generator=random)
        x = x * gain + 0.2 * torch.randn(x.shape, generator=random)
        x = x * (torch.rand((count, 1, bands), generator=random) > 0.2)
        return torch.roll(x, int(torch.randint(-1, 2, (1,), generator=random)), dims=1)


class _Net(nn.Module):
    """``x [case, zone and offset, band]`` to logits."""

    def __init__(
        self, groups: int, harmonics: int, offsets: int, bands: int, width: int, classes: int
    ) -> None:
        super().__init__()
        self.groups, self.harmonics = groups, harmonics
        self.norm = nn.BatchNorm2d(bands)
        self.first = nn.Conv2d(bands, width, (1, 5), padding=(0, 2))
        self.second = nn.Conv2d(width, width, (1, 5), padding=(0, 2))
        self.window = nn.Parameter(_windows(offsets))
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(groups * width * len(self.window), classes)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, extra: Tensor) -> Tensor:
        """Return logits ``[case, class]``; there is no ``extra``."""
        zones = self.groups * self.harmonics
        found = self.norm(rearrange(x, "case (zone offset) band -> case band zone offset", zone=zones))
        found = torch.relu(self.second(torch.relu(self.first(found))))
        weight = torch.softmax(self.window, dim=1)
        found = torch.einsum("cmzo,wo->cmzw", found, weight)
        found = rearrange(
            found, "case map (group turn) window -> case map group turn window", group=self.groups
        )
        answer: Tensor = self.out(self.drop(found.mean(dim=3).flatten(1)))
        return answer


def _windows(offsets: int) -> Tensor:
    """Return how the places of a zone are weighed at first, before the softmax: ``[window, offset]``."""
    at = torch.linspace(-1.5, 1.5, offsets)
    middle = -((at / _NARROW) ** 2)
    shaft, cage = (-(((at.abs() - one) / _NARROW) ** 2) for one in (1.0, _CAGE))
    return torch.stack([middle, shaft, cage, torch.zeros(offsets)]).clamp(min=-4.0)
