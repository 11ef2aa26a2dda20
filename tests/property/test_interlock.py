"""The judge and the guard beside a plain reference of what is unsafe, on random and hostile commands."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervure.act import guard, interlock
from nervure.act.guard import Guard
from nervure.bench.safety import guarded, judged
from nervure.bench.safety.guarded import try_guard
from nervure.bench.safety.hostile import KINDS
from nervure.bench.safety.judged import try_kind
from nervure.bench.safety.plant import PLANTS, Plant
from nervure.core.command import Known, Proposal, Verdict
from nervure.core.error import QueryError
from nervure.core.interlock import Declared
from nervure.core.mac import Sealed
from nervure.core.order import Order

seeds = st.integers(0, 2**32)


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=12, deadline=None)
@given(seed=seeds)
def test_the_judge_lets_pass_what_is_safe_and_nothing_else(kind: str, seed: int) -> None:
    found = try_kind(kind, seed, 48)
    assert (found.violations, found.needless) == (0, 0), found.first


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_reference_sees_a_judge_that_forgets_one_kind(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(proposal: Proposal, declared: Declared, known: Known) -> tuple[Verdict, ...]:
        return tuple(one for one in interlock.judge(proposal, declared, known) if one.kind != kind)

    monkeypatch.setattr(judged, "judge", forgetful)
    assert try_kind(kind, 1, 1500).violations > 0


@pytest.mark.parametrize("plant", PLANTS, ids=lambda one: one.name)
@settings(max_examples=4, deadline=None)
@given(seed=seeds)
def test_the_guard_keeps_to_the_rules_on_a_hostile_wire(plant: Plant, seed: int) -> None:
    found = try_guard(plant, seed, 400)
    assert found.wrong == {}, found.first
    assert found.taken


def test_between_them_the_plants_have_every_kind_of_interlock() -> None:
    assert {rule["kind"] for plant in PLANTS for rule in plant.act["interlocks"]} == set(KINDS)


@pytest.mark.parametrize("kind", ["approve", "envelope"])
def test_the_reference_sees_a_guard_that_forgets_people_or_evidence(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(proposal: Proposal, declared: Declared, known: Known) -> tuple[Verdict, ...]:
        return tuple(one for one in interlock.judge(proposal, declared, known) if one.kind != kind)

    monkeypatch.setattr(guard, "judge", forgetful)
    (weir,) = [one for one in PLANTS if one.name == "weir"]
    assert try_guard(weir, 3, 1500).wrong["an order taken without the yes or the evidence that it needs"]


def _plant(name: str) -> Plant:
    return next(one for one in PLANTS if one.name == name)


def test_the_reference_sees_a_guard_that_believes_what_was_damaged_and_tells_how_it_came_to_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An order whose id alone was damaged on its way was taken, as long as orders had no digest."""

    def believing(payload: bytes, _key: bytes) -> Order:
        try:
            return msgspec.json.decode(msgspec.json.decode(payload, type=Sealed).of, type=Order)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as cause:
            raise QueryError("form") from cause

    monkeypatch.setattr(guard, "opened", believing)
    found = try_guard(_plant("crossing"), 0, 6000)
    assert found.wrong["a damaged order that was not refused and counted"]
    assert found.wrong["an order taken that is old or was never sent"]
    assert found.tale[0].startswith("crossing, seed 0, episode 0, ")
    assert any("came: damaged or forged" in line for line in found.tale)
    what = found.first.partition(":")[0]
    assert any(f"THIS MUST NOT BE: {what}" in line for line in found.tale)


@pytest.mark.parametrize(
    ("plant", "what"),
    [
        ("crossing", "a bench that a restart has made shorter"),
        ("valves", "a hand that a restart has taken away"),
        ("pump", "a trip that a restart has reset"),
        ("pump", "an unsafe change"),
    ],
)
def test_the_reference_sees_a_guard_that_forgets_when_it_is_killed(
    plant: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(*given: Any, **more: Any) -> Guard:
        return Guard(*given, **{**more, "kept": None})

    monkeypatch.setattr(guarded, "Guard", forgetful)
    monkeypatch.setattr(guarded, "_KILLED", 0.05)
    assert try_guard(_plant(plant), 1, 6000).wrong[what]
