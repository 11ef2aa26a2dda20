"""Quantile boosted trees: a whole distribution, also where many quantiles are asked for and few fitted."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from nervure.learn import metric
from nervure.learn.baseline import baselines
from nervure.learn.evaluate import forecast
from nervure.learn.quantile_trees import QuantileTrees, fitted_levels, interpolated
from nervure.learn.task import ForecastTask, samples, truth
from tests.series import weekly_task

MANY = tuple(round(one / 100, 2) for one in range(1, 100))


def _skewed(quantiles: tuple[float, ...]) -> ForecastTask:
    """Return a task whose noise is three times as wide by day as by night, and never falls below."""
    task = weekly_task(weeks=20)
    random = np.random.default_rng(5)
    value = task.table.value.copy()
    wide = np.where(np.arange(len(value)) % 24 < 12, 3.0, 1.0)
    value[:, : task.nodes] = 20 + wide[:, None] * random.exponential(1.0, (len(value), task.nodes))
    problem = msgspec.structs.replace(task.problem, quantiles=quantiles)
    table = msgspec.structs.replace(task.table, value=value)
    return msgspec.structs.replace(task, problem=problem, table=table, zone="UTC")


def test_ends_are_fitted_and_what_lies_between_is_on_a_line() -> None:
    assert fitted_levels(MANY)[0] == 0.01
    assert fitted_levels(MANY)[-1] == 0.99
    assert set(fitted_levels(MANY)) <= set(MANY)
    found = interpolated((0.1, 0.5, 0.9), np.array([[1.0, 5.0, 9.0]]), (0.05, 0.1, 0.2, 0.5, 0.7, 0.9, 0.95))
    assert found[0].tolist() == pytest.approx([1.0, 1.0, 2.0, 5.0, 7.0, 9.0, 9.0])


def test_bands_follow_what_the_noise_depends_on() -> None:
    """A band that is the same at all hours cannot cover both; quantiles fitted by pinball loss do."""
    task = _skewed((0.1, 0.5, 0.9))
    fitted = QuantileTrees(rows=12_000, iterations=40).fit(task)
    chosen = samples(task, "test")
    found, y = truth(task, chosen), forecast(task, fitted, chosen)
    hour = (task.table.first + chosen.last[:, None] + 1 + np.arange(task.horizon)) % 24
    day = ((hour - task.table.first) % 24) < 12
    wide = y[:, :, -1] - y[:, :, 0]
    assert wide[day].mean() > 2 * wide[~day].mean()
    inside = (found >= y[:, :, 0]) & (found <= y[:, :, -1])
    for part in (day, ~day):
        assert 0.72 < inside[part & ~np.isnan(found)].mean() < 0.88
    assert (y[:, :, 0] < y[:, :, 1] - 0.05).mean() > 0.9


def test_ninety_nine_quantiles_score_better_than_a_constant_band() -> None:
    task = _skewed(MANY)
    chosen = samples(task, "test", stride=3)
    found = truth(task, chosen)
    loss = {}
    for one in (QuantileTrees(rows=8_000, iterations=30), baselines(task, trees=False)[0]):
        y = forecast(task, one.fit(task), chosen)
        assert y.shape[2] == 99
        assert (np.diff(y, axis=2) >= 0).all()
        loss[one.name] = float(np.nanmean(metric.pinball(found, y, MANY)))
    assert loss["quantile boosted trees"] < 0.9 * loss["last value"]


def test_it_is_a_baseline_only_where_it_is_asked_for() -> None:
    task = weekly_task()
    assert "quantile boosted trees" not in {one.name for one in baselines(task)}
    assert [one.name for one in baselines(task, quantiles=True)][-1] == "quantile boosted trees"
