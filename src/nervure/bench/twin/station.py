"""Some days of a town's pumps under each controller, behind interlocks, on EPANET by the minute."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

import nervure.twin
from nervure.act.controller.pumping import Levels, Pumping, Station, Tank
from nervure.act.loop import Loop
from nervure.core.error import DataError
from nervure.core.interlock import Declared
from nervure.core.interlock_check import declared
from nervure.twin.fault import Fault, Faults
from nervure.twin.house import Tariff
from nervure.twin.pipes import Pipes

__all__ = ["KINDS", "LIMITS", "TARIFF", "Days", "Foresight", "days", "pattern", "ridge", "station"]

Floats = NDArray[np.float64]
KINDS = ("float switches", "float switches, by tariff", "planned by the hour")
LIMITS = {"low_m": 1.0, "high_m": 5.2, "pressure_m": 20.0}
TARIFF = Tariff(night=0.11, day=0.18, peak=0.31)
_PUMPS = ("P1", "P2", "P3")
_TANKS = (("Ridge", 20.0), ("Mill", 16.0))
_EVERY_MIN = 5
_SCENARIO = {"hour": 0.0, "town": 0.06}
_NS = 1_000_000_000


class Days(msgspec.Struct, frozen=True, kw_only=True):
    """What came of some days: money, with the water that tanks hold more or less at the end; see ``days``."""

    cost: float
    kwh: float
    starts: int
    outside_min: int
    low_pressure_min: int
    lowest_m: float
    highest_m: float
    least_pressure_m: float
    refused: int
    solve_ms: tuple[float, float] | None = None
    """Median, 99 of 100."""


class _Controller(Protocol):
    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]: ...


def ridge() -> Path:
    """Return the file of our own town's network."""
    return Path(nervure.twin.__path__[0]) / "net" / "ridge.inp"


def station() -> Station:
    """Return the town's pumps and tanks, as its papers have them."""
    tanks = tuple(
        Tank(name=name, low_m=LIMITS["low_m"], high_m=LIMITS["high_m"], area_m2=np.pi * wide**2 / 4)
        for name, wide in _TANKS
    )
    return Station(pumps=_PUMPS, tanks=tanks, rated_m3h=180.0, rated_kw=42.0, price=TARIFF.price)


def _rules() -> Declared:
    """Return what the pumps' capability declares."""
    fields = [{"name": f"{one}/pump", "type": "Quantity"} for one in _PUMPS]
    full = [{"of": f"{name}/level", "low": 0.0, "high": LIMITS["high_m"]} for name, _ in _TANKS]
    rules: list[dict[str, Any]] = [
        {
            "kind": "fresh",
            "inputs": [f"{name}/level" for name, _ in _TANKS],
            "within": "10min",
            "stuck": "30min",
        },
        {"kind": "hourly", "most": 6},
    ]
    for one in fields:
        rules += [
            {"kind": "range", "of": one["name"], "low": 0, "high": 1},
            {"kind": "dwell", "of": one["name"], "on": "20min", "off": "20min"},
            {"kind": "require", "doing": [{"of": one["name"], "equals": 1}], "needs": full},
        ]
    act = {"lease": "15min", "age": "1min", "every": "1min", "interlocks": rules}
    found = declared({"act": act}, {"type": "DataRecord", "field": fields})
    if found is None:
        raise DataError("the pumps declare nothing")
    return found


def pattern(path: Path) -> Floats:
    """Return what the town draws in a usual day by the model of its network, ``[24]`` in m3/h."""
    twin = Pipes(path)
    calm = {"noise": 0.0, "rough": 0.0, "read_m": 0.0}
    found = []
    for hour in range(24):
        twin.reset(scenario={**calm, "hour": hour + 0.5})
        found.append(sum(twin.drawn().values()))
    twin.close()
    return np.array(found)


class Foresight:
    """Forecasts of what is drawn: the usual day, off by 4 % in the first hour and 10 % a day ahead.

    Standard deviations; errors of neighbouring hours are alike. What is truly drawn is off the usual day
    by itself besides.
    """

    def __init__(self, usual: Floats, seed: int) -> None:
        self._usual, self._rng = usual, np.random.default_rng([seed, 11])

    def __call__(self, hour: float, count: int) -> Floats:
        """Return what is foreseen from an hour on, ``[hour]`` in m3/h."""
        ahead = np.arange(count)
        draws = self._rng.standard_normal(count)
        off = np.empty(count)
        off[0] = draws[0]
        for at in range(1, count):
            off[at] = 0.9 * off[at - 1] + np.sqrt(1 - 0.9**2) * draws[at]
        wide = np.minimum(0.04 + 0.06 * ahead / 24, 0.1)
        found: Floats = self._usual[(int(hour + 1e-6) + ahead) % 24] * np.exp(wide * off)
        return found


