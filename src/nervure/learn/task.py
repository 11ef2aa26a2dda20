"""A forecasting task: the table, what to foresee, from what, and which rows are whose.

Models and baselines take their samples from here, so all are judged on the same windows, and
windows are cut by the same code as in live scoring (``core.window``, ``core.calendar``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.calendar import calendar
from nervure.core.card import Channel
from nervure.core.error import DataError, DeclarationError
from nervure.core.problem import Forecast, steps
from nervure.core.window import Table, Window, gather
from nervure.learn.dataset import Dataset
from nervure.learn.split import Part, Split, allowed, by_time, check, cuts_of

__all__ = [
    "ForecastTask",
    "Forecaster",
    "Plain",
    "Samples",
    "batches",
    "fitting",
    "pose",
    "rounds",
    "samples",
    "some",
    "thin",
    "truth",
    "widen",
    "windows",
]

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

_CELLS = 2_000_000  # numbers that the windows cut at a time may hold, with their calendars


class ForecastTask(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a forecaster needs.

    ``targets [node]`` and ``channels [node, channel]`` are columns of the table; channel 0 is the
    target itself and ``inputs`` says what each channel is. ``ahead [node, driver]`` are the
    columns of drivers that are known over the horizon too (a weather forecast); it is empty when
    there are none. ``window`` and ``horizon`` count slots of ``table.every_ns``. ``low`` and
    ``high`` are what is physically possible.

    A channel may lie some slots back or belong to one of ``neighbours [node, neighbour]``
    (:func:`widen`). In a ``joint`` task samples come in whole rounds, all nodes of one time. A
    ``blind`` task shows nothing of the target's own past, as where a month is foreseen at once.
    ``places [node, 2]`` are longitude and latitude, NaN where nobody said; none at all is as good.
    """

    solution: str
    problem: Forecast
    table: Table
    names: tuple[str, ...]
    targets: Longs
    channels: Longs
    inputs: tuple[Channel, ...]
    ahead: Longs
    split: Split
    zone: str
    window: int
    horizon: int
    unit: str = ""
    low: float | None = None
    high: float | None = None
    report_at: tuple[int, ...] = ()
    adjacency: Floats | None = None
    neighbours: Longs = msgspec.field(default_factory=lambda: np.empty((0, 0), dtype=np.int64))
    joint: bool = False
    blind: bool = False
    places: NDArray[np.float64] = msgspec.field(default_factory=lambda: np.empty((0, 2)))
    seed: int = 0

    @property
    def back(self) -> Longs:
        """By how many slots each channel lies earlier than the window, ``[channel]``."""
        return np.array([one.back for one in self.inputs], dtype=np.int64)

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The quantiles asked for, rising, with 0.5 among them."""
        return self.problem.quantiles

    @property
    def median(self) -> int:
        """The place of the median among the quantiles."""
        return self.quantiles.index(0.5)

    @property
    def nodes(self) -> int:
        """How many streams are foreseen."""
        return len(self.targets)


class Samples(msgspec.Struct, frozen=True, kw_only=True):
    """Which windows: the row of the table each ends with, and the node it is about, ``[batch]``."""

    last: Longs
    node: Longs

    def __len__(self) -> int:
        return len(self.last)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Samples:
        """Return the samples chosen."""
        return Samples(last=self.last[rows], node=self.node[rows])


@runtime_checkable
class Forecaster(Protocol):
    """What a baseline, a deep model and a peer have in common.

    ``predict`` sees nothing but a window of ``history`` slots (the task's own ``window``, or more
    for a baseline that looks further back), so it cannot look ahead; it gives ``[batch, horizon,
    quantile]``, quantiles not falling, finite even where readings are missing, and leaves the
    forecaster as it was.
    """

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def kind(self) -> Literal["baseline", "deep", "peer"]:
        """Whether it is one of the plain ones."""
        ...

    @property
    def history(self) -> int:
        """How many slots of the past a window must hold, known once it is fitted."""
        ...

    def view(self, task: ForecastTask) -> ForecastTask:
        """Return the task as this forecaster looks at it: its windows are cut from that."""
        ...

    def fit(self, task: ForecastTask) -> Forecaster:
        """Learn from the train part; the validation part may be used to choose and to calibrate."""
        ...

    def predict(self, window: Window) -> Floats:
        """Foresee the horizon of each window: ``[batch, horizon, quantile]``."""
        ...


class Plain:
    """What forecasters share that look at nothing but the task's own channels."""

    def view(self, task: ForecastTask) -> ForecastTask:
        """Return the task as it is."""
        return task


