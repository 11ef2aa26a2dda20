"""The net that rates phases: the same weights for every phase and junction, so it fits junctions of any size.

After Zheng et al., Learning Phase Competition for Traffic Signal Control (FRAP), CIKM 2019: a phase is rated
by what it serves and by what its rivals serve. It begins as max-pressure at a full junction, whose
worth is one of its inputs, and learns what to add.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nervure.core.sight import FEATURES

__all__ = ["PhaseNet", "Worth", "padded"]

_PRESS, _ON = FEATURES.index("press"), FEATURES.index("on")
_STAY = 0.01  # a phase that is on wins among equals


class PhaseNet(nn.Module):
    """``x [batch, phase, feature]`` and ``there [batch, phase]`` to a rating ``[batch, phase]``.

    Phases that are not there, where junctions of several sizes are in one batch, are rated very low.
    """

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        last = nn.Linear(width, 1)
        self.each = nn.Sequential(
            nn.Linear(len(FEATURES), width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.rate = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), last)
        self.press = nn.Parameter(torch.tensor(1.0))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Rate every phase."""
        inner = self.each(x) * there.unsqueeze(-1)
        mean = inner.sum(dim=1, keepdim=True) / there.sum(dim=1).clamp(min=1.0)[:, None, None]
        most = inner.max(dim=1, keepdim=True).values
        among = torch.cat([inner, mean.expand_as(inner), most.expand_as(inner)], dim=-1)
        prior = self.press * (x[..., _PRESS] + _STAY * x[..., _ON])
        rated: Tensor = self.rate(among).squeeze(-1) + prior
        return rated + (there - 1.0) * 1e6


class Worth(nn.Module):
    """What is to be expected of a junction as it looks, ``[batch]``, whichever phase is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = PhaseNet()
        nn.init.zeros_(self.inner.press)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        """Return the mean of what its phases are rated."""
        rated = torch.where(there > 0, self.inner(x, there), torch.zeros_like(there))
        worth: Tensor = rated.sum(dim=1) / there.sum(dim=1).clamp(min=1.0)
        return worth


def padded(views: list[Tensor], phases: int) -> tuple[Tensor, Tensor]:
    """Return views ``[phase, feature]`` of several sizes as one batch, and which phases are there."""
    x = torch.zeros(len(views), phases, len(FEATURES))
    there = torch.zeros(len(views), phases)
    for row, view in enumerate(views):
        x[row, : len(view)] = view
        there[row, : len(view)] = 1.0
    return x, there
