"""The reason that was planted is told, in words a person knows; a false one is found out."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.attribution import Game, Predict
from nervure.core.card import Channel
from nervure.core.error import DataError
from nervure.core.window import Window
from nervure.learn.baseline import HistoricalAverage, SeasonalNaive
from nervure.learn.explain import explain, faithfulness, nearest, shares
from nervure.learn.task import ForecastTask, samples
from tests.series import weekly_task

DAY_NS = 86_400_000_000_000


@pytest.fixture(name="task", scope="module")
def _task() -> ForecastTask:
    """Return streams a, b, c; each has its own past, its neighbour's and the weather, past and ahead."""
    plain = weekly_task(ahead=True)
    nearer = np.array([[1], [0], [0]])
    value = plain.table.value
    whole = np.where(np.isnan(value), np.nanmedian(value, axis=0), value)
    return msgspec.structs.replace(
        plain,
        table=msgspec.structs.replace(plain.table, value=whole),
        channels=np.concatenate([plain.channels, nearer], axis=1),
        inputs=(*plain.inputs, Channel(signal="load", neighbour=1)),
        neighbours=nearer,
    )


def _answer(point: NDArray[np.floating], task: ForecastTask) -> NDArray[np.float32]:
    """Spread a point forecast ``[batch, horizon]`` over the quantiles."""
    steps = np.linspace(-1, 1, len(task.quantiles))
    return (point[:, :, None] + steps).astype(np.float32)


def _planted(task: ForecastTask) -> Predict:
    """Foresee from three cells only: own 2 h ago, the neighbour's mean of 12-24 h ago, weather ahead."""

    def predict(window: Window) -> NDArray[np.float32]:
        assert window.ahead is not None
        x = np.nan_to_num(window.x)
        own, near = 2 * x[:, -3, 0], x[:, -24:-12, 2].mean(axis=1)
        point = np.repeat((own - 3 * near)[:, None], task.horizon, axis=1)
        hour = window.calendar[:, -task.horizon :, 0]
        return _answer(point + 5 * np.nan_to_num(window.ahead[:, :, 0]) + hour, task)

    return predict


def test_the_planted_lag_neighbour_and_driver_are_told(task: ForecastTask) -> None:
    found = explain(task, _planted(task), last=1500, node=1)
    told = {one.name: one.value for one in found.contributions if abs(one.value) > 1e-4}
    value = task.table.value
    assert told.pop("load of b, 2-3 h ago") == pytest.approx(2 * value[1498, 1], rel=1e-4)
    assert told.pop("load of a, 1-24 h ago") == pytest.approx(-3 * value[1477:1489, 0].mean(), rel=1e-4)
    ahead = 5 * value[1501:1507, 3]
    assert told.pop("weather foreseen, 0-1 h ahead") == pytest.approx(ahead[:1].sum() / 6, rel=1e-3)
    told.pop("calendar")
    assert set(told) == {"weather foreseen, 1-3 h ahead", "weather foreseen, 3-6 h ahead"}


def test_contributions_sum_to_forecast_less_nothing(task: ForecastTask) -> None:
    predict = _planted(task)

    def bent(window: Window) -> NDArray[np.float32]:
        return (np.abs(predict(window)) ** 1.5).astype(np.float32)

    found = explain(task, bent, last=1500, node=1, orders=4)
    wanted = np.array(found.forecast) - np.array(found.nothing)
    assert np.allclose(found.values.sum(axis=0), wanted, rtol=1e-4)
    assert sum(found.by("source").values()) == pytest.approx(wanted.mean(), rel=1e-4)
    assert sum(found.by("span").values()) == pytest.approx(wanted.mean(), rel=1e-4)
    assert found.values.shape == (len(found.contributions), task.horizon)


def test_the_calendar_is_held_against_other_moments(task: ForecastTask) -> None:
    fitted = HistoricalAverage().fit(task)
    found = explain(task, fitted.predict, last=1500, node=0)
    assert found.contributions[0].kind == "calendar"
    assert not any(one.value for one in found.contributions[1:])
    assert found.usual == found.forecast
    assert np.mean(found.nothing) == pytest.approx(task.table.value[task.split.train, 0].mean(), abs=0.5)


def test_it_looks_as_far_back_as_the_forecaster(task: ForecastTask) -> None:
    def predict(window: Window) -> NDArray[np.float32]:
        assert window.x.shape[1] == 120
        own = np.nan_to_num(window.x[:, -90:-80, 0]).mean(axis=1)
        return _answer(np.repeat(own[:, None], task.horizon, axis=1), task)

    found = explain(task, predict, last=1500, node=2, history=120)
    told = [one.name for one in found.contributions if abs(one.value) > 1e-3]
    assert told == ["load of c, 3-5 days ago"]


