"""What the detectors of streams share: windows drawn from records, and the scaler at a graph's entrance."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.core.error import DataError
from nervure.learn.detect.block import Block, unite
from nervure.learn.detect.windowed import ending

__all__ = ["Frame", "cut", "drawn", "forward_filled", "leveled", "roughness", "usual_step"]

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

_HUGE = 1e30  # what is larger is no reading
_STRAIGHT = 8.0  # deviations up to which a reading counts in full; beyond, its logarithm does
_CELLS = 24_000_000  # numbers that the windows of a fit may hold together


class Frame(nn.Module):
    """Each channel in deviations from its middle, with what was not read told apart.

    Middle and deviation are of readings cut at their 0.5 % and 99.5 % quantiles, so that a few wild
    ones do not set the scale. A channel that never moved has a twentieth of its own size, else 1.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, value: Floats) -> None:
        super().__init__()
        mean, deviation = _scale(np.where(np.abs(value) < _HUGE, value, np.nan))
        self.register_buffer("mean", torch.from_numpy(mean.astype(np.float32)))
        self.register_buffer("deviation", torch.from_numpy(deviation.astype(np.float32)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return deviations, 0 where nothing was read, and 1 where something was: as ``x`` each."""
        known = x.abs() < _HUGE
        z = (torch.where(known, x, self.mean) - self.mean) / self.deviation
        far = (z.abs() - _STRAIGHT).clamp(min=0.0)
        return z.clamp(-_STRAIGHT, _STRAIGHT) + z.sign() * torch.log1p(far), known.to(z.dtype)

    def back(self, z: Tensor) -> Tensor:
        """Return deviations ``[..., channel]`` in the channels' units."""
        return z * self.deviation + self.mean


def _scale(value: Floats) -> tuple[Floats, Floats]:
    mean, deviation = np.zeros(value.shape[1]), np.ones(value.shape[1])
    for channel in range(value.shape[1]):
        own = value[:, channel]
        own = own[~np.isnan(own)]
        if not len(own):
            continue
        low, high = np.quantile(own, 0.005, method="higher"), np.quantile(own, 0.995, method="lower")
        cut = np.clip(own, min(low, high), high)
        least = 1e-6 * max(float(np.abs(cut).max()), 1e-12)
        choices = [one for one in (float(cut.std()), float(own.std())) if one > least]
        mean[channel] = cut.mean()
        deviation[channel] = choices[0] if choices else 0.05 * abs(mean[channel]) or 1.0
    return mean, deviation


def drawn(
    blocks: tuple[Block, ...], window: int, most: int, *, seed: int = 0
) -> tuple[Singles, NDArray[np.int64]]:
    """Draw windows of the records, ``[window, time, channel]``, in their order, and the row each ends at.

    At most ``most``, fewer of many channels; windows whose newest row was not read at all are left
    out where there are others. Rows are counted through all records. Raises ``DataError`` on nothing.
    """
    unite(blocks)  # tells off what has other channels
    ends, before = [], 0
    for block in blocks:
        first = min(window - 1, max(len(block) - 2, 0))
        read = np.isfinite(block.value).any(axis=1) & (np.arange(len(block)) >= first)
        ends.append(np.flatnonzero(read) + before)
        before += len(block)
    rows = np.concatenate(ends)
    if not len(rows):
        rows = np.arange(before)
    if not len(rows):
        raise DataError("there are no rows to fit to")
    count = min(most, max(200, _CELLS // (window * len(blocks[0].channels))))
    if len(rows) > count:
        rows = np.sort(np.random.default_rng(seed).choice(rows, count, replace=False))
    parts, start = [], 0
    for block in blocks:
        own = rows[(rows >= start) & (rows < start + len(block))] - start
        parts.append(ending(block.value.astype(np.float32), window)[own])
        start += len(block)
    return np.concatenate(parts), rows


def forward_filled(z: Tensor, known: Tensor) -> Tensor:
    """Fill gaps in windows ``[batch, time, channel]`` with the reading before, at the start with the first.

    A channel that was not read at all stays 0.
    """
    later = [z[:, -1] * known[:, -1]]
    for step in range(z.shape[1] - 2, -1, -1):  # backwards: the next reading, for what has none before
        later.append(torch.where(known[:, step] > 0, z[:, step], later[-1]))
    held, out = later[-1], []
    for step in range(z.shape[1]):
        held = torch.where(known[:, step] > 0, z[:, step], held)
        out.append(held)
    return torch.stack(out, dim=1)


def roughness(z: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean squared step within windows, ``[batch, channel]``, and the share of steps known."""
    both = known[:, 1:] * known[:, :-1]
    count = both.sum(dim=1)
    step = (((z[:, 1:] - z[:, :-1]) ** 2) * both).sum(dim=1) / count.clamp(min=1.0)
    return step, count / (z.shape[1] - 1)


def leveled(z: Tensor, known: Tensor, typical: Tensor) -> Tensor:
    """Return how much rougher than usual windows are, as a logarithm: low where a sensor is stuck."""
    return torch.log((roughness(z, known)[0] + 0.01 * typical) / (1.01 * typical))


def usual_step(shown: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the mean squared step that windows usually have, ``[channel]``, from a frame's parts."""
    step = torch.cat([roughness(*one)[0] for one in shown])
    return torch.maximum(step.median(dim=0).values, 0.1 * step.mean(dim=0)).clamp(min=1e-6)


def cut(x: Tensor, size: int) -> list[Tensor]:
    """Return parts of at most ``size`` windows."""
    return [x[start : start + size] for start in range(0, len(x), size)]
