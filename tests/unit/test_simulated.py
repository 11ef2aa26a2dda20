"""Simulated time: the platform judges a loop by the time of its device, as far as it was told of it."""

from __future__ import annotations

from typing import Any

import pytest

from nervure.act.device import Device
from nervure.act.guard import Guard
from nervure.act.standing import Standing, rule
from nervure.bench.safety.station import read
from nervure.core.command import Proposal, moved
from nervure.core.error import DeclarationError
from nervure.core.interlock import Declared
from nervure.core.order import Report
from nervure.node.there import by_its_time, sensed
from nervure.node.wish import informed
from tests.acting import S

_DAY = 86_400 * S
_NOW = 20_000 * _DAY
_THEN = _NOW - 10 * _DAY  # the device's clock is ten days behind ours
_ACT: dict[str, Any] = {
    "simulated": True, "lease": "60s", "age": "100s", "every": "10s",
    "interlocks": [
        {"kind": "sequence", "of": "phase", "after": {"0": ["1"], "1": ["0"]},
         "least": {"0": "8s", "1": "8s"}},
        {"kind": "fresh", "inputs": ["shown"], "within": "30s"},
    ],
    "plan": [{"hold": "50s", "values": {"phase": 0}}, {"hold": "50s", "values": {"phase": 1}}],
}  # fmt: skip


@pytest.fixture
def read_() -> Declared:
    return read(_ACT, {"phase": "Quantity"})


def _report(clock_ns: int, phase: float) -> Report:
    return Report(boot="b", clock_ns=clock_ns, rules="", values={"phase": phase}, holder="plan")


def _wish(phase: float) -> Proposal:
    return Proposal(
        id="1", values={"phase": phase}, model="m", actor="m", issued_ns=_NOW, until_ns=_NOW + 60 * S
    )  # fmt: skip


def _ruled(read_: Declared, standing: Standing, shown_ns: int) -> str:
    known = sensed(standing.known, read_, {"shown": (0.0, shown_ns)}, _NOW)
    there = Standing(mode="auto", known=known)
    return rule(by_its_time(_wish(1.0), read_, known), read_, there, _NOW)[1].detail


def test_rules_go_by_the_time_of_the_device(read_: Declared) -> None:
    standing = informed(Standing(), read_, _report(_THEN, 0.0), _NOW)
    assert standing.known.now_ns == _THEN
    assert "0 is 5 s" not in _ruled(read_, standing, _THEN)
    assert "phase is 0 for 5 s; 8s is the least" in _ruled(read_, standing, _THEN + 5 * S)
    assert (
        _ruled(read_, standing, _THEN + 10 * S) == ""
    )  # the reading says that ten seconds have passed there
    later = informed(standing, read_, _report(_THEN + 60 * S, 0.0), _NOW + S)
    assert "shown is 60 s old" in _ruled(read_, later, _THEN)


def test_a_simulation_that_begins_anew_is_followed_back(read_: Declared) -> None:
    standing = informed(Standing(), read_, _report(_THEN, 0.0), _NOW)
    again = informed(standing, read_, _report(_THEN - 3600 * S, 1.0), _NOW + S)
    assert again.known.now_ns == _THEN - 3600 * S
    assert again.known.value("phase") == 1.0


def test_other_devices_are_judged_by_our_time() -> None:
    ours = read({**_ACT, "simulated": False}, {"phase": "Quantity"})
    standing = informed(Standing(), ours, _report(_THEN, 0.0), _NOW)
    assert standing.known.now_ns == _NOW
    assert by_its_time(_wish(1.0), ours, standing.known) == _wish(1.0)
    assert sensed(standing.known, ours, {}, _NOW + S).now_ns == _NOW + S


def test_a_lease_lasts_as_long_by_another_clock() -> None:
    found = moved(_wish(1.0), _THEN, _THEN + 5 * S)
    assert (found.issued_ns, found.until_ns) == (_THEN, _THEN + 65 * S)


def test_simulated_time_takes_a_guard() -> None:
    with pytest.raises(DeclarationError, match="nobody tells it"):
        read({**_ACT, "guarded": False}, {"phase": "Quantity"})


class _Wire:
    """What a device says."""

    def __init__(self) -> None:
        self.topics: list[str] = []

    def publish(self, topic: str, _payload: bytes, _qos: int) -> None:
        self.topics.append(topic)


def test_a_device_reports_when_something_else_is_in_force(read_: Declared) -> None:
    clock = [_THEN]
    device = Device(
        Guard(read_, {"phase": 0.0}, _THEN, boot="b"), thing=3, capability=5, clock=lambda: clock[0]
    )
    wire = _Wire()
    device.speak(wire)  # type: ignore[arg-type]  # all that is asked of a client
    counts = []
    for at in range(0, 100, 10):
        clock[0] = _THEN + at * S
        device.step()
        counts.append(wire.topics.count("nervure/tasks/3/guard-5/status"))
    assert counts[0] == 1
    assert counts[4] == 1  # nothing new, and no second of ours has passed
    assert counts[5] == 2  # the plan's next phase


def test_what_nobody_plans_is_left_to_the_device() -> None:
    bare = read({**_ACT, "plan": [], "interlocks": []}, {"power": "Quantity", "dose": "Quantity"})
    clock = [_THEN]
    guard = Guard(bare, {"power": 0.0, "dose": 0.0}, _THEN, boot="b")
    device = Device(guard, thing=3, capability=5, clock=lambda: clock[0])
    device.step()
    assert device.fields == {}
    wish = Proposal(
        id="7", values={"power": 5.0}, model="m", actor="m", issued_ns=_THEN, until_ns=_THEN + 60 * S
    )  # fmt: skip
    guard.offer(wish, _THEN)
    device.step()
    assert device.fields == {"power": 5.0}
    assert device.said["acknowledged"] == 1
    clock[0] += 61 * S
    device.step()
    assert device.fields == {}
    assert device.said["completed"] == 1
