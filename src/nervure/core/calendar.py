"""The calendar a model sees, computed by the same code in training and in scoring.

Columns, all ``int64``: slot of the local day, day of the week (Monday 0), public holiday (0, 1),
slot of the local week, day of the local year (1 January is 0). A holiday keeps its own day of the
week: models see it as a flag.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DeclarationError
from nervure.core.instant import DAY_NS, HOUR_NS, from_ns

__all__ = ["calendar", "zone_offset_ns"]


@lru_cache(maxsize=1 << 16)
def _offset(zone: str, hour: int) -> int:
    moment = from_ns(hour * HOUR_NS).astimezone(_zone(zone))
    offset = moment.utcoffset() or timedelta()
    return int(offset.total_seconds()) * 1_000_000_000


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as cause:
        raise DeclarationError(
            f"{name!r} is not a time zone", hint="write an IANA name: Europe/Rome"
        ) from cause


def zone_offset_ns(zone: str, time_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what must be added to UTC to get local time, ``[time]``; clocks change on whole hours."""
    hours, where = np.unique(time_ns // HOUR_NS, return_inverse=True)
    table = np.array([_offset(zone, int(hour)) for hour in hours], dtype=np.int64)
    return table[where]


@lru_cache(maxsize=4096)
def _holiday(country: str, day: int) -> bool:
    import holidays

    moment = date(1970, 1, 1) + timedelta(days=day)
    land, _, region = country.partition("-")
    try:
        return moment in _holidays_of(land, region, moment.year, holidays)
    except NotImplementedError as cause:
        raise DeclarationError(
            f"no public holidays are known for {country!r}", hint="use ISO 3166: IT, US-CA"
        ) from cause


_YEARS: dict[tuple[str, str, int], object] = {}


def _holidays_of(land: str, region: str, year: int, holidays: object) -> set[date]:
    key = (land, region, year)
    if key not in _YEARS:
        found = holidays.country_holidays(land, subdiv=region or None, years=year)  # type: ignore[attr-defined]
        _YEARS[key] = set(found)
    return _YEARS[key]  # type: ignore[return-value]


@lru_cache(maxsize=8192)
def calendar(zone: str, country: str | None, every_ns: int, first: int, count: int) -> NDArray[np.int64]:
    """Return the calendar of ``count`` slots from slot ``first``: ``[time, 5]``, not to be written to.

    A slot is ``time_ns // every_ns``.

    >>> calendar("Europe/Rome", "IT", HOUR_NS, 1672531200_000_000_000 // HOUR_NS, 2)
    array([[  1,   6,   1, 145,   0],
           [  2,   6,   1, 146,   0]])
    """
    times = (first + np.arange(count, dtype=np.int64)) * every_ns
    local = times + zone_offset_ns(zone, times)
    day = local // DAY_NS
    slot = local % DAY_NS // every_ns
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    per_day = max(1, DAY_NS // every_ns)
    holiday = np.zeros(count, dtype=np.int64)
    if country:
        days, where = np.unique(day, return_inverse=True)
        holiday = np.array([_holiday(country, int(one)) for one in days], dtype=np.int64)[where]
    dates = day.astype("datetime64[D]")
    of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
    table = np.stack([slot, weekday, holiday, weekday * per_day + slot, of_year], axis=1)
    table.flags.writeable = False
    return table
