"""What if, of every twin: both sides on the same seeds, told with intervals, and sworn to."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from nervure.bench.whatif.ask import Outcome, ask, evidence
from nervure.bench.whatif.question import SCENARIOS, Measure, Then, WhatIf, find
from nervure.bench.whatif.trial import Job, perform
from nervure.cli import main
from nervure.core.command import Evidence, digest
from nervure.core.error import DataError, UsageError
from nervure.trust.signature import SigningKey, trusted
from nervure.trust.testimony import doubt
from nervure.twin.find import names, open_twin

BETTER = {
    "isolate": "lost", "search": "lost", "damped": "peak_drift", "slow-down": "damage", "stop": "damage",
    "gate": "peak_level", "shade": "hvac", "throttle": "flooded",
}  # fmt: skip
"""What each measure makes smaller."""
WORSE = {
    "burst": "lost", "pump-off": "unserved", "heat-wave": "hvac", "earthquake": "peak_drift",
    "traffic": "peak_acceleration", "run-on": "damage", "storm": "peak_level",
}  # fmt: skip


def side(question: WhatIf, measure: Measure, *, share: float = 1.0) -> dict[str, float]:
    job = Job(
        twin=question.twin, net=question.net, minutes=question.minutes * share, scenario=question.scenario,
        measure=measure, seeds=(1,),
    )  # fmt: skip
    return perform(job).runs[0]


def test_there_are_questions_for_every_twin_that_needs_nothing_of_the_users() -> None:
    assert {one.twin for one in SCENARIOS.values()} == set(names()) - {"energyplus"}


@pytest.mark.parametrize("name", sorted(BETTER | WORSE))
def test_a_measure_changes_what_it_is_for(name: str) -> None:
    question = SCENARIOS[name]
    if question.twin == "pipes":
        pytest.importorskip("epanet")
    if question.twin == "sewer":
        pytest.importorskip("pyswmm")
    kpi = (BETTER | WORSE)[name]
    share = 0.2 if question.twin == "machine" else 1.0
    done, nothing = (side(question, one, share=share)[kpi] for one in (question.do, question.base))
    assert done < nothing if name in BETTER else done > nothing


def test_commands_come_and_are_given_back_at_their_time() -> None:
    question = WhatIf(twin="machine", minutes=60.0, do=Measure())
    late = Measure(then=(Then(after=30.0, commands={"drive/speed": 0.0}),))
    back = Measure(commands={"drive/speed": 0.0}, then=(Then(after=20.0, release=("drive/speed",)),))
    assert side(question, Measure())["work"] == pytest.approx(1.0)
    assert side(question, late)["work"] == pytest.approx(0.5)
    assert side(question, back)["work"] == pytest.approx(2 / 3)


def test_a_pump_that_is_commanded_does_not_follow_the_files_controls() -> None:
    """It was started again by them as soon as the tank ran low, whatever the command said."""
    pytest.importorskip("epanet")
    twin = open_twin("pipes")
    twin.reset(seed=1, scenario={"hour": 16.0})
    flows = []
    for minute in range(420):
        if minute < 360:
            twin.apply({"PU/pump": 0.0})
        elif minute == 360:
            twin.release(("PU/pump",))
        flows.append(twin.step()["PU/flow"])
    twin.close()
    assert max(flows[5:360]) < 1e-3
    assert flows[-1] > 10  # the tank is low, and the pump is its own again


@pytest.fixture(scope="module")
def gate() -> Outcome:
    return ask("gate", SCENARIOS["gate"], seeds=3)


def test_both_sides_see_the_same_seeds_and_differences_have_intervals(gate: Outcome) -> None:
    change = {one.kpi: one for one in gate.changes}["peak_level"]
    assert (change.unit, change.difference.pairs, gate.seeds) == ("m", 3, (1, 2, 3))
    assert change.difference.low <= change.difference.mean <= change.difference.high < 0
    assert change.low <= change.do <= change.high
    alone = [perform(_job(seed)).runs[0]["peak_level"] for seed in (1, 2, 3)]
    assert change.do == pytest.approx(sum(alone) / 3)


def _job(seed: int) -> Job:
    one = SCENARIOS["gate"]
    return Job(
        twin="flood", net="", minutes=one.minutes, scenario=one.scenario, measure=one.do, seeds=(seed,)
    )


def test_an_answer_about_values_is_evidence_of_them(gate: Outcome) -> None:
    found = evidence(gate)
    assert (found.of, found.twin, found.runs) == (digest({"gate": 1.0}), "flood", 3)
    assert (found.commands, found.scenario) == ({"basin/gate": 1.0}, {"rain_mm": 110.0})
    change = {one.kpi: one for one in gate.changes}["peak_level"]
    assert found.kpis["peak_level"] == (change.low, change.high)
    assert found.kpis["peak_level change"] == (change.difference.low, change.difference.high)
    for wrong in (
        Measure(commands={"basin/gate": 1.0}, scenario={"rain_mm": 10.0}),
        Measure(commands={"basin/gate": 1.0}, then=(Then(after=1.0),)),
        Measure(),
    ):
        asked = msgspec.structs.replace(gate.question, do=wrong)
        with pytest.raises(UsageError, match="only a what-if that holds values"):
            evidence(msgspec.structs.replace(gate, question=asked))


def test_the_command_writes_what_a_node_believes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = tmp_path / "dry.toml", tmp_path / "found.json"
    file.write_text(
        'twin = "flood"\nminutes = 600\n[scenario]\nrain_mm = 90\n[do.commands]\n"basin/gate" = 1\n'
    )
    place = tmp_path / "node"
    words = ["twin", "whatif", str(file), "--seeds", "2", "--evidence", str(out), "--json"]
    monkeypatch.setenv("NERVURE_FOLDER", str(place))
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["question"]["twin"] == "flood"
    found = msgspec.json.decode(out.read_bytes(), type=Evidence)
    assert doubt(found, trusted(place)) == ""
    assert "is not trusted" in doubt(found, [SigningKey(bytes(32)).public])
    assert found.minutes == 600.0


def test_questions_are_listed_and_wrong_ones_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["twin", "whatif", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(SCENARIOS)
    assert main(["twin", "whatif", "sunshine"]) == 2
    assert "there is no what-if 'sunshine'" in capsys.readouterr().err
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('twin = "flood"\n[do]\ncommand = {}\n')
    with pytest.raises(DataError, match="unknown field `command`"):
        find(str(wrong))
    with pytest.raises(UsageError, match="no controller 'max-pressure' for flood"):
        ask("", WhatIf(twin="flood", do=Measure(controller="max-pressure")), seeds=2)
    with pytest.raises(UsageError, match="there is no twin 'sea'"):
        ask("", WhatIf(twin="sea", do=Measure()), seeds=2)
    odd = WhatIf(twin="flood", minutes=30.0, do=Measure(commands={"sea/gate": 1.0}))
    with pytest.raises(DataError, match="there is no actuator 'sea/gate'"):
        ask("", odd, seeds=2)
