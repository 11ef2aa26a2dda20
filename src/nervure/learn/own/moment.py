"""Cells to moments: ISO 8601, the ways countries write dates, and counts of seconds since 1970."""

from __future__ import annotations

import re

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nervure.core.calendar import zone_offset_ns
from nervure.core.error import DeclarationError
from nervure.core.instant import DAY_NS, SECOND_NS
from nervure.learn.own.ask import Dates
from nervure.learn.own.number import EMPTY

__all__ = ["Moments", "moments", "to_utc"]

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

_CLOCK = (
    r"(?:(?:[T ]|, ?| T)\s*(?P<H>\d{1,2})"
    r"(?:[:.h](?P<M>\d{2})(?:[:.](?P<S>\d{2})(?:[.,](?P<f>\d{1,9})\d*)?)?)?"
    r"\s*(?P<p>[AaPp]\.?[Mm]\.?)?)?\s*(?P<z>[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?(?:\[.*\])?$"
)
_YEAR_FIRST = r"^(?P<y>\d{4})[-/.](?P<b>\d{1,2})[-/.](?P<a>\d{1,2})" + _CLOCK
_YEAR_LAST = r"^(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<y>\d{4}|\d{2})" + _CLOCK
_DAY_NAME = r"^(?:[A-Za-z]{3,9},? +)?"
_NAMED = _DAY_NAME + r"(?P<a>\d{1,2})[-/. ]+(?P<n>[A-Za-z]{3,9})[-/., ]+(?P<y>\d{4}|\d{2})" + _CLOCK
_NAME_FIRST = _DAY_NAME + r"(?P<n>[A-Za-z]{3,9})[-. ]+(?P<a>\d{1,2}),?[- ]+(?P<y>\d{4})" + _CLOCK
_COMPACT = (
    r"^(?P<y>(?:19|20)\d{2})(?P<b>\d{2})(?P<a>\d{2})(?:[T_ ]?(?P<H>\d{2})(?::?(?P<M>\d{2})(?::?(?P<S>\d{2})"
    r"(?:[.,](?P<f>\d{1,9}))?)?)?)?(?P<p>)(?P<z>[Zz]|[+-]\d{2}(?::?\d{2})?)?$"
)
_COUNT = r"^-?\d+(\.\d+)?$"
_DIGITS = r"^(19|20)\d{6}(\d\d){0,3}$"  # 20240131, 2024013115, 202401311500, 20240131150000
_SURE = 0.95  # the least share of valid dates among numbers that look like dates
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_EPOCHS = ((1e11, SECOND_NS, "seconds"), (1e14, 10**6, "milliseconds"), (1e17, 1000, "microseconds"))
_OLDEST = 10**8  # the least count of seconds that is taken for a moment, in March 1973
_SEPTEMBER_2262 = 9_214_646_400_000_000_000  # int64 nanoseconds end soon after


class Moments(msgspec.Struct, frozen=True, kw_only=True):
    """Moments ``time [row]``: UTC nanoseconds where ``aware [row]``, else as the local clock showed them.

    ``local [row]`` is what the stamp itself shows, whatever its offset. ``wrong[reason]`` are the rows
    that hold none. ``undecided`` is an example whose day and month may be told either way, where nothing
    tells which is meant.
    """

    time: Longs
    local: Longs
    aware: Flags
    wrong: dict[str, Longs]
    notes: tuple[str, ...] = ()
    undecided: str | None = None


def moments(column: pa.Array, *, dates: Dates | None = None) -> Moments:
    """Read a column of stamps, text or typed; of each text once.

    >>> moments(pa.array(["2024-01-01T00:00:00+01:00", "soon"])).wrong
    {'is no time stamp': array([1])}
    """
    if pa.types.is_string(column.type):
        encoded = column.dictionary_encode()
        place = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
        words = encoded.dictionary
        empty = pc.is_in(pc.utf8_lower(words), value_set=pa.array(EMPTY)).to_numpy(zero_copy_only=False)
        found, local, known, aware, notes, undecided = _words(words, ~empty, dates)
        return _spread(
            found,
            known,
            aware,
            local=local,
            empty=np.r_[empty, True],
            place=place.astype(np.int64),
            notes=notes,
            undecided=undecided,
        )
    return _typed(column)


