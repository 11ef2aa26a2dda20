"""Time: UTC-aware at the edges, ``int64`` nanoseconds since 1970 inside.

Durations are written ``"15min"`` in declarations and are whole nanoseconds inside.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import msgspec

from nervure.core.error import DeclarationError

__all__ = [
    "DAY_NS",
    "HOUR_NS",
    "SECOND_NS",
    "duration_ns",
    "duration_text",
    "from_iso",
    "from_ns",
    "iso",
    "to_ns",
]

SECOND_NS = 1_000_000_000
HOUR_NS = 3_600 * SECOND_NS
DAY_NS = 24 * HOUR_NS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNITS = {
    "ms": SECOND_NS // 1000,
    "s": SECOND_NS,
    "min": 60 * SECOND_NS,
    "h": HOUR_NS,
    "d": DAY_NS,
    "w": 7 * DAY_NS,
}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h|d|w)\s*")


def duration_ns(text: str, *, where: str | None = None) -> int:
    """Read a duration such as ``"15min"`` as nanoseconds.

    >>> duration_ns("15min")
    900000000000
    """
    found = _DURATION.fullmatch(text)
    if not found or float(found[1]) == 0:
        raise DeclarationError(
            f"{text!r} is not a duration",
            where=where,
            hint="write a positive number and one of ms, s, min, h, d, w: '5min'",
        )
    return round(float(found[1]) * _UNITS[found[2]])


def duration_text(ns: int) -> str:
    """Write nanoseconds as the shortest exact duration.

    >>> duration_text(900_000_000_000), duration_text(7 * DAY_NS)
    ('15min', '1w')
    """
    for name, unit in reversed(_UNITS.items()):
        if ns and ns % unit == 0:
            return f"{ns // unit}{name}"
    return f"{ns / _UNITS['ms']:g}ms"


def from_iso(text: str) -> datetime:
    """Read an instant in ISO 8601, with or without a zone; ``ValueError`` if it is none.

    More than six digits of a second are rounded as msgspec's decoders do: an instant is the same whether it
    comes by their way or by this one.

    >>> from_iso("2023-03-01T08:00:00.1234567Z").microsecond, from_iso("20230301").day
    (123457, 1)
    """
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        return datetime.fromisoformat(text)


def to_ns(moment: datetime) -> int:
    """Turn an aware datetime into nanoseconds since 1970-01-01 UTC; a naive one is taken as UTC.

    >>> to_ns(datetime(2023, 3, 1, tzinfo=UTC))
    1677628800000000000
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND * 1000


def from_ns(ns: int) -> datetime:
    """Turn nanoseconds since 1970 into an aware UTC datetime (microsecond resolution)."""
    return _EPOCH + timedelta(microseconds=int(ns) // 1000)


def iso(ns: int) -> str:
    """Write nanoseconds since 1970 as ISO 8601 in UTC.

    >>> iso(1677628800000000000)
    '2023-03-01T00:00:00Z'
    """
    return from_ns(ns).isoformat().replace("+00:00", "Z")
