"""Readings for a calibration from a CSV file: a column a sensor or actuator, a row a step."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import POSSIBLE, TwinError

__all__ = ["Observed", "known", "read_record"]

_TIME = "time"


class Observed(NamedTuple):
    """Readings by sensor, one a step (NaN: not measured), and how long a step is in s, where it is told."""

    readings: dict[str, tuple[float, ...]]
    step_s: float | None


def read_record(path: Path) -> Observed:
    """Read a file whose first line names sensors as the twin does; empty cells are not measured.

    A column ``time`` (ISO 8601, as far apart everywhere) tells the step. Raises TwinError where there is no
    such file, a cell is no number, or rows are of different length.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (OSError, UnicodeDecodeError) as cause:
        raise TwinError(f"cannot read {path}: {cause}", hint="give a CSV file in UTF-8") from cause
    names = [one.strip() for one in head]
    if len(names) == 1 and ";" in names[0]:
        raise TwinError("its cells are parted by semicolons", where=str(path), hint="part them by commas")
    twice = sorted({one for one in names if names.count(one) > 1})
    if len(rows) < 2 or twice:
        raise TwinError(
            f"two columns have one name, {twice[0]!r}" if twice else "there are no two rows of readings",
            where=str(path), hint="the first line names sensors: floor1/acceleration,ground/acceleration",
        )  # fmt: skip
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise TwinError(f"line {number} has {len(row)} cells, not {len(names)}", where=str(path))
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    step_s = _step(columns.pop(_TIME), path) if _TIME in columns else None
    readings = {name: _numbers(name, one, path) for name, one in columns.items()}
    if empty := [name for name, one in readings.items() if all(map(math.isnan, one))]:
        raise TwinError(f"{empty[0]} was never measured", where=str(path), hint="leave its column out")
    return Observed(readings, step_s)


def known(name: str, values: NDArray[np.float64]) -> None:
    """Raise TwinError for what drives a twin and was not measured (NaN) or cannot be, somewhere."""
    if lacking := int((~np.isfinite(values)).sum()):
        raise TwinError(
            f"{name} was not measured in {lacking} of {len(values)} rows, and the twin is driven by it",
            hint="fill what is missing, or give the longest part without gaps",
        )
    low = POSSIBLE.get(name.rpartition("/")[2], {}).get("low", -math.inf)
    if (least := float(values.min(initial=math.inf))) < low:
        line = int(values.argmin()) + 2
        raise TwinError(
            f"{name} is {least:g} in line {line}: it cannot be below {low:g}", hint="correct the file"
        )


def _numbers(name: str, cells: Sequence[str], path: Path) -> tuple[float, ...]:
    found = []
    for number, cell in enumerate(cells, start=2):
        try:
            found.append(float(cell) if cell.strip() else math.nan)
            if math.isinf(found[-1]):
                raise ValueError(cell)  # noqa: TRY301  # told below, with all else that is no number
        except ValueError as cause:
            raise TwinError(
                f"{name} is {cell!r} in line {number}", where=str(path), hint="give a number, or nothing"
            ) from cause
    return tuple(found)


def _step(cells: Sequence[str], path: Path) -> float:
    """Return how far apart all rows are, in s."""
    try:
        moments = [datetime.fromisoformat(one.strip()) for one in cells]
        apart = [(b - a).total_seconds() for a, b in pairwise(moments)]
    except (TypeError, ValueError) as cause:
        raise TwinError(
            f"time cannot be read: {cause}", where=str(path), hint="2026-01-05T00:00:00Z in every row"
        ) from cause
    step = apart[0]
    for number, one in enumerate(apart, start=3):
        if step <= 0 or abs(one - step) > 1e-3 * step:
            raise TwinError(
                f"line {number} comes {one:g} s after the one before, the first {step:g} s", where=str(path),
                hint="give a row for every step; cells may be empty",
            )  # fmt: skip
    return step
