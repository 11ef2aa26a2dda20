"""Declarations that are wrong say where; modes go up on evidence only; the guard on its plan and off it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from nervure.act.guard import Guard
from nervure.act.loop import Loop
from nervure.act.standing import RECENT, Ruling, Standing, demoted, promoted, rule
from nervure.core.command import HAND, Approval, Proposal, Trip, digest
from nervure.core.error import ConflictError, DeclarationError
from nervure.core.interlock_check import declared
from nervure.core.mac import sealed
from nervure.core.order import Order
from nervure.core.task import FINAL, MOVES, STATES, ways
from tests.acting import CROSSING, PUMP, crossing, pump

S = 1_000_000_000
KEY = bytes(range(32))
PARAMETERS = {
    "type": "DataRecord",
    "field": [
        {"name": "speed", "type": "Quantity"},
        {"name": "valve", "type": "Category"},
        {"name": "on", "type": "Boolean"},
    ],
}


@pytest.mark.parametrize(
    ("rule_", "says", "where"),
    [
        ({"kind": "rnge", "of": "speed"}, "Invalid value 'rnge'", ".interlocks[0].kind"),
        ({"kind": "range", "of": "speed"}, "it bounds nothing", ".interlocks[0]"),
        ({"kind": "range", "of": "sped", "low": 0}, "no field 'sped'", ".interlocks[0].of"),
        ({"kind": "range", "of": "valve", "low": 0}, "'valve' is no number", ".interlocks[0].of"),
        ({"kind": "range", "of": "speed", "low": 2, "high": 1}, "low 2 lies above high 1", ".interlocks[0]"),
        ({"kind": "range", "of": "speed", "lo": 2}, "unknown field `lo`", ".interlocks[0]"),
        ({"kind": "rate", "of": "speed", "most": 0}, "nothing could change", ".interlocks[0].most"),
        (
            {"kind": "rate", "of": "speed", "most": 1, "per": "soon"},
            "is not a duration",
            ".interlocks[0].per",
        ),
        ({"kind": "dwell", "of": "on"}, "on, off or both", ".interlocks[0]"),
        ({"kind": "hourly", "most": 0}, "Expected `int` >= 1", ".interlocks[0].most"),
        (
            {"kind": "conflict", "pairs": [[{"of": "x", "low": 1}, {"of": "y", "low": 1}]]},
            "no command could meet it",
            ".interlocks[0].pairs[0]",
        ),
        (
            {"kind": "require", "needs": [{"of": "level"}]},
            "either equals, or low and high",
            ".interlocks[0]",
        ),
        (
            {"kind": "sequence", "of": "valve", "after": {"a": ["b"]}},
            "nothing says what may follow it",
            ".interlocks[0].after.a",
        ),
        (
            {"kind": "starve", "of": "valve", "states": ["a", "b"], "most": "1s"},
            "too short",
            ".interlocks[0].most",
        ),
        ({"kind": "approve", "k": 2, "of": ["ann"]}, "2 must approve, and only 1 may", ".interlocks[0].of"),
        ({"kind": "scope", "fields": ["speed"], "start": "06:00"}, "stand together", ".interlocks[0]"),
        ({"kind": "scope", "fields": ["speed"], "zone": "Mars/Base"}, "no time zone", ".interlocks[0].zone"),
        ({"kind": "envelope", "kpis": {}}, "it bounds nothing", ".interlocks[0].kpis"),
    ],
)
def test_a_wrong_declaration_says_what_and_where(rule_: dict[str, Any], says: str, where: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        declared({"act": {"interlocks": [rule_]}}, PARAMETERS)
    assert says in caught.value.what
    assert (caught.value.where or "").endswith(where)


def test_a_plan_outside_of_its_own_interlocks_is_refused() -> None:
    with pytest.raises(DeclarationError, match="outside its range"):
        pump(plan=[{"hold": "1h", "values": {"speed": 101.0}}])
    with pytest.raises(DeclarationError, match="of which the sequence says nothing"):
        crossing(plan=[{"hold": "1h", "values": {"phase": "red"}}])
    with pytest.raises(DeclarationError, match="nothing can be commanded"):
        declared({"act": {}}, {"type": "DataRecord", "field": []})
    assert declared({"colour": "red"}, PARAMETERS) is None


def test_every_state_is_reached_and_no_end_is_left() -> None:
    assert {after for following in MOVES.values() for after in following} | {"requested"} == set(STATES)
    assert all(not ways(end, state) for end in FINAL for state in STATES)
    assert ways("requested", "running") == ("checked", "dispatched", "running")


def test_a_controller_that_dies_leaves_the_device_on_its_plan() -> None:
    loop = Loop(pump(), {"speed": 20.0}, model="mpc", now_ns=0)
    assert loop.command({"speed": 70.0}, S).state == "checked"
    assert loop.step(2 * S) == {"speed": 70.0}
    assert loop.command({"speed": 170.0}, 2 * S).detail.startswith("range of speed: speed 170 lies outside")
    assert loop.step(5 * S) == {"speed": 20.0}
    assert loop.rulings == {"checked": 1, "rejected": 1}


def test_a_persons_hand_wins_and_keeps_to_what_binds_all() -> None:
    loop = Loop(pump(), {"speed": 20.0}, model="mpc", now_ns=0)
    loop.command({"speed": 50.0}, S)
    assert loop.hand({"speed": 10.0}, "ann", 3 * S).state == "checked"
    assert loop.hand({"speed": 110.0}, "ann", 3 * S).state == "rejected"
    assert loop.command({"speed": 60.0}, 4 * S).state == "overridden"
    assert loop.step(4 * S) == {"speed": 10.0}
    loop.auto("ann", 5 * S)
    assert loop.step(6 * S) == {"speed": 20.0}


def test_a_rate_that_is_too_steep_for_the_plan_is_taken_in_steps() -> None:
    steep = [{"kind": "rate", "of": "speed", "most": 10, "per": "1s"}]
    guard = Guard(pump(interlocks=steep, plan=[{"hold": "1h", "values": {"speed": 45.0}}]), {"speed": 0.0}, 0)
    found = [guard.step(second * S)["speed"] for second in range(1, 7)]
    assert found == [10.0, 20.0, 30.0, 40.0, 45.0, 45.0]


def test_no_effect_trips_for_good_until_a_person_resets() -> None:
    watch = {"kind": "effect", "of": "speed", "input": "flow", "least": 1.0, "within": "10s"}
    rules = pump(interlocks=[watch], lease="1min")
    guard = Guard(rules, {"speed": 20.0}, 0)
    guard.sense({"flow": 5.0}, S)
    wish = Proposal(id="1", values={"speed": 60.0}, model="mpc", issued_ns=S, until_ns=50 * S)
    assert guard.offer(wish, S).status == "acknowledged"
    guard.sense({"flow": 5.2}, 5 * S)
    assert guard.step(11 * S) == {"speed": 60.0}
    assert guard.step(12 * S) == {"speed": 20.0}
    assert [one.rule for one in guard.known.trips] == ["effect of speed"]
    again = replace(wish, id="2", issued_ns=13 * S)
    assert guard.offer(again, 13 * S).status == "tripped"
    guard.reset("", 14 * S)
    assert guard.known.trips
    guard.reset("ann", 14 * S)
    guard.sense({"flow": 9.0}, 14 * S)
    assert guard.offer(replace(again, id="3"), 14 * S).status == "acknowledged"


def test_what_is_replayed_reordered_old_or_damaged_changes_nothing() -> None:
    guard = Guard(pump(), {"speed": 20.0}, 100 * S, boot="b", key=KEY)
    clock = guard.report(100 * S).clock_ns
    far = 900 * S  # the sender's clock is minutes wrong
    wish = Proposal(id="7", values={"speed": 50.0}, model="mpc", issued_ns=far, until_ns=far + 2 * S)
    order = Order(capability=1, number=7, boot="b", echo_ns=clock, task=7, proposal=wish)
    sent = msgspec.json.encode(sealed(order, KEY))
    assert guard.receive(sent, 101 * S).status == "acknowledged"
    assert guard.receive(sent, 101 * S).status == "running"  # what has become of it, done once
    assert list(guard.accepted) == ["7"]
    for wrong, says in (
        (replace(order, proposal=replace(wish, id="8")), "number 7 came after 7"),
        (replace(order, number=9, boot="a", proposal=replace(wish, id="9")), "another start"),
        (replace(order, number=9, echo_ns=clock - 9 * S, proposal=replace(wish, id="10")), "stale"),
        (replace(order, number=9, echo_ns=clock + 9 * S, proposal=replace(wish, id="11")), "stale"),
    ):
        assert says in guard.receive(msgspec.json.encode(sealed(wrong, KEY)), 102 * S).detail
    for bad in (b"", b"[" * 100_000, sent[:-9], sent.replace(b"50.0", b"NaN"), sent * 400):
        assert guard.receive(bad, 102 * S).status == "rejected"
    assert guard.values == {"speed": 50.0}
    assert guard.step(104 * S) == {"speed": 20.0}


def test_modes_rise_on_evidence_and_fall_by_refusals_and_trips() -> None:
    rules = pump(promote={"least": 10, "refused": 0.1})
    standing = Standing(known=Guard(rules, {"speed": 20.0}, 0).known)
    good = Proposal(id="1", values={"speed": 30.0}, model="mpc", issued_ns=S, until_ns=2 * S)
    bad = replace(good, values={"speed": 300.0})
    for _ in range(10):
        standing, ruling = rule(good, rules, standing, S)
        assert (ruling.state, ruling.detail) == ("rejected", "mode: shadow: judged only")
    with pytest.raises(ConflictError, match="one step at a time"):
        promoted(standing, rules, "auto", "ann", S)
    standing = promoted(standing, rules, "advisory", "ann", S)
    with pytest.raises(ConflictError, match="0 commands were judged in it, 10 are needed"):
        promoted(standing, rules, "supervised", "ann", S)
    assert rule(good, rules, standing, S)[1].state == "awaiting approval"
    said = replace(good, approvals=(Approval(who="bo", time_ns=S, of=digest(good.values)),))
    assert rule(said, rules, standing, S)[1].state == "checked"
    watched = replace(standing, mode="supervised", watch_ns=3 * S)
    assert rule(good, rules, watched, S)[1].state == "checked"
    assert (
        rule(replace(good, issued_ns=3 * S, until_ns=4 * S), rules, watched, 3 * S)[1].state
        == "awaiting approval"
    )
    auto = replace(standing, mode="auto")
    for _ in range(RECENT):
        auto, ruling = rule(bad, rules, auto, S)
    assert (auto.mode, ruling.lowered) == (
        "supervised",
        f"{RECENT} of its last {RECENT} commands were refused",
    )
    tripped = replace(auto, known=replace(auto.known, trips=(Trip(rule="r", time_ns=0, why="w"),)))
    with pytest.raises(ConflictError, match="1 trips since"):
        promoted(tripped, rules, "auto", "ann", S)
    assert demoted(auto, S, to="shadow").mode == "shadow"


def test_a_model_gets_no_slot_of_people_and_no_endless_lease() -> None:
    guard = Guard(pump(), {"speed": 20.0}, 0)
    wish = Proposal(id="1", values={"speed": 30.0}, model="mpc", issued_ns=0, until_ns=2 * S)
    for wrong in (replace(wish, slot=HAND), replace(wish, until_ns=None), replace(wish, until_ns=9 * S)):
        assert guard.offer(replace(wrong, id=f"{wrong.slot} {wrong.until_ns}"), 0).status == "rejected"
    assert PUMP["lease"] == "3s"
    assert CROSSING["interlocks"]


def test_a_policy_that_starves_somebody_is_not_heard_for_longer_and_longer() -> None:
    """Serving those who starve one by one is no traffic light: the local plan has it meanwhile."""
    starve = {"kind": "starve", "of": "phase", "states": ["ns", "ew"], "most": "60s"}
    rules = [CROSSING["interlocks"][0], starve | {"bench": "5min"}]
    loop = Loop(crossing(interlocks=rules, promote={"demote": 1.0}), {"phase": "ns"}, model="worst", now_ns=0)
    heard = list[float]()
    for second in range(2000):
        ruling = loop.command({"phase": "ns"}, second * S)
        if ruling.state == "checked":
            heard.append(second)
        loop.step(second * S)
    gaps = [after - before for before, after in pairwise(heard) if after - before > 100]
    assert gaps == [pytest.approx(300, abs=10), pytest.approx(600, abs=10)]
    assert "it is not heard for" in _of_starve(loop.command({"phase": "ns"}, 2000 * S))
    loop.guard.reset("ann", 2001 * S)
    assert "it is not heard for" not in _of_starve(loop.command({"phase": "ns"}, 2001 * S))


def _of_starve(ruling: Ruling) -> str:
    return next(one.why for one in ruling.verdicts if one.kind == "starve")
