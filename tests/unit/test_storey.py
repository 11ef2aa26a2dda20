"""A learned controller of an office: what it is told, the shield that it runs behind, and where it learns."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from nervure.act.controller.storey import EMPTY_C, LearnedStorey, raised, start, with_fan
from nervure.act.controller.thermostat import setpoints
from nervure.core.comfort import OFFICE
from nervure.core.error import ModelError
from nervure.core.storey import CHOICES, FEATURES, Storey
from nervure.learn.control.warm import WarmNet, ship_warm
from nervure.trust.signature import SigningKey

KEY = SigningKey(os.urandom(32))
ZONES = ("hall", "room")
AIR = {"hall/temperature": 20.0, "room/temperature": 22.0, "outdoor/temperature": 5.0}


def _told(
    hour: float, air: dict[str, float] | None = None
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    storey = Storey(ZONES, OFFICE)
    return storey.look(hour, air or AIR, np.linspace(-10, 30, 24), np.linspace(0, 600, 24))


def test_what_is_told_has_a_name_each_and_knows_the_clock() -> None:
    told = _told(7.5)
    assert told.shape == (1, len(FEATURES))
    assert np.abs(told).max() < 4
    at = {name: FEATURES.index(name) for name in ("somebody", "ready", "ready far", "closing", "mean")}
    assert told[0, at["somebody"]] == 0
    assert told[0, at["ready"]] == pytest.approx(0.5 / 6 - 1)
    assert told[0, at["mean"]] == 0
    noon = _told(16.5)
    assert noon[0, at["somebody"]] == 1
    assert noon[0, at["closing"]] == pytest.approx(1.5 / 5)
    friday = _told(4 * 24 + 20.0)
    assert friday[0, at["ready far"]] == pytest.approx(60 / 36 - 1)
    assert np.isnan(_told(7.5, {"hall/temperature": 20.0})).any()


def test_the_shield_does_more_than_the_rule_never_less() -> None:
    rule = start(ZONES)
    for hour in np.arange(0, 168, 0.5):
        plain = rule.decide(float(hour), AIR)
        low, high = OFFICE.band(float(hour))
        for choice in range(len(CHOICES)):
            found = raised(plain, ZONES, choice)
            for zone in ZONES:
                warm, cold = found[f"{zone}/heat_setpoint"], found[f"{zone}/cool_setpoint"]
                least = CHOICES[choice][2]
                asked = plain[f"{zone}/heat_setpoint"]
                assert (asked if least is None or asked > EMPTY_C else least) <= warm <= cold - 0.5 + 1e-9
                assert low <= warm
                assert cold <= min(plain[f"{zone}/cool_setpoint"], high)
    assert raised(setpoints("hall", 21.0, 24.0), ["hall"], 4)["hall/heat_setpoint"] == 22.5
    assert raised(setpoints("hall", -100.0, 24.0), ["hall"], 2)["hall/heat_setpoint"] == 7.0


def test_the_fan_runs_where_somebody_asks_and_where_it_is_cold() -> None:
    idle = setpoints("hall", -100.0, 100.0)
    readings = {"hall/temperature": 18.0}
    assert with_fan(idle, readings, ["hall"], "supply")["supply/fan"] == 0.0
    assert with_fan(idle, {"hall/temperature": 13.0}, ["hall"], "supply")["supply/fan"] == 1.0
    assert with_fan(raised(idle, ["hall"], 7), readings, ["hall"], "supply")["supply/fan"] == 1.0


def _control(choice: int, fan: str | None = None) -> LearnedStorey:
    net = WarmNet(features=len(FEATURES), choices=len(CHOICES))
    with torch.no_grad():
        net.better.weight.zero_()
        net.better.bias.copy_(torch.nn.functional.one_hot(torch.tensor(choice), len(CHOICES)).float())
    model = ship_warm(net, name="office", key=KEY, train_cpu_s=1.0, features=FEATURES)
    return LearnedStorey(
        model, (KEY.public,), ZONES, OFFICE, lambda _, count: (np.zeros(count), np.zeros(count)), fan=fan
    )


def test_a_choice_is_held_for_half_an_hour_and_a_reading_that_fails_leaves_the_rule() -> None:
    control = _control(7, fan="supply")
    night = control.decide(26.0, AIR)
    assert night["hall/cool_setpoint"] == 20.0
    assert night["supply/fan"] == 1.0
    lost = AIR | {"room/temperature": float("nan")}
    assert control.decide(26.25, lost)["hall/cool_setpoint"] == 20.0
    assert control.decide(26.5, lost)["hall/cool_setpoint"] == 40.0
    assert control.verdicts == {"other": 1, "invalid": 1}
    assert _control(0).decide(26.0, AIR) == start(ZONES).decide(26.0, AIR)


def test_a_file_for_a_house_is_refused() -> None:
    model = ship_warm(WarmNet(), name="house", key=KEY, train_cpu_s=1.0)
    with pytest.raises(ModelError, match="no controller of a storey"):
        LearnedStorey(model, (KEY.public,), ZONES, OFFICE, lambda _, n: (np.zeros(n), np.zeros(n)))
