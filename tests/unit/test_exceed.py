"""How likely a level is exceeded, and that rivers are foreseen from the gauges upstream."""

from __future__ import annotations

from statistics import NormalDist

import msgspec
import numpy as np
import pytest

from nervure.core.exceed import probability, within
from nervure.learn.evaluate import forecast
from nervure.learn.models.flood import upstream
from nervure.learn.task import ForecastTask, samples, truth
from nervure.learn.train import Deep, Recipe
from tests.series import weekly_task

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def _normal(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Return quantiles of normal distributions and a reading drawn from each: ``[row, 1, quantile]``."""
    random = np.random.default_rng(0)
    middle, wide = random.normal(0, 5, (count, 1)), random.uniform(0.5, 3, (count, 1))
    steps = np.array([NormalDist().inv_cdf(one) for one in QUANTILES])
    return middle[:, :, None] + wide[:, :, None] * steps, middle + wide * random.normal(size=(count, 1))


def test_it_is_near_that_of_the_distribution_the_quantiles_are_of() -> None:
    steps = np.array([NormalDist().inv_cdf(one) for one in QUANTILES])[None, None]
    for level in np.linspace(-3, 3, 25):
        assert probability(steps, QUANTILES, level)[0, 0] == pytest.approx(
            1 - NormalDist().cdf(level), abs=0.02
        )


def test_what_is_called_likely_happens_as_often() -> None:
    y, real = _normal(20_000)
    chance = probability(y, QUANTILES, 2.0)
    for low in (0.05, 0.2, 0.4, 0.6, 0.8):
        said = (chance >= low) & (chance < low + 0.1)
        assert (real > 2.0)[said].mean() == pytest.approx(chance[said].mean(), abs=0.04)


def test_it_falls_as_the_level_rises_and_crosses_a_half_at_the_median() -> None:
    y, _ = _normal()
    levels = np.linspace(-30, 30, 301)
    chance = np.stack([probability(y, QUANTILES, level) for level in levels])
    assert (np.diff(chance, axis=0) <= 1e-12).all()
    assert chance.min() >= 0
    assert chance.max() <= 1
    median = y[:, 0, 2]
    np.testing.assert_allclose(probability(y, QUANTILES, median)[:, 0], 0.5)
    assert (probability(y, QUANTILES, median + 1e-6) < 0.5).all()
    each = probability(y, QUANTILES, np.full(len(y), 2.0))
    np.testing.assert_array_equal(each, probability(y, QUANTILES, 2.0))


def test_quantiles_all_alike_are_certain_and_gaps_stay_gaps() -> None:
    y = np.full((1, 2, 5), 3.0)
    assert probability(y, QUANTILES, 2.0).tolist() == [[1.0, 1.0]]
    assert probability(y, QUANTILES, 4.0).tolist() == [[0.0, 0.0]]
    assert np.isnan(probability(y * np.nan, QUANTILES, 4.0)).all()
    assert np.isnan(probability(y, QUANTILES, np.array([np.nan]))).all()
    rising = within(np.array([[0.2, 0.7, 0.1]]))
    assert rising.tolist() == [[0.2, 0.7, 0.7]]


def _river() -> ForecastTask:
    """Return three gauges: floods pass c, then b four hours later, then a."""
    task = weekly_task(nodes=3, weeks=14, window=24, horizon=6)
    random = np.random.default_rng(3)
    rows = len(task.table.value)
    rain = np.where(random.random(rows) < 0.03, random.exponential(8, rows), 0.0)
    swell = np.convolve(rain, np.exp(-np.arange(40) / 8), mode="full")[:rows]
    level = [np.roll(swell, lag) + 20 + 0.02 * random.normal(size=rows) for lag in (8, 4, 0)]
    value = np.stack([*level, rain], axis=1)
    return msgspec.structs.replace(task, table=msgspec.structs.replace(task.table, value=value), high=None)


def test_the_gauge_upstream_is_found() -> None:
    found = upstream(_river(), 1)
    assert found[0, 0] == 1  # b runs ahead of a by less than the horizon
    assert found[1, 0] == 2


def test_a_flood_is_foreseen_from_upstream() -> None:
    """The rise at ``a`` within four hours is all in what ``b`` shows already."""
    task = _river()
    deep = Deep("flood", recipe=Recipe(least_steps=250, epochs=0.1, batch=64)).fit(task)
    chosen = samples(task, "test")
    chosen = chosen.take(chosen.node == 0)
    real, y = truth(task, chosen), forecast(task, deep, chosen)
    last = task.table.value[chosen.last, 0]
    held = np.abs(real[:, 3] - last).mean()
    assert np.abs(real[:, 3] - y[:, 3, task.median]).mean() < 0.4 * held
    chance = probability(y, task.quantiles, 25.0)[:, 3]
    came = (real[:, 3] > 25) & (last < 25)
    assert came.sum() > 5
    assert (chance[came] > 0.5).mean() > 0.7
    calm = (real[:, 3] < 23) & (last < 23)
    assert (chance[calm] > 0.5).mean() < 0.05
