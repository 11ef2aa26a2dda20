"""A training that is stopped goes on where it was, and whatever lies in its folder cannot harm it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch

from nervure.learn.resume import Checkpoints, Step, identity
from nervure.learn.task import ForecastTask, pose
from nervure.learn.train import Recipe, Trained, fit
from tests.noise import dataset

RECIPE = Recipe(least_steps=45, epochs=0.1, options={"hidden": 24, "decoder": 16, "blocks": 1})


class Killed(Exception):
    """Stands for the kill: nothing of the training is told of it."""


@pytest.fixture(scope="module")
def task() -> ForecastTask:
    return pose(dataset())


@pytest.fixture(scope="module")
def whole(task: ForecastTask) -> Trained:
    return fit(task, recipe=RECIPE, budget_s=1e6)


def keeper(folder: Path, task: ForecastTask, told: list[str]) -> Checkpoints:
    return Checkpoints(folder, identity(task, "mixer", RECIPE, 0, None), every_s=0.0, tell=told.append)


def train(task: ForecastTask, checkpoints: Checkpoints, *, looks: int | None = None) -> Trained | None:
    """Train until the end, or until so many looks on validation."""
    seen: list[Step] = []

    def look(step: Step) -> None:
        seen.append(step)
        if looks is not None and len(seen) > looks:
            raise Killed

    try:
        return fit(task, recipe=RECIPE, budget_s=1e6, checkpoints=checkpoints, look=look)
    except Killed:
        return None
    finally:
        checkpoints.close()


def bits(trained: Trained | None) -> dict[str, bytes]:
    assert trained is not None
    return {name: one.numpy().tobytes() for name, one in trained.module.state_dict().items()}


def test_stopped_twice_it_ends_with_the_same_bits(tmp_path: Path, task: ForecastTask, whole: Trained) -> None:
    told: list[str] = []
    assert train(task, keeper(tmp_path, task, told), looks=3) is None
    assert train(task, keeper(tmp_path, task, told), looks=5) is None
    again = train(task, keeper(tmp_path, task, told))
    assert bits(again) == bits(whole)
    assert again is not None
    assert again.history == whole.history
    assert [line.partition(" at")[0] for line in told] == ["going on", "going on"]
    assert told[0].endswith(f"of {whole.steps}")

    finished = keeper(tmp_path, task, told)  # its checkpoint says that it is over: nothing is learned twice
    assert bits(train(task, finished)) == bits(whole)
    assert told[-1] == f"going on at step {whole.steps} of {whole.steps}"
    last = keeper(tmp_path, task, told)
    last.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_budget_counts_what_was_spent_before(tmp_path: Path, task: ForecastTask) -> None:
    told: list[str] = []
    assert train(task, keeper(tmp_path, task, told), looks=4) is None
    pointer = next(tmp_path.glob("*/checkpoint.json"))
    kept = json.loads(pointer.read_text())
    kept["mark"]["wall_s"] = 1e7
    pointer.write_text(json.dumps(kept))
    ended = train(task, keeper(tmp_path, task, told))
    assert ended is not None
    assert ended.steps == kept["mark"]["step"] + 1
    assert ended.wall_s > 1e7


@pytest.mark.parametrize("harm", ["tensors", "pointer", "gone", "cut"])
def test_a_damaged_checkpoint_is_told_and_begun_anew(
    tmp_path: Path, task: ForecastTask, whole: Trained, harm: str
) -> None:
    told: list[str] = []
    train(task, keeper(tmp_path, task, told), looks=2)
    pointer, tensors = next(tmp_path.glob("*/checkpoint.json")), next(tmp_path.glob("*/*.safetensors"))
    data = bytearray(tensors.read_bytes())
    match harm:
        case "tensors":
            data[-5] ^= 1
            tensors.write_bytes(data)
        case "cut":
            tensors.write_bytes(data[: len(data) // 2])
        case "gone":
            tensors.unlink()
        case _:
            pointer.write_text('{"identity": 3}')
    again = train(task, keeper(tmp_path, task, told))
    assert [line for line in told if "begins anew" in line] == told
    assert len(told) == 1
    assert bits(again) == bits(whole)


def test_a_checkpoint_of_another_net_is_told_and_begun_anew(tmp_path: Path, task: ForecastTask) -> None:
    told: list[str] = []
    train(task, keeper(tmp_path, task, told), looks=2)
    other = Recipe(least_steps=15, epochs=0.1, options={"hidden": 32, "decoder": 16, "blocks": 1})
    checkpoints = keeper(tmp_path, task, told)  # under the name of the first
    assert fit(task, recipe=other, budget_s=1e6, checkpoints=checkpoints).steps == 15
    checkpoints.close()
    assert len(told) == 1
    assert "other tensors than the net" in told[0]


def test_of_two_at_a_time_one_keeps_checkpoints(tmp_path: Path, task: ForecastTask) -> None:
    told: list[str] = []
    first = keeper(tmp_path, task, told)
    second = keeper(tmp_path, task, told)
    assert told == ["the same training goes on in another process; this one keeps no checkpoints"]
    second.clear()
    assert first.wanted(looked=True, over=True)
    assert not second.wanted(looked=True, over=True)
    assert list(tmp_path.glob("*/lock"))
    first.close()


def test_where_nothing_can_be_written_the_training_goes_on(
    tmp_path: Path, task: ForecastTask, whole: Trained
) -> None:
    (tmp_path / "file").write_text("")
    told: list[str] = []
    trained = train(task, keeper(tmp_path / "file", task, told))
    assert len(told) == 1
    assert "no checkpoints" in told[0]
    assert bits(trained) == bits(whole)


def test_whatever_decides_the_weights_is_in_the_name(task: ForecastTask) -> None:
    other = pose(dataset(seed=1))
    names = {
        identity(task, "mixer", RECIPE, 0),
        identity(task, "mixer", RECIPE, 1),
        identity(task, "mixer", Recipe(), 0),
        identity(task, "other", RECIPE, 0),
        identity(other, "mixer", RECIPE, 0),
        identity(task, "mixer", RECIPE, 0, torch.zeros(2)),
    }
    assert len(names) == 6
    assert identity(pose(dataset()), "mixer", RECIPE, 0) in names


def test_what_nobody_comes_back_for_is_taken_away(tmp_path: Path, task: ForecastTask) -> None:
    train(task, keeper(tmp_path, task, []), looks=1)
    (kept,) = tmp_path.iterdir()
    Checkpoints(tmp_path, "another").close()
    assert (kept / "checkpoint.json").exists()
    long_ago = time.time() - 15 * 86_400
    os.utime(kept / "checkpoint.json", (long_ago, long_ago))
    Checkpoints(tmp_path, "another").close()
    assert not kept.exists()