def test_a_baseline_of_the_last_day_rests_on_own_readings_alone(task: ForecastTask) -> None:
    naive = SeasonalNaive(DAY_NS, "seasonal naive day").fit(task)
    found = explain(task, naive.predict, last=1500, node=2, history=naive.history)
    assert {one.kind for one in found.contributions if one.value} == {"own"}
    assert sum(one.value for one in found.contributions) == pytest.approx(
        np.mean(found.forecast) - np.median(task.table.value[task.split.train, 2]), rel=1e-4
    )


def test_the_sentence_names_what_raised_and_what_lowered(task: ForecastTask) -> None:
    found = explain(task, _planted(task), last=1500, node=1)
    assert found.sentence.startswith("load of b: ")
    assert "L/s foreseen on average over the next 6 h" in found.sentence
    assert "Raised most by load of b, 2-3 h ago (+" in found.sentence
    assert "Lowered most by load of a, 1-24 h ago (-" in found.sentence


def test_the_seed_decides_and_the_asking_is_bounded(task: ForecastTask) -> None:
    predict = _planted(task)
    asked = 0

    def counted(window: Window) -> NDArray[np.float32]:
        nonlocal asked
        asked += len(window.node)
        return predict(window)

    first = explain(task, counted, last=1500, node=1, seed=3)
    assert asked == first.asked <= 32 * len(first.contributions) + 40
    assert explain(task, predict, last=1500, node=1, seed=3) == first


def test_a_forecast_that_is_not_there_is_refused(task: ForecastTask) -> None:
    with pytest.raises(DataError, match="no forecast of node 3"):
        explain(task, _planted(task), last=1500, node=3)
    with pytest.raises(DataError, match="from row 9999"):
        explain(task, _planted(task), last=9999, node=0)


def test_a_model_of_all_nodes_tells_the_near_from_the_rest() -> None:
    plain = weekly_task(nodes=8)
    joint = msgspec.structs.replace(plain, joint=True)
    close = np.zeros((8, 8), dtype=np.float32)
    close[2, [5, 6, 7, 1]] = (4, 3, 2, 1)
    joint = msgspec.structs.replace(joint, adjacency=close)
    assert nearest(joint, 2) == (5, 6, 7, 1)

    def predict(window: Window) -> NDArray[np.float32]:
        newest = np.nan_to_num(window.x[:, -1, 0]).reshape(-1, 8)
        point = np.repeat((3 * newest[:, 5] + 2 * newest[:, 0])[:, None], 8, axis=0)
        return _answer(np.repeat(point.reshape(-1, 1), joint.horizon, axis=1), joint)

    found = explain(joint, predict, last=1500, node=2)
    newest = np.nan_to_num(joint.table.value[1500])
    by = found.by("source")
    assert by["load of f"] == pytest.approx(3 * newest[5], rel=1e-4)
    assert by["load of all others"] == pytest.approx(2 * newest[0], rel=1e-4)
    assert by["load of c"] == pytest.approx(0, abs=1e-4)


def test_without_an_adjacency_the_near_are_those_that_go_together() -> None:
    task = weekly_task(nodes=4)
    value = task.table.value.copy()
    value[:, 3] = 2 * value[:, 1] + 5
    table = msgspec.structs.replace(task.table, value=value)
    assert nearest(msgspec.structs.replace(task, table=table), 1, 1) == (3,)


def _shuffled(play: Game, blocks: int, seed: int) -> NDArray[np.float64]:
    """Give the blocks each other's shares; those that have none stand in no order of their own."""
    random = np.random.default_rng(seed)
    told = shares(play, blocks, seed) + 1e-9 * random.normal(size=blocks)
    return random.permutation(told)


def test_a_true_explanation_beats_random_order_and_a_shuffled_one_does_not(task: ForecastTask) -> None:
    chosen = samples(task, "test")
    true = faithfulness(task, _planted(task), chosen, most=40)
    false = faithfulness(task, _planted(task), chosen, most=40, attribute=_shuffled)
    assert true.low > 0.3 * true.random
    assert false.low < 0 < false.high
    assert true.gain == pytest.approx(true.area - true.random)
    assert true.samples == 40
    assert true.curve[0] == 0
    assert true.curve[-1] == pytest.approx(true.random_curve[-1]), "all hidden is all hidden"
    rows = {row.metric: row.value for row in true.rows("planted")}
    assert rows["deletion_area"] > rows["deletion_area_random"] > 0
    assert rows["deletion_gain_low"] == true.low
