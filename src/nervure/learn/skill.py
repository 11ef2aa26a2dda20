"""Further measures of a forecast: skill over persistence, efficiency of each gauge, crossings of a level.

Skill is ``1 - error / error of the last value`` (Murphy, Monthly Weather Review 116, 1988); efficiency
is that of Nash & Sutcliffe, Journal of Hydrology 10(3), 1970; hit rate and false alarm ratio are those of
Wilks, Statistical Methods in the Atmospheric Sciences. Arrays are ``[batch, horizon]`` unless said.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.learn.baseline import latest, middle
from nervure.learn.metric import mae, rmse
from nervure.learn.task import ForecastTask, Samples, windows

__all__ = ["Crossings", "crossings", "efficiency", "persistence", "skill", "thresholds"]

Floats = NDArray[np.float64]

_SIZE = 8192


class Crossings(msgspec.Struct, frozen=True, kw_only=True):
    """What became of rises above a level: ``happened [horizon]`` counts them.

    ``hit_rate`` is the share foreseen, ``false_alarms`` the share of those foreseen that never came;
    NaN where none happened, or none was foreseen.
    """

    happened: NDArray[np.int64]
    hit_rate: Floats
    false_alarms: Floats


def persistence(task: ForecastTask, chosen: Samples) -> Floats:
    """Return the last reading before each sample, ``[batch]``; where its window has none, a median."""
    otherwise = middle(task)
    parts = []
    for start in range(0, len(chosen), _SIZE):
        part = chosen.take(slice(start, start + _SIZE))
        parts.append(latest(windows(task, part).x[:, :, 0], otherwise[part.node]))
    return np.concatenate(parts)


def skill(found: NDArray[np.floating], point: NDArray[np.floating], last: Floats) -> tuple[Floats, Floats]:
    """Return skill over the last value in mean absolute error and in RMSE, ``[horizon]`` each.

    >>> absolute, root = skill(np.array([[3.0], [5.0]]), np.array([[2.0], [5.0]]), np.array([1.0, 3.0]))
    >>> absolute.tolist(), root.round(3).tolist()
    ([0.75], [0.646])
    """
    held = np.repeat(last[:, None], found.shape[1], axis=1)
    return 1 - mae(found, point) / mae(found, held), 1 - rmse(found, point) / rmse(found, held)


def efficiency(found: NDArray[np.floating], point: NDArray[np.floating], node: NDArray[np.int64]) -> Floats:
    """Return each node's Nash-Sutcliffe efficiency, ``[node, horizon]``; NaN where readings do not vary.

    >>> efficiency(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]), np.array([0, 0])).tolist()
    [[0.5]]
    """
    rows = []
    for one in range(int(node.max()) + 1):
        truth, guess = found[node == one].astype(np.float64), point[node == one]
        known = ~np.isnan(truth)
        count = known.sum(axis=0)
        mean = np.divide(np.nansum(truth, axis=0), count, out=np.zeros(truth.shape[1]), where=count > 0)
        spread = np.nansum((truth - mean) ** 2, axis=0)
        error = np.nansum((truth - guess) ** 2, axis=0)
        rows.append(1 - np.divide(error, spread, out=np.full(len(spread), np.nan), where=spread > 0))
    return np.stack(rows)


def thresholds(task: ForecastTask, level: float = 0.95) -> Floats:
    """Return what each node was under for that share of the train part, ``[node]``; NaN if never read."""
    values = task.table.value[np.ix_(task.split.train, task.targets)]
    read = ~np.isnan(values).all(axis=0)
    found = np.full(task.nodes, np.nan)
    found[read] = np.nanquantile(values[:, read], level, axis=0)
    return found


def crossings(
    found: NDArray[np.floating], point: NDArray[np.floating], last: Floats, limit: Floats
) -> Crossings:
    """Judge forecasts of a rise above ``limit [batch]`` from below it, at each step of the horizon.

    Only samples whose last reading is below their limit count: no forecast is needed to see a high river.

    >>> came, told = np.array([[2.0], [2.0], [0.0]]), np.array([[3.0], [0.5], [1.5]])
    >>> rise = crossings(came, told, np.zeros(3), np.ones(3))
    >>> rise.happened.tolist(), rise.hit_rate.tolist(), rise.false_alarms.tolist()
    ([2], [0.5], [0.5])
    """
    low = (last < limit)[:, None] & ~np.isnan(found)
    came = low & (found >= limit[:, None])
    called = low & (point >= limit[:, None])
    hits, happened, told = (one.sum(axis=0) for one in (came & called, came, called))

    def share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> Floats:
        out: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
        return out

    return Crossings(happened=happened, hit_rate=share(hits, happened), false_alarms=share(told - hits, told))
