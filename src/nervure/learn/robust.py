"""What faulty sensors cost: the same forecasts again from windows that lost or falsified readings.

A forecaster is fitted on the data as they are and asked twice, about whole windows and about damaged
ones; the damage is drawn by a seed and is the same for every forecaster that looks back as far.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.card import Metric
from nervure.core.instant import DAY_NS
from nervure.core.window import Window
from nervure.learn.evaluate import AVERAGE, forecast
from nervure.learn.split import Part
from nervure.learn.task import Forecaster, ForecastTask, Samples, samples, thin, truth

__all__ = ["DAMAGES", "Damage", "Damaged", "harm", "robustness", "struck"]

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

_MOST = 4000  # samples that are asked about
_GROUPS = 8  # parts of the nodes that fail one after the other where a model sees all at once


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of damage, its name in tables, and by how many percent the MAE may rise.

    ``missing``: a ``share`` of all readings is lost, of every channel and of what is known ahead.
    The other kinds befall the sensor that is foreseen, over the newest ``span_ns``: ``dead`` says
    nothing, ``stuck`` repeats its first reading and is not found out, ``biased`` reads too much or
    too little by a ``share`` of its window's standard deviation.
    """

    name: str
    kind: Literal["missing", "dead", "stuck", "biased"]
    share: float = 0.3
    span_ns: int = DAY_NS
    goal: float | None = None

    @property
    def own(self) -> bool:
        """Whether it befalls the sensor that is foreseen, and no other."""
        return self.kind != "missing"


DAMAGES = (
    Damage(name="missing_30", kind="missing", share=0.3, goal=10.0),
    Damage(name="dead_24h", kind="dead", goal=25.0),
    Damage(name="stuck_24h", kind="stuck"),
    Damage(name="biased_24h", kind="biased", share=0.5),
)


class Damaged:
    """A fitted forecaster whose windows are damaged before it sees them."""

    def __init__(
        self, forecaster: Forecaster, task: ForecastTask, damage: Damage, *, seed: int = 0, group: int = 0
    ) -> None:
        self.name = f"{forecaster.name}, {damage.name}"
        self.kind: Literal["baseline", "deep", "peer"] = forecaster.kind
        self.history = forecaster.history
        self._forecaster, self._task, self._damage = forecaster, task, damage
        self._random = np.random.default_rng(seed)
        self._group = group

    def fit(self, task: ForecastTask) -> Damaged:
        """Return itself: it was fitted before."""
        return self

    def view(self, task: ForecastTask) -> ForecastTask:
        """Return the task that the forecaster's windows are cut from."""
        return self._forecaster.view(task)

    def predict(self, window: Window) -> Floats:
        """Damage a copy of the windows and foresee from that: ``[batch, horizon, quantile]``."""
        hit = np.ones(len(window.node), dtype=bool)
        if self._damage.own:
            hit = struck(self._task, window.node, self._group)
        return self._forecaster.predict(harm(self._task, window, self._damage, hit, self._random))


def struck(task: ForecastTask, node: NDArray[np.int64], group: int) -> Flags:
    """Return which rows fail together: all, for where each row stands alone; else a part of the nodes."""
    if not task.joint:
        return np.ones(len(node), dtype=bool)
    found: Flags = node % _groups(task) == group
    return found


def _groups(task: ForecastTask) -> int:
    return min(_GROUPS, task.nodes) if task.joint else 1


def harm(
    task: ForecastTask, window: Window, damage: Damage, hit: Flags, random: np.random.Generator
) -> Window:
    """Return a damaged copy of the windows; ``hit [row]`` says whose own sensor fails."""
    x = window.x.copy()
    if damage.kind == "missing":
        x[random.random(x.shape, dtype=np.float32) < damage.share] = np.nan
        ahead = window.ahead
        if ahead is not None:
            lost = random.random(ahead.shape, dtype=np.float32) < damage.share
            ahead = np.where(lost, np.float32(np.nan), ahead)
        return msgspec.structs.replace(window, x=x, ahead=ahead)
    off = damage.share * _spread(x[:, :, 0]) * random.choice([-1.0, 1.0], len(x)).astype(np.float32)
    for place, start in _own(task, x.shape[1], max(1, damage.span_ns // task.table.every_ns)):
        part = x[:, start:, place]
        if damage.kind == "dead":
            false = np.full_like(part, np.nan)
        elif damage.kind == "stuck":
            false = np.broadcast_to(_first(part), part.shape)
        else:
            false = part + off[:, None]
        x[:, start:, place] = np.where(hit[:, None], false, part)
    return msgspec.structs.replace(window, x=x)


def _own(task: ForecastTask, length: int, span: int) -> list[tuple[int, int]]:
    """Return the channels of the own sensor, and from where on each lies in the newest ``span``.

    Channels that show own readings of earlier slots are the same sensor's.
    """
    return [
        (place, max(0, length - (span - channel.back)))
        for place, channel in enumerate(task.inputs)
        if channel.signal == task.problem.of and not channel.neighbour and channel.back < span
    ]


def _spread(own: Floats) -> Floats:
    """Return the standard deviation of each row of ``[batch, time]``, 0 where nothing was read."""
    known = np.isfinite(own)
    count = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, own, 0).sum(axis=1) / count
    found: Floats = np.sqrt((np.where(known, own - mean[:, None], 0) ** 2).sum(axis=1) / count)
    return found


def _first(part: Floats) -> Floats:
    """Return the first reading of each row of ``[batch, time]``, NaN where there is none."""
    place = np.isfinite(part).argmax(axis=1)
    found: Floats = part[np.arange(len(part)), place][:, None]
    return found


def robustness(
    task: ForecastTask,
    forecaster: Forecaster,
    *,
    chosen: Samples | None = None,
    damages: Sequence[Damage] = DAMAGES,
    part: Part = "test",
    most: int = _MOST,
    seed: int = 0,
) -> list[Metric]:
    """Return the MAE of a fitted forecaster from whole and from damaged windows, on the same samples.

    For each damage there are rows ``MAE_<damage>`` and ``MAE_<damage>_rise``, the rise in percent of
    ``MAE_complete``. Where a model sees all nodes at once, a part of them fails at a time and is
    judged while the others go on.
    """
    viewed = forecaster.view(task)
    picked = thin(viewed, samples(viewed, part) if chosen is None else chosen, most)
    found = truth(viewed, picked)
    whole = _mae(found, forecast(task, forecaster, picked)[:, :, task.median])
    rows = [("MAE_complete", whole)]
    for damage in damages:
        error, count = 0.0, 0
        for group in range(_groups(viewed) if damage.own else 1):
            damaged = Damaged(forecaster, viewed, damage, seed=seed, group=group)
            y = forecast(task, damaged, picked)[:, :, task.median]
            mine = struck(viewed, picked.node, group) if damage.own else np.ones(len(picked), dtype=bool)
            away = np.abs(found[mine] - y[mine]).astype(np.float64)
            error, count = error + float(np.nansum(away)), count + int((~np.isnan(away)).sum())
        mae = error / max(1, count)
        rows += [(f"MAE_{damage.name}", mae), (f"MAE_{damage.name}_rise", 100 * (mae / whole - 1))]
    return [
        Metric(subject=forecaster.name, kind=forecaster.kind, metric=name, value=value, horizon=AVERAGE)
        for name, value in rows
    ]


def _mae(found: Floats, y: Floats) -> float:
    return float(np.nanmean(np.abs(found - y).astype(np.float64)))
