"""Who sends too fast is out for a while, for longer each time; who does not is never."""

from __future__ import annotations

import pytest

from nervure.trust.pace import Pace


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Time:
    return Time()


def test_who_keeps_to_the_rate_is_never_sent_out(clock: Time) -> None:
    pace = Pace(100.0, clock)
    for _ in range(10_000):
        assert pace.count("a", 1, 5) == 0.0
        clock.now_s += 0.05
    assert not pace.watched("a")


def test_half_a_seconds_worth_may_come_at_once_for_each_datastream(clock: Time) -> None:
    pace = Pace(100.0, clock)
    assert pace.count("a", 1, 50) == 0.0
    assert pace.count("b", 4, 200) == 0.0
    assert pace.count("a", 1, 1) > 0.0
    assert pace.count("b", 4, 1) > 0.0


def test_one_who_floods_does_not_count_for_another(clock: Time) -> None:
    pace = Pace(100.0, clock)
    assert pace.count("a", 1, 10_000) > 0.0
    assert pace.count("b", 1, 50) == 0.0
    assert pace.out == 1


def test_who_floods_again_stays_out_longer_up_to_a_bound(clock: Time) -> None:
    pace = Pace(100.0, clock)
    waits = []
    for _ in range(6):
        waits.append(pace.count("a", 1, 1_000))
        clock.now_s += pace.wait_s("a")
        assert pace.wait_s("a") == 0.0
    assert waits[:4] == [30.0, 60.0, 120.0, 240.0]
    assert waits[-1] == 240.0


def test_what_was_sent_above_the_rate_is_waited_for_in_any_case(clock: Time) -> None:
    assert Pace(10.0, clock).count("a", 1, 10_000) == 1_000.0


def test_a_flood_of_long_ago_is_forgotten(clock: Time) -> None:
    pace = Pace(100.0, clock)
    clock.now_s += pace.count("a", 1, 1_000) + 601
    assert not pace.watched("a")
    assert pace.count("a", 1, 50) == 0.0
    assert pace.count("a", 1, 1) == 30.0


def test_who_is_silent_is_not_kept_in_memory(clock: Time) -> None:
    pace = Pace(100.0, clock)
    pace.count("calm", 1, 1)
    pace.count("flood", 1, 1_000)
    clock.now_s += 100.0
    pace.tidy()
    assert set(pace._accounts) == {"flood"}
    clock.now_s += 1_000.0
    pace.tidy()
    assert not pace._accounts


def test_a_rate_of_less_than_a_message_a_second_can_be_kept_to(clock: Time) -> None:
    pace = Pace(0.5, clock)
    for _ in range(1_000):
        assert pace.count("a", 1, 1) == 0.0
        clock.now_s += 2.0
    assert pace.count("a", 1, 20) > 0.0


def test_who_was_not_looked_at_for_a_while_may_have_sent_at_the_rate_meanwhile(clock: Time) -> None:
    pace = Pace(100.0, clock)
    assert pace.count("a", 1, 1, unseen=True) == 0.0
    for _ in range(100):
        clock.now_s += 3.0
        assert pace.count("a", 1, 300, unseen=True) == 0.0
    clock.now_s += 3_600.0
    assert pace.count("a", 1, 2_000, unseen=True) > 0.0, "but not all of an hour's at once"
