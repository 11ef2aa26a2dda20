"""Twins that were changed, and what others of their kind find back of it; SUMO bears no pyarrow here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from nervure.bench.twin.usual import USUAL

__all__ = ["CASES", "fitted", "queues", "there"]


class _Case(NamedTuple):
    """A twin, what was changed in it, how long it was watched, and what its readings are off by."""

    module: str
    kind: str
    options: Mapping[str, Any]
    truth: Mapping[str, float]
    steps: int
    seed: int
    noise: Mapping[str, float] = {}
    every: Mapping[str, tuple[float, float]] = {}
    """Commands that are given in turn, half a day each."""


_OFFICE = ("Core_ZN", "Perimeter_ZN_1", "Perimeter_ZN_2", "Perimeter_ZN_3", "Perimeter_ZN_4")
_NIGHT = {f"{zone}/heat_setpoint": (16.0, 21.0) for zone in _OFFICE}
_HOLD = {"living/heat_setpoint": (20.0, 16.0), "sleeping/heat_setpoint": (20.0, 16.0)}
CASES = {
    "EnergyPlus": _Case(
        "energyplus", "EnergyPlus", {"zones": _OFFICE, "steps_an_hour": 6},
        {"capacity": 3.0, "infiltration": 1.6, "gains": 0.7}, 144 * 6, 0, {"temperature": 0.1}, _NIGHT,
    ),
    "roads": _Case(
        "roads", "Roads", {"net": "crossing"},
        {"demand": 0.8, "demand/north_in": 1.4, "demand/west_in": 0.7, "headway": 1.25}, 360, 5,
    ),
    "building": _Case(
        "building", "Building", {}, {"capacity": 0.8, "loss": 1.3, "sun": 1.0}, 12 * 24 * 6, 4,
        {"temperature": 0.1}, _HOLD,
    ),
    "flood": _Case("flood", "Flood", {}, {"lag_h": 6.0, "curve_number": 82.0, "again_mm": 60.0}, 4 * 80, 3),
    "machine": _Case("machine", "Machine", {}, {"rate": 1.7}, 240, 6),
    "pipes": _Case(
        "pipes", "Pipes", {"path": "district", "step_s": 900},
        {"demand": 1.2, "roughness/120": 0.7, "roughness/130": 0.85}, 96 * 6, 2,
        {"pressure": 0.1, "flow": 1.0, "level": 0.02},
    ),
    "L-Town": _Case(
        "pipes", "Pipes", {"path": "ltown", "step_s": 900},
        {"demand": 1.15, "roughness/120": 0.75, "roughness/140": 0.9, "rough": 0.1}, 96 * 3, 8,
        {"pressure": 0.1, "flow": 1.0, "level": 0.02},
    ),
    "sewer": _Case(
        "sewer", "Sewer", {},
        {"area": 1.35, "width": 0.6, "again_mm": 25.0, "again_after_h": 16.0}, 12 * 24, 3, {"level": 0.02},
    ),
    "structure": _Case(
        "structure", "Structure", {},
        {
            "stiffness/1": 0.75, "stiffness/2": 0.9, "stiffness/3": 1.0, "stiffness/4": 1.2,
            "stiffness/5": 1.0, "stiffness/6": 1.0, "damping": 0.05, "noise_m_s2": 2e-3,
        },
        12_000, 7,
    ),
}  # fmt: skip
"""Known changes, one a twin."""


def fitted(name: str) -> dict[str, float]:
    """Watch a changed twin, and let one as it comes find back what was changed."""
    case = CASES[name]
    kind, options = getattr(import_module(f"nervure.twin.{case.module}"), case.kind), _options(name)
    twin, rng, seen = kind(**options), np.random.default_rng(case.seed), dict[str, list[float]]()
    twin.reset(seed=case.seed, scenario=dict(case.truth))
    for step in range(case.steps):
        if case.every:
            commands = {one: pair[step // 72 % 2] for one, pair in case.every.items()}
            twin.apply(commands)
            for one, value in commands.items():
                seen.setdefault(one, []).append(value)
        for sensor, value in twin.step().items():
            noise = case.noise.get(sensor.rsplit("/", 1)[-1], 0.0)
            seen.setdefault(sensor, []).append(value + noise * float(rng.standard_normal()))
    twin.reset(scenario={"again_mm": 60.0} if name == "flood" else None)
    found: dict[str, float] = dict(twin.calibrate({one: tuple(row) for one, row in seen.items()}))
    twin.close()
    if name == "roads":  # what can be told is how many come from where: the product of both factors
        shares = {one: value for one, value in found.items() if one.startswith("demand/")}
        found = {**found, **{one: found["demand"] * value for one, value in shares.items()}}
    if case.module in USUAL:
        plain = USUAL[case.module](seen, twin.describe().step_s)
        found |= {f"usual_{one}": value for one, value in plain.items()}
    return found


def queues(headway: float) -> list[float]:
    """Return the lanes' mean queue in cars on the crossing that was watched, by seed, with a headway."""
    case, found = CASES["roads"], []
    twin = import_module("nervure.twin.roads").Roads(**case.options)
    names = [one.name for one in twin.describe().sensors if one.signal == "queue"]
    for seed in range(20, 28):
        twin.reset(seed=seed, scenario={**case.truth, "headway": headway})
        steps = [twin.step() for _ in range(case.steps)]
        found.append(float(np.mean([[step[name] for name in names] for step in steps])))
    twin.close()
    return found


def there(name: str) -> bool:
    """Whether what a case needs and we may not ship is installed: the network of L-Town."""
    return name != "L-Town" or find_spec("epyt") is not None


def _options(name: str) -> dict[str, Any]:
    """Return how the twins of a case are opened, with the files of their models."""
    options = dict(CASES[name].options)
    if name == "EnergyPlus":
        options["model"] = import_module("nervure.twin.energyplus").small_office()
    if options.get("path") == "district":
        options["path"] = import_module("nervure.twin.find").network("district")
    if options.get("path") == "ltown":
        leak = import_module("nervure.learn.detect.leak.network")
        options |= {
            "path": leak.ltown(),
            "pressure": leak.LTOWN_SENSORS.pressure,
            "flow": leak.LTOWN_SENSORS.flow,
        }
    return options
