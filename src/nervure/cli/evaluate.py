"""``nervure evaluate``: models beside plain baselines on the test part of real data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from nervure.cli.battle import battle
from nervure.cli.contest import judge_set
from nervure.cli.detection import detect, is_detection
from nervure.cli.export import open_package
from nervure.cli.metric import show
from nervure.cli.option import Change, File, Json, Which, read
from nervure.cli.output import say, write_json
from nervure.cli.own import Choices, judged, opened
from nervure.cli.progress import progress
from nervure.cli.proof import PROOFS, prove
from nervure.cli.report import Everything, Jobs, Models, Order, Out, Peers, Sets, Work, report
from nervure.cli.signals import is_signals, signals
from nervure.cli.whole import judge_whole
from nervure.core.error import LeakError, UsageError
from nervure.core.instant import iso
from nervure.core.problem import Case
from nervure.core.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nervure.core.card import Metric
    from nervure.core.window import Window
    from nervure.learn.task import Forecaster, ForecastTask
    from nervure.score.runner import Runner

__all__ = ["Ask", "Packaged", "evaluate"]

QUICK_S, BUDGET_S = 20.0, 180.0

Judged = Annotated[
    str | None,
    Parameter(
        help="A set (traffic, etth2, skab, cwru, ...), a solution, a file of your own that ends in .py,"
        " detection: all sets of detection, and the report on them; signals: the same of signal control;"
        " or calibration, chlorine, gates, heating, hvac, office, pipes, pumps, structure, wear: proofs on"
        " twins."
    ),
]
Package = Annotated[
    Path | None,
    Parameter(help="A package to judge instead of training anew; unfit if it saw the test part."),
]
Quick = Annotated[bool, Parameter(help="A rough answer: short training, fewer baselines and windows.")]
Protocol = Annotated[
    Literal["bwdf"] | None, Parameter(help="Judge by a published protocol instead: bwdf for water.")
]
Seconds = Annotated[
    float | None, Parameter(name="--budget", help="Seconds that a training may take: 180, or as --all plans.")
]
Trainings = Annotated[int | None, Parameter(help="How many trainings to average: 1, or as --all plans.")]


def evaluate(
    name: Judged = None,
    /,
    *,
    everything: Everything = False,
    problem: Which = None,
    model: Package = None,
    quick: Quick = False,
    protocol: Protocol = None,
    budget: Seconds = None,
    seeds: Trainings = None,
    sets: Sets = "",
    models: Models = "",
    jobs: Jobs = 2,
    out: Out = Path("docs/report"),
    work: Work = None,
    peers_python: Peers = "",
    own: Annotated[Choices | None, Parameter(name="*")] = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Judge models and plain baselines on the test part of real data, all on the same windows.

    The plain baselines stand above the model, worst first; with --csv, on any file of readings.
    """
    single = {"--problem": problem, "--model": model, "--protocol": protocol}
    whole = {"--sets": sets, "--models": models, "--work": work, "--peers-python": peers_python}
    if name in PROOFS:
        return prove(name, out, {**single, **whole, "--all": everything}, quick=quick, json=json)
    many = (not (filed := bool(own and own.csv)) and _is_many(name or "")) or everything
    _refuse(single, whole, filed=filed, everything=many)
    if (given := opened(name if filed else name or "", own)) is not None:
        return judged(given, budget_s=budget or BUDGET_S, seeds=seeds or 1, quick=quick, json=json)
    _check(name, seeds, everything=everything)
    if many:
        order = _order(whole, seeds, budget, jobs=jobs, out=out, quick=quick)
        return _whole(name, order, json=json)
    ask = Ask(name=str(name), problem=problem, model=model, quick=quick, seeds=seeds or 1, json=json)
    return _one(ask, _seconds(budget, quick=quick), protocol, read(settings, change)[0])


def _is_many(name: str) -> bool:
    return is_detection(name) or is_signals(name)


def _whole(name: str | None, order: Order, *, json: bool) -> int:
    """Do a report: on forecasts, on detection or a set of it, or on signals."""
    if name is None:
        return report(order, json=json)
    return (signals if is_signals(name) else detect)(name, order, json=json)


def _seconds(budget: float | None, *, quick: bool) -> float:
    return min(budget or QUICK_S, QUICK_S) if quick else budget or BUDGET_S


def _refuse(single: Mapping[str, Any], whole: Mapping[str, Any], *, filed: bool, everything: bool) -> None:
    """Refuse options that would mean nothing here, rather than do without a word what was not asked."""
    what = "a file of your own" if filed else "--all or detection" if everything else "a single set"
    without = {**single, **whole} if filed else single if everything else whole
    odd = [name for name, value in without.items() if value]
    if odd:
        raise UsageError(f"{odd[0]} means nothing for {what}", hint="nervure evaluate --help")


