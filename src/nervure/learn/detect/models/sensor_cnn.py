"""A small net over features of several sensors that stand in a row, such as the storeys of a building.

The same convolution looks at each sensor beside its neighbours, since damage lies between two of them;
a straight line from the features to the answer is kept beside it, so that little data is no disaster.
"""

from __future__ import annotations

from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from nervure.learn.detect.casenet import CaseNet, Cases
from nervure.learn.detect.train import Effort

__all__ = ["SensorCnn"]


class SensorCnn(CaseNet):
    """Classes of ``x [case, sensor, feature]``, sensors in the order they stand; ``extra`` goes in straight.

    Not for sensors whose order means nothing, or for more features than trees could choose from.
    """

    name = "sensor_cnn"
    kind: Literal["deep"] = "deep"
    effort = Effort(cpu_s=30.0, epochs=60, batch=32, rate=2e-3, decay=0.1)

    def build(self, cases: Cases, classes: int) -> nn.Module:
        """Return the net, features scaled by these cases."""
        x = torch.from_numpy(cases.x)
        extra = torch.from_numpy(cases.extra) if cases.extra is not None else torch.zeros(len(x), 0)
        return _Net(x, extra, classes)

    def augment(self, x: Tensor, random: torch.Generator) -> Tensor:
        """Add a little noise, a share of what each feature varies within the batch."""
        return x + 0.1 * x.std(dim=0, keepdim=True) * torch.randn(x.shape, generator=random)


class _Net(nn.Module):
    mean: Tensor
    deviation: Tensor
    middle: Tensor
    spread: Tensor

    def __init__(self, x: Tensor, extra: Tensor, classes: int, width: int = 16) -> None:
        super().__init__()
        for name, one in (("mean", x.mean(dim=0)), ("middle", extra.mean(dim=0))):
            self.register_buffer(name, one)
        for name, one in (("deviation", x.std(dim=0)), ("spread", extra.std(dim=0))):
            self.register_buffer(name, torch.where(one > 1e-9, one, torch.ones_like(one)))
        sensors, features = x.shape[1:]
        self.first = nn.Conv1d(features, width, 3, padding=1)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(sensors * (width + features) + extra.shape[1], classes)

    def forward(self, x: Tensor, extra: Tensor) -> Tensor:
        near = ((x - self.mean) / self.deviation).clamp(-4.0, 4.0)
        near = rearrange(near, "case sensor feature -> case feature sensor")
        found = torch.relu(self.first(near))
        parts = [found.flatten(1), near.flatten(1)]
        if extra.shape[1]:
            parts.append(((extra - self.middle) / self.spread).clamp(-4.0, 4.0))
        answer: Tensor = self.out(self.drop(torch.cat(parts, dim=1)))
        return answer
