"""What every deep model keeps: each file of ``learn/models``, on one small made task.

Most checks run on nets whose weights are drawn at random: that is quicker than training, and a net
that has learned to be calm hides what it could do. ``zero_shot`` is held to what can hold without
training: its weights come from a file, so it has nothing to learn, to draw or to repeat by seed
(tests/unit/test_zero_shot.py).
"""

from __future__ import annotations

import copy
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from nervure.core.error import DeclarationError
from nervure.core.window import Window
from nervure.learn import models
from nervure.learn.anchor import choose
from nervure.learn.baseline import LastValue
from nervure.learn.evaluate import forecast
from nervure.learn.frame import Frame, profile_of
from nervure.learn.model import find_model, options_of
from nervure.learn.package import to_onnx
from nervure.learn.task import ForecastTask, Samples, samples, thin, truth, windows
from nervure.learn.train import Trained, fit, predict, recipe_of
from tests.series import NOISE, weekly_task

Floats = NDArray[np.float32]

UNTRAINED = {"zero_shot"}
FILES = {one.name for one in pkgutil.iter_modules(models.__path__)}
MODELS = sorted(FILES - UNTRAINED)
JOINT = {"cnn_lstm_joint", "graph_wavenet"}
EFFECT = 1.5  # of a driver known ahead, beside noise of NOISE
NEAR = 1e-4


class Made(NamedTuple):
    """A net with random weights, and windows to ask it: ``each`` samples belong together."""

    name: str
    task: ForecastTask
    frame: Frame
    chosen: Samples
    window: Window
    each: int


def _small() -> ForecastTask:
    return weekly_task(nodes=4, weeks=9, window=30, horizon=6, ahead=True)


@pytest.fixture(name="made", scope="module", params=MODELS)
def _made(request: pytest.FixtureRequest) -> Made:
    name = str(request.param)
    model = find_model(name)
    task = model.view(_small())
    torch.manual_seed(0)
    frame = model.build(task, choose(task)).eval()
    _shake(frame)
    each = task.nodes if task.joint else 1
    chosen = thin(task, samples(task, "test"), 40)
    return Made(name, task, frame, chosen, windows(task, chosen), each)


def _shake(frame: Frame) -> None:
    """Draw all weights at random, those too that start at zero; bands as if calibrated."""
    with torch.no_grad():
        for one in frame.parameters():
            one.add_(torch.randn_like(one) * 0.2)
        frame.stretch.uniform_(0.5, 2.0)


def _rows(window: Window, rows: Any) -> Window:
    ahead = None if window.ahead is None else window.ahead[rows]
    return Window(x=window.x[rows], node=window.node[rows], calendar=window.calendar[rows], ahead=ahead)


def _with(window: Window, x: Floats, ahead: Floats | None = None) -> Window:
    return msgspec.structs.replace(window, x=x, ahead=window.ahead if ahead is None else ahead)


def test_zero_shot_alone_is_left_out() -> None:
    assert set(MODELS) == FILES - UNTRAINED
    assert all(not hasattr(find_model(name), "build") for name in FILES & UNTRAINED)
    wanted = {
        "attention_lstm",
        "cnn_lstm",
        "cnn_lstm_joint",
        "graph_wavenet",
        "mixer",
        "resnet",
        "transformer",
    }
    assert wanted <= set(MODELS)


@pytest.mark.parametrize("name", sorted(FILES))
def test_it_says_whence_it_is_and_when_not_to_use_it(name: str) -> None:
    text = inspect.getdoc(importlib.import_module(f"{models.__name__}.{name}")) or ""
    assert "When not to use it:" in text
    assert re.search(r"\b(19|20)\d\d\b|arXiv:\d{4}\.\d{5}", text), "no paper is named"


@pytest.mark.parametrize("name", MODELS)
def test_its_sizes_may_be_other_than_its_own(name: str) -> None:
    sized = find_model(name, {options_of(name).__struct_fields__[0]: 16})
    task = sized.view(_small())
    assert isinstance(sized.build(task, choose(task)), Frame)
    with pytest.raises(DeclarationError, match="has no option 'wings'"):
        find_model(name, {"wings": 2})


def test_its_bounds_are_the_task_s(made: Made) -> None:
    assert made.frame.bounds == (made.task.low, made.task.high) == (0.0, 100.0)


def test_only_those_that_must_see_all_nodes_at_once(made: Made) -> None:
    assert made.task.joint == made.frame.sizes.joint == (made.name in JOINT)


