"""A guard that is killed goes on where it was: whom it does not hear, what tripped, what people hold."""

from __future__ import annotations

import gc
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as paho
import pytest
from msgspec.structs import replace
from paho.mqtt.enums import CallbackAPIVersion

from nervure.act.device import Device, installed
from nervure.act.guard import Guard
from nervure.act.memory import AGAIN_NS, Memory
from nervure.cli.field import post
from nervure.core.command import HAND, Proposal
from nervure.core.error import EnvironmentMissing
from nervure.core.interlock import Declared
from nervure.core.mac import sealed
from nervure.core.order import Order, Report
from nervure.core.papers import Papers
from nervure.twin.enrol import Place
from tests.acting import CROSSING, PUMP, crossing, pump

S = 1_000_000_000
STARVE = {"kind": "starve", "of": "phase", "states": ["ns", "ew"], "most": "60s", "bench": "5min"}
BENCH = [CROSSING["interlocks"][0], STARVE]
PARAMETERS = {"type": "DataRecord", "field": [{"name": "speed", "type": "Quantity"}]}
PAPERS = Papers(thing=3, capability=5, act=PUMP, parameters=PARAMETERS, key=bytes(32).hex())

CHILD = """
import json, sys, time
from pathlib import Path
from nervure.act.device import Device
from nervure.act.guard import Guard
from nervure.act.memory import Memory
from nervure.core.command import Proposal
from tests.unit.test_guard_memory import BENCH
from tests.acting import crossing

began, memory = float(sys.argv[1]), Memory(Path(sys.argv[2]), 5) if len(sys.argv) > 2 else None
clock = lambda: round((time.time() - began) * 100e9) + 10**18
kept = memory.read() if memory else None
guard = Guard(crossing(interlocks=BENCH), {"phase": "ns"}, clock(), kept=kept)
device, number = Device(guard, thing=3, capability=5, clock=clock, memory=memory), 0
while True:
    number, now = number + 1, clock()
    lease = {"issued_ns": now, "until_ns": now + 10**10}
    answer = guard.offer(Proposal(id=str(number), values={"phase": "ns"}, model="worst", **lease), now)
    device.step()
    if number == 1 or "not heard" in answer.detail:
        print(json.dumps([number, answer.status, answer.detail]), flush=True)
        sys.stdin.readline()
    time.sleep(0.002)
"""


