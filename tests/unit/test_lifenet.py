"""Cuts, margins and weights of the blend; patches of the nets; the health index."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS
from nervure.learn.detect.block import Block
from nervure.learn.detect.health import Extrapolated, Health, since_young
from nervure.learn.detect.lifeblend import _weights, cuts, widening
from nervure.learn.detect.lifenet import LEVELS, Life
from nervure.learn.detect.machine import CLIP, cmapss
from nervure.learn.detect.models.rul_lstm import RulLstm
from nervure.learn.detect.score import rmse
from nervure.learn.detect.train import Effort


def block(value: np.ndarray, name: str = "a") -> Block:
    return Block(
        name=name, channels=tuple(f"c{at}" for at in range(value.shape[1])), value=value,
        time=np.arange(len(value)) * HOUR_NS, every_ns=HOUR_NS, group=name,
    )  # fmt: skip


def test_cuts_tell_what_is_left() -> None:
    whole = [block(np.arange(200.0)[:, None]), block(np.arange(30.0)[:, None], "b")]
    cut, left, whose = cuts(whole, clip=100, count=50, seed=1)
    for one, rest, place in zip(cut, left, whose, strict=True):
        assert rest == min(100, len(whole[place]) - len(one))
        assert len(one) >= 10
    assert (left[whose == 0] == 100).any()
    with pytest.raises(DataError, match="long enough"):
        cuts([block(np.zeros((8, 1)))], clip=100)


def test_margins_hold_as_often_as_they_promise() -> None:
    random = np.random.default_rng(0)

    def drawn(count: int) -> tuple[Life, np.ndarray]:
        expected = random.uniform(0, 100, size=count)
        truth = expected + random.normal(size=count) * (1 + expected / 10)
        return Life(expected, np.stack([expected - 1, *[expected] * 3, expected + 1], axis=1)), truth

    margin = widening(*drawn(3000), 0.9)
    life, truth = drawn(3000)
    low, high = margin(life)
    for part in (life.expected < 33, life.expected > 67):
        inside = ((low <= truth) & (truth <= high))[part]
        assert inside.mean() == pytest.approx(0.9, abs=0.03)
    closer, farther = margin(life, 4.0)
    assert ((closer >= low) & (farther <= high)).all()


def test_a_margin_may_narrow() -> None:
    expected = np.linspace(0, 10, 60)
    life = Life(expected, np.stack([expected - 50, *[expected] * 3, expected + 50], axis=1))
    low, high = widening(life, expected + 1, 0.9)(life)
    np.testing.assert_allclose(high - low, 2.0, atol=1e-9)


def test_weights_go_to_whom_is_right() -> None:
    truth = np.random.default_rng(0).uniform(0, 100, 50)
    found = _weights(np.stack([truth, truth + 30, np.full(50, 7.0)]), truth)
    assert found == pytest.approx([1, 0, 0], abs=1e-3)
    assert found.sum() == pytest.approx(1)


def test_patches_made_once_are_those_of_windows() -> None:
    random = np.random.default_rng(0)
    value = random.normal(size=(50, 5))
    value[7, 4], value[20:24, 3:] = np.nan, np.nan
    tiny = Effort(cpu_s=1e6, epochs=1, batch=16, judgements=1)
    net = RulLstm(20, 5, clip=30, effort=tiny).fit([block(random.normal(size=(50, 5))) for _ in range(3)])
    module = net.module
    assert module is not None
    aged = np.c_[value, np.arange(1, 51)].astype(np.float32)
    with torch.inference_mode():
        shown = module.patched(aged)[[34, 39, 44, 49]][None]
        told, _ = module.tell(shown, torch.tensor([50.0]))
    assert float(told.clamp(0, 30)[0]) == pytest.approx(net.judge(value).expected[-1], abs=1e-4)


def test_quantiles_are_learnt() -> None:
    random = np.random.default_rng(0)
    lives = random.integers(40, 80, size=30)  # nothing tells when: only quantiles can be right
    machines = [block(np.c_[np.zeros((life, 3)), random.normal(size=(life, 1))]) for life in lives]
    effort = Effort(cpu_s=1e6, epochs=20, batch=128, rate=5e-3, judgements=1)
    net = RulLstm(20, 5, clip=None, effort=effort).fit(machines)
    found = np.stack([net.predict(one.value)[10] for one in machines])
    truth = np.array([len(one) - 11 for one in machines])
    inside = (found[:, 0] <= truth) & (truth <= found[:, len(LEVELS) - 1])
    assert 0.7 <= inside.mean() <= 1.0
    assert (found[:, -1] - found[:, 0]).mean() > 15


def worn(name: str, life: int, random: np.random.Generator) -> Block:
    grown = np.linspace(0, 1, life) ** 2
    own = random.uniform(0.5, 2)  # a level of its own
    return block(np.c_[own * np.exp(2 * grown), random.normal(size=life)], name)


def test_health_falls_with_wear() -> None:
    random = np.random.default_rng(0)
    told = [since_young(worn(str(at), 300, random), [0], every=2, young=5) for at in range(6)]
    index = Health(10, ridge=0.1).fit(told[:5]).index(told[5].value)
    assert index[5] > 0.7
    assert index[-1] < 0.25
    assert told[0].every_ns == 2 * HOUR_NS
    assert abs(told[0].value[4, 0]) < 0.01  # like itself when young
    assert told[0].value[-1, 0] == pytest.approx(2.0, abs=0.1)
    with pytest.raises(DataError, match="fewer than 9"):
        since_young(block(np.ones((5, 1))), [0], every=9)


def test_a_line_is_followed_to_its_end() -> None:
    machines = [block(np.arange(101.0)[:, None]) for _ in range(3)]
    rule = Extrapolated(0, window=10).fit(machines)
    assert rule.limit == pytest.approx(98.0)
    assert rule.predict(np.arange(60.0)[:, None])[-1] == pytest.approx(39.0)
    assert rule.predict(np.full((60, 1), 3.0))[-1] == 41  # it does not rise: the longest life


@pytest.mark.real
def test_a_net_on_turbofans() -> None:
    fleet = cmapss("FD001")
    found = RulLstm().fit(fleet.train).last(fleet.test)
    assert rmse(fleet.rul, found, clip=CLIP) < 13.0
