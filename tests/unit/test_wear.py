"""Machines kept by what is left of their bearings."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.act.controller.wear import Aged, Alarm, Business, Growth, History, Wear, best_age, best_alarm
from nervure.bench.twin.shop import KINDS, histories, known, months
from nervure.twin.api import TwinError
from nervure.twin.machine import Machine

BUSINESS = Business(every_h=100.0)
GROWTH = Growth(power=0.5, limit=1.0, spread=0.02, life_h=500.0)


def _lives() -> list[History]:
    found = []
    for life in (300.0, 400.0, 500.0, 650.0):
        work = np.arange(0.0, life, 2.0)
        found.append(History(work, (work / life) ** 2))
    return found


def test_the_power_that_grows_evenly_is_found() -> None:
    found = Growth.learned(_lives())
    assert found.power == 0.5
    assert found.limit == pytest.approx(1.0, abs=0.02)
    assert found.life_h == pytest.approx(460.5, abs=2)


def _worn(control: Wear, share: float, hour: float, life: float = 500.0) -> dict[str, float]:
    for at in np.arange(0.0, share * life, 4.0):
        control.decide(hour - share * life + float(at), {"bearing/envelope": float(max(at, 1.0) / life) ** 2})
    return control.decide(hour, {"bearing/envelope": share**2})


def test_what_is_left_is_told_with_its_doubt() -> None:
    control = Wear(BUSINESS, GROWTH)
    assert control.left() == float("inf")
    _worn(control, 0.5, 1050.0)
    assert 200 < control.left() < 255


def test_a_sound_bearing_runs_a_worn_one_is_replaced_slowed_or_stopped() -> None:
    assert _worn(Wear(BUSINESS, GROWTH), 0.3, 1050.0) == {
        "drive/speed": 1.0, "crew/planned": 0.0, "crew/called": 0.0,
    }  # fmt: skip
    assert _worn(Wear(BUSINESS, GROWTH), 0.85, 1050.0)["crew/planned"] == 1.0
    slowed = _worn(Wear(BUSINESS, GROWTH), 0.9, 1030.0)  # some 40 h left, the crew comes in 70
    assert 0.6 < slowed["drive/speed"] < 1.0
    assert slowed["crew/planned"] == 1.0
    late = _worn(Wear(BUSINESS, GROWTH), 0.995, 1005.0)
    assert late["crew/called"] == 1.0 or late["drive/speed"] == 0.0


def test_what_stands_still_or_is_not_read_says_nothing() -> None:
    control = Wear(BUSINESS, GROWTH)
    for at in range(20):
        control.decide(float(at), {"bearing/envelope": float("nan")})
    assert control.left() == float("inf")


def test_plain_rules_count_and_listen() -> None:
    aged = Aged(10.0)
    assert [aged.decide(hour, {})["crew/planned"] for hour in (0.0, 9.0, 10.0)] == [0, 0, 1]
    aged.renewed()
    assert aged.decide(11.0, {})["crew/planned"] == 0
    alarm = Alarm(1.0)
    told = [alarm.decide(0.0, {"bearing/envelope": one})["crew/planned"] for one in (0.5, 2.0, 0.4, 1.5)]
    assert told == [0, 0, 0, 1]


def test_rules_are_set_where_they_cost_least() -> None:
    assert best_age([300.0, 310.0, 320.0], BUSINESS) == 300.0 or best_age([301.0, 310.0], BUSINESS) == 300.0
    limit = best_alarm(_lives(), BUSINESS)
    assert 0.1 < limit < 0.75  # 100 h before the end at least


def test_one_step_in_so_many_is_measured() -> None:
    twin = Machine(measured_every=3)
    twin.reset()
    told = [np.isfinite(twin.step()["bearing/envelope"]) for _ in range(6)]
    assert told == [False, False, True, False, False, True]
    with pytest.raises(TwinError, match="cannot be measured"):
        Machine(measured_every=0)


def test_a_machine_kept_by_what_is_left_breaks_less_and_costs_less() -> None:
    told = known(histories(range(3, 6)))
    broken, kept = (months(kind, 7, told, hours=1000.0) for kind in (KINDS[0], KINDS[3]))
    assert broken.breaks > 0
    assert kept.breaks == 0
    assert kept.cost_h < 0.6 * broken.cost_h