def life(*words: str, until: str) -> list[Any]:
    """Let a guard live in a process of its own until its policy is answered so, and kill it."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdin is not None
    try:
        for line in child.stdout:
            said: list[Any] = msgspec.json.decode(line)
            if until in said[1] + said[2]:
                return said
            child.stdin.write("on\n")
            child.stdin.flush()
        raise AssertionError("it ended by itself")
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()


def test_a_guard_that_is_killed_does_not_give_a_starving_policy_the_wheel_again(tmp_path: Path) -> None:
    file, began = str(tmp_path / "guard.memory"), str(time.time())
    first = life(began, file, until="it is not heard for")
    assert first[0] > 1  # it was heard until it had let somebody wait too long
    number, status, why = life(began, file, until="")
    assert (number, status) == (1, "rejected")
    assert 200 < float(why.split("not heard for ")[1].removesuffix(" s")) <= 300
    assert life(began, until="")[:2] == [1, "acknowledged"]  # one that remembers nothing hears it at once


def again(guard: Guard, declared: Declared, now_ns: int, file: Path, **more: Any) -> Guard:
    """Return the guard that begins where this one was killed; what it kept goes through a real file."""
    assert Memory(file).keep(guard.kept()) == ""
    return Guard(declared, guard.values, now_ns, kept=Memory(file).read(), **more)


def starved() -> tuple[Guard, Declared]:
    declared = crossing(interlocks=BENCH)
    guard = Guard(declared, {"phase": "ns"}, 0)
    for second in range(90):
        guard.offer(wish(second, {"phase": "ns"}), second * S)
        guard.step(second * S)
    assert guard.known.benched
    return guard, declared


def wish(second: int, values: dict[str, Any], **more: Any) -> Proposal:
    now = second * S
    told: dict[str, Any] = {
        "id": f"{second} {values} {more}",
        "model": "worst",
        "issued_ns": now,
        "until_ns": now + 2 * S,
    }
    return Proposal(values=values, **(told | more))


@pytest.mark.parametrize("late", [-400, 0, 200, 10_000])
def test_a_bench_lasts_as_long_as_it_had_to_whatever_the_clock_says(late: int, tmp_path: Path) -> None:
    """Time that the guard was off does not count, and a clock that was set neither opens nor locks it."""
    guard, declared = starved()
    (until,) = guard.known.benched.values()
    left = (until - guard.known.now_ns) // S
    start = guard.known.now_ns // S + late
    other = again(guard, declared, start * S, tmp_path / "m")
    heard = [
        second
        for second in range(start, start + 600)
        if other.step(second * S) and other.offer(wish(second, {"phase": "yellow"}), second * S).status
        == "acknowledged"
    ]  # fmt: skip
    assert heard[0] - start == pytest.approx(left, abs=30)
    assert heard[0] - start >= left - 1


def test_the_next_bench_after_a_restart_is_twice_as_long(tmp_path: Path) -> None:
    guard, declared = starved()
    (until,) = guard.known.benched.values()
    other = again(guard, declared, until + S, tmp_path / "m")
    other.known = replace(other.known, benched={})
    begin = until // S + 1
    for second in range(begin, begin + 200):
        other.offer(wish(second, {"phase": "ns"}), second * S)
        other.step(second * S)
        if other.known.benched:
            break
    assert next(iter(other.known.benched.values())) - other.known.now_ns == 600 * S


def test_nobody_is_blamed_for_whom_was_waiting_when_the_guard_was_away(tmp_path: Path) -> None:
    """After a long time off everybody has waited long: all are served, and an honest model stays in force."""
    declared = crossing(interlocks=BENCH)
    guard = Guard(declared, {"phase": "ns"}, 0)
    guard.step(30 * S)
    other = again(guard, declared, 5000 * S, tmp_path / "m")
    shown = []
    for second in range(5000, 5060):
        waits = "ew" if (second // 15) % 2 else "ns"
        here = other.values["phase"]
        other.offer(wish(second, {"phase": waits if here in (waits, "yellow") else "yellow"}), second * S)
        shown.append(other.step(second * S)["phase"])
    assert "ew" in shown[:30]
    assert other.known.benched == {}


def test_trips_hands_and_what_rates_look_back_on_outlive_a_restart(tmp_path: Path) -> None:
    watch = {"kind": "effect", "of": "speed", "input": "flow", "least": 1.0, "within": "10s"}
    rate = {"kind": "rate", "of": "speed", "most": 15, "per": "5s"}
    often = {"kind": "hourly", "most": 3, "per": "1min", "binds": "all"}
    declared = pump(interlocks=[rate, often], plan=[])
    guard = Guard(declared, {"speed": 20.0}, 0)
    guard.offer(wish(1, {"speed": 35.0}, by="person", actor="ann", slot=HAND, until_ns=None), S)
    other = again(guard, declared, 2 * S, tmp_path / "a", boot="n")
    assert other.step(2 * S) == {"speed": 35.0}
    assert [(one.actor, one.slot) for one in other.report(2 * S).slots] == [("ann", HAND)]
    assert other.offer(wish(2, {"speed": 10.0}), 2 * S).status == "rejected"  # 20 was in force a second ago
    assert other.offer(wish(3, {"speed": 25.0}, slot=9), 3 * S).status == "overridden"
    other.release(HAND, 7 * S, who="ann")
    for second, speed in ((8, 36.0), (9, 37.0)):
        assert other.offer(wish(second, {"speed": speed}), second * S).status == "acknowledged"
    third = again(other, declared, 10 * S, tmp_path / "b")
    assert "3 changes in 1min" in third.offer(wish(10, {"speed": 38.0}), 10 * S).detail
    tripping = Guard(pump(interlocks=[watch]), {"speed": 20.0}, 0)
    tripping.sense({"flow": math.nan}, S)
    tripping.offer(wish(1, {"speed": 21.0}), S)
    tripping.step(12 * S)
    last = again(tripping, tripping.declared, 20 * S, tmp_path / "c")
    assert [one.rule for one in last.known.trips] == ["effect of speed"]
    last.reset("ann", 21 * S)
    assert again(last, last.declared, 22 * S, tmp_path / "c").known.trips == ()


def test_what_an_input_said_before_a_restart_is_not_believed_after_it(tmp_path: Path) -> None:
    """A basin was low when the guard was killed; what it is now nobody knows, so its inlet stays shut."""
    full = {"kind": "conflict", "pairs": [[{"of": "speed", "low": 30}, {"of": "level", "low": 4.0}]]}
    declared = pump(interlocks=[full])
    guard = Guard(declared, {"speed": 20.0}, 0)
    guard.sense({"level": 2.0}, S)
    assert guard.offer(wish(1, {"speed": 50.0}), S).status == "acknowledged"
    other = again(guard, declared, 5 * S, tmp_path / "m")
    assert "not known to be apart" in other.offer(wish(5, {"speed": 60.0}), 5 * S).detail
    other.sense({"level": 2.0}, 6 * S, time_ns=4 * S)  # late on its way: something newer may have been read
    assert "not known to be apart" in other.offer(wish(6, {"speed": 59.0}), 6 * S).detail
    other.sense({"level": 2.0}, 6 * S)
    assert other.offer(wish(6, {"speed": 60.0}), 6 * S).status == "acknowledged"


def test_the_order_of_a_hand_that_comes_again_after_a_restart_is_no_replay(tmp_path: Path) -> None:
    key, declared = bytes(range(32)), pump()
    guard = Guard(declared, {"speed": 20.0}, 0, boot="one", key=key)
    hand = wish(1, {"speed": 35.0}, id="7", by="person", actor="ann", slot=HAND, until_ns=None)
    order = Order(capability=5, number=1, boot="one", echo_ns=S, task=7, proposal=hand)
    sent = msgspec.json.encode(sealed(order, key))
    assert guard.receive(sent, S).status == "acknowledged"
    other = again(guard, declared, 2 * S, tmp_path / "m", boot="two", key=key)
    assert other.receive(sent, 2 * S).status == "acknowledged"  # it is in force: its Task is not rejected
    assert other.step(3 * S) == {"speed": 35.0}
    late = replace(order, number=2, task=8, proposal=replace(hand, id="8", values={"speed": 50.0}))
    refused = other.receive(msgspec.json.encode(sealed(late, key)), 3 * S)
    assert refused.detail == "replay: it is of another start of this device"


def test_a_memory_that_is_damaged_or_of_somebody_else_is_a_trip_that_a_person_resets(tmp_path: Path) -> None:
    file, given = tmp_path / "guard.memory", PAPERS
    device = installed(given, {"speed": 20.0}, clock=lambda: S, memory=file)
    assert device.guard.known.trips == ()  # the very first start
    device.step()
    whole = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert installed(given, {"speed": 20.0}, memory=file).guard.known.trips == ()
    other = installed(replace(given, capability=6), {"speed": 20.0}, memory=file)
    assert "of capability 5, not 6" in other.guard.known.trips[0].why
    for wrong in (b"", whole[:-1], whole[:40] + b"x" + whole[41:], bytes(64)):
        file.write_bytes(wrong)
        broken = installed(given, {"speed": 20.0}, clock=lambda: 2 * S, memory=file)
        assert [one.rule for one in broken.guard.known.trips] == ["memory"]
        assert "tripped by memory" in broken.guard.offer(wish(2, {"speed": 30.0}), 2 * S).detail
        assert broken.step() == {"speed": 20.0}  # its plan goes on
    broken.guard.reset("ann", 3 * S)
    broken.step()
    assert installed(given, {"speed": 20.0}, memory=file).guard.known.trips == ()


class Ear(paho.Client):
    """Hears reports without a broker."""

    def __init__(self, said: list[Report]) -> None:
        super().__init__(CallbackAPIVersion.VERSION2)
        self.said = said

    def publish(self, topic: str, payload: Any = None, *more: Any, **others: Any) -> Any:
        if "guard-" in topic:
            self.said.append(msgspec.json.decode(payload, type=Report))


def test_what_cannot_be_written_is_said_once_and_nothing_stands_still(tmp_path: Path) -> None:
    device = installed(PAPERS, {"speed": 20.0}, clock=lambda: S, memory=tmp_path / "gone" / "guard.memory")
    said = list[Report]()
    device.speak(Ear(said))
    device.guard.offer(wish(1, {"speed": 30.0}), S)
    for _ in range(3):
        assert device.step() == {"speed": 30.0}
    told = [one for report in said for one in report.notes if one.what == "forgets"]
    assert [one.detail["why"].split(" ", 1)[1] for one in told] == [
        "cannot be written: No such file or directory"
    ]


class Counted(Memory):
    """Counts what is written."""

    saved = 0

    def _save(self, data: bytes) -> None:
        self.saved += 1
        super()._save(data)


def test_nothing_is_written_while_nothing_changes(tmp_path: Path) -> None:
    memory, guard = Counted(tmp_path / "m"), Guard(pump(), {"speed": 20.0}, 0)
    for second in range(100):
        guard.sense({"flow": float(second)}, second * S)
        guard.step(second * S)
        memory.keep(guard.kept())
    assert memory.saved == 1
    guard.offer(wish(100, {"speed": 30.0}), 100 * S)
    for second in range(100, 102):
        guard.step(second * S)
        memory.keep(guard.kept())
    assert memory.saved == 2
    hand = wish(200, {"speed": 30.0}, by="person", actor="ann", slot=HAND, until_ns=3800 * S)
    guard.offer(hand, 200 * S)
    before = memory.saved
    for second in range(200, 200 + 10 * AGAIN_NS // S):
        guard.step(second * S)
        memory.keep(guard.kept())
    assert 10 <= memory.saved - before <= 13  # what runs out is written once a minute
    kept = Memory(tmp_path / "m").read()
    assert kept is not None
    assert kept.hands[0].actor == "ann"


def test_guards_of_a_twin_that_is_run_again_go_on_where_they_were(tmp_path: Path) -> None:
    """Its time begins in the past each time, so it may be earlier than when it ended."""
    speed = {"name": "speed", "type": "Quantity", "constraint": {"interval": [[0.0, 100.0]]}}
    parameters = {"type": "DataRecord", "field": [speed]}
    place = Place(
        thing=3, name="pump", datastreams={}, username="", token="", capability=5,
        fields={"speed": "drive/speed"}, properties={"act": PUMP}, parameters=parameters,
        papers=msgspec.json.encode(PAPERS),
    )  # fmt: skip

    def begun(now_ns: int, folder: Path | None) -> Device:
        made = post(place, lambda: now_ns, folder).guard
        assert isinstance(made, Device)
        made.step()
        return made

    folder = tmp_path / "guards"
    first = begun(1000 * S, folder)
    hand = wish(1000, {"speed": 35.0}, by="person", actor="ann", slot=HAND, until_ns=None)
    assert first.guard.offer(hand, 1000 * S).status in ("acknowledged", "running")
    first.step()
    assert (folder / "5.memory").stat().st_mode & 0o777 == 0o600
    again = begun(900 * S, folder)
    assert (again.guard.holder, again.fields) == (first.guard.holder, {"speed": 35.0})
    assert begun(900 * S, None).guard.holder == "plan"
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentMissing, match="guards cannot keep what they have to remember"):
        begun(900 * S, tmp_path / "file")


SECOND = """
import sys
from pathlib import Path
from nervure.act.device import installed
from nervure.core.error import NervureError
from tests.unit.test_guard_memory import PAPERS
try:
    installed(PAPERS, {"speed": 20.0}, memory=Path(sys.argv[1]))
except NervureError as cause:
    print(cause)
else:
    print("begun")
"""


def second(file: Path) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", SECOND, str(file)], capture_output=True, text=True, check=True, timeout=60
    )
    return ran.stdout.strip()


def test_two_devices_never_remember_in_one_file(tmp_path: Path) -> None:
    """Else the trip that one of them has latched is overwritten by the other."""
    file = tmp_path / "guard.memory"
    first = installed(PAPERS, {"speed": 20.0}, clock=lambda: S, memory=file)
    first.step()
    said = second(file)
    assert f"another guard (pid {os.getpid()}) remembers in this file" in said
    assert str(file) in said
    other = installed(PAPERS, {"speed": 20.0}, clock=lambda: S, memory=file)  # as after a restart in place
    first.guard.offer(wish(1, {"speed": 30.0}), S)
    before = file.read_bytes()
    first.step()
    assert file.read_bytes() == before
    notes = [one.detail["why"] for one in first.guard.report(S).notes if one.what == "forgets"]
    assert notes == [f"{file} is written by a newer guard of this process"]
    del first, other
    gc.collect()
    assert second(file) == "begun"
