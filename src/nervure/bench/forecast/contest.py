"""A set as a contest: what to train on, which windows to answer, and how its protocol scores them.

Most sets are one training and the windows of its test part. ETT is two (the loads, the oil
temperature), scaled by the train part so that all seven channels count alike; the battle of water
is four, one for each week foreseen. The numbers of a set are over all its legs together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.forecast.job import Row
from nervure.core.card import Metric
from nervure.learn import metric
from nervure.learn.dataset import Dataset, load
from nervure.learn.evaluate import score
from nervure.learn.task import ForecastTask, Samples, pose, samples, truth
from nervure.solutions import find

__all__ = ["Answer", "Contest", "Leg", "errors_by_origin", "open_contest", "rows_of_all"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]
Protocol = Literal["rows", "ett", "bwdf", "gefcom"]
Kinds = Literal["baseline", "deep", "peer"]


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One training and what it is asked.

    ``real`` holds what happened too, where the task's own table ends before it. ``scale [node]``
    divides readings before errors are taken. ``tag`` is the protocol's own object.
    """

    task: ForecastTask
    real: ForecastTask
    chosen: Samples
    scale: Doubles
    tag: Any = None

    def truth(self) -> Floats:
        """Return what happened: ``[batch, horizon]``, NaN where nothing was read."""
        return truth(self.real, self.chosen)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, ``found [batch, horizon]``, and what was answered, ``y [batch, horizon, quantile]``."""

    leg: Leg
    found: Floats
    y: Floats


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """A set, opened."""

    name: str
    title: str
    protocol: Protocol
    unit: str
    dataset: Dataset
    legs: tuple[Leg, ...]
    note: str = ""
    posed: Any = None


def open_contest(name: str, *, seed: int = 0, thin: int = 1) -> Contest:
    """Open a set by its name in ``nervure.learn.sets``, or a solution file of one's own (``.py``)."""
    if name.endswith(".py"):
        return _own(name, seed=seed, thin=thin)
    from nervure.learn.sets import open_set

    posed = open_set(name, seed=seed)
    step = posed.stride * thin
    makers: dict[str, Callable[[Any, int], tuple[Leg, ...]]] = {
        "ett": _scaled,
        "bwdf": _weeks,
        "gefcom": _gefcom,
    }
    legs = makers.get(posed.protocol, _plain)(posed, step)
    return Contest(
        name=name,
        title=posed.title,
        protocol=posed.protocol,
        unit="standard deviation of the train part" if posed.protocol == "ett" else legs[0].task.unit,
        dataset=posed.dataset,
        legs=legs,
        note=posed.note,
        posed=posed,
    )


def _own(name: str, *, seed: int, thin: int) -> Contest:
    dataset = load(find(name))
    task = pose(dataset, seed=seed)
    return Contest(
        name=Path(name).stem,
        title=dataset.solution.title,
        protocol="rows",
        unit=task.unit,
        dataset=dataset,
        legs=(_leg(task, thin),),
    )


def _leg(task: ForecastTask, step: int, *, scale: Doubles | None = None) -> Leg:
    chosen = samples(task, "test", stride=step)
    return Leg(task=task, real=task, chosen=chosen, scale=np.ones(task.nodes) if scale is None else scale)


def _plain(posed: Any, step: int) -> tuple[Leg, ...]:
    return tuple(_leg(task, step) for task in posed.tasks)


def _scaled(posed: Any, step: int) -> tuple[Leg, ...]:
    """Return a leg for each task, scaled by the train part as the published tables are."""
    legs = []
    for task in posed.tasks:
        own = task.table.value[np.ix_(task.split.train, task.targets)]
        legs.append(_leg(task, step, scale=np.nanstd(own, axis=0)))
    return tuple(legs)


def _weeks(posed: Any, step: int) -> tuple[Leg, ...]:
    """Return a leg for each week of the battle of water; ``step`` leaves weeks out."""
    from nervure.learn.bwdf import ITERATIONS, week

    legs = []
    for iteration in ITERATIONS[::step]:
        one = week(posed.dataset, iteration, seed=posed.tasks[0].seed if posed.tasks else 0)
        real = msgspec.structs.replace(one.task, table=posed.dataset.table)
        legs.append(Leg(task=one.task, real=real, chosen=one.chosen, scale=np.ones(one.task.nodes), tag=one))
    return tuple(legs)


