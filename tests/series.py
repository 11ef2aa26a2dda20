"""A small task with a known answer: streams with a day, a week, a level and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nervure.core.card import Channel
from nervure.core.instant import HOUR_NS
from nervure.core.problem import Forecast
from nervure.core.window import Table
from nervure.learn.split import by_time
from nervure.learn.task import ForecastTask

__all__ = ["NOISE", "weekly_task"]

NOISE = 0.5


def _values(rows: int, nodes: int, *, effect: float, seed: int) -> NDArray[np.float64]:
    """Return the streams, then the driver: ``[slot, node + 1]``."""
    random = np.random.default_rng(seed)
    hours = np.arange(rows)
    weather = np.cumsum(random.normal(0, 0.3, rows))
    columns = []
    for node in range(nodes):
        course = 3 * np.sin(2 * np.pi * hours / 24 + node) + 2 * (hours // 24 % 7 >= 5)
        columns.append(20 + 5 * node + course + effect * weather + random.normal(0, NOISE, rows))
    value = np.stack([*columns, weather], axis=1)
    value[random.random(value.shape) < 0.02] = np.nan
    return value


def weekly_task(
    *, weeks: int = 12, nodes: int = 3, window: int = 48, horizon: int = 6, ahead: bool = False, seed: int = 0
) -> ForecastTask:
    """Return a task on hourly streams ``a, b, ...`` with a driver, some gaps, and noise of ``NOISE``."""
    value = _values(weeks * 168, nodes, effect=1.5 if ahead else 0.0, seed=seed)
    names = tuple(f"{chr(97 + node)}/load" for node in range(nodes))
    drivers = ("weather",)
    problem = Forecast(
        of="load",
        horizon=f"{horizon}h",
        window=f"{window}h",
        past=() if ahead else drivers,
        future=drivers * ahead,
    )
    third = len(value) // 6
    return ForecastTask(
        solution="toy",
        problem=problem,
        table=Table(streams=(*names, "weather"), first=447_000, every_ns=HOUR_NS, value=value),
        names=names,
        targets=np.arange(nodes),
        channels=np.stack([np.arange(nodes), np.full(nodes, nodes)], axis=1),
        inputs=(Channel(signal="load"), Channel(signal="weather", shared=True)),
        ahead=np.full((nodes, int(ahead)), nodes),
        split=by_time((0, len(value) - 2 * third, len(value) - third, len(value))),
        zone="Europe/Rome",
        window=window,
        horizon=horizon,
        unit="L/s",
        low=0.0,
        high=100.0,
        report_at=(1, horizon),
        seed=seed,
    )
