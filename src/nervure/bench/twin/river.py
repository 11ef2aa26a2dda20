"""Storms over a river's twin under each way of working a basin's gates, behind interlocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.act.controller.gates import STEP_H, Basin, FixedGate, Gates, RuleCurve
from nervure.act.loop import Loop
from nervure.core.error import DataError
from nervure.core.interlock import Declared
from nervure.core.interlock_check import declared
from nervure.twin.flood import BANK_M, BANK_M3_S, BASIN_M3, GATE_M3_S, OUTLET_M3_S, STEP_S, Flood, tributaries

__all__ = ["FIXED", "KINDS", "Foresight", "Storm", "basin", "one_storm", "storm"]

Floats = NDArray[np.float64]
KINDS = ("no basin", "fixed gate", "rule curve", "planned", "planned, forecasts without error")
FIXED = 1.0
_STEPS = 383
_AHEAD, _MEMBERS = 48, 5
_FIELDS = ("basin/gate", "basin/outlet")


class Storm(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a storm: the town's peak in m3/s and m, hours and m3 over the bank, refused commands."""

    peak_m3_s: float
    peak_m: float
    over_h: float
    over_m3: float
    refused: int
    moves: float
    solve_ms: tuple[float, float] | None = None


class _Controller(Protocol):
    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]: ...


def basin() -> Basin:
    """Return the basin as its papers have it."""
    return Basin(bank_m3_s=BANK_M3_S, gate_m3_s=GATE_M3_S, outlet_m3_s=OUTLET_M3_S, holds_m3=BASIN_M3)


def storm(seed: int) -> dict[str, float]:
    """Return a seed's storm: one in two has a second one behind it."""
    rng = np.random.default_rng([seed, 5])
    found = {
        "rain_mm": rng.uniform(70.0, 140.0), "rain_h": rng.uniform(8.0, 20.0),
        "curve_number": rng.uniform(68.0, 84.0), "lag_h": rng.uniform(3.0, 6.0),
    }  # fmt: skip
    second = rng.uniform(40.0, 100.0), rng.uniform(26.0, 36.0)
    if rng.random() < 0.5:
        found |= {"again_mm": second[0], "again_after_h": second[1]}
    return found


def _rules() -> Declared:
    """Return what the basin's capability declares; its local plan is the fixed gate."""
    low = {"low": 0.05, "high": 1.0}
    rules: list[dict[str, Any]] = [
        *({"kind": "range", "of": one, "low": 0, "high": 1} for one in _FIELDS),
        *({"kind": "rate", "of": one, "most": 0.5, "per": "15min"} for one in _FIELDS),
        {"kind": "conflict", "pairs": [[{"of": one, **low} for one in _FIELDS]]},
        {"kind": "fresh", "inputs": ["north/flow", "south/flow", "town/level"], "within": "40min"},
        {
            "kind": "require", "doing": [{"of": "basin/outlet", **low}],
            "needs": [{"of": "town/level", "low": 0.0, "high": BANK_M}],
        },
    ]  # fmt: skip
    plan = [{"hold": "1h", "values": {"basin/gate": FIXED, "basin/outlet": 0.0}}]
    act = {"lease": "1h", "age": "1min", "every": "15min", "interlocks": rules, "plan": plan}
    fields = [{"name": one, "type": "Quantity"} for one in _FIELDS]
    found = declared({"act": act}, {"type": "DataRecord", "field": fields})
    if found is None:
        raise DataError("the basin declares nothing")
    return found


