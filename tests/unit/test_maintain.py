"""Costs by the day, the work list, the schedule, the table of a fleet, and ``nervure maintain``."""

from __future__ import annotations

import json
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from nervure.act.plan.fleet import COLUMNS, read_fleet
from nervure.act.plan.risk import Risk, horizon_risk
from nervure.act.plan.schedule import crews_of, schedule
from nervure.act.plan.work import work_list
from nervure.cli import main
from nervure.core.error import DataError
from nervure.core.maintenance import Asset, Crew, Plan


def asset(name: str = "P1", mid: float = 10.0, **more: Any) -> Asset:
    told = {
        "low": mid / 2, "mid": mid, "high": mid * 2, "cost_preventive": 500.0, "cost_failure": 6000.0,
        "hours": 6.0, "life": 200.0,
    }  # fmt: skip
    return Asset(name=name, **(told | more))


def planned(assets: list[Asset], crews: int = 1, horizon: int = 30, **more: Any) -> Plan:
    plan = schedule(assets, crews_of(crews), horizon, effort=0.5, **more)
    _keeps_to_its_rules(plan, crews)
    return plan


def _keeps_to_its_rules(plan: Plan, crews: int, shift: float = 8.0) -> None:
    """No crew is at two places, windows are kept, everybody is planned or left, once."""
    owner = {one.asset.name: one.asset for one in plan.work}
    assert sorted(owner) == sorted([*(one.asset for one in plan.visits), *(one.asset for one in plan.left)])
    for crew in {one.crew for one in plan.visits}:
        spans = sorted(
            (one.day * shift + one.hour, one.day * shift + one.hour + one.hours)
            for one in plan.visits
            if one.crew == crew
        )
        assert all(before[1] <= after[0] + 0.25 for before, after in pairwise(spans))
    for one in plan.visits:
        own = owner[one.asset]
        assert own.earliest <= one.day
        assert one.end < (plan.horizon if own.latest is None else min(own.latest, plan.horizon))
    assert len({one.crew for one in plan.visits}) <= crews


def test_the_chance_to_fail_goes_through_its_quantiles() -> None:
    risk = Risk(asset(low=4, mid=10, high=30), life=200)
    assert risk.failed(np.array([4.0, 10.0, 30.0])) == pytest.approx([0.05, 0.5, 0.95])
    assert float(risk.failed(0.0)) == 0.0
    assert (np.diff(risk.failed(np.linspace(0, 60, 50))) >= 0).all()
    assert horizon_risk(risk, 10) == pytest.approx(0.5)
    wide = Risk(asset(low=4, mid=10, high=30), life=200, band=0.5)
    assert float(wide.failed(4.0)) == pytest.approx(0.25)


def test_the_cost_of_a_day_is_that_of_a_simulation() -> None:
    own = asset(low=5, mid=12, high=40, hours=2.0, downtime=50.0, failure_hours=10.0)
    risk = Risk(own, life=200)
    random = np.random.default_rng(0)
    score = random.normal(size=200_000)
    below, above = np.log(12 / 5) / 1.6449, np.log(40 / 12) / 1.6449
    lives = 12 * np.exp(score * np.where(score < 0, below, above))
    for day in (3.0, 10.0, 25.0):
        paid = np.where(lives < day, 6000 + 10 * 50, 500 + 2 * 50)
        worth = (500 + 2 * 50) / 200 * np.minimum(lives, day)
        assert float(risk.cost(day)) == pytest.approx(float((paid - worth).mean()), abs=15)


def test_later_where_life_would_be_thrown_away_sooner_where_failure_costs() -> None:
    cheap, dear = (Risk(asset(mid=20, cost_failure=cost), life=50) for cost in (600.0, 60_000.0))
    assert dear.best(0, 60) < cheap.best(0, 60)
    sure = Risk(asset(low=19, mid=20, high=21), life=50)
    assert sure.best(0, 60) == pytest.approx(18.5, abs=1.0)  # just before


def test_the_most_urgent_stands_first() -> None:
    work = work_list([asset("far", 300), asset("soon", 5), asset("cheap", 5, cost_failure=510.0)], 30)
    assert [one.asset.name for one in work] == ["soon", "cheap", "far"]
    assert [one.rank for one in work] == [1, 2, 3]
    assert work[0].saves > 4000 > work[1].saves
    assert work[2].saves <= 0
    assert "5 days" in work[0].reason
    assert "throw life away" in work[2].reason


def test_a_crew_goes_where_most_is_at_stake() -> None:
    assets = [asset("dear", 3, cost_failure=60_000.0, hours=8.0), asset("cheap", 3, hours=8.0)]
    order = [one.asset for one in planned(assets).visits]
    assert order == ["dear", "cheap"]
    two = planned(assets, crews=2)
    assert {one.crew for one in two.visits} == {"crew 1", "crew 2"}
    assert two.saves > planned(assets).saves
    assert two.short < 1


