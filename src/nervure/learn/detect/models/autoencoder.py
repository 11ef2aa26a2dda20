"""A dense autoencoder of windows, trained to mend (see :mod:`nervure.learn.detect.models.mend`)."""

from __future__ import annotations

from torch import Tensor, nn

from nervure.learn.detect.models.mend import Mending

__all__ = ["Autoencoder"]


class _Dense(nn.Module):
    def __init__(self, window: int, channels: int) -> None:
        super().__init__()
        self.window, self.channels = window, channels
        hidden = min(max(3 * channels, 48), 128)
        self.body = nn.Sequential(
            nn.Linear(2 * window * channels, hidden), nn.GELU(), nn.Linear(hidden, hidden // 3), nn.GELU(),
            nn.Linear(hidden // 3, hidden), nn.GELU(), nn.Linear(hidden, window * channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.body(x.flatten(1))
        return found.reshape(-1, self.window, self.channels)


class Autoencoder(Mending):
    """Dense layers around a narrow one, over the whole window at once (Hinton and Salakhutdinov, 2006).

    Not for very long windows, nor where a pattern may lie anywhere in one: it learns each place anew.
    """

    name = "autoencoder"

    def build(self, window: int, channels: int) -> nn.Module:
        """Return the net."""
        return _Dense(window, channels)
