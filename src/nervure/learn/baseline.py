"""Plain forecasts that a model has to beat: last value, seasonal naive, historical average.

Each learns from the train part only. Their bands are the quantiles of their own errors on the
validation part, per node and horizon, so their pinball loss and coverage compare with a model's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.instant import DAY_NS
from nervure.core.window import Window
from nervure.learn.task import Forecaster, ForecastTask, Plain, batches, samples, some

__all__ = [
    "HistoricalAverage",
    "LastValue",
    "Profile",
    "SeasonalNaive",
    "banded",
    "baselines",
    "latest",
    "middle",
    "spread",
]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]

_SIZE = 4096
_STEPS = 720_000  # steps of a horizon whose errors make a band


def spread(task: ForecastTask, point: Callable[[Window], Doubles], history: int) -> Doubles:
    """Return what to add to a point forecast for each quantile: ``[node, horizon, quantile]``.

    These are the quantiles of the errors on the validation part; the median stays the point.
    """
    chosen = samples(task, "validation", stride=max(1, len(task.split.validation) // 2000))
    chosen = some(task, chosen, max(64, _STEPS // task.horizon))
    error = np.concatenate(
        [found - point(window) for window, found in batches(task, chosen, _SIZE, history=history)]
    )
    level = np.asarray(task.quantiles)
    out = np.zeros((task.nodes, task.horizon, len(level)))
    pooled = np.nanquantile(error, level)
    for node in range(task.nodes):
        own = error[chosen.node == node]
        enough = len(own) >= 20 and not np.isnan(own).all(axis=0).any()
        out[node] = np.nanquantile(own, level, axis=0).T if enough else pooled
    out[:, :, : task.median] = np.minimum(out[:, :, : task.median], 0)
    out[:, :, task.median] = 0
    out[:, :, task.median + 1 :] = np.maximum(out[:, :, task.median + 1 :], 0)
    return out


def banded(task: ForecastTask, point: Doubles, node: Longs, offset: Doubles) -> Floats:
    """Add the band, and keep it within what is physically possible: ``[batch, horizon, quantile]``."""
    y = point[:, :, None] + offset[node]
    return np.clip(y, task.low, task.high).astype(np.float32) if _bounded(task) else y.astype(np.float32)


def _bounded(task: ForecastTask) -> bool:
    return task.low is not None or task.high is not None


def middle(task: ForecastTask) -> Doubles:
    """Return each node's median reading in the train part, ``[node]``; the last resort."""
    values = task.table.value[np.ix_(task.split.train, task.targets)]
    empty = np.isnan(values).all(axis=0)
    if empty.all():
        raise DataError(f"{task.solution}: the train part holds no reading of {task.problem.of}")
    values = np.where(empty, np.nanmedian(values), values)
    found: Doubles = np.nanmedian(values, axis=0)
    return found


def latest(x: NDArray[np.floating], otherwise: Doubles) -> Doubles:
    """Return the last reading of each row of ``x [batch, time]``, else ``otherwise [batch]``."""
    known = ~np.isnan(x)
    place = x.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    value = x[np.arange(len(x)), place].astype(np.float64)
    return np.where(known.any(axis=1), value, otherwise)


class LastValue(Plain):
    """Tomorrow is like now: the last reading, held over the horizon (persistence)."""

    name = "last value"
    kind: Literal["baseline"] = "baseline"
    history = 0

    def fit(self, task: ForecastTask) -> LastValue:
        """Measure the band on the validation part."""
        self.task, self.history = task, task.window
        self._middle = middle(task)
        self._offset = spread(task, self._point, self.history)
        return self

    def predict(self, window: Window) -> Floats:
        """Hold the last reading: ``[batch, horizon, quantile]``."""
        return banded(self.task, self._point(window), window.node, self._offset)

    def _point(self, window: Window) -> Doubles:
        value = latest(window.x[:, :, 0], self._middle[window.node])
        return np.repeat(value[:, None], self.task.horizon, axis=1)


