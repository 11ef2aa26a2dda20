"""Damage is what it says, falls on whom it says, and costs what the damaged windows cost."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.card import Channel, Metric
from nervure.core.instant import HOUR_NS
from nervure.core.window import Window
from nervure.learn.baseline import HistoricalAverage, LastValue
from nervure.learn.evaluate import forecast
from nervure.learn.robust import DAMAGES, Damage, Damaged, harm, robustness
from nervure.learn.task import Forecaster, ForecastTask, samples, truth, windows
from tests.series import weekly_task

MISSING, DEAD, STUCK, BIASED = DAMAGES


@pytest.fixture(name="task", scope="module")
def _task() -> ForecastTask:
    """Return a task with own readings of 20 h before, and a neighbour's, beside the weather."""
    plain = weekly_task(ahead=True, window=30)
    more = (Channel(signal="load", back=20), Channel(signal="load", neighbour=1))
    near = np.array([[1], [0], [0]])
    return msgspec.structs.replace(
        plain,
        channels=np.concatenate([plain.channels, plain.channels[:, :1], near], axis=1),
        inputs=(*plain.inputs, *more),
        neighbours=near,
    )


def _whole(task: ForecastTask, count: int = 400) -> Window:
    window = windows(task, samples(task, "test").take(slice(0, count)))
    return msgspec.structs.replace(
        window, x=np.nan_to_num(window.x, nan=20.0), ahead=np.nan_to_num(np.asarray(window.ahead))
    )


def _harmed(task: ForecastTask, window: Window, damage: Damage) -> Window:
    hit = np.ones(len(window.node), dtype=bool)
    return harm(task, window, damage, hit, np.random.default_rng(0))


def test_a_share_of_every_channel_is_lost(task: ForecastTask) -> None:
    window = _whole(task)
    made = _harmed(task, window, MISSING)
    lost = np.isnan(made.x).mean(axis=(0, 1))
    assert np.abs(lost - 0.3).max() < 0.02
    assert np.isnan(np.asarray(made.ahead)).mean() == pytest.approx(0.3, abs=0.03)
    kept = ~np.isnan(made.x)
    assert np.array_equal(made.x[kept], window.x[kept])


def test_a_dead_sensor_is_dead_in_every_channel_of_its_own_and_in_no_other(task: ForecastTask) -> None:
    window = _whole(task)
    gone = np.isnan(_harmed(task, window, DEAD).x)
    assert gone[:, 6:, 0].all()
    assert not gone[:, :6, 0].any()
    assert gone[:, -4:, 2].all(), "of 20 h before and more, 4 h lie in the last 24"
    assert not gone[:, :-4, 2].any()
    assert not gone[:, :, [1, 3]].any(), "weather and neighbour go on"


def test_a_window_shorter_than_the_silence_is_silent_throughout(task: ForecastTask) -> None:
    week = msgspec.structs.replace(DEAD, span_ns=168 * HOUR_NS)
    assert np.isnan(_harmed(task, _whole(task), week).x[:, :, [0, 2]]).all()


def test_a_stuck_sensor_repeats_itself(task: ForecastTask) -> None:
    window = _whole(task)
    made = _harmed(task, window, STUCK)
    assert (made.x[:, 6:, 0] == window.x[:, 6:7, 0]).all()
    assert np.array_equal(made.x[:, :6], window.x[:, :6])


def test_a_biased_sensor_is_off_by_its_share_either_way(task: ForecastTask) -> None:
    window = _whole(task)
    off = (_harmed(task, window, BIASED).x - window.x)[:, 6:, 0]
    spread = window.x[:, :, 0].std(axis=1)
    assert np.allclose(np.abs(off), 0.5 * spread[:, None], atol=1e-4)
    assert 0.3 < (off[:, 0] > 0).mean() < 0.7


def test_the_damage_leaves_the_windows_themselves_whole(task: ForecastTask) -> None:
    window = _whole(task)
    before = window.x.copy()
    for damage in DAMAGES:
        _harmed(task, window, damage)
        assert np.array_equal(window.x, before)


def _value(rows: list[Metric], name: str) -> float:
    (found,) = [row.value for row in rows if row.metric == name]
    return found


def test_rows_say_what_damaged_windows_cost() -> None:
    task = weekly_task(window=30)
    fitted = LastValue().fit(task)
    rows = robustness(task, fitted, most=300)
    whole = _value(rows, "MAE_complete")
    assert _value(rows, "MAE_missing_30") > whole, "the last reading left is older"
    assert _value(rows, "MAE_biased_24h") > whole
    for damage in DAMAGES:
        rise = 100 * (_value(rows, f"MAE_{damage.name}") / whole - 1)
        assert _value(rows, f"MAE_{damage.name}_rise") == pytest.approx(rise)
    assert {row.subject for row in rows} == {"last value"}
    every = samples(task, "test")
    chosen = every.take(np.arange(0, len(every), 7))
    away = np.abs(truth(task, chosen) - forecast(task, fitted, chosen)[:, :, task.median])
    again = robustness(task, fitted, chosen=chosen, damages=(DEAD,), most=10_000)
    assert _value(again, "MAE_complete") == pytest.approx(np.nanmean(away))


def test_who_does_not_look_at_readings_loses_nothing() -> None:
    task = weekly_task(window=30)
    rows = robustness(task, HistoricalAverage().fit(task), most=300)
    assert all(abs(row.value) < 1e-6 for row in rows if row.metric.endswith("_rise"))
    assert sum(row.metric.endswith("_rise") for row in rows) == len(DAMAGES)


def test_the_seed_draws_the_damage() -> None:
    task = weekly_task(window=30)
    fitted = LastValue().fit(task)
    first, again, other = (
        robustness(task, fitted, damages=(MISSING,), most=200, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other


class _Round:
    """A model of all nodes at once: each is foreseen as the mean of what is read of any."""

    name = "round"
    kind: Literal["deep"] = "deep"

    def __init__(self, task: ForecastTask) -> None:
        self.task, self.history = task, task.window
        self.silent: list[int] = []

    def fit(self, task: ForecastTask) -> Forecaster:
        return self

    def view(self, task: ForecastTask) -> ForecastTask:
        return task

    def predict(self, window: Window) -> NDArray[np.float32]:
        newest = window.x[:, -1, 0].reshape(-1, self.task.nodes)
        self.silent += np.isnan(newest).sum(axis=1).tolist()
        level = np.repeat(np.nanmean(newest, axis=1), self.task.nodes)
        shape = (1, self.task.horizon, len(self.task.quantiles))
        return np.tile(level[:, None, None], shape).astype(np.float32)


def test_where_a_model_sees_all_at_once_only_some_fail_at_a_time() -> None:
    plain = weekly_task(nodes=4, window=30)
    value = np.nan_to_num(plain.table.value, nan=20.0)
    table = msgspec.structs.replace(plain.table, value=value)
    task = msgspec.structs.replace(plain, table=table, joint=True)
    model = _Round(task)
    rows = robustness(task, model, damages=(DEAD,), most=80)
    assert set(model.silent) == {0, 1}, "one of the four nodes is dead at a time"
    assert model.silent.count(1) == 4 * model.silent.count(0)
    assert _value(rows, "MAE_dead_24h") != _value(rows, "MAE_complete")
    assert isinstance(Damaged(model, task, DEAD), Forecaster)
