"""Who scores from now on: renewal, replay, weights that are taken over, and champion against challenger."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from nervure.core.card import Card
from nervure.core.error import DataError, ModelError
from nervure.core.instant import HOUR_NS, iso
from nervure.core.window import Window
from nervure.learn.anchor import choose
from nervure.learn.model import find_model
from nervure.learn.renew import Rival, judge, newest_split, plan, seen_rows
from nervure.learn.task import ForecastTask, Plain, pose, samples
from nervure.learn.train import Recipe, fit
from nervure.learn.weights import Start, Weights, pack, replay, take_over, unpack
from nervure.trust.signature import SigningKey
from tests.noise import FIRST, dataset

KEY = SigningKey(bytes(range(32)))
SMALL = {"hidden": 24, "decoder": 16, "blocks": 1}


class Guess(Plain):
    """The last reading of a day ago, off by noise and a shift."""

    kind: Literal["deep"] = "deep"
    history = 24

    def __init__(self, shift: float, noise: float = 0.0, seed: int = 0) -> None:
        self.name = f"shifted by {shift:g}"
        self.shift, self.noise, self.seed = shift, noise, seed

    def fit(self, task: ForecastTask) -> Guess:
        return self

    def predict(self, window: Window) -> NDArray[np.float32]:
        random = np.random.default_rng(self.seed)
        y = window.x[:, :6, 0] + self.shift + self.noise * random.standard_normal((len(window.x), 6))
        return np.repeat(y[:, :, None], 5, axis=2).astype(np.float32)


@pytest.fixture
def task() -> ForecastTask:
    return pose(dataset())


def card(task: ForecastTask, seen: int) -> Card:
    return Card(
        name="noise-forecast-level",
        version="1",
        solution="noise",
        problem=task.problem,
        model="mixer",
        created="2024-03-01T00:00:00Z",
        streams=task.names,
        channels=task.inputs,
        every_ns=HOUR_NS,
        window=task.window,
        horizon=task.horizon,
        quantiles=task.quantiles,
        unit="m",
        span=(iso(FIRST * HOUR_NS), iso((FIRST + seen) * HOUR_NS)),
    )


def test_the_challenger_must_be_better_by_more_than_chance(task: ForecastTask) -> None:
    known = card(task, int(task.split.test[0]))
    same = judge(task, Guess(0.0), Rival(card=known, forecaster=Guess(0.0)))
    assert (same.promoted, same.challenger) == (False, same.champion)
    worse = judge(task, Guess(2.0), Rival(card=known, forecaster=Guess(0.0)))
    assert (worse.promoted, worse.sure) == (False, 0.0)
    better = judge(task, Guess(0.0), Rival(card=known, forecaster=Guess(2.0)))
    assert (better.promoted, better.sure) == (True, 1.0)
    assert better.challenger < (better.champion or 0)
    assert better.windows == len(samples(task, "test"))
    chance = judge(task, Guess(0.0, 0.5, seed=1), Rival(card=known, forecaster=Guess(0.0, 0.5, seed=2)))
    assert not chance.promoted
    assert 0.02 < (chance.sure or 0) < 0.98


def test_only_what_neither_was_shown_judges(task: ForecastTask) -> None:
    start = int(task.split.test[0])
    later = judge(task, Guess(0.0), Rival(card=card(task, start + 100), forecaster=Guess(2.0)))
    assert later.since == iso((FIRST + start + 100) * HOUR_NS)
    assert later.promoted
    end = len(task.table.value)
    nothing = judge(task, Guess(0.0), Rival(card=card(task, end - 20), forecaster=Guess(2.0)))
    assert not nothing.promoted
    assert nothing.windows == 0
    assert "nothing newer" in nothing.why


def test_who_has_no_one_to_compare_with_is_promoted_and_warned_of(task: ForecastTask) -> None:
    alone = judge(task, Guess(0.0), None)
    said = f"seasonal naive day is no worse: {alone.naive:.4g} against {alone.challenger:.4g} m"
    assert (alone.promoted, alone.champion, alone.warning) == (True, None, said)
    closed = judge(task, Guess(0.0), None, unjudged="7")
    assert not closed.promoted
    assert "the champion 7 cannot be asked" in closed.why
    other = msgspec.structs.replace(card(task, 10), horizon=5)
    found = judge(task, Guess(0.0), Rival(card=other, forecaster=Guess(2.0)))
    assert found.promoted
    assert "another question" in found.why


def test_a_renewal_learns_from_what_is_new_and_is_judged_by_the_newest(task: ForecastTask) -> None:
    seen, rows = int(task.split.test[0]), len(task.table.value)
    split = newest_split(task, seen)
    assert (split.train[0], split.test[-1]) == (0, rows - 1)
    assert len(split.test) == (rows - seen) // 3
    assert split.test[0] > seen
    assert split.validation[-1] + 1 == split.test[0]
    assert len(split.validation) == len(task.split.validation) // 2
    assert seen_rows(task, card(task, seen)) == seen
    renewed, start = plan(task, card(task, seen), None)
    assert (renewed.split.how, start) == (split.how, None)
    with pytest.raises(DataError, match="too little is new"):
        newest_split(task, rows - 50)
    with pytest.raises(DataError, match="none"):
        newest_split(task, rows)


def test_of_the_past_a_share_is_replayed(task: ForecastTask) -> None:
    chosen = samples(task, "train")
    nothing = Weights(model="mixer", package="", streams=(), tensors={})
    times = np.unique(chosen.last)
    kept = replay(chosen, Start(weights=nothing, since=int(times[-100]), share=0.75))
    old = np.unique(kept.last[kept.last < times[-100]])
    assert (kept.last >= times[-100]).sum() == 200
    assert len(old) == 300
    assert old[0] == times[0]
    assert np.diff(old).max() - np.diff(old).min() <= 1
    assert (np.unique(kept.last, return_counts=True)[1] == 2).all()
    assert len(replay(chosen, Start(weights=nothing, since=len(task.table.value)))) == len(chosen)


def untrained(task: ForecastTask) -> nn.Module:
    model = find_model("mixer", SMALL)
    viewed = model.view(task)
    return model.build(viewed, choose(viewed))


def test_weights_are_taken_over_by_the_names_of_streams() -> None:
    few, more = pose(dataset(things=tuple("abdefg"))), pose(dataset(things=tuple("cbagfed")))
    net, fresh = untrained(few), untrained(more)
    weights = unpack(pack(net, "mixer", few.names, b"package", KEY), [KEY.public])
    assert take_over(net, weights, few.names) == 1.0

    before = {name: one.detach().clone() for name, one in fresh.named_parameters()}
    assert 0.9 < take_over(fresh, weights, more.names) < 1.0
    after, old = dict(fresh.named_parameters()), dict(net.named_parameters())
    node = next(name for name in old if "node" in name)
    assert torch.equal(after[node][[2, 1, 6, 5, 4, 3]], old[node])
    assert torch.equal(after[node][0], before[node][0])

    assert take_over(nn.Linear(3, 3), weights, few.names) == 0.0


def test_weights_that_were_changed_are_refused() -> None:
    file = bytearray(pack(nn.Linear(3, 2), "mixer", ("a/level",), b"package", KEY))
    assert unpack(bytes(file), [KEY.public]).streams == ("a/level",)
    with pytest.raises(ModelError, match="not trusted"):
        unpack(bytes(file), [SigningKey(bytes(32)).public])
    with pytest.raises(ModelError, match="changed"):
        unpack(bytes(file).replace(b"a/level", b"b/level"), [KEY.public])
    file[-1] ^= 1
    with pytest.raises(ModelError, match="changed"):
        unpack(bytes(file), [KEY.public])
    for wrong in (b"", b"\x00" * 40, bytes(file[:60])):
        with pytest.raises(ModelError, match="cannot be read"):
            unpack(wrong, [KEY.public])


def test_a_renewed_net_starts_where_the_champion_stood(task: ForecastTask) -> None:
    champion = fit(task, recipe=Recipe(least_steps=150, epochs=0.1, options=SMALL), budget_s=1e6)
    weights = unpack(pack(champion.module, "mixer", task.names, b"", KEY), [KEY.public])
    renewed, start = plan(task, card(task, int(task.split.test[0])), weights)
    few = Recipe(least_steps=12, epochs=0.01, rate=1e-5, options=SMALL)
    cold = fit(renewed, recipe=few, budget_s=1e6)
    warm = fit(renewed, recipe=few, budget_s=1e6, start=start)
    assert warm.history[0].loss < cold.history[0].loss
