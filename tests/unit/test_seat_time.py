"""A seat goes by the time of its readings: no clock that is wrong ends it, nor a time that begins anew."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from nervure.act.seat import Loop, Seat
from nervure.core.error import NervureError
from nervure.core.instant import SECOND_NS

S = SECOND_NS
NAMES = {1: "a", 2: "b", 3: "c", 4: "d"}


class Sum:
    """Wants the sum of all that it sees."""

    name, every_s = "sum", 5.0

    def __init__(self) -> None:
        self.saw: list[tuple[float, dict[str, float]]] = []

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        self.saw.append((now_s, dict(seen)))
        return {"valve": sum(seen.values())}


class Clock:
    """Our own, which can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.perf_counter() + self.ahead


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("nervure.act.seat.GRACE_S", 0.02)
    monkeypatch.setattr("nervure.act.seat.time.monotonic", found.monotonic)
    return found


@pytest.fixture
def total() -> Sum:
    return Sum()


@pytest.fixture
def seat(total: Sum) -> Seat:
    return Seat(total, {"valve": Loop(7, "x")}, NAMES, ask=lambda *_: 1, lease_s={7: 60.0})


def hear(seat: Seat, at_s: float, *streams: int) -> None:
    for one in streams or tuple(NAMES):
        seat.hear(one, round(at_s * S), 1.0)
    while seat.step(0.03):
        pass


def begun(seat: Seat) -> None:
    for at in (5, 10, 15):
        hear(seat, at)


def test_a_clock_that_is_wrong_does_not_end_a_seat(seat: Seat, total: Sum) -> None:
    """One sensor said that it is the year 2100: whatever came from then on was late."""
    begun(seat)
    hear(seat, 4e9, 2)
    hear(seat, 20)
    assert total.saw[-1] == (20.0, dict.fromkeys("abcd", 1.0))
    assert (seat.counts["far ahead"], seat.counts["late"]) == (1, 0)


def test_what_was_out_for_a_while_goes_on_later(seat: Seat, total: Sum, clock: Clock) -> None:
    begun(seat)
    hear(seat, 4000)  # all are there again: at once
    assert total.saw[-1][0] == 4000
    clock.ahead += 100
    hear(seat, 8000, 2)  # one alone, but nobody else has spoken for long
    assert total.saw[-1][0] == 8000


def test_after_an_outage_nobody_decides_on_what_was_before_it(seat: Seat, total: Sum) -> None:
    """Three gaps count as fresh, and the outage itself was taken for a gap."""
    begun(seat)
    hear(seat, 4000, 1, 2, 3)
    assert total.saw[-1] == (4000.0, dict.fromkeys("abc", 1.0))


def test_a_simulation_that_is_started_again_is_followed(seat: Seat, total: Sum, clock: Clock) -> None:
    for at in (1005, 1010, 1015):
        hear(seat, at)
    for at in (5, 10, 15):
        hear(seat, at)
    assert total.saw[-1][0] == 1015  # something old that came late, for all that is known
    clock.ahead += 100
    for at in (20, 25):
        hear(seat, at)
    assert total.saw[-1] == (25.0, dict.fromkeys("abcd", 1.0))
    assert seat.counts["begun anew"] == 1


def test_one_old_reading_after_a_long_silence_changes_nothing(seat: Seat, total: Sum, clock: Clock) -> None:
    begun(seat)
    clock.ahead += 100
    for _ in range(5):
        hear(seat, 10, 2)
    assert total.saw[-1][0] == 15
    assert seat.counts["begun anew"] == 0


def test_what_is_heard_of_moments_without_end_has_an_end(seat: Seat) -> None:
    begun(seat)
    for number in range(3000):
        seat._take(2, (100 + number) * S, 1.0, 0, 0)
    assert len(seat._rounds) == 1000
    assert min(seat._rounds) == 100 * S


def test_reasons_that_differ_each_time_are_counted_in_the_end_as_one(total: Sum, clock: Clock) -> None:
    asked = [0]

    def ask(_loop: int, _body: dict[str, Any]) -> int:
        asked[0] += 1
        raise NervureError(f"number {asked[0]}")

    seat = Seat(total, {"valve": Loop(7, "x")}, {1: "a"}, ask=ask, lease_s={7: 60.0})
    for _ in range(400):
        clock.ahead += 10
        seat._put(seat_draft())
    assert asked[0] == 400
    assert len(seat.counts) <= 201
    assert seat.counts["not asked"] >= 199


def seat_draft() -> Any:
    from nervure.act.seat import Asked

    return Asked(
        task=0, capability=7, values={"x": 1.0}, moment_ns=1, read_ns=0, heard_ns=0, asked_ns=0, inputs=""
    )
