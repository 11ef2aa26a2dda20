"""What somebody asks of a file of their own, and what is said about the cells that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

__all__ = ["Asked", "Dates", "Rejected", "Resample"]

Dates = Literal["dmy", "mdy"]
Resample = Literal["last", "mean", "sum", "max"]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A file of readings in long format, and how to read it; what is ``None`` is found out.

    ``time``, ``id`` and ``target`` name columns, as do ``past`` (drivers known until now) and
    ``future`` (drivers known ahead too). ``zone`` is the IANA zone of stamps that do not say theirs,
    and of the calendar. ``dates`` settles the order of ``01/02/2024``, ``decimal`` that of ``1,234``.
    ``resample`` is what becomes of several readings in one slot.
    """

    file: Path
    name: str | None = None
    time: str | None = None
    id: str | None = None
    target: str | None = None
    every: str | None = None
    horizon: str | None = None
    window: str | None = None
    zone: str | None = None
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    unit: str | None = None
    country: str | None = None
    dates: Dates | None = None
    decimal: Literal[".", ","] | None = None
    resample: Resample | None = None
    low: float | None = None
    high: float | None = None


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that cannot be used: its line as an editor counts them (in Parquet: its row), and why."""

    line: int
    column: str
    value: str
    reason: str
