"""Observations: one as a Struct, many as a columnar Batch.

The id of an Observation is its position in the log. A message may carry a pack of several
observations, so the id is ``sequence << 16 | index in the message``: it sorts like the log,
names one reading of one message, and stays an exact integer in JSON (below 2^53) for the first
1.4 * 10^11 messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import joined, taken
from nervure.core.group import Groups, gathered

__all__ = [
    "NEUTRAL",
    "NO_END",
    "NO_RESULT_TIME",
    "PACK_BITS",
    "Batch",
    "Draft",
    "Group",
    "Observation",
    "Quality",
    "Reject",
    "Sound",
    "observation_id",
    "sequence_of",
]

PACK_BITS = 16

NO_END = int(np.iinfo(np.int64).min)
"""The ``end_time`` of an Observation whose phenomenon time is an instant."""

NO_RESULT_TIME = 1
"""The bit of ``marks`` which says that nobody gave a result time: it is written as null."""

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Bytes = NDArray[np.int8]
Flags = NDArray[np.bool_]


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
    end_time_ns: int | None = None
    feature: int | None = None
    marks: int = 0
    extra: str | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An Observation on its way into the log: the message, as its Datastream's subject takes it."""

    datastream: int
    message: bytes


class Sound(msgspec.Struct, frozen=True, gc=False):
    """A usual reading that will be taken: its result, and its time in nanoseconds if it says one.

    ``plain`` tells that there is no more to it: without that it has to be decoded again.
    """

    value: float
    time: int | None
    plain: bool


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Observations of one Datastream as rows of ``components`` (OGC 18-088, section 16).

    ``rows`` is the JSON text of ``dataArray``, ids of features in it are internal; ``count`` is how
    many they are, where that is known.
    """

    datastream: int
    components: tuple[str, ...]
    rows: bytes
    count: int | None = None


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


class Batch(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Observations as columns, all of length ``[row]``, in log order.

    ``text`` is ``None`` when every result is a number; otherwise it holds the JSON text of results
    that are not, whose ``value`` is NaN. ``low`` and ``high`` are NaN where there is no interval.

    What plain readings do not have is ``None`` as a whole: ``end_time`` (:data:`NO_END` for an
    instant), ``feature`` (the id of what it is about, 0 for none), ``marks`` (bits, see
    :data:`NO_RESULT_TIME`), ``extra`` (a JSON object with ``parameters``, ``resultQuality``,
    ``validTime``) and ``keyed``: whether the Datastream has one row for each (time, result time);
    without it all have.
    """

    id: Longs
    datastream: Longs
    time: Longs
    result_time: Longs
    value: Floats
    low: Floats
    high: Floats
    quality: Bytes
    text: Sequence[str | None] | None = None
    end_time: Longs | None = None
    feature: Longs | None = None
    marks: Bytes | None = None
    extra: Sequence[str | None] | None = None
    keyed: Flags | None = None

    def __len__(self) -> int:
        return len(self.id)

    @cached_property
    def groups(self) -> Groups:
        """The rows by Datastream, found once; in which order Datastreams come is left open."""
        return gathered(self.datastream)

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
        end_time: Any = None,
        feature: Any = None,
        marks: Any = None,
        extra: Sequence[str | None] | None = None,
        keyed: Any = None,
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
            end_time=None if end_time is None else np.asarray(end_time, dtype=np.int64),
            feature=None if feature is None else np.asarray(feature, dtype=np.int64),
            marks=None if marks is None else np.asarray(marks, dtype=np.int8),
            extra=extra,
            keyed=None if keyed is None else np.asarray(keyed, dtype=np.bool_),
        )

    def about(self, feature: Longs) -> Batch:
        """Return the same rows, each about the feature ``[row]`` given; how they are grouped is kept."""
        found = msgspec.structs.replace(self, feature=feature)
        found.__dict__["groups"] = self.groups
        return found

    def take(self, rows: NDArray[Any]) -> Batch:
        """Return the rows chosen by a boolean mask or by positions."""
        return Batch(**taken(self, self.__struct_fields__, rows))

    @classmethod
    def concat(cls, parts: Sequence[Batch]) -> Batch:
        """Join batches end to end."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls.of(id=[], datastream=[], time=[], value=[])
        return cls(**joined(parts, cls.__struct_fields__, [len(part) for part in parts], NEUTRAL))


NEUTRAL: dict[str, Any] = {
    "id": np.int64(0),
    "datastream": np.int64(0),
    "time": np.int64(0),
    "result_time": np.int64(0),
    "value": np.float64(np.nan),
    "low": np.float64(np.nan),
    "high": np.float64(np.nan),
    "quality": np.int8(0),
    "end_time": np.int64(NO_END),
    "feature": np.int64(0),
    "marks": np.int8(0),
    "keyed": np.bool_(True),
}
"""What stands in a column of numbers where a row has nothing."""
