"""What people want of a guard that is no Task, and what nobody may bring the judge to, however large."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from nervure.act import track
from nervure.act.guard import Guard
from nervure.act.interlock import judge
from nervure.bench.safety.station import read
from nervure.core.command import Known, Proposal, Trip
from nervure.core.error import ConflictError, QueryError
from nervure.core.order import Report
from nervure.node.loops import Loops
from nervure.node.steering import Steering
from nervure.node.task import LOOK_S, Tasking
from nervure.store.catalogue import Catalogue
from nervure.store.scope import EVERYTHING, Scope
from nervure.store.write.writer import Writer
from nervure.trust.signature import SigningKey
from tests.acting import PUMP, SPEED, S, loop_of, pump, reads

KEY = SigningKey(bytes(32))
MARIA, ANN = (replace(EVERYTHING, who=who, kind="user") for who in ("maria", "ann"))
HUGE = 10**400


class Stand:
    """A loop in auto with its guard, and the way between them."""

    def __init__(self, catalogue: Catalogue, writer: Writer, **more: Any) -> None:
        self.catalogue, self.writer, self.last = catalogue, writer, dict[int, tuple[int, float]]()
        act = PUMP | more
        self.loops = self.anew()
        self.thing, self.loop = loop_of(writer, "pump", act, SPEED)
        with self.loops.turn():
            self.loops._keep(self.loop, replace(self.loops.standing(self.loop), mode="auto"))
        self.steering = Steering(catalogue, writer, self.loops, lambda: None, lambda *_: True)
        now_ns = time.time_ns()
        self.guard = Guard(read(act, SPEED), {"speed": 20.0}, now_ns, key=self.loops.key(self.loop))
        self.report()

    def anew(self) -> Loops:
        """Return the loops of a node that has just begun."""

        def last(ids: Sequence[int]) -> dict[int, tuple[int, float]]:
            return {one: self.last[one] for one in ids if one in self.last}

        return Loops(self.catalogue, self.writer, reads(last), lambda _: "", KEY.derived, lambda _: "")

    def report(self, loops: Loops | None = None) -> None:
        now_ns = time.time_ns()
        loops = loops or self.loops
        with loops.turn():
            loops.heard(self.thing, self.loop, self.guard.report(now_ns), now_ns)

    def tell(self, loops: Loops | None = None) -> None:
        """Take to the guard what people want of it."""
        for _, order in (loops or self.loops).asks(time.time_ns()):
            self.guard.receive(msgspec.json.encode(order), time.time_ns())

    def hand(self, who: Scope, speed: float) -> str:
        """Take it by hand, and return the Task, which its guard has by now."""
        task = self.steering.hand(self.loop, who, {"speed": speed}, None).id
        assert self.decided(task) == "checked"
        order = self.loops.order(task, time.time_ns())
        assert order is not None
        assert self.guard.receive(msgspec.json.encode(order), time.time_ns()).status == "acknowledged"
        return str(task)

    def task(self, who: Scope = EVERYTHING, **act: Any) -> int:
        body = {"taskingParameters": {"speed": 30.0}, "properties": {"act": act}}
        return self.writer.create("Task", body | {"TaskingCapability": {"@iot.id": self.loop}}, who).id

    def decided(self, task: int) -> str:
        ruling = self.loops.decide(task)
        return "" if ruling is None else ruling.state

    @property
    def hands(self) -> list[str]:
        return [one.id for one in self.guard.slots]


@pytest.fixture
def stand(catalogue: Catalogue, writer: Writer) -> Stand:
    return Stand(catalogue, writer)


def test_who_gives_a_loop_back_gives_back_what_was_held_and_not_what_somebody_took_since(
    stand: Stand,
) -> None:
    stand.hand(MARIA, 10.0)
    stand.report()
    stand.steering.auto(stand.loop, MARIA)
    stand.tell()
    assert stand.hands == []
    mine = stand.hand(ANN, 40.0)  # before the guard has reported: the platform goes on asking
    stand.tell()
    stand.report()
    stand.tell()
    assert stand.hands == [mine]
    assert stand.loops.standing(stand.loop).asks == ()


def test_what_a_guard_is_asked_until_it_is_heard_is_written_down_once(stand: Stand) -> None:
    stand.hand(MARIA, 10.0)
    stand.report()
    stand.steering.auto(stand.loop, MARIA)
    for _ in range(3):  # its reports are late
        stand.tell()
    said = [one.what for one in stand.guard.report(time.time_ns()).notes]
    assert said.count("released") == 1


def test_who_is_asked_again_is_asked_no_oftener_for_every_report_that_comes_meanwhile(stand: Stand) -> None:
    sent: list[str] = []

    class Line:
        async def followed(self, _tree: str, /) -> set[str]:
            return {f"nervure.tasks.{stand.thing}"}

        async def send(self, subject: str, _payload: bytes, /) -> None:
            sent.append(subject)

    async def sends() -> float:
        """Let twenty reports come, then look; returns for how long."""
        tasking = Tasking(stand.catalogue, stand.writer, Line(), lambda _: None, stand.loops)
        running = asyncio.create_task(tasking.run())
        for _ in range(20):
            tasking.asked()
            await asyncio.sleep(0.02)
        assert sent
        sent.clear()
        begun = time.monotonic()
        await asyncio.sleep(2.2 * LOOK_S)
        running.cancel()
        return time.monotonic() - begun

    stand.hand(MARIA, 10.0)
    stand.report()
    stand.steering.auto(stand.loop, MARIA)
    seconds = asyncio.run(sends())
    assert 1 <= len(sent) <= seconds / LOOK_S + 1


def test_a_hand_at_the_machine_is_not_released_by_who_gave_back_before(stand: Stand) -> None:
    """While the guard was away, somebody gave the loop back: meanwhile the switch at the pump was turned."""
    stand.hand(MARIA, 10.0)
    stand.report()
    stand.steering.auto(stand.loop, MARIA)
    now_ns = time.time_ns()
    switch = Proposal(
        id="switch", values={"speed": 0.0}, by="person", actor="switch", slot=8, issued_ns=now_ns
    )
    assert stand.guard.offer(switch, now_ns).status == "acknowledged"
    stand.report()
    stand.tell()
    assert stand.hands == ["switch"]
    stand.steering.auto(stand.loop, MARIA)  # who has seen it gives it back
    stand.tell()
    assert stand.hands == []


def test_what_was_given_back_is_given_back_though_the_node_is_started_anew(stand: Stand) -> None:
    stand.hand(MARIA, 10.0)
    stand.report()
    stand.steering.auto(stand.loop, MARIA)
    again = stand.anew()
    stand.report(again)
    stand.tell(again)
    assert stand.hands == []


def test_a_reset_is_of_what_was_seen(stand: Stand) -> None:
    """While its guard was away the belt was seen to; the bearing burns since, and nobody knows."""
    belt, bearing = (Trip(rule=rule, time_ns=1, why="") for rule in ("belt", "bearing"))
    stand.guard.known = track.tripped(stand.guard.known, belt)
    stand.report()
    stand.steering.reset(stand.loop, MARIA, "a new belt")
    sent = stand.loops.asks(time.time_ns())  # on its way when it happens
    stand.guard.known = track.tripped(stand.guard.known, bearing)
    for _, order in sent:
        said = stand.guard.receive(msgspec.json.encode(order), time.time_ns())
        assert (said.status, said.detail) == ("rejected", "bearing has tripped since")
    stand.report()
    stand.tell()
    assert list(stand.guard.known.trips) == [belt, bearing]
    stand.steering.reset(stand.loop, MARIA, "and a new bearing")
    stand.tell()
    assert list(stand.guard.known.trips) == []


def test_a_hand_on_a_device_without_a_guard_is_given_back(catalogue: Catalogue, writer: Writer) -> None:
    stand = Stand(catalogue, writer, guarded=False, interlocks=PUMP["interlocks"][:1])
    task = stand.steering.hand(stand.loop, MARIA, {"speed": 10.0}, None).id
    assert stand.decided(task) == "checked"
    writer.task_status(task, "dispatched")
    stand.loops.sent(task)
    assert stand.decided(stand.task(model="mpc", lease_s=2)) == "overridden"
    stand.steering.auto(stand.loop, MARIA)
    assert stand.steering.view(stand.loop, MARIA).slots == []
    assert stand.decided(stand.task(model="mpc", lease_s=2)) == "checked"
    assert stand.decided(stand.task(model="mpc", lease_s=2, seen="2026-01-01T00:00:00Z")) == "rejected"


def test_who_asks_in_the_name_of_a_model_does_not_say_yes_to_it(catalogue: Catalogue, writer: Writer) -> None:
    stand = Stand(catalogue, writer, interlocks=[*PUMP["interlocks"], {"kind": "approve", "k": 1}])
    for who in (MARIA, replace(MARIA, kind="token")):
        task = stand.task(who, model="mpc", lease_s=2)
        assert stand.decided(task) == "awaiting approval"
        assert stand.steering.approve(task, MARIA).status == "awaiting approval"
        assert stand.steering.approve(task, ANN).status == "approved"


def test_no_is_said_before_a_command_is_sent(catalogue: Catalogue, writer: Writer) -> None:
    """Later it was called rejected, and went on at the device."""
    stand = Stand(catalogue, writer, interlocks=[*PUMP["interlocks"], {"kind": "approve", "k": 1}])
    task = stand.task(model="mpc", lease_s=2)
    assert stand.decided(task) == "awaiting approval"
    assert stand.steering.refuse(task, MARIA, "too fast").detail == "too fast"
    sent = Stand(catalogue, writer)
    task = sent.task(model="mpc", lease_s=2)
    assert sent.decided(task) == "checked"
    writer.task_status(task, "dispatched")
    writer.task_status(task, "running")
    for status in ("running", "completed"):
        with pytest.raises(ConflictError, match=f"Task {task} is {status}: it is too late to say no"):
            sent.steering.refuse(task, MARIA, "too fast")
        writer.task_status(task, "completed")


@pytest.mark.parametrize(
    "act", [{"lease_s": 1e308}, {"lease_s": 0.0}, {"slot": 0}, {"model": "m" * 201}, {"inputs": "i" * 201}]
)
def test_what_a_task_says_of_itself_has_bounds(stand: Stand, act: dict[str, Any]) -> None:
    """A lease of 1e308 s was an overflow, and the end of the node; a long name was lost at the guard."""
    with pytest.raises(QueryError, match="act in the Task's properties cannot be read"):
        stand.loops.decide(stand.task(**act))


def test_a_number_is_one_that_a_double_can_say(stand: Stand) -> None:
    body = {"taskingParameters": {"speed": HUGE}, "TaskingCapability": {"@iot.id": stand.loop}}
    with pytest.raises(QueryError, match="is no number"):
        stand.writer.create("Task", body, EVERYTHING)
    said = judge(Proposal(id="1", values={"speed": HUGE}), pump(), Known())
    assert [(one.rule, one.outcome) for one in said] == [("form", "refuse")]
    assert len(said[0].why) < 100


@pytest.mark.parametrize(
    "wrong",
    [
        lambda plain: plain | {"clock_ns": HUGE},
        lambda plain: plain | {"number": HUGE},
        lambda plain: plain | {"slots": [plain["slots"][0] | {"left_s": 1e308}]},
    ],
)
def test_what_a_guard_reports_has_bounds(stand: Stand, wrong: Callable[[dict[str, Any]], object]) -> None:
    stand.hand(MARIA, 10.0)
    plain = msgspec.json.decode(msgspec.json.encode(stand.guard.report(time.time_ns())))
    assert msgspec.json.decode(msgspec.json.encode(plain), type=Report).slots
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(wrong(plain)), type=Report)


def test_a_reading_that_is_no_number_does_not_keep_a_loop_from_being_read_again(
    catalogue: Catalogue, writer: Writer
) -> None:
    """JSON has no such number: what was kept could not be read when the node was started again."""
    fresh = {"kind": "fresh", "inputs": ["flow"], "within": "1h"}
    stand = Stand(catalogue, writer, interlocks=[fresh])
    stand.loops.learn({"flow": 7})
    stand.last[7] = (time.time_ns(), float("nan"))  # the Datastream says texts
    assert stand.decided(stand.task(model="mpc", lease_s=2)) == "rejected"
    assert stand.anew().standing(stand.loop).mode == "auto"


@pytest.mark.parametrize("seen", [{"flow": 5.0, "heat": 60.0}, {"flow": float("inf"), "heat": 60.0}])
def test_a_change_without_effect_trips_whatever_another_input_says(seen: dict[str, float]) -> None:
    """Two rules of one field await their own inputs; and a broken meter has not seen that anything moved."""
    effects = [{"kind": "effect", "of": "speed", "input": one, "least": 1.0, "within": "5s"} for one in seen]
    guard = Guard(pump(interlocks=effects), {"speed": 20.0}, 100 * S)
    guard.sense({"flow": 5.0, "heat": 60.0}, 100 * S)
    model = Proposal(id="1", values={"speed": 60.0}, model="mpc", issued_ns=100 * S, until_ns=103 * S)
    assert guard.offer(model, 100 * S).status == "acknowledged"
    guard.sense(seen, 101 * S)
    guard.step(106 * S)
    assert [one.why[:4] for one in guard.known.trips] == ["flow"]


def test_who_gives_a_loop_back_gives_back_all_that_people_hold(stand: Stand) -> None:
    """A Task of a person may name a stronger slot than that of a hand, and nobody could release it."""
    strong = stand.task(MARIA, slot=3)
    weak = stand.task(MARIA, slot=14)
    for task in (strong, weak):
        assert stand.decided(task) == "checked"
        order = stand.loops.order(task, time.time_ns())
        assert order is not None
        assert stand.guard.receive(msgspec.json.encode(order), time.time_ns()).status == "acknowledged"
    mine = stand.hand(MARIA, 10.0)
    stand.report()
    assert stand.hands == [str(strong), mine, str(weak)]
    stand.steering.auto(stand.loop, MARIA)
    stand.tell()
    assert stand.hands == []
    stand.report()
    assert stand.loops.standing(stand.loop).asks == ()


def test_without_a_guard_they_are_given_back_too(catalogue: Catalogue, writer: Writer) -> None:
    stand = Stand(catalogue, writer, guarded=False, interlocks=PUMP["interlocks"][:1])
    task = stand.task(MARIA, slot=3)
    assert stand.decided(task) == "checked"
    writer.task_status(task, "dispatched")
    stand.loops.sent(task)
    assert [one.slot for one in stand.loops.standing(stand.loop).slots] == [3]
    stand.steering.auto(stand.loop, MARIA)
    assert stand.loops.standing(stand.loop).slots == ()
