"""A loop that needs somebody raises an alert like any other, once, and clears it when it is seen to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from nervure.act.guard import Guard
from nervure.bench.safety.station import read
from nervure.core.alert import Alert
from nervure.core.command import Proposal, Trip
from nervure.core.error import ConflictError, StoreError
from nervure.core.instant import SECOND_NS
from nervure.core.order import Report
from nervure.node.bell import AWAY_S
from nervure.node.loops import Loops
from nervure.node.patrol import Patrol
from nervure.store import loop as rows
from nervure.store.catalogue import Catalogue
from nervure.store.scope import EVERYTHING
from nervure.store.write.writer import Parent, Writer
from nervure.trust.signature import SigningKey
from tests.acting import PUMP, SPEED, UNREAD, loop_of

S = SECOND_NS
EFFECT = {"kind": "effect", "of": "speed", "input": "flow", "least": 1.0, "within": "10s"}
ACT = PUMP | {"interlocks": [EFFECT]}
KEY = SigningKey(bytes(32))


def made(catalogue: Catalogue, writer: Writer) -> Loops:
    return Loops(catalogue, writer, UNREAD, lambda _: "", KEY.derived, lambda _: "")


@pytest.fixture
def loops(catalogue: Catalogue, writer: Writer) -> Loops:
    return made(catalogue, writer)


def tripped(loops: Loops, loop: int, now_ns: int) -> Guard:
    """Return a guard whose pump moved nothing."""
    guard = Guard(read(ACT, SPEED), {"speed": 20.0}, now_ns, boot="one", key=loops.key(loop))
    guard.sense({"flow": 5.0}, now_ns)
    guard.offer(
        Proposal(id="1", values={"speed": 60.0}, model="mpc", issued_ns=now_ns, until_ns=now_ns + 3 * S),
        now_ns,
    )
    guard.step(now_ns + 12 * S)
    return guard


def hear(loops: Loops, thing: int, loop: int, report: Report, at_ns: int) -> None:
    with loops.turn():
        loops.heard(thing, loop, report, at_ns)
        if report.notes:
            loops.noted(loop, report)


def rung(catalogue: Catalogue, rule: str, *, active: bool | None = True) -> list[Alert]:
    return [one for one in catalogue.alerts(solution="act", active=active) if one.rule == rule]


def test_a_trip_raises_an_alert_once_and_a_person_clears_it(
    catalogue: Catalogue, writer: Writer, loops: Loops
) -> None:
    thing, loop = loop_of(writer, "pump 7", ACT, SPEED)
    guard = tripped(loops, loop, 100 * S)
    for second in range(113, 116):
        hear(loops, thing, loop, guard.report(second * S), second * S)
    alert, *more = rung(catalogue, "trip")
    assert not more
    assert (alert.thing, alert.severity, alert.properties["loop"]) == (thing, "major", loop)
    assert alert.text.startswith("pump 7 has tripped: effect of speed: flow moved by 0 in 10s")
    assert f"nervure act trip reset {loop}" in alert.text
    assert [one.active for _, one in catalogue.outbox()] == [True]

    loops.ask(loop, "reset", "ann", "the belt was torn")
    assert rung(catalogue, "trip")  # the guard has not done it yet
    guard.reset("ann", 117 * S)
    hear(loops, thing, loop, guard.report(117 * S), 117 * S)
    assert not rung(catalogue, "trip")
    assert [one.active for _, one in catalogue.outbox()] == [True, False]
    assert rung(catalogue, "trip", active=None)[0].end_ns == 117 * S


def test_after_a_restart_of_the_node_it_is_the_same_alert(
    catalogue: Catalogue, writer: Writer, loops: Loops
) -> None:
    thing, loop = loop_of(writer, "pump", ACT, SPEED)
    guard = tripped(loops, loop, 100 * S)
    hear(loops, thing, loop, guard.report(113 * S), 113 * S)
    again = made(catalogue, writer)
    hear(again, thing, loop, guard.report(114 * S), 114 * S)
    assert len(rung(catalogue, "trip", active=None)) == 1
    assert len(catalogue.outbox()) == 1


def test_tasks_that_a_guard_has_no_more_when_it_was_started_anew_have_failed(
    catalogue: Catalogue, writer: Writer, loops: Loops
) -> None:
    """Else they would run for ever; what a person holds is in the guard's memory, and goes on."""
    thing, loop = loop_of(writer, "pump", PUMP, SPEED)
    parent = Parent(kind="TaskingCapability", id=loop, relation="Tasks")
    model, hand, asked = (
        writer.create("Task", {"taskingParameters": {"speed": 30.0}}, EVERYTHING, parent).id for _ in range(3)
    )
    for one in (model, hand):
        writer.task_status(one, "running")
    guard = Guard(read(PUMP, SPEED), {"speed": 20.0}, 100 * S, boot="one", key=loops.key(loop))
    for id_, by, slot in ((model, "model", 12), (hand, "person", 8)):
        guard.offer(
            Proposal(
                id=str(id_), values={"speed": 30.0}, by=by, actor="ann", model="mpc", slot=slot,  # type: ignore[arg-type]  # one of the two
                issued_ns=100 * S, until_ns=103 * S,
            ),
            100 * S,
        )  # fmt: skip
    hear(loops, thing, loop, guard.report(101 * S), 101 * S)
    assert [_status(catalogue, one) for one in (model, hand, asked)] == ["running", "running", "requested"]
    again = Guard(
        read(PUMP, SPEED), {"speed": 30.0}, 102 * S, boot="two", key=loops.key(loop), kept=guard.kept()
    )
    hear(loops, thing, loop, again.report(102 * S), 102 * S)
    assert [_status(catalogue, one) for one in (model, hand, asked)] == ["failed", "running", "requested"]
    with catalogue.database.read() as connection:
        (line,) = [one for one in rows.lines(connection, loop, 10) if one.what == "failed"]
    assert (line.task, line.who) == (model, "platform")


