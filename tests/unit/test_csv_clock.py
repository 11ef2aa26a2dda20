"""Stamps of a file to slots: days as people count them, clocks that waver, dates without marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from nervure.core.calendar import zone_offset_ns
from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS, iso
from nervure.learn.own.ask import Asked
from nervure.learn.own.data import Own, open_own
from nervure.learn.own.moment import moments

START = int(np.datetime64("2023-01-01T00:00", "ns").astype(np.int64))
DAYS = 400


def opened(folder: Path, stamps: list[str], values: list[float] | None = None, **asked: Any) -> Own:
    numbers = [float(row % 7 + row / 1000) for row in range(len(stamps))] if values is None else values
    lines = [f"{stamp},{value}" for stamp, value in zip(stamps, numbers, strict=True)]
    (folder / "own.csv").write_text("\n".join(["ds,y", *lines]) + "\n")
    return open_own(Asked(file=folder / "own.csv", **asked))


def dates(own: Own) -> list[str]:
    table = own.dataset.table
    return [iso(int(slot) * DAY_NS)[:10] for slot in table.slots]


def local(time: int, zone: str) -> tuple[str, str]:
    """Return what clocks show, and their offset as it is written."""
    offset = int(zone_offset_ns(zone, np.array([time]))[0])
    sign, minutes = "-" if offset < 0 else "+", abs(offset) // (60 * SECOND_NS)
    return iso(time + offset)[:19], f"{sign}{minutes // 60:02}:{minutes % 60:02}"


def midnights(zone: str) -> list[int]:
    """Return when days begin in the zone, as UTC."""
    days = START + np.arange(DAYS) * DAY_NS
    return [int(day - zone_offset_ns(zone, np.array([day]))[0]) for day in days]


WANTED = [iso(START + day * DAY_NS)[:10] for day in range(DAYS)]


@pytest.mark.parametrize("every", [None, "1d"], ids=["found", "asked"])
@pytest.mark.parametrize("zone", ["Europe/Rome", "America/New_York", "Australia/Sydney"])
@pytest.mark.parametrize("way", ["offset", "offset and zone", "naive", "naive and zone", "utc and zone"])
def test_days_stay_the_local_days(tmp_path: Path, way: str, zone: str, every: str | None) -> None:
    stamps = ["".join(local(time, zone)) for time in midnights(zone)]
    if way.startswith("naive"):
        stamps = [stamp[:19] for stamp in stamps]
    elif way.startswith("utc"):
        stamps = [iso(time) for time in midnights(zone)]
    own = opened(tmp_path, stamps, every=every, zone=zone if "zone" in way else None)
    assert dates(own) == WANTED
    assert not np.isnan(own.dataset.table.value).any()
    assert own.dataset.zone == "UTC"
    assert any("as of 00:00Z of that day" in note for note in own.notes)


def test_a_reading_in_the_morning_counts_for_its_own_day(tmp_path: Path) -> None:
    stamps = [f"{day} 06:00" for day in WANTED]
    own = opened(tmp_path, stamps, zone="Australia/Sydney", country="AU")
    assert dates(own) == WANTED
    assert not np.isnan(own.dataset.table.value).any()


def test_a_day_is_not_lost_with_the_hour_that_clocks_skip(tmp_path: Path) -> None:
    own = opened(tmp_path, [f"{day} 02:30" for day in WANTED], zone="Europe/Rome")
    assert own.rejected == ()
    assert dates(own) == WANTED
    assert not np.isnan(own.dataset.table.value).any()


def test_days_in_utc_stay_so_in_any_zone(tmp_path: Path) -> None:
    for zone in (None, "America/New_York"):
        assert dates(opened(tmp_path, [f"{day}T00:00:00Z" for day in WANTED], zone=zone)) == WANTED
    own = opened(tmp_path, [f"{day}T06:00:00Z" for day in WANTED])
    assert any("days begin at 00:00Z" in note for note in own.notes)


@pytest.mark.parametrize("way", ["utc", "offset", "naive", "offset alone"])
def test_hours_become_local_days(tmp_path: Path, way: str) -> None:
    begins = np.array([*midnights("Europe/Rome"), midnights("Europe/Rome")[-1] + DAY_NS])
    times = [*range(int(begins[0]), int(begins[-1]), HOUR_NS)]
    day = np.searchsorted(begins, times, side="right") - 1
    stamps = [iso(time) if way == "utc" else "".join(local(time, "Europe/Rome")) for time in times]
    if way == "naive":
        stamps = [stamp[:19] for stamp in stamps]
    zone = None if way == "offset alone" else "Europe/Rome"
    own = opened(tmp_path, stamps, [1.0] * len(times), every="1d", resample="sum", zone=zone, low=0.0)
    assert dates(own) == WANTED
    np.testing.assert_array_equal(own.dataset.table.value[:, 0], np.bincount(day))
    assert {23.0, 25.0} <= set(own.dataset.table.value[:, 0]), "as on the days on which clocks change"


def test_midnights_told_without_summer_time_stay_their_days(tmp_path: Path) -> None:
    stamps = [iso(time) for time in midnights("Europe/Lisbon")]
    assert {stamp[11:13] for stamp in stamps} == {"00", "23"}
    own = opened(tmp_path, stamps)
    assert dates(own) == WANTED
    assert any("waver" in note for note in own.notes)


def test_typed_stamps_know_their_zone(tmp_path: Path) -> None:
    for zone in ("Europe/Rome", "+01:00"):
        column = pa.array([time // SECOND_NS for time in midnights("Europe/Rome")], pa.timestamp("s", zone))
        table = pa.table({"ds": column, "y": np.arange(DAYS) % 7.0})
        pa.parquet.write_table(table, tmp_path / "own.parquet")
        assert dates(open_own(Asked(file=tmp_path / "own.parquet"))) == WANTED


@pytest.mark.parametrize("step", [HOUR_NS, HOUR_NS // 4], ids=["hours", "quarters"])
@pytest.mark.parametrize("early", [0.5, 0.01, 0.97])
def test_clocks_that_waver_lose_no_reading(tmp_path: Path, early: float, step: int) -> None:
    random = np.random.default_rng(0)
    count = 1200
    off = random.integers(1, 90, count) * np.where(random.random(count) < early, -1, 1)
    stamps = [iso(START + DAY_NS + row * step + int(off[row]) * SECOND_NS) for row in range(count)]
    own = opened(tmp_path, stamps, every="1h", resample="max")
    known = own.dataset.table.value[:, 0]
    assert not np.isnan(known).any()
    assert len(known) - count * step // HOUR_NS in (0, 1)
    assert any("waver about the start of a slot, by up to" in note for note in own.notes)


def test_readings_lost_in_a_shared_slot_are_counted(tmp_path: Path) -> None:
    stamps = [iso(START + row * HOUR_NS) for row in range(600)]
    stamps[1:1] = [iso(START + 20 * 60 * SECOND_NS)]
    own = opened(tmp_path, stamps)
    assert "1 readings share their slot of 1h with a later one, which counts" in own.notes


@pytest.mark.parametrize("minute", [0, 5, 30, 59])
def test_clocks_that_do_not_waver_stay(tmp_path: Path, minute: int) -> None:
    stamps = [iso(START + row * HOUR_NS + minute * 60 * SECOND_NS) for row in range(600)]
    own = opened(tmp_path, stamps)
    assert own.dataset.table.first * HOUR_NS == START
    assert not any("waver" in note for note in own.notes)


@pytest.mark.parametrize(
    ("style", "wrong"),
    [("%Y%m%d", "20240230"), ("%Y%m%d%H", "2024023000"), ("%Y%m%d%H%M", "202402300000"),
     ("%Y%m%d%H%M%S", "20240230000000")],
)  # fmt: skip
def test_dates_without_marks_are_dates_though_one_is_wrong(style: str, wrong: str) -> None:
    days = np.datetime64("2024-01-01") + np.arange(100)
    texts = [one.astype(object).strftime(style) for one in days]
    wanted = days.astype("datetime64[ns]").astype(np.int64).tolist()
    columns: list[Any] = [
        pa.array([*texts, wrong]),
        pa.array([int(one) for one in [*texts, wrong]]),
        pa.array([float(one) for one in [*texts, wrong]] + [None]),
    ]
    for column in columns:
        found = moments(column)
        assert found.time[:100].tolist() == wanted
        assert found.wrong["is no time stamp"].tolist() == [100]
        assert not found.aware.any()


def test_counts_since_1970_are_no_dates() -> None:
    seconds = 1_990_000_000 + np.arange(500) * 3_600
    for column in (pa.array(seconds), pa.array([str(one) for one in seconds])):
        found = moments(column)
        assert not found.wrong
        assert (found.time == seconds * SECOND_NS).all()
