"""A controller's seat: moments from readings, Tasks from decisions, and what becomes of both."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from nervure.act.controller.joined import ROOMS, Yesterday, rooms, signals
from nervure.act.seat import Asked, Loop, Seat
from nervure.core.error import NotFoundError, UsageError
from nervure.core.instant import SECOND_NS
from nervure.twin.building import Building

S = SECOND_NS


class Follow:
    """Wants a valve as open as the level is high; says what it saw."""

    name = "follow"
    every_s = 10.0

    def __init__(self) -> None:
        self.saw: list[tuple[float, dict[str, float]]] = []

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        self.saw.append((now_s, dict(seen)))
        return {"valve": round(seen["level"]), "nobody knows": 1.0, "odd": float("nan")}


class Platform:
    """Takes Tasks, or is away."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, dict[str, Any]]] = []
        self.state: dict[int, str] = {}
        self.away = False

    def ask(self, capability: int, body: dict[str, Any]) -> int:
        if self.away:
            raise NotFoundError("nobody answers")
        self.asked.append((capability, body))
        return len(self.asked)

    def states(self, tasks: Iterable[int]) -> Mapping[int, str]:
        return {one: self.state.get(one, "running") for one in tasks}


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def follow() -> Follow:
    return Follow()


@pytest.fixture
def told() -> list[Asked]:
    return []


@pytest.fixture
def seat(platform: Platform, follow: Follow, told: list[Asked], monkeypatch: pytest.MonkeyPatch) -> Seat:
    monkeypatch.setattr("nervure.act.seat.GRACE_S", 0.05)
    return Seat(
        follow, {"valve": Loop(7, "opening"), "odd": Loop(8, "x")}, {1: "level", 2: "flow"},
        ask=platform.ask, states=platform.states, lease_s={7: 60.0, 8: 60.0}, tell=told.append,
    )  # fmt: skip


def moment(seat: Seat, at_s: int, level: float, flow: float | None = 0.0) -> None:
    seat.hear(1, at_s * S, level, read_ns=5)
    if flow is not None:
        seat.hear(2, at_s * S, flow)
    seat.hear(99, at_s * S, 1.0)
    while seat.step(0.1):
        pass


