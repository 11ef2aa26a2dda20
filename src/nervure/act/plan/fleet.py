"""A fleet from a table: one row an asset, columns by name."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from nervure.core.error import DataError
from nervure.core.maintenance import Asset

__all__ = ["COLUMNS", "OPTIONAL", "read_fleet"]

COLUMNS = ("asset", "low", "mid", "high", "cost_preventive", "cost_failure", "hours")
OPTIONAL = ("failure_hours", "downtime", "earliest", "latest", "life", "skill")
_NAMES = {"asset": "name"}
_WORDS = ("asset", "skill")


def read_fleet(path: Path) -> tuple[Asset, ...]:
    """Read a CSV file with ``COLUMNS``, and ``OPTIONAL`` ones whose cells may be empty.

    Days from today for remaining lives and windows. Other columns are ignored. Raises ``DataError``
    which says the line and the column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
            named = tuple(lines[0]) if lines else ()
    except (OSError, UnicodeDecodeError, csv.Error) as cause:
        raise DataError(f"cannot read {path.name}: {cause}", where=str(path)) from cause
    if not lines:
        raise DataError(
            f"{path.name} holds no asset",
            where=str(path),
            hint=f"write a header {','.join(COLUMNS)} and rows",
        )
    missing = [one for one in COLUMNS if one not in named]
    if missing:
        raise DataError(
            f"{path.name} has no column {missing[0]!r}", where=str(path),
            hint=f"it needs {', '.join(COLUMNS)}; it may have {', '.join(OPTIONAL)}",
        )  # fmt: skip
    return tuple(_asset(line, f"{path.name}, line {number}") for number, line in enumerate(lines, start=2))


def _asset(line: dict[str, str | None], where: str) -> Asset:
    told: dict[str, str | float] = {}
    for column in (*COLUMNS, *OPTIONAL):
        text = (line.get(column) or "").strip()
        if not text:
            if column in COLUMNS:
                raise DataError(f"{column!r} is empty", where=where)
            continue
        told[_NAMES.get(column, column)] = text if column in _WORDS else _number(text, column, where)
    own = Asset(**told)  # type: ignore[arg-type]
    if not own.low <= own.mid <= own.high:
        raise DataError(
            f"{own.name}: low {own.low:g}, mid {own.mid:g}, high {own.high:g} do not rise", where=where
        )
    return own


def _number(text: str, column: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError as cause:
        raise DataError(f"{column!r} is {text!r}, which is no number", where=where) from cause
    if not math.isfinite(number) or number < 0:
        raise DataError(f"{column!r} is {text}: it must be 0 or more, and finite", where=where)
    return number
