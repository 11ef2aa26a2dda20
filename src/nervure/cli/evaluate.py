"""``nervure evaluate``: models beside plain baselines on the test part of real data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from nervure.cli.battle import battle
from nervure.cli.export import open_package
from nervure.cli.metric import show
from nervure.cli.option import Budget, Change, File, Json, Named, Which, read
from nervure.cli.output import say, write_json
from nervure.cli.progress import progress
from nervure.core.error import LeakError, UsageError
from nervure.core.instant import iso

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nervure.core.card import Metric
    from nervure.core.window import Window
    from nervure.learn.task import Forecaster, ForecastTask
    from nervure.score.runner import Runner

__all__ = ["Packaged", "evaluate"]

QUICK_S = 20.0


def evaluate(
    name: Named,
    /,
    *,
    problem: Which = None,
    model: Annotated[
        Path | None,
        Parameter(help="A package to judge instead of training anew; unfit if it saw the test part."),
    ] = None,
    quick: Annotated[
        bool, Parameter(help="A rough answer: short training, fewer baselines and windows.")
    ] = False,
    protocol: Annotated[
        Literal["bwdf"] | None, Parameter(help="Judge by a published protocol instead: bwdf for water.")
    ] = None,
    budget: Budget = 180.0,
    seeds: Annotated[int, Parameter(help="How many trainings to average.", show_default=True)] = 1,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Judge models and plain baselines on the test part of real data, all on the same windows.

    The plain baselines stand above the model, worst first, so that what the model adds is seen.
    """
    from nervure.learn.dataset import load
    from nervure.learn.task import pose
    from nervure.solutions import find

    loaded, _ = read(settings, change)
    if seeds < 1:
        raise UsageError("--seeds must be 1 at least")
    budget_s = min(budget, QUICK_S) if quick else budget
    if protocol is not None:
        return battle(load(find(name)), budget_s=budget_s, trees=not quick, json=json)
    task = pose(load(find(name)), problem)
    fitted = Packaged(open_package(model, loaded.folder)).fit(task) if model else None
    metrics = _judge(task, fitted, budget_s=budget_s, quick=quick, seeds=seeds)
    _tell(task, metrics, json=json)
    return 0


def _tell(task: ForecastTask, metrics: list[Metric], *, json: bool) -> None:
    name = task.problem.name
    if json:
        write_json({"solution": task.solution, "problem": name, "unit": task.unit, "metrics": metrics})
        return
    show(metrics, task.unit)
    say(f"{task.solution} {name}, {task.unit}, split {task.split.how}")


def _judge(
    task: ForecastTask, fitted: Packaged | None, *, budget_s: float, quick: bool, seeds: int
) -> list[Metric]:
    from nervure.learn.baseline import baselines
    from nervure.learn.evaluate import evaluate as judge
    from nervure.learn.train import Deep

    with progress(f"evaluate {task.solution}") as tell:
        model: Forecaster = fitted or Deep(task.problem.model, budget_s=budget_s)
        stride = max(1, task.horizon // 2) if quick else 1
        forecasters = [*baselines(task, trees=not quick), model]
        return judge(task, forecasters, stride=stride, seeds=range(seeds), progress=tell)


class Packaged:
    """A package as a forecaster that is fitted already, run as live scoring runs it."""

    kind: Literal["baseline", "deep", "peer"] = "deep"

    def __init__(self, runner: Runner) -> None:
        self.name = runner.card.model
        self.history = runner.card.window
        self._runner = runner

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
