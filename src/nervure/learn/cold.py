"""How a new sensor, and a new site, is foreseen in its first days: the protocols and plain rivals.

Cold start: some sensors are held out of training altogether. Then each has been read for so many
days when the test part begins, and goes on being read. Transfer: a net trained at one site foresees
another, of which a week is known, beside a net trained on that week alone. Nobody sees a reading of
a new sensor from before it was there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.card import Metric
from nervure.core.error import DataError
from nervure.core.instant import DAY_NS
from nervure.core.window import Window
from nervure.learn.adapt import Admitted, admit
from nervure.learn.baseline import HistoricalAverage, LastValue, SeasonalNaive, banded, middle, spread
from nervure.learn.evaluate import forecast, score
from nervure.learn.fine_tune import fine_tune
from nervure.learn.lag import Seasons, spans
from nervure.learn.split import Split
from nervure.learn.task import Forecaster, ForecastTask, Plain, Samples, batches, samples, thin, truth
from nervure.learn.train import Deep, Recipe, Trained, fit

__all__ = ["PooledLinear", "cold_start", "newly", "only", "transfer"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]
Progress = Callable[[float, str], None]

_LAGS = 48  # newest readings that the pooled line looks at
_ROWS = 20_000  # windows that teach it
_MOST = 6_000  # windows that are judged
_PENALTIES = (1.0, 10.0, 100.0, 1000.0)


def only(task: ForecastTask, nodes: Longs) -> ForecastTask:
    """Return the task for some of its nodes, as if there were no others."""
    square = np.ix_(nodes, nodes)
    return msgspec.structs.replace(
        task,
        names=tuple(task.names[node] for node in nodes.tolist()),
        targets=task.targets[nodes],
        channels=task.channels[nodes],
        ahead=task.ahead[nodes],
        adjacency=None if task.adjacency is None else task.adjacency[square],
        places=task.places[nodes] if len(task.places) else task.places,
    )


def newly(task: ForecastTask, nodes: Longs, since: int) -> ForecastTask:
    """Return the task as if the sensors of some nodes had been there from row ``since`` on only.

    What they share with others, such as the weather of the site, was there before.
    """
    rest = np.setdiff1d(np.arange(task.nodes), nodes)
    shared = np.concatenate([task.channels[rest].ravel(), task.ahead.ravel()])
    shared = np.union1d(shared, [task.channels[0, at] for at, one in enumerate(task.inputs) if one.shared])
    gone = np.setdiff1d(task.channels[nodes].ravel(), shared)
    value = task.table.value.copy()
    value[:since, gone.astype(np.int64)] = np.nan
    return msgspec.structs.replace(task, table=msgspec.structs.replace(task.table, value=value))


class PooledLinear(Plain):
    """One ridge regression for all nodes: what follows on a window, whoever's it is.

    It eats the newest readings and the same slots a day before, around the window's mean, so it
    needs to know nothing of a node. The penalty is chosen on the validation part.
    """

    name = "pooled linear"
    kind: Literal["baseline"] = "baseline"
    history = 0

    def fit(self, task: ForecastTask) -> PooledLinear:
        """Solve the normal equations over the windows of all nodes."""
        self._seasons = Seasons(task)
        day = self._seasons.day
        self._day = day if day > 1 else 0
        self.history = max(task.window, day * -(-task.horizon // day))
        self.task, self._middle = task, middle(task)
        unit = spans(task, task.targets)[1]
        x, y = self._sums(task, "train", unit)
        held, found = self._sums(task, "validation", unit)
        gram, moment = x.T @ x, x.T @ y
        errors = {}
        for penalty in _PENALTIES:
            weight = np.linalg.solve(gram + penalty * np.eye(len(gram)), moment)
            errors[penalty] = float(np.abs(found - held @ weight).mean()) if len(held) else penalty
        best = min(errors, key=lambda one: errors[one])
        self._weight = np.linalg.solve(gram + best * np.eye(len(gram)), moment)
        self._offset = spread(task, self._point, self.history)
        return self

    def moved(self, task: ForecastTask) -> PooledLinear:
        """Return the same line for another site, without a band."""
        other = PooledLinear()
        other.task, other.history, other._day = task, self.history, self._day  # its own kind
        other._seasons, other._weight = self._seasons, self._weight
        other._middle = middle(task)
        other._offset = np.zeros((task.nodes, task.horizon, len(task.quantiles)))
        return other

    def predict(self, window: Window) -> Floats:
        """Multiply: ``[batch, horizon, quantile]``."""
        return banded(self.task, self._point(window), window.node, self._offset)

    def _sums(
        self, task: ForecastTask, part: Literal["train", "validation"], unit: Doubles
    ) -> tuple[Doubles, Doubles]:
        """Return features and targets of whole windows, in units of their node."""
        chosen = thin(task, samples(task, part), _ROWS)
        xs, ys = [], []
        for window, found in batches(task, chosen, 2048, history=self.history):
            x, level = self._features(window)
            wide = unit[window.node][:, None]
            y = (found - level) / wide
            whole = ~np.isnan(y).any(axis=1)
            xs.append((x / wide)[whole])
            ys.append(y[whole])
        return np.concatenate(xs), np.concatenate(ys)

    def _features(self, window: Window) -> tuple[Doubles, Doubles]:
        past = window.x[:, :, 0].astype(np.float64)
        own = past[:, -self.task.window :]
        known = np.isfinite(own)
        count = known.sum(axis=1)
        level = np.where(known, own, 0).sum(axis=1) / np.maximum(count, 1)
        level = np.where(count > 0, level, self._middle[window.node])[:, None]
        parts = [(own - level)[:, -_LAGS:]]
        if self._day:
            step = np.tile(np.arange(self.task.horizon, dtype=np.int64), (len(past), 1))
            parts.append(self._seasons.before(past, self._day, 1, step) - level)
        return np.nan_to_num(np.concatenate(parts, axis=1)), level

    def _point(self, window: Window) -> Doubles:
        x, level = self._features(window)
        point: Doubles = level + x @ self._weight
        return point


def cold_start(
    task: ForecastTask,
    *,
    every: int = 5,
    offset: int = 0,
    days: Sequence[int] = (0, 1, 3),
    model: str = "mixer",
    budget_s: float = 60.0,
    recipe: Recipe | None = None,
    seed: int = 0,
    trained: Trained | None = None,
    progress: Progress | None = None,
) -> list[Metric]:
    """Return the rows of new sensors (each ``every``-th from ``offset`` on), after so many days each.

    The net is trained on the others alone, unless one is given that was. All are judged on the same
    windows of the test part, the new sensors' only; subjects are named ``mixer after 3 d``.
    """
    new = np.arange(offset, task.nodes, every, dtype=np.int64)
    known = np.setdiff1d(np.arange(task.nodes, dtype=np.int64), new)
    if not len(known) or not len(new):
        raise DataError(f"{task.solution}: {task.nodes} sensors cannot be parted into known and new ones")
    net = trained or fit(
        only(task, known), model=model, budget_s=budget_s, recipe=recipe, seed=seed, progress=progress
    )
    _strangers(net, task, new)
    chosen = samples(task, "test")
    chosen = chosen.take(np.isin(chosen.node, new))
    chosen = chosen.take(np.unique(np.linspace(0, len(chosen) - 1, min(len(chosen), _MOST)).astype(np.int64)))
    found: list[Metric] = []
    for span in days:
        rows = _before(task, span)
        seen = newly(task, new, int(task.split.test[0]) - len(rows))
        rivals = _rivals(seen, rows)
        rivals += [PooledLinear().fit(seen), Admitted(admit(net, seen, rows), net.model)]
        found += _judged(seen, rivals, chosen, f"after {span} d")
    return found


def _renamed(task: ForecastTask) -> ForecastTask:
    """Return the task of another site: a stream called as one of the known site is another sensor."""
    return msgspec.structs.replace(task, names=tuple(f"{one} (new)" for one in task.names))


def _strangers(trained: Trained, task: ForecastTask, new: Longs) -> None:
    """Raise ``DataError`` if the net was shown a sensor that is to be new."""
    seen = set(trained.task.names) & {task.names[node] for node in new.tolist()}
    if seen:
        raise DataError(f"{min(seen)} was in training, so it is no new sensor")


def _before(task: ForecastTask, days: int) -> Longs:
    """Return the rows of the days just before the test part; days without any reading do not count."""
    first, slots = int(task.split.test[0]), max(1, DAY_NS // task.table.every_ns)
    read = np.isfinite(task.table.value[first % slots : first, task.targets]).any(axis=1)
    known = np.flatnonzero(read.reshape(-1, slots).any(axis=1))
    if len(known) < days:
        raise DataError(f"{task.solution}: there are no {days} days before the test part")
    since = first % slots + int(known[-days]) * slots if days else first
    return np.arange(since, first, dtype=np.int64)


def _rivals(seen: ForecastTask, rows: Longs) -> list[Forecaster]:
    """Return the plain ones, fitted; the mean course is that of the days alone."""
    rivals: list[Forecaster] = [
        LastValue().fit(seen),
        SeasonalNaive(DAY_NS, "seasonal naive day").fit(seen),
    ]
    if len(rows):
        rivals.append(HistoricalAverage().fit(_parted(seen, rows, seen.split.validation)))
    return rivals


def _parted(task: ForecastTask, train: Longs, validation: Longs) -> ForecastTask:
    split = Split(train=train, validation=validation, test=task.split.test, how="the first days")
    return msgspec.structs.replace(task, split=split)


def _judged(
    task: ForecastTask, forecasters: Sequence[Forecaster], chosen: Samples, word: str
) -> list[Metric]:
    real, found = truth(task, chosen), []
    for one in forecasters:
        y = forecast(task, one, chosen)
        rows = score(task, real, y, subject=f"{one.name} {word}".strip(), kind=one.kind)
        bare = not np.ptp(y, axis=2).any()  # without a band, there is nothing to say of one
        found += [row for row in rows if not bare or row.metric in ("MAE", "RMSE")]
    return found


def transfer(
    known: ForecastTask,
    new: ForecastTask,
    *,
    days: int = 7,
    tuning: int = 200,
    model: str = "mixer",
    budget_s: float = 60.0,
    recipe: Recipe | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Metric]:
    """Return the rows of a new site of which so many days are known, judged on its test part.

    Subjects: the plain ones from those days, a line pooled at the known site, the net from scratch on
    those days (where they hold a window to learn from and one to judge by), the net of the known site
    as :func:`~nervure.learn.adapt.admit` brings it, and that net after ``tuning`` more steps at most.
    """
    new = _renamed(new)
    rows = _before(new, days)
    seen = newly(new, np.arange(new.nodes, dtype=np.int64), int(rows[0]))
    week = _parted(seen, rows, rows)
    net = fit(known, model=model, budget_s=budget_s, recipe=recipe, seed=seed, progress=progress)
    brought = admit(net, seen, rows)
    rivals = [
        *_rivals(week, rows),
        PooledLinear().fit(known).moved(week),
        Admitted(brought, f"{model} brought"),
        Admitted(fine_tune(brought, rows, steps=tuning, seed=seed), f"{model} brought and tuned"),
    ]
    parts = np.split(rows, [5 * len(rows) // 7])
    try:
        alone = Deep(model, budget_s=budget_s, recipe=recipe).fit(_parted(seen, *parts))
    except DataError:  # the days hold no window and horizon
        alone = None
    if alone is not None and alone.trained is not None:
        rivals.append(Admitted(alone.trained, f"{model} from scratch"))
    every = samples(new, "test")
    some = np.unique(np.linspace(0, len(every) - 1, min(len(every), _MOST)).astype(np.int64))
    return _judged(seen, rivals, every.take(some), "")
