"""The judge and the guard beside a plain reference of what is unsafe, on random and hostile commands."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nervure.act import guard, interlock
from nervure.bench.safety import judged
from nervure.bench.safety.guarded import try_guard
from nervure.bench.safety.hostile import KINDS
from nervure.bench.safety.judged import try_kind
from nervure.bench.safety.plant import PLANTS, Plant
from nervure.core.command import Known, Proposal, Verdict
from nervure.core.interlock import Declared

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
