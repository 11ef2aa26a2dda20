"""A convolutional autoencoder of windows, trained to mend (see :mod:`nervure.learn.detect.models.mend`)."""

from __future__ import annotations

from torch import Tensor, nn

from nervure.learn.detect.models.mend import Mending

__all__ = ["ConvAutoencoder"]


class _Conv(nn.Module):
    def __init__(self, window: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.window = window
        self.enter = nn.Conv1d(2 * channels, hidden, 5, padding=2)
        self.down = nn.Sequential(
            nn.GELU(), nn.Conv1d(hidden, hidden, 3, stride=2, padding=1), nn.GELU(),
            nn.Conv1d(hidden, hidden // 2, 3, stride=2, padding=1), nn.GELU(),
        )  # fmt: skip
        self.up = nn.Sequential(
            nn.Conv1d(hidden // 2, hidden, 3, padding=1), nn.GELU(), nn.Conv1d(hidden, hidden, 3, padding=1),
            nn.GELU(),
        )  # fmt: skip
        self.leave = nn.Conv1d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        low = self.down(self.enter(x.transpose(1, 2)))
        wide = low.repeat_interleave(4, dim=2)[..., : self.window]
        found: Tensor = self.leave(self.up(wide)).transpose(1, 2)
        return found


class ConvAutoencoder(Mending):
    """Convolutions over time that halve the window twice and bring it back (as in SKAB's Conv-AE, 2020).

    Not where single rows matter more than the shape of several: its latent is a quarter as long.
    """

    name = "conv autoencoder"
    views = 4

    def build(self, window: int, channels: int) -> nn.Module:
        """Return the net."""
        return _Conv(window, channels, 32 if channels <= 32 else 64)