def test_it_answers_every_window_in_rising_quantiles(made: Made) -> None:
    y = predict(made.frame, made.window)
    assert y.shape == (len(made.chosen), made.task.horizon, len(made.task.quantiles))
    assert y.dtype == np.float32
    assert np.isfinite(y).all()
    assert (np.diff(y, axis=2) >= 0).all()
    assert np.diff(y, axis=2).mean() > 0
    assert y[:, :, made.task.median].std(axis=1).mean() > 0.01  # steps differ


@pytest.mark.parametrize("kept", ["none", "target", "drivers"])
def test_missing_readings_are_borne(made: Made, kept: str) -> None:
    x = np.full_like(made.window.x, np.nan)
    if kept == "target":
        x[:, :, 0] = made.window.x[:, :, 0]
    if kept == "drivers":
        x[:, :, 1:] = made.window.x[:, :, 1:]
    assert made.window.ahead is not None
    y = predict(made.frame, _with(made.window, x, np.full_like(made.window.ahead, np.nan)))
    assert np.isfinite(y).all()
    assert (np.diff(y, axis=2) >= 0).all()


def test_it_stays_within_what_is_possible(made: Made) -> None:
    tight = copy.deepcopy(made.frame)
    tight.bounds = (None, None)
    y = predict(tight, made.window)
    low, high = (float(one) for one in np.quantile(y, [0.3, 0.7]))
    assert y.min() < low < high < y.max()
    tight.bounds = (low, high)
    for factor in (1.0, -50.0, 1e6):
        y = predict(tight, _with(made.window, (made.window.x * factor).astype(np.float32)))
        assert np.isfinite(y).all()
        assert (np.diff(y, axis=2) >= 0).all()
        assert y.min() >= np.float32(low)
        assert y.max() <= np.float32(high)


def test_onnx_answers_as_torch_does_for_any_batch(made: Made) -> None:
    session = onnxruntime.InferenceSession(to_onnx(made.frame, made.task), providers=["CPUExecutionProvider"])
    holed = made.window.x.copy()
    holed[np.random.default_rng(0).random(holed.shape) < 0.3] = np.nan
    holed[: made.each] = np.nan
    for x in (made.window.x, holed):
        window = _with(made.window, x)
        wanted = predict(made.frame, window)
        for units in (1, 2, 5):
            some = _rows(window, slice(0, units * made.each))
            feeds = {"x": some.x, "node": some.node, "calendar": some.calendar, "future": some.ahead}
            found = session.run(["y"], feeds)[0]
            assert found.shape == wanted[: units * made.each].shape
            np.testing.assert_allclose(found, wanted[: units * made.each], rtol=NEAR, atol=NEAR)


@pytest.mark.parametrize("name", sorted(set(MODELS) - JOINT))
def test_a_blind_one_answers_any_batch_too(name: str) -> None:
    task = find_model(name).view(msgspec.structs.replace(_small(), blind=True))
    torch.manual_seed(0)
    frame = find_model(name).build(task, choose(task)).eval()
    window = windows(task, thin(task, samples(task, "test"), 5))
    session = onnxruntime.InferenceSession(to_onnx(frame, task), providers=["CPUExecutionProvider"])
    feeds = {"x": window.x, "node": window.node, "calendar": window.calendar, "future": window.ahead}
    asked = {one.name for one in session.get_inputs()}  # no part of the window may be left in the graph
    found = session.run(["y"], {what: feeds[what] for what in asked})[0]
    np.testing.assert_allclose(found, predict(frame, window), rtol=NEAR, atol=NEAR)


def test_samples_in_another_order_are_answered_in_that_order(made: Made) -> None:
    units = len(made.chosen) // made.each
    order = np.random.default_rng(1).permutation(units)
    rows = (order[:, None] * made.each + np.arange(made.each)).ravel()
    assert not np.array_equal(rows, np.sort(rows))
    np.testing.assert_allclose(
        predict(made.frame, _rows(made.window, rows)),
        predict(made.frame, made.window)[rows],
        rtol=NEAR,
        atol=NEAR,
    )


def test_no_sample_sees_what_is_another_s(made: Made) -> None:
    """Of a joint model: no round sees another round, and nodes do see each other."""
    own = slice(0, made.each)
    changed = made.window.x.copy()
    changed[made.each :] += 5
    before, after = predict(made.frame, made.window), predict(made.frame, _with(made.window, changed))
    np.testing.assert_allclose(after[own], before[own], rtol=NEAR, atol=NEAR)
    assert not np.allclose(after[made.each :], before[made.each :], rtol=NEAR, atol=NEAR)
    beside = made.window.x.copy()
    beside[1] += 5 * np.sin(np.arange(beside.shape[1]))[:, None]  # the next sample: of a round, the next node
    apart = np.abs(predict(made.frame, _with(made.window, beside)) - before)[0].max()
    assert (apart > 1e-3) == made.task.joint


