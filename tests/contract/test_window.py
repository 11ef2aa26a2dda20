"""Training and scoring see the same bits: one day of each solution's streams through both."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.core.calendar import calendar
from nervure.core.window import Rings
from nervure.learn.task import ForecastTask, Samples, windows
from tests.series import weekly_task


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
