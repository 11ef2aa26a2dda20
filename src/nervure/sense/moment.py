"""Instants as devices write them: ISO 8601 with or without a zone, intervals, and numbers.

A number counts from 1970 in the unit that its size tells: below 1e11 seconds, below 1e14
milliseconds, below 1e17 microseconds, else nanoseconds. That is unambiguous from 1973 to 5138.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nervure.core.instant import SECOND_NS, from_iso, iso, to_ns
from nervure.sense.reason import MALFORMED, Unreadable, shown

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FIRST_NS", "LAST_NS", "clipped", "moment_ns", "moments_ns", "span_ns", "texts_ns", "written"]

LAST_NS = 9_223_372_036 * SECOND_NS
"""The last second that 64 bits of nanoseconds hold, in the year 2262; what is later is cut to it."""

FIRST_NS = -LAST_NS
_YEAR_ONE_US = -62_135_596_800_000_000
_SHORTEST = len("2023-03-01T00:00:00Z\n")
_NEWLINE, _ZULU = b"\nZ"
_EXACT_S = 1 << 32  # up to there, in 2106, seconds in 64 bits of floating point are exact to the microsecond

Longs = NDArray[np.int64]


def moment_ns(value: object) -> int:
    """Read one instant as nanoseconds since 1970; of an interval ``a/b``, the start.

    A text without a zone is taken as UTC.

    >>> moment_ns("2023-03-01T01:00:00+01:00"), moment_ns(1677628800)
    (1677628800000000000, 1677628800000000000)
    """
    if isinstance(value, datetime):
        return clipped(to_ns(value))
    if isinstance(value, str):
        try:
            return clipped(to_ns(from_iso(value.partition("/")[0].strip())))
        except (ValueError, OverflowError) as cause:
            raise Unreadable(
                MALFORMED, f"{shown(value)} is not a time; write it as 2023-03-01T08:00:00Z"
            ) from cause
    if isinstance(value, int) and not isinstance(value, bool):
        size = abs(value)
        scale = 1 if size >= 10**17 else 1000 if size >= 10**14 else 10**6 if size >= 10**11 else SECOND_NS
        return clipped(value * scale)
    if isinstance(value, float) and math.isfinite(value):
        span = abs(value)
        micro = 1e-3 if span >= 1e17 else 1.0 if span >= 1e14 else 1e3 if span >= 1e11 else 1e6
        return clipped(round(value * micro) * 1000)
    raise Unreadable(MALFORMED, f"{shown(value)} is not a time; write it as 2023-03-01T08:00:00Z")


def span_ns(value: object) -> tuple[int, int | None]:
    """Read an instant, or an interval ``a/b``, as its start and, of an interval, its end.

    >>> span_ns("1970-01-01T00:00:00Z/1970-01-01T00:00:01Z"), span_ns(1677628800)
    ((0, 1000000000), (1677628800000000000, None))
    """
    start = moment_ns(value)
    if not isinstance(value, str) or "/" not in value:
        return start, None
    end = moment_ns(value.partition("/")[2])
    if end < start:
        raise Unreadable(MALFORMED, f"{shown(value)} ends before it begins")
    return start, end


def clipped(ns: int) -> int:
    """Keep an instant within what 64 bits hold."""
    return min(max(ns, FIRST_NS), LAST_NS)


def moments_ns(moments: Sequence[datetime]) -> Longs:
    """Turn aware datetimes into nanoseconds since 1970, ``[row]``, exact to the microsecond."""
    seconds = np.array([moment.timestamp() for moment in moments], dtype=np.float64)
    if (np.abs(seconds) > _EXACT_S).any():
        return np.array([clipped(to_ns(moment)) for moment in moments], dtype=np.int64)
    micro: Longs = np.rint(seconds * 1e6).astype(np.int64)
    micro *= 1000
    return micro


def texts_ns(texts: Sequence[str]) -> Longs | None:
    """Turn texts with a zone into nanoseconds since 1970, ``[row]``; None if one is not quite as usual.

    Arrow reads them in half the time that it takes to make datetimes of them and to read those. Usual is a
    second in every text, and in all of them either ``Z`` or hours and minutes as the zone.

    >>> texts_ns(["2023-03-01T00:00:00Z", "2023-03-01T00:00:00.5Z"]).tolist()
    [1677628800000000000, 1677628800500000000]
    >>> texts_ns(["2023-03-01T01:00:00"]), texts_ns(["2023-03-01T01:00:00.1234567Z"])
    (None, None)
    """
    import pyarrow as pa

    text = _even(texts)
    if text is None:
        text = _uneven(texts)
    if text is None:
        return None
    try:
        instants = text.cast(pa.timestamp("us", "UTC"))
    except pa.ArrowException:
        return None
    micro: Longs = instants.view(pa.int64()).to_numpy()
    if len(micro) and micro.min() < _YEAR_ONE_US:
        return None
    found: Longs = np.clip(micro, FIRST_NS // 1000, LAST_NS // 1000) * 1000
    return found


def _even(texts: Sequence[str]) -> pa.StringArray | None:
    """Lay out texts for Arrow that are equally long and end in ``Z``, all at once; None if they are not.

    With a newline between them, each stands in its row of a table just if there is none within a text;
    Arrow takes none of those as an instant.
    """
    import pyarrow as pa

    count, width = len(texts), len(texts[0]) + 1 if texts else 0
    whole = ("\n".join(texts) + "\n").encode()
    if width < _SHORTEST or len(whole) != count * width:
        return None
    rows = np.frombuffer(whole, dtype=np.uint8).reshape(count, width)
    if not ((rows[:, -1] == _NEWLINE).all() and (rows[:, -2] == _ZULU).all()):
        return None
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width - 1)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(rows[:, :-1].tobytes()))


def _uneven(texts: Sequence[str]) -> pa.StringArray | None:
    """Lay out texts for Arrow; None if it would take one for something else than it means here."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pa.array(texts, pa.string())
    usual = pc.ends_with(text, "Z")
    least = 20
    if not pc.all(usual).as_py():
        usual, least = pc.equal(pc.utf8_slice_codeunits(text, -3, -2), ":"), 25
    # without these two, Arrow takes what has no seconds, and hours alone as a zone
    if not pc.all(usual).as_py() or pc.min(pc.binary_length(text)).as_py() < least:
        return None
    return text


def written(ns: int) -> str:
    """Write an instant for a person; beyond what 64 bits hold, say so.

    >>> written(0), written(LAST_NS)
    ('1970-01-01T00:00:00Z', 'a time after the year 2261')
    """
    if ns >= LAST_NS:
        return "a time after the year 2261"
    if ns <= FIRST_NS:
        return "a time before the year 1678"
    return iso(ns)
