"""Why a forecaster says what it says, and whether the reasons it is given are the true ones.

Works through ``predict(window)`` alone: nets, packages and boosted trees alike. Shares are drawn by
``core.attribution``; here stand the task's names, and the test of faithfulness: hide the blocks of a
window one after the other, those first that the explanation says matter most. If it is true, the
forecast moves sooner than where they are hidden in random order (deletion curve: Samek et al., IEEE
TNNLS 28(11), 2017; for time series: Schlegel et al., ICCVW 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core import explanation
from nervure.core.attribution import Block, Game, Predict, game, shapley
from nervure.core.card import Metric
from nervure.core.error import DataError
from nervure.core.explanation import Explanation, Layout, blocks_of
from nervure.core.window import Window
from nervure.learn.task import ForecastTask, Samples, samples, windows

__all__ = ["Attribute", "Faithfulness", "case", "explain", "faithfulness", "layout", "nearest", "shares"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Attribute = Callable[[Game, int, int], Floats]  # game, blocks, seed -> importance [block]

_NEAR = 4  # nodes that are told apart where a model sees all at once
_LOOKED = 2000  # newest rows of the train part that say who is near
_BOOT = 2000  # resamplings of an interval


class Faithfulness(msgspec.Struct, frozen=True, kw_only=True):
    """How much sooner a forecast moves where blocks are hidden by importance than at random.

    ``area`` and ``random`` are the mean change of the forecast along the curve, towards what it is
    with all blocks hidden, in its unit; ``gain`` is how much more the first is, with its 95 % interval
    from ``low`` to ``high`` over the samples (bootstrap). ``curve`` and ``random_curve`` are the mean
    changes after each tenth of the blocks: ``[11]``.
    """

    area: float
    random: float
    gain: float
    low: float
    high: float
    samples: int
    blocks: int
    curve: tuple[float, ...]
    random_curve: tuple[float, ...]

    def rows(self, subject: str, *, kind: str = "deep", part: str = "test") -> list[Metric]:
        """Return the rows of a report."""
        values = {
            "deletion_area": self.area,
            "deletion_area_random": self.random,
            "deletion_gain": self.gain,
            "deletion_gain_low": self.low,
            "deletion_gain_high": self.high,
        }
        return [
            msgspec.convert(
                {"subject": subject, "kind": kind, "metric": name, "value": value, "part": part}, Metric
            )
            for name, value in values.items()
        ]


def layout(task: ForecastTask) -> Layout:
    """Return what the cells of the task's windows hold."""
    inputs = {one.signal: one for one in task.inputs if not one.neighbour and not one.back}
    return Layout(
        streams=task.names,
        channels=task.inputs,
        future=tuple(inputs[name] for name in task.problem.future),
        neighbours=tuple(tuple(row) for row in task.neighbours.tolist()),
        joint=task.joint,
        window=task.window,
        horizon=task.horizon,
        every_ns=task.table.every_ns,
        zone=task.zone,
        country=task.problem.calendar,
        unit=task.unit,
        median=task.median,
    )


def nearest(task: ForecastTask, node: int, count: int = _NEAR) -> tuple[int, ...]:
    """Return the nodes that go most with one: by the adjacency, else by correlation in the train part."""
    if task.adjacency is not None:
        close = task.adjacency[node].astype(np.float64)
    else:
        values = task.table.value[np.ix_(task.split.train[-_LOOKED:], task.targets)]
        known = np.isfinite(values)
        apart = np.where(known, values - np.nanmean(np.where(known.any(axis=0), values, 0.0), axis=0), 0.0)
        size = np.sqrt((apart**2).sum(axis=0))
        close = np.abs(apart.T @ apart[:, node]) / np.maximum(size * size[node], 1e-12)
    close[node] = -np.inf
    return tuple(int(one) for one in np.argsort(-close, kind="stable")[: min(count, task.nodes - 1)])


def case(task: ForecastTask, last: int, node: int, *, history: int | None = None) -> tuple[Window, int]:
    """Return the window of one forecast and the row it is about: one row, or one for every node."""
    nodes = np.arange(task.nodes) if task.joint else np.array([node])
    chosen = Samples(last=np.full(len(nodes), last, dtype=np.int64), node=nodes.astype(np.int64))
    return windows(task, chosen, history=history), node if task.joint else 0


