"""Bands hold what they promise, and the line finds what is linear."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from torch import nn

from nervure.learn.anchor import Anchor, fit_anchor
from nervure.learn.blend import PlainBlend
from nervure.learn.calibrate import stretched, stretches, weighted_quantile
from nervure.learn.frame import Frame
from nervure.learn.linear import fit_linear
from nervure.learn.task import ForecastTask, samples
from tests.series import NOISE, weekly_task

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)


def _drawn(spread: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return forecasts that all promise unit steps, and truths of another spread, skewed."""
    random = np.random.default_rng(seed)
    y = np.tile(np.arange(-2.0, 3.0), (6000, 2, 1)) + random.normal(0, 5, (6000, 1, 1))
    node = np.arange(6000) % 3
    error = spread * (1 + node[:, None]) * random.gumbel(0, 1, (6000, 2))
    return y, y[:, :, 2] + error - np.median(error), node


@pytest.mark.parametrize("spread", [0.05, 1.0, 4.0])
def test_each_quantile_covers_its_share_at_each_node(spread: float) -> None:
    y, real, node = _drawn(spread, 0)
    found = stretches(y, real, node, np.ones(len(y)), median=2, quantiles=LEVELS, nodes=3)
    y, real, node = _drawn(spread, 1)
    bands = stretched(y, found[node], 2)
    assert (np.diff(bands, axis=2) >= 0).all()
    for place, level in enumerate(LEVELS):
        if level != 0.5:
            for one in range(3):
                share = np.mean(real[node == one] <= bands[node == one, :, place])
                assert abs(share - level) < 0.035, (level, one)


def test_newer_readings_weigh_more() -> None:
    value = np.r_[np.zeros(50), np.ones(50)][:, None]
    weight = np.r_[np.full(50, 0.01), np.ones(50)]
    assert weighted_quantile(value, weight, 0.1)[0] == 1
    assert weighted_quantile(value, np.ones(100), 0.1)[0] == 0


def test_what_nobody_read_stretches_nothing() -> None:
    real = np.full((4, 2), np.nan)
    y = np.tile(np.arange(5.0), (4, 2, 1))
    found = stretches(y, real, np.zeros(4, np.int64), np.ones(4), median=2, quantiles=LEVELS, nodes=2)
    assert np.isfinite(found).all()
    assert (found[1] == 1).all()


def _line(task: ForecastTask, anchor: Anchor) -> NDArray[np.float64]:
    frame = Frame(task, anchor, nn.Identity(), blend=PlainBlend(task))
    fit_linear(task, anchor, frame)
    return frame.get_buffer("blend.linear").numpy().astype(np.float64)


def _persistent(task: ForecastTask) -> tuple[ForecastTask, Anchor]:
    """Return the task with streams that each carry over 0.9 of what they were the hour before."""
    random = np.random.default_rng(3)
    value = task.table.value.copy()
    for node in task.targets:
        state = 0.0
        for row in range(len(value)):
            state = 0.9 * state + random.normal()
            value[row, node] = 50 + state
    table = msgspec.structs.replace(task.table, value=value)
    moved = msgspec.structs.replace(task, table=table)
    return moved, fit_anchor(moved, "none")


def test_the_line_finds_persistence() -> None:
    task, anchor = _persistent(weekly_task(weeks=20))
    weight = _line(task, anchor)
    assert weight.shape == (3, 49, 6)
    apart = (task.table.value[:, task.targets] - anchor.seen) / anchor.scale
    last = samples(task, "test").last[::3]
    past = np.stack([apart[row - 47 : row + 1] for row in last])
    level = past.mean(axis=1, keepdims=True)
    features = np.concatenate([past - level, level], axis=1)
    for step in (1, 6):
        foreseen = (np.einsum("btn,nt->bn", features, weight[:, :, step - 1]) + level[:, 0]) * anchor.scale
        error = np.abs(apart[last + step] * anchor.scale - foreseen).mean()
        least = np.sqrt(2 / np.pi) * np.sqrt((1 - 0.81**step) / (1 - 0.81))
        assert error < 1.07 * least


def test_the_line_survives_a_dead_stream() -> None:
    task = weekly_task()
    value = task.table.value.copy()
    value[:, 1] = np.nan
    value[:, 2] = 7.0
    dead = msgspec.structs.replace(task, table=msgspec.structs.replace(task.table, value=value))
    anchor = fit_anchor(dead, "week")
    weight = _line(dead, anchor)
    assert np.isfinite(anchor.table).all()
    assert (anchor.scale > 0).all()
    assert np.isfinite(weight).all()
    assert NOISE / 2 < anchor.scale[0] < 2 * NOISE