def _status(catalogue: Catalogue, task: int) -> str:
    with catalogue.database.read() as connection:
        found = rows.asked(connection, task)
    return "" if found is None else found.status


def test_a_guard_that_was_started_anew_does_not_clear_what_tripped(
    catalogue: Catalogue, writer: Writer, loops: Loops
) -> None:
    """The guard keeps trips in memory: without the platform, pulling the plug would do for a person."""
    thing, loop = loop_of(writer, "pump", ACT, SPEED)
    hear(loops, thing, loop, tripped(loops, loop, 100 * S).report(113 * S), 113 * S)
    fresh = Guard(read(ACT, SPEED), {"speed": 20.0}, 120 * S, boot="two", key=loops.key(loop))
    for second in (121, 122):
        hear(loops, thing, loop, fresh.report(second * S), second * S)
        assert [one.rule for one in loops.standing(loop).known.trips] == ["effect of speed"]
        assert len(rung(catalogue, "trip")) == 1
    loops.ask(loop, "reset", "ann")
    assert not rung(catalogue, "trip")
    assert loops.standing(loop).asks == (), "it knows of no trip: it would reset what trips on the way"
    hear(loops, thing, loop, fresh.report(123 * S), 123 * S)
    assert (loops.standing(loop).known.trips, rung(catalogue, "trip")) == ((), [])


def test_a_reset_where_nothing_has_tripped_is_refused_and_no_line_in_the_log(
    catalogue: Catalogue, writer: Writer, loops: Loops
) -> None:
    thing, loop = loop_of(writer, "pump", ACT, SPEED)
    guard = Guard(read(ACT, SPEED), {"speed": 20.0}, 100 * S, boot="one", key=loops.key(loop))
    for _ in range(2):
        with pytest.raises(ConflictError, match="nothing has tripped here"):
            loops.ask(loop, "reset", "ann")
        hear(loops, thing, loop, guard.report(101 * S), 101 * S)
    assert loops.standing(loop).asks == ()
    with catalogue.database.read() as connection:
        assert not rows.lines(connection, loop, 9)


def test_what_a_transaction_did_not_keep_is_rung_again(
    catalogue: Catalogue, writer: Writer, loops: Loops
) -> None:
    thing, loop = loop_of(writer, "pump", ACT, SPEED)
    report = tripped(loops, loop, 100 * S).report(113 * S)

    def lost() -> None:
        with loops.turn():
            loops.heard(thing, loop, report, 113 * S)
            raise StoreError("the catalogue is gone")

    with pytest.raises(StoreError, match="gone"):
        lost()
    assert not rung(catalogue, "trip")
    hear(loops, thing, loop, report, 114 * S)
    assert len(rung(catalogue, "trip")) == 1


def test_a_guard_that_is_away_rings_and_stops_when_it_is_back(
    catalogue: Catalogue, writer: Writer, loops: Loops
) -> None:
    thing, loop = loop_of(writer, "pump", ACT, SPEED)
    loop_of(writer, "never there", ACT, SPEED, thing=thing)
    patrol = Patrol(catalogue, loops)
    guard = Guard(read(ACT, SPEED), {"speed": 20.0}, 0, boot="one", key=loops.key(loop))
    begin = patrol._begun_ns
    hear(loops, thing, loop, guard.report(begin), begin)
    patrol.look(begin + round((AWAY_S - 1) * S))
    assert not rung(catalogue, "away")
    for more in (1, 2, 60):
        patrol.look(begin + round((AWAY_S + more) * S))
    (alert,) = rung(catalogue, "away")
    assert alert.text.startswith("Nothing is heard of the guard of pump.")
    back = begin + 100 * S
    hear(loops, thing, loop, guard.report(back), back)
    patrol.look(back + S)
    assert not rung(catalogue, "away")
    assert len(rung(catalogue, "away", active=None)) == 1


