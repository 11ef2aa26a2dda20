"""What every twin must do, and what each of ours claims of its physics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nervure.core.comfort import HOME
from nervure.learn.detect.leak.network import hanoi_text
from nervure.twin.api import Twin, TwinError
from nervure.twin.building import Building
from nervure.twin.flood import Flood, muskingum, runoff, unit_hydrograph
from nervure.twin.machine import Machine, orders
from nervure.twin.pipes import Pipes
from nervure.twin.sewer import Sewer
from nervure.twin.structure import Structure, beam, drifts, earthquakes, modes, shear_building

Make = Callable[[Path], Twin]


def _pipes(folder: Path) -> Pipes:
    path = folder / "hanoi.inp"
    path.write_text(hanoi_text())
    return Pipes(path, pressure=("12", "22", "31"), flow=("1",))


TWINS: dict[str, Make] = {
    "building": lambda _: Building(),
    "flood": lambda _: Flood(),
    "machine": lambda _: Machine(),
    "pipes": _pipes,
    "sewer": lambda _: Sewer(),
    "structure": lambda _: Structure(3),
}
each = pytest.mark.parametrize("name", sorted(TWINS))


@pytest.fixture
def twin(name: str, tmp_path: Path) -> Twin:
    for one, engine in (("pipes", "epanet"), ("sewer", "pyswmm")):
        if name == one:
            pytest.importorskip(engine)
    return TWINS[name](tmp_path)


@each
def test_it_reads_and_counts_what_it_describes(twin: Twin) -> None:
    told = twin.describe()
    names = [one.name for one in told.sensors]
    assert len(set(names)) == len(names)
    for readings in (twin.reset(seed=3), twin.step()):
        assert set(readings) <= set(names)
        assert all(isinstance(one, float) for one in readings.values())
    assert set(twin.kpis()) == set(told.kpis)
    twin.close()


@each
def test_the_same_seed_gives_the_same_run_and_another_does_not(twin: Twin) -> None:
    runs = []
    for seed in (1, 1, 2):
        twin.reset(seed=seed)
        runs.append([dict(twin.step()) for _ in range(60)])
    assert runs[0] == runs[1] != runs[2]
    twin.close()


@each
def test_a_state_goes_on_exactly(twin: Twin) -> None:
    actuator = twin.describe().actuators[0]
    twin.reset(seed=5)
    for _ in range(10):
        twin.step()
    twin.apply({actuator.name: actuator.low})
    twin.step()
    state = twin.snapshot()
    before = [twin.step() for _ in range(5)], twin.kpis()
    twin.reset(seed=9)
    twin.step()
    twin.restore(state)
    assert ([twin.step() for _ in range(5)], twin.kpis()) == before
    with pytest.raises(TwinError, match="no state of this twin"):
        twin.restore(b"\x00")
    twin.close()


@each
def test_what_it_does_not_know_is_refused(twin: Twin) -> None:
    actuator = twin.describe().actuators[0]
    twin.reset()
    with pytest.raises(TwinError, match="no actuator 'none'"):
        twin.apply({"none": 1.0})
    for bad in (actuator.high + 1, float("nan"), float("inf")):
        with pytest.raises(TwinError, match="cannot be"):
            twin.apply({actuator.name: bad})
    with pytest.raises(TwinError, match="cannot set 'none'"):
        twin.reset(scenario={"none": 1.0})
    twin.close()


def test_sewers_go_on_when_their_storm_and_their_file_are_over() -> None:
    pytest.importorskip("pyswmm")
    sewer = Sewer()
    first = sewer.reset(scenario={"again_mm": 10.0, "again_after_h": 80.0})  # the file ends after 72 h
    rain = [first["sky/rain"], *(sewer.step()["sky/rain"] for _ in range(12 * 90 - 1))]
    assert sum(rain) / 12 == pytest.approx(35 + 10)
    assert sum(rain[12 * 82 :]) / 12 == pytest.approx(10)
    level = sewer.step()["J1/level"]
    assert level > 0  # dry weather flows go on
    sewer.close()


def test_a_river_falls_to_its_base_flow_and_goes_on() -> None:
    river = Flood()
    river.reset(seed=1)
    flow = [river.step()["town/flow"] for _ in range(4 * 200)]  # four days are worked out at first
    assert max(flow) > 30
    assert flow[-1] == pytest.approx(6.0, rel=1e-3)
    state = river.snapshot()
    after = river.step()
    river.restore(state)
    assert river.step() == after
    again = Flood()
    again.reset(seed=1, scenario={"again_mm": 50.0, "again_after_h": 150.0})
    late = [again.step()["town/flow"] for _ in range(4 * 200)]
    assert late[: 4 * 150] == pytest.approx(flow[: 4 * 150])
    assert max(late[4 * 156 :]) > 20


def test_a_day_of_pipes_begins_anew_after_two_weeks(tmp_path: Path) -> None:
    pytest.importorskip("epanet")
    path = tmp_path / "hanoi.inp"
    path.write_text(hanoi_text())
    twin = Pipes(path, pressure=("12",), flow=("1",), step_s=3600)
    twin.reset(scenario={"noise": 0.0, "rough": 0.0, "read_m": 0.0})
    flow = [twin.step()["1/flow"] for _ in range(24 * 16)]
    assert max(flow[:24]) > 1.1 * min(flow[:24])
    assert flow[-24:] == pytest.approx(flow[:24], rel=1e-6)
    twin.close()


def test_a_house_keeps_its_band_and_its_balance() -> None:
    house = Building()
    house.reset(scenario={"pv_kw": 0.0, "battery_kwh": 0.0, "base_w": 0.0})
    airs = [house.step()["living/temperature"] for _ in range(12 * 48)]
    assert min(airs) > 20 - 1e-6
    assert max(airs) < 25 + 1e-6
    kpis = house.kpis()
    assert kpis["comfort"] == 0
    assert kpis["hvac"] == pytest.approx(kpis["bought"])
    assert 0.16 * kpis["bought"] < kpis["cost"] < 0.48 * kpis["bought"]


def test_a_cold_house_is_uncomfortable_when_somebody_is_in() -> None:
    house = Building()
    house.reset(scenario={"warmer_k": -10.0})
    house.apply({"living/heat_setpoint": 5.0, "sleeping/heat_setpoint": 5.0})
    for _ in range(12 * 24):
        house.step()
    assert house.kpis()["comfort"] > 5
    assert HOME.missed(17.0, 19.0) == 1.0


def test_a_battery_holds_what_goes_in_less_what_is_lost() -> None:
    house = Building()
    first = house.reset()["battery/level"]
    house.apply({"battery/power": 3000.0})
    for _ in range(6):
        level = house.step()["battery/level"]
    assert level - first == pytest.approx(100 * 3.0 * 0.5 * 0.95 / 8)


def test_a_house_is_calibrated_on_another() -> None:
    other, own = Building(), Building()
    other.reset(seed=4, scenario={"loss": 1.3, "capacity": 0.8, "people": 1.0})
    own.reset()
    seen: dict[str, list[float]] = {}
    for step in range(12 * 72):
        low = 16.0 if step // 72 % 2 else 20.0
        other.apply({"living/heat_setpoint": low, "sleeping/heat_setpoint": low})
        for name, value in other.step().items():
            seen.setdefault(name, []).append(value)
    found = own.calibrate({name: tuple(one) for name, one in seen.items()})
    assert found["loss"] == pytest.approx(1.3, abs=0.1)
    assert found["capacity"] == pytest.approx(0.8, abs=0.1)
    assert found["held_out_rmse_k"] < 0.5


def test_a_beam_swings_as_theory_has_it() -> None:
    omega = modes(beam(), 3).omega
    assert omega == pytest.approx([(n * np.pi / 30) ** 2 * np.sqrt(6e9 / 8000) for n in (1, 2, 3)], rel=1e-3)


def test_a_step_of_ground_is_what_one_mass_does_exactly() -> None:
    frame = shear_building(1, damping=0.05)
    omega = float(np.sqrt(frame.stiffness[0, 0] / frame.mass[0, 0]))
    damped = np.exp(-0.05 * np.pi / np.sqrt(1 - 0.05**2))
    peak = drifts(frame, np.ones((400, 1)), 0.005)[0, 0]
    assert peak == pytest.approx((1 + damped) / omega**2, rel=1e-3)


def test_damage_slows_the_first_mode_most_below() -> None:
    whole = modes(shear_building()).omega
    lost = [modes(shear_building(loss={at: 0.3})).omega for at in range(6)]
    assert all((one < whole).all() for one in lost)
    first = [1 - one[0] / whole[0] for one in lost]
    assert first == sorted(first, reverse=True)
    with pytest.raises(TwinError, match="cannot lose"):
        shear_building(loss={9: 0.3})


def test_earthquakes_reach_their_peak_and_differ() -> None:
    found = earthquakes(4, peak_m_s2=3.0, seconds=5.0)
    assert np.abs(found).max(axis=0) == pytest.approx([3.0] * 4)
    assert np.abs(np.corrcoef(found.T) - np.eye(4)).max() < 0.5


def test_no_water_is_lost_on_the_way() -> None:
    rain = np.array([0.0, 30.0, 20.0, *([0.0] * 200)])
    excess = runoff(rain, 80.0)
    assert 0 < excess.sum() < 50
    flow = np.convolve(excess, unit_hydrograph(3.0, 0.25))
    routed = muskingum(np.concatenate([flow, np.zeros(400)]), 0.3, 0.2, 0.25, 4)
    assert routed.sum() == pytest.approx(excess.sum(), rel=1e-3)
    assert routed.max() < flow.max()
    with pytest.raises(TwinError, match="does not fit"):
        muskingum(flow, 5.0, 0.4, 0.25)


def test_the_gate_takes_the_peak_off() -> None:
    flood, peaks = Flood(), []
    for gate in (0.0, 1.0):
        flood.reset(seed=1)
        flood.apply({"basin/gate": gate})
        for _ in range(200):
            flood.step()
        peaks.append(flood.kpis()["peak_flow"])
    assert peaks[1] < 0.8 * peaks[0]


def test_a_bearing_wears_slower_at_half_speed_and_is_heard_at_its_own_order() -> None:
    machine, worn = Machine(), []
    for speed in (1.0, 0.5):
        machine.reset(seed=2)
        machine.apply({"drive/speed": speed})
        for _ in range(20):
            machine.step()
        worn.append(machine.kpis()["damage"])
    assert worn[0] > worn[1] > 0.001
    machine.reset(scenario={"start": 0.3, "kind": 1.0})
    readings = machine.reset(scenario={"start": 0.3, "kind": 1.0})
    assert readings["bearing/envelope"] > 20 * machine.reset(scenario={"start": 1e-4})["bearing/envelope"]
    assert orders()["inner"] + orders()["outer"] == pytest.approx(9)


def test_a_burst_loses_water_until_its_valves_are_closed(tmp_path: Path) -> None:
    pytest.importorskip("epanet")
    water = _pipes(tmp_path)
    scenario = {"burst_pipe": float(water.links.index("14")), "burst_size": 20.0, "burst_after_min": 2.0}
    scenario |= {"noise": 0.0, "read_m": 0.0}
    calm = water.reset(seed=1, scenario=scenario)["31/pressure"]
    for _ in range(5):
        burst = water.step()
    assert burst["31/pressure"] < calm
    before = water.kpis()["lost"]
    assert before > 0
    water.apply({water.valve(at): 0.0 for at in range(len(water.valves))})
    water.step()
    assert water.kpis()["lost"] - before < 0.01 * before
    assert water.kpis()["cut_off"] > 0
    water.release()
    water.step()
    assert water.kpis()["closed"] == 0
    assert water.kpis()["lost"] > 1.1 * before
    water.close()


def test_what_is_put_in_arrives_downstream(tmp_path: Path) -> None:
    pytest.importorskip("epanet")
    water = _pipes(tmp_path)
    first = water.reset(scenario={"chlorine": 1.0, "decay_per_day": 1.0})
    assert first["12/quality"] == 0
    for _ in range(120):
        last = water.step()
    assert 0.3 < last["12/quality"] < 1.0
    water.close()
