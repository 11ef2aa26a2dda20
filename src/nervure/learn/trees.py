"""Boosted trees on lags, seasons, calendar and drivers: the baseline that is hard to beat.

One model for all nodes and horizons; the horizon and the node are features. Uses scikit-learn's
histogram gradient boosting (Ke et al., LightGBM, NeurIPS 2017, is the same algorithm).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from nervure.core.window import Window
from nervure.learn.baseline import banded, latest, spread
from nervure.learn.lag import Seasons, shift
from nervure.learn.task import ForecastTask, Plain, Samples, fitting, samples, truth, windows

__all__ = ["LAGS", "BoostedTrees"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]

LAGS = (1, 2, 3, 4, 6, 12, 24, 48, 168)
_SIZE = 4096
_Rows = tuple[Floats, Doubles]  # features, targets
_CATEGORIES = 254  # scikit-learn admits no more in one feature


class _Drawn(NamedTuple):
    """Rows drawn for an anchor, and the error of a short trial on them."""

    error: float
    seasonal: bool
    empty: NDArray[np.bool_]
    train: _Rows
    held: _Rows


class BoostedTrees(Plain):
    """Gradient boosting, stopped early by the validation part, which also chooses loss and anchor.

    It learns from at most ``rows`` pairs of a window and a horizon, drawn at random, what to add
    to the last value, or to the seasonal profile shifted to the last value. The loss is squared or
    absolute. Short trials tell which of them errs less on the validation part.
    """

    name = "boosted trees"
    kind: Literal["baseline"] = "baseline"
    history = 0

    def __init__(
        self, *, rows: int = 300_000, iterations: int = 250, rate: float = 0.08, leaves: int = 127
    ) -> None:
        self.rows = rows
        self.iterations = iterations
        self.rate = rate
        self.leaves = leaves

    def fit(self, task: ForecastTask) -> BoostedTrees:
        """Draw rows, build features, choose loss and anchor, boost."""
        self._prepare(task)
        with threadpool_limits(max(1, cpu_count() // 2)):  # waiting threads burn the cores others need
            _, _, _, drawn, held = self._anchor()
            errors = {loss: self._trial(loss, drawn, held) for loss in ("squared_error", "absolute_error")}
            self.loss = min(errors, key=lambda loss: errors[loss])
            self._model = self._boost(self.loss, drawn, held, self.iterations)
            self._offset = spread(task, self._point, self.history)
        return self

    def _prepare(self, task: ForecastTask) -> None:
        self.task = task
        self._seasons = Seasons(task, depth=2)
        most = max(task.window, len(task.split.train) // 4)
        self.history = max(self._seasons.history, *(lag for lag in LAGS if lag <= most))
        self._profile, self._centre, self._scale = shift(task)

    def _anchor(self) -> _Drawn:
        """Choose the anchor, and return the rows drawn for it."""
        tried: list[_Drawn] = []
        for seasonal in (False, True) if self._profile is not None else (False,):
            self.seasonal = seasonal
            random = np.random.default_rng(self.task.seed)
            train = self._draw(samples(self.task, "train"), self.rows, random)
            held = self._draw(samples(self.task, "validation"), max(1, self.rows // 8), random)
            empty = np.asarray(
                np.isnan(train[0][::8]).all(axis=0)
            )  # binning refuses a feature that was never read
            train[0][:, empty], held[0][:, empty] = 0.0, 0.0
            tried.append(_Drawn(self._trial("squared_error", train, held), seasonal, empty, train, held))
        best = min(tried, key=lambda one: one.error)
        self.seasonal, self._empty = best.seasonal, best.empty
        return best

    def _trial(self, loss: str, drawn: _Rows, held: _Rows) -> float:
        """Return the error on the validation part after a short boost on a part of the rows."""
        few = slice(None, None, 8)
        model = self._boost(loss, (drawn[0][few], drawn[1][few]), held, self.iterations // 5 + 1)
        return float(np.abs(model.predict(held[0]) - held[1]).mean())

    def _boost(
        self, loss: str, drawn: _Rows, held: _Rows, iterations: int, quantile: float | None = None
    ) -> HistGradientBoostingRegressor:
        model = HistGradientBoostingRegressor(
            loss=loss,
            quantile=quantile,
            learning_rate=self.rate,
            max_iter=iterations,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=min(100, len(drawn[0]) // 50 + 1),
            l2_regularization=1.0,
            max_features=0.5,
            categorical_features=[0] if self.task.nodes <= _CATEGORIES else None,
            early_stopping=True,
            n_iter_no_change=20,
            random_state=self.task.seed,
        )
        model.fit(*drawn, X_val=held[0], y_val=held[1])
        return model

    def predict(self, window: Window) -> Floats:
        """Add up the trees: ``[batch, horizon, quantile]``."""
        return banded(self.task, self._point(window), window.node, self._offset)

    def _draw(self, chosen: Samples, rows: int, random: np.random.Generator) -> _Rows:
        """Return features and targets of pairs (window, horizon) drawn at random."""
        task = self.task
        each = min(task.horizon, 4)
        share = self._scale[chosen.node]  # large streams count more in the mean absolute error
        picked = random.choice(len(chosen), max(1, rows // each), p=share / share.sum())
        parts: list[_Rows] = []
        size = fitting(task, _SIZE, history=self.history)
        for start in range(0, len(picked), size):
            part = chosen.take(np.sort(picked[start : start + size]))
            step = random.permuted(np.tile(np.arange(task.horizon), (len(part), 1)), axis=1)[:, :each]
            window = windows(task, part, history=self.history)
            x, base, scale = self._features(window, step)
            y = (np.take_along_axis(truth(task, part), step, axis=1).reshape(-1) - base) / scale
            known = ~np.isnan(y)
            parts.append((x[known], y[known]))
        x, y = (np.concatenate(column) for column in zip(*parts, strict=True))
        return x, y

    def _point(self, window: Window) -> Doubles:
        x, base, scale = self._asked(window)
        found = base + scale * self._model.predict(x)
        point: Doubles = found.reshape(len(window.node), self.task.horizon)
        return point

    def _asked(self, window: Window) -> tuple[Floats, Doubles, Doubles]:
        """Return features, anchor and scale of every horizon of every window, ``[batch * horizon, ...]``."""
        step = np.tile(np.arange(self.task.horizon, dtype=np.int64), (len(window.node), 1))
        x, base, scale = self._features(window, step)
        x[:, self._empty] = 0.0
        return x, base, scale

    def _features(self, window: Window, step: Longs) -> tuple[Floats, Doubles, Doubles]:
        """Return features ``[batch * step, feature]``, the anchor and the scale, ``[batch * step]``.

        ``step [batch, one]`` are the horizons asked for, 0 being the next slot. Readings are scaled,
        and taken as distances from the profile where that is the anchor.
        """
        node, horizon = window.node, self.task.horizon
        centre, scale = self._centre[node][:, None], self._scale[node][:, None]
        usual = self._usual(node, window.calendar)
        ground = usual if self.seasonal else np.zeros_like(usual)
        z = (window.x[:, :, 0] - centre) / scale - ground[:, :-horizon]
        held = latest(z, np.zeros(len(z)))[:, None]
        fixed = [node[:, None], *self._fixed(window, z, held), usual[:, -horizon - 1 : -horizon]]
        later = np.take_along_axis(ground[:, -horizon:], step, axis=1)
        moving = [*self._moving(window, z, held, step), np.take_along_axis(usual[:, -horizon:], step, axis=1)]
        shape = (len(node), step.shape[1])
        wide = np.repeat(np.concatenate(fixed, axis=1).astype(np.float32), shape[1], axis=0)
        rest = np.stack([one.reshape(-1) for one in moving], axis=1).astype(np.float32)
        anchor = (centre + (held + later) * scale).reshape(-1)
        return np.concatenate([wide, rest], axis=1), anchor, np.broadcast_to(scale, shape).reshape(-1)

    def _fixed(self, window: Window, z: Doubles, held: Doubles) -> list[NDArray[Any]]:
        """Return what a window shows whatever the horizon: lags, shape, drivers, ``[batch, some]``."""
        lags = [-lag for lag in LAGS if lag <= self.history]
        past = z[:, -self.task.window :]
        recent = window.x[:, -min(24, self.task.window) :, 1:]
        shape = [*_shape(past, held), *_shape(past[:, -3:], held)]
        return [z[:, lags] - held, held, *shape, window.x[:, -1, 1:], _level(recent)]

    def _moving(self, window: Window, z: Doubles, held: Doubles, step: Longs) -> list[NDArray[Any]]:
        """Return what goes with the horizon: calendar, seasons, drivers known ahead, ``[batch, one]``."""
        days = np.take_along_axis(window.calendar[:, -self.task.horizon :], step[:, :, None], axis=1)
        moving: list[NDArray[Any]] = [days[:, :, 0], days[:, :, 1], days[:, :, 2], step]
        for period in self._seasons.periods:
            moving += [self._seasons.before(z, period, back, step) - held for back in (1, 2)]
        if window.ahead is not None:
            moving += list(np.take_along_axis(window.ahead, step[:, :, None], axis=1).transpose(2, 0, 1))
        return moving

    def _usual(self, node: Longs, days: Longs) -> Doubles:
        """Return the profile, scaled, at calendar rows ``[batch, time, 5]``; 0 where there is none."""
        if self._profile is None:
            return np.zeros(days.shape[:2])
        centre, scale = self._centre[node][:, None], self._scale[node][:, None]
        usual: Doubles = (self._profile.at(node, days) - centre) / scale
        return usual


def _shape(past: NDArray[np.floating], held: Doubles) -> list[Doubles]:
    """Return mean, spread and range of the recent past, relative to the last value, ``[batch, 1]`` each."""
    known = ~np.isnan(past)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, past, 0.0).sum(axis=1, keepdims=True) / count
    mean = np.where(known.any(axis=1, keepdims=True), mean, np.nan)
    wide = np.sqrt(np.where(known, (past - mean) ** 2, 0.0).sum(axis=1, keepdims=True) / count)
    low = np.where(known, past, np.inf).min(axis=1, keepdims=True)
    high = np.where(known, past, -np.inf).max(axis=1, keepdims=True)
    some = np.isfinite(low)
    return [mean - held, wide, np.where(some, low - held, np.nan), np.where(some, high - held, np.nan)]


def _level(drivers: NDArray[np.floating]) -> Doubles:
    """Return the mean of drivers ``[batch, time, driver]`` over time, NaN where nothing was read."""
    known = ~np.isnan(drivers)
    count = known.sum(axis=1)
    total = np.where(known, drivers, 0.0).sum(axis=1)
    mean: Doubles = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean
