"""From a file to readings: every row is used, or rejected with its line and a reason."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nervure.core.calendar import zone_offset_ns
from nervure.core.error import DataError, DeclarationError
from nervure.core.instant import DAY_NS, iso
from nervure.learn.own.ask import Asked, Rejected
from nervure.learn.own.bench import Bench, repeated, screened
from nervure.learn.own.clock import Days, local_days, median_step
from nervure.learn.own.column import Columns, choose
from nervure.learn.own.file import head, read
from nervure.learn.own.moment import Moments, moments, to_utc
from nervure.learn.own.number import numbers

__all__ = ["MOST_REJECTED", "Readings", "identity", "judge_rows", "read_file", "strays", "times_of"]

Longs = NDArray[np.int64]

MOST_REJECTED = 0.2
_LONGEST = 200  # letters of an identity, as everywhere in Nervure
_SHOWN = 3
_DAILY = 0.9 * DAY_NS  # what comes so rarely has days, and the hour that clocks skip is of no account
_NOBODY = ("", "nan", "na", "n/a", "null", "none", "nil", "<na>")


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds, in order of time, ties in the order of the file.

    ``series`` are the identities, ``signals`` the target and then the drivers. Row by row:
    ``place [row]`` among the series, ``time [row]`` in UTC nanoseconds, ``value [row, signal]``,
    NaN where there is none, ``line [row]`` of the file. ``rows`` counts those of the file, ``empty`` the
    cells without a reading. ``naive`` tells whether stamps did not say their zone. Where slots are days
    or longer, ``days`` has what local clocks showed, which slots are then counted from.
    """

    columns: Columns
    series: tuple[str, ...]
    signals: tuple[str, ...]
    place: Longs
    time: Longs
    value: NDArray[np.float64]
    line: Longs = msgspec.field(default_factory=lambda: np.empty(0, dtype=np.int64))
    rows: int
    empty: int
    naive: bool
    days: Days | None = None
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...]

    @property
    def clock(self) -> Longs:
        """What slots are counted from ``[row]``: UTC, or local clocks where slots are days."""
        return self.time if self.days is None else self.days.clock


def _laid_out(asked: Asked) -> tuple[Bench, Columns]:
    """Open the file and choose its columns."""
    wanted = [one for one in (asked.time, asked.id, asked.target, *asked.past, *asked.future) if one]
    start = head(asked.file, wanted)
    columns = choose(start, asked)
    sheet = read(start, columns.all)
    if not len(sheet.line) and not sheet.rejected:
        raise DataError(
            f"{asked.file.name} holds no row below its header",
            where=f"{asked.file}, line {start.line}" if start.line else str(asked.file),
            hint="add readings: rows whose cells are all empty cannot be used",
        )
    bench = Bench(sheet)
    if asked.id is None and columns.id is not None and _numbered(sheet.columns[columns.id]):
        bench.notes.append(f"column {columns.id!r} numbers the rows: the file is read as one series")
        columns = msgspec.structs.replace(columns, id=None, notes=columns.notes[:0])
    return bench, columns


def read_file(asked: Asked) -> Readings:
    """Read a file as asked; a file that cannot be used is a ``DataError`` that says what to do."""
    bench, columns = _laid_out(asked)
    sheet = bench.sheet
    place, series = _series(bench, columns, asked)
    value, empty = _values(bench, columns, asked)
    time, stamps = times_of(bench, columns.time, asked, place)
    strays(bench, columns.time, time)
    screened(bench, asked, columns, (series, place, value))
    judge_rows(bench)
    rows = np.flatnonzero(bench.good)
    rows = rows[np.argsort(time[rows], kind="stable")]
    if columns.id is None and len(np.unique(time[rows])) * 2 < len(rows):
        bench.notes.append("many rows share a stamp: if they are of several sensors, name --id COLUMN")
    bench.notes += repeated(
        bench, asked, rows, (place, time, value[:, 0]), naive=not stamps.aware[rows].all()
    )
    series, place = _used(series, place[rows])
    some = ~np.isnan(value[rows, 0])
    return Readings(
        columns=columns,
        series=series,
        signals=(columns.target, *columns.drivers),
        place=place,
        time=time[rows],
        value=value[rows],
        line=sheet.line[rows],
        rows=len(sheet.line) + len(sheet.rejected),
        empty=empty,
        naive=not bool(stamps.aware[rows].all()),
        days=local_days(asked, place, time[rows], stamps.local[rows], stamps.aware[rows], some),
        rejected=tuple(sorted(bench.rejected, key=lambda one: one.line)),
        notes=(*columns.notes, *bench.notes),
    )


def _numbered(column: pa.Array) -> bool:
    """Tell whether a column has a value of its own in most rows, as row numbers do."""
    return len(column) > 20 and pc.count_distinct(column).as_py() * 2 > len(column)


def _used(series: tuple[str, ...], place: Longs) -> tuple[tuple[str, ...], Longs]:
    """Leave out series of which no row is good."""
    kept, again = np.unique(place, return_inverse=True)
    return tuple(series[one] for one in kept), again.astype(np.int64)


