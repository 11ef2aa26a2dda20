"""Health of machines that differ from new: what changed since they were young, and where it leads.

Bearings of one kind differ more from each other than from themselves worn: they are told by what
changed since their own first minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.detect.block import Block
from nervure.learn.detect.window import trailing

__all__ = ["Extrapolated", "Health", "since_young"]

Floats = NDArray[np.float64]

_FLAT = 1e-9


def since_young(block: Block, log: Sequence[int], *, every: int = 6, young: int = 20) -> Block:
    """Return a record in means over ``every`` rows, each less what it was in the first ``young`` of these.

    The channels at the places ``log`` are shown as logarithms, so that what counts is how many times
    they grew. The first means look at less. Causal: a mean is of past rows, and while the machine is
    young, of as many as there are.
    """
    value = block.value.copy()
    value[:, list(log)] = np.log(np.maximum(value[:, list(log)], _FLAT))
    count = len(value) // every
    if count < 1:
        raise DataError(f"{block.name} has {len(value)} rows, fewer than {every}")
    mean = value[: count * every].reshape(count, every, -1).mean(axis=1)
    known = np.minimum(np.arange(1, count + 1), young)
    first = np.cumsum(mean[:young], axis=0)[known[:count] - 1] / known[:, None]
    return msgspec.structs.replace(
        block, value=mean - first, time=block.time[every - 1 : count * every : every],
        every_ns=block.every_ns * every, label=None,
    )  # fmt: skip


class Health:
    """A health index, 1 as new and 0 at failure: the share of life that is left, by ridge regression.

    On the trailing means of ``window`` rows. Not a remaining life: two machines of one health may
    last differently.
    """

    def __init__(self, window: int = 20, *, ridge: float = 10.0) -> None:
        self.window, self.ridge = window, ridge

    def fit(self, blocks: Sequence[Block]) -> Self:
        """Learn from machines that ran to failure, each of which counts alike."""
        shown = [self._shown(one.value) for one in blocks]
        share = [np.linspace(1.0, 0.0, len(one)) for one in shown]
        weight = np.concatenate([np.full(len(one), 1 / len(one)) for one in shown])[:, None]
        x, y = np.concatenate(shown), np.concatenate(share)
        self._mean = (weight * x).sum(axis=0) / weight.sum()
        self._scale = np.sqrt((weight * (x - self._mean) ** 2).sum(axis=0) / weight.sum()) + _FLAT
        z = (x - self._mean) / self._scale
        level = float((weight[:, 0] * y).sum() / weight.sum())
        gram = (z * weight).T @ z / weight.sum() + self.ridge / len(blocks) * np.eye(z.shape[1])
        self._slope = np.linalg.solve(gram, (z * weight).T @ (y - level) / weight.sum())
        self._level = level
        return self

    def index(self, value: Floats) -> Floats:
        """Return the health at each row of one machine, ``[row]``, from its past alone."""
        found: Floats = self._level + (self._shown(value) - self._mean) / self._scale @ self._slope
        return found.clip(0.0, 1.0)

    def _shown(self, value: Floats) -> Floats:
        count = value.shape[1]
        return trailing(value, self.window)[:, count : 2 * count]


class Extrapolated:
    """What is left until a line through an indicator's last ``window`` rows meets the value of failures.

    The usual rule of thumb: ``channel`` is the indicator, its value at failure the median over
    machines that failed. While it does not rise, what is left is the longest life known less the age,
    and it is never more than that life.
    """

    name = "linear extrapolation"
    kind: Literal["baseline"] = "baseline"

    def __init__(self, channel: int = 0, *, window: int = 60) -> None:
        self.channel, self.window = channel, window

    def fit(self, blocks: Sequence[Block]) -> Self:
        """Learn the indicator at failure and the longest life."""
        self.limit = float(np.median([one.value[-5:, self.channel].mean() for one in blocks]))
        self.most = float(max(len(one) for one in blocks))
        return self

    def predict(self, value: Floats) -> Floats:
        """Return the remaining rows at each row of one machine, ``[row]``, from its past alone."""
        _, mean, _, slope = trailing(value[:, [self.channel]], self.window).T
        count = np.minimum(np.arange(1, len(value) + 1), self.window)
        now = mean + slope * (count - 1) / 2
        rest = np.divide(self.limit - now, slope, out=np.full(len(value), np.inf), where=slope > _FLAT)
        bound = np.maximum(self.most - np.arange(1, len(value) + 1), 0.0)
        found: Floats = np.clip(rest, 0.0, bound)
        return found
