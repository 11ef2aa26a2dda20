"""Who may not wait too long are lanes and turns: a phase that others cover need not be shown."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from msgspec.structs import replace

from nervure.act.check import starving
from nervure.act.loop import Loop
from nervure.bench.safety.station import read
from nervure.bench.safety.street import MOST_RED_S, rules
from nervure.core.error import DeclarationError
from nervure.core.interlock import Starve
from nervure.core.interlock_check import lead_ns
from nervure.core.junction import Junction
from nervure.twin.api import Actuator, Description
from nervure.twin.keep import keeps
from tests.acting import PHASE, S

# as at a signal of RESCO's cologne8: its second and fourth phase are for turns that the others let go too
JUNCTION = Junction(
    name="J", lanes=("a", "b", "c"), outs=(), phases=("0", "1", "2", "3"), leads=(), plan_s=(30, 6, 30, 6),
    served=((1, 1, 0), (0, 0.89, 0), (0, 0, 1), (0, 0, 0.83)), turns=((1, (1, 0, 0, 0)), (2, (0, 0, 1, 0))),
)  # fmt: skip


def like(*served: tuple[float, ...], turns: tuple[tuple[int, tuple[int, ...]], ...] = ()) -> Junction:
    phases, plan_s = tuple(str(at) for at in range(len(served))), (30.0,) * len(served)
    return replace(JUNCTION, served=served, turns=turns, phases=phases, plan_s=plan_s)


@pytest.mark.parametrize(
    ("junction", "needed"),
    [
        (JUNCTION, (0, 2)),
        (like((1, 0, 0), (0, 1, 1)), (0, 1)),
        (like((1, 0.5, 0), (0, 1, 0), (0, 0, 1)), (0, 1, 2)),  # what gives way in one has the way in another
        (like((1, 1, 0), (1, 1, 0), (0, 0, 1)), (0, 2)),  # the same twice
        (like((1, 1, 0), (0, 0, 1), (1, 0, 0), (0, 1, 0.5)), (0, 1)),  # two others together cover the last
        (like((1, 1, 1), (1, 0, 0)), (0,)),
        (like((1, 1, 0), (0.8, 0, 1), turns=((0, (0, 1)),)), (0, 1)),  # a turn that only one lets go
        (like((0, 0, 0), (1, 1, 1)), (1,)),  # all red serves nobody
    ],
)
def test_a_phase_that_others_cover_is_not_needed(junction: Junction, needed: tuple[int, ...]) -> None:
    assert junction.needed == needed


def test_a_twin_s_signal_declares_who_waits_and_not_which_phase() -> None:
    signal = Actuator(
        name="J/phase", thing="J", signal="phase", unit="1", low=0, high=3,
        about={"junction": msgspec.to_builtins(JUNCTION)},
    )  # fmt: skip
    about = Description(name="roads", engine="", step_s=5.0, sensors=(), actuators=(signal,), kpis={})
    (starve,) = [one for one in keeps(about)["J"]["interlocks"] if one["kind"] == "starve"]
    assert starve["states"] == ["0", "2"]


def show(loop: Loop, seconds: int, *phases: int) -> tuple[int, dict[int, int]]:
    """Let a policy show its phases in turn, ten seconds each; how often it is refused, longest not shown."""
    refused, left, longest = 0, dict.fromkeys((0, 2), 0), dict.fromkeys((0, 2), 0)
    for now in range(0, seconds, 5):
        wish = float(phases[now // 10 % len(phases)])
        refused += loop.command({"phase": wish}, now * S, lease_s=20).state != "checked"
        shown = int(loop.step(now * S)["phase"])
        left |= {shown: now} if shown in left else {}
        longest = {one: max(longest[one], now - left[one]) for one in longest}
    return refused, longest


def test_a_policy_without_use_for_a_covered_phase_is_heard() -> None:
    loop = Loop(rules(JUNCTION), {"phase": 0.0}, model="max-pressure", now_ns=0)
    refused, longest = show(loop, 7200, 0, 2)
    assert refused == 0
    assert not loop.guard.known.benched
    assert max(longest.values()) <= 20


@pytest.mark.parametrize("phases", [(0,), (1,), (2,), (3,), (0, 1), (3, 2)])
def test_a_policy_that_starves_an_approach_is_cut_in_on_and_not_heard(phases: tuple[int, ...]) -> None:
    """Whoever shows a covered phase for ever starves those whom it does not serve."""
    loop = Loop(rules(JUNCTION), {"phase": 0.0}, model="starve", now_ns=0)
    refused, longest = show(loop, 3600, *phases)
    assert refused > 100
    assert loop.guard.known.benched
    assert max(longest.values()) <= MOST_RED_S


def test_one_state_may_be_all_that_has_to_be_served() -> None:
    junction = like((1, 1, 1), (1, 0, 0))
    loop = Loop(rules(junction, bench=False), {"phase": 1.0}, model="starve", now_ns=0)
    shown = []
    for now in range(0, 600, 5):
        loop.command({"phase": 1.0}, now * S, lease_s=20)
        shown += [now] if loop.step(now * S)["phase"] == 0.0 else []
    assert shown[0] <= MOST_RED_S
    assert all(later - earlier <= MOST_RED_S for earlier, later in pairwise(shown))


SIGNAL = {
    "kind": "sequence", "of": "phase", "after": {"ns": ["ew", "all"], "ew": ["ns", "all"], "all": ["ns"]},
    "least": {"ns": "5s", "ew": "5s", "all": "40s"},
}  # fmt: skip


def starve(most: str, *states: str) -> dict[str, object]:
    return {"kind": "starve", "of": "phase", "states": list(states), "most": most}


def test_the_lead_counts_what_a_state_outside_must_hold() -> None:
    """From `all` it takes 40 s until anybody is served: of that nothing was counted."""
    act = {"every": "1s", "interlocks": [SIGNAL, starve("2min", "ns", "ew")]}
    declared = read(act, PHASE)
    (rule,) = declared.of(Starve)
    assert lead_ns(declared, rule) == (40 + 1 + 5 + 1 + 5 + 1) * S
    with pytest.raises(DeclarationError, match="too short"):
        read(act | {"interlocks": [SIGNAL, starve("50s", "ns", "ew")]}, PHASE)


def test_two_rules_of_one_field_have_a_lead_each() -> None:
    """They were told apart by field and bound alone, and the second had the lead of the first."""
    declared = read({"interlocks": [SIGNAL, starve("3min", "ns", "ew", "all"), starve("3min", "ew")]}, PHASE)
    loop = Loop(declared, {"phase": "ns"}, model="x", now_ns=0)
    first, second = declared.of(Starve)
    leads = [lead_ns(declared, one) for one in (first, second)]
    assert leads[0] > leads[1]
    for one, lead in zip((first, second), leads, strict=True):
        early, due = (replace(loop.guard.known, now_ns=180 * S - lead + at) for at in (-1, 0))
        assert starving(one, declared, early) is None
        assert starving(one, declared, due) is not None
