"""Of what one controller wants one wish waits for people, however often it asks; and people are told."""

from __future__ import annotations

import time
from typing import Any

import pytest
from msgspec.structs import replace

from nervure.core.instant import SECOND_NS, iso
from nervure.node.loops import Loops
from nervure.node.patrol import Patrol
from nervure.node.steering import Steering
from nervure.store import loop as rows
from nervure.store.catalogue import Catalogue
from nervure.store.scope import EVERYTHING, Scope
from nervure.store.write.writer import Writer
from nervure.trust.signature import SigningKey
from tests.acting import PUMP, SPEED, UNREAD, loop_of

KEY = SigningKey(bytes(32))
PROGRAM = replace(EVERYTHING, who="admin", kind="token")
MARIA, OTTO = (replace(EVERYTHING, who=who, kind="user") for who in ("maria", "otto"))
BOTH = {"kind": "approve", "k": 2, "of": ["maria", "otto"]}


class Room:
    """A loop in a mode, and who asks something of it."""

    def __init__(self, catalogue: Catalogue, writer: Writer, mode: Any, *more: dict[str, Any]) -> None:
        self.catalogue, self.writer = catalogue, writer
        self.loops = Loops(catalogue, writer, UNREAD, lambda _: "", KEY.derived, lambda _: "")
        act = PUMP | {"interlocks": [PUMP["interlocks"][0], *more], "guarded": False}
        _, self.loop = loop_of(writer, "pump", act, SPEED)
        self.mode(mode)
        self.steering = Steering(catalogue, writer, self.loops, lambda: None, lambda *_: True)

    def mode(self, mode: Any) -> None:
        with self.loops.turn():
            self.loops._keep(self.loop, replace(self.loops.standing(self.loop), mode=mode))

    def asks(self, speed: float, who: Scope = PROGRAM, **act: Any) -> tuple[int, str]:
        """Ask for a speed, and return the Task and what becomes of it."""
        body = {"taskingParameters": {"speed": speed}, "properties": {"act": {"model": "mpc"} | act}}
        task = self.writer.create("Task", body | {"TaskingCapability": {"@iot.id": self.loop}}, who).id
        ruling = self.loops.decide(task)
        return task, "" if ruling is None else ruling.state

    def state(self, task: int) -> str:
        with self.catalogue.database.read() as connection:
            found = rows.asked(connection, task)
        return "" if found is None else found.status

    @property
    def waiting(self) -> list[int]:
        with self.catalogue.database.read() as connection:
            return rows.awaiting(connection, self.loop)


@pytest.fixture
def room(catalogue: Catalogue, writer: Writer) -> Room:
    return Room(catalogue, writer, "advisory")


def test_of_what_a_controller_wants_again_and_again_one_wish_waits(room: Room) -> None:
    first = [room.asks(30.0, inputs=f"{one}", seen=iso(time.time_ns())) for one in range(3)]
    assert [state for _, state in first] == ["awaiting approval", "superseded", "superseded"]
    assert room.waiting == [first[0][0]]  # whose number somebody may be typing
    newer, state = room.asks(40.0)
    assert (state, room.waiting, room.state(first[0][0])) == ("awaiting approval", [newer], "superseded")
    found = room.steering.log(room.loop, EVERYTHING, 50, None)
    assert found.broken is None
    assert any(one.task == first[0][0] and one.detail.get("why") == f"by {newer}" for one in found.lines)


def test_who_else_wants_something_waits_too(room: Room) -> None:
    mine, _ = room.asks(30.0)
    other, _ = room.asks(30.0, model="pi")
    strong, _ = room.asks(30.0, slot=10)
    assert room.waiting == [mine, other, strong]


def test_newer_evidence_takes_the_place_of_older(room: Room) -> None:
    first, second = (room.asks(30.0, evidence={"of": one, "time_ns": 1, "kpis": {}})[0] for one in "ab")
    assert room.waiting == [second]
    assert room.state(first) == "superseded"


def test_two_people_can_say_yes_while_a_controller_goes_on_asking(
    catalogue: Catalogue, writer: Writer
) -> None:
    room = Room(catalogue, writer, "auto", BOTH)
    task, _ = room.asks(30.0)
    room.steering.approve(task, MARIA)
    assert room.asks(30.0)[1] == "superseded"
    assert room.steering.approve(task, OTTO).status == "approved"
    assert room.waiting == []


def test_what_waited_ends_where_a_newer_wish_needs_nobody(room: Room) -> None:
    old, _ = room.asks(30.0)
    room.mode("auto")
    assert room.asks(35.0)[1] == "checked"
    assert (room.waiting, room.state(old)) == ([], "superseded")


def test_people_are_told_once_that_something_waits(room: Room) -> None:
    patrol, now_ns = Patrol(room.catalogue, room.loops), time.time_ns()
    task, _ = room.asks(30.0)
    for second in range(7):
        patrol.look(now_ns + second * SECOND_NS)
        room.asks(31.0 + second)  # another one each time, and always one waits
    (alert,) = [one for _, one in room.catalogue.outbox()]
    assert (alert.rule, alert.severity, alert.active) == ("waiting", "warning", True)
    assert alert.text.startswith("pump waits for somebody to say yes or no: nervure act waiting")
    assert room.state(task) == "superseded"
    (last,) = room.waiting
    room.steering.refuse(last, MARIA, "not today")
    patrol.look(now_ns + 13 * SECOND_NS)
    assert [one.active for _, one in room.catalogue.outbox()] == [True, False]
