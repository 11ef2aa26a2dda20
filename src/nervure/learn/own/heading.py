"""What the first lines of a file tell: whether there is a header, and whether date and time stand apart."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa

from nervure.learn.own.moment import moments
from nervure.learn.own.number import EMPTY, numbers

__all__ = ["is_number", "is_stamp", "named", "parted"]

_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})")
_CLOCK = re.compile(r"^\s*\d{1,2}[:.h]\d{2}([:.]\d{2}([.,]\d+)?)?\s*([ap]\.?m\.?)?\s*$", re.IGNORECASE)
_DATES = ("date", "datum", "fecha", "data", "jour", "day", "giorno", "dia")
_CLOCKS = ("time", "zeit", "uhrzeit", "hora", "ora", "heure", "clock", "hour", "tijd")


def is_number(cell: str) -> bool:
    """Tell whether a cell is a number, however it is written."""
    return bool(np.isfinite(numbers(pa.array([cell], pa.string())).value[0]))


def is_stamp(cell: str) -> bool:
    """Tell whether a cell is a date, or one with a time; a count since 1970 is a number.

    >>> is_stamp("2024-01-31T12:00:00Z"), is_stamp("31.1.24 12:00"), is_stamp("12.5")
    (True, True, False)
    """
    return not is_number(cell) and not moments(pa.array([cell], pa.string())).wrong


def named(cells: tuple[str, ...]) -> bool:
    """Tell whether cells name columns: they are not all numbers and dates, or they count the columns.

    >>> named(("time", "level")), named(("0.31", "NA", "")), named(("0", "1", "2"))
    (True, False, True)
    """
    some = [cell for cell in cells if cell.strip().casefold() not in EMPTY]
    if any(not is_number(cell) and not is_stamp(cell) for cell in some):
        return True
    whole = [int(cell) for cell in cells if cell.strip().isdigit()]
    return len(whole) == len(cells) and whole == list(range(whole[0], whole[0] + len(whole)))


def parted(names: tuple[str, ...], first: tuple[str, ...]) -> tuple[int, int] | None:
    """Return the places of a column of dates and of one of clock times, where stamps are in two columns.

    >>> parted(("Date", "Time", "NO2"), ("10/03/2004", "18.00.00", "113"))
    (0, 1)
    """
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(re.sub(r"[^a-z]", "", name.casefold()), place)
    date = next((places[one] for one in _DATES if one in places), None)
    clock = next((places[one] for one in _CLOCKS if one in places), None)
    if date is None or clock is None or max(date, clock) >= len(first):
        return None
    bare = _DATE.fullmatch(first[date].strip())
    return (date, clock) if bare and _CLOCK.match(first[clock]) else None
