"""The table: same windows for all, baselines above models, and no number without its name."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.card import Metric
from nervure.core.error import ModelError
from nervure.core.window import Window
from nervure.learn.baseline import HistoricalAverage, LastValue, Profile, baselines
from nervure.learn.evaluate import evaluate, forecast, measure, pivot, table
from nervure.learn.split import by_time
from nervure.learn.task import Forecaster, ForecastTask, Plain, Samples, samples, truth
from nervure.learn.trees import BoostedTrees
from tests.series import NOISE, weekly_task


class Constant(Plain):
    """A forecaster that says the same number ever, which its seed decides."""

    def __init__(self, name: str, kind: Literal["baseline", "deep", "peer"], *, level: float = 20.0) -> None:
        self.name, self.kind, self.level = name, kind, level
        self.history = 1
        self.seen: list[int] = []

    def fit(self, task: ForecastTask) -> Forecaster:
        self.task = task
        return self

    def predict(self, window: Window) -> NDArray[np.float32]:
        self.seen.append(len(window.node))
        shape = (len(window.node), self.task.horizon, len(self.task.quantiles))
        return np.full(shape, self.level + self.task.seed, np.float32)


@pytest.fixture(name="task", scope="module")
def _task() -> ForecastTask:
    return weekly_task()


def _value(rows: list[Metric], subject: str, metric: str, horizon: str = "avg") -> float:
    (found,) = [
        row.value for row in rows if (row.subject, row.metric, row.horizon) == (subject, metric, horizon)
    ]
    return found


def test_rows_are_what_they_say(task: ForecastTask) -> None:
    rows = evaluate(task, [Constant("net", "deep"), Constant("plain", "baseline")])
    chosen = samples(task, "test")
    error = np.abs(truth(task, chosen) - 20.0)
    assert _value(rows, "net", "MAE", "1h") == pytest.approx(np.nanmean(error[:, 0]))
    assert _value(rows, "net", "MAE", "6h") == pytest.approx(np.nanmean(error[:, 5]))
    assert _value(rows, "net", "MAE") == pytest.approx(np.nanmean(error), rel=1e-3)
    assert _value(rows, "net", "coverage_80") == 0
    assert all(row.part == "test" for row in rows)
    assert list(dict.fromkeys(row.subject for row in rows)) == ["plain", "net"], "baselines stand above"


def test_baselines_stand_above_however_bad_the_model(task: ForecastTask) -> None:
    peers = [Constant("peer", "peer"), Constant("bad", "deep", level=90), Constant("good", "baseline")]
    rows = evaluate(task, [*peers, Constant("worse", "baseline", level=95)])
    assert list(dict.fromkeys(row.subject for row in rows)) == ["worse", "good", "peer", "bad"]


def test_several_seeds_give_mean_and_spread(task: ForecastTask) -> None:
    rows = evaluate(task, [Constant("net", "deep")], seeds=(0, 2, 4))
    single = [evaluate(task, [Constant("net", "deep")], seeds=(seed,)) for seed in (0, 2, 4)]
    values = [_value(one, "net", "MAE") for one in single]
    assert _value(rows, "net", "MAE") == pytest.approx(np.mean(values))
    assert _value(rows, "net", "MAE_sd") == pytest.approx(np.std(values, ddof=1))


def test_a_leaky_split_is_named_in_every_row(task: ForecastTask) -> None:
    split = msgspec.structs.replace(task.split, leaky=True)
    rows = evaluate(msgspec.structs.replace(task, split=split), [LastValue()])
    assert {row.subject for row in rows} == {"last value LEAKY"}
    assert "LEAKY" in table(rows)


def test_chunks_do_not_change_the_answer(task: ForecastTask, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted = HistoricalAverage().fit(task)
    chosen = samples(task, "test")
    whole = forecast(task, fitted, chosen)
    monkeypatch.setattr("nervure.learn.evaluate._CELLS", 1)
    assert np.array_equal(forecast(task, fitted, chosen), whole)


def test_an_answer_that_is_not_one_is_refused(task: ForecastTask) -> None:
    for level in (np.nan, np.inf):
        with pytest.raises(ModelError, match="not finite"):
            measure(task, Constant("net", "deep", level=level).fit(task))
    wide = Constant("net", "deep").fit(msgspec.structs.replace(task, horizon=9))
    with pytest.raises(ModelError, match=r"has shape \(\d+, 9, 5\), not \(\d+, 6, 5\)"):
        measure(task, wide)


def test_progress_names_what_is_fitted(task: ForecastTask) -> None:
    told: list[tuple[float, str]] = []
    evaluate(
        task, [LastValue(), Constant("net", "deep")], progress=lambda share, name: told.append((share, name))
    )
    assert told == [(0.0, "last value"), (0.5, "net"), (1.0, "done")]


def test_the_table_has_a_line_a_subject(task: ForecastTask) -> None:
    rows = evaluate(task, [LastValue(), Constant("net", "deep")])
    columns, lines = pivot(rows)
    assert columns[:3] == ["MAE 1h", "MAE 6h", "MAE avg"]
    assert [name for name, _ in lines] == ["last value", "net"]
    text = table(rows, unit=task.unit).splitlines()
    assert text[0].startswith("L/s")
    assert len(text) == 3
    assert len({len(line) for line in text}) == 1


def test_baselines_find_what_can_be_found() -> None:
    """On streams with a day, a week and noise, the better a baseline can know, the less it errs."""
    task = msgspec.structs.replace(weekly_task(weeks=20, seed=1), zone="UTC")  # its days know no summer time
    quick = BoostedTrees(rows=12_000, iterations=40)
    plain = baselines(task, trees=False)
    rows = evaluate(task, [*plain, quick])
    error = {one.name: _value(rows, one.name, "MAE") for one in [*plain, quick]}
    least = NOISE * np.sqrt(2 / np.pi)  # the mean of |noise|
    assert error["historical average"] < 1.1 * least
    assert error["linear with lags"] < 1.2 * least
    assert error["boosted trees"] < 1.35 * least
    assert error["seasonal naive week"] < 1.1 * np.sqrt(2) * least < error["seasonal naive day"]
    assert error["seasonal naive day"] < error["last value"]
    for name in error:
        assert 0.7 < _value(rows, name, "coverage_80") < 0.9


def test_last_week_is_left_out_where_there_was_none() -> None:
    task = weekly_task(weeks=3)
    short = msgspec.structs.replace(task, split=by_time((0, 300, 400, 504)))
    assert "seasonal naive week" not in {one.name for one in baselines(short)}


def test_a_holiday_is_no_weekday() -> None:
    task = weekly_task(weeks=60)
    problem = msgspec.structs.replace(task.problem, calendar="IT")
    value = task.table.value.copy()
    from nervure.core.calendar import calendar

    days = calendar("Europe/Rome", "IT", task.table.every_ns, task.table.first, len(value))
    value[days[:, 2] == 1] = 7.0
    held = msgspec.structs.replace(task.table, value=value)
    profile = Profile(msgspec.structs.replace(task, problem=problem, table=held))
    rest = np.array([[[12, 2, 1, 60]]])
    work = np.array([[[12, 2, 0, 60]]])
    assert profile.at(np.array([0]), rest)[0, 0] == pytest.approx(7.0)
    assert profile.at(np.array([0]), work)[0, 0] > 15


def test_a_window_before_the_table_starts_is_empty(task: ForecastTask) -> None:
    fitted = LastValue().fit(task)
    first = Samples(last=np.array([task.window - 1]), node=np.array([0]))
    assert np.isfinite(forecast(task, fitted, first)).all()
