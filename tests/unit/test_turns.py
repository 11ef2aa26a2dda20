"""Lanes of which a phase lets some turns go and holds back others, and who is forgotten there."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from nervure.act.controller.pressure import MaxPressure
from nervure.act.controller.shield import Shield
from nervure.core.junction import Junction
from nervure.core.sight import Sight
from nervure.twin.survey import junction_of

# From w one goes straight on or to the left, in one lane; phase 1 is for who turns left alone.
LIGHTS = [[("n", "so")], [("w", "eo")], [("w", "no")]]
STATES = ["rGG", "rrG", "Grr"]
TEE = junction_of("J", LIGHTS, STATES, [30.0, 6.0, 30.0], 80.0, 3.0)


def seen(junction: Junction, counts: Mapping[str, float], wait_s: float = 0.0) -> dict[str, float]:
    found = dict.fromkeys((junction.full(one) for one in junction.outs), 0.0)
    for lane in junction.lanes:
        count = counts.get(lane, 0.0)
        found |= {junction.reading(lane, what): count for what in ("count", "queue", "arrivals")}
        found[junction.reading(lane, "wait")] = wait_s if count else 0.0
    return found


class Say:
    """A controller that shows one phase for ever, or one after another."""

    name, every_s = "say", 10.0

    def __init__(self, *values: float) -> None:
        self._values = values
        self._asked = 0

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        self._asked += 1
        return {"J/phase": self._values[min(self._asked, len(self._values)) - 1]}


def test_a_lane_of_which_a_turn_is_red_is_served_in_part() -> None:
    assert TEE.lanes == ("n", "w")
    assert np.array(TEE.served) == pytest.approx(np.array([[0.0, 1.0], [0.0, 5 / 6], [1.0, 0.0]]))
    assert TEE.turns == ((1, (1, 0, 0)),)  # straight on; to the left it always goes when the lane does
    plain = junction_of("J", [[("n", "so")], [("n", "wo")], [("e", "wo")]], ["GgG"], [9.0], 80.0, 3.0)
    assert plain.served == ((1.0, 1.0),)
    assert plain.turns == ()
    shared = junction_of("J", [[("n", "so")], [("n", "wo")]], ["Gr", "rg"], [9.0, 9.0], 80.0, 3.0)
    assert np.array(shared.served) == pytest.approx(np.array([[5 / 6], [5 / 12]]))
    assert shared.turns == ((0, (1, 0)), (0, (0, 1)))


def test_max_pressure_opens_the_whole_lane() -> None:
    rule = MaxPressure([TEE])
    busy = seen(TEE, {"w": 3.0}) | {TEE.shown: 1.0}
    assert rule.decide(busy, 0.0) == {TEE.command: 0.0}


def test_who_stands_in_a_green_lane_whose_turn_is_red_is_served_in_time() -> None:
    sight = Sight(TEE)
    sight.show(1)
    opened = math.inf
    for at in range(12):
        sight.look(seen(TEE, {"n": 1.0 + at % 2, "w": 2.0 + at % 2}), at * 10.0)
        due = sight.due(10.0)
        sight.show(1 if due is None else due)  # phase 1 serves the lane too, by its lights
        opened = min(opened, at * 10.0 if due == 0 else math.inf)
    assert opened + TEE.yellow_s <= TEE.max_red_s
    sight.show(0)
    sight.look(seen(TEE, {"w": 2.0}), 120.0)
    assert sight.starved_s[1] == 0.0


def test_who_only_passes_a_green_lane_is_not_taken_to_be_held_back() -> None:
    sight = Sight(TEE)
    sight.show(1)
    for at in range(30):
        moving = seen(TEE, {"w": 2.0 + at % 2}) | {TEE.reading("w", "queue"): 0.0}
        sight.look(moving, at * 10.0)
        assert sight.starved_s[1] == 0.0


@pytest.mark.parametrize("kept", [1.0, 2.0])
def test_a_policy_that_forgets_who_creeps_is_benched(kept: float) -> None:
    """In the queue vehicles move up now and then, and their wait begins anew: none is ever long."""
    shield = Shield(Say(kept), [TEE])
    for at in range(60):
        shield.decide(seen(TEE, {"n": 5.0 + at % 2, "w": 5.0 + at % 2}, wait_s=10.0 * (at % 3)), at * 10.0)
    assert shield.verdicts["benched"] >= 30


def test_who_is_overruled_once_in_a_while_is_asked_on() -> None:
    shield = Shield(Say(*(0.0 if at % 9 == 8 and at not in (35, 98) else 2.0 for at in range(120))), [TEE])
    for at in range(120):
        shield.decide(seen(TEE, {"n": 5.0 + at % 2, "w": 1.0 + at % 2}, wait_s=20.0), at * 10.0)
    assert shield.verdicts["red"] == 2
    assert not shield.verdicts["benched"]


def test_nobody_is_benched_for_an_empty_lane_or_a_dead_detector() -> None:
    shield = Shield(Say(2.0), [TEE])
    for at in range(200):
        dead = dict.fromkeys((TEE.reading("w", what) for what in ("count", "queue", "wait")), math.nan)
        shield.decide(seen(TEE, {"n": 5.0 + at % 2}) | dead, at * 10.0)
    assert shield.verdicts["red"] >= 10  # it is shown in turn all the same
    assert not shield.verdicts["benched"]
