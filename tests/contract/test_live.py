"""Every solution trains, is judged, is packaged, and scores its stream live, on a small made-up file."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from nervure.core.declaration import Solution
from nervure.core.entity import Datastream
from nervure.core.observation import Batch
from nervure.core.problem import Forecast
from nervure.core.window import Table
from nervure.learn.course import course
from nervure.learn.dataset import Dataset, load
from nervure.learn.model import find_model
from nervure.learn.split import by_time
from nervure.learn.task import ForecastTask, pose, rounds, windows
from nervure.score.runner import Runner
from nervure.score.scorer import Scorer
from nervure.solutions import find, names
from tests.made import write
from tests.tiny import KEY

LIVE = 4  # slots that come in as a stream; what lies before is history
CASES = [(name, one.name) for name in names() for one in find(name).problems if isinstance(one, Forecast)]


@pytest.fixture(name="posed", scope="module", params=CASES, ids=" ".join)
def _posed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Dataset, Runner, ForecastTask]:
    """Return the data, the model that a few seconds of training make of them, and its task."""
    name, problem = request.param
    dataset = _dataset(name, tmp_path_factory.getbasetemp() / f"live-{name}")
    task = pose(dataset, problem)
    rows, part = len(task.table.value), 3 * (task.window + task.horizon)
    split = by_time((0, rows - 2 * part, rows - part, rows))  # short parts are judged quickly
    learned = course(dataset, problem, split=split, key=KEY, budget_s=1.0, compare=False, stride=7)
    assert {"MAE"} <= {one.metric for one in learned.metrics}
    viewed = find_model(task.problem.model).view(msgspec.structs.replace(task, split=split))
    return dataset, Runner(learned.package, [KEY.public]), viewed


@cache
def _dataset(name: str, folder: Path) -> Dataset:
    """Return a solution's data; its alarms, whose limits take minutes to calibrate, are left out."""
    whole = find(name)
    write(whole, folder)
    asked = tuple(one for one in whole.problems if isinstance(one, Forecast))
    plain = msgspec.structs.replace(whole, problems=asked, rules=())
    return msgspec.structs.replace(load(whole, folder), solution=plain)


def _datastreams(solution: Solution, table: Table, targets: tuple[str, ...]) -> list[Datastream]:
    """Return a Datastream for every stream of the data, numbered from 1, and forecasts of the targets."""
    made = []
    for number, name in enumerate(table.streams, start=1):
        signal = solution.signal(name.rpartition("/")[2])
        plain = Datastream(
            id=number, name=name, unit=signal.unit, thing=1, solution=solution.name, signal=signal.name
        )
        made.append(plain)
        if name in targets:
            made.append(
                Datastream(
                    id=1000 + number, name=f"{name}/forecast", unit=signal.unit, thing=1,
                    solution=solution.name, signal=signal.name, kind="forecast", source=number,
                )
            )  # fmt: skip
    return made


def _told(task: ForecastTask, row: int) -> Batch:
    """Return what is foretold in a slot: every driver known ahead, over the horizon."""
    table = task.table
    drivers = np.unique(task.ahead)
    coming = row + 1 + np.arange(task.horizon)
    place, column = np.nonzero(~np.isnan(table.value[np.ix_(coming, drivers)]))
    return Batch.of(
        id=np.arange(len(place)) << 16,
        datastream=drivers[column] + 1,
        time=(table.first + coming[place]) * table.every_ns,
        result_time=np.full(len(place), (table.first + row) * table.every_ns),
        value=table.value[coming[place], drivers[column]],
    )


def _read(task: ForecastTask, row: int, *, last: int) -> Batch:
    """Return what is read in a slot, the target of node ``last`` at the end: its window shows the others."""
    table = task.table
    known = np.flatnonzero(~np.isnan(table.value[row]))
    target = int(task.targets[last])
    order = np.concatenate([known[known != target], known[known == target]])
    return Batch.of(
        id=np.arange(len(order)) << 16,
        datastream=order + 1,
        time=np.full(len(order), (table.first + row) * table.every_ns),
        value=table.value[row, order],
    )


def test_it_scores_its_stream_as_it_was_trained_to(posed: tuple[Dataset, Runner, ForecastTask]) -> None:
    dataset, runner, task = posed
    card, table = runner.card, task.table
    assert (card.streams, card.joint, len(card.channels)) == (task.names, task.joint, len(task.inputs))
    last = len(table.value) - task.horizon - 2
    streams = _datastreams(dataset.solution, table, task.names)
    scorer = Scorer(runner, streams, solution=dataset.solution, batch=512)
    past = msgspec.structs.replace(table, value=table.value[: last - LIVE + 1])
    scorer.warm(past)
    for row in range(last - LIVE + 1, last):
        scorer.take(_told(task, row))
        assert scorer.take(_read(task, row, last=0)).packs
    scorer.take(_told(task, last))
    state, compared = scorer.state(), 0
    wanted = runner.run(windows(task, rounds(task, np.array([last]))))[:, :, task.median]
    for node in np.flatnonzero(~np.isnan(table.value[last, task.targets])).tolist():
        scorer.restore(state)
        pack = scorer.take(_read(task, last, last=node)).packs[-1]
        assert pack.datastream == 1001 + int(task.targets[node])
        assert pack.t0_ns == (table.first + last + 1) * table.every_ns
        assert pack.v == pytest.approx(wanted[node].tolist(), rel=1e-4, abs=1e-4)
        assert (np.array(pack.low) <= np.array(pack.high)).all()
        compared += 1
    assert compared


def test_what_a_problem_knows_ahead_may_be_told_ahead() -> None:
    for name, problem in CASES:
        solution = find(name)
        asked = solution.problem(problem)
        assert isinstance(asked, Forecast)
        for driver in asked.future:
            assert solution.signal(driver).ahead_ns > 0, f"{name}: {driver} cannot be told"
