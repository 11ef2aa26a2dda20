"""Remaining life by dilated causal convolutions over the means of patches of cycles."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from nervure.learn.detect.lifenet import LifeNet

__all__ = ["RulTcn"]


class _Layer(nn.Module):
    def __init__(self, width: int, reach: int) -> None:
        super().__init__()
        self.reach = 2 * reach
        self.conv = nn.Conv1d(width, width, 3, dilation=reach)
        self.drop = nn.Dropout(0.1)

    def forward(self, z: Tensor) -> Tensor:
        changed: Tensor = self.drop(functional.gelu(self.conv(functional.pad(z, (self.reach, 0)))))
        return z + changed


class _Body(nn.Module):
    def __init__(self, inputs: int, width: int, patches: int) -> None:
        super().__init__()
        self.enter = nn.Conv1d(inputs, width, 1)
        reaches = [1]
        while 2 * sum(reaches) + 1 < patches:
            reaches.append(2 * reaches[-1])
        self.layers = nn.Sequential(*(_Layer(width, reach) for reach in reaches))

    def forward(self, z: Tensor) -> Tensor:
        found: Tensor = self.layers(self.enter(rearrange(z, "batch patch sensor -> batch sensor patch")))
        return torch.cat([found[:, :, -1], found.mean(dim=2)], dim=1)


class RulTcn(LifeNet):
    """A temporal convolutional net as deep as its window needs (Bai, Kolter & Koltun, arXiv 1803.01271).

    The newest state and the mean of all tell the life.
    """

    name = "rul_tcn"
    width = 32

    def build(self, sensors: int, patches: int) -> tuple[nn.Module, int]:
        """Return the convolutions and the width of what they tell."""
        return _Body(sensors + 1, self.width, patches), 2 * self.width
