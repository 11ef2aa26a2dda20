"""A trained net takes up sensors it was never shown, from the few readings they have given.

What the net knows of a node is a row in its tables: seasonal profile, scale, plainer forecasts,
calibration, an embedding. A new sensor's rows are borrowed from those known ones that it resembles
most: over the days it has been read it is held against what they read at the same time (at another
site: against their profiles), and a profile of its own is shrunk towards theirs. How much of its
forecast is then the net's, and how wide its bands must be, is settled on the known sensors, each in
turn taken for a stranger read as long. No weight is learnt anew; :mod:`nervure.learn.fine_tune` goes
on from there where a week is known. Borrowing by resemblance: cold start in global forecasting
models, Salinas et al. (DeepAR), Int. J. Forecasting 36(3), 2020; shrinkage: James & Stein, 1961.
"""

from __future__ import annotations

import copy
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.core.calendar import calendar
from nervure.core.error import DataError, ModelError
from nervure.core.window import Window
from nervure.learn.anchor import keys, per_day
from nervure.learn.blend import PlainBlend
from nervure.learn.calibrate import mixture, stretches
from nervure.learn.frame import Frame
from nervure.learn.task import ForecastTask, Samples, samples, thin, truth, windows
from nervure.learn.train import Trained, predict

__all__ = ["Admitted", "admit"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_KIN = 5  # known nodes that a new one borrows from
_LEAST = 3  # readings of which something can be said
_OWN_DAYS = 3.0  # days whose own course weighs as much as the borrowed one
_SLOPES = (0.3, 3.0)  # a borrowed course is made so much flatter or steeper at most
_OFF_GRAPH = 0.7  # what the correlation of two nodes without an edge counts
_JUDGED = 3000  # windows that settle how strangers are foreseen
_FACTS = ("past_mean", "past_scale", "ahead_mean", "ahead_scale", "stretch")


class _Kin(NamedTuple):
    """What a node's rows are made of: ``mix [known]`` adds up to one, ``table [slot]``, its scale."""

    mix: Floats
    table: Floats
    scale: float


class _Known(NamedTuple):
    """The known nodes over the rows that a new one was read in: ``course [row, node]``.

    That is what they read then, or their profile where the site is another; ``width [node]`` is the
    standard deviation that belongs to it, and ``lenders [node]`` are those that may be borrowed from.
    """

    course: Floats
    width: Floats
    lenders: NDArray[np.bool_]


def admit(trained: Trained, task: ForecastTask, rows: Longs) -> Trained:
    """Return the trained net for the streams of ``task``, those too that it was never shown.

    Streams with a name it knows keep what they have. Of the others only ``rows`` of the table are
    looked at (there may be none), and they need not be of the same site. The result's own task cuts
    its windows; it can be packaged like any other. Raises ``ModelError`` for nets that see all
    nodes at once, ``DataError`` where the task's signals are others.
    """
    if trained.task.joint:
        raise ModelError(
            f"{trained.model} sees all sensors at once and cannot take up another",
            hint="train it anew, or use a model that looks at each by itself",
        )
    viewed = _look(trained.task, task, rows)
    frame = copy.deepcopy(trained.module)
    new = [node for node, name in enumerate(viewed.names) if name not in trained.task.names]
    _resize(frame, viewed, _kin(frame, trained.task, viewed, rows))
    if new:
        here = len(new) < viewed.nodes
        weight, stretch = _settled(trained, len(rows), here=here)
        frame.stretch[new] = stretch
        if isinstance(frame.blend, PlainBlend):
            frame.blend.weight[new] = weight
    chosen = Samples(
        last=np.full(viewed.nodes, max(len(task.table.value) - task.horizon - 1, 0), dtype=np.int64),
        node=np.arange(viewed.nodes, dtype=np.int64),
    )
    try:
        sound = bool(np.isfinite(predict(frame, windows(viewed, chosen))).all())
    except (IndexError, RuntimeError) as cause:
        raise ModelError(f"{trained.model} keeps something of each sensor that cannot be lent") from cause
    if not sound:
        raise ModelError(f"{trained.model} has no finite forecast for the new sensors")
    return msgspec.structs.replace(
        trained, task=viewed, module=frame, parameters=sum(one.numel() for one in frame.parameters())
    )


def _look(known: ForecastTask, task: ForecastTask, rows: Longs) -> ForecastTask:
    """Return the task with the channels that the net was trained to look at."""
    own = [one for one in known.inputs if not one.back and not one.neighbour]
    same = [one.signal for one in task.inputs] == [one.signal for one in own]
    sizes = ("window", "horizon", "quantiles", "blind")
    if not same or any(getattr(known, one) != getattr(task, one) for one in sizes):
        raise DataError(
            f"{task.solution}: the net was trained on {', '.join(one.signal for one in own)},"
            f" {known.window} slots for {known.horizon}",
            hint="pose the same problem on the new site",
        )
    if known.table.every_ns != task.table.every_ns:
        raise DataError(f"{task.solution}: the net was trained on readings of another interval")
    near = _neighbours(known, task, rows, known.neighbours.shape[1])
    more = [
        task.targets[near[:, one.neighbour - 1]] if one.neighbour else task.targets
        for one in known.inputs[len(own) :]
    ]
    return msgspec.structs.replace(
        task,
        channels=np.concatenate([task.channels, *(one[:, None] for one in more)], axis=1),
        inputs=(*task.inputs, *known.inputs[len(own) :]),
        neighbours=near,
    )


def _neighbours(known: ForecastTask, task: ForecastTask, rows: Longs, count: int) -> Longs:
    """Return each node's neighbours: a known one's own, a new one's by what both were read to be."""
    place = {name: node for node, name in enumerate(task.names)}
    before = {name: node for node, name in enumerate(known.names)}
    settled = np.array([one in before for one in task.names])
    close = _alike(task, rows)
    if settled.any():  # of a known one more can be said
        close[:, ~settled] -= 2.0
    np.fill_diagonal(close, -np.inf)
    order = np.argsort(-close, axis=1, kind="stable")
    near = order[:, np.minimum(np.arange(count), max(0, task.nodes - 2))]
    for name, node in place.items():
        if name in before:
            theirs = [known.names[one] for one in known.neighbours[before[name]]]
            if all(one in place for one in theirs):
                near[node] = [place[one] for one in theirs]
    return near.astype(np.int64).reshape(task.nodes, count)


def _alike(task: ForecastTask, rows: Longs) -> Floats:
    """Return how much two nodes go together over some rows, 0 to 1: ``[node, node]``."""
    value = task.table.value[np.ix_(rows, task.targets)]
    known = np.isfinite(value)
    mean = np.where(known, value, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    apart = np.where(known, value - mean, 0.0)
    size = np.sqrt((apart**2).sum(axis=0))
    close = np.abs(apart.T @ apart) / np.maximum(np.outer(size, size), 1e-12)
    if task.adjacency is not None:
        edge = (task.adjacency > 0) | (task.adjacency.T > 0)
        close = np.where(edge, np.maximum(close, 0.05), _OFF_GRAPH * close)
    return np.asarray(close)


def _kin(
    frame: Frame,
    known: ForecastTask,
    task: ForecastTask,
    rows: Longs,
    *,
    strange: bool = False,
    here: bool = True,
) -> list[_Kin]:
    """Return for each node of the task what its rows are made of.

    Where all are taken as ``strange``, the task is the known one: none is lent what is its own.
    ``here`` tells that known nodes can be held against what they read at the same time.
    """
    table = frame.table.detach().numpy().astype(np.float64)
    scale = frame.scale.detach().numpy().astype(np.float64)
    days = calendar(
        task.zone, task.problem.calendar, task.table.every_ns, task.table.first, len(task.table.value)
    )
    slot = keys(days[rows], task.table.every_ns)
    held = _held(known, task, rows, table[:, slot].T, here=here)
    before = {name: node for node, name in enumerate(known.names)}
    fine = per_day(task.table.every_ns)
    found = []
    for node, name in enumerate(task.names):
        one = before.get(name, -1)
        if one >= 0 and not strange:
            found.append(_Kin(np.eye(len(scale))[one], table[one], float(scale[one])))
            continue
        value = task.table.value[rows, task.targets[node]]
        read = np.isfinite(value)
        lenders = np.arange(len(scale)) != one if len(scale) > 1 else np.ones(1, dtype=bool)
        if read.sum() < _LEAST:
            equal = lenders / lenders.sum()
            found.append(_Kin(equal, equal @ table, float(equal @ scale)))
        else:
            there = _Known(held.course[read], held.width, lenders)
            found.append(_resemble(value[read], slot[read], there, table, scale, fine))
    return found


def _held(known: ForecastTask, task: ForecastTask, rows: Longs, profile: Floats, *, here: bool) -> _Known:
    """Return what a new node is held against; ``profile [row, node]`` is what the known ones are usually."""
    course = profile.copy()
    place = {name: node for node, name in enumerate(task.names)} if here else {}
    width = np.empty(known.nodes)
    for node, name in enumerate(known.names):
        read = task.table.value[rows, task.targets[place[name]]] if name in place else np.empty(0)
        there = np.isfinite(read)
        if len(rows) and there.sum() >= max(_LEAST, len(rows) / 2):
            course[:, node] = np.where(there, read, np.nanmean(read))
            width[node] = read[there].std()
        else:
            width[node] = _typical(known, node, max(len(rows), _LEAST))
    return _Known(course, np.maximum(width, 1e-9), np.ones(known.nodes, dtype=bool))


def _settled(trained: Trained, length: int, *, here: bool) -> tuple[Tensor, Tensor]:
    """Return the blend ``[horizon, candidate]`` and stretch ``[horizon, quantile]`` of strangers.

    Every known node is taken for one that has been read over so many rows before the validation
    part, and lent what the others have: so it is seen what such forecasts are worth.
    """
    task = trained.task
    first = int(task.split.validation[0])
    rows = np.arange(max(0, first - length), first, dtype=np.int64)
    frame = copy.deepcopy(trained.module)
    _resize(frame, task, _kin(frame, task, task, rows, strange=True, here=here))
    chosen = thin(task, samples(task, "validation"), _JUDGED)
    window, real = _since(task, chosen, first - length), truth(task, chosen).astype(np.float64)
    unit = frame.scale.numpy()[chosen.node].astype(np.float64)[:, None]
    frame.stretch.fill_(1.0)
    weight = torch.empty(0)
    if isinstance(frame.blend, PlainBlend):
        start = frame.blend.weight.mean(dim=0).numpy().astype(np.float64)
        parts = []
        for place in range(start.shape[1]):  # each candidate in turn, as if it were all
            frame.blend.weight.zero_()
            frame.blend.weight[:, :, place] = 1.0
            parts.append(predict(frame, window)[:, :, task.median] / unit)
        weight = torch.tensor(mixture(np.stack(parts, axis=2), real / unit, start, 1.0), dtype=torch.float32)
        frame.blend.weight[:] = weight
    stretch = stretches(
        predict(frame, window).astype(np.float64), real, np.zeros(len(chosen), np.int64),
        np.ones(len(chosen)), median=task.median, quantiles=task.quantiles, nodes=1,
    )  # fmt: skip
    return weight, torch.tensor(stretch[0], dtype=torch.float32)


def _since(task: ForecastTask, chosen: Samples, first: int) -> Window:
    """Return the windows as if each sensor of its own had been there from row ``first`` on only."""
    window = windows(task, chosen)
    x = window.x.copy()
    row = chosen.last[:, None] + np.arange(1 - x.shape[1], 1)
    for place, one in enumerate(task.inputs):
        if not one.neighbour and not one.shared:
            x[:, :, place][row - one.back < first] = np.nan
    return msgspec.structs.replace(window, x=x)


def _typical(known: ForecastTask, node: int, length: int) -> float:
    """Return the standard deviation of a known node over so many rows, the median of its train part."""
    value = known.table.value[known.split.train, known.targets[node]]
    count = max(1, len(value) // length)
    parts = [part[np.isfinite(part)] for part in np.array_split(value, count)]
    spread = [float(part.std()) for part in parts if len(part) >= _LEAST]
    return float(np.median(spread)) if spread else 1.0


def _resemble(value: Floats, slot: Longs, held: _Known, table: Floats, scale: Floats, fine: int) -> _Kin:
    """Make a node's rows from readings ``[row]`` at slots of the week, and those it resembles."""
    middle = held.course.mean(axis=0)
    apart, course = value - value.mean(), held.course - middle
    ratio = max(float(value.std()), 1e-9) / held.width
    varied = (course**2).sum(axis=0)
    slope = (apart @ course) / np.maximum(varied, 1e-12)
    weight = len(value) / (len(value) + fine)  # a day weighs as much as the ratio of the spreads
    slope = np.where(varied > 1e-9 * held.width**2, weight * slope + (1 - weight) * ratio, ratio)
    slope = np.clip(slope, _SLOPES[0] * ratio, _SLOPES[1] * ratio)
    left = apart[:, None] - slope * course
    error = np.abs(left).mean(axis=0) + 1e-3 * (np.abs(apart).mean() + 1e-9)
    mix = np.zeros(len(scale))
    nearest = np.argsort(np.where(held.lenders, error, np.inf), kind="stable")
    nearest = nearest[: min(_KIN, int(held.lenders.sum()))]
    mix[nearest] = 1 / error[nearest] ** 2
    mix /= mix.sum()
    profile = value.mean() + mix @ (slope[:, None] * (table - middle[:, None]))
    own = _course(left @ mix, slot % fine, fine)
    return _Kin(mix, profile + np.tile(own, 7), float(mix @ (ratio * scale)))


def _course(left: Floats, slot: Longs, fine: int) -> Floats:
    """Return what the readings show beyond the borrowed course at each slot of the day, shrunk: ``[slot]``.

    Slots of an hour are taken together.
    """
    total = np.bincount(slot, left, minlength=fine)
    count = np.bincount(slot, minlength=fine).astype(np.float64)
    side = max(0, fine // 48)
    reach = range(-side, side + 1)
    total = np.sum([np.roll(total, one) for one in reach], axis=0)
    count = np.sum([np.roll(count, one) for one in reach], axis=0)
    days = count / len(reach)
    found: Floats = total / np.maximum(count, 1) * days / (days + _OWN_DAYS)
    return found


def _resize(frame: Frame, task: ForecastTask, kin: list[_Kin]) -> None:
    """Give every table that has a row for each node the rows of the new nodes."""
    mix = torch.tensor(np.stack([one.mix for one in kin]), dtype=torch.float32)
    frame.table = torch.tensor(np.stack([one.table for one in kin]), dtype=torch.float32)
    frame.scale = torch.tensor([one.scale for one in kin], dtype=torch.float32)
    frame.near = torch.from_numpy(task.neighbours.copy())
    for name in _FACTS:
        setattr(frame, name, _mixed(mix, frame.get_buffer(name)))
    if isinstance(frame.blend, PlainBlend):
        frame.blend.weight = _mixed(mix, frame.blend.weight)
        if len(frame.blend.linear) > 1:  # else one serves all
            frame.blend.linear = _mixed(mix, frame.blend.linear)
    for module in frame.modules():
        node = getattr(module, "node", None)
        if isinstance(node, nn.Embedding) and node.num_embeddings == frame.sizes.nodes:
            module.node = nn.Embedding(
                len(mix), node.embedding_dim, _weight=_mixed(mix, node.weight.detach())
            )
    frame.sizes = msgspec.structs.replace(frame.sizes, nodes=task.nodes)


def _mixed(mix: Tensor, rows: Tensor) -> Tensor:
    """Return ``mix [new, known] @ rows [known, ...]``."""
    return torch.einsum("nk,k...->n...", mix, rows.float())


class Admitted:
    """A net that has taken up new sensors, as a forecaster that is fitted already."""

    kind: Literal["deep"] = "deep"

    def __init__(self, trained: Trained, name: str | None = None) -> None:
        self.name = name or trained.model
        self.history = trained.task.window
        self.trained = trained

    def view(self, task: ForecastTask) -> ForecastTask:
        """Return the net's own task, on the readings of this one."""
        return msgspec.structs.replace(self.trained.task, table=task.table, split=task.split)

    def fit(self, task: ForecastTask) -> Admitted:
        """Return itself: it was fitted before."""
        return self

    def predict(self, window: Window) -> NDArray[np.float32]:
        """Foresee with the net: ``[batch, horizon, quantile]``."""
        return predict(self.trained.module, window)
