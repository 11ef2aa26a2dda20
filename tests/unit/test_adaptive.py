"""Adaptive bands keep their promise when the noise changes."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.core.adaptive import MOST, adapt, widened


@pytest.mark.parametrize("growth", [0.5, 1.0, 2.5])
def test_share_missed_is_the_promise_whatever_the_noise(growth: float) -> None:
    random = np.random.default_rng(0)
    widening = np.zeros(40)
    missed = []
    for _ in range(3000):
        low, high = widened(np.full((40, 1), -1.28), np.zeros((40, 1)), np.full((40, 1), 1.28), widening)
        value = random.normal(0, growth, 40)
        out = (value < low[:, 0]) | (value > high[:, 0])
        missed.append(out)
        widening = adapt(widening, out)
    share = np.mean(missed, axis=0)
    assert np.abs(share - 0.2).max() <= MOST / (0.02 * 3000)
    assert abs(np.mean(missed[-1000:]) - 0.2) < 0.01
    assert abs(np.exp(widening).mean() / growth - 1) < 0.1


def test_widening_stays_within_its_bounds() -> None:
    widening = np.zeros(1)
    for _ in range(10_000):
        widening = adapt(widening, np.array([True]))
    assert widening[0] == MOST