def test_best_of_all_schedules_of_a_small_fleet() -> None:
    assets = [asset(str(at), mid, hours=8.0) for at, mid in enumerate((3, 4, 6, 9))]
    risks = {one.name: Risk(one, life=200) for one in assets}
    worth = [one.later(6) - one.cost(np.arange(6.0)) for one in risks.values()]
    most = max(  # a day each, and two days nobody's
        sum(float(worth[at][day]) for day, at in enumerate(chosen) if at is not None)
        for chosen in set(permutations([0, 1, 2, 3, None, None]))
    )
    assert planned(assets, horizon=6).saves == pytest.approx(most, abs=1.0)


def test_windows_skills_and_long_work() -> None:
    assets = [
        asset("window", 3, earliest=4.0, latest=6.0), asset("valve", 3, skill="valve"),
        asset("nobody", 3, skill="boiler"), asset("long", 3, hours=20.0),
        asset("narrow", 3, hours=20.0, latest=2.0),
    ]  # fmt: skip
    crews = (Crew(name="a", skills=("pump",)), Crew(name="b", skills=("valve",)))
    plan = schedule(assets, crews, 30, effort=0.5)
    visit = {one.asset: one for one in plan.visits}
    assert 4 <= visit["window"].day <= visit["window"].end < 6
    assert visit["valve"].crew == "b"
    assert visit["long"].end - visit["long"].day >= 2
    left = {one.asset: one.reason for one in plan.left}
    assert "no crew can do 'boiler'" in left["nobody"]
    assert "do not fit its window" in left["narrow"]


def test_what_does_not_fit_is_left_and_said() -> None:
    plan = planned([asset(str(at), 3, hours=8.0) for at in range(8)], horizon=4)
    assert len(plan.visits) == 4
    assert all(one.wanted and "needed elsewhere" in one.reason for one in plan.left)


def test_a_plan_comes_out_the_same_twice() -> None:
    assets = [asset(str(at), 2 + 3 * at) for at in range(20)]
    assert planned(assets, crews=2) == planned(assets, crews=2)


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ([], "nothing to plan"),
        ([asset(), asset()], "P1 is there twice"),
        ([asset(low=9, mid=3)], "do not rise"),
        ([asset(hours=0.0)], "work of 0 hours"),
        ([asset(cost_failure=-1.0)], "below 0"),
        ([asset(earliest=5.0, latest=4.0)], "is empty"),
    ],
)
def test_what_makes_no_sense_is_refused(own: list[Asset], says: str) -> None:
    with pytest.raises(DataError, match=says):
        schedule(own, crews_of(1), 10)


HEADER = ",".join((*COLUMNS, "earliest", "latest"))
ROWS = ["P1,3,8,20,500,6000,6,,", "P2,100,200,400,500,6000,6,,", "P3,1,4,9,800,9000,20,2,"]


def fleet(tmp_path: Path, *lines: str, header: str = HEADER) -> Path:
    path = tmp_path / "fleet.csv"
    path.write_text("\n".join([header, *lines]) + "\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ((), "holds no asset"),
        (("P1,3,8,x,500,6000,6,,",), "line 2"),
        (("P1,3,8,20,500,6000,6,,", "P2,9,8,20,500,6000,6,,"), "line 3"),
        (("P1,3,8,20,500,-1,6,,",), "'cost_failure' is -1"),
        (("P1,,8,20,500,1,6,,",), "'low' is empty"),
        (("P1,3,8,inf,500,1,6,,",), "finite"),
    ],
)
def test_a_bad_table_is_told_with_its_line(tmp_path: Path, lines: tuple[str, ...], says: str) -> None:
    with pytest.raises(DataError) as found:
        read_fleet(fleet(tmp_path, *lines))
    assert says in str(found.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column 'hours'"):
        read_fleet(fleet(tmp_path, "P1,1,2,3,4,5", header="asset,low,mid,high,cost_preventive,cost_failure"))
    with pytest.raises(DataError, match="cannot read"):
        read_fleet(tmp_path / "none.csv")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(fleet(tmp_path, *ROWS))
    assert main(["maintain", "--csv", path, "--crews", "2", "--horizon", "30d", "--json"]) == 0
    plan = msgspec.convert(json.loads(capsys.readouterr().out), Plan)
    assert [one.asset.name for one in plan.work] == ["P3", "P1", "P2"]
    assert {one.asset for one in plan.visits} == {"P1", "P3"}
    assert [one.asset for one in plan.left] == ["P2"]
    reasons = [*(one.reason for one in plan.work), *(one.reason for one in plan.visits), plan.left[0].reason]
    assert all(reasons)
    assert main(["maintain", "--csv", path, "--horizon", "4w"]) == 0
    out = capsys.readouterr().out
    assert "Work list" in out
    assert "Left until later" in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--horizon", "90min"], 2, "whole days"),
        (["--horizon", "soon"], 2, "is not a duration"),
        (["--crews", "0"], 2, "nobody is there"),
        (["--crews", "2", "--skills", "pump"], 2, "tells of 1 crews"),
        (["--csv", "none.csv"], 1, "cannot read none.csv"),
        (["--band", "1"], 1, "a band of 1"),
    ],
)
def test_the_command_says_what_is_wrong(
    words: list[str], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = [] if "--csv" in words else ["--csv", str(fleet(tmp_path, *ROWS))]
    assert main(["maintain", *base, *words]) == code
    assert says in capsys.readouterr().err