def _controller(kind: str, usual: Floats, seed: int) -> _Controller:
    own = station()
    on, off = (4.2, 3.4, 2.2), (4.8, 4.5, 3.8)
    if kind == KINDS[0]:
        return Levels(own, on, off)
    if kind == KINDS[1]:
        return Levels(own, (3.0, 2.6, 2.3), (3.6, 3.3, 3.0), price=own.price, shift_m=1.2)
    return Pumping(own, Foresight(usual, seed), Levels(own, on, off))


def days(kind: str, seed: int, usual: Floats, *, count: int = 7, fault: Fault | None = None) -> Days:
    """Run a controller of :data:`KINDS` for some days from a midnight; its first day counts too.

    ``cost`` is that of electricity and, at the lowest price, of what it takes to lift what the tanks hold
    less than they did at the beginning. A fault is between the twin and all that reads it.
    """
    twin = Pipes(ridge(), flow=_PUMPS)
    readings = twin.reset(seed=seed, scenario=_SCENARIO)
    control, first = _controller(kind, usual, seed), dict(readings)
    loop = Loop(_rules(), {f"{one}/pump": 0.0 for one in _PUMPS}, model=kind, now_ns=0)
    names = [one.name for one in twin.describe().sensors]
    faults = Faults([fault] if fault is not None else [], names, seed=seed)
    done = _Count()
    for minute in range(count * 24 * 60):
        now_ns = (minute + 60) * 60 * _NS  # the pumps have been off for an hour
        if minute % _EVERY_MIN == 0:
            seen = faults.through(readings, minute * 60.0)
            loop.sense({name: one for name, one in seen.items() if name.endswith("/level")}, now_ns)
            wish = control.decide(minute / 60, seen)
            if wish:
                loop.command(wish, now_ns)
        force = loop.step(now_ns)
        if loop.guard.holder == "plan":  # the station's own float switches
            twin.release(tuple(force))
        else:
            twin.apply({name: float(one) for name, one in force.items()})
        readings = twin.step()
        done.minute(minute / 60, force, readings, min(twin.pressures().values()))
    kwh = twin.kpis()["pumped"]
    twin.close()
    return done.told(first, readings, kwh, loop, control)


class _Count:
    """What is counted minute by minute."""

    def __init__(self) -> None:
        self._cost = self._lifted = 0.0
        self._starts = self._outside = self._weak = 0
        self._lowest, self._highest, self._least = np.inf, -np.inf, np.inf
        self._was: dict[str, float] = {}

    def minute(
        self, hour: float, force: Mapping[str, Any], readings: Mapping[str, float], pressure: float
    ) -> None:
        """Add a minute."""
        self._cost += sum(readings[f"{one}/power"] for one in _PUMPS) / 60 * TARIFF.price(hour)
        self._lifted += sum(readings[f"{one}/flow"] for one in _PUMPS) / 60
        running = {one: float(readings[f"{one}/power"] > 0) for one in _PUMPS}
        self._starts += sum(on > self._was.get(one, 0.0) for one, on in running.items())
        self._was = running
        levels = [readings[f"{name}/level"] for name, _ in _TANKS]
        self._outside += not all(LIMITS["low_m"] <= one <= LIMITS["high_m"] for one in levels)
        self._weak += pressure < LIMITS["pressure_m"]
        self._lowest, self._highest = min(self._lowest, *levels), max(self._highest, *levels)
        self._least = min(self._least, pressure)

    def told(
        self,
        first: Mapping[str, float],
        last: Mapping[str, float],
        kwh: float,
        loop: Loop,
        control: _Controller,
    ) -> Days:
        """Return what came of it."""
        less = sum(
            (first[f"{one.name}/level"] - last[f"{one.name}/level"]) * one.area_m2 for one in station().tanks
        )
        spent = np.array(control.spent_s) * 1000 if isinstance(control, Pumping) else np.zeros(0)
        return Days(
            cost=self._cost + less * kwh / max(self._lifted, 1e-9) * TARIFF.night,
            kwh=kwh,
            starts=self._starts,
            outside_min=self._outside,
            low_pressure_min=self._weak,
            lowest_m=self._lowest,
            highest_m=self._highest,
            least_pressure_m=self._least,
            refused=sum(many for state, many in loop.rulings.items() if state != "checked"),
            solve_ms=(float(np.median(spent)), float(np.percentile(spent, 99))) if len(spent) else None,
        )
