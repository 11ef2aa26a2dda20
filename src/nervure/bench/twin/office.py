"""A year of the five-zone building in EnergyPlus under each controller."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from nervure.act.controller.thermostat import LearnedStart, setpoints
from nervure.core.comfort import OFFICE
from nervure.twin.energyplus import EnergyPlus

__all__ = ["KINDS", "OfficeYear", "office_year"]

ZONES = tuple(f"SPACE{at}-1" for at in range(1, 6))
FAN = "FANAVAILSCHED"
KINDS = ("constant 21 to 24 Cel", "the file's schedule", "learned start", "learned start, fan too")
_EMPTY_C = 13.5  # where the fan comes on in an empty building


class OfficeYear(msgspec.Struct, frozen=True, kw_only=True):
    """Electricity in kWh, and the zones' mean discomfort in K.h from 8 and from a quarter to 8."""

    hvac_kwh: float
    fans_kwh: float
    cooling_kwh: float
    heating_kwh: float
    comfort_kh: float
    early_kh: float


def office_year(model: Path, kind: str) -> OfficeYear:
    """Run a year of Chicago under a controller of :data:`KINDS`."""
    twin = EnergyPlus(model, ZONES, fans=(FAN,))
    learned = LearnedStart(ZONES, OFFICE, most_late_k=0.2, ready_h=0.1)
    readings, early = twin.reset(), 0.0
    while not twin.ended:
        hour = twin.week_hour
        commands = _commands(kind, learned, hour, readings)
        if commands:
            twin.apply(commands)
        readings = twin.step()
        if hour < 5 * 24 and 7.75 <= hour % 24 < 18:
            airs = [readings[f"{zone}/temperature"] for zone in ZONES]
            early += sum(max(0.0, 21.0 - one, one - 24.0) for one in airs) / len(airs) / 4
    kpis = twin.kpis()
    twin.close()
    return OfficeYear(
        hvac_kwh=kpis["hvac"],
        fans_kwh=kpis["fans"],
        cooling_kwh=kpis["cooling"],
        heating_kwh=kpis["heating"],
        comfort_kh=kpis["comfort"],
        early_kh=early,
    )


def _commands(
    kind: str, learned: LearnedStart, hour: float, readings: Mapping[str, float]
) -> dict[str, float]:
    if kind == KINDS[0]:
        return {name: one for zone in ZONES for name, one in setpoints(zone, 21.0, 24.0).items()}
    if kind == KINDS[1]:
        return {}
    commands = learned.decide(hour, readings)
    if kind == KINDS[3]:
        wanted = any(
            commands[f"{zone}/heat_setpoint"] > _EMPTY_C or commands[f"{zone}/cool_setpoint"] < 39.0
            for zone in ZONES
        )
        cold = min(readings[f"{zone}/temperature"] for zone in ZONES) < _EMPTY_C
        commands[f"{FAN}/fan"] = float(wanted or cold)
    return commands
