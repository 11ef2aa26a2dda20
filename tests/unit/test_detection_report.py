"""The report on detection: done work is found again, failures are told, sentences follow from numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nervure.bench.detect.board import SETS, contests_of, home_of
from nervure.bench.detect.document import About, Document, read, sense
from nervure.bench.detect.job import Contest, Entry, Job, Result
from nervure.bench.detect.page import page, publish, table_of
from nervure.bench.detect.prose import by_family, claim, deploy, in_short, lost, stand, undecided, won
from nervure.bench.detect.rows import assemble
from nervure.bench.detect.run import Seat, Wanted, check_models, done_before, jobs_of, run_jobs, seats
from nervure.bench.detect.trial import Kept
from nervure.bench.forecast.document import save
from nervure.cli import main
from nervure.core.error import DataError, UsageError

REPORT = Path(__file__).parents[2] / "docs" / "report"

MADE = '''\
"""Contests that are over at once; the file beside counts how often they were performed."""
from pathlib import Path
import numpy as np
from nervure.bench.detect.job import Contest, Entry, Job, Result

def perform(job: Job) -> Result:
    with (Path(__file__).parent / "count.txt").open("a") as out:
        out.write(f"{job.set} {job.model} {job.seed}\\n")
    if job.model == "broken" and not (Path(__file__).parent / "mended").exists():
        raise RuntimeError("the toy | fell over")
    value = {"F1": 0.5 + 0.1 * job.seed, "FAR": float("nan")}
    return Result(job=job, value=value, train_cpu_s=2.0, infer_ms=np.float64(0.1), parameters=np.int64(7))

def contests():
    entries = (
        Entry(model="net", kind="deep", seeds=(0, 1)), Entry(model="broken", kind="deep"),
        Entry(model="rule", kind="baseline"),
    )
    return (Contest(set="toy", title="A toy", question="Which?", protocol="none", metrics=("F1",),
                    entries=entries, perform=perform, quick=("rule", "net")),)
'''


def never(job: Job) -> Result:
    raise AssertionError(job)


def seat(name: str, metrics: tuple[str, ...] = ("F1",), goals: Any = (), *, text: Any = None) -> Seat:
    entries = (
        Entry(model="rule", kind="baseline"),
        Entry(model="trees", kind="baseline"),
        Entry(model="net", kind="deep", seeds=(0, 1, 2)),
    )
    contest = Contest(
        set=name, title=f"Set {name}", question="Is it odd?", protocol="by block", metrics=metrics,
        entries=entries, perform=never, goals=goals, text=text,
    )  # fmt: skip
    return Seat(contest=contest, module="toys.stream", code="0")


def kept(job: Job, value: dict[str, float], **more: Any) -> Kept:
    done = Result(job=job, value=value, train_cpu_s=4.0, infer_ms=0.5, parameters=9, **more)
    return Kept(result=done, memory_mb=300.0 + job.seed, cpu_s=5.0)


def report(held: Seat, values: dict[str, list[dict[str, float]]], **more: Any) -> Document:
    """Return the report on one set: a value a seed of every model."""
    found = {}
    for job in jobs_of(held.contest, Wanted()):
        if job.model in values and job.seed < len(values[job.model]):
            found[job] = kept(job, values[job.model][job.seed], **more)
    return assemble((held,), found, Path("/nowhere"), full=True)


def joined(*documents: Document) -> Document:
    return msgspec.structs.replace(
        documents[0],
        sets=tuple(one for each in documents for one in each.sets),
        rows=tuple(one for each in documents for one in each.rows),
    )


def f1(*values: float) -> list[dict[str, float]]:
    return [{"F1": one} for one in values]


@pytest.fixture(name="toys")
def _toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a family of made contests where these processes and those they start find it."""
    (tmp_path / "made_toys.py").write_text(MADE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_the_board_is_what_the_modules_hold() -> None:
    assert {one: tuple(each.set for each in contests_of(one)) for one in SETS} == SETS
    names = [name for held in SETS.values() for name in held]
    assert len(set(names)) == len(names)
    with pytest.raises(DataError, match="no contest of detection is called 'moon'"):
        home_of("moon")


def test_what_contests_ask_can_be_told() -> None:
    for module in SETS:
        for one in contests_of(module):
            kinds = {entry.kind for entry in one.entries}
            assert "baseline" in kinds, one.set
            assert {metric for metric, _, _ in one.goals} <= set(one.metrics), one.set
            assert set(one.quick) <= {entry.model for entry in one.entries}, one.set
            for metric, sign, _ in one.goals:
                way = {"<=": "less", ">=": "more"}[sign]
                assert sense(metric) in (way, ""), f"{one.set}: {metric}"


def test_a_run_goes_on_where_it_was_and_tells_what_failed(toys: Path) -> None:
    among = seats((), {"made_toys": ("toy",)})
    jobs = jobs_of(among[0].contest, Wanted())
    assert [(one.model, one.seed) for one in jobs] == [("rule", 0), ("net", 0), ("net", 1), ("broken", 0)]
    first = run_jobs(jobs[:2], among, toys / "work", at_once=2)
    assert not any(one.result.error for one in first.values())
    assert set(done_before(jobs, {"toy": among[0]}, toys / "work")) == set(jobs[:2])

    second = run_jobs(jobs, among, toys / "work", at_once=2)
    assert {job: second[job].cpu_s for job in jobs[:2]} == {job: one.cpu_s for job, one in first.items()}
    assert "the toy | fell over" in second[jobs[3]].result.error
    assert second[jobs[1]].memory_mb > 10
    assert math.isnan(second[jobs[1]].result.value["FAR"]), "what is no number stays none"
    performed = (toys / "count.txt").read_text().splitlines()
    assert sorted(performed) == ["toy broken 0", "toy net 0", "toy net 1", "toy rule 0"]
    document = assemble(among, second, toys / "work", full=True)
    assert document.value("toy", "net", "F1") == pytest.approx(0.55)
    assert document.value("toy", "net", "parameters") == 7
    assert [(one.set, one.model) for one in document.failures] == [("toy", "broken, seed 0")]
    assert "| toy | broken, seed 0 | RuntimeError: the toy / fell over |" in page(document)

    (toys / "mended").touch()
    third = run_jobs(jobs[3:], among, toys / "work")
    assert not third[jobs[3]].result.error, "what failed is tried again"


def test_other_code_is_other_work(toys: Path) -> None:
    (one,) = seats(("toy",), {"made_toys": ("toy",)})
    job = jobs_of(one.contest, Wanted(models=("rule",)))[0]
    run_jobs([job], [one], toys / "work")
    changed = msgspec.structs.replace(one, code="other")
    assert done_before([job], {"toy": one}, toys / "work")
    assert not done_before([job], {"toy": changed}, toys / "work")
    assert not done_before([msgspec.structs.replace(job, quick=True)], {"toy": one}, toys / "work")


def test_only_what_is_asked_for_is_done() -> None:
    contest = msgspec.structs.replace(seat("a").contest, quick=("rule", "net"))
    assert len(jobs_of(contest, Wanted())) == 5
    assert len(jobs_of(contest, Wanted(seeds=1))) == 3
    assert {one.model for one in jobs_of(contest, Wanted(quick=True))} == {"rule", "net"}
    assert [one.model for one in jobs_of(contest, Wanted(models=("trees",)))] == ["trees"]
    with pytest.raises(UsageError, match="'moon'"):
        check_models(("moon",), [seat("a")])


def test_rows_are_means_over_seeds() -> None:
    values = {"net": [{"F1": 0.7, "FAR": math.nan}, {"F1": 0.9, "FAR": 0.1}], "rule": f1(0.5)}
    document = report(seat("a", ("F1", "FAR")), values)
    assert document.value("a", "net", "F1") == pytest.approx(0.8)
    assert document.value("a", "net", "F1_sd") == pytest.approx(0.1 * math.sqrt(2))
    assert document.value("a", "net", "FAR") == pytest.approx(0.1)
    assert document.value("a", "net", "FAR_sd") is None
    assert document.value("a", "rule", "F1_sd") is None
    assert document.value("a", "net", "memory_mb") == 301
    assert document.row("a", "net").seeds == 2
    columns = {"set", "model", "kind", "horizon", "metric", "value", "seeds", "train_cpu_s", "infer_ms"}
    assert all(set(msgspec.to_builtins(one)) == columns and one.horizon == "" for one in document.rows)


def test_goals_are_held_against_one_model() -> None:
    """The rule meets one goal and the net the other; trees meet neither: nobody meets both."""
    goals = (("F1", ">=", 0.8), ("FAR", "<=", 0.1))
    values = {"rule": [{"F1": 0.6, "FAR": 0.1}], "net": [{"F1": 0.9, "FAR": 0.3}], "trees": f1(0.7)}
    document = report(seat("a", ("F1", "FAR"), goals), values)
    found = document.verdicts(document.sets[0])
    assert [(one.model, one.state, one.other) for one in found] == [
        ("net", "met", ""),
        ("net", "met by another", "rule"),
    ]
    text = page(document)
    assert "F1 ≥ 0.8: 0.9, met; FAR ≤ 0.1: 0.3, missed (met by rule: 0.1)" in text
    assert "Of 2 goals 1 are met" in text
    better = report(seat("a", ("F1", "FAR"), goals), {**values, "trees": [{"F1": 0.81, "FAR": 0.05}]})
    assert [(one.model, one.state) for one in better.verdicts(better.sets[0])] == [("trees", "met")] * 2
    unmeasured = report(seat("a", ("F1",), goals), {"rule": f1(0.6)})
    assert [one.state for one in unmeasured.verdicts(unmeasured.sets[0])] == ["missed", "not measured"]


def test_a_difference_is_clear_where_seeds_agree() -> None:
    one = joined(
        report(seat("up"), {"rule": f1(0.6), "trees": f1(0.7), "net": f1(0.8, 0.81, 0.79)}),
        report(seat("down"), {"rule": f1(0.9), "net": f1(0.8, 0.81, 0.79)}),
        report(seat("wide"), {"rule": f1(0.7), "net": f1(0.9, 0.6, 0.75)}),
        report(seat("once"), {"rule": f1(0.7), "net": f1(0.9)}),
        report(seat("alone"), {"rule": f1(0.7)}),
        report(seat("less", ("RMSE",)), {"rule": [{"RMSE": 9.0}], "net": [{"RMSE": x} for x in (7, 7.1, 7)]}),
    )
    words = {about.set: (found.word if (found := stand(one, about)) else "") for about in one.sets}
    assert words == {
        "up": "won", "down": "lost", "wide": "undecided", "once": "undecided", "alone": "", "less": "won",
    }  # fmt: skip
    assert "(`up`): F1 0.8 with `net`, 0.7 with trees: 0.1 better, 10.0 times the spread of seeds." in won(
        one
    )
    assert "(`less`)" in won(one)
    assert "0.1 worse, 10.0 times" in lost(one)
    assert "0.2 better, of one run" in undecided(one)
    assert "clearly better than the best baseline on 2, clearly worse on 1, and on 2 seeds" in in_short(one)
    assert "| Streams of sensors | 2 | 1 | 2 |" in by_family(one) or "| stream | 2 | 1 | 2 |" in by_family(
        one
    )
    told = deploy(one)
    assert "| up | net | clearly better than any baseline | F1 0.8 |" in told
    assert "| down | rule | clearly better than any deep model |" in told
    assert "| wide | rule | no deep model is clearly better, and this costs less |" in told
    assert "| alone | rule | nothing of the other kind competes |" in told


def test_what_meets_more_goals_is_deployed() -> None:
    goals = (("F1", ">=", 0.6), ("FAR", "<=", 0.2))
    values = {"rule": [{"F1": 0.65, "FAR": 0.1}], "net": [{"F1": x, "FAR": 0.4} for x in (0.9, 0.91, 0.9)]}
    one = report(seat("a", ("F1", "FAR"), goals), values)
    assert "| a | rule | meets 2 of 2 goals, the other kind 1 | F1 0.65 |" in deploy(one)


def test_the_table_sets_baselines_above_models() -> None:
    document = report(seat("a"), {"trees": f1(0.7), "rule": f1(0.6), "net": f1(0.8, 0.82)})
    lines = [one.split(" | ")[:2] for one in table_of(document, document.sets[0]).splitlines()[2:]]
    assert lines == [["| rule", "0.6"], ["| trees", "0.7"], ["| `net`", "**0.81** ± 0.014"]]


def test_every_number_of_the_page_comes_from_results(tmp_path: Path) -> None:
    def say(results: list[Result]) -> str:
        return f"The net reaches {results[-1].value['F1']:.3f}."

    values = {"rule": f1(0.5), "net": f1(0.625, 0.6875)}
    document = report(seat("a", text=say), values, note="of toys")
    text = page(document)
    assert "The net reaches 0.688." in text
    assert "| rule | 0.5 |" in text
    assert "| **0.6562** ± 0.044 |" in text
    assert "Notes. Of toys." in text
    save(document, tmp_path / "detection.json")
    again = read(tmp_path / "detection.json")
    files = publish(again, tmp_path)
    assert files == [tmp_path / "detection.md"]
    assert files[0].read_text() == page(again)
    rows = json.loads((tmp_path / "detection.json").read_text())["rows"]
    assert {one["metric"] for one in rows} >= {"F1", "F1_sd", "parameters", "memory_mb"}


def test_the_committed_page_is_that_of_the_committed_numbers_of_every_contest() -> None:
    data = REPORT / "detection.json"
    document = read(data)
    assert data.stat().st_size < 1_000_000
    assert (REPORT / "detection.md").read_text("utf-8") == page(document)
    assert document.full
    assert [about.set for about in document.sets] == [one for sets in SETS.values() for one in sets]
    drawn = list((REPORT / "detection").glob("*.svg"))
    assert {one.name for one in drawn} == {f"{one.set}-{one.name}.svg" for one in document.pictures}
    assert all(one.stat().st_size < 60_000 for one in drawn)


def test_a_paragraph_that_cannot_be_written_is_told() -> None:
    document = report(seat("a", text=lambda results: results[0].note[3]), {"rule": f1(0.5)})
    assert [(one.set, one.model) for one in document.failures] == [("a", "its paragraph")]


def test_the_claim_has_a_section_of_its_own() -> None:
    held = seat("claim", ("x, accuracy",), text=lambda _: "The claim holds nowhere.")
    some = {"rule": [{"x, accuracy": 0.9}], "net": [{"x, accuracy": 0.8}]}
    document = report(held, some)
    assert claim(document) == (
        "The claim holds nowhere. Of the 1 figures, some baseline is as good as `net` or better in 1:"
        " [the table](#claim)."
    )
    assert page(document).count("The claim holds nowhere.") == 1
    assert claim(report(seat("a"), {"rule": f1(0.5)})) == ""


def test_the_lead_metric_is_that_of_the_first_goal() -> None:
    about = About(set="a", family="x", title="", question="", protocol="", metrics=("F1", "RMSE"))
    assert (about.lead, about.sense) == ("F1", "more")
    about = msgspec.structs.replace(about, goals=(("RMSE", "<=", 1.0),))
    assert (about.lead, about.sense) == ("RMSE", "less")


def test_a_cheap_set_is_judged_for_real(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "burst", "--quick", "--work", str(tmp_path), "--json"]
    assert main([*words, "--models", "age alone"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0.4 < next(one["value"] for one in found["rows"] if one["metric"] == "C-index") < 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["detection", "--sets", "moon"], "no contest of detection is called 'moon'"),
        (["detection", "--sets", "burst", "--models", "moon"], "no contest here has a model 'moon'"),
        (["detection", "--budget", "3"], "--budget means nothing for detection"),
        (["burst", "--sets", "burst"], "--sets means nothing for burst"),
        (["burst", "--problem", "x"], "--problem means nothing"),
        (["ltown", "--quick"], "nothing to do"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *words, "--work", str(tmp_path)]) != 0
    assert said in capsys.readouterr().err


def test_a_metric_that_has_to_lie_between_bounds_is_not_compared() -> None:
    """Realised over promised alarms: neither more nor less is better, so only goals decide."""
    goals = (("least", ">=", 0.5), ("most", "<=", 1.5))
    values = {"rule": [{"least": 3.0, "most": 9.0}], "net": [{"least": 0.8, "most": 1.2}]}
    document = report(seat("a", ("least", "most"), goals), values)
    (about,) = document.sets
    assert stand(document, about) is None
    assert [one.model for one in document.verdicts(about)] == ["net", "net"]
    assert "| a | net | meets 2 of 2 goals, the other kind 1 |" in deploy(document)
    assert "**" not in table_of(document, about)


def test_two_bounds_of_a_metric_are_one_goal() -> None:
    goals = (("coverage", ">=", 0.87), ("coverage", "<=", 0.93))
    values = {"rule": [{"coverage": 0.9}], "net": [{"coverage": 0.6}]}
    document = report(seat("a", ("coverage",), goals), values)
    (one,) = document.verdicts(document.sets[0])
    assert (one.model, one.state) == ("rule", "met")
    assert "coverage ≥ 0.87 and ≤ 0.93: 0.9, met" in page(document)
    assert document.reached(document.sets[0], "net") == 0, "to be under the upper bound is no goal met"
