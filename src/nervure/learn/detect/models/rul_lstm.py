"""Remaining life by an LSTM over the means of patches of cycles."""

from __future__ import annotations

from torch import Tensor, nn

from nervure.learn.detect.lifenet import LifeNet

__all__ = ["RulLstm"]


class _Body(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, width)
        self.memory = nn.LSTM(width, width, batch_first=True)

    def forward(self, z: Tensor) -> Tensor:
        entered = nn.functional.gelu(self.enter(z))
        found: Tensor = self.memory(entered)[0][:, -1]
        return found


class RulLstm(LifeNet):
    """An LSTM of 48 units whose last state tells the life (after Zheng et al., ICPHM, 2017).

    Patches keep it short: 60 cycles are 12 steps. Not where a fault lasts less than a patch.
    """

    name = "rul_lstm"
    width = 48

    def build(self, sensors: int, patches: int) -> tuple[nn.Module, int]:
        """Return the LSTM and its width."""
        return _Body(sensors + 1, self.width), self.width