def explain(
    task: ForecastTask,
    predict: Predict,
    *,
    last: int,
    node: int,
    history: int | None = None,
    detail: int = 6,
    orders: int = 32,
    seed: int = 0,
) -> Explanation:
    """Explain the forecast of a node from the row ``last`` of the task's table.

    ``task`` is the one that the forecaster's windows are cut from, and ``history`` its own where it
    looks further back. ``detail`` and ``orders`` are those of ``core.explanation.explain``.
    """
    if not 0 <= node < task.nodes or not 0 <= last < len(task.table.value):
        raise DataError(f"{task.solution}: there is no forecast of node {node} from row {last}")
    window, row = case(task, last, node, history=history)
    return explanation.explain(
        predict,
        window,
        _looking_back(task, history),
        slot=task.table.first + last,
        row=row,
        detail=detail,
        orders=orders,
        near=nearest(task, node) if task.joint else (),
        seed=seed,
    )


def _looking_back(task: ForecastTask, history: int | None) -> Layout:
    """Return the layout of windows that are ``history`` long."""
    return msgspec.structs.replace(layout(task), window=history or task.window)


def shares(play: Game, blocks: int, seed: int) -> Floats:
    """Return how important each block is: its Shapley value, the mean over the horizon ``[block]``."""
    found: Floats = shapley(play, blocks, seed=seed).value.mean(axis=1)
    return found


def faithfulness(
    task: ForecastTask,
    predict: Predict,
    chosen: Samples | None = None,
    *,
    most: int = 60,
    history: int | None = None,
    attribute: Attribute = shares,
    orders: int = 8,
    seed: int = 0,
) -> Faithfulness:
    """Hold the deletion curves of explanations against those of random orders, on test samples.

    Blocks are hidden one after the other, those first that hold the forecast where it is: that which
    raises a forecast that all blocks together raise, and the other way round. ``orders`` random
    orders stand beside each sample; ``most`` samples are taken, evenly, of the ``chosen``.
    """
    picked = samples(task, "test") if chosen is None else chosen
    picked = picked.take(np.unique(np.linspace(0, len(picked) - 1, min(most, len(picked))).astype(np.int64)))
    random = np.random.default_rng(seed)
    ours, others, blocks = [], [], 0
    for number, (last, node) in enumerate(zip(picked.last.tolist(), picked.node.tolist(), strict=True)):
        window, row = case(task, last, node, history=history)
        near = nearest(task, node) if task.joint else ()
        parts = [one.block for one in blocks_of(window, _looking_back(task, history), row=row, near=near)]
        play = game(predict, window, parts, row=row, median=task.median)
        ends = play(np.array([[True] * len(parts), [False] * len(parts)])).mean(axis=1)
        side = 1.0 if ends[0] >= ends[1] else -1.0
        first = np.argsort(-side * attribute(play, len(parts), seed + number), kind="stable")
        drawn = [first, *(random.permutation(len(parts)) for _ in range(orders))]
        curves = side * (ends[0] - _curves(play, drawn, parts))
        ours.append(curves[0])
        others.append(curves[1:].mean(axis=0))
        blocks = len(parts)
    return _judged(np.array(ours), np.array(others), blocks, random)


def _curves(play: Game, orders: Sequence[Longs], blocks: Sequence[Block]) -> Floats:
    """Return the forecast after hiding none, one, ... all blocks in each order: ``[order, block + 1]``."""
    place = np.argsort(np.array(orders), axis=1)
    known = place[:, None, :] >= np.arange(len(blocks) + 1)[None, :, None]
    found: Floats = play(known.reshape(-1, len(blocks))).mean(axis=1)
    return found.reshape(len(orders), -1)


def _judged(ours: Floats, others: Floats, blocks: int, random: np.random.Generator) -> Faithfulness:
    """Sum curves ``[sample, block + 1]`` up; the ends, alike in all orders, do not count."""
    inner = slice(1, -1) if blocks > 1 else slice(None)
    area, plain = ours[:, inner].mean(axis=1), others[:, inner].mean(axis=1)
    again = random.integers(0, len(area), (_BOOT, len(area)))
    gains = (area - plain)[again].mean(axis=1)
    tenths = np.linspace(0, blocks, 11)
    steps = np.arange(blocks + 1)
    return Faithfulness(
        area=float(area.mean()),
        random=float(plain.mean()),
        gain=float((area - plain).mean()),
        low=float(np.quantile(gains, 0.025)),
        high=float(np.quantile(gains, 0.975)),
        samples=len(area),
        blocks=blocks,
        curve=tuple(np.interp(tenths, steps, ours.mean(axis=0)).tolist()),
        random_curve=tuple(np.interp(tenths, steps, others.mean(axis=0)).tolist()),
    )
