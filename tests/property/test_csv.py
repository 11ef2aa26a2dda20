"""No reading of a file is lost: each row is used, or rejected with its line and a reason."""

from __future__ import annotations

import csv
import io
import math
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS, iso
from nervure.learn.own.ask import Asked, Resample
from nervure.learn.own.moment import to_utc
from nervure.learn.own.plan import Step, resampled
from nervure.learn.own.reading import MOST_REJECTED, Readings, read_file

START = 1_704_067_200 * 10**9
EMPTY = ("", "NaN", "NA", "null", "-")
NAMES = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\n\r\x00\ufeff"),
    min_size=1,
    max_size=9,
).filter(lambda text: text.strip() == text and text.casefold() not in {"nan", "na", "null", "none", "nil"})
GOOD = st.floats(-1e9, 1e9).filter(lambda value: value not in (-999.0, -999.9, -9999.0, -9999.9, -99999.0))
CELLS = st.one_of(
    GOOD.map(repr), st.sampled_from(EMPTY), st.sampled_from(["broken", "1.2.3", "inf", "0x10", "12 V"])
)
TIMES = st.one_of(
    st.integers(0, 400).map(lambda hour: iso(START + hour * HOUR_NS)),
    st.sampled_from(["never", "2024-02-30T00:00:00Z", ""]),
)
ROW = st.tuples(st.one_of(NAMES, st.just("")), TIMES, CELLS).filter(any)  # one without a word is no row
ROWS = st.lists(ROW, min_size=1, max_size=40)


def _read(rows: list[tuple[str, ...]], separator: str) -> Readings:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerows([("unique_id", "ds", "y"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "own.csv"
        path.write_text(text.getvalue(), "utf-8", newline="")
        return read_file(Asked(file=path, time="ds", id="unique_id", target="y"))


def _good(row: tuple[str, str, str]) -> bool:
    name, time, value = row
    return bool(name) and time.endswith("Z") and "02-30" not in time and _value(value) is not None


def _value(cell: str) -> float | None:
    if cell in EMPTY:
        return math.nan
    try:
        found = float(cell)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


@settings(max_examples=80, deadline=None)
@given(ROWS, st.sampled_from(",;\t|"))
def test_every_row_is_used_or_rejected_with_a_reason(
    rows: list[tuple[str, str, str]], separator: str
) -> None:
    bad = [number for number, row in enumerate(rows, 2) if not _good(row)]
    try:
        found = _read(list(rows), separator)
    except DataError as cause:
        refused = str(cause)
    else:
        refused = ""
    if refused:
        assert len(bad) > MOST_REJECTED * len(rows) or not any(_good(row) for row in rows)
        assert "cannot be used" in refused
        assert "line" in refused
        return
    assert len(bad) <= MOST_REJECTED * len(rows)
    assert sorted({one.line for one in found.rejected}) == bad
    assert all(one.reason for one in found.rejected)
    wanted = sorted((name, time, repr(_value(value))) for name, time, value in filter(_good, rows))
    used = sorted(
        (found.series[place], iso(int(time)), repr(value))
        for place, time, value in zip(found.place, found.time, found.value[:, 0].tolist(), strict=True)
    )
    rejected_values = [row for number, row in enumerate(rows, 2) if number in bad and row[1].endswith("Z")]
    assert [one for one in used if one in wanted] == wanted
    assert len(used) <= len(wanted) + len(rejected_values)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.floats(-1e6, 1e6)), min_size=1, max_size=60)
)
def test_a_slot_holds_what_was_read_last_or_the_mean(rows: list[tuple[int, int, float]]) -> None:
    order = sorted(rows, key=lambda row: row[1])
    readings = Readings(
        columns=None,  # type: ignore[arg-type]  # no column is looked at
        series=("a", "b", "c", "d"),
        signals=("y",),
        place=np.array([row[0] for row in order]),
        time=np.array([row[1] * 10**9 for row in order]),
        value=np.array([[row[2]] for row in order]),
        rows=len(rows),
        empty=0,
        naive=False,
        rejected=(),
        notes=(),
    )
    slots: dict[tuple[int, int], dict[int, float]] = {}
    for place, second, value in order:
        slots.setdefault((place, second // 10), {})[second] = value
    ways: tuple[Resample, ...] = ("last", "mean")
    for how in ways:
        places, numbers, found = resampled(readings, Step(every_ns=10 * 10**9, resample=how))
        assert list(zip(places.tolist(), numbers.tolist(), strict=True)) == sorted(slots)
        for row, key in enumerate(sorted(slots)):
            kept = list(slots[key].values())
            wanted = kept[-1] if how == "last" else sum(kept) / len(kept)
            assert math.isclose(found[row, 0], wanted, rel_tol=1e-9, abs_tol=1e-6)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(["Europe/Rome", "America/New_York", "Asia/Tokyo", "America/Sao_Paulo"]),
    st.integers(0, 24 * 365 * 2),
    st.integers(1, 4),
)
def test_local_stamps_of_many_months_come_back_to_the_hours_they_were(
    zone: str, first: int, series: int
) -> None:
    from nervure.core.calendar import zone_offset_ns

    start = np.datetime64("2012-01-01T00", "ns").astype(np.int64) + first * HOUR_NS
    hours = start + np.arange(24 * 220) * HOUR_NS
    local = np.repeat(hours + zone_offset_ns(zone, hours), series)
    place = np.tile(np.arange(series), len(hours))
    found, skipped = to_utc(local, place, zone)
    edge = 2 * series  # what repeats before the first row cannot be known
    assert not skipped.any()
    assert np.array_equal(found[edge:-edge], np.repeat(hours, series)[edge:-edge])
