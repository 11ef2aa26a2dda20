"""The protocol of the electricity transformer data: scaled errors, averaged over all seven channels.

Readings are scaled by mean and standard deviation of the train part; every window of the test part
counts; the mean is taken over windows, hours and channels at once. So numbers can be held against
published tables. Source: Zhou et al., Informer, AAAI 2021, arXiv 2012.07436, and the later papers
that keep its split of 12, 4 and 4 months of 30 days.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from nervure.core.error import DataError
from nervure.core.problem import Forecast
from nervure.learn.dataset import Dataset
from nervure.learn.evaluate import forecast
from nervure.learn.task import Forecaster, ForecastTask, pose, samples, truth

__all__ = ["Scores", "compete", "scaled"]


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Mean squared and mean absolute error on scaled readings, over ``channels`` channels."""

    subject: str
    mse: float
    mae: float
    channels: int


def scaled(task: ForecastTask, fitted: Forecaster) -> Scores:
    """Score a fitted forecaster on the test part of one task."""
    chosen = samples(task, "test")
    own = task.table.value[np.ix_(task.split.train, task.targets)]
    error = truth(task, chosen) - forecast(task, fitted, chosen)[:, :, task.median]
    error = error / np.nanstd(own, axis=0)[chosen.node][:, None]
    return Scores(
        subject=fitted.name,
        mse=float(np.nanmean(error**2)),
        mae=float(np.nanmean(np.abs(error))),
        channels=task.nodes,
    )


def compete(
    dataset: Dataset,
    forecaster: Callable[[], Forecaster],
    *,
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> Scores:
    """Fit a new forecaster for each forecast problem of the solution, and average over all channels."""
    problems = [one for one in dataset.solution.problems if isinstance(one, Forecast)]
    if not problems:
        raise DataError(f"{dataset.solution.name}: the solution forecasts nothing")
    found: list[Scores] = []
    for done, problem in enumerate(problems):
        task = pose(dataset, problem, seed=seed)
        fresh = forecaster()
        if progress:
            progress(done / len(problems), f"{fresh.name}: {problem.of}")
        found.append(scaled(task, fresh.fit(task)))
    share = [one.channels for one in found]
    return Scores(
        subject=found[0].subject,
        mse=float(np.average([one.mse for one in found], weights=share)),
        mae=float(np.average([one.mae for one in found], weights=share)),
        channels=sum(share),
    )
