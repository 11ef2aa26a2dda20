"""Some months of a machine's twin under each way of keeping it: bearings wear, crews come at their hours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np

from nervure.act.controller.wear import (
    Aged,
    Alarm,
    Business,
    Growth,
    History,
    ToBreak,
    Wear,
    best_age,
    best_alarm,
)
from nervure.act.loop import Loop
from nervure.core.error import DataError
from nervure.core.interlock import Declared
from nervure.core.interlock_check import declared
from nervure.twin.machine import Machine

__all__ = ["BUSINESS", "KINDS", "Known", "Months", "histories", "known", "months"]

KINDS = ("until it breaks", "by age", "by alarm", "by what is left")
BUSINESS = Business()
_EVERY = 12  # steps of ten minutes between two measurements and decisions
_STEP_H = 1 / 6


class Months(msgspec.Struct, frozen=True, kw_only=True):
    """What came of some months: money an hour, events, the mean speed while it ran, refused commands."""

    cost_h: float
    breaks: int
    planned: int
    called: int
    bearings: int
    speed: float
    refused: int


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What all ways know beforehand, from lives until the break: age, alarm, and how wear grows."""

    age_h: float
    alarm: float
    growth: Growth


class _Keeper(Protocol):
    def decide(self, hour: float, readings: Any) -> dict[str, float]: ...

    def renewed(self) -> None: ...


def _bearing(seed: int, number: int) -> dict[str, float]:
    """Return how fast the n-th bearing of a seed wears, and where its fault is."""
    rng = np.random.default_rng([seed, number, 41])
    return {"rate": float(np.exp(np.log(0.2) + 0.45 * rng.standard_normal())), "kind": float(rng.integers(3))}


def histories(seeds: Sequence[int]) -> list[History]:
    """Return lives at full speed until the break, one a seed."""
    found = []
    for seed in seeds:
        twin = Machine(measured_every=_EVERY)
        readings = twin.reset(seed=seed, scenario=_bearing(seed, 0))
        work, seen = [], []
        while readings["drive/turns"] > 0:
            if math.isfinite(readings["bearing/envelope"]):
                work.append(twin.kpis()["work"])
                seen.append(readings["bearing/envelope"])
            readings = twin.step()
        found.append(History(np.array(work), np.array(seen)))
    return found


def known(lives: Sequence[History]) -> Known:
    """Return what is learned from lives."""
    ends = [float(one.work[-1]) for one in lives]
    return Known(
        age_h=best_age(ends, BUSINESS), alarm=best_alarm(lives, BUSINESS), growth=Growth.learned(lives)
    )


def _rules() -> Declared:
    """Return what the drive's capability declares; its local plan is full speed."""
    rules: list[dict[str, Any]] = [
        {"kind": "range", "of": "drive/speed", "low": 0.0, "high": 1.0},
        {"kind": "fresh", "inputs": ["bearing/envelope"], "within": "5h"},
        {"kind": "hourly", "of": "drive/speed", "most": 2},
    ]
    plan = [{"hold": "1h", "values": {"drive/speed": 1.0}}]
    act = {"lease": "5h", "age": "1min", "every": "10min", "interlocks": rules, "plan": plan}
    fields = [{"name": "drive/speed", "type": "Quantity"}]
    found = declared({"act": act}, {"type": "DataRecord", "field": fields})
    if found is None:
        raise DataError("the drive declares nothing")
    return found


def _keeper(kind: str, told: Known) -> _Keeper:
    if kind == KINDS[0]:
        return ToBreak()
    if kind == KINDS[1]:
        return Aged(told.age_h)
    if kind == KINDS[2]:
        return Alarm(told.alarm)
    return Wear(BUSINESS, told.growth)


def months(kind: str, seed: int, told: Known, *, hours: float = 4000.0) -> Months:
    """Keep a machine for so many hours by one of :data:`KINDS`."""
    return _Months(kind, seed, told).lived(hours)


class _Months:
    """A machine, who keeps it, and what it has cost."""

    def __init__(self, kind: str, seed: int, told: Known) -> None:
        self._seed, self._keeper = seed, _keeper(kind, told)
        self._twin = Machine(measured_every=_EVERY)
        self._loop = Loop(_rules(), {"drive/speed": 1.0}, model=kind, now_ns=0)
        self._events = dict.fromkeys(("broken", "planned", "called"), 0)
        self._hour = self._cost = self._ran = self._fast = 0.0
        self._number = -1
        self._readings: Mapping[str, float] = {}
        self._renew()

    def lived(self, hours: float) -> Months:
        """Live for so many hours."""
        wish: dict[str, float] = {}
        while self._hour < hours:
            if math.isfinite(self._readings["bearing/envelope"]):
                wish = self._decide()
            if wish.get("crew/called"):
                wish = self._stand("called")
                continue
            speed = float(self._loop.step(self._now_ns)["drive/speed"])
            self._twin.apply({"drive/speed": speed})
            self._readings = self._twin.step()
            comes = BUSINESS.visit(self._hour) <= _STEP_H + 1e-9
            self._hour += _STEP_H
            self._cost += BUSINESS.earns * (1 - speed) * _STEP_H
            self._ran, self._fast = self._ran + _STEP_H, self._fast + speed * _STEP_H
            if self._twin.kpis()["broken"]:
                wish = self._stand("broken")
            elif comes and wish.get("crew/planned"):
                wish = self._stand("planned")
        return Months(
            cost_h=self._cost / self._hour,
            breaks=self._events["broken"],
            planned=self._events["planned"],
            called=self._events["called"],
            bearings=self._number + 1,
            speed=self._fast / self._ran,
            refused=sum(many for state, many in self._loop.rulings.items() if state != "checked"),
        )

    @property
    def _now_ns(self) -> int:
        return round((self._hour + 24) * 3600e9)

    def _decide(self) -> dict[str, float]:
        self._loop.sense({"bearing/envelope": self._readings["bearing/envelope"]}, self._now_ns)
        wish = self._keeper.decide(self._hour, self._readings)
        self._loop.command({"drive/speed": wish["drive/speed"]}, self._now_ns)
        return wish

    def _stand(self, why: str) -> dict[str, float]:
        """Stand still for a new bearing."""
        cost, hours = getattr(BUSINESS, why), getattr(BUSINESS, f"{why}_h")
        self._cost += cost + BUSINESS.earns * hours
        self._hour += math.ceil(hours / _STEP_H - 1e-9) * _STEP_H
        self._events[why] += 1
        self._keeper.renewed()
        self._renew()
        return {}

    def _renew(self) -> None:
        self._number += 1
        seed = self._seed * 1000 + self._number
        self._readings = self._twin.reset(seed=seed, scenario=_bearing(self._seed, self._number))