def test_what_is_known_ahead_counts_for_every_window(made: Made) -> None:
    assert made.window.ahead is not None
    free = copy.deepcopy(made.frame)
    free.bounds = (None, None)  # what lies beyond them would look alike
    y, before = (
        predict(free, _with(made.window, made.window.x, made.window.ahead + by)) for by in (1.0, 0.0)
    )
    assert np.abs(y - before).max(axis=(1, 2)).min() > 1e-4


def test_every_weight_counts(made: Made) -> None:
    frame = copy.deepcopy(made.frame).train()
    window = made.window
    inputs = [torch.tensor(one) for one in (window.x, window.node, window.calendar, window.ahead)]
    profile = torch.tensor(profile_of(made.task, choose(made.task), made.chosen), dtype=torch.float32)
    frame(*inputs, profile=profile).square().mean().backward()
    idle = [name for name, one in frame.named_parameters() if one.grad is None or not one.grad.abs().sum()]
    assert idle == []


def test_asking_changes_nothing(made: Made) -> None:
    weights = copy.deepcopy(made.frame.state_dict())
    before = copy.deepcopy(made.window)
    first = predict(made.frame, made.window)
    assert np.array_equal(predict(made.frame, made.window), first)
    assert all(torch.equal(one, weights[name]) for name, one in made.frame.state_dict().items())
    assert np.array_equal(before.x, made.window.x, equal_nan=True)


def test_later_truth_is_never_used(made: Made) -> None:
    """Readings after the window's end, yesterday's and neighbours' channels with them, may be anything."""
    last = int(made.chosen.last[len(made.chosen) // 2])
    one = made.chosen.take(made.chosen.last == last)
    value = made.task.table.value.copy()
    value[last + 1 :, : made.task.nodes] = -999.0
    later = msgspec.structs.replace(made.task.table, value=value)
    wanted = predict(made.frame, windows(made.task, one))
    found = predict(made.frame, windows(msgspec.structs.replace(made.task, table=later), one))
    assert np.array_equal(found, wanted)


@cache
def _driven() -> ForecastTask:
    """Return a task whose driver, known ahead, tells what neither season nor last reading can."""
    task = weekly_task(ahead=True, window=24, weeks=9)
    value = task.table.value.copy()
    gust = np.random.default_rng(5).normal(0, 1, len(value))
    value[:, :-1] += EFFECT * (gust - value[:, -1])[:, None]
    value[:, -1] = gust
    return msgspec.structs.replace(task, table=msgspec.structs.replace(task.table, value=value))


@cache
def _learned(name: str) -> Trained:
    recipe = msgspec.structs.replace(
        recipe_of(name), least_steps=160, epochs=0.01, batch=96, rate=5e-3, patience=99
    )
    return fit(_driven(), model=name, recipe=recipe)


def _errs(task: ForecastTask, y: Floats, chosen: Samples) -> float:
    return float(np.nanmean(np.abs(truth(task, chosen) - y[:, :, task.median])))


@pytest.mark.parametrize("name", MODELS)
def test_it_learns_what_can_be_known(name: str) -> None:
    """It beats the last value, and itself before training, which knows the season alone."""
    trained = _learned(name)
    task = trained.task
    chosen = samples(task, "test")
    window = windows(task, chosen)
    fresh = find_model(name).build(task, choose(task))
    error = _errs(task, predict(trained.module, window), chosen)
    plain = _driven()
    beaten = _errs(plain, forecast(plain, LastValue().fit(plain), chosen), chosen)
    assert error < 0.5 * beaten
    assert error < 0.75 * _errs(task, predict(fresh, window), chosen)
    assert error > NOISE * np.sqrt(2 / np.pi) * 0.95  # nobody can know more


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_decides_and_the_test_part_does_not(name: str) -> None:
    task = weekly_task(nodes=2, weeks=6, ahead=True, window=24)
    value = task.table.value.copy()
    value[task.split.test, : task.nodes] = 77.0
    blind = msgspec.structs.replace(task, table=msgspec.structs.replace(task.table, value=value))
    recipe = msgspec.structs.replace(recipe_of(name), least_steps=6, epochs=0.001, batch=24)
    answers = list(_answers(name, [(task, 0), (blind, 0), (task, 1)], recipe))
    assert np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


def _answers(name: str, runs: list[tuple[ForecastTask, int]], recipe: Any) -> Iterator[Floats]:
    for task, seed in runs:
        trained = fit(task, model=name, recipe=recipe, seed=seed)
        seen = msgspec.structs.replace(trained.task, table=runs[0][0].table)
        yield predict(trained.module, windows(seen, thin(seen, samples(seen, "validation"), 30)))
