"""The anomaly score: what it measures, what it follows, what it adds up."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.core.residual import CLIP, Accumulator, Issued, Options, excess, history, outlook, sure
from tests.tiny import limit

ONE = np.array([0])


def _run(sums: Accumulator, values: list[float]) -> list[float]:
    scores, _ = history(sums, np.arange(len(values)), np.array(values)[:, None])
    return [float(one) for one in scores[:, 0]]


def test_excess_takes_the_middle_of_the_leads_so_one_bad_forecast_moves_nothing() -> None:
    good = [10.0, 8.0, 12.0]
    mad = [9e9, 0.0, 1e10]
    forecast = np.array([[good, good, mad], [good, mad, [np.nan] * 3]])
    found = excess(np.array([14.0, 14.0]), forecast, np.array([0.1, 0.1]))
    assert found.value[0] == 2.0
    assert found.expected[0] == 10.0
    assert found.value[1] == pytest.approx((2.0 + (14 - 9e9) / 5e9) / 2)


def test_excess_does_not_believe_a_band_of_no_width() -> None:
    flat = np.array([[[10.0, 10.0, 10.0]]])
    assert excess(np.array([11.0]), flat, np.array([0.5])).value[0] == 2.0


def test_excess_of_what_nobody_foresaw_is_unknown() -> None:
    nothing = np.full((1, 2, 3), np.nan)
    found = excess(np.array([11.0]), nothing, np.array([0.5]))
    assert np.isnan([found.value[0], found.expected[0], found.low[0], found.high[0]]).all()


def test_one_absurd_reading_counts_for_a_bounded_amount() -> None:
    sums = Accumulator(1, Options(leads=(1,), slack=1.0))
    assert _run(sums, [1e12]) == [CLIP - 1.0]


def test_a_moderate_excess_that_stays_adds_up_and_chance_does_not() -> None:
    noise = np.random.default_rng(0).normal(0.0, 0.78, 2000)
    quiet = _run(Accumulator(1, Options(leads=(1,), side="high")), noise.tolist())
    faulty = noise.copy()
    faulty[1000:1012] += 1.5
    loud = _run(Accumulator(1, Options(leads=(1,), side="high")), faulty.tolist())
    assert max(loud[1000:1012]) > max(quiet) + 3.0
    assert loud[999] == quiet[999]


def test_a_slow_drift_is_followed() -> None:
    noise = np.random.default_rng(1).normal(0.0, 0.78, 4000)
    drift = np.linspace(0.0, 3.0, 4000)
    followed = _run(Accumulator(1, Options(leads=(1,), memory=0.02)), (noise + drift).tolist())
    ignored = _run(Accumulator(1, Options(leads=(1,), memory=0.0)), (noise + drift).tolist())
    assert np.median(followed[3000:]) < 1.0 < np.median(ignored[3000:])


def test_a_fault_of_a_day_hardly_moves_the_centre() -> None:
    sums = Accumulator(1, Options(leads=(1,), memory=0.02))
    _run(sums, [5.0] * 24)
    assert 0.0 < sums.centre[0] < 24 * 0.02 * 0.9


@pytest.mark.parametrize(
    ("side", "up", "down"), [("high", True, False), ("low", False, True), ("both", True, True)]
)
def test_the_side_says_which_way_is_wrong(side: str, up: bool, down: bool) -> None:
    options = Options(leads=(1,), side=side)  # type: ignore[arg-type]
    assert (_run(Accumulator(1, options), [2.0] * 5)[-1] > 3) == up
    assert (_run(Accumulator(1, options), [-2.0] * 5)[-1] > 3) == down


def test_a_reading_that_says_nothing_new_adds_nothing() -> None:
    sums = Accumulator(1, Options(leads=(1,)))
    first, _ = sums.step(ONE, np.array([0]), np.array([3.0]), np.array([True]))
    again, _ = sums.step(ONE, np.array([1]), np.array([3.0]), np.array([False]))
    unknown, _ = sums.step(ONE, np.array([2]), np.array([np.nan]), np.array([True]))
    assert first[0] == again[0] > 0
    assert np.isnan(unknown[0])


def test_the_cap_lets_an_alarm_end_soon_after_its_cause() -> None:
    scores = _run(Accumulator(1, Options(leads=(1,), memory=0.0), cap=9.0), [4.0] * 24 + [0.0] * 4)
    assert max(scores) == 9.0
    assert scores[-1] == 5.0


def test_the_onset_is_when_the_score_last_left_zero() -> None:
    sums = Accumulator(1, Options(leads=(1,), memory=0.0, side="high"))
    onsets = []
    for time, value in enumerate([0.0, 3.0, 0.0, -9.0, 3.0, 3.0]):
        onsets.append(int(sums.step(ONE, np.array([time]), np.array([value]))[1][0]))
    assert onsets[-2:] == [4, 4]


def test_sure_is_the_share_of_calibration_scores_below() -> None:
    grid = np.array(limit().grid)
    assert sure(grid, np.array([0.0, 4.0, 99.0])).tolist() == [0.0, 0.5, 1.0]
    assert np.isnan(sure(grid, np.array([np.nan]))[0])


def test_issued_forecasts_are_found_by_the_slot_they_are_about() -> None:
    leads = (2, 4)
    random = np.random.default_rng(2)
    forecast = random.normal(size=(40, 1, 4, 3))
    table = outlook(forecast, leads)
    issued = Issued(1, leads)
    for slot in range(40):
        found = issued.about(ONE, np.array([slot]))[0]
        assert np.array_equal(found, table[slot, 0], equal_nan=True)
        issued.issue(ONE, np.array([slot]), forecast[slot])


def test_a_gap_longer_than_the_ring_leaves_no_stale_forecast() -> None:
    issued = Issued(1, (2, 4))
    issued.issue(ONE, np.array([0]), np.ones((1, 4, 3)))
    assert np.isnan(issued.about(ONE, np.array([7]))).all()
    assert not np.isnan(issued.about(ONE, np.array([2]))[0, 0]).any()


def test_a_revoked_forecast_accuses_nobody() -> None:
    issued = Issued(1, (2, 4))
    issued.issue(ONE, np.array([0]), np.ones((1, 4, 3)))
    issued.issue(ONE, np.array([2]), np.ones((1, 4, 3)))
    issued.revoke(0, 1, 3)
    assert np.isnan(issued.about(ONE, np.array([4]))[0, 0]).all()
    assert not np.isnan(issued.about(ONE, np.array([4]))[0, 1]).any()


def test_state_goes_on_where_it_stopped() -> None:
    random = np.random.default_rng(3)
    values = random.normal(size=(60, 2))
    whole = Accumulator(2, Options(leads=(1,)), cap=8.0)
    expected, _ = history(whole, np.arange(60), values)
    first = Accumulator(2, Options(leads=(1,)), cap=8.0)
    history(first, np.arange(30), values[:30])
    second = Accumulator(2, Options(leads=(1,)), cap=8.0)
    second.restore(first.state())
    assert np.array_equal(history(second, np.arange(30, 60), values[30:])[0], expected[30:])
