"""Some days of a town's chlorine under each way of dosing it, behind interlocks, on EPANET."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import numpy as np

from nervure.act.controller.dosing import ConstantDose, DosePI, DosePlan, Works
from nervure.act.loop import Loop
from nervure.bench.twin.station import ridge
from nervure.core.error import DataError
from nervure.core.interlock import Declared
from nervure.core.interlock_check import declared
from nervure.twin.fault import Fault, Faults
from nervure.twin.pipes import Pipes

__all__ = ["KINDS", "MOST", "USUAL", "Water", "scenario", "water", "works"]

KINDS = ("constant dose", "PI", "planned")
USUAL = 0.6
MOST = 0.8
"""What nobody is to get, in mg/L: well below what WHO allows, and above what most people taste."""
_PUMPS, _FAR, _USERS = ("P1", "P2", "P3"), ("C", "F", "G", "I"), tuple("ABCDEFGHI")
_EVERY_MIN, _WARM_H = 15, 48
_NS = 1_000_000_000


class Water(msgspec.Struct, frozen=True, kw_only=True):
    """What came of some days: shares of nodes times hours, the highest in mg/L, chlorine in kg."""

    within: float
    below: float
    above: float
    highest: float
    chlorine_kg: float
    refused: int
    solve_ms: float | None = None


class _Controller(Protocol):
    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]: ...


def works() -> Works:
    """Return the works, with the constant dose."""
    return Works(dose="W/dose", near="A", far=_FAR, pumps=_PUMPS, volume_m3=111.0, usual=USUAL)


def scenario(seed: int) -> dict[str, float]:
    """Return a seed's water: what is used up at once, when it rains, how fast the rest decays."""
    rng = np.random.default_rng([seed, 31])
    return {
        "hour": 0.0, "town": 0.06, "chlorine": USUAL, "read_mg_l": 0.015,
        "raw_mg_l": rng.uniform(0.1, 0.4), "rain_h": rng.uniform(60.0, 150.0),
        "decay_per_day": rng.uniform(0.5, 2.0), "demand": rng.uniform(0.8, 1.15),
    }  # fmt: skip


def _rules() -> Declared:
    """Return what the dosing pump's capability declares; its local plan is the constant dose."""
    gauges = ["S/quality", "A/quality"]
    rules: list[dict[str, Any]] = [
        {"kind": "range", "of": "W/dose", "low": 0.0, "high": 1.5},
        {"kind": "rate", "of": "W/dose", "most": 0.3, "per": "14min"},
        {"kind": "fresh", "inputs": gauges, "within": "20min", "stuck": "90min"},
        {
            "kind": "require", "binds": "models",  # the way back to the plan goes through high doses too
            "doing": [{"of": "W/dose", "low": USUAL + 0.01}],
            "needs": [{"of": "S/quality", "low": 0.0, "high": 0.6}],
        },
    ]  # fmt: skip
    plan = [{"hold": "1h", "values": {"W/dose": USUAL}}]
    act = {"lease": "20min", "age": "1min", "every": "1min", "interlocks": rules, "plan": plan}
    found = declared({"act": act}, {"type": "DataRecord", "field": [{"name": "W/dose", "type": "Quantity"}]})
    if found is None:
        raise DataError("the dosing pump declares nothing")
    return found


def water(kind: str, seed: int, *, days: int = 7, fault: Fault | None = None, guarded: bool = True) -> Water:
    """Dose by one of :data:`KINDS` for some days after two that are not counted.

    A fault is between the analysers and all that reads them; without ``guarded`` the controller's word goes.
    """
    twin = Pipes(ridge(), pressure=("S", *_USERS), flow=_PUMPS)
    readings = twin.reset(seed=seed, scenario=scenario(seed))
    control = {KINDS[0]: ConstantDose, KINDS[1]: DosePI, KINDS[2]: DosePlan}[kind](works())
    names = [one.name for one in twin.describe().sensors]
    faults = Faults([fault] if fault is not None else [], names, seed=seed)
    wish: dict[str, float] = {}
    loop, done = Loop(_rules(), {"W/dose": USUAL}, model=kind, now_ns=0), _Count()
    for minute in range((_WARM_H + days * 24) * 60):
        now_ns = (minute + 60) * 60 * _NS
        if minute % _EVERY_MIN == 0:
            seen = faults.through(readings, minute * 60.0)
            loop.sense({one: seen[one] for one in ("S/quality", "A/quality")}, now_ns)
            force = float(loop.values["W/dose"]) if guarded else wish.get("W/dose", USUAL)
            wish = control.decide(minute / 60, seen | {"W/dose": force})
            if wish:
                loop.command(wish, now_ns)
            if not guarded and wish:
                twin.apply(wish)
            if minute >= _WARM_H * 60:
                done.look(twin.tastes())
        if guarded:
            twin.apply({name: float(one) for name, one in loop.step(now_ns).items()})
        readings = twin.step()
        done.dosed(float(loop.values["W/dose"]) if guarded else wish.get("W/dose", USUAL), readings)
    twin.close()
    return done.told(loop, control)


class _Count:
    """What is counted."""

    def __init__(self) -> None:
        self._looks: list[list[float]] = []
        self._grams = 0.0

    def look(self, tastes: Mapping[str, float]) -> None:
        """Look at what everybody gets."""
        self._looks.append([tastes[one] for one in _USERS])

    def dosed(self, mg_l: float, readings: Mapping[str, float]) -> None:
        """Add a minute's chlorine."""
        self._grams += mg_l * sum(readings[f"{one}/flow"] for one in _PUMPS) / 60

    def told(self, loop: Loop, control: _Controller) -> Water:
        """Return what came of it."""
        own, got = works(), np.array(self._looks)
        spent = getattr(control, "spent_s", None)
        return Water(
            within=float(((got >= own.low) & (got <= own.high)).mean()),
            below=float((got < own.low).mean()),
            above=float((got > own.high).mean()),
            highest=float(got.max()),
            chlorine_kg=self._grams / 1000,
            refused=sum(many for state, many in loop.rulings.items() if state != "checked"),
            solve_ms=float(np.percentile(np.array(spent) * 1000, 99)) if spent else None,
        )
