"""The metrics against the same numbers from elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, root_mean_squared_error

from nervure.core.error import DataError
from nervure.learn.metric import coverage, crps, mae, pinball, rmse, weights

QUANTILES = (0.1, 0.5, 0.9)


@pytest.fixture(name="pair")
def _pair() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    truth = random.normal(size=(50, 3))
    return truth, np.sort(random.normal(size=(50, 3, 3)), axis=2)


def test_as_scikit_learn_computes_them(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, y = pair
    for step in range(3):
        assert mae(truth, y[:, :, 1])[step] == pytest.approx(
            mean_absolute_error(truth[:, step], y[:, step, 1])
        )
        wanted = root_mean_squared_error(truth[:, step], y[:, step, 1])
        assert rmse(truth, y[:, :, 1])[step] == pytest.approx(wanted)
        for place, level in enumerate(QUANTILES):
            wanted = mean_pinball_loss(truth[:, step], y[:, step, place], alpha=level)
            assert pinball(truth, y, QUANTILES)[step, place] == pytest.approx(wanted)


def test_what_was_not_read_does_not_count(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, y = pair
    holed = truth.copy()
    holed[10:, 1] = np.nan
    assert mae(holed, y[:, :, 1])[1] == mae(truth[:10], y[:10, :, 1])[1]
    assert pinball(holed, y, QUANTILES)[1].tolist() == pinball(truth[:10], y[:10], QUANTILES)[1].tolist()
    assert coverage(holed, y[:, :, 0], y[:, :, 2])[1] == coverage(truth[:10], y[:10, :, 0], y[:10, :, 2])[1]
    holed[:, 2] = np.nan
    assert math.isnan(rmse(holed, y[:, :, 1])[2])


def test_crps_of_a_normal_distribution() -> None:
    from scipy.stats import norm

    levels = tuple(np.linspace(0.005, 0.995, 199))
    truth = np.random.default_rng(0).normal(size=(4000, 1))
    y = np.broadcast_to(norm.ppf(levels), (4000, 1, 199))
    assert crps(truth, y, levels)[0] == pytest.approx(1 / math.sqrt(math.pi), rel=0.03)
    assert weights(levels).sum() == pytest.approx(1.0)


def test_shapes_that_do_not_fit_are_an_error_not_a_broadcast() -> None:
    with pytest.raises(DataError, match=r"\(5, 2\) cannot be held against"):
        mae(np.zeros((5, 2)), np.zeros((5, 1)))
