"""Alarms at the promised rate: on drifting scores too, over restarts, and never by learning from a fault."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from nervure.core.event import Persistence
from nervure.core.guard import Guard, Kind, Plan, watch
from nervure.core.tail import tail_of

MINUTE = 60 * 10**9
DAY = 1440 * MINUTE
SPAN = Persistence(hold_ns=0, gap_ns=60 * MINUTE, hole_ns=180 * MINUTE)
PROMISE = 4.0  # alarms a day
RATE = PROMISE * MINUTE / DAY


def plan(kind: Kind, *, memory: int = 20_000) -> Plan:
    calm = np.random.default_rng(1).exponential(1.0, 10_000)
    return Plan(kind=kind, tail=tail_of(calm), limit=-np.log10(RATE), rate=RATE, memory=memory)


def daily(kind: Kind, score: np.ndarray) -> float:
    found, _ = watch(plan(kind), np.arange(len(score)) * MINUTE, score[:, None], SPAN)
    return len(found) * DAY / (len(score) * MINUTE)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_on_what_it_was_calibrated_for_every_kind_keeps_the_promise(kind: Kind) -> None:
    score = np.random.default_rng(2).exponential(1.0, 15_000)
    assert daily(kind, score) == pytest.approx(PROMISE, rel=0.45)


@pytest.mark.parametrize("drift", ["slow", "jump", "calmer"])
def test_the_adaptive_one_keeps_it_where_normal_drifts(drift: str) -> None:
    count = 15_000
    factor = {
        "slow": np.linspace(1, 2, count),
        "jump": np.where(np.arange(count) < count // 2, 1, 1.5),
        "calmer": np.linspace(1, 0.5, count),
    }[drift]
    score = np.random.default_rng(2).exponential(1.0, count) * factor
    assert daily("adaptive", score) == pytest.approx(PROMISE, rel=0.35)
    if drift != "calmer":
        assert daily("split", score) > 1.2 * PROMISE


def test_what_is_odd_row_by_row_with_holes_between_rings_no_more_often_than_promised() -> None:
    """A stream that comes at another pace than it was learnt at: no alarm lasts from row to row."""
    calm = np.random.default_rng(2).exponential(1.0, 2_000)
    score = np.r_[calm, np.full(4_000, 700.0)]
    time = np.cumsum(np.where(np.arange(len(score)) < 2_000, 1, 200)) * MINUTE
    found, limits = watch(plan("adaptive"), time, score[:, None], SPAN)
    late = sum(one.raised_ns >= time[3_000] for one in found)
    assert late <= 2 * 3_000 * RATE
    assert max(one.peak for one in found) > 100, "an alarm still tells how rare it was"
    guard, stream = Guard(plan("adaptive"), 1, SPAN), np.zeros(1, dtype=np.int64)
    for moment, own, limit in zip(time.tolist(), score.tolist(), limits.tolist(), strict=True):
        assert guard.limit == pytest.approx(limit, abs=1e-9)
        guard.step(stream, np.array([moment]), np.array([own]))


def test_nothing_is_learned_while_an_alarm_is_open() -> None:
    guard = Guard(plan("adaptive", memory=500), 1, SPAN)
    stream = np.zeros(1, dtype=np.int64)
    raised = guard.step(stream, np.array([0]), np.array([30.0])).raised
    limit, tail = guard.limit, guard.tail
    assert raised[0]
    for minute in range(1, 2_000):
        ring = guard.step(stream, np.array([minute * MINUTE]), np.array([30.0]))
        assert not ring.raised[0]
    assert (guard.limit, guard.tail) == (limit, tail), "a fault that lasts must not become normal"
    calm = [
        guard.step(stream, np.array([minute * MINUTE]), np.array([0.1])) for minute in range(2_000, 2_061)
    ]
    assert sum(int(one.cleared[0]) for one in calm) == 1


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_restart_changes_nothing(kind: Kind) -> None:
    score = np.random.default_rng(5).exponential(1.2, (4_000, 3))
    time = np.arange(4_000) * MINUTE
    whole, first = Guard(plan(kind, memory=900), 3, SPAN), Guard(plan(kind, memory=900), 3, SPAN)
    streams = np.arange(3)
    for slot in range(2_000):
        whole.step(streams, np.full(3, time[slot]), score[slot])
        first.step(streams, np.full(3, time[slot]), score[slot])
    again = Guard(plan(kind, memory=900), 3, SPAN)
    again.restore(first.state())
    for slot in range(2_000, 4_000):
        one = whole.step(streams, np.full(3, time[slot]), score[slot])
        other = again.step(streams, np.full(3, time[slot]), score[slot])
        assert np.array_equal(one.raised, other.raised)
        assert np.array_equal(one.rarity, other.rarity)
    assert whole.limit == again.limit


def test_a_history_holds_each_alarm_with_its_peak_and_the_limit_of_the_time() -> None:
    score = np.random.default_rng(6).exponential(1.0, (300, 2))
    score[100:105, 1] = 40.0
    score[200, 0] = np.nan
    found, limits = watch(plan("split"), np.arange(300) * MINUTE, score, SPAN)
    burst = [one for one in found if one.stream == 1 and one.start_ns == 100 * MINUTE]
    assert len(burst) == 1
    assert (burst[0].raised_ns, burst[0].end_ns) == (100 * MINUTE, 104 * MINUTE)
    assert burst[0].peak > 10
    assert (limits == limits[0]).all()
