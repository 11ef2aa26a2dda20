"""How rare a score is: right beyond what was seen, for light and heavy tails."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nervure.core.tail import tail_of

DRAWS = {
    "exponential": lambda random, count: random.exponential(1.0, count),
    "normal": lambda random, count: np.abs(random.normal(size=count)),
    "heavy": lambda random, count: np.abs(random.standard_t(4, count)),
    "lognormal": lambda random, count: random.lognormal(0.0, 1.0, count),
}


@pytest.mark.parametrize("name", sorted(DRAWS))
def test_a_rarity_is_met_as_rarely_as_it_says(name: str) -> None:
    random = np.random.default_rng(3)
    tail = tail_of(DRAWS[name](random, 20_000))
    fresh = DRAWS[name](random, 1_000_000)
    for decades in (0.5, 1.0, 2.0, 3.0, 4.0):
        met = -np.log10((fresh > tail.score_at(decades)).mean())
        assert met == pytest.approx(decades, abs=0.05 if decades <= 2 else 0.45)


@given(
    arrays.arrays(np.float64, st.integers(1, 300), elements=st.floats(-1e6, 1e6)),
    st.floats(0.0, 8.0),
)
def test_it_rises_with_the_score_and_is_never_lost(score: np.ndarray, decades: float) -> None:
    tail = tail_of(score)
    asked = np.linspace(score.min() - 1, 3 * np.abs(score).max() + 1, 200)
    rarity = tail.rarity(asked)
    assert np.isfinite(rarity).all()
    assert (np.diff(rarity) >= -1e-9).all()
    assert rarity.min() >= 0
    assert tail.rarity(np.array([tail.score_at(decades)]))[0] >= decades - 1e-6


def test_what_is_unknown_stays_unknown_and_nothing_is_known_of_nothing() -> None:
    tail = tail_of(np.array([1.0, np.nan, 2.0, np.inf]))
    assert np.isnan(tail.rarity(np.array([np.nan]))[0])
    assert tail.grid[-1] == 2.0
    assert tail_of(np.array([np.nan])).scale == 0.0


def test_scores_that_are_all_alike_make_anything_above_rarer() -> None:
    tail = tail_of(np.full(500, 3.0))
    low, high = tail.rarity(np.array([3.0, 4.0]))
    assert low < high