class Foresight:
    """What may be coming, by a model of the catchment that is a little wrong, from forecasts of rain.

    Of the catchment it knows lag within 10 % and curve number within 3 (standard deviations), and the mean
    rain, not where it fell. Every three hours there are five forecasts of the next day's rain: what will
    fall, an hour early or late, times a factor that all share and one of their own (0.25 each in their
    logarithm). What is measured at the gate corrects what the model says, less and less ahead.
    """

    def __init__(
        self, rain_mm: Floats, scenario: Mapping[str, float], seed: int, *, exact: bool = False
    ) -> None:
        self._rain, self._exact = rain_mm, exact
        self._rng = np.random.default_rng([seed, 17])
        wrong = np.zeros(2) if exact else self._rng.standard_normal(2)
        self._model = {
            **scenario,
            "lag_h": scenario["lag_h"] * float(np.exp(0.1 * wrong[0])),
            "curve_number": float(np.clip(scenario["curve_number"] + 3.0 * wrong[1], 50.0, 95.0)),
        }
        self._issued = -1
        self._told = np.zeros((1, len(rain_mm)))

    def __call__(self, hour: float, readings: Mapping[str, float]) -> Floats:
        """Return what may be coming from an hour on, ``[forecast, step]`` in m3/s, half an hour each."""
        now = round(hour * 3600 / STEP_S)
        if int(hour / 3) != self._issued:
            self._issued = int(hour / 3)
            self._told = self._forecast(now)
        measured = readings["north/flow"] + readings["south/flow"]
        found = []
        for told in self._told:
            rain = np.concatenate([self._rain[: now + 1], told[now + 1 :]])
            flow = tributaries(np.stack([rain, rain]), self._model).sum(axis=0)
            ahead = np.arange(now, now + 2 * _AHEAD)
            own = flow[np.minimum(ahead, len(flow) - 1)]
            own = own + (measured - flow[now]) * np.exp(-(ahead - now) * STEP_S / 3600 / 6)
            found.append(np.maximum(own, 0.0).reshape(_AHEAD, 2).mean(axis=1))
        return np.array(found)

    def _forecast(self, now: int) -> Floats:
        """Return forecasts of rain, ``[forecast, step]`` in mm, dry after a day."""
        if self._exact:
            return self._rain[None]
        until = now + round(24 * 3600 / STEP_S)
        common = 0.25 * self._rng.standard_normal()
        shift = round(float(self._rng.standard_normal()) * 3600 / STEP_S)
        out = np.zeros((_MEMBERS, len(self._rain)))
        for row in out:
            factor = np.exp(common + 0.25 * self._rng.standard_normal() - 0.0625)
            moved = np.roll(self._rain, shift)
            row[now + 1 : until] = moved[now + 1 : until] * factor
        return out


def one_storm(kind: str, seed: int) -> Storm:
    """Let a seed's storm pass under one of :data:`KINDS`; decided every half hour."""
    twin, scenario = Flood(), storm(seed)
    readings = twin.reset(seed=seed, scenario=scenario)
    control = _controller(kind, twin, seed)
    loop = Loop(_rules(), dict.fromkeys(_FIELDS, 0.0), model=kind, now_ns=0)
    was, moves, decided = dict.fromkeys(_FIELDS, 0.0), 0.0, round(STEP_H * 3600 / STEP_S)
    for step in range(_STEPS):
        now_ns = round((step * STEP_S + 3600) * 1e9)
        loop.sense({one: readings[one] for one in ("north/flow", "south/flow", "town/level")}, now_ns)
        if control is not None and step % decided == 0:
            wish = control.decide(step * STEP_S / 3600, readings)
            if wish:
                loop.command(wish, now_ns)
        force = {name: float(one) for name, one in loop.step(now_ns).items()}
        if control is not None:
            twin.apply(force)
            moves += sum(abs(one - was[name]) for name, one in force.items())
            was = force
        readings = twin.step()
    kpis = twin.kpis()
    spent = np.array(control.spent_s) * 1000 if isinstance(control, Gates) and control.spent_s else None
    return Storm(
        peak_m3_s=kpis["peak_flow"],
        peak_m=kpis["peak_level"],
        over_h=kpis["over_bank"],
        over_m3=kpis["over_volume"],
        refused=sum(many for state, many in loop.rulings.items() if state != "checked"),
        moves=moves,
        solve_ms=None if spent is None else (float(np.median(spent)), float(np.percentile(spent, 99))),
    )


def _controller(kind: str, twin: Flood, seed: int) -> _Controller | None:
    if kind == KINDS[0]:
        return None
    if kind == KINDS[1]:
        return FixedGate(basin(), FIXED)
    if kind == KINDS[2]:
        return RuleCurve(basin())
    scenario = twin.scenario
    return Gates(basin(), Foresight(twin.rain_mm, scenario, seed, exact=kind == KINDS[4]))
