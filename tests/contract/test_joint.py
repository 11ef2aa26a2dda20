"""A joint graph through packaging and the runner: whole rounds of all nodes, and nothing else."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from nervure.core.error import ModelError
from nervure.core.window import Window
from nervure.learn.package import package
from nervure.learn.task import ForecastTask, rounds, samples, windows
from nervure.learn.train import Recipe, Trained, fit, predict
from nervure.score.runner import Runner
from tests.series import weekly_task
from tests.tiny import KEY


@pytest.fixture(name="made", scope="module", params=["graph_wavenet", "cnn_lstm_joint"])
def _made(request: pytest.FixtureRequest) -> tuple[Trained, Runner]:
    task = weekly_task(weeks=6, nodes=4, window=24)
    recipe = Recipe(least_steps=12, epochs=0.01, batch=16)
    trained = fit(task, model=str(request.param), budget_s=5, recipe=recipe)
    return trained, Runner(package(trained, task, key=KEY), [KEY.public])


def _seen(task: ForecastTask, count: int) -> Window:
    last = np.unique(samples(task, "test").last)[:count]
    return windows(task, rounds(task, last))


def test_its_card_says_so_and_any_number_of_rounds_agrees_with_torch(made: tuple[Trained, Runner]) -> None:
    trained, runner = made
    card = runner.card
    assert card.joint
    assert card.infer_ms > 0.0
    assert np.array_equal(np.array(card.neighbours).reshape(-1), trained.task.neighbours.reshape(-1))
    for count in (1, 3):
        window = _seen(trained.task, count)
        y, expected = runner.run(window), predict(trained.module, window)
        assert np.abs(y - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_round_does_not_depend_on_the_rounds_beside_it(made: tuple[Trained, Runner]) -> None:
    trained, runner = made
    several, one = runner.run(_seen(trained.task, 3)), runner.run(_seen(trained.task, 1))
    assert np.allclose(several[: len(one)], one, rtol=1e-5, atol=1e-4)


def test_what_is_no_whole_round_is_refused(made: tuple[Trained, Runner]) -> None:
    trained, runner = made
    window = _seen(trained.task, 1)
    part = Window(x=window.x[:3], node=window.node[:3], calendar=window.calendar[:3])
    with pytest.raises(ModelError, match="all its 4 streams at once"):
        runner.run(part)
    with pytest.raises(ModelError, match="all its 4 streams at once"):
        runner.run(msgspec.structs.replace(window, node=window.node[::-1].copy()))


def test_a_model_without_the_past_is_not_packaged(made: tuple[Trained, Runner]) -> None:
    trained, _ = made
    blind = msgspec.structs.replace(trained, task=msgspec.structs.replace(trained.task, blind=True))
    with pytest.raises(ModelError, match="without the past"):
        package(blind, blind.task, key=KEY)
