"""What past readings a lag model looks at, and ridge regression on them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nervure.core.instant import DAY_NS
from nervure.core.window import Window
from nervure.learn.baseline import Profile, banded, spread
from nervure.learn.task import ForecastTask, Plain, batches, samples

__all__ = ["LinearLags", "Seasons", "carry", "shift", "spans"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]

_SIZE = 2048
_TRUSTED_WEEKS = 8  # below this the profile fits its own train part too well to be a feature


class Seasons:
    """Which seasons a task's train part is long enough to look back on, and by how much.

    ``periods`` are the slots of a day and of a week, as far as the train part holds two of them;
    ``history`` is how far a window must reach back to hold ``depth`` of each before any target.
    """

    def __init__(self, task: ForecastTask, *, depth: int = 1) -> None:
        day = max(1, DAY_NS // task.table.every_ns)
        self.day = day
        self.depth = depth
        self.periods = [one for one in (day, 7 * day) if len(task.split.train) >= 2 * one and day > 1]
        reach = [period * ((task.horizon - 1) // period + depth) for period in self.periods]
        self.history = max([task.window, *reach])

    def before(self, past: NDArray[np.floating], period: int, back: int, step: Longs) -> Doubles:
        """Return the readings ``back`` seasons before the targets at ``step [batch, one]`` (0 is next).

        ``past`` is ``[batch, time]``; the last season that was known at issue counts as the first.
        """
        place = past.shape[1] + step - period * (step // period + back)
        inside = place >= 0
        found = np.take_along_axis(past, np.maximum(place, 0), axis=1)
        return np.where(inside, found, np.nan)


def shift(task: ForecastTask) -> tuple[Profile | None, Doubles, Doubles]:
    """Return the profile (if the train part is long enough), and each node's centre and scale, ``[node]``."""
    centre, scale = spans(task, task.targets)
    week = 7 * max(1, DAY_NS // task.table.every_ns)
    profile = Profile(task) if len(task.split.train) >= _TRUSTED_WEEKS * week else None
    return profile, centre, scale


def spans(task: ForecastTask, columns: Longs) -> tuple[Doubles, Doubles]:
    """Return the median and the mean distance from it of columns of the train part (0 and 1 if empty)."""
    values = task.table.value[np.ix_(task.split.train, columns.ravel())]
    known = ~np.isnan(values)
    centre = np.zeros(values.shape[1])
    for place in np.flatnonzero(known.any(axis=0)):
        centre[place] = np.median(values[known[:, place], place])
    total = np.where(known, np.abs(values - centre), 0.0).sum(axis=0)
    scale = total / np.maximum(known.sum(axis=0), 1)
    return centre.reshape(columns.shape), np.where(scale > 0, scale, 1.0).reshape(columns.shape)


def carry(values: Doubles) -> Doubles:
    """Fill what is missing in ``[batch, time, ...]`` with what was before it, or 0 at the start.

    >>> carry(np.array([[np.nan, 2.0, np.nan, 5.0]])).tolist()
    [[0.0, 2.0, 2.0, 5.0]]
    """
    known = ~np.isnan(values)
    shape = (1, values.shape[1]) + (1,) * (values.ndim - 2)
    place = np.where(known, np.arange(values.shape[1]).reshape(shape), 0)
    np.maximum.accumulate(place, axis=1, out=place)
    return np.nan_to_num(np.take_along_axis(values, place, axis=1), nan=0.0)


class LinearLags(Plain):
    """Ridge regression on lags, one for each node and all horizons at once.

    It eats the window (at most ``lags`` of it), the same slots one day and one week before the
    targets, and the last value of each driver, all as deviations from the profile (drivers: from
    their median); a missing one deviates as the one before did. The penalty is chosen on the
    validation part.
    """

    name = "linear with lags"
    kind: Literal["baseline"] = "baseline"
    history = 0

    def __init__(self, *, lags: int = 168, penalties: tuple[float, ...] = (1.0, 10.0, 100.0, 1000.0)) -> None:
        self.lags = lags
        self.penalties = penalties

    def fit(self, task: ForecastTask) -> LinearLags:
        """Solve the normal equations of the train part for every node."""
        self.task = task
        self._seasons = Seasons(task)
        self.history = self._seasons.history
        self._profile, self._centre, self._scale = shift(task)
        self._drivers = spans(task, task.channels), spans(task, task.ahead)
        columns = task.channels[0, 1:].tolist()
        self._same = [columns.index(column) for column in task.ahead[0]]  # where each driver's past is
        gram, moment = self._sums()
        value, vector = np.linalg.eigh(gram)
        rotated = np.einsum("nij,nih->njh", vector, moment)
        self._weight = np.zeros_like(moment)
        best = np.full(task.nodes, np.inf)
        for penalty in self.penalties:
            weight = np.einsum("nij,njh->nih", vector, rotated / (np.maximum(value, 0) + penalty)[:, :, None])
            error = self._error(weight)
            better = error < best
            self._weight[better], best[better] = weight[better], error[better]
        self._offset = spread(task, self._point, self.history)
        return self

    def predict(self, window: Window) -> Floats:
        """Multiply: ``[batch, horizon, quantile]``."""
        return banded(self.task, self._point(window), window.node, self._offset)

    def _sums(self) -> tuple[Doubles, Doubles]:
        """Return ``X'X [node, feature, feature]`` and ``X'Y [node, feature, horizon]``."""
        task = self.task
        gram, moment = np.zeros((0, 0, 0)), np.zeros((0, 0, 0))
        chosen = samples(task, "train")
        order = np.argsort(chosen.node, kind="stable").astype(np.int64)
        for window, found in batches(task, chosen, _SIZE, order=order, history=self.history):
            x, base = self._features(window)
            y = (found - base) / self._scale[window.node][:, None]
            whole = ~np.isnan(y).any(axis=1)
            if not gram.size:
                gram = np.zeros((task.nodes, x.shape[1], x.shape[1]))
                moment = np.zeros((task.nodes, x.shape[1], task.horizon))
            for node in np.unique(window.node[whole]):
                rows = whole & (window.node == node)
                gram[node] += x[rows].T @ x[rows]
                moment[node] += x[rows].T @ y[rows]
        return gram, moment

    def _error(self, weight: Doubles) -> Doubles:
        """Return the mean absolute error of each node on the validation part, ``[node]``."""
        task = self.task
        chosen = samples(task, "validation", stride=max(1, len(task.split.validation) // 1000))
        total, count = np.zeros(task.nodes), np.zeros(task.nodes)
        for window, found in batches(task, chosen, _SIZE, history=self.history):
            error = np.abs(found - self._apply(window, weight))
            known = ~np.isnan(error)
            np.add.at(total, window.node, np.where(known, error, 0.0).sum(axis=1))
            np.add.at(count, window.node, known.sum(axis=1))
        return total / np.maximum(count, 1)

    def _point(self, window: Window) -> Doubles:
        return self._apply(window, self._weight)

    def _apply(self, window: Window, weight: Doubles) -> Doubles:
        x, base = self._features(window)
        y = np.empty_like(base)
        for node in np.unique(window.node):
            rows = window.node == node
            y[rows] = x[rows] @ weight[node]
        return base + y * self._scale[window.node][:, None]

    def _features(self, window: Window) -> tuple[Doubles, Doubles]:
        """Return the features ``[batch, feature]`` and what the targets deviate from ``[batch, horizon]``."""
        node, horizon = window.node, self.task.horizon
        level = self._level(node, window.calendar)
        scale = self._scale[node][:, None]
        away = carry((window.x[:, :, 0] - level[:, :-horizon]) / scale)
        step = np.tile(np.arange(horizon, dtype=np.int64), (len(node), 1))
        parts = [np.ones((len(node), 1)), away[:, -min(self.lags, self.task.window) :]]
        parts += [self._seasons.before(away, period, 1, step) for period in self._seasons.periods]
        (centre, width), (later, span) = self._drivers
        driver = carry((window.x[:, :, 1:] - centre[node][:, None, 1:]) / width[node][:, None, 1:])
        parts.append(driver[:, -1])
        if window.ahead is not None:
            known = (window.ahead - later[node][:, None]) / span[node][:, None]
            joined = np.concatenate([driver[:, -1:, self._same], known], axis=1)
            parts.append(carry(joined)[:, 1:].reshape(len(node), -1))
        return np.nan_to_num(np.concatenate(parts, axis=1), nan=0.0), level[:, -horizon:]

    def _level(self, node: Longs, days: Longs) -> Doubles:
        if self._profile is not None:
            return self._profile.at(node, days)
        return np.repeat(self._centre[node][:, None], days.shape[1], axis=1)