def _gefcom(posed: Any, step: int) -> tuple[Leg, ...]:
    """Return Task 1: every ``step``-th day of April 2013, its power only on the side of the judge."""
    from nervure.learn.gefcom import month

    one = month(posed.dataset, seed=posed.tasks[0].seed if posed.tasks else 0)
    kept = np.isin(one.chosen.last, np.unique(one.chosen.last)[::step])
    real = msgspec.structs.replace(one.task, table=posed.dataset.table)
    return (Leg(task=one.task, real=real, chosen=one.chosen.take(kept), scale=np.ones(one.task.nodes)),)


def rows_of_all(contest: Contest, answers: Sequence[Answer], *, subject: str, kind: Kinds) -> list[Row]:
    """Return the numbers of a set: errors by horizon, means over all, and those of its own protocol."""
    first = contest.legs[0].task
    found = np.concatenate([one.found / _of(one) for one in answers])
    y = np.concatenate([one.y / _of(one)[:, :, None] for one in answers])
    rows = [_row(one) for one in score(first, found, y, subject=subject, kind=kind)]
    if first.quantiles[0] != 0.1 or first.quantiles[-1] != 0.9:
        rows.append(Row(metric="coverage_80", horizon="avg", value=_band(first, found, y)))
    if contest.protocol == "ett":
        error = found - y[:, :, first.median]
        rows.append(Row(metric="MSE", horizon="avg", value=float(np.nanmean(error.astype(np.float64) ** 2))))
    if contest.protocol == "bwdf":
        rows += _battle(answers, subject)
    if contest.posed is not None and contest.posed.extra:
        from nervure.learn.sets import rows_of

        for one in answers:
            leg = one.leg
            extra = rows_of(contest.posed, leg.task, leg.chosen, one.found, one.y, subject=subject, kind=kind)
            rows += [_row(each) for each in extra]
    return [one for one in rows if np.isfinite(one.value)]  # a rate of what never happened is no number


def _of(answer: Answer) -> Doubles:
    scale: Doubles = answer.leg.scale[answer.leg.chosen.node][:, None]
    return scale


def _row(one: Metric) -> Row:
    return Row(metric=one.metric, horizon=one.horizon, value=one.value)


def _band(task: ForecastTask, found: Doubles, y: Doubles) -> float:
    """Return how much the 80 % band covers where the quantiles asked for reach further out."""
    low, high = (int(np.abs(np.asarray(task.quantiles) - level).argmin()) for level in (0.1, 0.9))
    return float(np.nanmean(metric.coverage(found, y[:, :, low], y[:, :, high])))


def _battle(answers: Sequence[Answer], subject: str) -> list[Row]:
    from nervure.learn.bwdf import evaluate

    points = [(one.leg.tag, one.y[:, :, one.leg.task.median]) for one in answers]
    found = evaluate(points, subject=subject)
    named = (("PI1", found.pi1), ("PI2", found.pi2), ("PI3", found.pi3))
    return [Row(metric=name, value=value) for name, value in named]


def errors_by_origin(contest: Contest, answers: Sequence[Answer]) -> tuple[Longs, Doubles, Doubles]:
    """Return issue times ``[origin]`` (slots since 1970), and error sums and counts ``[origin, column]``.

    The columns are the horizons of ``report_at`` and then all horizons together. Origins rise;
    legs that share an origin are added up.
    """
    task = contest.legs[0].task
    steps = [step - 1 for step in task.report_at if step <= task.horizon] or [task.horizon - 1]
    times, sums, counts = [], [], []
    for one in answers:
        error = np.abs(one.found - one.y[:, :, one.leg.task.median]) / _of(one)
        known = ~np.isnan(error)
        error = np.where(known, error, 0.0)
        times.append(one.leg.task.table.first + one.leg.chosen.last)
        sums.append(np.c_[error[:, steps], error.sum(axis=1)])
        counts.append(np.c_[known[:, steps], known.sum(axis=1)])
    origin, place = np.unique(np.concatenate(times), return_inverse=True)
    total, count = (np.zeros((len(origin), len(steps) + 1)) for _ in range(2))
    np.add.at(total, place, np.concatenate(sums))
    np.add.at(count, place, np.concatenate(counts))
    return origin, total, count
