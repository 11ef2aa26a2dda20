"""A set with a protocol of its own, judged in one process: ETT, the battle of water, GEFCom, rivers, wind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from nervure.cli.progress import progress

if TYPE_CHECKING:
    from nervure.bench.forecast.contest import Contest
    from nervure.core.card import Metric
    from nervure.learn.task import Forecaster, ForecastTask

__all__ = ["judge_set"]

_QUICK_THIN = 12  # every which window a rough answer looks at


def judge_set(name: str, *, budget_s: float, quick: bool, seeds: int) -> list[Metric]:
    """Return the rows of every baseline and of the set's model, baselines first, by the set's protocol.

    ``budget_s`` is for all trainings of the set together, once a seed. With several seeds the
    values are means.
    """
    from nervure.bench.forecast.contest import open_contest

    with progress(f"evaluate {name}") as tell:
        tell(0.0, "reading")
        contest = open_contest(name, thin=_thin(name) if quick else 1)
        names = [one.name for one in _forecasters(contest.legs[0].task, budget_s, quick=quick)]
        found: list[list[Metric]] = []
        for place, subject in enumerate(names):
            tell(place / len(names), subject)
            runs = [_rows(contest, place, budget_s, quick=quick, seed=seed) for seed in range(seeds)]
            found.append(_means(runs))
        tell(1.0, "done")
    found.sort(key=lambda rows: (rows[0].kind != "baseline", -_mae(rows)))
    return [row for rows in found for row in rows]


def _means(runs: list[list[Metric]]) -> list[Metric]:
    """Return the mean of every figure over the seeds that have it: what never came about is no figure."""
    held: dict[tuple[str, str], list[Metric]] = {}
    for one in (metric for run in runs for metric in run):
        held.setdefault((one.metric, one.horizon), []).append(one)
    return [
        msgspec.structs.replace(same[0], value=sum(one.value for one in same) / len(same))
        for same in held.values()
    ]


def _thin(name: str) -> int:
    """Return how much a rough answer leaves out: nothing of the sets that are a month or four weeks."""
    return 1 if name in ("bwdf", "gefcom") else _QUICK_THIN


def _mae(rows: list[Metric]) -> float:
    return next(row.value for row in rows if (row.metric, row.horizon) == ("MAE", "avg"))


def _forecasters(task: ForecastTask, budget_s: float, *, quick: bool) -> list[Forecaster]:
    from nervure.learn.baseline import baselines
    from nervure.learn.train import Deep

    return [*baselines(task, trees=not quick), Deep(task.problem.model, budget_s=budget_s)]


def _rows(contest: Contest, place: int, budget_s: float, *, quick: bool, seed: int) -> list[Metric]:
    """Fit one forecaster on every leg of the set, and score its answers."""
    import msgspec

    from nervure.bench.forecast.contest import Answer, rows_of_all
    from nervure.core.card import Metric
    from nervure.learn.evaluate import forecast

    answers, spent = [], 0.0
    for leg in contest.legs:
        task = msgspec.structs.replace(leg.task, seed=seed)
        made = _forecasters(task, budget_s / len(contest.legs), quick=quick)[place]
        before = time.process_time()
        fitted = made.fit(task)
        spent += time.process_time() - before
        answers.append(Answer(leg=leg, found=leg.truth(), y=forecast(task, fitted, leg.chosen)))
    rows = rows_of_all(contest, answers, subject=fitted.name, kind=fitted.kind)
    made_of = {"subject": fitted.name, "kind": fitted.kind}
    found = [
        msgspec.convert({**made_of, "metric": row.metric, "value": row.value, "horizon": row.horizon}, Metric)
        for row in rows
    ]
    return [*found, msgspec.convert({**made_of, "metric": "fit_cpu_s", "value": spent}, Metric)]
