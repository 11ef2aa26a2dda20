"""What every teller of remaining lives keeps to: causal, clipped, in order, the same in every form."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from nervure.core.error import DataError, ModelError
from nervure.core.instant import HOUR_NS
from nervure.learn.detect.block import Block
from nervure.learn.detect.fatigue import Miner
from nervure.learn.detect.health import Extrapolated
from nervure.learn.detect.life import LifeTrees
from nervure.learn.detect.lifeblend import LifeBlend
from nervure.learn.detect.lifenet import LEVELS, LifeNet
from nervure.learn.detect.models.rul_lstm import RulLstm
from nervure.learn.detect.models.rul_tcn import RulTcn
from nervure.learn.detect.train import Effort

CLIP = 40.0
WEAR = 4  # the channel that carries the wear
CHANNELS = ("s1", "s2", "s3", "still", "wear", "noise")
TINY = Effort(cpu_s=1e6, epochs=12, batch=128, rate=5e-3, judgements=1)
Floats = NDArray[np.float64]


def engine(name: int, random: np.random.Generator) -> Block:
    """Wear starts a random while before the end and grows; the machine is run in two ways by turns."""
    life = int(random.integers(60, 100))
    left = np.arange(life - 1, -1, -1)
    way = random.integers(2, size=life)
    value = np.zeros((life, len(CHANNELS)))
    value[:, 0] = 20.0 * way + random.normal(scale=0.01, size=life)
    value[:, 1:3] = random.normal(scale=0.01, size=(life, 2))
    value[:, 3] = 5.0
    value[:, WEAR] = 100 * way + np.maximum(CLIP - left, 0) / 10 + random.normal(scale=0.1, size=life)
    value[:, 5] = random.normal(size=life)
    return Block(
        name=f"engine {name}", channels=CHANNELS, value=value, time=np.arange(1, life + 1) * HOUR_NS,
        every_ns=HOUR_NS, group=str(name),
    )  # fmt: skip


@cache
def engines(count: int, seed: int = 0) -> tuple[Block, ...]:
    random = np.random.default_rng(seed)
    return tuple(engine(turn, random) for turn in range(count))


NETS: dict[str, type[LifeNet]] = {"rul_lstm": RulLstm, "rul_tcn": RulTcn}


def net(kind: type[LifeNet], **more: Any) -> LifeNet:
    return kind(20, 5, clip=CLIP, effort=TINY, **more)


class Small(RulTcn):
    def __init__(self, **more: Any) -> None:
        super().__init__(20, 5, effort=TINY, **more)


BUILD: dict[str, Callable[[], Any]] = {
    "boosted trees": lambda: LifeTrees(20, rounds=30, clip=CLIP),
    "rul_lstm": lambda: net(RulLstm),
    "rul_tcn": lambda: net(RulTcn),
    "life_blend": lambda: LifeBlend(folds=2, clip=CLIP, nets=(Small,), trees=(20,)),
}


@cache
def fitted(name: str) -> Any:
    return BUILD[name]().fit(engines(16))


def lives(model: Any, value: Floats) -> Floats:
    found: Floats = model.predict(value) if isinstance(model, LifeTrees) else model.judge(value).expected
    return found


@pytest.mark.parametrize("name", BUILD)
def test_it_learns_what_wear_says(name: str) -> None:
    new, model = engines(6, seed=9), fitted(name)
    error = [lives(model, one.value) - np.minimum(np.arange(len(one) - 1, -1, -1), CLIP) for one in new]
    assert np.sqrt(np.mean(np.concatenate(error) ** 2)) < 6.0  # a constant is off by 14


@pytest.mark.parametrize("name", BUILD)
def test_what_comes_later_changes_nothing(name: str) -> None:
    value, model = engines(2, seed=5)[0].value, fitted(name)
    other = value.copy()
    other[40:] = 7.0
    np.testing.assert_allclose(lives(model, other)[:40], lives(model, value)[:40], atol=1e-4)
    np.testing.assert_allclose(lives(model, value[:40]), lives(model, value)[:40], atol=1e-4)


@pytest.mark.parametrize("name", BUILD)
def test_the_last_row_alone_is_the_last_of_all(name: str) -> None:
    some, model = [one.part(0, 50) for one in engines(3, seed=5)], fitted(name)
    np.testing.assert_allclose(model.last(some), [lives(model, one.value)[-1] for one in some], atol=1e-4)


@pytest.mark.parametrize("name", BUILD)
def test_answers_lie_between_nothing_and_the_clip(name: str) -> None:
    value = engines(2, seed=5)[0].value.copy()
    value[20:, WEAR] += 1e6
    found = lives(fitted(name), value)
    assert ((found >= 0) & (found <= CLIP)).all()


@pytest.mark.parametrize("name", [one for one in BUILD if one != "boosted trees"])
def test_quantiles_rise_and_stay_in_bounds(name: str) -> None:
    found = fitted(name).predict(engines(2, seed=5)[0].value)
    assert found.shape[1] == len(LEVELS)
    assert (np.diff(found, axis=1) >= 0).all()
    assert ((found >= 0) & (found <= CLIP)).all()


@pytest.mark.parametrize("name", BUILD)
def test_the_same_seed_tells_the_same(name: str) -> None:
    value = engines(2, seed=5)[0].value
    np.testing.assert_array_equal(lives(BUILD[name]().fit(engines(16)), value), lives(fitted(name), value))


@pytest.mark.parametrize("name", NETS)
def test_row_by_row_and_in_onnx_it_is_the_same(name: str) -> None:
    model, value = fitted(name), engines(2, seed=5)[0].value.copy()
    value[30:33, 5] = np.nan
    value[35] = np.nan
    whole, step = model.judge(value), model.stepper()
    found = [step.step(row) for row in value]
    np.testing.assert_allclose([one.expected for one in found], whole.expected, atol=1e-3)
    np.testing.assert_allclose([one.quantile for one in found], whole.quantile, atol=1e-3)
    session = onnxruntime.InferenceSession(model.to_onnx(), providers=["CPUExecutionProvider"])
    aged = np.c_[value, np.arange(1, len(value) + 1)].astype(np.float32)
    shown = np.stack([aged[at - 20 : at] for at in range(20, len(aged) + 1)])
    life, quantile = session.run(None, {"x": shown})
    np.testing.assert_allclose(life, whole.expected[19:], atol=1e-3)
    np.testing.assert_allclose(quantile, whole.quantile[19:], atol=1e-3)


@pytest.mark.parametrize("name", NETS)
def test_contributions_add_up_and_find_the_sensor_that_wears(name: str) -> None:
    model, hits, summed = fitted(name), 0, 0
    for one in engines(6, seed=9):
        value = one.value[:-8]
        own, life = model.contributions(value), model.judge(value).expected[-1]
        assert own.shape == (model.window, len(CHANNELS))
        if 0 < life < CLIP:  # not clipped
            gap = life - model.usual(value)
            assert own.sum() == pytest.approx(gap, abs=0.02 * abs(gap) + 0.02)
            summed += 1
        hits += int(np.abs(own.sum(axis=0)).argmax() == WEAR)
    assert hits == 6
    assert summed >= 3


@pytest.mark.parametrize("name", NETS)
def test_it_says_what_is_wrong(name: str) -> None:
    with pytest.raises(ModelError, match="has not been fitted"):
        net(NETS[name]).last(engines(2))
    with pytest.raises(ModelError, match="do not fit 6 channels"):
        fitted(name).judge(np.zeros((5, 4)))
    with pytest.raises(ModelError, match="patches of 7"):
        NETS[name](20, 7)


@pytest.mark.parametrize("name", NETS)
def test_without_a_clip_long_lives_are_told(name: str) -> None:
    model = NETS[name](20, 5, clip=None, effort=TINY).fit(engines(16))
    young = engines(6, seed=9)
    assert np.mean([model.judge(one.value[:5]).expected[-1] for one in young]) > CLIP


@pytest.mark.parametrize("model", [Miner(4), Extrapolated(4, window=10)], ids=["miner", "extrapolated"])
def test_rules_of_thumb_are_causal_too(model: Any) -> None:
    value = np.abs(engines(2, seed=5)[0].value)
    model.fit(engines(4))
    told = model.judge if isinstance(model, Miner) else model.predict
    whole, part = told(value), told(value[:40])
    if isinstance(model, Miner):
        whole, part = whole.expected, part.expected
    np.testing.assert_allclose(part, whole[:40])


def test_a_blend_wants_machines() -> None:
    with pytest.raises(DataError, match="cannot be dealt"):
        LifeBlend(folds=4, clip=CLIP).fit(engines(3))
