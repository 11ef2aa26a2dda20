"""Training and scoring see the same bits: one day of each solution's streams through both."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.calendar import calendar
from nervure.core.card import Card
from nervure.core.instant import HOUR_NS
from nervure.core.window import Rings, Window
from nervure.learn.task import ForecastTask, Samples, rounds, widen, windows
from nervure.score.lane import Lane
from tests.series import weekly_task

FIRST, DAY = 400, 24


def _live(task: ForecastTask, row: int) -> tuple[bytes, bytes]:
    """Feed rings reading by reading, in a shuffled order within each slot, and cut the last window."""
    table = task.table
    columns = table.value.shape[1]
    rings = Rings(streams=columns, length=task.window + 3, every_ns=table.every_ns)
    chance = np.random.default_rng(row)
    for place in range(row - task.window - 10, row + 1):
        known = np.flatnonzero(~np.isnan(table.value[place]))
        chance.shuffle(known)
        time = np.full(len(known), (table.first + place) * table.every_ns, dtype=np.int64)
        time += chance.integers(0, table.every_ns, len(known))  # anywhere in its slot
        rings.push(known.astype(np.int64), time, table.value[place, known])
    last = np.full(task.nodes, table.first + row, dtype=np.int64)
    x = rings.window(task.channels, last, task.window).astype(np.float32)
    days = calendar(
        task.zone,
        task.problem.calendar,
        table.every_ns,
        table.first + row - task.window + 1,
        task.window + task.horizon,
    )
    return x.tobytes(), np.broadcast_to(days, (task.nodes, *days.shape)).tobytes()


@pytest.mark.parametrize("hour", range(24))
def test_one_day_through_both_is_the_same_to_the_bit(hour: int) -> None:
    task = weekly_task(window=48, horizon=6)
    row = 400 + hour
    window = windows(
        task,
        Samples(last=np.full(task.nodes, row, dtype=np.int64), node=np.arange(task.nodes, dtype=np.int64)),
    )
    assert np.isnan(window.x).any()  # gaps are part of the day
    assert (window.x.tobytes(), window.calendar.tobytes()) == _live(task, row)


class _Eyes:
    """A model that notes what it is shown."""

    def __init__(self, task: ForecastTask) -> None:
        self.shown: list[Window] = []
        self.card = Card(
            name="toy", version="1", solution="toy", problem=task.problem, model="none", created="",
            streams=task.names, channels=task.inputs, joint=task.joint,
            neighbours=tuple(tuple(row) for row in task.neighbours.tolist()),
            future=task.inputs[1:2] if task.ahead.shape[1] else (),
            every_ns=task.table.every_ns, window=task.window, horizon=task.horizon,
            quantiles=task.quantiles, zone=task.zone,
        )  # fmt: skip

    def run(self, window: Window) -> NDArray[np.float32]:
        self.shown.append(window)
        return np.zeros((len(window.node), self.card.horizon, len(self.card.quantiles)), np.float32)


def _fed(task: ForecastTask) -> tuple[Lane, _Eyes]:
    eyes = _Eyes(task)
    return Lane(eyes, None, batch=64, ahead={"weather": 12 * HOUR_NS} if task.ahead.shape[1] else {}), eyes


def _pass(lane: Lane, task: ForecastTask, row: int) -> None:
    """Let a slot's readings in, in some order, and before them a forecast of the driver, if it has one."""
    table, chance = task.table, np.random.default_rng(row)
    column = np.array([lane.layout.names.index(name) for name in table.streams], dtype=np.int64)
    value = table.value[row]
    if task.ahead.shape[1]:
        driver = int(task.ahead[0, 0])
        told = np.flatnonzero(~np.isnan(table.value[row : row + 12, driver])) + row
        time = (table.first + told) * table.every_ns
        issued = np.full(len(told), time[:1].sum() - 1)
        lane.foretell(np.full(len(told), column[driver]), time, table.value[told, driver], issued)
    known = np.flatnonzero(~np.isnan(value)).astype(np.int64)
    chance.shuffle(known)
    time = np.full(len(known), (table.first + row) * table.every_ns) + chance.integers(0, HOUR_NS, len(known))
    lane.feed(column[known], time, value[known])


def _bits(window: Window) -> tuple[bytes, ...]:
    ahead = b"" if window.ahead is None else window.ahead.tobytes()
    return window.x.tobytes(), window.node.tobytes(), window.calendar.tobytes(), ahead


