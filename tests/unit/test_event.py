"""Alarms: when they ring, when they end, and that they are counted as they ring."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.core.event import Hold, Persistence, count, events, persistence
from nervure.core.instant import HOUR_NS
from nervure.core.problem import AlarmPolicy

SPAN = Persistence(hold_ns=2, gap_ns=3, hole_ns=6)


def _events(scores: list[float], span: Persistence = SPAN) -> list[tuple[int, int, int]]:
    found = events(np.arange(len(scores)), np.array(scores)[:, None], 1.0, span)
    return [(one.start_ns, one.raised_ns, one.end_ns) for one in found]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0, 2, 2, 0], []),
        ([0, 2, 2, 2, 0], [(1, 3, 3)]),
        ([2, 2, 2, 0, 0, 2, 2], [(0, 2, 6)]),
        ([2, 2, 2, 0, 0, 0, 2, 2, 2], [(0, 2, 2), (6, 8, 8)]),
        ([2, np.nan, 2, 0], [(0, 2, 2)]),
        ([2, np.nan, np.nan, np.nan, np.nan, np.nan, 2, 0], []),
        ([2, 2, 2, *[np.nan] * 6, 2, 2, 2], [(0, 2, 2), (9, 11, 11)]),
    ],
    ids=["too short", "long enough", "merged", "apart", "over a gap", "over a hole", "again after a hole"],
)
def test_when_alarms_ring_and_end(scores: list[float], expected: list[tuple[int, int, int]]) -> None:
    assert _events(scores) == expected


def test_the_peak_is_the_highest_score_of_the_alarm() -> None:
    found = events(np.arange(5), np.array([[2.0, 5, 3, 4, 0]]).T, 1.0, SPAN)
    assert found[0].peak == 5.0


def test_counting_at_many_limits_is_counting_at_each() -> None:
    random = np.random.default_rng(0)
    score = np.abs(random.normal(size=(300, 4))).cumsum(axis=0) % 5
    score[random.random(score.shape) < 0.1] = np.nan
    time = np.arange(300)
    limits = np.linspace(0.5, 5.0, 7)
    expected = [len(events(time, score, float(one), SPAN)) for one in limits]
    assert count(time, score, limits, SPAN)[:, 0].tolist() == expected
    assert count(time, score, limits, SPAN, parts=7).sum(axis=1).tolist() == expected


def test_a_policy_is_read_with_the_rules_own_hold_before_it() -> None:
    policy = AlarmPolicy(min_duration="0s", merge_gap="1h")
    assert persistence(policy, HOUR_NS) == Persistence(hold_ns=0, gap_ns=HOUR_NS, hole_ns=3 * HOUR_NS)
    assert persistence(policy, HOUR_NS, hold_ns=7).hold_ns == 7


def test_state_goes_on_where_it_stopped() -> None:
    one, two = Hold(1, SPAN), Hold(1, SPAN)
    stream = np.array([0])
    for time in range(2):
        one.step(stream, np.array([time]), np.array([True]))
    two.restore(one.state())
    assert two.step(stream, np.array([2]), np.array([True]))[0][0]


def test_a_state_from_before_ends_were_kept_goes_on() -> None:
    one, two = Hold(1, SPAN), Hold(1, SPAN)
    for time in range(2):
        one.step(np.array([0]), np.array([time]), np.array([True]))
    state = one.state()
    del state["ended"]
    two.restore(state)
    assert two.step(np.array([0]), np.array([2]), np.array([True]))[0][0]


def test_streams_added_later_start_idle() -> None:
    hold = Hold(1, SPAN)
    hold.step(np.array([0]), np.array([0]), np.array([True]))
    hold.grow(3)
    assert not hold.idle(np.array([0]))
    assert hold.idle(np.array([1, 2]))
