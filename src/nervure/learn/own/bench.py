"""The rows of a sheet while they are judged, and what their values and stamps say against them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nervure.learn.own.ask import Asked, Rejected
from nervure.learn.own.column import Columns
from nervure.learn.own.file import Sheet
from nervure.learn.own.screen import Far, beyond, far, ordered

__all__ = ["Bench", "repeated", "screened"]

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]

_NAMED = 3  # series of which far values are told one by one


class Bench:
    """The rows of a sheet while they are judged: which are good, and what was rejected."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.good = np.ones(len(sheet.line), dtype=bool)
        self.rejected = list(sheet.rejected)
        self.bad_rows = {one.line for one in sheet.rejected}
        self.notes: list[str] = []

    @property
    def word(self) -> str:
        """What the places of cells are called: Parquet has rows and no lines."""
        return "row" if self.sheet.head.columnar else "line"

    def reject(self, column: str, rows: Iterable[int], reason: str) -> None:
        """Write rows down as rejected for what stands in a column."""
        cells = self.sheet.columns[column]
        for row in rows:
            line = int(self.sheet.line[row])
            cell = cells[int(row)].as_py()
            value = "" if cell is None else str(cell)[:200]
            self.rejected.append(Rejected(line=line, column=column, value=value, reason=reason))
            self.bad_rows.add(line)


def screened(
    bench: Bench, asked: Asked, columns: Columns, found: tuple[tuple[str, ...], Longs, Floats]
) -> None:
    """Reject values out of bounds and lone ones far from all others, and take them out of ``value``.

    ``found`` are the series, ``place [row]`` and ``value [row, signal]``. Bounds are those of what is
    foreseen: where that is the sum of several readings, they say nothing of one.
    """
    series, place, value = found
    ordered(asked)
    if asked.resample != "sum":
        for reason, rows in beyond(np.where(bench.good, value[:, 0], np.nan), asked).items():
            bench.reject(columns.target, rows, reason)
            bench.notes.append(f"{len(rows):,} cells of column {columns.target!r}: {reason}, rejected")
            value[rows, 0] = np.nan
    for signal, name in enumerate((columns.target, *columns.drivers)):
        own = signal == 0
        hits = far(
            np.where(bench.good, value[:, signal], np.nan),
            place,
            below=not (own and asked.low is not None),
            above=not (own and asked.high is not None),
        )
        for count, hit in enumerate(hits):
            if count < _NAMED:
                bench.notes.append(_lone(bench, name, series, hit, value[hit.rows, signal], own=own))
            elif count == _NAMED:
                bench.notes.append(f"column {name!r}: more series have such values: see what is rejected")
            if not hit.tailed:
                reason = f"lies far from all others of its series, {hit.low:g} to {hit.high:g}"
                bench.reject(name, hit.rows, reason)
                value[hit.rows, signal] = np.nan


def _lone(bench: Bench, name: str, series: tuple[str, ...], hit: Far, values: Floats, *, own: bool) -> str:
    """Name a value that is far from all others, and say how to keep it or to be rid of it."""
    worst = int(np.argmax(values) if hit.above else np.argmin(values))
    option = "--high" if hit.above else "--low"
    more = f" and {len(values) - 1:,} more" if len(values) > 1 else ""
    says = (
        f"column {name!r}, {bench.word} {int(bench.sheet.line[hit.rows[worst]])}: {values[worst]:g}{more}"
        f" of {series[hit.place]!r} lies far from all others, {hit.low:g} to {hit.high:g}"
    )
    if hit.tailed:
        way = f"say {option}" if own else "empty the cell"
        return f"{says}, and is kept, as few are large here anyway; if it cannot be, {way}"
    if not own:
        return f"{says}, and is rejected"
    return (
        f"{says}, and is rejected; to keep it say {option} {values[worst]:.10g}. A running node takes such"
        f" values in, unless {option} tells what is possible"
    )


def repeated(
    bench: Bench, asked: Asked, rows: Longs, found: tuple[Longs, Longs, Floats], *, naive: bool
) -> list[str]:
    """Say that stamps are there twice in a series with different values; ``rows`` are in order of time."""
    place, time, value = (one[rows] for one in found)
    some = np.flatnonzero(~np.isnan(value))
    order = some[np.lexsort((rows[some], time[some], place[some]))]
    same = (np.diff(time[order]) == 0) & (np.diff(place[order]) == 0)
    unlike = np.flatnonzero(same & (np.diff(value[order]) != 0))
    if not len(unlike):
        return []
    at = unlike[np.argmin(rows[order[unlike]])]
    lines = sorted(int(bench.sheet.line[rows[order[one]]]) for one in (at, at + 1))
    stamps = len(np.unique(np.stack([place[order[unlike]], time[order[unlike]]]), axis=1)[0])
    zone = "; if clocks were put back then, name their --zone" if naive and asked.zone is None else ""
    says = (
        f"{stamps:,} stamps are there twice in a series with different values, e.g. {bench.word}s {lines[0]}"
        f" and {lines[1]}: the last counts{zone}"
    )
    return [says]
