"""A year of the house's twin under each controller, with forecasts that are wrong as real ones are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.act.controller.climate import Ahead, Climate, Machine
from nervure.act.controller.thermostat import LearnedStart, Schedule
from nervure.core.comfort import HOME
from nervure.twin.building import Building
from nervure.twin.house import ZONES, Tariff, cooling_ratio, heating_ratio
from nervure.twin.weather import Weather, on_plane

__all__ = ["BARE", "FULL", "NAMES", "Foresight", "Year", "year"]

Floats = NDArray[np.float64]
BARE = {"pv_kw": 0.0, "battery_kwh": 0.0, "base_w": 0.0}
FULL = {"pv_kw": 4.0, "battery_kwh": 8.0, "base_w": 250.0}
NAMES = tuple(zone.name for zone in ZONES)
_STEPS = 12 * 24
_LEARN_H = 7 * 24


class Year(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a year: money, discomfort in K.h a zone, the heat pump's electricity in kWh."""

    cost: float
    comfort_kh: float
    hvac_kwh: float
    solve_ms: tuple[float, float, float] | None = None
    """Median, 99 of 100, longest."""


class _Controller(Protocol):
    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]: ...


class Foresight:
    """Forecasts of a typical year, wrong as weather forecasts are.

    Outdoors is off by 0.4 K in the first hour and 2 K a day ahead (standard deviations, errors of
    neighbouring hours alike), sunshine by a factor whose logarithm scatters by 0.3. What a house uses
    besides is known in its mean alone.
    """

    def __init__(self, weather: Weather, seed: int, scenario: Mapping[str, float]) -> None:
        self._weather, self._given = weather, scenario
        self._glass, self._roof = on_plane(weather, 90.0, 180.0), on_plane(weather, 35.0, 180.0)
        self._rng = np.random.default_rng([seed, 7])

    def __call__(self, hour: float, count: int) -> Ahead:
        """Return what is foreseen from an hour on."""
        at = (int(hour) + np.arange(count)) % 8760
        mean = (self._weather.outdoor[at] + self._weather.outdoor[(at + 1) % 8760]) / 2
        draws = self._rng.standard_normal((2, count))
        lasting = np.empty((2, count))
        lasting[:, 0] = draws[:, 0]
        for step in range(1, count):
            lasting[:, step] = 0.9 * lasting[:, step - 1] + np.sqrt(1 - 0.9**2) * draws[:, step]
        off = lasting[0] * np.linspace(0.4, 2.0, count)
        cloud = np.exp(0.3 * lasting[1] - 0.045)
        power = self._given["pv_kw"] * self._roof[at] * 0.9 * cloud
        return Ahead(mean + off, self._glass[at] * cloud, self._given["base_w"] - power)


def year(
    weather: Weather, kind: str, *, seed: int = 0, scenario: Mapping[str, float] = BARE, days: int = 365
) -> Year:
    """Run a controller for a year, from a Monday in January; its first weeks count too."""
    twin, control = Building(weather), _controller(kind, weather, seed, scenario)
    readings = twin.reset(seed=seed, scenario=scenario)
    for step in range(days * _STEPS):
        if control is not None:
            twin.apply(control.decide(step / 12, readings))
        readings = twin.step()
    kpis = twin.kpis()
    spent = None
    if isinstance(control, Climate):
        some = np.percentile(np.array(control.spent_s) * 1000, [50, 99, 100])
        spent = (float(some[0]), float(some[1]), float(some[2]))
    return Year(cost=kpis["cost"], comfort_kh=kpis["comfort"], hvac_kwh=kpis["hvac"], solve_ms=spent)


def _controller(kind: str, weather: Weather, seed: int, scenario: Mapping[str, float]) -> _Controller | None:
    if kind == "constant":
        return None
    if kind == "schedule":
        return Schedule(NAMES, HOME, 2.0)
    if kind == "learned start":
        return LearnedStart(NAMES, HOME)
    tariff = Tariff()
    machine = Machine(
        power_w=tuple(zone.power_w for zone in ZONES),
        heating=heating_ratio,
        cooling=cooling_ratio,
        price=tariff.price,
        sold=tariff.sold,
        battery_kwh=scenario["battery_kwh"],
    )
    return Climate(NAMES, HOME, machine, Foresight(weather, seed, scenario), learn_h=_LEARN_H, seed=seed)