class SeasonalNaive(Plain):
    """The reading one season before: the same time yesterday, or the same time last week.

    Where that is missing it goes further seasons back, at least one, and then to the last value.
    """

    kind: Literal["baseline"] = "baseline"
    history = 0

    def __init__(self, period_ns: int, name: str) -> None:
        self.name = name
        self.period_ns = period_ns

    def fit(self, task: ForecastTask) -> SeasonalNaive:
        """Measure the band on the validation part."""
        self.task = task
        period = self.period_ns // task.table.every_ns
        rounds = -(-task.horizon // period)
        self._back = [period * (rounds + more) for more in range(2)]
        self._period, self.history = period, self._back[-1]
        self._middle = middle(task)
        self._offset = spread(task, self._point, self.history)
        return self

    def predict(self, window: Window) -> Floats:
        """Repeat the last season: ``[batch, horizon, quantile]``."""
        return banded(self.task, self._point(window), window.node, self._offset)

    def _point(self, window: Window) -> Doubles:
        past = window.x[:, :, 0]
        held = latest(past, self._middle[window.node])
        value = np.full((len(past), self.task.horizon), np.nan)
        for step in range(self.task.horizon):
            back = self._period * (1 + step // self._period) - step  # slots before the window's end, 1 = last
            for place in range(back, self.history + 1, self._period):
                column = past[:, self.history - place]
                value[:, step] = np.where(np.isnan(value[:, step]), column, value[:, step])
        return np.where(np.isnan(value), held[:, None], value)


class Profile:
    """The mean of each node at each slot of the week, holidays apart, over the train part.

    A holiday takes the mean of the slot of the day over all holidays, once three days of them have
    been seen, and Sunday's until then. Slots never seen take the mean of the slot of the day.
    With under ``weeks`` weeks of history it is by slot of the day alone.
    """

    def __init__(self, task: ForecastTask, *, weeks: int = 2) -> None:
        per_day = max(1, DAY_NS // task.table.every_ns)
        rows = task.split.train
        values = task.table.value[np.ix_(rows, task.targets)]
        days = _days(task)[rows]
        overall = middle(task)
        by_day = _means(values, days[:, 0], per_day, overall[:, None].repeat(per_day, axis=1))
        self.weekly = len(rows) >= weeks * 7 * per_day
        self._week = np.tile(by_day, (1, 7))
        self._holiday = by_day
        if self.weekly:
            work = days[:, 2] == 0
            self._week = _means(values[work], days[work, 3], 7 * per_day, self._week)
            rest = days[:, 2] == 1
            sunday = self._week[:, -per_day:]
            enough = rest.sum() >= 3 * per_day
            self._holiday = _means(values[rest], days[rest, 0], per_day, sunday) if enough else sunday

    def at(self, node: Longs, days: Longs) -> Doubles:
        """Return the mean for ``node [batch]`` at calendar rows ``[batch, time, 5]``: ``[batch, time]``."""
        week = self._week[node[:, None], days[:, :, 3]]
        rest = self._holiday[node[:, None], days[:, :, 0]]
        found: Doubles = np.where(days[:, :, 2] == 1, rest, week)
        return found


def _days(task: ForecastTask) -> Longs:
    from nervure.core.calendar import calendar

    table = task.table
    return calendar(task.zone, task.problem.calendar, table.every_ns, table.first, len(table.value))


def _means(values: Doubles, slot: Longs, slots: int, otherwise: Doubles) -> Doubles:
    """Mean of ``values [row, node]`` by ``slot [row]``: ``[node, slot]``, ``otherwise`` where none."""
    known = ~np.isnan(values)
    total = np.zeros((slots, values.shape[1]))
    count = np.zeros((slots, values.shape[1]))
    np.add.at(total, slot, np.where(known, values, 0.0))
    np.add.at(count, slot, known)
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0).T
    return np.where(np.isnan(mean), otherwise, mean)


class HistoricalAverage(Plain):
    """The mean of the same slot of the week over the train part, holidays apart."""

    name = "historical average"
    kind: Literal["baseline"] = "baseline"
    history = 1

    def fit(self, task: ForecastTask) -> HistoricalAverage:
        """Average the train part; measure the band on the validation part."""
        self.task = task
        self._profile = Profile(task)
        self._offset = spread(task, self._point, self.history)
        return self

    def predict(self, window: Window) -> Floats:
        """Look the mean up: ``[batch, horizon, quantile]``."""
        return banded(self.task, self._point(window), window.node, self._offset)

    def _point(self, window: Window) -> Doubles:
        return self._profile.at(window.node, window.calendar[:, -self.task.horizon :])


def baselines(task: ForecastTask, *, trees: bool = True, quantiles: bool = False) -> list[Forecaster]:
    """Return every plain baseline that makes sense for a task, not yet fitted.

    The same time last week is left out where the train part is not two weeks long. ``quantiles``
    adds boosted trees for each quantile, which take as long as all the others together.
    """
    from nervure.learn.lag import LinearLags
    from nervure.learn.quantile_trees import QuantileTrees
    from nervure.learn.trees import BoostedTrees

    found: list[Forecaster] = [LastValue(), SeasonalNaive(DAY_NS, "seasonal naive day")]
    if len(task.split.train) * task.table.every_ns >= 14 * DAY_NS:
        found.append(SeasonalNaive(7 * DAY_NS, "seasonal naive week"))
    found += [HistoricalAverage(), LinearLags()]
    if trees:
        found.append(BoostedTrees())
    return [*found, QuantileTrees()] if quantiles else found
