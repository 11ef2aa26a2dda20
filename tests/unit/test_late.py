"""Lateness: what a command rests on is told, bound by the declaration, and its lease begins there."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from subprocess import run
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from nervure.act.guard import Guard, rules
from nervure.act.standing import RECENT, Standing, rule
from nervure.bench.safety.late import Lates
from nervure.bench.safety.tardy import behind, rows, section
from nervure.core.command import Approval, Proposal, digest, moved
from nervure.core.error import DeclarationError, QueryError
from nervure.core.interlock import Declared
from nervure.core.mac import sealed
from nervure.core.order import Order, Report
from nervure.node.wish import Heard, by_its_clock, proposal_of
from nervure.store.loop import Asked
from tests.acting import S, pump

KEY = bytes(range(32))
NOW = 1_000 * S


def wish(seen_ns: int | None, **more: Any) -> Proposal:
    return replace(
        Proposal(
            id="1", values={"speed": 30.0}, model="mpc", actor="mpc", issued_ns=NOW, until_ns=NOW + 3 * S,
            seen_ns=seen_ns,
        ),
        **more,
    )  # fmt: skip


def ruled(proposal: Proposal, read: Declared, standing: Standing | None = None) -> tuple[Standing, str]:
    there = standing or Standing(mode="auto", known=Guard(read, {"speed": 20.0}, NOW).known)
    after, found = rule(proposal, read, there, NOW)
    return after, found.detail


def test_readings_may_be_so_old_and_no_older() -> None:
    bound = pump(seen="2s")
    assert ruled(wish(NOW), bound)[1] == ""
    assert ruled(wish(NOW - 2 * S), bound)[1] == ""
    assert ruled(wish(NOW - 2 * S - 1), bound)[1] == "seen: it rests on readings 2 s old; 2s is allowed"
    assert "does not say" in ruled(wish(None), bound)[1]
    assert "in the future" in ruled(wish(NOW + 3 * S), bound)[1]
    assert ruled(wish(NOW + 3 * S), pump(seen="2s", simulated=True))[1] == ""
    assert ruled(wish(None), pump())[1] == ruled(wish(NOW - 60 * S), pump())[1] == ""
    assert ruled(wish(None, by="person", actor="maria", model="", slot=8), bound)[1] == ""


def test_who_has_been_asked_since_has_looked() -> None:
    old, of = wish(NOW - 60 * S), digest({"speed": 30.0})
    bound = pump(seen="2s")
    yes = (Approval(who="maria", time_ns=NOW, of=of),)
    assert ruled(replace(old, approvals=yes), bound)[1] == ""
    assert "60 s old" in ruled(replace(old, approvals=(replace(yes[0], who="mpc"),)), bound)[1]
    assert "60 s old" in ruled(replace(old, approvals=(replace(yes[0], of="other"),)), bound)[1]


def test_lateness_is_no_evidence_against_a_controller() -> None:
    bound = pump(seen="2s")
    late = said = Standing(mode="auto", known=Guard(bound, {"speed": 20.0}, NOW).known)
    for _ in range(RECENT):
        late, said = ruled(wish(NOW - 9 * S), bound, late)[0], ruled(wish(None), bound, said)[0]
    assert (late.mode, late.refused, late.judged) == ("auto", 0, RECENT)
    assert said.mode == "supervised"


def test_a_lease_begins_when_its_readings_were_read() -> None:
    assert moved(wish(NOW - S), NOW, NOW + S).until_ns == NOW + 2 * S
    assert moved(wish(NOW + 5 * S), NOW, NOW + S).until_ns == NOW + 4 * S  # never later than from now
    assert moved(wish(None), NOW, NOW + S).until_ns == NOW + 4 * S


def test_a_guard_refuses_what_was_overtaken_and_goes_on_with_its_plan() -> None:
    bound = pump(seen="2s")
    guard = Guard(bound, {"speed": 20.0}, NOW, boot="b", key=KEY)

    def order(number: int, seen_ns: int, echo_ns: int) -> bytes:
        told = Order(
            capability=5, number=number, boot="b", echo_ns=echo_ns,
            proposal=wish(seen_ns, id=str(number), issued_ns=echo_ns, until_ns=echo_ns + 3 * S),
        )  # fmt: skip
        return msgspec.json.encode(sealed(told, KEY))

    assert guard.receive(order(1, NOW - S, NOW), NOW).status == "acknowledged"
    assert guard.step(NOW + S) == {"speed": 30.0}
    late = guard.receive(order(2, NOW - S, NOW + 2 * S), NOW + 2 * S)  # the report was new, the readings not
    assert (late.status, late.detail) == ("rejected", "seen: it rests on readings 3 s old; 2s is allowed")
    assert guard.step(NOW + 2 * S) == {"speed": 20.0}
    assert guard.holder == "plan"


def test_readings_are_told_by_the_clock_of_the_guard() -> None:
    report = Report(boot="b", clock_ns=500 * S, rules="", values={}, holder="plan")
    heard = Heard(report=report, at_ns=NOW, thing=1)
    assert by_its_clock(wish(NOW - 4 * S), pump(), heard).seen_ns == 496 * S
    assert by_its_clock(wish(NOW - 4 * S), pump(simulated=True), heard).seen_ns == NOW - 4 * S
    assert by_its_clock(wish(None), pump(), heard).seen_ns is None


def test_a_task_says_of_when_its_readings_are() -> None:
    def told(seen: Any) -> int | None:
        asked = Asked(
            task=1, capability=2, thing=3, project=0, status="requested", creation_ns=NOW,
            values={"speed": 30.0}, properties={"act": {"seen": seen}}, parameters={}, declared={},
            run_log=[],
        )  # fmt: skip
        return proposal_of(asked, pump(), (), NOW, lambda _: "").seen_ns

    at = datetime(2026, 1, 5, 7, tzinfo=UTC)
    assert told("2026-01-05T07:00:00Z") == round(at.timestamp()) * S
    with pytest.raises(QueryError, match="timezone"):
        told("2026-01-05T07:00:00")


def test_a_declaration_that_does_not_ask_has_the_digest_it_had() -> None:
    assert b"seen" not in msgspec.json.encode(pump())
    assert rules(pump()) != rules(pump(seen="2s"))
    with pytest.raises(DeclarationError, match="is not a duration") as wrong:
        pump(seen="soon")
    assert "act.seen" in str(wrong.value)


def test_a_street_whose_node_is_late_does_no_worse_than_its_plan(tmp_path: Path) -> None:
    """Twenty minutes of the corridor: orders a minute late did harm before lateness was bound."""
    pytest.importorskip("libsumo")
    kinds = ["nobody", "in time", "20 s", "40 s", "60 s on average", "now and then"]
    request = {
        "out": str(tmp_path / "late.json"), "kinds": kinds, "bounds": [True, False], "seeds": [1],
        "minutes": 20.0,
    }  # fmt: skip
    command = [sys.executable, "-m", "nervure.bench.safety.late"]
    run(command, input=msgspec.json.encode(request), check=True, timeout=120)  # libsumo clashes with pyarrow
    runs = msgspec.json.decode((tmp_path / "late.json").read_bytes(), type=Lates).runs
    found = {(one.kind, one.bound): one for one in rows(runs)}
    assert behind(runs) == []
    assert found["in time", True].ratio < 0.5
    assert found["20 s", True].ratio < found["20 s", False].ratio
    assert found["60 s on average", False].worst > 1.1
    assert behind([replace(one, bound=True) for one in runs if one.kind in ("nobody", "60 s on average")])
    assert found["40 s", True].taken == 0
    assert found["40 s", True].planned == 1.0
    assert found["in time", True].refused == 0
    text = "\n".join(section(runs))
    assert f"| 40 s | 1 | {found['40 s', True].delay_s:.1f} s | 1.00 | 1.00 | 0 |" in text
