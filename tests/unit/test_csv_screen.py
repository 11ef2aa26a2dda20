"""Values of a file that cannot be, or that a person should know of: rejected by line, or said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS, iso
from nervure.learn.own.ask import Asked
from nervure.learn.own.data import Own, open_own
from nervure.learn.task import pose, samples

START = int(np.datetime64("2024-01-01T00:00", "ns").astype(np.int64))


def warm(count: int = 1000) -> list[Any]:
    random = np.random.default_rng(1)
    found: list[Any] = (
        (20 + 7 * np.sin(np.arange(count) / 4) + random.normal(0, 0.5, count)).round(2).tolist()
    )
    return found


def opened(folder: Path, *series: Sequence[Any] | NDArray[Any], step: int = HOUR_NS, **asked: Any) -> Own:
    lines = [
        f"{name},{iso(START + row * step)},{value}"
        for name, values in zip("abcdef", series, strict=False)
        for row, value in enumerate(values)
    ]
    path = folder / "own.csv"
    path.write_text("\n".join(["unique_id,ds,y", *lines]) + "\n")
    return open_own(Asked(file=path, **asked))


def said(own: Own, *words: str) -> bool:
    return any(all(word in note for word in words) for note in own.notes)


@pytest.mark.parametrize("absurd", [99999, 1e9, -99998, -1e9])
def test_one_absurd_cell_is_rejected_and_named(tmp_path: Path, absurd: float) -> None:
    values = warm()
    values[500] = absurd
    own = opened(tmp_path, values, warm())
    (one,) = own.rejected
    assert (one.line, one.column, float(one.value)) == (502, "y", absurd)
    assert one.reason.startswith("lies far from all others of its series, 1")
    option = "--high" if absurd > 0 else "--low"
    assert said(own, "line 502", f"{absurd:g}", "'a'", f"to keep it say {option} {absurd:.10g}")
    assert np.isnan(own.dataset.table.value[500, 0])
    asked: dict[str, Any] = {option[2:]: absurd}
    kept = opened(tmp_path, values, warm(), **asked)
    assert kept.rejected == ()
    assert kept.dataset.table.value[500, 0] == absurd


def test_three_spikes_in_a_short_series_are_found(tmp_path: Path) -> None:
    values = warm(400)
    for row in (50, 51, 300):
        values[row] = 12345.0
    own = opened(tmp_path, values)
    assert [one.line for one in own.rejected] == [52, 53, 302]
    assert said(own, "12345 and 2 more")


def test_series_with_a_long_tail_keep_what_is_large(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    rain = np.where(random.random(2000) < 0.05, random.exponential(1.0, 2000).round(1), 0.0)
    storm = rain.copy()
    storm[700] = 300.0
    counts = random.poisson(0.02, 2000)
    lognormal = np.exp(random.normal(0, 2, 2000)).round(3)
    own = opened(tmp_path, rain, storm, counts, lognormal)
    assert own.rejected == ()
    assert own.dataset.table.value[700, 1] == 300
    assert said(own, "300 of 'b' lies far", "is kept")


def test_a_cell_that_is_all_that_moves_is_no_life(tmp_path: Path) -> None:
    values = [4.0] * 1000
    values[300] = 99999.0
    own = opened(tmp_path, warm(), values)
    assert own.dropped == {"b": "it always shows 4"}
    assert [one.value for one in own.rejected] == ["99999.0"]


def test_one_sensor_stuck_at_0_is_no_bound_for_the_others(tmp_path: Path) -> None:
    values = warm()
    values[:300] = [0.0] * 300
    own = opened(tmp_path, warm(), warm(), values)
    assert own.solution.signals[0].low is None
    assert said(own, "no reading is below 0", "say --low 0")


def test_a_run_of_high_readings_is_no_spike(tmp_path: Path) -> None:
    values = warm()
    values[400:420] = [5000.0] * 20
    assert opened(tmp_path, values).rejected == ()


def test_an_absurd_cell_of_a_driver_is_rejected_too(tmp_path: Path) -> None:
    lines = [f"{iso(START + row * HOUR_NS)},{value},{value}" for row, value in enumerate(warm())]
    lines[9] = lines[9].rpartition(",")[0] + ",1e9"
    (tmp_path / "own.csv").write_text("\n".join(["ds,y,temp", *lines]))
    own = open_own(Asked(file=tmp_path / "own.csv", past=("temp",), high=100.0))
    assert [(one.line, one.column, one.value) for one in own.rejected] == [(11, "temp", "1e9")]


def test_what_is_out_of_bounds_is_rejected_by_line(tmp_path: Path) -> None:
    values = warm()
    values[10], values[20], values[30] = 41.0, -1.0, 45.0
    own = opened(tmp_path, values, low=0.0, high=40.0)
    assert [(one.line, one.value, one.reason) for one in own.rejected] == [
        (12, "41.0", "lies above --high 40"),
        (22, "-1.0", "lies below --low 0"),
        (32, "45.0", "lies above --high 40"),
    ]
    assert said(own, "2 cells of column 'y': lies above --high 40")
    assert own.dataset.hidden == 0


def test_bounds_that_take_much_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lies above --high 20 \(line \d+: '2[\s\S]*at .*own.csv[\s\S]*unit"):
        opened(tmp_path, warm(), high=20.0)
    with pytest.raises(DataError, match=r"1,000 of 1,000 rows cannot be used: lies below --low 1000"):
        opened(tmp_path, warm(), low=1000.0)


def test_a_series_whose_test_part_is_out_of_bounds_is_left_out(tmp_path: Path) -> None:
    values = warm()
    values[600:] = [90.0] * 400
    own = opened(tmp_path, warm(), warm(), values, high=50.0)
    assert list(own.dropped) == ["c"]
    assert "before the test part" in own.dropped["c"]
    with pytest.raises(DataError, match="lies above --high 50"):
        opened(tmp_path, values, high=50.0)
    values = warm()
    values[850:] = [90.0] * 150
    alone = opened(tmp_path, values, high=50.0)
    assert len(samples(pose(alone.dataset, split=alone.split), "test"))


def test_bounds_are_those_of_the_sum_where_sums_are_learned(tmp_path: Path) -> None:
    values = [float(row % 24) for row in range(4 * 600)]
    values[0:4] = [500.0] * 4
    own = opened(tmp_path, values, step=HOUR_NS // 4, every="1h", resample="sum", low=5.0, high=900.0)
    assert said(own, "1 sums (2000, say) are left out: each lies above --high 900")
    assert own.dataset.hidden == 0
    with pytest.raises(DataError, match="sums cannot be used: a sum lies below --low 50"):
        opened(tmp_path, values, step=HOUR_NS // 4, every="1h", resample="sum", low=50.0)


def test_whole_degrees_of_a_mild_winter_are_not_bounded_by_0(tmp_path: Path) -> None:
    degrees = [max(0, round(value - 13)) for value in warm(2000)]
    degrees = [one if one or row % 4 == 0 else 1 for row, one in enumerate(degrees)]
    own = opened(tmp_path, degrees)
    assert own.dataset.table.value.min() == 0
    assert own.solution.signals[0].low is None
    assert said(own, "no reading is below 0", "say --low 0")
    assert not said(opened(tmp_path, degrees, low=0.0), "say --low")


def test_a_bound_at_0_is_said_with_the_way_out(tmp_path: Path) -> None:
    counts = [max(0.0, round(value - 20, 2)) for value in warm()]
    own = opened(tmp_path, counts)
    assert own.solution.signals[0].low == 0
    assert said(own, "0 is taken for the least that is possible", "say --low")
    assert opened(tmp_path, counts, low=-40.0).solution.signals[0].low == -40


def test_stamps_that_come_twice_with_different_values_are_said(tmp_path: Path) -> None:
    lines = [f"a,{iso(START + row * HOUR_NS)},{value}" for row, value in enumerate(warm(400))]
    again = [line.rpartition(",")[0] + ",3" for line in lines[:45]]
    same = lines[100:]
    (tmp_path / "own.csv").write_text("\n".join(["unique_id,ds,y", *lines, *again, *same]))
    own = open_own(Asked(file=tmp_path / "own.csv"))
    assert said(own, "45 stamps are there twice", "lines 2 and 402: the last counts")
    assert not said(own, "--zone")
    assert not said(own, "their mean is learned")
    assert own.dataset.table.value[0, 0] == 3


def test_the_hour_that_autumn_doubles_is_said_where_the_zone_is_not_known(tmp_path: Path) -> None:
    hours = [f"2024-10-27 {hour:02}:00" for hour in (0, 1, 2, 2, *range(3, 24))]
    hours = [f"2024-10-{day} {hour:02}:00" for day in range(10, 27) for hour in range(24)] + hours
    lines = [f"{stamp},{value}" for stamp, value in zip(hours, warm(len(hours)), strict=True)]
    (tmp_path / "own.csv").write_text("\n".join(["ds,y", *lines]))
    own = open_own(Asked(file=tmp_path / "own.csv"))
    first = 2 + 17 * 24 + 2
    assert said(own, "1 stamps are there twice", f"lines {first} and {first + 1}", "name their --zone")
    assert not said(open_own(Asked(file=tmp_path / "own.csv", zone="Europe/Rome")), "are there twice")


def test_a_series_that_never_moves_in_the_test_part_is_said(tmp_path: Path) -> None:
    values = warm()
    values[700:] = [0.0] * 300
    own = opened(tmp_path, warm(), values, low=-5.0)
    assert said(own, "1 of 2 series always show the same in the test part", "'b' (0)")
    assert not said(opened(tmp_path, warm()), "always show the same")


def test_a_counter_too_large_for_its_steps_is_said(tmp_path: Path) -> None:
    meter = (123_456_789 + np.cumsum(np.full(1000, 0.2))).round(1).tolist()
    meter[5] = meter[4]
    assert said(opened(tmp_path, meter), "'a'", "123,456,98", "float32", "the difference")
    assert not said(opened(tmp_path, warm()), "float32")