def _check(name: str | None, seeds: int | None, *, everything: bool) -> None:
    if (name is None) is not everything:
        raise UsageError("name a set or a solution, or say --all", hint="nervure evaluate traffic")
    if seeds is not None and seeds < 1:
        raise UsageError("--seeds must be 1 at least")


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be judged: a set or solution, which of its problems, by which model."""

    name: str
    problem: str | None
    model: Path | None
    quick: bool
    seeds: int
    json: bool


def _order(
    whole: Mapping[str, Any], seeds: int | None, budget: float | None, *, jobs: int, out: Path, quick: bool
) -> Order:
    from nervure.learn.dataset import cache_folder

    return Order(
        sets=_names(whole["--sets"]),
        models=_names(whole["--models"]),
        seeds=seeds or 0,
        budget_s=budget or 0.0,
        jobs=jobs,
        out=out,
        work=whole["--work"] or cache_folder() / "report",
        peers_python=whole["--peers-python"],
        quick=quick,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _one(ask: Ask, budget_s: float, protocol: str | None, loaded: Settings) -> int:
    """Judge one set or solution in this process, and print the table."""
    from nervure.learn.dataset import load
    from nervure.learn.sets import NAMES, open_set
    from nervure.learn.task import pose
    from nervure.solutions import find

    if protocol is not None:
        return battle(load(find(ask.name)), budget_s=budget_s, trees=not ask.quick, json=ask.json)
    if ask.name not in NAMES or ask.problem is not None or ask.model is not None:
        solution = find(ask.name)
        asked = solution.problem(ask.problem)
        if isinstance(asked, Case):
            if ask.seeds > 1:
                raise UsageError(f"--seeds means nothing for {asked.name}: it is trained once")
            return judge_whole(
                solution, asked, model=ask.model, keys=loaded.folder, budget_s=budget_s, json=ask.json
            )
        task = pose(load(find(ask.name)), ask.problem)
        fitted = Packaged(open_package(ask.model, loaded.folder)).fit(task) if ask.model else None
        _tell(task, _judge(task, fitted, ask, budget_s=budget_s), json=ask.json)
        return 0
    posed = open_set(ask.name)
    task = posed.tasks[0]
    if posed.protocol == "rows" and not posed.extra:
        _tell(task, _judge(task, None, ask, budget_s=budget_s, stride=posed.stride), json=ask.json)
        return 0
    metrics = judge_set(ask.name, budget_s=budget_s, quick=ask.quick, seeds=ask.seeds)
    _tell(task, metrics, json=ask.json)
    return 0


def _tell(task: ForecastTask, metrics: list[Metric], *, json: bool) -> None:
    name = task.problem.name
    if json:
        write_json({"solution": task.solution, "problem": name, "unit": task.unit, "metrics": metrics})
        return
    show(metrics, task.unit)
    say(f"{task.solution} {name}, {task.unit}, split {task.split.how}")


def _judge(
    task: ForecastTask, fitted: Packaged | None, ask: Ask, *, budget_s: float, stride: int = 1
) -> list[Metric]:
    from nervure.learn.baseline import baselines
    from nervure.learn.evaluate import evaluate as judge
    from nervure.learn.train import Deep

    quick = ask.quick
    with progress(f"evaluate {task.solution}") as tell:
        model: Forecaster = fitted or Deep(task.problem.model, budget_s=budget_s)
        step = stride * max(1, task.horizon // stride // 2) if quick else stride
        forecasters = [*baselines(task, trees=not quick), model]
        return judge(task, forecasters, stride=step, seeds=range(ask.seeds), progress=tell)


class Packaged:
    """A package as a forecaster that is fitted already, run as live scoring runs it."""

    kind: Literal["baseline", "deep", "peer"] = "deep"

    def __init__(self, runner: Runner) -> None:
        self.name = runner.card.model
        self.history = runner.card.window
        self._runner = runner

    def view(self, task: ForecastTask) -> ForecastTask:
        """Return the task with the channels that the package eats."""
        from nervure.learn.renew import as_seen

        return as_seen(task, self._runner.card)

    def fit(self, task: ForecastTask) -> Packaged:
        """Return itself if it fits the task and was never shown the task's test part."""
        card = self._runner.card
        if (card.streams, card.window, card.horizon) != (task.names, task.window, task.horizon):
            raise UsageError(
                f"the package is a model of {card.solution} {card.problem.name}, not of this task"
            )
        begins = iso(int(task.table.first + task.split.test[0]) * task.table.every_ns)
        if card.span[1] > begins:
            raise LeakError(
                f"the model was shown readings until {card.span[1]}, and the test part begins at {begins}",
                hint="train it with: nervure train, which leaves the test part out",
            )
        return self

    def predict(self, window: Window) -> NDArray[np.float32]:
        """Foresee with the graph: ``[batch, horizon, quantile]``."""
        return self._runner.run(window)