def pose(
    dataset: Dataset, problem: str | Forecast | None = None, *, split: Split | None = None, seed: int = 0
) -> ForecastTask:
    """Pose a solution's forecast problem (by name, the first, or one of your own) on its data.

    The split is the declared one unless another is given; one that leaks is refused.
    """
    solution, table = dataset.solution, dataset.table
    asked = problem if isinstance(problem, Forecast) else _forecast(dataset, problem)
    signal = solution.signal(asked.of)
    every = signal.every_ns
    where = f"{solution.name} {asked.name}"
    place = {name: column for column, name in enumerate(table.streams)}
    things = [thing.name for thing in dataset.things if f"{thing.name}/{asked.of}" in place]
    names = [f"{thing}/{asked.of}" for thing in things] or [asked.of]
    inputs = (asked.of, *asked.past, *(name for name in asked.future if name not in asked.past))
    channels = _columns(place, things, inputs, where)
    report = solution.data.report_at if solution.data else ()
    return ForecastTask(
        solution=solution.name,
        problem=asked,
        table=table,
        names=tuple(names),
        targets=channels[:, 0].copy(),
        channels=channels,
        inputs=tuple(Channel(signal=name, shared=solution.signal(name).site) for name in inputs),
        ahead=_columns(place, things, asked.future, where),
        split=check(split or _declared(dataset)),
        zone=dataset.zone,
        window=steps(asked.window, every, where=f"{where}.window", at_least=3),
        horizon=steps(asked.horizon, every, where=f"{where}.horizon"),
        unit=signal.unit,
        low=signal.low,
        high=signal.high,
        report_at=tuple(steps(text, every, where=f"{where}.report_at") for text in report),
        adjacency=dataset.adjacency if len(things) == len(dataset.things) else None,
        places=_places(dataset, things or [""]),
        seed=seed,
    )


def _places(dataset: Dataset, things: list[str]) -> NDArray[np.float64]:
    known = {thing.name: thing.location for thing in dataset.things}
    return np.array([known.get(thing) or (np.nan, np.nan) for thing in things], dtype=np.float64)


def _declared(dataset: Dataset) -> Split:
    source, table = dataset.solution.data, dataset.table
    parts = source.split if source else (0.7, 0.1, 0.2)
    return by_time(cuts_of(parts, len(table.value), table.every_ns))


def _forecast(dataset: Dataset, name: str | None) -> Forecast:
    for problem in dataset.solution.problems:
        if isinstance(problem, Forecast) and name in (None, problem.name):
            return problem
    known = ", ".join(problem.name for problem in dataset.solution.problems if isinstance(problem, Forecast))
    raise DeclarationError(
        f"{dataset.solution.name}: no forecast {name!r}", hint=f"declared are: {known or 'none'}"
    )


def _columns(place: dict[str, int], things: list[str], signals: tuple[str, ...], where: str) -> Longs:
    """Return the table's columns ``[node, signal]``: each Thing's own, else the site's."""
    rows = []
    for thing in things or [""]:
        row = [place.get(f"{thing}/{name}", place.get(name, -1)) for name in signals]
        if -1 in row:
            missing = signals[row.index(-1)]
            raise DataError(f"{where}: the data hold no stream {missing!r} for {thing or 'the site'}")
        rows.append(row)
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(signals))


def samples(task: ForecastTask, part: Part, *, stride: int = 1) -> Samples:
    """Return the samples of a part in order of time, then node, every ``stride`` slots.

    A sample whose target has no reading at all is left out; the others may still have NaN in it. Of
    a joint task a time is left out only if no node was read.
    """
    rows = len(task.table.value)
    reach = task.window + int(task.back.max(initial=0))
    last = allowed(task.split, part, rows, window=task.window, horizon=task.horizon, reach=reach)[::stride]
    if not len(last):
        span = f"window {task.window} + horizon {task.horizon}"
        raise DataError(
            f"{task.solution}: the {part} part holds no sample of {span}",
            hint="use a longer part, or a shorter window",
        )
    known = ~np.isnan(task.table.value[:, task.targets])
    total = np.concatenate([np.zeros((1, task.nodes), np.int64), np.cumsum(known, axis=0)])
    some = total[last + task.horizon + 1] > total[last + 1]
    if task.joint:
        return rounds(task, last[some.any(axis=1)])
    row, node = np.nonzero(some)
    return Samples(last=last[row], node=node.astype(np.int64))


def rounds(task: ForecastTask, last: Longs) -> Samples:
    """Return the samples of all nodes, in their order, for each of the rows ``last``."""
    return Samples(last=np.repeat(last, task.nodes), node=np.tile(np.arange(task.nodes), len(last)))


