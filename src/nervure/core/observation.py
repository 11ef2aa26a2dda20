"""Observations: one as a Struct, many as a columnar Batch.

The id of an Observation is its position in the log. A message may carry a pack of several
observations, so the id is ``sequence << 16 | index in the message``: it sorts like the log,
names one reading of one message, and stays an exact integer in JSON (below 2^53) for the first
1.4 * 10^11 messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["PACK_BITS", "Batch", "Observation", "Quality", "Reject", "observation_id", "sequence_of"]

PACK_BITS = 16

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


class Quality(IntEnum):
    """What the screening thought of a reading; anything but GOOD is hidden from models."""

    GOOD = 0
    LATE = 1
    OUT_OF_RANGE = 2
    STUCK = 3


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One result: when the phenomenon was (``time_ns``), when the result came (``result_time_ns``).

    A forecast's ``time_ns`` is the instant it is about, its ``result_time_ns`` the instant it was
    issued, and ``low``..``high`` its interval.
    """

    id: int
    datastream: int
    time_ns: int
    result_time_ns: int
    result: float | str
    low: float | None = None
    high: float | None = None
    quality: int = Quality.GOOD


class Reject(msgspec.Struct, frozen=True, kw_only=True):
    """A message, or readings in it, that could not be taken: kept in quarantine with the reason.

    ``index`` is the first of them, ``count`` how many readings of the message had this reason.
    """

    sequence: int
    index: int = 0
    count: int = 1
    subject: str
    reason: str
    detail: str = ""
    payload: bytes = b""
    received_ns: int = 0


def observation_id(sequence: int, index: int = 0) -> int:
    """Return the id of the ``index``-th reading of the message at ``sequence``.

    >>> observation_id(3, 1)
    196609
    """
    return sequence << PACK_BITS | index


def sequence_of(identity: int) -> int:
    """Return the log position that an observation id names.

    >>> sequence_of(observation_id(3, 1))
    3
    """
    return identity >> PACK_BITS


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Observations as columns, all of length ``[row]``, in log order.

    ``text`` is ``None`` when every result is a number; otherwise it holds the JSON text of results
    that are not, whose ``value`` is NaN. ``low`` and ``high`` are NaN where there is no interval.
    """

    id: Longs
    datastream: Longs
    time: Longs
    result_time: Longs
    value: Floats
    low: Floats
    high: Floats
    quality: NDArray[np.int8]
    text: Sequence[str | None] | None = None

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def of(
        cls,
        *,
        id: Any,
        datastream: Any,
        time: Any,
        value: Any,
        result_time: Any = None,
        low: Any = None,
        high: Any = None,
        quality: Any = None,
        text: Sequence[str | None] | None = None,
    ) -> Batch:
        """Build a Batch from anything array-like; what is left out gets its neutral value."""
        moment = np.asarray(time, dtype=np.int64)
        rows = len(moment)
        nothing = np.full(rows, np.nan)
        return cls(
            id=np.asarray(id, dtype=np.int64),
            datastream=np.asarray(datastream, dtype=np.int64),
            time=moment,
            result_time=moment if result_time is None else np.asarray(result_time, dtype=np.int64),
            value=np.asarray(value, dtype=np.float64),
            low=nothing if low is None else np.asarray(low, dtype=np.float64),
            high=nothing if high is None else np.asarray(high, dtype=np.float64),
            quality=np.zeros(rows, np.int8) if quality is None else np.asarray(quality, dtype=np.int8),
            text=text,
        )

    def take(self, rows: NDArray[Any]) -> Batch:
        """Return the rows chosen by a boolean mask or by positions."""
        text = self.text
        if text is not None:
            chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
            text = [text[int(row)] for row in chosen]
        return Batch(
            id=self.id[rows],
            datastream=self.datastream[rows],
            time=self.time[rows],
            result_time=self.result_time[rows],
            value=self.value[rows],
            low=self.low[rows],
            high=self.high[rows],
            quality=self.quality[rows],
            text=text,
        )

    @classmethod
    def concat(cls, parts: Sequence[Batch]) -> Batch:
        """Join batches end to end."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.of(id=[], datastream=[], time=[], value=[])
        text: list[str | None] | None = None
        if any(part.text is not None for part in parts):
            text = [one for part in parts for one in (part.text or [None] * len(part))]
        return cls(
            id=np.concatenate([part.id for part in parts]),
            datastream=np.concatenate([part.datastream for part in parts]),
            time=np.concatenate([part.time for part in parts]),
            result_time=np.concatenate([part.result_time for part in parts]),
            value=np.concatenate([part.value for part in parts]),
            low=np.concatenate([part.low for part in parts]),
            high=np.concatenate([part.high for part in parts]),
            quality=np.concatenate([part.quality for part in parts]),
            text=text,
        )
