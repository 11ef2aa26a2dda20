"""Whatever becomes of an order on its way, a bit or all of it, its guard refuses it and counts it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nervure.act.device import Device, installed
from nervure.act.guard import Guard, rules
from nervure.core.command import Proposal
from nervure.core.error import DeclarationError
from nervure.core.mac import fingerprint, sealed
from nervure.core.order import Order, Report
from nervure.core.papers import Papers, papers
from nervure.node.wish import Heard, unlike
from nervure.trust.signature import SigningKey
from tests.acting import PUMP, pump

S = 1_000_000_000
KEY = bytes(range(32))
WISH = Proposal(id="7", values={"speed": 50.0}, model="mpc", issued_ns=S, until_ns=3 * S)
ORDER = Order(capability=5, number=7, boot="b", echo_ns=S, task=7, proposal=WISH)
SENT = msgspec.json.encode(sealed(ORDER, KEY))
PARAMETERS = {"type": "DataRecord", "field": [{"name": "speed", "type": "Quantity"}]}


def guard() -> Guard:
    return Guard(pump(), {"speed": 20.0}, S, boot="b", key=KEY)


def told(order: bytes, **more: Any) -> bytes:
    about = {"id": 7, "TaskingCapability": {"@iot.id": 5, "name": "pump"}}
    return msgspec.json.encode({"order": msgspec.Raw(order), **about, **more})


def test_every_flipped_bit_of_an_order_is_refused_and_counted() -> None:
    mine, flips = guard(), 0
    for place in range(len(SENT)):
        for bit in range(8):
            wrong = SENT[:place] + bytes([SENT[place] ^ 1 << bit]) + SENT[place + 1 :]
            answer = mine.receive(wrong, 2 * S)
            flips += 1
            assert (answer.status, mine.damaged) == ("rejected", flips), wrong
    assert mine.report(2 * S).damaged == flips == 8 * len(SENT)
    assert mine.number == 0
    assert mine.step(2 * S) == {"speed": 20.0}
    assert mine.receive(SENT, 2 * S).status == "acknowledged"
    assert mine.damaged == flips


@given(data=st.data())
def test_bytes_put_in_taken_out_or_exchanged_are_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(SENT)))
    cut = data.draw(st.integers(0, 20))
    wrong = SENT[:place] + data.draw(st.binary(max_size=20)) + SENT[place + cut :]
    mine = guard()
    if wrong.translate(None, b" \t\r\n") == SENT:  # blanks around it are none of it
        return
    assert mine.receive(wrong, 2 * S).status == "rejected"
    assert (mine.damaged, mine.values) == (1, {"speed": 20.0})


def test_every_flipped_bit_of_the_message_around_it_is_refused_or_changes_nothing() -> None:
    """What a device hears has more than the order: none of that moves anything, no order is lost unseen."""
    whole = told(SENT)
    for place in range(len(whole)):
        for bit in range(8):
            device = Device(guard(), thing=3, capability=5, clock=lambda: 2 * S)
            wrong = whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
            device._follow(wrong, 2 * S)  # what `step` does with what came
            inside = len(b'{"order":') <= place < len(b'{"order":') + len(SENT)
            if inside or device.guard.values == {"speed": 20.0}:
                assert device.guard.damaged == 1, wrong
                assert device.guard.values == {"speed": 20.0}


def test_an_order_of_another_guard_or_a_task_without_one_is_nobodys_damage() -> None:
    device = Device(guard(), thing=3, capability=5, clock=lambda: 2 * S)
    other = msgspec.json.encode(sealed(replace(ORDER, capability=6), b"k" * 32))
    device._follow(told(other), 2 * S)
    device._follow(b'{"id": 8, "TaskingCapability": {"@iot.id": 6}}', 2 * S)
    device._follow(b'{"id": 8, "TaskingCapability": {"@iot.id": "by name"}}', 2 * S)
    assert device.guard.damaged == 0
    device._follow(b'{"id": 8, "TaskingCapability": {"@iot.id": 5}}', 2 * S)
    assert device.guard.damaged == 1


def test_who_has_not_the_key_forges_nothing_and_a_report_tells_of_it_once() -> None:
    mine = guard()
    for number in range(5):
        wrong = sealed(replace(ORDER, number=number + 8), b"x" * 32)
        assert "changed on its way" in mine.receive(msgspec.json.encode(wrong), 2 * S).detail
    report = mine.report(2 * S)
    assert [one.what for one in report.notes] == ["damaged"]
    assert (report.damaged, mine.report(3 * S).notes) == (5, ())


def test_a_guard_without_a_key_believes_nobody() -> None:
    mine = Guard(pump(), {"speed": 20.0}, S, boot="b")
    assert mine.receive(SENT, 2 * S).detail == "digest: this guard has no key"
    assert mine.report(2 * S).key == ""


def test_papers_are_read_back_and_old_ones_say_what_to_do() -> None:
    given = Papers(thing=3, capability=5, act=PUMP, parameters=PARAMETERS, key=KEY.hex())
    device = installed(papers(msgspec.json.encode(given)), {"speed": 20.0}, clock=lambda: S)
    assert device.guard.report(S).key == fingerprint(KEY)
    assert device.capability == 5
    old = {"thing": 3, "capability": 5, "act": PUMP, "parameters": PARAMETERS}
    with pytest.raises(DeclarationError, match="no key: it is of an older release") as caught:
        papers(msgspec.json.encode(old), where="guard.json")
    assert caught.value.hint == "write a new one: nervure act guard 5 --out guard.json"
    for bad in (b"", b"[]", msgspec.json.encode(old | {"key": "short"}), b"\xff"):
        with pytest.raises(DeclarationError, match="cannot be read"):
            papers(bad)


def test_the_platform_sends_nothing_to_a_guard_that_would_not_believe_it() -> None:
    read = pump()
    report = Report(boot="b", clock_ns=S, rules=rules(read), values={}, holder="plan")

    def said(**more: Any) -> str:
        return unlike(Heard(report=replace(report, **more), at_ns=S, thing=3), read, KEY, 5)

    assert said(key=fingerprint(KEY)) == ""
    assert "no key to know orders by" in said()
    assert "another key; give it its file: nervure act guard 5" in said(key=fingerprint(b"x" * 32))
    assert "another declaration" in said(rules="")


def test_secrets_are_apart_by_purpose_and_last() -> None:
    one, same, other = SigningKey(KEY), SigningKey(KEY), SigningKey(b"x" * 32)
    assert one.derived("a") == same.derived("a") != one.derived("b")
    assert one.derived("a") != other.derived("a")
