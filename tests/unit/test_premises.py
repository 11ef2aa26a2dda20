"""Inputs of a model of EnergyPlus multiplied, and found back from readings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nervure.twin.api import TwinError
from nervure.twin.energyplus import EnergyPlus, small_office
from nervure.twin.premises import edited

pytest.importorskip("pyenergyplus")
ZONES = ("Core_ZN", "Perimeter_ZN_1", "Perimeter_ZN_2", "Perimeter_ZN_3", "Perimeter_ZN_4")
IDF = """
  Lights, L1, Z1, S, Watts/Area, , 10.0, , 0.2;  ! to the end, of it
  ZoneInfiltration:DesignFlowRate,
    I1, Z1, S, Flow/Zone,  !- a comment; with marks
    0.5, , , , 1.0, 0, 0, 0;
"""


def test_what_is_multiplied_is_what_was_named(tmp_path: Path) -> None:
    model = tmp_path / "own.idf"
    model.write_text(IDF)
    assert edited(model, {"gains": 1.0}, tmp_path) == model
    out = edited(model, {"gains": 1.5, "infiltration": 0.5, "capacity": 4.0}, tmp_path).read_text()
    lines = out.splitlines()
    assert lines[0] == "Lights,L1,Z1,S,Watts/Area,,15.0,,0.2;"
    assert lines[1].startswith("ZoneInfiltration:DesignFlowRate,I1,Z1,S,Flow/Zone,0.25,,,,1.0")
    assert lines[2] == "ZoneCapacitanceMultiplier:ResearchSpecial,all zones,,4.0,1.0,1.0,1.0;"
    bare = tmp_path / "bare.idf"
    bare.write_text("Zone, Z1;")
    with pytest.raises(TwinError, match="nothing for 'gains'"):
        edited(bare, {"gains": 2.0}, tmp_path)


def test_the_other_format_is_read_too(tmp_path: Path) -> None:
    model = tmp_path / "own.epJSON"
    tree = {
        "Lights": {"L1": {"lighting_level": 100, "fraction_radiant": 0.5}},
        "ZoneCapacitanceMultiplier:ResearchSpecial": {"a": {"temperature_capacity_multiplier": 2.0}},
    }
    model.write_text(json.dumps(tree))
    out = json.loads(edited(model, {"gains": 0.5, "capacity": 3.0}, tmp_path).read_text())
    assert out["Lights"]["L1"] == {"lighting_level": 50.0, "fraction_radiant": 0.5}
    assert out["ZoneCapacitanceMultiplier:ResearchSpecial"]["a"]["temperature_capacity_multiplier"] == 6.0
    with pytest.raises(TwinError, match="nothing for 'infiltration'"):
        edited(model, {"infiltration": 2.0}, tmp_path)


def test_an_office_is_calibrated_on_another() -> None:
    twin, seen = EnergyPlus(small_office(), ZONES, steps_an_hour=6), dict[str, list[float]]()
    truth = {"capacity": 3.0, "infiltration": 1.6, "gains": 0.7}
    rng = np.random.default_rng(0)
    twin.reset(scenario=truth)
    for step in range(360):
        told = {f"{zone}/heat_setpoint": 21.0 if step // 72 % 2 else 16.0 for zone in ZONES}
        twin.apply(told)
        for name, value in told.items():
            seen.setdefault(name, []).append(value)
        for name, value in twin.step().items():
            noise = 0.1 * rng.standard_normal() if name.endswith("temperature") else 0.0
            seen.setdefault(name, []).append(value + noise)
    found = twin.calibrate({name: tuple(one) for name, one in seen.items()})
    twin.close()
    for name, one in truth.items():
        assert found[name] == pytest.approx(one, rel=0.2)  # capacity is the hardest, with 0.1 K of noise
    assert found["held_out_rmse_k"] < 0.5 * found["uncalibrated_held_out_rmse_k"]
    assert found["held_out_power"] < 0.5 * found["uncalibrated_held_out_power"]
    few = {name: tuple(one[:100]) for name, one in seen.items()}
    with pytest.raises(TwinError, match="100 steps are too few"):
        twin.calibrate(few)
    with pytest.raises(TwinError, match="needs temperatures"):
        twin.calibrate({"building/hvac": tuple(seen["building/hvac"])})
    with pytest.raises(TwinError, match="gains cannot be 0"):
        twin.reset(scenario={"gains": 0.0})
