"""The default forecaster, from training to the signed file that the scorer runs."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import onnx
import pytest

from nervure.core.card import CARD_KEY, Card, Metric
from nervure.core.error import DeclarationError, ModelError
from nervure.core.window import Window
from nervure.learn.anchor import choose, fit_anchor
from nervure.learn.package import package
from nervure.learn.task import ForecastTask, samples, truth, windows
from nervure.learn.train import Deep, Recipe, Trained, fit, predict
from nervure.score.runner import Runner
from nervure.trust.signature import SigningKey, sign
from tests.series import NOISE, weekly_task

QUICK = Recipe(least_steps=120, epochs=0.1, batch=256)
GLANCE = Recipe(least_steps=12, epochs=0.01, batch=64)


class Made(NamedTuple):
    task: ForecastTask
    trained: Trained
    key: SigningKey
    model: bytes
    runner: Runner


def _make(folder: Path, recipe: Recipe, *, ahead: bool) -> Made:
    task = weekly_task(ahead=ahead)
    trained = fit(task, recipe=recipe)
    task = trained.task  # as the model looks at it
    key = SigningKey.load_or_create(folder)
    row = Metric(subject="mixer", kind="deep", metric="MAE", value=1.0)
    model = package(trained, task, [row], key=key, limits={"anomaly-load": {"limit": 3.0}}, now_ns=0)
    return Made(task, trained, key, model, Runner(model, [key.public]))


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return _make(tmp_path_factory.mktemp("keys"), QUICK, ahead=False)


@pytest.fixture(name="window")
def _window(made: Made) -> Window:
    return windows(made.task, samples(made.task, "test"))


def test_it_learns_what_can_be_known(made: Made, window: Window) -> None:
    real = truth(made.task, samples(made.task, "test"))
    y = made.runner.run(window)
    error = np.nanmean(np.abs(real - y[:, :, made.task.median]))
    assert error < 1.25 * NOISE * np.sqrt(2 / np.pi)
    inside = np.nanmean((real >= y[:, :, 0]) & (real <= y[:, :, -1]), where=~np.isnan(real))
    assert 0.74 < inside < 0.86


def test_onnx_answers_as_torch_does(made: Made, window: Window) -> None:
    expected = predict(made.trained.module, window)
    found = made.runner.run(window)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_batch_is_answered_window_by_window(made: Made, window: Window) -> None:
    some = msgspec.structs.replace(window, x=window.x[:7], node=window.node[:7], calendar=window.calendar[:7])
    whole = made.runner.run(some)
    for row in range(7):
        cut = slice(row, row + 1)
        one = Window(x=some.x[cut], node=some.node[cut], calendar=some.calendar[cut])
        np.testing.assert_allclose(made.runner.run(one), whole[cut], rtol=1e-4, atol=1e-4)


def test_quantiles_never_fall_even_for_absurd_readings(made: Made, window: Window) -> None:
    for factor in (0.0, 1.0, -50.0, 1e6):
        y = made.runner.run(msgspec.structs.replace(window, x=(window.x * factor).astype(np.float32)))
        assert np.isfinite(y).all()
        assert (np.diff(y, axis=2) >= 0).all()
        assert 0 <= y.min() <= y.max() <= 100


def test_without_any_reading_it_tells_the_profile(made: Made, window: Window) -> None:
    blind = msgspec.structs.replace(window, x=np.full_like(window.x, np.nan))
    y = made.runner.run(blind)
    assert np.isfinite(y).all()
    real = truth(made.task, samples(made.task, "test"))
    assert np.nanmean(np.abs(real - y[:, :, made.task.median])) < 3 * NOISE


def test_missing_readings_cost_little(made: Made, window: Window) -> None:
    real = truth(made.task, samples(made.task, "test"))
    x = window.x.copy()
    x[np.random.default_rng(0).random(x.shape) < 0.3] = np.nan
    whole, holed = (
        np.nanmean(
            np.abs(real - made.runner.run(msgspec.structs.replace(window, x=one))[:, :, made.task.median])
        )
        for one in (window.x, x)
    )
    assert holed < 1.1 * whole


def test_the_card_travels_in_the_file(made: Made) -> None:
    card = made.runner.card
    assert card.name == "toy-forecast-load"
    assert card.streams == made.task.names
    assert (card.window, card.horizon, card.every_ns) == (48, 6, made.task.table.every_ns)
    assert card.limits == {"anomaly-load": {"limit": 3.0}}
    assert card.metrics[0].subject == "mixer"
    assert card.span[0] < card.span[1]
    assert card.infer_ms > 0
    assert len(card.spread) == 6
    inside = {one.key: one.value for one in onnx.load_from_string(made.model).metadata_props}
    assert msgspec.json.decode(inside[CARD_KEY], type=Card) == card
    onnx.checker.check_model(onnx.load_from_string(made.model))


def test_same_seed_same_weights_and_nothing_of_the_test_part(made: Made, window: Window) -> None:
    value = made.task.table.value.copy()
    value[made.task.split.test] = 1e6
    blind = msgspec.structs.replace(made.task, table=msgspec.structs.replace(made.task.table, value=value))
    first, again, other = (
        predict(fit(task, recipe=GLANCE, seed=seed).module, window)
        for task, seed in ((made.task, 0), (blind, 0), (made.task, 1))
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_time_budget_holds() -> None:
    lines: list[tuple[float, str]] = []
    recipe = Recipe(least_steps=100_000)
    trained = fit(
        weekly_task(), recipe=recipe, budget_s=2.0, progress=lambda part, text: lines.append((part, text))
    )
    assert trained.steps < 10_000  # a machine that could do more in 2 s would be news
    assert [part for part, _ in lines] == sorted(part for part, _ in lines)
    assert lines[-1][0] == 1.0


def test_wrong_windows_are_refused_with_their_shape(made: Made, window: Window) -> None:
    replace = msgspec.structs.replace
    cases = {
        r"x has the shape \[\d+, 47, 5\], not \[\d+, 48, 5\]": replace(window, x=window.x[:, 1:]),
        r"x has the shape \[\d+, 48, 1\]": replace(window, x=window.x[:, :, :1]),
        r"calendar has the shape \[\d+, 48, 5\]": replace(window, calendar=window.calendar[:, :48]),
        "node 3 is none of its 3 streams": replace(window, node=window.node * 0 + 3),
        "the graph refused its input": replace(window, x=window.x.astype(np.float64)),
    }
    for message, wrong in cases.items():
        with pytest.raises(ModelError, match=message):
            made.runner.run(wrong)


def test_a_runner_opens_only_what_it_trusts(made: Made, tmp_path: Path) -> None:
    other = SigningKey.load_or_create(tmp_path)
    with pytest.raises(ModelError, match="not trusted"):
        Runner(made.model, [other.public])
    changed = bytearray(made.model)
    changed[len(changed) // 2] ^= 1
    with pytest.raises(ModelError, match="changed after"):
        Runner(bytes(changed), [made.key.public])
    with pytest.raises(ModelError, match="cannot load"):
        Runner(sign(b"no model", made.key), [made.key.public])
    plain = onnx.load_from_string(made.model)
    del plain.metadata_props[:]
    with pytest.raises(ModelError, match="no card"):
        Runner(sign(plain.SerializeToString(), made.key), [made.key.public])


def test_drivers_known_ahead_are_a_later_input(tmp_path: Path) -> None:
    made = _make(tmp_path, GLANCE, ahead=True)
    chosen = samples(made.task, "test")
    window = windows(made.task, chosen)
    assert [one.signal for one in made.runner.card.future] == ["weather"]
    np.testing.assert_allclose(
        made.runner.run(window), predict(made.trained.module, window), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(ModelError, match="lacks what is known ahead: weather"):
        made.runner.run(msgspec.structs.replace(window, ahead=None))


def test_deep_is_a_forecaster(made: Made, window: Window) -> None:
    deep = Deep(budget_s=1)
    with pytest.raises(DeclarationError, match="was not trained"):
        deep.predict(window)
    assert deep.fit(made.task) is deep
    assert deep.history == made.task.window
    assert deep.predict(window).shape == (len(window.node), 6, 5)
    with pytest.raises(DeclarationError, match="no model 'oracle'"):
        Deep("oracle").fit(made.task)


def test_the_anchor_follows_the_season_and_leaves_its_own_week_out(made: Made) -> None:
    assert choose(made.task).kind == "week"
    anchor = fit_anchor(made.task, "week")
    value = made.task.table.value.copy()
    row = 300 + int(np.argmax(~np.isnan(value[300:400, 0])))
    value[row, 0] += 1000
    changed = msgspec.structs.replace(made.task, table=msgspec.structs.replace(made.task.table, value=value))
    apart = np.abs(fit_anchor(changed, "week").seen - anchor.seen)[:, 0]
    assert apart[row] < 15 < apart[row + 168]
