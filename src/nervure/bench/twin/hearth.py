"""The house as a place to learn in, and weeks of it under each controller, behind interlocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.act.controller.climate import Climate, Machine
from nervure.act.controller.thermostat import LearnedStart, Schedule
from nervure.act.controller.warm import LEAD_H, LearnedHeat, shielded
from nervure.act.loop import Loop
from nervure.bench.twin.house import BARE, NAMES, Foresight
from nervure.core.comfort import HOME
from nervure.core.error import DataError
from nervure.core.hearth import Hearth
from nervure.core.interlock import Declared
from nervure.core.interlock_check import declared
from nervure.twin.building import Building
from nervure.twin.house import ZONES, Tariff, cooling_ratio, heating_ratio
from nervure.twin.weather import Weather, made_up

__all__ = ["KINDS", "Schoolhouse", "Weeks", "start_day", "weeks"]

KINDS = ("constant", "schedule", "learned start", "planned by the hour (LP)", "double DQN")
_STEPS, _PER_DECISION = 12 * 24, 6
_TARIFF = Tariff()


class Weeks(msgspec.Struct, frozen=True, kw_only=True):
    """What came of some weeks: money, discomfort in K.h a zone, electricity in kWh, refused commands."""

    cost: float
    comfort_kh: float
    hvac_kwh: float
    refused: int


class _Controller(Protocol):
    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]: ...


class Schoolhouse:
    """Weeks by chance in made-up years, none of which is the one that is judged; decided every half hour."""

    def __init__(self, *, years: int = 6, days: int = 7) -> None:
        self._twins: list[Building] = []
        self._foresights: list[Foresight] = []
        for seed in range(years):
            mild = made_up(seed, latitude=41.0 + seed)
            harsh = 10.0 + (mild.outdoor - 10.0) * (1.0 + 0.1 * seed)
            weather = mild._replace(outdoor=harsh)
            self._twins.append(Building(weather))
            self._foresights.append(Foresight(weather, seed, BARE))
        self._days, self._schedule = days, Schedule(NAMES, HOME, LEAD_H)
        self._hearth = Hearth(NAMES, HOME, _TARIFF.price)

    @property
    def steps(self) -> int:
        """How many decisions an episode has."""
        return self._days * 48

    def reset(self, seed: int) -> NDArray[np.float32]:
        """Start a week by chance."""
        rng = np.random.default_rng([seed, 51])
        at = int(rng.integers(len(self._twins)))
        self._twin, self._foresee = self._twins[at], self._foresights[at]
        day = int(rng.integers(0, 358))
        self._hour = 24.0 * day
        self._readings = self._twin.reset(seed=seed, scenario={**BARE, "start_day": float(day)})
        self._hearth = Hearth(NAMES, HOME, _TARIFF.price)
        return self._look()

    def step(self, choice: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Choose for both zones; each pays for its own heat and cold, and for what it misses of the band."""
        wanted = {
            zone: self._hearth.setpoints(self._hour, int(one))
            for zone, one in zip(NAMES, choice, strict=True)
        }
        before, heat, missed = self._twin.kpis()["cost"], np.zeros(len(NAMES)), np.zeros(len(NAMES))
        for _ in range(_PER_DECISION):
            self._twin.apply(shielded(self._hour, wanted, self._schedule, self._readings))
            self._readings = self._twin.step()
            self._hour += 1 / 12
            heat += np.abs([self._readings[f"{zone}/heat"] for zone in NAMES])
            missed += [HOME.missed(self._hour, self._readings[f"{zone}/temperature"]) for zone in NAMES]
        self._hour = round(self._hour * 2) / 2
        cost = (self._twin.kpis()["cost"] - before) * heat / max(heat.sum(), 1.0)
        return self._look(), (-10.0 * cost - 0.3 * missed).astype(np.float32)

    def _look(self) -> NDArray[np.float32]:
        ahead = self._foresee(self._hour, 12)
        return self._hearth.look(self._hour, self._readings, ahead.outdoor, ahead.sun)


def start_day(seed: int) -> int:
    """Return the day of the year that a seed's weeks begin at: they go through the seasons."""
    return (37 * seed) % 322


def _rules() -> Declared:
    """Return what the thermostats' capability declares; its local plan is the constant band."""
    fields = [f"{zone}/{what}_setpoint" for zone in NAMES for what in ("heat", "cool")]
    rules: list[dict[str, Any]] = [
        {
            "kind": "range", "of": one,
            "low": 12.0 if "heat" in one else 16.0, "high": 28.0 if "heat" in one else 40.0,
        }
        for one in fields
    ]  # fmt: skip
    rules.append({"kind": "fresh", "inputs": [f"{zone}/temperature" for zone in NAMES], "within": "20min"})
    plan = [{"hold": "1h", "values": {one: 20.0 if "heat" in one else 25.0 for one in fields}}]
    act = {"lease": "20min", "age": "1min", "every": "5min", "interlocks": rules, "plan": plan}
    record = {"type": "DataRecord", "field": [{"name": one, "type": "Quantity"} for one in fields]}
    found = declared({"act": act}, record)
    if found is None:
        raise DataError("the thermostats declare nothing")
    return found


def weeks(
    kind: str, seed: int, weather: Weather, *, days: int = 42, model: tuple[bytes, bytes] | None = None
) -> Weeks:
    """Run a controller of :data:`KINDS` for some weeks; ``model`` are a file and the key it is signed by."""
    twin, day = Building(weather), start_day(seed)
    readings = twin.reset(seed=seed, scenario={**BARE, "start_day": float(day)})
    control = _controller(kind, seed, weather, model)
    rules = _rules()
    loop = Loop(rules, dict(rules.plan[0].values), model=kind, now_ns=0)
    for step in range(days * _STEPS):
        hour, now_ns = day * 24 + step / 12, (step + 1) * 300 * 1_000_000_000
        if control is not None:
            loop.sense({f"{zone}/temperature": readings[f"{zone}/temperature"] for zone in NAMES}, now_ns)
            loop.command(control.decide(hour, readings), now_ns)
        twin.apply({name: float(one) for name, one in loop.step(now_ns).items()})
        readings = twin.step()
    kpis = twin.kpis()
    refused = sum(many for state, many in loop.rulings.items() if state != "checked")
    return Weeks(cost=kpis["cost"], comfort_kh=kpis["comfort"], hvac_kwh=kpis["hvac"], refused=refused)


def _controller(
    kind: str, seed: int, weather: Weather, model: tuple[bytes, bytes] | None
) -> _Controller | None:
    if kind == KINDS[0]:
        return None
    if kind == KINDS[1]:
        return Schedule(NAMES, HOME, 2.0)
    if kind == KINDS[2]:
        return LearnedStart(NAMES, HOME)
    foresee = Foresight(weather, seed, BARE)
    if kind == KINDS[3]:
        machine = Machine(
            power_w=tuple(zone.power_w for zone in ZONES),
            heating=heating_ratio,
            cooling=cooling_ratio,
            price=_TARIFF.price,
            sold=_TARIFF.sold,
        )
        return Climate(NAMES, HOME, machine, foresee, learn_h=7 * 24, seed=seed)
    if model is None:
        raise DataError("the learned controller needs its file")

    def told(hour: float, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        ahead = foresee(hour, count)
        return ahead.outdoor, ahead.sun

    return LearnedHeat(model[0], (model[1],), NAMES, HOME, _TARIFF.price, told)
