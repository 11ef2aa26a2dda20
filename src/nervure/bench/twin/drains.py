"""Storms over sewers in SWMM, with a basin's gate open, throttled, or worked by the level below it."""

from __future__ import annotations

import msgspec
import numpy as np

from nervure.act.controller.gates import HoldLevel
from nervure.act.loop import Loop
from nervure.core.error import DataError
from nervure.core.interlock import Declared
from nervure.core.interlock_check import declared
from nervure.twin.sewer import Sewer

__all__ = ["BAND_M", "SEWERS", "THROTTLED", "Drained", "drained"]

SEWERS = ("gate open", "gate throttled", "gate by the level below")
THROTTLED = 0.6
BAND_M = (3.0, 3.9)
_GATE, _LEVEL = "Gate/gate", "J5/level"


class Drained(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a storm: m3 in streets, m3 into the brook untreated, refused commands."""

    flooded_m3: float
    brook_m3: float
    refused: int


def _storm(seed: int) -> dict[str, float]:
    rng = np.random.default_rng([seed, 71])
    found = {"rain_mm": rng.uniform(25.0, 65.0), "rain_h": rng.uniform(2.0, 8.0)}
    again = rng.uniform(15.0, 45.0), rng.uniform(10.0, 18.0)
    return found | ({"again_mm": again[0], "again_after_h": again[1]} if rng.random() < 0.5 else {})


def _rules() -> Declared:
    """Return what the gate's capability declares; its local plan is the throttled gate."""
    rules = [
        {"kind": "range", "of": _GATE, "low": 0.0, "high": 1.0},
        {"kind": "rate", "of": _GATE, "most": 0.25, "per": "4min"},
        {"kind": "fresh", "inputs": [_LEVEL], "within": "15min"},
    ]
    plan = [{"hold": "1h", "values": {_GATE: THROTTLED}}]
    act = {"lease": "15min", "age": "1min", "every": "5min", "interlocks": rules, "plan": plan}
    found = declared({"act": act}, {"type": "DataRecord", "field": [{"name": _GATE, "type": "Quantity"}]})
    if found is None:
        raise DataError("the gate declares nothing")
    return found


def drained(kind: str, seed: int, *, throttled: float = THROTTLED) -> Drained:
    """Let a seed's storm pass over our own sewers, in one of the ways of :data:`SEWERS`."""
    twin = Sewer()
    readings = twin.reset(seed=seed, scenario=_storm(seed))
    loop = Loop(_rules(), {_GATE: THROTTLED}, model=kind, now_ns=0)
    control = HoldLevel(_GATE, _LEVEL, BAND_M, start=THROTTLED) if kind == SEWERS[2] else None
    for step in range(40 * 12):
        now_ns = (step + 1) * 300 * 1_000_000_000
        if control is not None:
            loop.sense({_LEVEL: readings[_LEVEL]}, now_ns)
            loop.command(control.decide(step / 12, readings), now_ns)
            twin.apply({_GATE: float(loop.step(now_ns)[_GATE])})
        elif step == 0:
            twin.apply({_GATE: 1.0 if kind == SEWERS[0] else throttled})
        readings = twin.step()
    kpis = twin.kpis()
    twin.close()
    refused = sum(many for state, many in loop.rulings.items() if state != "checked")
    return Drained(flooded_m3=kpis["flooded"], brook_m3=kpis["to_Brook"], refused=refused)
