"""``--told``: what a person said of alarms, from a small file."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path
from typing import get_args

from nervure.core.error import DataError
from nervure.core.guard import Told, Verdict
from nervure.core.instant import to_ns

__all__ = ["read_verdicts"]

_COLUMNS = ("start", "end", "verdict")


def read_verdicts(path: Path) -> tuple[Told, ...]:
    """Read a CSV of ``start,end,verdict``: times in ISO 8601, verdicts true, false or planned.

    Raises ``DataError`` with the line for what cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not rows.fieldnames or not set(_COLUMNS) <= set(rows.fieldnames):
                raise DataError(
                    f"{path.name} has no columns {', '.join(_COLUMNS)}",
                    where=f"{path}, line 1",
                    hint="write: start,end,verdict and below 2026-01-16T15:00Z,2026-01-16T18:00Z,true",
                )
            return tuple(_told(row, f"{path}, line {rows.line_num}") for row in rows)
    except (OSError, UnicodeError) as cause:
        raise DataError(f"cannot read {path.name}: {cause}", where=str(path)) from cause


def _told(row: dict[str, str], where: str) -> Told:
    start, end, verdict = (str(row.get(one) or "").strip() for one in _COLUMNS)
    known: tuple[Verdict, ...] = get_args(Verdict)
    found = next((one for one in known if one == verdict.casefold()), None)
    if found is None:
        raise DataError(f"{verdict!r} is no verdict", where=where, hint=f"say one of: {', '.join(known)}")
    first, last = _moment(start, where), _moment(end, where)
    if last < first:
        raise DataError(f"{end} is before {start}", where=where)
    return Told(start_ns=first, end_ns=last, verdict=found)


def _moment(text: str, where: str) -> int:
    try:
        return to_ns(datetime.fromisoformat(text))
    except ValueError as cause:
        raise DataError(f"{text!r} is no time", where=where, hint="write it in ISO 8601") from cause
