"""What every forecaster keeps, plain or deep."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.instant import DAY_NS
from nervure.core.window import Table, Window
from nervure.learn.baseline import HistoricalAverage, LastValue, SeasonalNaive, baselines
from nervure.learn.evaluate import forecast
from nervure.learn.lag import LinearLags
from nervure.learn.quantile_trees import QuantileTrees
from nervure.learn.task import Forecaster, ForecastTask, Samples, samples, truth, windows
from nervure.learn.train import Deep, Recipe
from nervure.learn.trees import BoostedTrees
from tests.series import weekly_task

MAKERS: dict[str, Callable[[], Forecaster]] = {
    "last value": LastValue,
    "seasonal naive day": lambda: SeasonalNaive(DAY_NS, "seasonal naive day"),
    "seasonal naive week": lambda: SeasonalNaive(7 * DAY_NS, "seasonal naive week"),
    "historical average": HistoricalAverage,
    "linear with lags": LinearLags,
    "boosted trees": lambda: BoostedTrees(rows=4000, iterations=20),
    "quantile boosted trees": lambda: QuantileTrees(rows=4000, iterations=10),
    "mixer": lambda: Deep("mixer", recipe=Recipe(least_steps=12, epochs=0.01, batch=64)),
}


class Made(NamedTuple):
    make: Callable[[], Forecaster]
    task: ForecastTask
    fitted: Forecaster
    chosen: Samples
    window: Window


@pytest.fixture(
    name="made",
    scope="module",
    params=[*MAKERS, "boosted trees ahead", "linear with lags ahead", "mixer ahead"],
)
def _made(request: pytest.FixtureRequest) -> Made:
    name = str(request.param)
    task = weekly_task(ahead=name.endswith("ahead"))
    make = MAKERS[name.removesuffix(" ahead")]
    fitted = make().fit(task)
    task = fitted.view(task)
    chosen = samples(task, "test").take(slice(0, None, 11))
    return Made(make, task, fitted, chosen, windows(task, chosen, history=fitted.history))


def test_every_baseline_is_held_to_this() -> None:
    assert {one.name for one in baselines(weekly_task(), quantiles=True)} <= set(MAKERS)


def test_it_says_what_it_is(made: Made) -> None:
    assert isinstance(made.fitted, Forecaster)
    assert made.fitted.name in MAKERS
    assert made.fitted.kind == ("deep" if made.fitted.name == "mixer" else "baseline")
    assert 1 <= made.fitted.history <= 2 * 168
    kind = type(made.fitted)
    assert all((one.__doc__ or "").strip().endswith((".", "``.")) for one in (kind, kind.fit, kind.predict))


def test_it_answers_every_window_in_rising_quantiles(made: Made) -> None:
    y = made.fitted.predict(made.window)
    assert y.shape == (len(made.chosen), made.task.horizon, len(made.task.quantiles))
    assert y.dtype == np.float32
    assert np.isfinite(y).all()
    assert (np.diff(y, axis=2) >= 0).all()


def test_it_stays_within_what_is_possible_and_near_what_happened(made: Made) -> None:
    y = forecast(made.task, made.fitted, made.chosen)
    real = truth(made.task, made.chosen)
    assert y.min() >= 0
    assert y.max() <= 100
    plain = np.nanmean(np.abs(real - np.nanmean(real)))
    assert np.nanmean(np.abs(real - y[:, :, made.task.median])) < plain


def test_asking_changes_nothing(made: Made) -> None:
    before = copy.deepcopy(made.window)
    first = made.fitted.predict(made.window)
    made.fitted.predict(
        windows(made.task, samples(made.task, "train").take(slice(0, 9)), history=made.fitted.history)
    )
    assert np.array_equal(first, made.fitted.predict(made.window))
    assert np.array_equal(before.x, made.window.x, equal_nan=True)
    assert np.array_equal(before.calendar, made.window.calendar)


def test_a_window_is_answered_alike_alone_and_in_company(made: Made) -> None:
    together = made.fitted.predict(made.window)
    for row in (0, len(made.chosen) - 1):
        alone = windows(made.task, made.chosen.take(slice(row, row + 1)), history=made.fitted.history)
        assert np.allclose(made.fitted.predict(alone)[0], together[row], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_missing_readings_are_borne(made: Made, share: float) -> None:
    lost = np.random.default_rng(1).random(made.window.x.shape) < share
    ahead = made.window.ahead
    holed = msgspec.structs.replace(
        made.window,
        x=np.where(lost, np.float32(np.nan), made.window.x),
        ahead=None if ahead is None else np.where(lost[:, : ahead.shape[1], :1], np.float32(np.nan), ahead),
    )
    y = made.fitted.predict(holed)
    assert np.isfinite(y).all()
    assert (np.diff(y, axis=2) >= 0).all()
    if share < 1:
        real = truth(made.task, made.chosen)
        whole = np.nanmean(np.abs(real - made.fitted.predict(made.window)[:, :, made.task.median]))
        assert np.nanmean(np.abs(real - y[:, :, made.task.median])) < whole + 1.0


def test_the_same_seed_gives_the_same_answers(made: Made) -> None:
    again = made.make().fit(made.task)
    assert np.array_equal(again.predict(made.window), made.fitted.predict(made.window))


def test_the_test_part_is_never_looked_at(made: Made) -> None:
    value = made.task.table.value.copy()
    value[made.task.split.test] = 77.0
    table = msgspec.structs.replace(made.task.table, value=value)
    blind = made.make().fit(msgspec.structs.replace(made.task, table=table))
    assert blind.history == made.fitted.history
    assert np.array_equal(blind.predict(made.window), made.fitted.predict(made.window))


def test_the_future_is_never_looked_at(made: Made) -> None:
    """Readings after the window's end may say anything; only drivers known ahead may count."""
    last = int(made.chosen.last[len(made.chosen) // 2])
    one = Samples(last=np.array([last]), node=np.array([1]))
    value = made.task.table.value.copy()
    value[last + 1 :, : made.task.nodes] = np.nan
    later: Table = msgspec.structs.replace(made.task.table, value=value)
    task = msgspec.structs.replace(made.task, table=later)
    wanted: NDArray[np.float32] = forecast(made.task, made.fitted, one)
    assert np.array_equal(forecast(task, made.fitted, one), wanted)


def test_fitting_again_leaves_nothing_of_the_first_time(made: Made) -> None:
    ahead = bool(made.task.ahead.shape[1])
    other = made.make().fit(weekly_task(nodes=5, weeks=9, seed=3, ahead=ahead))
    assert np.array_equal(other.fit(made.task).predict(made.window), made.fitted.predict(made.window))


def test_a_copy_answers_like_the_original(made: Made) -> None:
    wanted = made.fitted.predict(made.window)
    assert np.array_equal(copy.deepcopy(made.fitted).predict(made.window), wanted)
    if made.fitted.kind == "baseline":
        assert np.array_equal(pickle.loads(pickle.dumps(made.fitted)).predict(made.window), wanted)
