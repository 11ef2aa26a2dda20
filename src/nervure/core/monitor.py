"""A monitor of some sensors: from what its detectors say of each moment to one rarity, a name, a reason.

The same code judges a file, a history and the live stream. Detectors are graphs of ``score``,
``part`` and ``expected`` (see :mod:`nervure.learn.detect.windowed`); what their scores mean was learnt on
normal rows and stands in :class:`Setup`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.event import Persistence
from nervure.core.guard import Plan
from nervure.core.season import Usual
from nervure.core.tail import Tail

__all__ = ["SETUP_KEY", "Reading", "Sense", "Setup", "blame", "combine", "guilt"]

SETUP_KEY = "nervure.monitor"
"""Where in a shipped monitor's metadata its ``Setup`` stands, as JSON."""

Floats = NDArray[np.float64]


class Sense(msgspec.Struct, frozen=True, kw_only=True):
    """One detector of a monitor: its normal scores, and how often it named the right sensor in trials."""

    name: str
    window: int
    tail: Tail
    named: float


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a monitor was taught: its streams, their usual course, its detectors, and the promise.

    ``usual [stream]`` is how much each stream usually varies about what is expected. ``found`` says how
    many injected faults it found, how many chance would have, and how often it named the right stream.
    """

    streams: tuple[str, ...]
    every_ns: int
    window: int
    course: Usual
    senses: tuple[Sense, ...]
    plan: Plan
    span: Persistence
    usual: tuple[float, ...]
    promised: float
    found: dict[str, float] = {}


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What detectors say of rows, sense by sense.

    ``rarity [row, sense]`` in decades, ``part [row, sense, stream]``, none below 0, and ``expected
    [row, sense, stream]`` in the streams' units.
    """

    rarity: Floats
    part: Floats
    expected: Floats

    def take(self, rows: slice) -> Reading:
        """Return some rows."""
        return Reading(rarity=self.rarity[rows], part=self.part[rows], expected=self.expected[rows])


def combine(rarity: Floats) -> Floats:
    """Return one score a row, ``[row]``, from those of the senses ``[row, sense]``: that of the most alarmed.

    >>> combine(np.array([[1.0, 3.0], [np.nan, 2.0]])).tolist()
    [3.0, 2.0]
    """
    best = np.where(np.isnan(rarity), -np.inf, rarity).max(axis=1)
    found: Floats = np.where(np.isfinite(best), best, np.nan)
    return found


def blame(setup: Setup, reading: Reading) -> tuple[Floats, Floats]:
    """Return for an alarm's rows the streams' shares, ``[stream]``, and expectations, ``[row, stream]``."""
    named = [one.named for one in setup.senses]
    return guilt(reading.rarity, reading.part, named), reading.expected[:, int(np.argmax(named))]


def guilt(rarity: Floats, part: Floats, named: Sequence[float]) -> Floats:
    """Return the share of each stream in an alarm's rows, ``[stream]``; shares add up to 1.

    A sense has a say by how alarmed it was, ``rarity [row, sense]``, beside the most alarmed one, and by
    how often it ``named [sense]`` the right stream in trials; the worst rows know best who it was.
    """
    trust = np.maximum(np.asarray(named), 0.05) ** 2
    known = np.nan_to_num(rarity)
    worst = known.max(axis=1, keepdims=True)
    voice = 10.0 ** np.clip(known - worst, -6, 0) * trust * (1.0 + worst**2)
    whole = part.sum(axis=2, keepdims=True)
    share = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    total: Floats = (share * voice[:, :, None]).sum(axis=(0, 1))
    if total.sum() <= 0:
        total = np.ones(part.shape[2])
    shares: Floats = total / total.sum()
    return shares
