"""Instants, intervals and durations as a query writes them (ISO 8601), in nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS, to_ns
from nervure.store.language.tree import Instant, Interval

__all__ = ["read_clock", "read_duration", "read_instant", "read_time"]

MINUTE_NS = 60 * SECOND_NS
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,30}))?)?(?:[Zz]|([+ -])(\d\d):?(\d\d))?)?",
    re.ASCII,
)
_CLOCK = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,30}))?)?", re.ASCII)
_DURATION = re.compile(
    r"([+-]?)P(?=.)(?:(\d{1,9})W)?(?:(\d{1,9})D)?"
    r"(?:T(?=.)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12})(?:\.(\d{1,30}))?S)?)?",
    re.ASCII,
)


def read_instant(text: str) -> int | None:
    """Read an instant, or a date as its first instant, in UTC where no offset stands; None: it is none.

    A blank before the offset is a plus sign that was not percent-encoded.

    >>> read_instant("1970-01-01T01:00:00.5+01:00"), read_instant("1970-01-02"), read_instant("1970-02-30")
    (500000000, 86400000000000, None)
    """
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, ahead_hours, ahead_minutes = found.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
    except ValueError:
        return None
    ns = to_ns(moment) + _fraction_ns(fraction)
    if sign is None:
        return ns
    ahead = int(ahead_hours) * HOUR_NS + int(ahead_minutes) * MINUTE_NS
    if ahead >= DAY_NS:
        return None
    return ns + ahead if sign == "-" else ns - ahead


def read_time(text: str) -> Instant | Interval | None:
    """Read an instant, or an interval ``start/end`` whose end is not before its start.

    >>> read_time("1970-01-01/1970-01-02")
    Interval(start_ns=0, end_ns=86400000000000)
    """
    first, slash, last = text.partition("/")
    start = read_instant(first)
    if start is None:
        return None
    if not slash:
        return Instant(ns=start)
    end = read_instant(last)
    return None if end is None or end < start else Interval(start_ns=start, end_ns=end)


def read_clock(text: str) -> int | None:
    """Read a time of day as nanoseconds since midnight.

    >>> read_clock("00:01:00.5"), read_clock("25:00")
    (60500000000, None)
    """
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    return hour * HOUR_NS + minute * MINUTE_NS + second * SECOND_NS + _fraction_ns(found[4])


def read_duration(text: str) -> int | None:
    """Read a duration of weeks, days, hours, minutes and seconds; years and months have no fixed length.

    >>> read_duration("PT1H30M"), read_duration("-P1D"), read_duration("P1Y"), read_duration("PT")
    (5400000000000, -86400000000000, None, None)
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    sign, weeks, days, hours, minutes, seconds, fraction = found.groups()
    ns = (
        int(weeks or 0) * 7 * DAY_NS
        + int(days or 0) * DAY_NS
        + int(hours or 0) * HOUR_NS
        + int(minutes or 0) * MINUTE_NS
        + int(seconds or 0) * SECOND_NS
        + _fraction_ns(fraction)
    )
    return -ns if sign == "-" else ns


def _fraction_ns(digits: str | None) -> int:
    return int((digits or "0")[:9].ljust(9, "0"))