def _series(bench: Bench, columns: Columns, asked: Asked) -> tuple[Longs, tuple[str, ...]]:
    """Return each row's place among the series ``[row]``, and their identities in the file's order."""
    size = len(bench.good)
    if columns.id is None:
        return np.zeros(size, dtype=np.int64), (asked.name or asked.file.name.split(".")[0] or "series",)
    encoded = identity(bench.sheet.columns[columns.id]).dictionary_encode()
    place = pc.fill_null(encoded.indices, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    names = encoded.dictionary
    none = pc.is_null(encoded.indices).to_numpy(zero_copy_only=False)
    if len(names):
        bare = pc.is_in(pc.utf8_lower(names), value_set=pa.array(_NOBODY)).to_numpy(zero_copy_only=False)
        none |= bare[place]
        long = pc.greater(pc.utf8_length(names), _LONGEST).to_numpy(zero_copy_only=False)[place] & ~none
        bench.reject(columns.id, np.flatnonzero(long), f"is longer than {_LONGEST} letters")
        bench.good &= ~long
    bench.reject(columns.id, np.flatnonzero(none), "names no series")
    bench.good &= ~none
    return place, tuple(names.to_pylist())


def identity(column: pa.Array) -> pa.Array:
    """Write identities as text: whole numbers without a point, as they stand in most files."""
    if pa.types.is_floating(column.type):
        value = column.to_numpy(zero_copy_only=False)
        whole = bool((np.isnan(value) | (value == np.floor(value))).all())
        if whole and (np.abs(value[~np.isnan(value)]) < 2**53).all():
            column = column.cast(pa.int64(), safe=False)
    if pa.types.is_string(column.type):
        return column
    return column.cast(pa.string())


def _values(bench: Bench, columns: Columns, asked: Asked) -> tuple[NDArray[np.float64], int]:
    """Return ``[row, signal]``; a cell that is no number is rejected, the row's others stay."""
    empty, found = 0, []
    for name in (columns.target, *columns.drivers):
        read = numbers(bench.sheet.columns[name], decimal=asked.decimal, separator=bench.sheet.head.separator)
        for reason, rows in read.wrong.items():
            bench.reject(name, rows[bench.good[rows]], reason)
        bench.notes += [f"column {name!r}: {note}" for note in read.notes]
        empty += read.empty
        found.append(read.value)
    return np.stack(found, axis=1), empty


def times_of(bench: Bench, name: str, asked: Asked, place: Longs) -> tuple[Longs, Moments]:
    """Return UTC nanoseconds ``[row]``, and what the stamps themselves say."""
    found = moments(bench.sheet.columns[name], dates=asked.dates)
    if found.undecided is not None:
        raise DataError(
            f"column {name!r}: {found.undecided} may be two dates",
            where=str(asked.file),
            hint="say --dates dmy (the day stands first) or --dates mdy (the month does)",
        )
    bench.notes += [f"column {name!r}: {note}" for note in found.notes]
    for reason, rows in found.wrong.items():
        bench.reject(name, rows[bench.good[rows]], reason)
        bench.good[rows] = False
    time, zone = found.time.copy(), _known(asked.zone or "UTC")
    local = np.flatnonzero(~found.aware & bench.good)
    if len(local) and zone != "UTC" and (time[local] % DAY_NS).any():  # mere days are the same everywhere
        time[local], skipped = to_utc(time[local], place[local], zone)
        never = local[skipped] if median_step(place[local], found.time[local]) < _DAILY else local[:0]
        bench.reject(name, never, f"never was in {zone}: the clocks skipped that hour")
        bench.good[never] = False
        if len(never):
            bench.notes.append(
                f"{len(never)} stamps are of an hour that clocks in {zone} skip: are they in UTC or in"
                " standard time? Then leave --zone out"
            )
    return time, found


def _known(zone: str) -> str:
    """Return the zone if there is one of that name."""
    try:
        zone_offset_ns(zone, np.zeros(1, dtype=np.int64))
    except DeclarationError as cause:
        raise DataError(str(cause.what), where="--zone", hint=cause.hint) from cause
    return zone


def strays(bench: Bench, name: str, time: Longs) -> None:
    """Reject stamps that lie further from all others than these from each other (1970, 2099)."""
    rows = np.flatnonzero(bench.good)
    if len(rows) < 10:
        return
    few = max(1, len(rows) // 1000)
    ranked = np.partition(time[rows], (few, len(rows) - 1 - few))
    low, high = int(ranked[few]), int(ranked[len(rows) - 1 - few])
    room = max(high - low, 1)
    far = rows[(time[rows] < low - room) | (time[rows] > high + room)]
    if len(far) > 2 * few:
        return
    bench.reject(name, far, f"lies far from all others, {iso(low)[:10]} to {iso(high)[:10]}")
    bench.good[far] = False


def judge_rows(bench: Bench) -> None:
    """Refuse a file of which too much cannot be used, with the commonest reason and examples."""
    total = len(bench.good) + len(bench.sheet.rejected)
    share = len(bench.bad_rows) / total
    if share <= MOST_REJECTED and bench.good.any():
        return
    reasons = Counter((one.column, one.reason) for one in bench.rejected)
    (column, reason), count = reasons.most_common(1)[0]
    shown = [one for one in bench.rejected if (one.column, one.reason) == (column, reason)][:_SHOWN]
    examples = "; ".join(f"{bench.word} {one.line}: {one.value!r}" for one in shown)
    what = f"column {column!r}: " if column else ""
    raise DataError(
        f"{what}{count:,} of {total:,} rows cannot be used: {reason} ({examples})",
        where=str(bench.sheet.head.path),
        hint=_hint(reason),
    )


def _hint(reason: str) -> str:
    if "cells and the header" in reason:
        return "numbers with decimal commas need another separator (;) or quotation marks"
    if "time stamp" in reason:
        return "write stamps as 2024-01-31T15:00:00, with Z or +02:00 at the end, or name another --time"
    if "decimal commas" in reason:
        return "say --decimal . if the point parts whole from fraction"
    if "number" in reason:
        return "name a column of numbers: --target COLUMN"
    if "--low" in reason or "--high" in reason:
        return "give the bounds in the unit of the file, or leave them out"
    if "clocks skipped" in reason:
        return "name the zone the stamps are really in, perhaps UTC"
    return f"up to {MOST_REJECTED:.0%} of the rows may be unusable: mend the others"
