"""The protocol of the solar track of GEFCom2014, Task 1: a month of three plants, from weather forecasts.

Power is known to the end of March 2013; April is to be foreseen hour by hour as 99 quantiles from
the weather forecasts of its days, without any power of April. The score is the mean pinball loss
over quantiles, hours and plants, in shares of nominal power. Source: Hong et al., International
Journal of Forecasting 32(3), 2016, doi 10.1016/j.ijforecast.2016.02.001.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.problem import Forecast
from nervure.core.window import Table
from nervure.learn.dataset import Dataset
from nervure.learn.evaluate import forecast
from nervure.learn.metric import pinball
from nervure.learn.reader.rows import numbers, read_arrow
from nervure.learn.reader.stamp import stamps
from nervure.learn.split import Split
from nervure.learn.task import Forecaster, ForecastTask, Samples, pose

__all__ = ["BENCHMARK", "QUANTILES", "Month", "Scores", "benchmark", "compete", "evaluate", "month"]

QUANTILES = tuple(round(number / 100, 2) for number in range(1, 100))
BENCHMARK = "task1_benchmark_quantiles.parquet"

_FIRST = np.datetime64("2013-04-01T01:00", "ns").astype(np.int64)
_DAYS, _DAY = 30, 24
_ROUND, _TRAIN = 20, 16  # days: of every twenty the last four choose and calibrate


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """Task 1: a task whose table holds no power of April, the samples to answer, and what came.

    ``found`` is ``[batch, hour]``, in the order of ``chosen``: all plants of a day, then the next day.
    """

    task: ForecastTask
    chosen: Samples
    found: NDArray[np.float64]


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Mean pinball loss in shares of nominal power: over all plants, and of each."""

    subject: str
    pinball: float
    zones: dict[str, float]


def month(dataset: Dataset, *, problem: Forecast | None = None, seed: int = 0) -> Month:
    """Pose Task 1: the target's own past is hidden (``blind``), every fifth day is for validation."""
    table = dataset.table
    start = _FIRST // table.every_ns - table.first
    end = start + _DAYS * _DAY
    if not 0 < start < end <= len(table.value):
        raise DataError("the solar data do not hold April 2013", where=dataset.origin)
    declared = problem or next(one for one in dataset.solution.problems if isinstance(one, Forecast))
    asked = msgspec.structs.replace(declared, horizon="24h", quantiles=QUANTILES)
    power = np.array([place for place, name in enumerate(table.streams) if name.endswith(f"/{asked.of}")])
    value = table.value[:end].copy()
    value[start:, power] = np.nan
    cut = Table(streams=table.streams, first=table.first, every_ns=table.every_ns, value=value)
    given = msgspec.structs.replace(dataset, table=cut)
    task = pose(given, asked, split=_split(int(start), int(end)), seed=seed)
    task = msgspec.structs.replace(task, blind=True)
    last = start - 1 + _DAY * np.arange(_DAYS, dtype=np.int64)
    chosen = Samples(
        last=np.repeat(last, task.nodes), node=np.tile(np.arange(task.nodes, dtype=np.int64), _DAYS)
    )
    hours = chosen.last[:, None] + 1 + np.arange(_DAY)
    return Month(task=task, chosen=chosen, found=table.value[hours, task.targets[chosen.node][:, None]])


def _split(start: int, end: int) -> Split:
    """Give whole days (01:00 to 00:00 UTC, as the weather runs) to training and validation in turn.

    A year holds each season once, so a validation part in one piece would know one season only. A
    day of validation gives its weather and its power to no window of training.
    """
    day = np.arange(start, dtype=np.int64) // _DAY
    validation = day % _ROUND >= _TRAIN
    return Split(
        train=np.flatnonzero(~validation).astype(np.int64),
        validation=np.flatnonzero(validation).astype(np.int64),
        test=np.arange(start, end, dtype=np.int64),
        how=f"April 2013 last; of every {_ROUND} days before it the last {_ROUND - _TRAIN} for validation",
    )


def evaluate(one: Month, y: NDArray[np.floating], *, subject: str) -> Scores:
    """Score quantiles ``[batch, hour, quantile]`` of the samples of a month."""
    loss = {
        one.task.names[node].split("/")[0]: _loss(one, y, one.chosen.node == node)
        for node in range(one.task.nodes)
    }
    return Scores(subject=subject, pinball=float(np.mean(list(loss.values()))), zones=loss)


def _loss(one: Month, y: NDArray[np.floating], own: NDArray[np.bool_]) -> float:
    return float(np.nanmean(pinball(one.found[own], y[own], QUANTILES)))


def benchmark(dataset: Dataset, *, one: Month | None = None) -> Scores:
    """Score the competition's own benchmark, whose quantiles lie beside the data.

    Raises ``DataError`` where its file is not there.
    """
    path = Path(dataset.origin) / BENCHMARK
    if not path.exists():
        raise DataError("the benchmark's quantiles are not beside the solar data", where=str(path))
    one = one or month(dataset)
    table = read_arrow(path)
    zone, time = table.column("ZONEID").to_numpy(), stamps(table, "TIMESTAMP", "UTC", where=str(path))
    value = np.stack([numbers(table, f"{level:g}", where=str(path)) for level in QUANTILES], axis=1)
    row = {
        (f"zone {name}", int(when)): place for place, (name, when) in enumerate(zip(zone, time, strict=True))
    }
    every, first = one.task.table.every_ns, one.task.table.first
    wanted = [
        [
            row[one.task.names[node].split("/")[0], int((first + last + 1 + hour) * every)]
            for hour in range(_DAY)
        ]
        for last, node in zip(one.chosen.last, one.chosen.node, strict=True)
    ]
    return evaluate(one, value[np.array(wanted)], subject="official benchmark")


def compete(
    dataset: Dataset,
    forecaster: Callable[[], Forecaster],
    *,
    problem: Forecast | None = None,
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> Scores:
    """Fit a new forecaster on the year before, let it foresee April, and score it."""
    one = month(dataset, problem=problem, seed=seed)
    fresh = forecaster()
    if progress:
        progress(0.0, fresh.name)
    y = forecast(one.task, fresh.fit(one.task), one.chosen)
    if progress:
        progress(1.0, fresh.name)
    return evaluate(one, y, subject=fresh.name)
