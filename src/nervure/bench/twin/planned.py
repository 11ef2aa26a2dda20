"""The planner of buildings on the five zones: an economizer, a fan, and heat that EnergyPlus reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nervure.act.controller.climate import Ahead, Climate, Machine
from nervure.act.controller.storey import with_fan
from nervure.bench.twin.house import BARE, Foresight
from nervure.core.comfort import OFFICE
from nervure.twin.weather import on_plane, read_epw

__all__ = ["PlannedOffice"]

_ROOM_W = 8000.0
_LEARN_H = 24 * 28
_HORIZON_H = 12
_FREE_C, _FREE, _COMPRESSOR, _COIL = (4.0, 19.0), 8.0, 3.0, 0.98


class PlannedOffice:
    """The planner as it is, told what cold costs here: little while outdoor air is cool enough to do it."""

    def __init__(self, zones: Sequence[str], fan: str, weather: Path, *, seed: int) -> None:
        year = read_epw(weather)
        self._sun, self._ahead = on_plane(year, 90.0, 180.0), Foresight(year, seed, BARE)
        machine = Machine(
            power_w=(_ROOM_W,) * len(zones), heating=lambda _: _COIL, cooling=_cold, price=lambda _: 1.0
        )
        self._zones, self._fan = tuple(zones), fan
        self._begun: float | None = None
        self._climate = Climate(
            zones, OFFICE, machine, self._foresee, horizon_h=_HORIZON_H, learn_h=_LEARN_H, seed=seed
        )

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return setpoints and the fan, a quarter of an hour after the last ones."""
        if self._begun is None:  # with the year's first hour
            self._begun = hour
        told = {**readings, "outdoor/sun": float(self._sun[int(hour - self._begun) % 8760])}
        return with_fan(self._climate.decide(hour, told), readings, self._zones, self._fan)

    def _foresee(self, hour: float, count: int) -> Ahead:
        return self._ahead(hour - (self._begun or 0.0), count)


def _cold(outdoor_c: float) -> float:
    """Return cold per electricity: the fan's alone where the economizer is open, else the compressor's."""
    return _FREE if _FREE_C[0] <= outdoor_c <= _FREE_C[1] else _COMPRESSOR
