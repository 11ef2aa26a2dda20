"""The search for a recipe: on validation alone, resumable, and what it writes can be read back."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import msgspec
import numpy as np
import pytest

from nervure.core.error import DeclarationError, EnvironmentMissing, NotFoundError, UsageError
from nervure.learn.ray_trials import Board
from nervure.learn.resume import Step
from nervure.learn.task import ForecastTask, pose
from nervure.learn.train import Recipe, fit
from nervure.learn.tune import Found, attempt, read_tuned, tune, write_tuned
from tests.noise import dataset


@pytest.fixture(scope="module")
def task() -> ForecastTask:
    """The test part is made of nothing: who looked at it would fail."""
    made = dataset(8 * 168)
    made.table.value[-2 * 168 :] = np.nan
    return pose(made)


def search(task: ForecastTask, folder: Path, trials: int, told: list[str] | None = None) -> Found:
    note = told.append if told is not None else None
    return tune(task, model="mixer", folder=folder, trials=trials, budget_s=1.0, note=note)


def test_a_search_goes_on_and_its_best_can_be_trained(tmp_path: Path, task: ForecastTask) -> None:
    told: list[str] = []
    first = search(task, tmp_path, 2, told)
    assert (len(first.trials), told) == (2, [])
    found = search(task, tmp_path, 3, told)
    assert told == ["going on after 2 trials of an earlier search"]
    assert found.trials[:2] == first.trials
    assert found.trials[2].values not in [one.values for one in first.trials]
    errors = [one.error for one in found.trials if one.error is not None]
    assert found.error == min(errors)

    file = tmp_path / "best.toml"
    file.write_text(write_tuned(found))
    tuned = read_tuned(file)
    assert tuned == found.tuned
    best = next(one for one in found.trials if one.error == found.error)
    assert tuned.recipe.options["hidden"] == best.values["options.hidden"]
    trained = fit(task, model=tuned.model, recipe=tuned.recipe, budget_s=1.0)
    assert trained.module.state_dict()["net.enter.weight"].shape[0] == best.values["options.hidden"]
    as_json = tmp_path / "best.json"
    as_json.write_bytes(msgspec.json.encode(tuned))
    assert read_tuned(as_json) == tuned


def test_a_trial_may_be_ended_at_any_look(task: ForecastTask) -> None:
    seen: list[tuple[int, float]] = []

    def look(step: Step, share: float) -> None:
        seen.append((step.step, share))
        if len(seen) == 2:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        attempt(task, "mixer", Recipe(least_steps=45, epochs=0.01), budget_s=1e6, look=look)
    assert len(seen) == 2
    assert 0 < seen[0][1] < seen[1][1] < 1


def test_the_board_carries_news_one_way_and_the_word_to_stop_the_other() -> None:
    board = Board()
    assert not board.report(3, 1, 2.5)
    assert not board.report(4, 1, 2.0)
    assert board.news() == [(3, 1, 2.5), (4, 1, 2.0)]
    assert board.news() == []
    board.stop(3)
    assert board.report(3, 2, 2.4)
    assert not board.report(4, 2, 1.9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model = 3", "is not a recipe"),
        ("nonsense", "is not a recipe"),
        ('model = "mixer"\nrecepe = 1', "is not a recipe"),
        ('model = "mixer"\n[recipe]\nrite = 0.1', "has no 'rite'"),
        ('model = "mixer"\n[recipe]\nrate = "fast"', "recipe.rate"),
    ],
)
def test_a_recipe_that_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    with pytest.raises(DeclarationError, match=said):
        read_tuned(file)


def test_what_is_asked_wrongly_is_said(tmp_path: Path, task: ForecastTask) -> None:
    with pytest.raises(NotFoundError, match="nervure tune writes one"):
        read_tuned(tmp_path / "gone.toml")
    with pytest.raises(UsageError, match="at least one"):
        search(task, tmp_path, 0)
    with pytest.raises(DeclarationError, match="has no option 'hiden'"):
        fit(task, recipe=Recipe(options={"hiden": 3}))
    with pytest.raises(DeclarationError, match="options of the model 'mixer'"):
        fit(task, recipe=Recipe(options={"hidden": "wide"}))


@pytest.mark.parametrize("here", [importlib.util.find_spec("ray") is not None])
def test_without_ray_it_is_said_how_to_have_it(tmp_path: Path, task: ForecastTask, here: bool) -> None:
    if here:  # a developer has the extra: then it really runs
        assert len(tune(task, model="mixer", folder=tmp_path, trials=2, budget_s=1.0, ray=True).trials) >= 2
        return
    with pytest.raises(EnvironmentMissing, match=r"nervure\[ray\]"):
        tune(task, model="mixer", folder=tmp_path, trials=1, budget_s=1.0, ray=True)
