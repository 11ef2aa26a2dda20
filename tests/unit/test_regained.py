"""What a model commanded comes back after a person's hand, or who was stronger, only if it still may."""

from __future__ import annotations

from typing import Any

import pytest

from nervure.act import array
from nervure.act.guard import Guard
from nervure.act.standing import Standing, rule
from nervure.bench.safety.station import read
from nervure.core.command import HAND, Proposal
from nervure.core.interlock import Declared, Value

S = 1_000_000_000
RULES: list[dict[str, Any]] = [
    {"kind": "rate", "of": "speed", "most": 10, "per": "1s", "binds": "models"},
    {"kind": "fresh", "inputs": ["level"], "within": "10s"},
    {"kind": "approve", "k": 1, "within": "1h", "binds": "models", "doing": [{"of": "valve", "equals": "x"}]},
]


def station(rules: list[dict[str, Any]]) -> Declared:
    act = {"lease": "10min", "age": "5s", "seen": "1min", "interlocks": rules}
    return read(act | {"plan": [{"hold": "1h", "values": {"speed": 50.0, "valve": "shut"}}]}, FIELDS)


FIELDS = {"speed": "Quantity", "valve": "Category"}


def model(values: dict[str, Value], second: float, slot: int = 12) -> Proposal:
    now = round(second * S)
    return Proposal(
        id=f"{slot} at {second}", values=values, model="mpc", actor="mpc", slot=slot, issued_ns=now,
        until_ns=now + 500 * S, seen_ns=now,
    )  # fmt: skip


def hand(values: dict[str, Value], second: float, slot: int = HAND, who: str = "maria") -> Proposal:
    return Proposal(
        id=f"hand in {slot} at {second}", values=values, by="person", actor=who, slot=slot,
        issued_ns=round(second * S),
    )  # fmt: skip


def half_covered(rules: list[dict[str, Any]]) -> Guard:
    """A model has speed and valve; a person takes the speed, far away."""
    guard = Guard(station(rules), {"speed": 50.0, "valve": "shut"}, 0)
    guard.sense({"level": 1.0}, S)
    assert guard.offer(model({"speed": 55.0, "valve": "open"}, 1), S).status == "acknowledged"
    assert guard.offer(hand({"speed": 90.0}, 3), 3 * S).status == "acknowledged"
    assert guard.step(5 * S) == {"speed": 90.0, "valve": "open"}
    return guard


def said(guard: Guard, task: str) -> list[tuple[str, str]]:
    return [(one.status, one.detail) for one in guard.answers() if one.task == task]


@pytest.mark.parametrize(("rule_", "why"), [(0, "rate of speed"), (1, "fresh")])
def test_what_binds_models_is_asked_again_when_a_hand_ends(rule_: int, why: str) -> None:
    """Nobody may go from 90 back to 55 at once but people; a level of 20 s ago is none to rest on."""
    guard = half_covered([RULES[rule_]])
    guard.release(HAND, 25 * S, who="maria")
    assert guard.slots == ()
    assert guard.step(26 * S) == {"speed": 50.0, "valve": "shut"}  # its plan
    status, detail = said(guard, "12 at 1")[-1]
    assert status == "failed"
    assert detail.startswith(why)


def test_what_still_may_comes_back_and_a_yes_is_not_asked_for_twice() -> None:
    guard = half_covered(RULES)
    guard.offer(hand({"speed": 52.0}, 6), 6 * S)
    guard.step(8 * S)
    guard.sense({"level": 2.0}, 9 * S)
    guard.release(HAND, 10 * S, who="maria")
    assert guard.step(11 * S) == {"speed": 55.0, "valve": "open"}
    assert guard.holder == "12 at 1"


def test_so_it_is_when_a_stronger_model_goes() -> None:
    guard = Guard(station([RULES[1]]), {"speed": 50.0, "valve": "shut"}, 0)
    guard.sense({"level": 1.0}, 0)
    guard.offer(model({"speed": 60.0}, 1), S)
    guard.offer(model({"speed": 70.0}, 2, slot=9), 2 * S)
    assert guard.step(30 * S)["speed"] == 70.0
    guard.release(9, 31 * S)
    assert guard.step(32 * S)["speed"] == 50.0


def test_a_command_goes_on_unasked_while_nobody_stronger_came() -> None:
    """Its rules were asked when it came; a lease bounds how long that may be ago."""
    guard = Guard(station([RULES[1]]), {"speed": 50.0, "valve": "shut"}, 0)
    guard.sense({"level": 1.0}, 0)
    guard.offer(model({"speed": 60.0}, 1), S)
    guard.offer(hand({"valve": "open"}, 2), 2 * S)  # which is none of its fields
    guard.release(HAND, 30 * S, who="maria")
    assert guard.step(31 * S)["speed"] == 60.0


def test_who_holds_a_field_is_named_and_not_who_holds_another() -> None:
    valve, speed = hand({"valve": "shut"}, 1, slot=5, who="jo"), hand({"speed": 10.0}, 1, who="maria")
    slots = array.put(array.put((), valve), speed)
    found = array.stronger(slots, 12, {"speed": 20.0})
    assert found is not None
    assert found.actor == "maria"
    declared = station([])
    _, ruling = rule(model({"speed": 20.0}, 1), declared, Standing(mode="auto", slots=slots), S)
    assert (ruling.state, ruling.detail) == ("overridden", "slot 8 is held by maria")


def test_a_hand_ends_no_command_that_another_model_covers() -> None:
    """Of two fields a person holds one and a stronger model the other: only its lease is in the way."""
    guard = Guard(station([]), {"speed": 50.0, "valve": "shut"}, 0)
    guard.offer(model({"speed": 60.0, "valve": "open"}, 1), S)
    guard.offer(model({"valve": "shut"}, 2, slot=9), 2 * S)
    guard.offer(hand({"speed": 10.0}, 3), 3 * S)
    assert [one.slot for one in guard.slots] == [HAND, 9, 12]
    guard.release(9, 4 * S)
    assert guard.step(5 * S) == {"speed": 10.0, "valve": "open"}