def thin(task: ForecastTask, chosen: Samples, most: int) -> Samples:
    """Return at most about ``most`` of the samples, evenly spaced; of a joint task whole rounds."""
    each = task.nodes if task.joint else 1
    count = len(chosen) // each
    kept = np.unique(np.linspace(0, count - 1, max(1, min(count, most // each))).astype(np.int64))
    return chosen.take((kept[:, None] * each + np.arange(each)).ravel())


def some(task: ForecastTask, chosen: Samples, most: int) -> Samples:
    """Return at most about ``most`` of the samples in their order, drawn at random, always the same.

    Evenly spaced ones would fall on the same nodes again and again. Of a joint task whole rounds.
    """
    each = task.nodes if task.joint else 1
    count, wanted = len(chosen) // each, max(1, most // each)
    if count <= wanted:
        return chosen
    kept = np.sort(np.random.default_rng(0).choice(count, wanted, replace=False))
    return chosen.take((kept[:, None] * each + np.arange(each)).ravel())


def widen(
    task: ForecastTask, *, neighbours: Longs | None = None, periods: Sequence[int] = ()
) -> ForecastTask:
    """Return the task with more channels: readings of neighbours, and own readings a period earlier.

    ``neighbours [node, neighbour]`` are nodes, nearest first. A period (slots) that the window does
    not hold becomes a channel whose last ``horizon`` entries are the horizon's own slots one period
    before; periods that the train part does not hold twice are left out.
    """
    near = np.empty((task.nodes, 0), dtype=np.int64) if neighbours is None else neighbours
    own = [place for place, one in enumerate(task.inputs) if not one.back and not one.neighbour]
    inputs = [task.inputs[place] for place in own]  # a task that was widened before is widened anew
    far = [one for one in periods if _worth(task, one)]
    name = task.problem.of
    shared = task.inputs[0].shared
    more = [Channel(signal=name, shared=shared, back=one - task.horizon) for one in far]
    more += [Channel(signal=name, shared=shared, neighbour=one + 1) for one in range(near.shape[1])]
    again = np.repeat(task.targets[:, None], len(far), axis=1)
    return msgspec.structs.replace(
        task,
        channels=np.concatenate([task.channels[:, own], again, task.targets[near]], axis=1),
        inputs=(*inputs, *more),
        neighbours=near,
    )


def _worth(task: ForecastTask, period: int) -> bool:
    inside = task.horizon <= task.window < period
    return inside and len(task.split.train) >= 2 * period + task.horizon


def windows(task: ForecastTask, chosen: Samples, *, history: int | None = None) -> Window:
    """Cut the windows of the samples: ``x [batch, time, channel]`` ends with the row ``last``.

    ``time`` is ``history`` slots, or the task's own window. Rows before the table's start are NaN, and so
    is the newest slot of every neighbour: live it has read by then or not, as chance will have it.
    """
    length = history or task.window
    columns = task.channels[chosen.node]
    x = _cut(task.table.value, chosen.last, columns, length, task.back).astype(np.float32)
    x[:, -1, [place for place, one in enumerate(task.inputs) if one.neighbour]] = np.nan
    if task.blind:
        x[:, :, 0] = np.nan
    days = _calendar(task, chosen.last, length)
    ahead = None
    if task.ahead.shape[1]:
        later = _cut(task.table.value, chosen.last + task.horizon, task.ahead[chosen.node], task.horizon)
        ahead = later.astype(np.float32)
    return Window(x=x, node=chosen.node, calendar=days, ahead=ahead)


def truth(task: ForecastTask, chosen: Samples) -> Floats:
    """Return what really happened: ``[batch, horizon]``, NaN where nothing was read."""
    column = task.targets[chosen.node][:, None]
    return _cut(task.table.value, chosen.last + task.horizon, column, task.horizon)[:, :, 0].astype(
        np.float32
    )


def fitting(task: ForecastTask, size: int, *, history: int | None = None) -> int:
    """Return how many windows of ``history`` slots may be cut at a time: ``size``, or fewer (64 at least)."""
    length = (history or task.window) + task.horizon
    return int(min(size, max(64, _CELLS // (length * (5 + task.channels.shape[1])))))


def batches(
    task: ForecastTask, chosen: Samples, size: int, *, order: Longs | None = None, history: int | None = None
) -> Iterator[tuple[Window, Floats]]:
    """Yield windows and truths ``size`` samples at a time (whole rounds), in the given order.

    Fewer at a time where their windows are so long that memory would run out.
    """
    size = fitting(task, size, history=history)
    step = max(1, size // task.nodes) * task.nodes if task.joint else size
    for start in range(0, len(chosen), step):
        rows = slice(start, start + step) if order is None else order[start : start + step]
        part = chosen.take(rows)
        yield windows(task, part, history=history), truth(task, part)


def _cut(
    values: NDArray[np.float64], last: Longs, columns: Longs, length: int, back: Longs | None = None
) -> NDArray[np.float64]:
    """Gather, with NaN for rows outside the table."""
    shift = np.zeros(columns.shape[1], dtype=np.int64) if back is None else back
    if not len(last) or (last.min() - length + 1 >= shift.max(initial=0) and last.max() < len(values)):
        return gather(values, last, columns, length, shift)
    rows = (last[:, None] + np.arange(1 - length, 1, dtype=np.int64))[:, :, None] - shift
    inside = (rows >= 0) & (rows < len(values))
    found = values[np.where(inside, rows, 0), columns[:, None, :]]
    return np.where(inside, found, np.nan)


def _calendar(task: ForecastTask, last: Longs, length: int) -> Longs:
    table = task.table
    days = calendar(
        task.zone,
        task.problem.calendar,
        table.every_ns,
        table.first - length,
        len(table.value) + length + task.horizon,
    )
    rows = last[:, None] + np.arange(1, length + task.horizon + 1, dtype=np.int64)
    picked: Longs = days[rows]
    return picked
