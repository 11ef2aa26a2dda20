"""Skill, efficiency and crossings, held against plain sums; sets by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from nervure.core.error import DataError
from nervure.core.problem import Forecast
from nervure.learn import gefcom, skill
from nervure.learn.baseline import HistoricalAverage, LastValue
from nervure.learn.dataset import load
from nervure.learn.evaluate import forecast
from nervure.learn.sets import NAMES, open_set, rows_of
from nervure.learn.split import check
from nervure.learn.task import samples, truth, windows
from nervure.solutions import find
from tests import made, raw


def test_skill_of_the_last_value_is_nothing_and_of_the_truth_everything() -> None:
    random = np.random.default_rng(0)
    found, last = random.normal(size=(50, 3)), random.normal(size=50)
    found[random.random(found.shape) < 0.2] = np.nan
    for point, wanted in ((np.repeat(last[:, None], 3, axis=1), 0.0), (np.nan_to_num(found), 1.0)):
        for values in skill.skill(found, point, last):
            assert np.allclose(values, wanted)


def test_efficiency_is_one_less_error_over_variance_of_each_node() -> None:
    random = np.random.default_rng(1)
    found, point, node = random.normal(size=(40, 2)), random.normal(size=(40, 2)), np.arange(40) % 3
    found[5, 1] = np.nan
    each = skill.efficiency(found, point, node)
    for one in range(3):
        for step in range(2):
            own = (node == one) & ~np.isnan(found[:, step])
            a, b = found[own, step], point[own, step]
            assert np.isclose(each[one, step], 1 - ((a - b) ** 2).mean() / a.var())
    assert np.isnan(skill.efficiency(np.ones((4, 1)), np.ones((4, 1)), np.zeros(4, np.int64))).all()


def test_crossings_count_only_rises_from_below() -> None:
    found = np.array([[5.0], [5.0], [5.0], [1.0], [np.nan]])
    point = np.array([[5.0], [1.0], [5.0], [5.0], [5.0]])
    last, limit = np.array([1.0, 1.0, 9.0, 1.0, 1.0]), np.full(5, 4.0)
    rise = skill.crossings(found, point, last, limit)
    assert rise.happened.tolist() == [2], "the third is high already, the fifth was not read"
    assert rise.hit_rate.tolist() == [0.5]
    assert rise.false_alarms.tolist() == [0.5]
    none = skill.crossings(found, np.zeros((5, 1)), last, np.full(5, 99.0))
    assert np.isnan(none.hit_rate).all()
    assert np.isnan(none.false_alarms).all()


def test_a_flood_set_has_rows_of_its_own(tmp_path: Path) -> None:
    made.write(find("flood"), tmp_path)
    posed = open_set("flood", folder=tmp_path)
    task = posed.tasks[0]
    chosen = samples(task, "test", stride=50)
    y = forecast(task, LastValue().fit(task), chosen)
    rows = rows_of(posed, task, chosen, truth(task, chosen), y, subject="last value")
    by = {(row.metric, row.horizon): row.value for row in rows}
    assert {horizon for _, horizon in by} == {"1h", "3h", "6h"}
    assert by["skill_MAE", "3h"] == pytest.approx(0, abs=1e-6)
    assert by["hit_rate", "6h"] == 0, "the last value never sees a rise"
    assert by["NSE_worst", "1h"] <= by["NSE_median", "1h"] < 1
    assert {one.location for one in posed.dataset.things} == {(0.5, 40.0), (1.5, 41.0), (2.5, 42.0)}


def test_wind_has_a_variant_with_the_weather_known(tmp_path: Path) -> None:
    made.write(find("wind"), tmp_path)
    plain, known = (open_set(name, folder=tmp_path).tasks[0] for name in ("wind", "wind-weather"))
    assert plain.ahead.shape == (1, 0)
    assert known.ahead.shape == (1, 4)
    assert "reanalysis" in open_set("wind-weather", folder=tmp_path).note
    assert windows(known, samples(known, "test").take(slice(0, 2))).ahead is not None


def test_names_that_are_no_set_and_files_that_are_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NERVURE_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match="there is no set 'tram'"):
        open_set("tram")
    with pytest.raises(DataError, match="takes no file of your own"):
        open_set("crowd", file=tmp_path / "a.csv")
    with pytest.raises(DataError, match="bring your own file") as caught:
        open_set("metr-la")
    assert "metr-la.h5" in str(caught.value)
    assert "metr_la" in str(caught.value)


def test_a_benchmark_of_ones_own(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    np.savez(tmp_path / "pems08.npz", data=random.integers(0, 300, (600, 170, 3)))
    task = open_set("pems08", file=tmp_path / "pems08.npz").tasks[0]
    assert (task.nodes, task.window, task.horizon) == (170, 12, 12)
    assert task.split.train[-1] == 359
    assert "in time" in task.split.how


def test_a_month_of_the_competition_hides_its_power(tmp_path: Path) -> None:
    solution = find("solar")
    random = np.random.default_rng(0)

    def course(name: str, count: int) -> np.ndarray:
        one = solution.signal(name)
        return (
            random.uniform(0.2, 0.8, count) * (one.high or 1.0) if one.unit != "Cel" else np.full(count, 9.0)
        )

    files = raw.gefcom(solution, course, days=395)
    (tmp_path / "solar" / "gefcom2014_solar").mkdir(parents=True)
    for name, table in files.items():
        pa.parquet.write_table(table, tmp_path / "solar" / "gefcom2014_solar" / name)
    dataset = load(solution, tmp_path)
    one = gefcom.month(dataset)
    check(one.task.split)
    assert one.found.shape == (90, 24)
    assert np.isfinite(one.found).all()
    assert np.isnan(one.task.table.value[np.ix_(one.task.split.test, one.task.targets)]).all()
    assert len(one.task.split.test) == 720
    assert np.isnan(windows(one.task, one.chosen).x[:, :, 0]).all(), "blind: no power of its own past"
    ahead = windows(one.task, samples(one.task, "train").take(slice(0, 9))).ahead
    assert ahead is not None
    assert ahead.shape == (9, 24, 12)
    assert np.isfinite(ahead).mean() > 0.9, "the weather ahead is known"
    exact = gefcom.evaluate(one, np.repeat(one.found[:, :, None], 99, axis=2), subject="the truth")
    assert exact.pinball == 0
    half = gefcom.evaluate(one, np.repeat(one.found[:, :, None] - 0.1, 99, axis=2), subject="too low")
    assert half.pinball == pytest.approx(0.05), "the mean quantile times the error"
    assert set(half.zones) == {"zone 1", "zone 2", "zone 3"}
    with pytest.raises(DataError, match="not beside the solar data"):
        gefcom.benchmark(dataset)


@pytest.mark.real
def test_the_competitions_own_benchmark_scores_what_was_published() -> None:
    dataset = load(find("solar"))
    assert gefcom.benchmark(dataset).pinball == pytest.approx(0.0349, abs=5e-5)
    assert gefcom.compete(dataset, HistoricalAverage).pinball < 0.03


@pytest.mark.real
@pytest.mark.parametrize("name", [one for one in NAMES if one not in {"metr-la", "pems08"}])
def test_every_set_can_be_opened(name: str) -> None:
    posed = open_set(name)
    assert posed.title
    for task in posed.tasks:
        check(task.split)
        assert isinstance(task.problem, Forecast)
        if posed.protocol == "rows":
            chosen = samples(task, "test", stride=posed.stride).take(slice(0, 50))
            assert not np.isnan(truth(task, chosen)).all(axis=1).any()
