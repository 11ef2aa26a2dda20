"""A learned controller of heat: what it is told, how it is taught, and the shield that it runs behind."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from nervure.act.controller.thermostat import Schedule
from nervure.act.controller.warm import LearnedHeat, shielded
from nervure.bench.twin.hearth import KINDS, Schoolhouse, start_day, weeks
from nervure.bench.twin.house import NAMES
from nervure.core.comfort import HOME
from nervure.core.error import ModelError
from nervure.core.hearth import CHOICES, FEATURES, Hearth
from nervure.learn.control.warm import WarmNet, WarmRecipe, ship_warm, train_warm
from nervure.trust.signature import SigningKey
from nervure.twin.house import Tariff
from nervure.twin.weather import made_up

AIR = {"living/temperature": 21.0, "sleeping/temperature": 20.0}
KEY = SigningKey(os.urandom(32))


def _file(bias: int | None = None) -> bytes:
    torch.manual_seed(0)
    net = WarmNet()
    if bias is not None:
        with torch.no_grad():
            net.better.weight.zero_()
            net.better.bias.copy_(torch.nn.functional.one_hot(torch.tensor(bias), len(CHOICES)).float())
    return ship_warm(net, name="house", key=KEY, train_cpu_s=1.0)


def _controller(model: bytes, key: bytes = KEY.public) -> LearnedHeat:
    return LearnedHeat(
        model, (key,), NAMES, HOME, Tariff().price, lambda _hour, count: (np.zeros(count), np.zeros(count))
    )


def test_what_is_told_has_a_name_each_and_stays_small() -> None:
    hearth = Hearth(NAMES, HOME, Tariff().price)
    told = hearth.look(15.5, AIR, np.linspace(-10, 30, 12), np.linspace(0, 600, 12))
    assert told.shape == (2, len(FEATURES))
    assert np.abs(told).max() < 5
    lost = hearth.look(16.0, {"living/temperature": 21.0}, np.zeros(12), np.zeros(12))
    assert np.isnan(lost[1, 0])
    assert np.isfinite(lost[0]).all()


def test_a_choice_never_leaves_the_band() -> None:
    hearth = Hearth(NAMES, HOME, Tariff().price)
    for hour in range(168):
        low, high = HOME.band(float(hour))
        for choice in range(len(CHOICES)):
            warm, cold = hearth.setpoints(float(hour), choice)
            assert low <= warm <= cold - 0.5 + 1e-9
            assert cold <= high + 1e-9


def test_the_shield_prepares_a_band_whatever_is_wanted() -> None:
    schedule = Schedule(NAMES, HOME, 2.0)
    lazy = dict.fromkeys(NAMES, (16.0, 28.0))
    assert shielded(12.0, lazy, schedule, AIR)["living/heat_setpoint"] == 16.0
    assert shielded(14.5, lazy, schedule, AIR)["living/heat_setpoint"] == 20.0  # home at 16 o'clock
    eager = dict.fromkeys(NAMES, (24.0, 28.0))
    assert shielded(12.0, eager, schedule, AIR)["living/heat_setpoint"] == 24.0


def test_what_the_net_rates_highest_is_held_for_half_an_hour() -> None:
    control = _controller(_file(bias=4))
    assert control.decide(12.0, AIR)["sleeping/heat_setpoint"] == 23.0
    lost = AIR | {"living/temperature": float("nan")}
    assert control.decide(12.25, lost)["sleeping/heat_setpoint"] == 23.0
    assert control.decide(12.5, lost) == Schedule(NAMES, HOME, 2.0).decide(12.5, lost)
    assert control.verdicts == {"passed": 1, "invalid": 1}


def test_a_file_of_somebody_else_is_refused() -> None:
    with pytest.raises(ModelError):
        _controller(_file(), SigningKey(os.urandom(32)).public)


def test_the_file_answers_as_torch_does_and_lives_through_days() -> None:
    weather = made_up(3)
    lived = weeks(KINDS[4], 600, weather, days=2, model=(_file(bias=0), KEY.public))
    constant = weeks(KINDS[0], 600, weather, days=2)
    assert lived.refused == 0
    assert lived.comfort_kh < 0.5
    assert lived.hvac_kwh != constant.hvac_kwh
    assert len({start_day(seed) for seed in range(600, 610)}) == 10


class _Toy:
    """A choice is worth what it is away from one that depends on what is told."""

    steps = 40

    def reset(self, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        self._rng = np.random.default_rng(seed)
        return self._look()

    def _look(self) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        told = np.zeros((2, len(FEATURES)), np.float32)
        told[:, 0] = self._rng.choice([-1.0, 1.0], 2)
        self._right = np.where(told[:, 0] > 0, 2, 5)
        return told

    def step(
        self, choice: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> tuple[
        np.ndarray[tuple[int, int], np.dtype[np.float32]], np.ndarray[tuple[int], np.dtype[np.float32]]
    ]:
        reward = (choice == self._right).astype(np.float32)
        return self._look(), reward


def test_it_learns_what_pays() -> None:
    net = train_warm(_Toy(), WarmRecipe(budget_s=100.0, most=25, batch=32, rate=2e-3, gamma=0.1, first=100))
    x = torch.zeros(2, len(FEATURES))
    x[:, 0] = torch.tensor([1.0, -1.0])
    assert net(x).argmax(dim=1).tolist() == [2, 5]


def test_lessons_cost_what_is_heated() -> None:
    home = Schoolhouse(years=1, days=1)
    home.reset(4)
    costs = []
    for choice in (0, 5):
        home.reset(4)
        costs.append(-sum(float(home.step(np.array([choice, choice]))[1].sum()) for _ in range(home.steps)))
    assert costs[1] > costs[0] > 0
