"""A small 1-D net that tells a burst from a valve, a pump and consumers by a fast pressure signal."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nervure.learn.detect.casenet import CaseNet, Cases
from nervure.learn.detect.train import Effort

__all__ = ["TransientCnn"]


class TransientCnn(CaseNet):
    """Strided convolutions over the pressure about its mean at the start, and over its changes.

    How high a wave is and how long it lasts both tell its cause, so cases are scaled all alike, and
    what is pooled over time is both the largest and the mean. A signal may come up to half a second
    earlier or later. Not for other sampling rates than that learnt from.
    """

    name = "transient CNN"
    effort = Effort(cpu_s=60.0, epochs=40, batch=64, rate=3e-3)

    def build(self, cases: Cases, classes: int) -> nn.Module:
        """Return the net, scaled by the deviation of all cases together."""
        return _Net(float(cases.x.std()), float(abs(cases.x[:, 1:] - cases.x[:, :-1]).mean()), classes)

    def augment(self, x: Tensor, random: torch.Generator) -> Tensor:
        """Move a batch in time by up to 12 rows."""
        by = int(torch.randint(-12, 13, (1,), generator=random))
        return torch.roll(x, by, dims=1) if by else x


class _Net(nn.Module):
    def __init__(self, deviation: float, change: float, classes: int, width: int = 24) -> None:
        super().__init__()
        self.deviation, self.change = max(deviation, 1e-6), max(change, 1e-6)
        sizes = [(2, width, 9), (width, width, 7), (width, 2 * width, 5), (2 * width, 2 * width, 5)]
        self.body = nn.Sequential(
            *(
                nn.Sequential(nn.Conv1d(a, b, k, stride=2, padding=k // 2), nn.BatchNorm1d(b), nn.SiLU())
                for a, b, k in sizes
            )
        )
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(4 * width, classes))

    def forward(self, x: Tensor, extra: Tensor) -> Tensor:
        level = x[:, :, 0] / self.deviation
        step = torch.cat([x[:, :1, 0] * 0, x[:, 1:, 0] - x[:, :-1, 0]], dim=1) / self.change
        wide = torch.stack([torch.asinh(level), torch.asinh(step)], dim=1)
        found = self.body(wide)
        answer: Tensor = self.head(torch.cat([found.amax(dim=2), found.mean(dim=2)], dim=1))
        return answer