def _spread(
    found: Longs,
    known: Flags,
    aware: Flags,
    *,
    local: Longs,
    empty: Flags,
    place: Longs,
    notes: tuple[str, ...] = (),
    undecided: str | None = None,
) -> Moments:
    """Give each row what its word says; the last place is that of rows without one."""
    good = np.r_[known, False][place]
    bare = empty[place]
    wrong = {"holds no time stamp": np.flatnonzero(bare), "is no time stamp": np.flatnonzero(~good & ~bare)}
    return Moments(
        time=np.r_[found, 0][place],
        local=np.r_[local, 0][place],
        aware=np.r_[aware, False][place],
        wrong={why: rows for why, rows in wrong.items() if len(rows)},
        notes=notes,
        undecided=undecided,
    )


def _typed(column: pa.Array) -> Moments:
    """Take stamps that are typed (Parquet): times, dates, or counts since 1970."""
    none = pc.is_null(column).to_numpy(zero_copy_only=False)
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _numeric(column, none)
    zone = kind.tz if pa.types.is_timestamp(kind) else None
    try:
        if pa.types.is_date(kind):
            column = column.cast(pa.timestamp("s"))
        stamp = column.cast(pa.timestamp("ns", "UTC" if zone else None), safe=True)
        time = pc.fill_null(stamp.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        nothing = np.zeros(len(column), dtype=np.int64)
        return Moments(
            time=nothing,
            local=nothing,
            aware=nothing.astype(bool),
            wrong={f"is of the type {kind}, no time stamp": np.arange(len(column))},
        )
    sure = np.full(len(time), zone is not None)
    local = _shown(time, zone) if zone else time
    return _spread(time, ~none, sure, local=local, empty=np.r_[none, True], place=np.arange(len(time)))


def _numeric(column: pa.Array, none: Flags) -> Moments:
    """Take numbers: dates such as 20240131 where nearly all of them are, else counts since 1970."""
    written = _digits(column, none)
    if written is not None:
        return moments(written)
    counts = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    exact = (
        column.cast(pa.int64()).to_numpy() if pa.types.is_integer(column.type) and not none.any() else None
    )
    none = none | np.isnan(counts)
    time, known, notes = _counted(counts, ~none, exact)
    return _spread(
        time, known, known, local=time, empty=np.r_[none, True], place=np.arange(len(time)), notes=notes
    )


def _digits(column: pa.Array, none: Flags) -> pa.Array | None:
    """Write whole numbers as text if they are dates without marks between; None if they are not."""
    if pa.types.is_floating(column.type):  # as whole numbers are kept where some are missing
        value = column.to_numpy(zero_copy_only=False)
        none = none | np.isnan(value)
        if not ((value == np.floor(value)) & (np.abs(value) < 2**53) | none).all():
            return None
        column = pa.array(np.where(none, 0, value).astype(np.int64), mask=none)
    text = column.cast(pa.string())
    some = text.filter(pa.array(~none))
    if not len(some) or _match(some, _DIGITS).mean() < _SURE:
        return None
    fields = pc.extract_regex(some, _COMPACT)
    parts = _fields(fields.filter(pc.is_valid(fields)), _COMPACT)
    return text if _valid(parts).sum() >= _SURE * len(some) else None


def _shown(time: Longs, zone: str) -> Longs:
    """Return what clocks of a typed column's zone show: ``Europe/Rome`` or ``+01:00``."""
    try:
        return time + zone_offset_ns(zone, time)
    except DeclarationError:
        fixed = re.fullmatch(r"([+-])(\d\d):?(\d\d)", zone)
        if not fixed:
            return time
        minutes = int(fixed[2]) * 60 + int(fixed[3])
        return time + (-minutes if fixed[1] == "-" else minutes) * 60 * SECOND_NS


def _words(
    words: pa.Array, some: Flags, dates: Dates | None
) -> tuple[Longs, Longs, Flags, Flags, tuple[str, ...], str | None]:
    """Read distinct texts: moments, as shown; which are read, know their zone; notes; what is undecided."""
    (time, local), (known, aware) = np.zeros((2, len(words)), np.int64), np.zeros((2, len(words)), bool)
    notes: tuple[str, ...] = ()
    undecided = None
    for pattern in (_YEAR_FIRST, _COMPACT, _YEAR_LAST, _NAMED, _NAME_FIRST):
        left = np.flatnonzero(some & ~known)
        if not len(left):
            break
        fields = pc.extract_regex(words.take(pa.array(left)), pattern)
        hit = pc.is_valid(fields).to_numpy(zero_copy_only=False)
        if not hit.any():
            continue
        rows = left[hit]
        parts = _fields(fields.filter(pa.array(hit)), pattern)
        if pattern is _YEAR_LAST:
            swap, notes, undecided = _order(parts, words.take(pa.array(rows)), dates)
            if swap:
                parts["a"], parts["b"] = parts["b"], parts["a"]
        elif pattern is _COMPACT and _valid(parts).mean() < _SURE:
            continue  # counts of seconds that look like dates now and then
        time[rows], known[rows], aware[rows] = _compose(parts), _valid(parts), parts["aware"] == 1
        local[rows] = time[rows] + parts["offset"] * 60 * SECOND_NS
    left = np.flatnonzero(some & ~known)
    count = _COUNT if not known.any() else "^$"
    if len(left) and (hit := _match(words.take(pa.array(left)), count)).any():
        rows = left[hit]
        texts = words.take(pa.array(rows))
        exact = None if pc.any(pc.match_substring(texts, ".")).as_py() else _whole(texts)
        values = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
        time[rows], known[rows], said = _counted(values, np.ones(len(rows), bool), exact)
        local[rows], aware[rows], notes = time[rows], True, notes + said
    return time, local, known, aware, notes, undecided


def _match(text: pa.Array, pattern: str) -> Flags:
    found: Flags = pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False)
    return found


