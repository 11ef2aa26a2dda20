"""Each baseline looks exactly where its name says: the reading of hour n is the number n."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import DAY_NS
from nervure.learn.baseline import LastValue, SeasonalNaive, latest, middle, spread
from nervure.learn.evaluate import forecast
from nervure.learn.lag import Seasons, carry
from nervure.learn.split import by_time
from nervure.learn.task import ForecastTask, Samples, samples, truth, windows
from tests.series import weekly_task


def _counting(horizon: int) -> ForecastTask:
    """Streams that count the hours, without limits to what is possible."""
    task = weekly_task(horizon=horizon)
    rows = len(task.table.value)
    value = np.repeat(np.arange(rows, dtype=np.float64)[:, None], task.table.value.shape[1], axis=1)
    table = msgspec.structs.replace(task.table, value=value)
    return msgspec.structs.replace(task, table=table, low=None, high=None)


def _with_holes(task: ForecastTask, rows: NDArray[np.int64] | slice) -> ForecastTask:
    value = task.table.value.copy()
    value[rows] = np.nan
    return msgspec.structs.replace(task, table=msgspec.structs.replace(task.table, value=value))


def test_the_last_value_is_the_last_that_was_read() -> None:
    task = _counting(6)
    chosen = samples(task, "test").take(slice(0, 30, 7))
    fitted = LastValue().fit(task)
    assert (forecast(task, fitted, chosen)[:, :, 2] == chosen.last[:, None]).all()
    one = Samples(last=np.array([1900]), node=np.array([0]))
    holed = _with_holes(task, slice(1890, 1901))
    assert (forecast(holed, fitted, one)[:, :, 2] == 1889).all()
    empty = _with_holes(task, slice(1800, 1901))
    assert (forecast(empty, fitted, one)[:, :, 2] == middle(task)[0]).all(), "nothing in the window"


@pytest.mark.parametrize(("period", "horizon"), [(24, 6), (24, 30), (24, 50), (168, 6)])
def test_the_season_before_is_the_last_known_of_its_kind(period: int, horizon: int) -> None:
    task = _counting(horizon)
    chosen = samples(task, "test").take(slice(0, 30, 7))
    fitted = SeasonalNaive(period // 24 * DAY_NS, "season").fit(task)
    y = forecast(task, fitted, chosen)[:, :, 2]
    step = np.arange(horizon)
    assert (truth(task, chosen) - y == period * (1 + step // period)).all()
    one = Samples(last=np.array([1900]), node=np.array([0]))
    holed = _with_holes(task, np.array([1901 - period]))
    further = forecast(holed, fitted, one)[0, 0, 2]
    assert further == 1901 - 2 * period, "one season further back"
    gone = _with_holes(task, 1901 - period * np.arange(1, 8))
    assert forecast(gone, fitted, one)[0, 0, 2] == 1900, "then the last value"


def test_lags_by_season() -> None:
    task = _counting(30)
    seasons = Seasons(task, depth=2)
    assert seasons.periods == [24, 168]
    chosen = Samples(last=np.array([1500]), node=np.array([0]))
    past = windows(task, chosen, history=seasons.history).x[:, :, 0]
    step = np.array([[0, 23, 24, 29]])
    for period in seasons.periods:
        for back in (1, 2):
            found = seasons.before(past, period, back, step)[0]
            assert found.tolist() == [1501 + one - period * (one // period + back) for one in step[0]]


def test_bands_are_the_errors_of_the_validation_part() -> None:
    task = weekly_task()
    fitted = LastValue().fit(task)
    chosen = samples(task, "validation")
    real = truth(task, chosen)
    y = forecast(task, fitted, chosen)
    for place, level in enumerate(task.quantiles):
        assert np.nanmean((real <= y[:, :, place])[~np.isnan(real)]) == pytest.approx(level, abs=0.05)
    offset = spread(task, lambda window: np.full((len(window.node), task.horizon), 1000.0), 1)
    assert (offset[:, :, task.median] == 0).all()
    assert (np.diff(offset, axis=2) >= 0).all()


def test_a_train_part_without_a_reading_is_said() -> None:
    task = weekly_task()
    with pytest.raises(DataError, match="the train part holds no reading of load"):
        LastValue().fit(_with_holes(task, task.split.train))
    short = msgspec.structs.replace(task, split=by_time((0, 30, 60, 90)))
    with pytest.raises(DataError, match="holds no sample of window 48 \\+ horizon 6"):
        samples(short, "train")


def test_filling_from_before() -> None:
    hole = np.nan
    values = np.array([[[hole, 1.0], [2.0, hole], [hole, hole]]])
    assert carry(values).tolist() == [[[0.0, 1.0], [2.0, 1.0], [2.0, 1.0]]]
    assert latest(np.array([[hole, 4.0, hole], [hole, hole, hole]]), np.array([9.0, 8.0])).tolist() == [
        4.0,
        8.0,
    ]
