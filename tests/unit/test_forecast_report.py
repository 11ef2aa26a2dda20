"""The report on forecasts: goals are judged by code, and what it says follows from its numbers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from nervure.bench.forecast import version
from nervure.bench.forecast.bootstrap import Gain, gain
from nervure.bench.forecast.document import Compared, Document, Line, Machine, read, save
from nervure.bench.forecast.goal import GOALS, Goal, judge
from nervure.bench.forecast.job import DEFAULT, Job, Survey, Work
from nervure.bench.forecast.page import page, publish
from nervure.bench.forecast.plan import NAMED, PEERS, SETS, Wanted, estimate, in_order, jobs_of
from nervure.bench.forecast.prose import deploy, lost, policy, standing, undecided, winner, won
from nervure.bench.forecast.version import code_of, modules_of
from nervure.learn.sets import NAMES

REPORT = Path(__file__).parents[2] / "docs" / "report"


def survey(name: str, **changes: object) -> Survey:
    made = Survey(
        set=name, title=f"Set {name}", solution="toy", protocol="", unit="kW", nodes=3, every="1h",
        window="1d", horizon="6h", train=1000, validation=200, test=300, origins=290, asked=5220,
        span=("2023-01-01T00:00:00Z", "2023-02-01T00:00:00Z"), missing=0.01, quantiles=5, drivers=0, ahead=0,
        train_days=41.7, baselines=("last value", "boosted trees"), block=24, data=name,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def line(name: str, model: str, metric: str, value: float, horizon: str = "avg", cost: float = 9.0) -> Line:
    kind = "baseline" if model in ("last value", "boosted trees") else "deep"
    return Line(
        set=name, model=model, kind=kind, horizon=horizon, metric=metric, value=value, seeds=1,
        train_cpu_s=cost, infer_ms=0.5,
    )  # fmt: skip


def compared(name: str, percent: float, low: float | None, high: float | None) -> Compared:
    return Compared(
        set=name,
        model=DEFAULT,
        horizon="avg",
        baseline="boosted trees",
        gain=Gain(percent=percent, low=low, high=high),
    )


@pytest.fixture(name="document")
def _document() -> Document:
    """A report of three sets: one won, one lost, one that cannot be told."""
    rows, held = [], []
    for name, ours, low, high in (("a", 0.8, 15.0, 25.0), ("b", 1.2, -25.0, -15.0), ("c", 0.99, -2.0, 4.0)):
        rows += [
            line(name, "last value", "MAE", 2.0),
            line(name, "boosted trees", "MAE", 1.0, cost=5.0),
            line(name, DEFAULT, "MAE", ours, cost=60.0),
            line(name, DEFAULT, "coverage_80", 0.8),
            line(name, DEFAULT, "memory_mb", 512.0, horizon=""),
        ]
        held.append(compared(name, 100 * (1 - ours), low, high))
    goals = (
        Goal(set="a", metric="MAE", horizon="avg", bound=0.9, stretch=0.7),
        Goal(set="b", metric="MAE", horizon="avg", bound=0.9),
    )
    bare = Document(
        made="2026-01-01T00:00:00Z", machine=Machine(), full=True, sets=tuple(map(survey, "abc")),
        rows=tuple(rows), compared=tuple(held),
    )  # fmt: skip
    verdicts = tuple(judge(goal, bare.value, bare.models(goal.set, "deep")) for goal in goals)
    return msgspec.structs.replace(bare, goals=verdicts)


def test_goals_are_judged_by_their_bounds() -> None:
    values = {
        ("x", DEFAULT, "MAE", "1h"): 3.0,
        ("x", "other", "MAE", "1h"): 2.0,
        ("x", DEFAULT, "skill_MAE", "1h"): 0.0,
        ("y", DEFAULT, "MAE", "1h"): 2.8,
    }

    def value(name: str, model: str, metric: str, horizon: str) -> float | None:
        return values.get((name, model, metric, horizon))

    def state(**changes: object) -> str:
        goal = msgspec.structs.replace(Goal(set="x", metric="MAE", horizon="1h", bound=3.0), **changes)
        return judge(goal, value, (DEFAULT, "other")).state

    assert state() == "met"
    assert state(stretch=3.0) == "stretch met"
    assert state(stretch=2.9) == "met"
    assert state(bound=2.5) == "met by another"
    assert state(bound=1.9) == "missed"
    assert state(metric="skill_MAE", bound=0.0, least=True) == "missed", "no skill is not some skill"
    assert state(metric="skill_MAE", bound=-0.1, least=True) == "met"
    assert state(horizon="9h") == "not measured"
    assert state(set="y", bound=0.95, against="x") == "met"
    assert state(set="y", bound=0.9, against="x") == "missed"


def test_every_goal_is_of_a_set_that_there_is_and_at_one_of_its_horizons() -> None:
    assert set(SETS) == set(NAMES)
    assert {one.set for one in GOALS} <= set(NAMES)
    assert {name for one in NAMED for name in one.sets} | set(PEERS) <= set(NAMES)


def test_a_difference_is_sure_only_if_it_holds_in_blocks() -> None:
    random = np.random.default_rng(0)
    other = 1 + random.random(400)
    sure = gain(0.9 * other, other, block=20)
    assert sure.low is not None
    assert sure.high is not None
    assert sure.percent == pytest.approx(10.0)
    assert 9.9 < sure.low <= sure.high < 10.1
    swing = np.repeat(random.normal(0, 0.4, 20), 20)  # errs alike for twenty windows in a row
    wide = gain(0.99 * other + swing, other, block=20)
    close = gain(0.99 * other + swing, other, block=1)
    assert wide.low is not None
    assert wide.high is not None
    assert close.low is not None
    assert close.high is not None
    assert wide.high - wide.low > 2 * (close.high - close.low), "windows close together are not independent"
    assert gain(other[:6], other[:6], block=2).low is None, "too short to say"


def test_the_prose_follows_the_numbers(document: Document) -> None:
    stands = [standing(document.against(name)) for name in "abc"]
    assert stands == ["won", "lost", "undecided"]
    assert "`a`" in won(document)
    assert "`b`" not in won(document)
    assert "20.0 % less error than boosted trees (95 % interval 15.0 to 25.0 % less)" in won(document)
    assert "`b`" in lost(document)
    assert "20.0 % more error" in lost(document)
    assert "(`c`)" in undecided(document)
    assert "-2.0" not in undecided(document)
    assert "2.0 % more to 4.0 % less" in undecided(document)
    rows = {one.split(" | ")[0].strip("| "): one for one in deploy(document).splitlines()[2:]}
    assert f"| {DEFAULT} |" in rows["a"]
    assert "| boosted trees |" in rows["b"]
    assert "cheaper to train" in rows["c"]
    assert "| boosted trees |" in rows["c"]
    assert "clearly better here" in winner(document, document.sets[1])
    assert "512 MB" in policy(document)
    assert "3 of 3 sets" in policy(document)


def test_turning_the_numbers_turns_the_words(document: Document) -> None:
    turned = msgspec.structs.replace(
        document, compared=(compared("a", -3.0, -5.0, -1.0), *document.compared[1:])
    )
    assert "`a`" in lost(turned)
    assert "On no set is the default model clearly better" in won(turned)
    assert page(turned) != page(document)


def test_the_page_holds_every_set_and_goal(document: Document) -> None:
    text = page(document)
    for one in document.sets:
        assert f"(`{one.set}`)" in text
    assert "| a | MAE avg | ≤ 0.9 | ≤ 0.7 | 0.8 | met |" in text
    assert "| b | MAE avg | ≤ 0.9 |  | 1.2 | missed |" in text
    assert "| all | training, peak MB | ≤ 700 |  | 512 | met |" in text
    table = text[text.index('### <a id="a">') :]
    order = [table.index(f"| {name} |") for name in ("last value", "boosted trees", f"`{DEFAULT}`")]
    assert order == sorted(order), "baselines stand above models"
    assert "**0.8**" in table
    assert "not the full run" not in text
    assert "not the full run" in page(msgspec.structs.replace(document, full=False))


def test_a_saved_report_gives_the_same_page(document: Document, tmp_path: Path) -> None:
    save(document, tmp_path / "forecasting.json")
    again = read(tmp_path / "forecasting.json")
    assert page(again) == page(document)
    publish(again, tmp_path)
    assert (tmp_path / "forecasting.md").read_text() == page(again)


def test_a_committed_page_is_that_of_the_committed_numbers() -> None:
    for data in REPORT.glob("forecasting.json"):
        assert data.stat().st_size < 1_000_000
        assert (REPORT / "forecasting.md").read_text("utf-8") == page(read(data))
        assert all(path.stat().st_size < 100_000 for path in (REPORT / "forecasting").glob("*.svg"))


def test_the_plan_has_every_baseline_and_three_seeds_of_the_default() -> None:
    jobs = jobs_of(survey("traffic"), Wanted(extras=False))
    assert {job.model for job in jobs if job.kind == "baseline"} == {"last value", "boosted trees"}
    assert [job.seed for job in jobs if job.model == DEFAULT] == [0, 1, 2]
    assert {job.model for job in jobs_of(survey("etth1"), Wanted()) if job.kind == "peer"} == set(
        PEERS["etth1"]
    )
    few = jobs_of(survey("etth1"), Wanted(models=("last value", DEFAULT), seeds=1, budget_s=2.0))
    assert {(job.model, job.seed, job.budget_s) for job in few} == {("last value", 0, 0.0), (DEFAULT, 0, 2.0)}
    order = in_order(jobs)
    assert [job.kind for job in order[:2]] == ["baseline", "baseline"]
    assert [job.seed for job in order] == sorted(job.seed for job in order)
    further = {job.model for job in jobs_of(survey("air"), Wanted()) if job.kind == "extra"}
    assert further == {"new sensors", "a new site", "renewal"}


def test_the_whole_plan_takes_four_hours_at_most_on_two_cores() -> None:
    baselines = (
        "last value", "seasonal naive day", "seasonal naive week", "historical average", "linear with lags",
        "boosted trees", "quantile boosted trees",
    )  # fmt: skip
    named = sum(one.budget_s * one.seeds * len(one.sets) for one in NAMED)  # also those not here yet
    jobs = [job for name in SETS for job in jobs_of(survey(name, baselines=baselines), Wanted())]
    assert named + sum(estimate(job) for job in jobs) < 2 * 4 * 3600


def test_what_could_change_a_result_changes_its_name(tmp_path: Path) -> None:
    work, job = Work(folder=tmp_path), Job(set="a", model=DEFAULT, kind="deep", seed=1, budget_s=9)
    path = work.result_path(job, survey("a"), "code")
    changed = [
        work.result_path(msgspec.structs.replace(job, seed=2), survey("a"), "code"),
        work.result_path(msgspec.structs.replace(job, budget_s=8), survey("a"), "code"),
        work.result_path(job, survey("a", data="other"), "code"),
        work.result_path(job, survey("a"), "other"),
    ]
    assert work.result_path(job, survey("a"), "code") == path
    assert len({path, *changed}) == 5


def test_code_that_matters_is_that_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    deep, plain = modules_of("deep", DEFAULT), modules_of("baseline", "last value")
    assert "nervure.learn.models.mixer" in deep
    assert "nervure.learn.train" in deep
    assert "nervure.learn.evaluate" in {*deep} & {*plain}
    assert not {"nervure.learn.train", "nervure.learn.models.mixer", "nervure.learn.trees"} & {*plain}
    assert "nervure.learn.trees" in modules_of("baseline", "boosted trees")
    assert "nervure.learn.trees" in modules_of("baseline", "quantile boosted trees")
    before = code_of("deep", DEFAULT), code_of("baseline", "last value")
    monkeypatch.setattr(version, "_meaning", lambda path: "changed" if path.name == "train.py" else str(path))
    after = code_of("deep", DEFAULT), code_of("baseline", "last value")
    monkeypatch.setattr(version, "_meaning", str)
    assert code_of("deep", DEFAULT) != after[0]
    assert code_of("baseline", "last value") == after[1]
    assert before[0] != after[0]


def test_comments_and_docstrings_do_not_count(tmp_path: Path) -> None:
    one, other, third = (tmp_path / name for name in ("a.py", "b.py", "c.py"))
    one.write_text('"""What."""\n\n\ndef work():\n    """Do."""\n    return 1\n')
    other.write_text('"""Else."""\n# why\ndef work():\n    return 1\n')
    third.write_text('"""What."""\n\n\ndef work():\n    """Do."""\n    return 2\n')
    assert version._meaning(one) == version._meaning(other)
    assert version._meaning(one) != version._meaning(third)
