"""What every solution keeps: it can be read, its data have their place, its problems can be posed."""

from __future__ import annotations

import string
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from nervure.core.calendar import calendar
from nervure.core.declaration import Solution, condition, validate
from nervure.core.instant import duration_ns
from nervure.core.problem import Anomaly, Forecast
from nervure.learn.baseline import LastValue
from nervure.learn.dataset import Dataset, load
from nervure.learn.evaluate import measure
from nervure.learn.split import Part, cuts_of
from nervure.learn.task import pose, samples, truth, windows
from nervure.solutions import find, names
from tests.made import write
from tests.plugin_real import places

SAYABLE = {"thing", "signal", "value", "expected", "low", "high", "unit", "since", "excess", "hours"}
ASKED = ("score", "life", "share")
PARTS: tuple[Part, ...] = ("train", "validation", "test")


def _real() -> list[tuple[str, Path]]:
    found = []
    for name in names():
        source = None if _recorded(find(name)) else find(name).data
        for place in places():
            if source and all((place / source.folder / file).exists() for file in source.files):
                found.append((name, place))
                break
    return found


@pytest.fixture(name="solution", params=names(), scope="module")
def _solution(request: pytest.FixtureRequest) -> Solution:
    return find(str(request.param))


def _recorded(solution: Solution) -> bool:
    """Tell whether its data are recordings, which no table holds."""
    return solution.data is not None and solution.data.layout == "runs"


@pytest.fixture(name="tabled", params=[name for name in names() if not _recorded(find(name))], scope="module")
def _tabled(request: pytest.FixtureRequest) -> Solution:
    return find(str(request.param))


@pytest.fixture(name="made", scope="module")
def _made(tabled: Solution, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    solution = tabled
    folder = tmp_path_factory.mktemp(solution.name)
    write(solution, folder)
    return load(solution, folder)


def test_it_is_whole(solution: Solution) -> None:
    assert validate(solution) is solution
    assert solution.title
    assert solution.thing
    assert all(signal.phenomenon for signal in solution.signals)
    assert any(not isinstance(problem, Anomaly) for problem in solution.problems)
    told = [problem.name for problem in solution.problems]
    assert len(set(told)) == len(told)


def test_its_rules_can_be_said(solution: Solution) -> None:
    for rule in solution.rules:
        assert {name for _, name, _, _ in string.Formatter().parse(rule.say) if name} <= SAYABLE
        assert rule.say.endswith(".")
        read = condition(rule.when)
        if read.measure in ASKED:
            assert rule.problem, f"{rule.name} says of which problem"
        else:
            assert rule.of, f"{rule.name} says of which signals"
        if read.measure == "flat":
            stuck = {solution.signal(name).stuck_after for name in rule.of}
            assert {None if one is None else duration_ns(one) / 1e9 for one in stuck} == {read.limit}


def test_its_alarms_hold_as_long_as_its_rules(solution: Solution) -> None:
    for problem in solution.problems:
        if isinstance(problem, Anomaly):
            rules = [rule for rule in solution.rules if rule.problem == problem.name]
            assert rules, f"{problem.name} has a rule"
            for rule in rules:
                assert condition(rule.when).hold_ns == duration_ns(problem.policy.min_duration)


def test_its_data_are_declared(solution: Solution) -> None:
    source = solution.data
    assert source is not None
    assert ZoneInfo(source.zone)
    assert source.cite
    assert source.licence
    assert source.protocol
    if _recorded(solution):
        return
    told = {target.rpartition("/")[2] for target in source.columns.values()}
    assert told == {signal.name for signal in solution.signals}
    horizon = min(duration_ns(one.horizon) for one in solution.problems if isinstance(one, Forecast))
    assert all(duration_ns(one) <= horizon for one in source.report_at)
    assert cuts_of(source.split, 100_000, solution.signals[0].every_ns)


def test_its_data_become_a_table_of_its_streams(tabled: Solution, made: Dataset) -> None:
    solution = tabled
    assert made.things
    for stream in made.table.streams:
        thing, _, signal = stream.rpartition("/")
        assert solution.signal(signal).site == (thing == "")
    assert made.hidden == 0
    assert solution.data is not None
    empty = np.isnan(made.table.value).mean()
    assert empty < solution.data.gaps if solution.data.prepare else 0.01 < empty < 0.03


def test_its_forecasts_can_be_posed(tabled: Solution, made: Dataset) -> None:
    for problem in tabled.problems:
        if not isinstance(problem, Forecast):
            continue
        task = pose(made, problem.name)
        assert task.nodes >= 1
        assert task.inputs[0].signal == problem.of
        days = calendar(task.zone, problem.calendar, task.table.every_ns, task.table.first, 10)
        assert days.shape == (10, 5)
        for part in PARTS:
            chosen = samples(task, part).take(slice(0, 20))
            window = windows(task, chosen)
            assert window.x.shape == (len(chosen), task.window, 1 + len(problem.past) + len(problem.future))
            assert window.calendar.shape == (len(chosen), task.window + task.horizon, 5)
            assert np.isfinite(window.x).any()
            assert not np.isnan(truth(task, chosen)).all(axis=1).any()


@pytest.mark.parametrize(("name", "place"), _real() or [("water", None)])
def test_its_real_data_are_what_it_says(name: str, place: Path | None) -> None:
    dataset = load(find(name), place)
    assert dataset.solution.data is not None
    assert np.isnan(dataset.table.value).mean() < dataset.solution.data.gaps
    assert dataset.hidden < 0.001 * dataset.table.value.size
    task = pose(dataset)
    rows = measure(task, LastValue().fit(task), stride=7)
    assert np.isfinite([row.value for row in rows]).all()