@cache
def _wide(kind: str) -> ForecastTask:
    """Return a task with shifted channels, neighbours, a driver known ahead, or all nodes at once."""
    task = weekly_task(window=24, horizon=6, ahead=kind in {"ahead", "joint"}, nodes=4)
    near = np.array([[1, 2], [2, 3], [3, 0], [0, 1]])
    if kind == "shifted":
        task = widen(task, periods=(168, 48))
    elif kind != "ahead":
        task = widen(task, neighbours=near, periods=(168,))
    return msgspec.structs.replace(task, joint=kind == "joint")


@pytest.mark.parametrize("kind", ["shifted", "near", "ahead", "joint"])
def test_one_day_of_every_kind_of_channel_is_the_same_to_the_bit(kind: str) -> None:
    task = _wide(kind)
    lane, _ = _fed(task)
    nodes, gaps = np.arange(task.nodes), 0
    for row in range(FIRST + DAY):
        _pass(lane, task, row)
        if row < FIRST:
            continue
        seen = windows(task, rounds(task, np.array([row])))
        live = lane.window(nodes, np.full(task.nodes, task.table.first + row))
        assert _bits(live) == _bits(seen)
        gaps += int(np.isnan(seen.x).sum())
    assert gaps  # they are part of the day
    assert not np.isnan(seen.x).all(axis=1).any()


def test_a_state_holds_every_kind_of_channel() -> None:
    task = _wide("joint")
    lane, _ = _fed(task)
    for row in range(FIRST):
        _pass(lane, task, row)
    again, _ = _fed(task)
    assert again.restore(lane.state())
    slot = np.full(task.nodes, task.table.first + FIRST - 1)
    assert _bits(again.window(np.arange(task.nodes), slot)) == _bits(lane.window(np.arange(task.nodes), slot))


def test_a_joint_model_is_shown_whole_rounds_once_a_slot() -> None:
    task = _wide("joint")
    lane, eyes = _fed(task)
    for row in range(FIRST):
        _pass(lane, task, row)
    asked, slots = np.array([2, 0, 2]), np.array([FIRST - 1, FIRST - 1, FIRST - 3])
    band = lane.again(asked, (task.table.first + slots) * task.table.every_ns)
    assert band.shape == (3, task.horizon, 3)
    assert len(eyes.shown) == 1
    assert _bits(eyes.shown[0]) == _bits(windows(task, rounds(task, np.array([FIRST - 3, FIRST - 1]))))


def test_a_newer_forecast_replaces_an_older_one_and_a_reading_replaces_both() -> None:
    task = _wide("ahead")
    lane, _ = _fed(task)
    for row in range(FIRST):
        _pass(lane, task, row)
    driver, slot = lane.layout.future[0], task.table.first + FIRST - 1
    later = np.array([(slot + 3) * HOUR_NS])
    for issued, value in ((5, 40.0), (9, 50.0), (7, 60.0)):
        lane.foretell(driver, later, np.array([value]), np.array([slot * HOUR_NS + issued]))

    def now(ahead_of: int) -> Window:
        return lane.window(np.array([0]), np.array([slot + ahead_of]))

    ahead = now(0).ahead
    assert ahead is not None
    assert ahead[0, 2, 0] == 50.0
    assert now(3).x[0, -1, 1] == 50.0  # nothing was read: the forecast stands in
    lane.feed(driver, later, np.array([45.0]))
    assert now(3).x[0, -1, 1] == 45.0


def test_a_stream_that_lags_behind_shows_a_gap_and_not_what_lay_there_before() -> None:
    task = weekly_task(window=48, horizon=6)
    table = task.table
    rings = Rings(streams=2, length=50, every_ns=table.every_ns)
    for place in range(200):
        streams = np.array([0, 1]) if place < 190 else np.array([0])
        time = np.full(len(streams), (table.first + place) * table.every_ns, dtype=np.int64)
        rings.push(streams, time, np.full(len(streams), float(place)))
    x = rings.window(np.array([[0, 1]]), np.array([table.first + 199]), 48)
    assert x[0, :, 0].tolist() == [float(place) for place in range(152, 200)]
    assert x[0, :38, 1].tolist() == [float(place) for place in range(152, 190)]
    assert np.isnan(x[0, 38:, 1]).all()
