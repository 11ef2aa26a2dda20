"""Controllers: thermostats that learn, plans that pay, valves that shut a burst in."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.act.controller.burst import Burst, Ways
from nervure.act.controller.climate import Ahead, Machine, plan
from nervure.act.controller.isolation import isolate, segments
from nervure.act.controller.thermal import Hours, Rooms, learn
from nervure.act.controller.thermostat import LearnedStart, Schedule
from nervure.core.comfort import HOME, OFFICE
from nervure.core.error import DataError

MACHINE = Machine(
    power_w=(6000.0,), heating=lambda _: 3.0, cooling=lambda _: 3.0,
    price=lambda hour: 0.5 if 16 <= hour % 24 < 21 else 0.1,
)  # fmt: skip
ROOMS = Rooms(
    a=np.array([[0.6, 0.35], [0.1, 0.9]]), b=np.array([[0.4e-3], [0.0]]),
    e=np.array([[0.05, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]), memory_h=10.0, error_k=np.array([0.0]),
)  # fmt: skip


def _plan(start: float, hour: float = 0.0, charge: float = 0.0, **change: float) -> tuple[np.ndarray, ...]:
    machine = Machine(**{**{one: getattr(MACHINE, one) for one in MACHINE.__struct_fields__}, **change})  # type: ignore[arg-type]
    ahead = Ahead(np.zeros(24), np.zeros(24), np.full(24, 300.0))
    found = plan(ROOMS, machine, HOME, hour, np.array([start, start]), ahead, charge_kwh=charge)
    return found.heat, found.air, found.battery


def test_a_plan_heats_before_the_peak_and_keeps_the_band() -> None:
    heat, air, _ = _plan(21.0)
    low = [max(HOME.band(float(at))[0], HOME.band(float(at + 1))[0]) for at in range(24)]
    assert (air[:, 0] >= np.array(low) - 1e-6).all()
    assert heat[13:16].sum() > heat[16:19].sum()


def test_a_plan_exists_where_the_band_cannot_be_kept() -> None:
    _, air, _ = _plan(-10.0, 6.0)
    assert air[0, 0] < 20.0
    assert air[-1, 0] > air[0, 0]


def test_a_battery_is_filled_when_power_is_cheap_and_emptied_when_it_is_not() -> None:
    _, _, battery = _plan(21.0, battery_kwh=5.0)
    assert battery[:16].sum() > 1000
    assert battery[16:21].sum() < -1000
    held = np.cumsum(np.where(battery > 0, battery * 0.95, battery / 0.95)) / 1000
    assert held.min() > -1e-6
    assert held.max() < 5 + 1e-6


def test_rooms_are_learned_from_what_they_did() -> None:
    rng, count = np.random.default_rng(0), 400
    outdoor, sun = 5 + 5 * rng.standard_normal(count), np.zeros(count)
    heat = np.repeat(rng.uniform(0, 5000, count // 4), 4)[:, None]
    x, airs = np.array([20.0, 19.0]), []
    for at in range(count):
        airs.append(x[:1])
        x = ROOMS.a @ x + ROOMS.b @ heat[at] + ROOMS.e @ np.array([outdoor[at], 0.0, 0.0, 1.0])
    hours = Hours(np.array(airs), heat, outdoor, sun, np.zeros(count))
    found = learn(hours)
    assert found.b[0, 0] == pytest.approx(ROOMS.b[0, 0], rel=0.1)
    assert found.a[0, 0] == pytest.approx(0.6, abs=0.1)
    with pytest.raises(DataError, match="too few"):
        learn(Hours(*(one[:50] for one in hours)))
    with pytest.raises(DataError, match="nothing was heated"):
        learn(hours._replace(heat=np.zeros_like(heat)))


def test_a_schedule_holds_a_band_before_it_begins() -> None:
    control = Schedule(["hall"], OFFICE, lead_h=2.0)
    assert control.decide(5.75, {})["hall/heat_setpoint"] == 12.8
    assert control.decide(6.0, {})["hall/heat_setpoint"] == 21.0
    assert control.decide(18.0, {})["hall/heat_setpoint"] == 12.8
    assert control.decide(5 * 24 + 10.0, {})["hall/cool_setpoint"] == 40.0


def test_a_start_is_learned() -> None:
    """A room that gains 2 K an hour from 15 Cel needs three hours: after some days it gets no more."""
    control, starts, air = LearnedStart(["hall"], OFFICE), [], 15.0
    for step in range(4 * 24 * 26):
        hour = step / 4
        commands = control.decide(hour, {"hall/temperature": air, "outdoor/temperature": 0.0})
        warm = commands["hall/heat_setpoint"] > air
        if warm and hour % 24 < 8 and hour % 168 < 120 and air <= 15.01:
            starts.append(hour % 24)
        air = min(air + 0.5, 21.0) if warm else max(air - 0.25, 15.0)
    assert starts[-3:] == pytest.approx([5.0] * 3, abs=0.55)
    assert control.lead_h("hall", 6.0, 0.0) == pytest.approx(3.0, abs=0.75)


def _ring() -> tuple[np.ndarray, list[tuple[int, int]]]:
    """A source that feeds a ring of six nodes, with a valve at each end of every pipe of it."""
    ends = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 6], [6, 1]])
    return ends, [(link, node) for link in range(1, 7) for node in ends[link].tolist()]


def test_a_pipe_of_a_ring_is_isolated_by_its_two_valves() -> None:
    ends, valves = _ring()
    cut = segments(ends, 7, valves)
    chance = np.zeros(cut.total)
    chance[cut.of_link[3]] = 1.0
    demand = np.bincount(cut.of_node, minlength=cut.total).astype(float)
    found = isolate(cut, chance, demand, np.unique(cut.of_node[[0]]))
    assert {valves[at] for at in found.valves} == {(3, 3), (3, 4)}
    assert found.chance == 1.0
    assert found.cut_off == 0.0


def test_what_lies_behind_is_counted_as_cut_off() -> None:
    ends = np.array([[0, 1], [1, 2], [2, 3]])
    valves = [(1, 1), (2, 2)]
    cut = segments(ends, 4, valves)
    chance = np.zeros(cut.total)
    chance[cut.of_link[1]] = 1.0
    demand = np.bincount(cut.of_node, minlength=cut.total).astype(float)
    found = isolate(cut, chance, demand, cut.of_node[[0]])
    assert cut.of_node[3] in found.inside
    assert found.cut_off == pytest.approx(0.5)
    with pytest.raises(DataError, match="send a crew"):
        isolate(cut, chance, demand, cut.of_node[[0]], most=0)


def _burst() -> tuple[Burst, list[tuple[int, int]]]:
    ends, valves = _ring()
    cut = segments(ends, 7, valves)
    move = -np.eye(6)[:, :4] - 0.2
    ways = Ways(move, np.full(6, 30.0), np.arange(1, 7), cut.of_node[[1, 2, 3, 4]])
    demand = np.bincount(cut.of_node, minlength=cut.total).astype(float)
    names = [f"{at}/pressure" for at in range(4)]
    control = Burst(
        ways, cut, demand, cut.of_node[[0]], sensors=names, inflow=["in"], valve=lambda at: f"valve{at}"
    )
    return control, valves


def _readings(rng: np.random.Generator, drop: np.ndarray, flow: float) -> dict[str, float]:
    noisy = 40 + drop + 0.02 * rng.standard_normal(4)
    return {**{f"{at}/pressure": float(one) for at, one in enumerate(noisy)}, "in": flow}


def test_a_burst_is_shut_in_and_the_inflow_says_so() -> None:
    control, valves = _burst()
    rng, way = np.random.default_rng(1), np.array([-0.2, -0.2, -1.2, -0.2])
    closed: dict[str, float] = {}
    for minute in range(60):
        on = minute >= 40 and not closed
        readings = _readings(rng, way if on else np.zeros(4), 130.0 if on else 100.0)
        closed |= control.decide(minute, readings)
    assert [one.what for one in control.events] == ["seen", "closed", "held"]
    assert {valves[int(one[5:])] for one in closed} == {(3, 3), (3, 4)}
    assert control.events[1].minute <= 43


def test_what_does_not_hold_is_opened_again_and_then_given_up() -> None:
    control, _ = _burst()
    rng, way = np.random.default_rng(1), np.array([-0.2, -0.2, -1.2, -0.2])
    state: dict[str, float] = {}
    for minute in range(80):
        on = minute >= 40
        state |= control.decide(minute, _readings(rng, way if on else np.zeros(4), 130.0 if on else 100.0))
    said = [one.what for one in control.events]
    assert said[0] == "seen"
    assert said[-1] == "given up"
    assert said.count("opened") == said.count("closed")
    assert set(state.values()) == {1.0}


def test_calm_and_missing_readings_close_nothing() -> None:
    control, _ = _burst()
    rng = np.random.default_rng(2)
    for minute in range(500):
        readings = _readings(rng, np.zeros(4), 100 + rng.standard_normal())
        if minute % 7 == 0:
            readings["1/pressure"] = float("nan")
        assert control.decide(minute, readings) == {}
    assert control.events == []
