"""The recordings of the solutions that come with Nervure, opened from the published sets."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.declaration import Solution
from nervure.learn.detect.body import sisfall
from nervure.learn.detect.machine import SUBSETS, cmapss
from nervure.learn.detect.record import Record
from nervure.learn.detect.structure import peer

__all__ = ["falls", "frames", "turbofans"]

_NOISE_DB = 20.0
_REST = 512  # rows at rest before and after a ground motion
_SHORTEST = 100  # one run of the set is a single row


def turbofans(solution: Solution, base: Path) -> list[Record]:
    """Open C-MAPSS: engines that ran to failure, and those cut off, which test. A row is a flight.

    Signals come in the set's order, settings and then sensors; the last one counts the flights.
    """
    names = tuple(one.name for one in solution.signals)
    made = []
    for subset in SUBSETS:
        if f"{subset}.parquet" not in (solution.data.files if solution.data else ()):
            continue
        fleet = cmapss(subset, base.parents[1])
        for blocks, left in ((fleet.train, None), (fleet.test, fleet.rul)):
            for place, block in enumerate(blocks):
                counted = np.concatenate([block.value, np.arange(1.0, len(block) + 1)[:, None]], axis=1)
                own = msgspec.structs.replace(
                    block, value=counted, channels=names, group=f"{subset} {block.group}",
                    every_ns=solution.signals[0].every_ns,
                )  # fmt: skip
                made.append(
                    Record(
                        block=own, left=0.0 if left is None else float(left[place]), stratum=subset,
                        part="" if left is None else "test",
                    )
                )  # fmt: skip
    return made


def falls(solution: Solution, base: Path) -> list[Record]:
    """Open SisFall: falls and daily activities of 38 persons, the acceleration alone.

    It is not told when in a recording somebody falls: the strongest moment is taken for it.
    """
    names = tuple(one.name for one in solution.signals)
    made = []
    for one in sisfall(base.parents[1]):
        block = msgspec.structs.replace(
            one.block, channels=names, value=one.block.value[:, : len(names)], label=None
        )
        made.append(
            Record(
                block=block, truth="fall" if one.fall else "daily", whole=not one.fall,
                stratum="elderly" if one.elderly else "adult",
            )
        )  # fmt: skip
    return made


def frames(solution: Solution, base: Path) -> list[Record]:
    """Open the PEER frame under 100 ground motions in seven states, with noise 20 dB below each channel.

    Before and after a motion the frame is at rest, with its noise: a window needs room.
    """
    names = tuple(one.name for one in solution.signals)
    made = []
    for turn, one in enumerate(peer(base.parents[1])):
        if len(one.block) < _SHORTEST:
            continue
        value = _noisy(one.block.value, turn)
        block = msgspec.structs.replace(
            one.block, channels=names, value=value, label=None, every_ns=solution.signals[0].every_ns,
            time=np.arange(len(value), dtype=np.int64) * solution.signals[0].every_ns,
        )  # fmt: skip
        truth = "whole" if not one.storey else f"storey {one.storey} at {one.left:.0%}"
        made.append(Record(block=block, truth=truth, whole=False))
    return made


def _noisy(value: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Add rest before and after, and noise all over: ``[row, channel]``."""
    power = np.sqrt(((value - value.mean(axis=0)) ** 2).mean(axis=0)) * 10 ** (-_NOISE_DB / 20)
    rest = np.zeros((_REST, value.shape[1]))
    padded = np.concatenate([rest, value - value.mean(axis=0), rest])
    noise = np.random.default_rng([0, seed]).normal(size=padded.shape)
    found: NDArray[np.float64] = padded + noise * power
    return found
