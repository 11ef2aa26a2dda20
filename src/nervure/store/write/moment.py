"""Instants and intervals as SensorThings writes them: ISO 8601 with date and time (18-088, table 3)."""

from __future__ import annotations

from datetime import UTC, datetime

from nervure.core.error import QueryError
from nervure.core.instant import from_iso, to_ns

__all__ = ["instant", "interval", "moment", "nanoseconds"]

_LONGEST_NS = (1 << 63) - 1
_HINT = "write it as 2023-03-01T08:00:00Z"


def nanoseconds(value: object, where: str) -> int:
    """Return an instant as nanoseconds since 1970, which reach from 1677 to 2262."""
    ns = to_ns(_read(value, where))
    if abs(ns) > _LONGEST_NS:
        raise QueryError(f"{value} is too far away to be kept here", where=where, hint="1678 to 2261 can be")
    return ns


def instant(value: object, where: str) -> str:
    """Return an instant in UTC; one without a zone is taken as UTC.

    >>> instant("2023-03-01T09:00:00+01:00", "$.resultTime")
    '2023-03-01T08:00:00Z'
    """
    return _written(_read(value, where))


def interval(value: object, where: str) -> str:
    """Return an interval, ``start/end``, in UTC.

    >>> interval("2023-03-01T09:00:00+01:00/2023-03-01T09:00:00Z", "$.validTime")
    '2023-03-01T08:00:00Z/2023-03-01T09:00:00Z'
    """
    start, slash, end = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not slash:
        raise QueryError(
            f"{_shown(value)} is no interval", where=where, hint="write start/end, both ISO 8601"
        )
    first, last = _read(start, where), _read(end, where)
    if last < first:
        raise QueryError(f"the interval {_shown(value)} ends before it starts", where=where)
    return f"{_written(first)}/{_written(last)}"


def moment(value: object, where: str) -> str:
    """Return an instant or an interval in UTC."""
    return interval(value, where) if isinstance(value, str) and "/" in value else instant(value, where)


def _read(value: object, where: str) -> datetime:
    if isinstance(value, str) and "T" in value.upper():
        try:
            read = from_iso(value.strip())
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise QueryError(f"{_shown(value)} is no instant", where=where, hint=_HINT)


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
