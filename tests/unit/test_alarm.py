"""Limits: the promise is kept, useless scores are refused, and stuck meters do not count."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.core.event import count, events, persistence
from nervure.core.instant import HOUR_NS
from nervure.core.problem import AlarmPolicy, Anomaly
from nervure.core.residual import Accumulator, Limit, excess, history, outlook
from nervure.learn.alarm import PARTS, History, calibrate, choices, limit_for, unstuck

PROBLEM = Anomaly(
    of=("inflow",), window="7d", residual="forecast-inflow", lead="12h", side="high",
    policy=AlarmPolicy(alarms_per_day=0.5, min_duration="2h", merge_gap="12h"),
)  # fmt: skip
SPAN = persistence(PROBLEM.policy, HOUR_NS)


def _past(days: int, *, noise: float = 0.5, seed: int = 0, blind: bool = False) -> History:
    """Return normal data of ten districts, with errors that hang together as real ones do."""
    random = np.random.default_rng(seed)
    slots, streams = 24 * days, 10
    error = random.normal(0.0, noise, (slots, streams))
    for slot in range(1, slots):
        error[slot] = 0.6 * error[slot - 1] + 0.8 * error[slot]
    wave = 20.0 + 5.0 * np.sin(np.arange(slots) * np.pi / 12)[:, None]
    value = wave + error
    value[random.random(value.shape) < 0.03] = np.nan
    ahead = np.minimum(np.arange(slots)[:, None] + np.arange(1, 25), slots - 1)
    median = np.repeat(wave[ahead, 0][:, None, :], streams, axis=1)
    half = (40.0 if blind else 1.28) * noise
    forecast = np.stack([median, median - half, median + half], axis=-1)
    names = tuple(f"district {number}/inflow" for number in range(streams))
    time = np.arange(slots) * HOUR_NS
    usual = np.full(streams, 20.0)
    return History(
        streams=names, time=time, every_ns=HOUR_NS, value=value, forecast=forecast, usual=usual,
        stuck_after_ns=6 * HOUR_NS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def limit() -> Limit:
    return calibrate(PROBLEM, _past(56))


def _scores(limit: Limit, past: History) -> NDArray[np.float64]:
    foreseen = outlook(past.forecast, limit.options.leads)
    seen, fresh = unstuck(past.time, past.value, 6 * HOUR_NS)
    value = excess(seen, foreseen, np.array(limit.floor)).value
    return history(Accumulator.calibrated(limit), past.time, value, fresh=fresh)[0]


def test_the_promise_is_kept_on_what_it_was_made_on(limit: Limit) -> None:
    assert 0.2 < limit.counted <= limit.promised == 0.5
    assert limit.days == 56.0
    assert limit.cap == pytest.approx(1.5 * limit.limit, rel=0.2)


def test_the_promise_is_kept_on_weeks_not_seen(limit: Limit) -> None:
    rates = []
    for seed in range(1, 5):
        past = _past(28, seed=seed)
        rates.append(len(events(past.time, _scores(limit, past), limit.limit, SPAN)) / 28)
    assert 0.2 <= np.mean(rates) <= 0.6


def test_it_says_what_it_finds_and_how_soon(limit: Limit) -> None:
    assert limit.found["by_share"]["0.3"] > 0.95
    assert limit.found["found"] > 0.9
    assert limit.found["chance"] < 0.1
    assert limit.found["delay_h"] <= 4.0
    assert limit.found["within_h"] == 12.0


def test_the_card_can_carry_it(limit: Limit) -> None:
    raw = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(limit)))
    assert msgspec.convert(raw, Limit) == limit


def test_the_same_data_give_the_same_limit() -> None:
    assert calibrate(PROBLEM, _past(10)) == calibrate(PROBLEM, _past(10))


def test_a_score_that_finds_no_more_than_chance_is_refused() -> None:
    with pytest.raises(ModelError, match="of injected faults, chance finds"):
        calibrate(PROBLEM, _past(28, noise=400.0, blind=True))


def test_a_lead_beyond_the_horizon_is_refused() -> None:
    with pytest.raises(DataError, match="longer than the forecast"):
        choices(msgspec.structs.replace(PROBLEM, lead="48h"), HOUR_NS, 24)


def test_too_little_to_judge_by_is_refused() -> None:
    with pytest.raises(DataError, match="too few"):
        calibrate(PROBLEM, _past(1))


@pytest.mark.parametrize("allowed", [0, 3, 10, 30])
def test_at_the_limit_and_above_it_the_promise_holds_with_a_margin(allowed: int) -> None:
    random = np.random.default_rng(4)
    score = np.abs(random.normal(size=(400, 3))).cumsum(axis=0) % 7
    time = np.arange(400) * HOUR_NS
    limit = limit_for(time, score, SPAN, allowed)
    known = np.unique(score)
    rang = count(time, score, known[known >= limit], SPAN, parts=PARTS)
    margin = rang.std(axis=1, ddof=1) * np.sqrt(PARTS)
    assert (rang.sum(axis=1) + margin <= allowed).mean() > 0.98
    assert rang[0].sum() + margin[0] <= allowed
    if limit > known[0]:
        below = count(time, score, known[known < limit][-1:], SPAN, parts=PARTS)[0]
        assert below.sum() + below.std(ddof=1) * np.sqrt(PARTS) > allowed


def test_a_meter_that_sticks_is_hidden_and_its_first_reading_is_not() -> None:
    value = np.array([[1.0], [2.0], [2.0], [2.0], [np.nan], [2.0], [3.0]])
    seen, fresh = unstuck(np.arange(7), value, 1)
    assert np.array_equal(seen[:, 0], [1, 2, 2, np.nan, np.nan, np.nan, 3], equal_nan=True)
    assert fresh[:, 0].tolist() == [True, True, False, False, False, False, True]