def test_a_task_says_what_was_wanted_by_whom_for_how_long_on_what(
    seat: Seat, platform: Platform, follow: Follow, told: list[Asked]
) -> None:
    moment(seat, 10, 3.0, 1.5)
    assert follow.saw == [(10.0, {"level": 3.0, "flow": 1.5})]
    capability, body = platform.asked[0]
    assert capability == 7
    assert body["taskingParameters"] == {"opening": 3.0}
    act = body["properties"]["act"]
    assert (act["model"], act["lease_s"], len(act["inputs"])) == ("follow", 60.0, 32)
    moment(seat, 20, 4.0, 1.5)
    assert platform.asked[1][1]["properties"]["act"]["inputs"] != act["inputs"]
    assert [(one.moment_ns // S, one.read_ns, one.values) for one in told] == [
        (10, 5, {"opening": 3.0}),
        (20, 5, {"opening": 4.0}),
    ]


def test_the_same_is_asked_again_when_half_its_lease_is_over(seat: Seat, platform: Platform) -> None:
    for at in (10, 20, 30, 40, 50, 60, 70):
        moment(seat, at, 3.0)
    assert len(platform.asked) == 3  # at 10, 40 and 70


def test_what_was_not_taken_is_asked_again(seat: Seat, platform: Platform) -> None:
    moment(seat, 10, 3.0)
    platform.state[1] = "rejected"
    seat._looked_s = 0.0
    moment(seat, 20, 3.0)
    moment(seat, 30, 3.0)
    assert len(platform.asked) == 2
    assert seat.counts["rejected"] == 1


def test_a_platform_that_is_away_is_asked_at_the_next_moment(seat: Seat, platform: Platform) -> None:
    platform.away = True
    moment(seat, 10, 3.0)
    assert platform.asked == []
    assert seat.counts["not asked: nobody answers"] == 1
    platform.away = False
    moment(seat, 20, 3.0)
    assert len(platform.asked) == 1


def test_on_readings_that_are_too_old_nothing_is_asked_until_they_come_in_time(
    platform: Platform, follow: Follow
) -> None:
    """Time goes a hundred times as fast there as here: twenty seconds of it are a fifth of one of ours."""
    seat = Seat(
        follow, {"valve": Loop(7, "opening")}, {1: "level"},
        ask=platform.ask, lease_s={7: 30.0}, seen_s={7: 20.0},
    )  # fmt: skip
    begun = time.time_ns() - 3 * S  # its clock is three seconds slow, which is not late

    def heard(turn: int, late_s: float) -> int:
        read = begun + turn * S // 10
        now = read + 3 * S + round(late_s * S)
        seat._came.put((1, turn * 10 * S, float(turn), read, now))
        monkeypatched.setattr("nervure.act.seat.time.time_ns", lambda: now)
        assert seat.step(0.3)
        return len(platform.asked)

    with pytest.MonkeyPatch.context() as monkeypatched:
        assert [heard(turn, 0.0) for turn in range(1, 5)] == [1, 2, 3, 4]
        assert [heard(turn, 0.4) for turn in range(5, 8)] == [4, 4, 4]
        assert seat.counts["held back: late"] == 3
        assert heard(8, 0.1) == 5
    assert len(follow.saw) == 8  # it has gone on deciding


def test_a_platform_that_does_not_answer_is_asked_ever_more_seldom(seat: Seat, platform: Platform) -> None:
    platform.away = True
    for at in range(10, 60, 10):
        moment(seat, at, float(at))
    assert seat.counts["not asked: nobody answers"] >= 2
    assert seat.counts["held back: not answered"] >= 1
    platform.away = False
    seat._pause.succeeded()
    moment(seat, 60, 6.0)
    moment(seat, 70, 7.0)
    assert len(platform.asked) == 2  # whoever answers is asked at each moment again


def test_who_is_missing_is_waited_for_once(seat: Seat, follow: Follow) -> None:
    moment(seat, 10, 3.0)
    seat.hear(1, 20 * S, 4.0)
    assert not seat.step(0.0)  # the flow may still come
    assert seat.step(0.2)  # it did not: its last reading is still fresh
    assert follow.saw[-1] == (20.0, {"level": 4.0, "flow": 0.0})
    seat.hear(1, 30 * S, 5.0)
    assert seat.step(0.0)  # nobody waits for it any longer
    for at in (40, 50, 60):
        moment(seat, at, 5.0, None)
    assert follow.saw[-1][1] == {"level": 5.0}  # too old to be believed


def test_a_late_reading_does_not_go_back(seat: Seat, follow: Follow) -> None:
    moment(seat, 20, 3.0)
    moment(seat, 10, 9.0)
    assert [at for at, _ in follow.saw] == [20.0]
    assert seat.counts["late"] == 2
    moment(seat, 30, 4.0, None)
    assert follow.saw[-1][1]["level"] == 4.0


def test_it_decides_as_often_as_the_controller_likes(seat: Seat, follow: Follow) -> None:
    for at in range(5, 45, 5):
        moment(seat, at, 3.0)
    assert [at for at, _ in follow.saw] == [5.0, 15.0, 25.0, 35.0]


def test_nothing_is_asked_on_what_was_overtaken(seat: Seat, platform: Platform, follow: Follow) -> None:
    moment(seat, 10, 3.0)
    for at, level in ((20, 4.0), (30, 5.0), (40, 6.0)):
        seat.hear(1, at * S, level)
        seat.hear(2, at * S, 0.0)
    while seat.step(0.0):
        pass
    assert [at for at, _ in follow.saw] == [10.0, 20.0, 30.0, 40.0]
    assert [body["taskingParameters"]["opening"] for _, body in platform.asked] == [3.0, 6.0]
    assert seat.counts["overtaken"] == 2


def test_a_controller_that_breaks_asks_nothing(seat: Seat, platform: Platform) -> None:
    seat.hear(2, 10 * S, 1.0)
    while seat.step(0.1):
        pass
    assert platform.asked == []
    assert seat.counts["broken: KeyError"] == 1
    assert seat.trouble == "KeyError('level')"


def test_rooms_are_joined_from_what_their_capabilities_say() -> None:
    twin = Building()
    told = [dict(one.about) for one in twin.describe().actuators if one.name.endswith("heat_setpoint")]
    readings = dict(twin.reset(scenario={"battery_kwh": 0.0}))
    monday_five = (4 * 24 + 5) * 3600.0
    for name in ROOMS:
        found = rooms(name, told).decide(readings, monday_five)
        assert set(found) == {
            f"{room}/{what}_setpoint" for room in ("living", "sleeping") for what in ("heat", "cool")
        }
    assert (
        rooms("schedule", told).decide(readings, monday_five)["living/heat_setpoint"] == 20.0
    )  # for six o'clock
    with pytest.raises(KeyError):
        rooms("climate", told).decide({}, monday_five)
    with pytest.raises(UsageError, match="no loop here is a room"):
        rooms("climate", [{"junction": {}}])
    with pytest.raises(UsageError, match="no loop here is a signal"):
        signals("max-pressure", told)


def test_the_coming_day_is_as_the_last_one_was() -> None:
    seen = Yesterday()
    for hour in range(30):
        seen.note(float(hour), 10.0 + hour % 24, float(hour % 24))
    found = seen(29.0, 24)
    assert found.outdoor[1] == pytest.approx(16.0)
    assert found.sun.tolist()[:3] == [5.0, 6.0, 7.0]
    assert not found.load.any()


def test_what_is_over_is_lived_through_and_nothing_is_asked(
    seat: Seat, platform: Platform, follow: Follow
) -> None:
    seat.teach(10 * S, {"level": 3.0, "flow": float("nan")})
    seat.teach(20 * S, {"flow": 1.0})
    assert follow.saw == [(10.0, {"level": 3.0}), (20.0, {"flow": 1.0})]
    assert (platform.asked, seat.counts["taught"], seat.counts["broken: KeyError"]) == ([], 2, 1)
