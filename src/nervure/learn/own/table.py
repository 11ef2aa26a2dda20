"""A file of one's own as records to watch: any table of readings, wide or long, with or without a clock.

Every column of numbers is a channel. Where a column tells series apart, a file with one column of
readings has a channel for each series, one with several has a record for each series.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import SECOND_NS
from nervure.core.slot import laid
from nervure.learn.detect.block import NORMAL, ODD, UNKNOWN, Block
from nervure.learn.own.ask import Asked, Rejected
from nervure.learn.own.bench import Bench
from nervure.learn.own.clock import median_step
from nervure.learn.own.column import find, guess_id, guess_time
from nervure.learn.own.count import counted
from nervure.learn.own.file import Head, head, read
from nervure.learn.own.number import Numbers, numbers, switched
from nervure.learn.own.reading import identity, judge_rows, strays, times_of

__all__ = ["Sheaf", "open_table"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_LABELS = (
    "anomaly", "label", "labels", "is_anomaly", "outlier", "is_outlier", "attack", "att_flag", "event",
    "changepoint", "fault", "is_fault", "target_label", "y_true", "ground_truth",
)  # fmt: skip
_NUMBERS = 0.8  # share of a column's cells that are numbers where it holds readings
_MOST_CHANNELS = 200
_PIVOT = 64  # series up to which they are channels of one record
_SHARED = 0.2  # share of rows with a stamp that is there before from where on numbers may be identities
_WORDS = 0.3  # most names that words may be, a row, if they tell series apart


class Sheaf(msgspec.Struct, frozen=True, kw_only=True):
    """Records made from a file: a block a series, what was rejected, and what to tell.

    ``label`` is the column that tells which rows are odd, if there is one; blocks carry it, detectors
    are never shown it. ``clock`` is false where rows have no time and are taken for a second apart.
    """

    blocks: tuple[Block, ...]
    rows: int
    clock: bool
    label: str | None
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...]


class _Roles(msgspec.Struct, frozen=True, kw_only=True):
    """Which column is which; ``rest`` may be readings."""

    time: str | None
    id: str | None
    label: str | None
    rest: tuple[str, ...]


def open_table(asked: Asked, *, columns: tuple[str, ...] = (), label: str | None = None) -> Sheaf:
    """Read a table as records; ``asked.target`` means nothing here, ``columns`` are the channels.

    Raises ``DataError`` with column, line and value where the file cannot be used.
    """
    start = head(asked.file, [one for one in (asked.time, asked.id, *columns) if one])
    roles = _roles(start, asked, columns, label)
    sheet = read(start, [one for one in (roles.time, roles.id, roles.label, *roles.rest) if one])
    if not len(sheet.line) and not sheet.rejected:
        raise DataError(f"{asked.file.name} holds no row below its header", where=str(asked.file))
    bench = Bench(sheet)
    if start.nameless:
        bench.notes.append("no line names the columns: they are called column 1, column 2 and so on")
    time, roles = _times(bench, roles, asked)
    value, names = _channels(bench, roles, asked, chosen=bool(columns))
    judge_rows(bench)
    place, series = _series(bench, roles, time, asked.file)
    odd = _odd(bench, roles.label)
    rows = np.flatnonzero(bench.good)
    rows = rows[np.argsort(time[rows], kind="stable")]
    cut = (place[rows], time[rows], value[rows], None if odd is None else odd[rows])
    blocks = _blocks(cut, series, names, asked.file.name.split(".")[0])
    _tell(bench, roles, blocks)
    return Sheaf(
        blocks=blocks, rows=len(sheet.line) + len(sheet.rejected), clock=roles.time is not None,
        label=roles.label, rejected=tuple(bench.rejected), notes=tuple(bench.notes),
    )  # fmt: skip


def _times(bench: Bench, roles: _Roles, asked: Asked) -> tuple[Longs, _Roles]:
    """Return the time of rows, and the roles that columns have then: what only looked like time is read."""
    rows = len(bench.sheet.line)
    count = None if roles.time is None else counted(bench.sheet.columns[roles.time], roles.time)
    if roles.time is not None and count is None:
        time, _ = times_of(bench, roles.time, asked, np.zeros(rows, dtype=np.int64))
        strays(bench, roles.time, time)
        return time, roles
    if count is not None and count.time is not None:
        bench.notes.append(f"column {roles.time!r} counts {count.unit}, from no date that is known")
        return count.time, roles
    if count is not None and roles.time is not None:
        bench.notes.append(f"column {roles.time!r} holds no time stamps: it is taken for readings")
        roles = msgspec.structs.replace(roles, time=None, rest=(roles.time, *roles.rest))
    bench.notes.append("no column holds the time: rows are taken for one second apart")
    return np.arange(rows, dtype=np.int64) * SECOND_NS, roles


def _tell(bench: Bench, roles: _Roles, blocks: tuple[Block, ...]) -> None:
    if roles.label is not None:
        bench.notes.append(
            f"column {roles.label!r} tells what is odd: it measures, and is not shown to detectors"
        )
    if len(blocks) > 1:
        bench.notes.append(
            f"{len(blocks)} series of {len(blocks[0].channels)} channels each are watched apart"
        )


def _roles(start: Head, asked: Asked, columns: tuple[str, ...], label: str | None) -> _Roles:
    """Find the columns asked for, and guess the others by their names."""
    time = find(start, "--time", asked.time) if asked.time else guess_time(start)
    ident = find(start, "--id", asked.id) if asked.id else guess_id(start)
    named = {one.casefold().replace(" ", "_").replace("-", "_"): one for one in start.names}
    told = (
        find(start, "--label", label)
        if label
        else next((named[one] for one in _LABELS if one in named), None)
    )
    also = {named[one] for one in _LABELS if one in named}  # a second label is no reading either
    chosen = tuple(find(start, "--columns", one) for one in columns)
    taken = {time, ident, told, *also}
    rest = chosen or tuple(dict.fromkeys(one for one in start.names if one and one not in taken))
    if told in chosen:
        told = None
    if not rest:
        raise DataError(
            f"{asked.file.name} has no column of readings: {', '.join(map(repr, start.names))}",
            where=str(asked.file), hint="name them: --columns COLUMN",
        )  # fmt: skip
    return _Roles(time=time, id=ident if ident not in chosen else None, label=told, rest=rest)


def _channels(bench: Bench, roles: _Roles, asked: Asked, *, chosen: bool) -> tuple[Floats, tuple[str, ...]]:
    """Return the columns that hold numbers, ``[row, channel]``, and their names; say which are left out."""
    found, names, left = [], [], []
    for name in roles.rest:
        told = _numbers(bench, name, asked)
        some = len(told.value) - told.empty
        good = int(np.isfinite(told.value).sum())
        if not chosen and (good < _NUMBERS * some or not good):
            left.append(name)
            continue
        for reason, rows in told.wrong.items():
            bench.reject(name, rows, reason)
        bench.notes += [f"column {name!r}: {note}" for note in told.notes]
        value = told.value.copy()
        value[~np.isfinite(value)] = np.nan
        found.append(value)
        names.append(name)
    if left:
        bench.notes.append(
            f"no readings in: {', '.join(map(repr, left[:8]))}{' ...' if len(left) > 8 else ''}"
        )
    if not found:
        raise DataError(
            f"{asked.file.name}: no column holds numbers",
            where=str(asked.file),
            hint="name them: --columns COLUMN",
        )
    if len(found) > _MOST_CHANNELS:
        bench.notes.append(f"{len(found)} columns are a lot: the first {_MOST_CHANNELS} are watched")
    return np.stack(found[:_MOST_CHANNELS], axis=1), tuple(names[:_MOST_CHANNELS])


def _numbers(bench: Bench, name: str, asked: Asked) -> Numbers:
    """Read a column as numbers, or as a switch."""
    cells = bench.sheet.columns[name]
    switch = switched(cells)
    if switch is None:
        return numbers(cells, decimal=asked.decimal, separator=bench.sheet.head.separator)
    bench.notes.append(f"column {name!r}: {switch[1]}")
    return switch[0]


def _series(bench: Bench, roles: _Roles, time: Longs, file: Path) -> tuple[Longs, tuple[str, ...]]:
    """Return each row's series; a column of identities counts only where stamps are there again and again."""
    alone = np.zeros(len(time), dtype=np.int64), (file.name.split(".")[0] or "series",)
    if roles.id is None:
        return alone
    column = identity(bench.sheet.columns[roles.id])
    several = pc.count_distinct(column).as_py()
    again = 1 - len(np.unique(time[bench.good])) / max(int(bench.good.sum()), 1)
    words = float(np.isfinite(numbers(column).value).mean()) < 1 - _NUMBERS
    if several > len(time) * (_WORDS if words else 0.5) or (again < _SHARED and not words):
        bench.notes.append(f"column {roles.id!r} is left out: it does not tell series apart")
        return alone
    encoded = column.dictionary_encode()
    place = pc.fill_null(encoded.indices, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    none = pc.is_null(encoded.indices).to_numpy(zero_copy_only=False)
    bench.reject(roles.id, np.flatnonzero(none), "names no series")
    bench.good &= ~none
    return place, tuple(str(one) for one in encoded.dictionary.to_pylist())


def _odd(bench: Bench, label: str | None) -> NDArray[np.int8] | None:
    """Return what a column of labels says of rows: odd where it is neither 0, false nor empty."""
    if label is None:
        return None
    column = bench.sheet.columns[label]
    text = pc.utf8_lower(pc.utf8_trim_whitespace(pc.fill_null(column.cast(pa.string()), "")))
    calm = pc.is_in(text, value_set=pa.array(["0", "0.0", "false", "no", "normal", "none", "n"]))
    empty = pc.is_in(text, value_set=pa.array(["", "nan", "-999", "na", "-1"]))
    found = np.where(calm.to_numpy(zero_copy_only=False), NORMAL, ODD)
    return np.where(empty.to_numpy(zero_copy_only=False), UNKNOWN, found).astype(np.int8)


def _blocks(
    cut: tuple[Longs, Longs, Floats, NDArray[np.int8] | None],
    series: tuple[str, ...],
    names: tuple[str, ...],
    whole: str,
) -> tuple[Block, ...]:
    """Cut the rows, in order of time, into records."""
    place, time, value, odd = cut
    every = round(median_step(place, time)) or SECOND_NS
    if 1 < len(series) <= _PIVOT and len(names) == 1:
        return (_pivoted(cut, series, every, whole),)
    found = []
    for at, name in enumerate(series):
        own = np.flatnonzero(place == at)
        if not len(own):
            continue
        last = np.r_[np.diff(time[own]) > 0, True]  # of a stamp that is there twice the last row counts
        own = own[last]
        found.append(
            Block(
                name=name,
                channels=names,
                value=value[own],
                time=time[own],
                every_ns=every,
                label=None if odd is None else odd[own],
                group=name,
            )
        )
    return tuple(found)


def _pivoted(
    cut: tuple[Longs, Longs, Floats, NDArray[np.int8] | None], series: tuple[str, ...], every: int, name: str
) -> Block:
    """Lay series side by side as channels, on slots of the usual step."""
    place, time, value, odd = cut
    origin = int(time[0])
    slots, table, at = laid(place, time, value[:, 0], len(series), every_ns=every, origin_ns=origin)
    label = None
    if odd is not None:
        label = np.full(len(slots), UNKNOWN, dtype=np.int8)
        np.maximum.at(label, at, odd)
    return Block(
        name=name,
        channels=series,
        value=table,
        time=slots,
        every_ns=every,
        label=label,
        group=name,
    )