def test_one_that_was_there_before_a_restart_and_is_not_heard_since_is_away(
    catalogue: Catalogue, writer: Writer, loops: Loops
) -> None:
    thing, loop = loop_of(writer, "pump", ACT, SPEED)
    hear(loops, thing, loop, tripped(loops, loop, 100 * S).report(113 * S), 113 * S)
    again = made(catalogue, writer)
    patrol = Patrol(catalogue, again)
    patrol.look(patrol._begun_ns + S)
    assert not rung(catalogue, "away")
    patrol.look(patrol._begun_ns + 60 * S)
    assert len(rung(catalogue, "away")) == 1
    writer.delete("TaskingCapability", loop)
    again.plates.forget()
    patrol.look(patrol._begun_ns + 120 * S)
    assert not catalogue.alerts(solution="act", active=True)  # also the trip: nobody could reset it


def test_what_rings_for_a_loop_that_was_made_a_moment_ago_rings_on(
    catalogue: Catalogue, writer: Writer, loops: Loops
) -> None:
    loop_of(writer, "old", ACT, SPEED)
    patrol = Patrol(catalogue, loops)
    now = patrol._begun_ns
    patrol.look(now)  # the list of loops is read, and not again for some seconds
    thing, loop = loop_of(writer, "new", ACT, SPEED)
    hear(loops, thing, loop, tripped(loops, loop, now).report(now), now)
    patrol.look(now + S)
    (alert,) = rung(catalogue, "trip", active=None)
    assert alert.active


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda one: replace(one, key=""), "no key to know orders by"),
        (lambda one: replace(one, rules="other"), "keeps to another declaration"),
    ],
)
def test_a_guard_that_would_refuse_everything_rings(
    catalogue: Catalogue, writer: Writer, loops: Loops, change: Callable[[Any], Report], says: str
) -> None:
    thing, loop = loop_of(writer, "pump", ACT, SPEED)
    guard = Guard(read(ACT, SPEED), {"speed": 20.0}, 0, boot="one", key=loops.key(loop))
    patrol = Patrol(catalogue, loops)
    now = patrol._begun_ns
    hear(loops, thing, loop, change(guard.report(now)), now)
    patrol.look(now)
    (alert,) = rung(catalogue, "unfit")
    assert says in alert.text
    hear(loops, thing, loop, guard.report(now + S), now + S)
    patrol.look(now + S)
    assert not rung(catalogue, "unfit")


def test_a_device_without_a_guard_trips_in_the_platform_until_a_person_resets(
    catalogue: Catalogue, writer: Writer, loops: Loops
) -> None:
    _, loop = loop_of(writer, "pump", ACT | {"guarded": False}, SPEED)
    body = {"taskingParameters": {"speed": 60.0}, "properties": {"act": {"model": "mpc", "lease_s": 2}}}
    task = writer.create("Task", body | {"TaskingCapability": {"@iot.id": loop}}, EVERYTHING).id
    standing = loops.standing(loop)
    with loops.turn():
        loops._keep(loop, replace(standing, mode="auto", known=lapsed(standing.known)))
    ruling = loops.decide(task)
    assert ruling is not None
    assert ruling.state == "tripped"
    assert [one.rule for one in loops.standing(loop).known.trips] == ["effect of speed"]
    assert loops.standing(loop).mode == "advisory"
    assert len(rung(catalogue, "trip")) == 1
    loops.ask(loop, "reset", "ann")
    assert loops.standing(loop).known.trips == ()
    assert not rung(catalogue, "trip")


def lapsed(known: Any) -> Any:
    from nervure.core.command import Held, Pending

    return replace(
        known, held={"speed": (Held(20.0, 0),)}, pending={"effect of speed: flow": Pending(0, 5.0)}, trips=()
    )


def test_trips_are_told_apart_by_rule_and_time(catalogue: Catalogue, writer: Writer, loops: Loops) -> None:
    _, loop = loop_of(writer, "pump", ACT, SPEED)
    two = [Trip(rule="a", time_ns=1, why="it {stuck}"), Trip(rule="b", time_ns=1, why="")]
    with loops.turn():
        loops.bell.trips(loop, two, 5)
        loops.bell.trips(loop, two[:1], 6)
    (alert,) = rung(catalogue, "trip")
    assert "it {stuck}" in alert.text
    with loops.turn():
        loops.bell.trips(loop, [replace(two[0], time_ns=2)], 7)
    assert [one.start_ns for one in rung(catalogue, "trip")] == [7]
