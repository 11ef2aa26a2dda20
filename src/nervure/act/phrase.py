"""Phrases: numbers, times and units as a person reads them."""

from __future__ import annotations

import math
from datetime import datetime
from zoneinfo import ZoneInfo

from nervure.core.instant import from_ns

__all__ = ["hours", "local", "number", "signed", "unit_text", "whole"]

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_UNITS = {
    "Cel": "°C",
    "[degF]": "°F",
    "[mi_i]/h": "mph",
    "ug/m3": "µg/m³",
    "mg/m3": "mg/m³",
    "m3/h": "m³/h",
    "m3/s": "m³/s",
    "m3": "m³",
    "m2": "m²",
    "W/m2": "W/m²",
    "m/s2": "m/s²",
    "deg": "°",
    "Ohm": "Ω",
    "1": "",
}


def number(value: float) -> str:
    """Write a number with three significant digits.

    >>> number(12.3456), number(1234.5), number(0.01234), number(0.0), number(float("nan"))
    ('12.3', '1230', '0.0123', '0', 'unknown')
    """
    if not math.isfinite(value):
        return "unknown"
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    digits = 2 - math.floor(math.log10(abs(rounded)))
    if digits > 9:
        return f"{rounded:.2e}"
    return f"{rounded:.{max(0, digits)}f}"


def whole(value: float) -> str:
    """Write what is counted.

    >>> whole(18.4), whole(float("nan"))
    ('18', 'unknown')
    """
    return f"{value:.0f}" if math.isfinite(value) else "unknown"


def signed(value: float) -> str:
    """Write a difference with its sign.

    >>> signed(4.2), signed(-0.5)
    ('+4.20', '-0.500')
    """
    return f"+{number(value)}" if value > 0 else number(value)


def hours(seconds: float) -> str:
    """Write a duration in hours: whole from ten on, else with one decimal if it has one.

    >>> hours(7200), hours(5400), hours(86_000)
    ('2', '1.5', '24')
    """
    value = seconds / 3600
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")


def local(time_ns: int, zone: str) -> str:
    """Write an instant as the clock on the wall shows it there.

    >>> local(1677722400_000_000_000, "Europe/Rome")
    'Thursday 2 March 2023, 03:00'
    """
    moment: datetime = from_ns(time_ns).astimezone(ZoneInfo(zone))
    day = f"{_DAYS[moment.weekday()]} {moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
    return f"{day}, {moment:%H:%M}"


def unit_text(code: str) -> str:
    """Write a UCUM code as people write the unit.

    >>> unit_text("Cel"), unit_text("L/s")
    ('°C', 'L/s')
    """
    return _UNITS.get(code, code.removeprefix("{").removesuffix("}"))
