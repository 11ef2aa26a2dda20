"""Pumps planned by tariff, their float switches, and the town's network they are tried on."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.act.controller.pumping import Levels, Now, Pumping, Pumps, Station, Tank, Tanks, plan
from nervure.bench.twin.station import KINDS, LIMITS, days, pattern, ridge
from nervure.twin.house import Tariff
from nervure.twin.pipes import Pipes

STATION = Station(
    pumps=("P1", "P2"),
    tanks=(Tank(name="T", low_m=1.0, high_m=5.0, area_m2=500.0),),
    rated_m3h=200.0,
    rated_kw=40.0,
    price=Tariff().price,
)
PUMPS = Pumps(np.array([0.0, 200.0, 380.0]), np.array([0.0, 40.0, 80.0]))
USUAL = np.full(36, 220.0)


def _levels(on: np.ndarray[tuple[int], np.dtype[np.float64]], start: float) -> list[float]:
    lifted = np.interp(on, [0.0, 1.0, 2.0], PUMPS.lift)
    return list(start + np.cumsum((lifted - USUAL) / 500.0))


def test_a_plan_lifts_before_the_dear_hours_and_keeps_the_levels() -> None:
    on = plan(STATION, Tanks.filled(STATION), PUMPS, Now(8.0, np.array([3.0]), 1), USUAL)
    assert set(on[:5].round(6)) <= {0.0, 1.0, 2.0}
    levels = _levels(on, 3.0)
    assert min(levels) > 1.0 - 1e-6
    assert max(levels) < 5.0 + 1e-6
    dear = on[8:13].mean()  # 16 to 21 o'clock
    assert dear < 0.5 * on[:8].mean()


def test_a_plan_exists_where_levels_cannot_be_kept() -> None:
    on = plan(STATION, Tanks.filled(STATION), PUMPS, Now(8.0, np.array([1.2]), 0), USUAL * 4)
    assert on[:6].min() == pytest.approx(2.0)


def test_starts_cost_something() -> None:
    dear = Station(
        pumps=STATION.pumps,
        tanks=STATION.tanks,
        rated_m3h=200.0,
        rated_kw=40.0,
        price=STATION.price,
        start=50.0,
    )
    now = Now(0.0, np.array([3.0]), 1)
    some, few = (plan(one, Tanks.filled(one), PUMPS, now, USUAL) for one in (STATION, dear))
    assert np.abs(np.diff(few)).sum() < np.abs(np.diff(some)).sum()


def test_tanks_are_learned_from_what_they_did() -> None:
    two = (STATION.tanks[0], Tank(name="U", low_m=1.0, high_m=5.0, area_m2=250.0))
    station = Station(pumps=("P1",), tanks=two, rated_m3h=200.0, rated_kw=40.0, price=STATION.price)
    rng = np.random.default_rng(3)
    x = np.column_stack(
        [rng.uniform(0, 400, 200), rng.uniform(100, 400, 200), rng.uniform(2, 4, (200, 2)), np.ones(200)]
    )
    true = np.array([[1.1e-3, -1.2e-3, -0.1, 0.1, 0.0], [1.8e-3, -1.6e-3, 0.2, -0.2, 0.0]])
    found = Tanks.filled(station).learned(x, x @ true.T)
    assert np.abs(x @ found.weight.T - x @ true.T).max() < 0.05
    assert np.abs(x @ Tanks.filled(station).weight.T - x @ true.T).max() > 0.2


def test_float_switches_turn_pumps_one_by_one_and_let_them_rest() -> None:
    floats = Levels(STATION, (4.0, 3.0), (4.5, 4.0))
    assert sum(floats.decide(0.0, {"T/level": 3.5}).values()) == 1
    assert sum(floats.decide(1.0, {"T/level": 2.9}).values()) == 2
    first = floats.decide(2.0, {"T/level": 4.2})
    assert first == {"P1/pump": 0.0, "P2/pump": 1.0}  # the one that ran longest goes
    assert floats.decide(2.2, {"T/level": 2.0}) == first  # it rests for half an hour
    assert sum(floats.decide(2.6, {"T/level": 2.0}).values()) == 2
    assert floats.decide(3.0, {}) == {}


def test_switches_by_tariff_fill_when_it_is_cheap() -> None:
    floats = Levels(STATION, (3.0,), (3.5,), price=STATION.price, shift_m=1.0)
    assert [floats.count(hour, 3.7, 0) for hour in (3.0, 17.0)] == [1, 0]
    assert [floats.count(hour, 3.7, 1) for hour in (3.0, 17.0)] == [1, 0]


def test_nothing_is_decided_on_what_was_not_read() -> None:
    control = Pumping(STATION, lambda _hour, count: np.full(count, 200.0), Levels(STATION, (4.0,), (4.5,)))
    told = {"T/level": 3.0, "P1/flow": 0.0, "P2/flow": 0.0, "P1/power": 0.0, "P2/power": 0.0}
    assert control.decide(0.0, told)
    for lacking in told:
        assert control.decide(0.1, told | {lacking: float("nan")}) == {}


def test_a_commanded_pump_is_left_alone_by_the_files_controls_until_it_is_given_back() -> None:
    pytest.importorskip("epanet")
    twin = Pipes(ridge(), flow=("P1", "P2", "P3"))
    twin.reset(scenario={"hour": 7.0})
    twin.apply({"P1/pump": 0.0, "P2/pump": 0.0, "P3/pump": 0.0})
    for _ in range(240):
        readings = twin.step()
    assert readings["Ridge/level"] < 2.2  # where the file turns on all three
    assert readings["P1/flow"] == readings["P1/power"] == 0
    twin.release(("P1/pump", "P2/pump", "P3/pump"))
    readings = twin.step()
    assert min(readings[f"P{at}/flow"] for at in (1, 2, 3)) > 100
    twin.close()


def test_a_planned_day_is_cheaper_than_float_switches_within_all_limits() -> None:
    pytest.importorskip("epanet")
    usual = pattern(ridge())
    plain, planned = (days(kind, 5, usual, count=2) for kind in (KINDS[0], KINDS[2]))
    assert planned.cost < 0.9 * plain.cost
    for one in (plain, planned):
        assert (one.outside_min, one.low_pressure_min) == (0, 0)
        assert one.least_pressure_m > LIMITS["pressure_m"]
