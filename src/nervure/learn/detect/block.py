"""Readings of one record, in the order they were taken: what every detector is shown.

A record is what a split may never cut in two by chance: a bearing, an engine, a person, a file.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import DAY_NS

__all__ = ["NORMAL", "ODD", "UNKNOWN", "Block", "Parts", "merged", "runs", "unite"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

UNKNOWN, NORMAL, ODD = -1, 0, 1  # what a label says of a row


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One record: ``value [row, channel]`` with NaN where nothing was read.

    ``time [row]`` is nanoseconds UTC, ``every_ns`` apart but for gaps; where a set has no clock,
    rows are counted and ``time`` is their number times ``every_ns``. ``label [row]`` is 1 where a
    row is anomalous, 0 where it is normal, -1 where nobody knows, and ``None`` for a set without
    labels. ``group`` is what the record was taken from; no group stands on both sides of a split.

    Raises ``DataError`` where the shapes do not fit.
    """

    name: str
    channels: tuple[str, ...]
    value: Floats
    time: Longs
    every_ns: int
    label: NDArray[np.int8] | None = None
    group: str = ""

    def __post_init__(self) -> None:
        wanted = (len(self.time), len(self.channels))
        if self.value.shape != wanted:
            raise DataError(
                f"{self.name}: values of {self.value.shape} do not fit {wanted} rows and channels"
            )
        if self.label is not None and len(self.label) != len(self.time):
            raise DataError(f"{self.name}: {len(self.label)} labels for {len(self.time)} rows")

    def __len__(self) -> int:
        return len(self.time)

    @property
    def days(self) -> float:
        """How long the rows last together, in days; gaps do not count."""
        return len(self) * self.every_ns / DAY_NS

    @property
    def events(self) -> Longs:
        """The stretches labelled anomalous, ``[event, 2]``: first row, and the row after the last."""
        return np.empty((0, 2), np.int64) if self.label is None else runs(self.label == ODD)

    def part(self, start: int, stop: int | None = None) -> Block:
        """Return the rows from ``start`` to before ``stop``."""
        cut = slice(start, stop)
        label = None if self.label is None else self.label[cut]
        return msgspec.structs.replace(self, value=self.value[cut], time=self.time[cut], label=label)


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A set as its protocol divides it.

    ``train`` is for fitting; ``calibrate`` for thresholds and choices, where the protocol grants
    one; ``test`` is looked at once, for the figures.
    """

    train: tuple[Block, ...]
    test: tuple[Block, ...]
    calibrate: tuple[Block, ...] = ()


def runs(flag: Flags) -> Longs:
    """Return the stretches of true rows, ``[run, 2]``: first row, and the row after the last.

    >>> runs(np.array([True, True, False, True])).tolist()
    [[0, 2], [3, 4]]
    """
    edge = np.diff(np.r_[0, flag.astype(np.int8), 0])
    return np.stack([np.flatnonzero(edge == 1), np.flatnonzero(edge == -1)], axis=1).astype(np.int64)


def merged(stretches: Longs, gap: int) -> Longs:
    """Join stretches ``[run, 2]`` that at most ``gap`` rows lie between.

    >>> merged(np.array([[0, 2], [4, 5], [9, 10]]), 2).tolist()
    [[0, 5], [9, 10]]
    """
    if not len(stretches):
        return stretches
    apart = stretches[1:, 0] - stretches[:-1, 1] > gap
    return np.stack([stretches[np.r_[True, apart], 0], stretches[np.r_[apart, True], 1]], axis=1)


def unite(blocks: Sequence[Block]) -> Floats:
    """Stack the rows of blocks of the same channels, for what looks at single rows: ``[row, channel]``."""
    if not blocks:
        raise DataError("there is nothing to fit: no block was given")
    odd = next((one for one in blocks if one.channels != blocks[0].channels), None)
    if odd is not None:
        raise DataError(f"{odd.name} has other channels than {blocks[0].name}")
    return np.concatenate([one.value for one in blocks])
