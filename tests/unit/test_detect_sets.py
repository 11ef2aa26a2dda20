"""Readers of the detection sets, on small files in the layout of the real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from nervure.core.error import DataError
from nervure.core.instant import SECOND_NS, iso
from nervure.learn.detect import body, machine, stream, structure
from nervure.learn.detect.sets import SETS, open_set
from tests import made_detect


@pytest.fixture(name="data", autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NERVURE_DATA", str(tmp_path / "data"))
    return made_detect.write(tmp_path / "data")


def test_every_set_opens_by_name_and_says_what_is_missing(tmp_path: Path) -> None:
    for name in SETS:
        assert open_set(name) is not None
        with pytest.raises(DataError, match="is not here") as caught:
            open_set(name, tmp_path / "elsewhere")
        assert "NERVURE_DATA" in str(caught.value)
        assert "elsewhere" in str(caught.value)
    with pytest.raises(DataError, match="there is no set 'mars'"):
        open_set("mars")


def test_skab_trains_on_four_hundred_rows_of_each_run() -> None:
    parts = stream.skab()
    assert [one.train[0].name for one in parts] == ["valve1/0", "other/1"]
    for one in parts:
        assert len(one.train[0]) == 400
        assert len(one.test[0]) == 100
        assert one.test[0].events.tolist() == [[50, 80]]
        assert one.test[0].time[0] - one.train[0].time[-1] == SECOND_NS
    free = stream.skab_normal()
    assert free.label is None
    assert len(free) == 500


def test_nab_knows_its_windows_by_row(data: Path) -> None:
    first, second = stream.nab()
    assert first.windows.tolist() == [[60, 79], [150, 159]]
    assert first.block.events.tolist() == [[60, 80], [150, 160]]
    assert second.windows.shape == (0, 2)
    assert first.probation == 30
    path = data / "industrial/nab/combined_windows.json"
    labels = json.loads(path.read_text())
    path.write_text(json.dumps({**labels, "real/b.csv": [["2020-01-01 00:00:00", "2020-01-01 01:00:00"]]}))
    with pytest.raises(DataError, match=r"window of real/b.csv ends at 2020-01-01 00:00:00, where no row is"):
        stream.nab()
    path.write_text(json.dumps({"real/a.csv": []}))
    with pytest.raises(DataError, match=r"'real/b\.csv' has no rows, or no labels"):
        stream.nab()
    path.write_text("no")
    with pytest.raises(DataError, match="cannot be read"):
        stream.nab()


def test_gecco_is_cut_in_time_and_no_event_is_cut() -> None:
    parts = stream.gecco()
    blocks = [parts.train[0], parts.calibrate[0], parts.test[0]]
    assert [len(one) for one in blocks] == [130, 50, 120], "the cut at row 120 falls into an event"
    time = np.concatenate([one.time for one in blocks])
    assert set(np.diff(time).tolist()) == {60 * SECOND_NS}, "the hour that comes twice is told apart"
    assert iso(int(time[0])) == "2016-10-29T23:00:00Z"
    assert parts.train[0].events.tolist() == [[110, 130]]
    with pytest.raises(DataError, match="leave a part of GECCO empty"):
        stream.gecco(fit=0.4, calibrate=0.6)


def test_batadal_keeps_what_is_unknown_apart() -> None:
    found = stream.batadal()
    assert found.train1.label is not None
    assert found.train2.label is not None
    assert set(found.train1.label.tolist()) == {0}
    assert set(found.train2.label.tolist()) == {-1, 1}
    assert found.attacks.tolist() == [[10, 20], [40, 50]] == found.test.events.tolist()
    assert found.statuses == ("S_PU1",)


def test_a_station_without_labels() -> None:
    parts = stream.canary()
    blocks = [parts.train[0], parts.calibrate[0], parts.test[0]]
    assert [len(one) for one in blocks] == [20, 10, 10]
    assert all(one.label is None for one in blocks)
    assert np.isnan(blocks[0].value[5, 0])
    assert iso(int(blocks[1].time[0])) == "2006-02-21T06:40:00Z"


def test_engines_run_down_and_are_cut_off(data: Path) -> None:
    fleet = machine.cmapss("FD003")
    assert [len(one) for one in fleet.train] == [60] * 6
    assert [len(one) for one in fleet.test] == [30, 30]
    assert fleet.rul.tolist() == [40, 150]
    assert machine.remaining(fleet.train[0]).tolist() == list(range(59, -1, -1))
    assert machine.remaining(fleet.train[0], clip=50)[:10].tolist() == [50.0] * 10
    assert fleet.train[0].group != fleet.test[0].group, (
        "unit 1 of test is another engine than unit 1 of train"
    )
    path = data / "predictive_maintenance/cmapss/RUL_FD003.csv"
    path.write_text("unit,rul\n2,150\n1,40\n")
    assert machine.cmapss("FD003").rul.tolist() == [40, 150], "by unit, not by line"
    path.write_text("unit,rul\n1,40\n")
    with pytest.raises(DataError, match="1 remaining lives for 2 engines"):
        machine.cmapss("FD003")


def test_the_normal_recording_is_not_among_the_bearings() -> None:
    recordings = machine.cwru()
    assert len(recordings) == 18
    assert {one.fault for one in recordings} == {"IR", "B", "OR"}
    assert {one.position for one in recordings if one.fault == "OR"} == {"6"}
    assert {one.block.group for one in recordings if one.fault == "IR"} == {"DE-IR-7", "DE-IR-14", "DE-IR-21"}
    assert np.abs(recordings[0].block.value).max() <= 1.0, "in g"
    assert recordings[0].block.time[12] == SECOND_NS // 1000


def test_bearings_have_statistics_and_spectra_and_are_cut_as_in_the_challenge() -> None:
    bearings = machine.pronostia()
    assert [one.block.name for one in bearings] == ["1_1", "2_1", "2_7"]
    assert bearings[0].block.value.shape == (50, 138)
    assert bearings[0].left_s[[0, -1]].tolist() == [490, 0]
    learn, test = machine.challenge(bearings)
    assert [one.block.name for one in learn] == ["1_1", "2_1"]
    assert len(test[0].block) == 172
    assert test[0].left_s[-1] == 280


def test_noise_is_added_at_the_level_that_was_asked_for() -> None:
    clean, noisy, again = structure.peer(), structure.peer(noise_db=20), structure.peer(noise_db=20)
    ratio = [
        10
        * np.log10(
            (one.block.value**2).mean(axis=0) / ((two.block.value - one.block.value) ** 2).mean(axis=0)
        )
        for one, two in zip(clean, noisy, strict=True)
    ]
    assert np.allclose(np.mean(ratio), 20, atol=0.3)
    assert all(np.array_equal(a.block.value, b.block.value) for a, b in zip(noisy, again, strict=True))
    other = structure.peer(noise_db=20, seed=1)
    assert not np.array_equal(noisy[0].block.value, other[0].block.value)
    assert {(one.state, one.storey, one.left) for one in clean} >= {("Undamage", 0, 1.0), ("2_90%", 2, 0.9)}


def test_the_bridge_is_on_one_grid_with_the_dates_put_right() -> None:
    segments = structure.munich()
    assert [(one.block.name, one.role, one.lowering) for one in segments] == [
        ("ReferenceState", "reference", 0),
        ("ref_support_load_01", "reference", 0),
        ("support_01_lowering_01", "during", 1),
        ("support_load_01", "after", 1),
    ]
    assert segments[0].block.channels == ("Air Temperature", "DMS_CN", "FRC-01")
    assert iso(int(segments[1].block.time[0])) == "2022-04-11T08:36:00Z"
    assert len(segments[1].block) == 10
    assert np.isnan(segments[0].block.value[:, 0]).all()
    assert np.allclose(segments[1].block.value[:, 0], 2.0, atol=0.1), "from the other logger, by its stamps"
    assert np.allclose(segments[3].block.value[:, 2], 215, atol=0.1)
    assert len(structure.munich(every="5s")[1].block) == 2


def test_recordings_in_stretches() -> None:
    found = structure.lanl()
    assert found.block.value.shape == (60, 3)
    assert found.stretch == tuple(str(row // 10) for row in range(60))


def test_beats_with_their_rhythm(data: Path) -> None:
    beats = body.mitbih("DS1")
    assert len(beats) == 20
    assert set(beats.record.tolist()) == {"101", "106"}
    assert beats.window.shape == (20, 128)
    assert beats.aami.tolist().count("V") == 2
    assert np.allclose(beats.rr, 1.0), "a beat a second, and shares of the mean"
    signal = np.load(data / "health/mitbih_mlii_125hz/signals.npz")["101"] / 800
    assert np.array_equal(beats.window[3, 48:], signal[beats.sample[3] : beats.sample[3] + 80])
    assert (beats.window[0, :13] == signal[0]).all(), "the start is held"
    with pytest.raises(DataError, match="no beats of 'DS3'"):
        body.mitbih("DS3")  # type: ignore[arg-type]


def test_intervals_but_the_next_look_back_only() -> None:
    second = np.array([0.0, 1.0, 1.5, 3.5])
    rr = body._rr(second)
    assert rr[:, 0].tolist() == [1.0, 1.0, 0.5, 2.0]
    assert rr[:, 1].tolist() == [1.0, 0.5, 2.0, 2.0]
    assert rr[2, 2] == pytest.approx(0.5 / (2.5 / 3))
    for cut in (2, 3):
        assert np.allclose(body._rr(second[:cut])[:, [0, 2, 3]], rr[:cut][:, [0, 2, 3]])


def test_falls_in_physical_units(data: Path) -> None:
    motions = body.sisfall()
    assert len(motions) == 11
    assert sum(one.fall for one in motions) == 4
    assert sum(one.elderly for one in motions) == 3
    raw = pa.parquet.read_table(data / "health/sisfall/sisfall_25hz.parquet").to_pylist()[50]
    first = motions[1].block.value[0]
    assert first[0] == pytest.approx(raw["ax"] * 32 / 8192)
    assert first[5] == pytest.approx(raw["gz"] * 4000 / 65536)


def test_a_fall_is_looked_at_about_its_peak(data: Path) -> None:
    motion = body.sisfall(data)[1]
    for peak, start in ((0, 0), (20, 15), (49, 40)):
        value = np.zeros((50, 6))
        value[:, 3] = np.arange(50)
        value[peak, 1] = -5.0
        one = msgspec.structs.replace(motion, block=msgspec.structs.replace(motion.block, value=value))
        assert body.about_peak(one, 10)[:, 3].tolist() == list(range(start, start + 10))
    with pytest.raises(DataError, match="SA01 F01 1 has 50 rows, fewer than 75"):
        body.about_peak(motion)


def test_files_that_are_not_as_they_should_be(data: Path) -> None:
    pa.parquet.write_table(pa.table({"file": ["a"]}), data / "industrial/skab/skab.parquet")
    with pytest.raises(DataError, match="no column 'datetime'"):
        stream.skab()
    (data / "shm/peer_rc_frame/rc_frame_dec4.npz").write_bytes(b"no")
    with pytest.raises(DataError, match=r"cannot read rc_frame_dec4\.npz"):
        structure.peer()
    strange: dict[str, Any] = {"4_80%|1": np.zeros((4, 4), np.int16)}
    np.savez(data / "shm/peer_rc_frame/rc_frame_dec4.npz", **strange)
    with pytest.raises(DataError, match=r"'4_80%\|1' is of no known state"):
        structure.peer()
