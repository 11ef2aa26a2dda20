"""A year of the five-zone building in EnergyPlus under each controller."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from nervure.act.controller.storey import start, with_fan
from nervure.act.controller.thermostat import setpoints
from nervure.twin.energyplus import EnergyPlus

__all__ = ["BLOCKS", "FAN", "KINDS", "ZONES", "OfficeControl", "OfficeYear", "missed", "office_year", "rule"]

ZONES = tuple(f"SPACE{at}-1" for at in range(1, 6))
FAN = "FANAVAILSCHED"
KINDS = (
    "constant 21 to 24 Cel", "the file's schedule", "learned start", "learned start, fan too",
    "learned start, empty to 10 Cel", "learned start, empty to 10 Cel, fan too",
)  # fmt: skip
_WITH_FAN, _COLDER, _COLDER_C = (KINDS[3], KINDS[5]), KINDS[4:], 10.0
BLOCKS = 13
"""Stretches of four weeks in a year; the last has a day more."""
_BLOCK_H = 24 * 28


class OfficeControl(Protocol):
    """What decides every quarter of an hour."""

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return commands, at an hour since a Monday's midnight."""
        ...


class OfficeYear(msgspec.Struct, frozen=True, kw_only=True):
    """Electricity in kWh, and the zones' mean discomfort in K.h from 8 and from a quarter to 8.

    ``blocks [block]`` is the electricity of each stretch of four weeks.
    """

    hvac_kwh: float
    fans_kwh: float
    cooling_kwh: float
    heating_kwh: float
    comfort_kh: float
    early_kh: float
    blocks: tuple[float, ...] = ()

    @property
    def row(self) -> dict[str, float | str | None]:
        """What a page says of it, by column."""
        return {
            "electricity, kWh": self.hvac_kwh, "fans": self.fans_kwh, "cooling": self.cooling_kwh,
            "heating": self.heating_kwh, "discomfort, K·h": self.comfort_kh, "from 7:45, K·h": self.early_kh,
        }  # fmt: skip


class _Rule:
    """A controller of :data:`KINDS`."""

    def __init__(self, kind: str) -> None:
        self._kind, self._learned = kind, start(ZONES)
        if kind in _COLDER:
            self._learned = start(ZONES, least_c=_COLDER_C)

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        if self._kind == KINDS[0]:
            return {name: one for zone in ZONES for name, one in setpoints(zone, 21.0, 24.0).items()}
        if self._kind == KINDS[1]:
            return {}
        commands = self._learned.decide(hour, readings)
        return with_fan(commands, readings, ZONES, FAN) if self._kind in _WITH_FAN else commands


def rule(kind: str) -> OfficeControl:
    """Return a controller of :data:`KINDS`."""
    return _Rule(kind)


def missed(hour: float, readings: Mapping[str, float]) -> float:
    """Return the zones' mean discomfort in K of the step that began at an hour, counted from 7:45."""
    if hour % 168 >= 5 * 24 or not 7.75 <= hour % 24 < 18:
        return 0.0
    airs = [readings[f"{zone}/temperature"] for zone in ZONES]
    return sum(max(0.0, 21.0 - one, one - 24.0) for one in airs) / len(airs)


def office_year(model: Path, control: OfficeControl, *, weather: Path | None = None) -> OfficeYear:
    """Run a year of Chicago, or of another weather file, under a controller."""
    twin = EnergyPlus(model, ZONES, weather=weather, fans=(FAN,))
    readings, early, blocks = twin.reset(), 0.0, np.zeros(BLOCKS)
    begun = twin.week_hour
    while not twin.ended:
        hour, block = begun + twin.hour, min(int(twin.hour) // _BLOCK_H, BLOCKS - 1)
        commands = control.decide(hour, readings)
        if commands:
            twin.apply(commands)
        before, readings = twin.kpis()["hvac"], twin.step()
        blocks[block] += twin.kpis()["hvac"] - before
        early += missed(hour, readings) / 4
    kpis = twin.kpis()
    twin.close()
    return OfficeYear(
        hvac_kwh=kpis["hvac"],
        fans_kwh=kpis["fans"],
        cooling_kwh=kpis["cooling"],
        heating_kwh=kpis["heating"],
        comfort_kh=kpis["comfort"],
        early_kh=early,
        blocks=tuple(blocks.tolist()),
    )
