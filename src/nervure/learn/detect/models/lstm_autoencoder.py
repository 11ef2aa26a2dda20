"""A recurrent autoencoder of windows, trained to mend (see :mod:`nervure.learn.detect.models.mend`)."""

from __future__ import annotations

from torch import Tensor, nn

from nervure.learn.detect.models.mend import Mending

__all__ = ["LstmAutoencoder"]


class _Lstm(nn.Module):
    def __init__(self, window: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.window = window
        self.read = nn.LSTM(2 * channels, hidden, batch_first=True)
        self.write = nn.LSTM(hidden, hidden, batch_first=True)
        self.leave = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        held = self.read(x)[0][:, -1:]
        found: Tensor = self.leave(self.write(held.repeat(1, self.window, 1))[0])
        return found


class LstmAutoencoder(Mending):
    """An LSTM reads the window into one state, another writes it out again (Malhotra et al., ICML, 2016).

    Not where a fit or a row must be cheap: it steps through the window, several times as slow as the
    others, and seldom better for it.
    """

    name = "LSTM autoencoder"
    views = 3

    def build(self, window: int, channels: int) -> nn.Module:
        """Return the net."""
        return _Lstm(window, channels, 32)