def _whole(texts: pa.Array) -> Longs | None:
    try:
        found: Longs = texts.cast(pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    return found


def _counted(
    value: NDArray[np.float64], some: Flags, exact: Longs | None
) -> tuple[Longs, Flags, tuple[str, ...]]:
    """Read counts since 1970; whether of seconds, milliseconds or less is told by their size."""
    if not some.any():
        return np.zeros(len(value), np.int64), some, ()
    size = float(np.median(np.abs(value[some])))
    if size < _OLDEST:
        return np.zeros(len(value), np.int64), np.zeros(len(value), bool), ()
    factor, name = next(
        ((factor, name) for least, factor, name in _EPOCHS if size < least), (1, "nanoseconds")
    )
    fits = some & (np.abs(value) * factor < _SEPTEMBER_2262)
    if exact is not None:
        time = np.where(fits, exact, 0) * factor
    else:
        bare = np.where(fits, value, 0.0)
        whole = np.floor(bare)
        rest = np.round((bare - whole) * factor / 1000).astype(np.int64) * 1000  # floats tell microseconds
        time = whole.astype(np.int64) * factor + rest
    return time, fits, (f"stamps are read as {name} since 1970 in UTC",)


def _fields(fields: pa.Array, pattern: str) -> dict[str, Longs]:
    """Return the parts of matches as whole numbers ``[row]``, 0 where a part is missing."""
    named = {field.name: pc.struct_field(fields, field.name) for field in fields.type}
    parts = {name: _integer(named[name]) for name in ("y", "a", "H", "M", "S")}
    if pattern in (_NAMED, _NAME_FIRST):
        month = pc.index_in(pc.utf8_slice_codeunits(pc.utf8_lower(named["n"]), 0, 3), pa.array(_MONTHS))
        parts["b"] = pc.fill_null(month, -1).to_numpy(zero_copy_only=False) + 1
    else:
        parts["b"] = _integer(named["b"])
    parts["y"] = np.where(parts["y"] < 100, parts["y"] + np.where(parts["y"] < 70, 2000, 1900), parts["y"])
    parts["f"] = _integer(pc.utf8_rpad(named["f"], 9, "0"))
    half = pc.utf8_slice_codeunits(pc.utf8_lower(named["p"]), 0, 1)
    later, earlier = (pc.equal(half, one).to_numpy(zero_copy_only=False) for one in "pa")
    parts["half"] = (later | earlier).astype(np.int64)
    hour = parts["H"]
    parts["H"] = np.where(later & (hour < 12), hour + 12, np.where(earlier & (hour == 12), 0, hour))
    return parts | _zone(named["z"])


def _integer(text: pa.Array) -> Longs:
    filled = pc.if_else(pc.equal(text, ""), "0", text)
    found: Longs = filled.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return found


def _zone(text: pa.Array) -> dict[str, Longs]:
    """Read offsets such as ``+02:00``; Z, UTC and GMT are none."""
    aware = pc.not_equal(text, "").to_numpy(zero_copy_only=False)
    digits = pc.replace_substring_regex(text, r"[^\d]", "")
    digits = pc.utf8_rpad(digits, 4, "0")
    number = _integer(digits)
    minutes = number // 100 * 60 + number % 100
    minus = pc.starts_with(text, "-").to_numpy(zero_copy_only=False)
    return {"offset": np.where(minus, -minutes, minutes), "aware": aware.astype(np.int64)}


def _valid(parts: dict[str, Longs]) -> Flags:
    """Tell which are moments of the calendar; 24:00 is the end of a day."""
    year, month, day = parts["y"], parts["b"], parts["a"]
    fits = (year >= 1700) & (year < 2262) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    safe = np.where(fits, 1, 0)
    months = (np.where(fits, year - 1970, 0) * 12 + (month - 1) * safe).astype("datetime64[M]")
    length = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    end = (parts["H"] == 24) & (parts["M"] == 0) & (parts["S"] == 0)
    clock = ((parts["H"] < 24) | end) & (parts["M"] < 60) & (parts["S"] < 60)
    found: Flags = fits & (day <= length) & clock & (np.abs(parts["offset"]) <= 18 * 60)
    return found


def _compose(parts: dict[str, Longs]) -> Longs:
    """Return nanoseconds; what is not valid comes out as anything."""
    good = _valid(parts)
    months = np.where(good, (parts["y"] - 1970) * 12 + parts["b"] - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64) + np.where(good, parts["a"] - 1, 0)
    seconds = (parts["H"] * 60 + parts["M"] - parts["offset"]) * 60 + parts["S"]
    found: Longs = days * DAY_NS + np.where(good, seconds, 0) * SECOND_NS + np.where(good, parts["f"], 0)
    return found


def _order(
    parts: dict[str, Longs], texts: pa.Array, dates: Dates | None
) -> tuple[bool, tuple[str, ...], str | None]:
    """Tell whether months stand first in dates such as 01/02/2024, and what to say of it.

    A number above 12 tells; if there is none, the order that gives the steadier steps is taken.
    """
    if dates is not None:
        return dates == "mdy", (), None
    first, second = int((parts["a"] > 12).sum()), int((parts["b"] > 12).sum())
    if first or second:
        return second > first, (), None
    apart = parts["a"] != parts["b"]
    if not apart.any() or _match(texts, r"^\d+\.\d+\.").all():  # with points the day stands first
        return False, (), None
    example = texts[int(np.argmax(apart))].as_py()
    swapped = parts | {"a": parts["b"], "b": parts["a"]}
    steady, other = _steadiness(_compose(parts)), _steadiness(_compose(swapped))
    if steady == other:
        return False, (), example
    mdy = other > steady
    says = f"{example} is read with the {'month' if mdy else 'day'} first, as steps are steadier so"
    return mdy, (f"{says}; if that is wrong, say --dates {'dmy' if mdy else 'mdy'}",), None


def _steadiness(time: Longs) -> float:
    """Return the share of steps that are the commonest one."""
    step = np.diff(np.unique(time))
    if not len(step):
        return 0.0
    return float(np.unique(step, return_counts=True)[1].max() / len(step))


def to_utc(local: Longs, series: Longs, zone: str) -> tuple[Longs, Flags]:
    """Turn what local clocks showed into UTC, and tell the rows whose hour the clocks skipped.

    ``local`` and ``series`` are ``[row]``, in the order of the file. In the hour that comes twice
    the first row of a stamp, series by series, is summer time and the second winter time (the other
    way round in a series that runs backwards). Clocks change on whole hours of UTC.
    """
    early = local - zone_offset_ns(zone, local - DAY_NS)
    late = local - zone_offset_ns(zone, local + DAY_NS)
    fits_early = early + zone_offset_ns(zone, early) == local
    fits_late = late + zone_offset_ns(zone, late) == local
    time = np.where(fits_early, early, late)
    twice = np.flatnonzero(fits_early & fits_late & (early != late))
    if len(twice):
        again = _again(local, series, twice)
        time[twice[again]] = late[twice[again]]
    return time, ~(fits_early | fits_late)


def _again(local: Longs, series: Longs, rows: Longs) -> Flags:
    """Tell which of the rows repeat a stamp of their series that came before in time."""
    order = np.lexsort((np.arange(len(local)), series))
    step = np.diff(local[order])
    same = series[order][1:] == series[order][:-1]
    falls = np.bincount(series[order][1:], weights=same * (np.sign(step) < 0), minlength=series.max() + 1)
    rises = np.bincount(series[order][1:], weights=same * (np.sign(step) > 0), minlength=series.max() + 1)
    backward = (falls > rises)[series[rows]]
    rank = np.where(backward, -rows, rows)
    ranked = np.lexsort((rank, local[rows], series[rows]))
    sorted_local, sorted_series = local[rows][ranked], series[rows][ranked]
    again = np.zeros(len(rows), dtype=bool)
    again[ranked[1:]] = (sorted_local[1:] == sorted_local[:-1]) & (sorted_series[1:] == sorted_series[:-1])
    return again
