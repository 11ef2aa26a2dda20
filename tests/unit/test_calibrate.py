"""Bands hold what they promise, and the line finds what is linear."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from torch import nn

from nervure.learn.anchor import Anchor, fit_anchor
from nervure.learn.blend import CANDIDATES, PlainBlend
from nervure.learn.calibrate import stretched, stretches, weighted_quantile
from nervure.learn.frame import Frame
from nervure.learn.linear import fit_linear
from nervure.learn.mixture import _alone, _Looked, look
from nervure.learn.models import mixer
from nervure.learn.task import ForecastTask, samples, some, windows
from nervure.learn.train import predict
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


@pytest.mark.parametrize("rows", [None, 1400])
def test_the_line_finds_persistence(rows: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if rows:  # so few that one line must serve all nodes
        monkeypatch.setattr("nervure.learn.linear._CELLS", rows * (2 * 48 + 49 + 6))
        monkeypatch.setattr("nervure.learn.linear._SURE", 10)
        monkeypatch.setattr("nervure.learn.linear._CUBES", 1)
    task, anchor = _persistent(weekly_task(weeks=20))
    weight = _line(task, anchor)
    assert weight.shape == (1 if rows else 3, 49, 6)
    weight = np.broadcast_to(weight, (3, 49, 6))
    apart = (task.table.value[:, task.targets] - anchor.seen) / anchor.scale
    last = samples(task, "test").last[::3]
    past = np.stack([apart[row - 47 : row + 1] for row in last])
    level = past.mean(axis=1, keepdims=True)
    features = np.concatenate([past - level, level], axis=1)
    for step in (1, 6):
        foreseen = (np.einsum("btn,nt->bn", features, weight[:, :, step - 1]) + level[:, 0]) * anchor.scale
        error = np.abs(apart[last + step] * anchor.scale - foreseen).mean()
        least = np.sqrt(2 / np.pi) * np.sqrt((1 - 0.81**step) / (1 - 0.81))
        assert error < (1.1 if rows else 1.07) * least


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


def test_candidates_are_caught_as_the_frame_would_foresee_each_alone() -> None:
    task = weekly_task()
    anchor = fit_anchor(task, "week")
    frame = mixer.build(task, anchor)
    assert isinstance(frame.blend, PlainBlend)
    chosen = some(task, samples(task, "validation"), 200)
    found, real = look(task, frame.blend, lambda window: predict(frame, window), chosen)
    assert real.shape == (200, task.horizon)
    for place, name in enumerate(CANDIDATES):
        frame.blend.weight.zero_()
        frame.blend.weight[:, :, place] = 1.0
        y = predict(frame, windows(task, chosen))[:, :, task.median]
        assert np.allclose(found[:, :, place], y, atol=1e-3), name


def test_a_walk_without_memory_is_foreseen_by_its_last_value() -> None:
    random = np.random.default_rng(5)
    walk = np.cumsum(random.normal(size=500))
    last = np.arange(40, 480)
    real = walk[last[:, None] + np.arange(1, 13)]
    held = np.repeat(walk[last][:, None], 12, axis=1)
    guessed = held[:, :, None] + random.normal(0, 2, (len(last), 12, len(CANDIDATES)))
    guessed[:, :, CANDIDATES.index("last")] = held
    assert _alone(_looked(guessed, real, last)) == CANDIDATES.index("last")


def test_a_mixture_that_knows_more_is_kept() -> None:
    random = np.random.default_rng(6)
    real = random.normal(size=(400, 12))
    found = real[:, :, None] + random.normal(0, 1, (400, 12, len(CANDIDATES)))
    assert _alone(_looked(found, real, np.arange(400))) is None
    assert _alone(_looked(found, np.full_like(real, np.nan), np.arange(400))) is None


def _looked(found: NDArray[np.float64], real: NDArray[np.float64], last: NDArray[np.int64]) -> _Looked:
    own = [np.arange(len(last))]
    return _Looked(found.astype(np.float32), real.astype(np.float32), last, own)


def test_some_samples_are_of_every_node_and_always_the_same() -> None:
    task = weekly_task()
    every = samples(task, "train")
    few = some(task, every, len(every) // 6)
    assert len(few) == len(every) // 6
    assert (np.diff(few.last) >= 0).all()
    shares = np.bincount(few.node) / len(few)
    assert np.abs(shares - 1 / task.nodes).max() < 0.1
    assert (some(task, every, len(every) // 6).last == few.last).all()
    assert some(task, every, len(every)) is every
