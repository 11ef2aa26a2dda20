"""Calibration of a building in EnergyPlus: how heavy, how leaky and how busy it is, from its readings.

After ASHRAE Guideline 14-2014, which calibrates whole buildings by measured energy; here temperatures of the
zones count too, so some days are enough. What was set in those days (setpoints, fans) has to be known, and
the weather file has to be that of those days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import TwinError
from nervure.twin.premises import FACTORS

if TYPE_CHECKING:
    from nervure.twin.energyplus import EnergyPlus

__all__ = ["fit_premises"]

Floats = NDArray[np.float64]
_HELD = 1 / 3
_FEWEST_H = 48
_KELVIN = 0.5  # K that count as much as the spread of the hourly power
_BOUNDS = (1 + np.log(0.2), 1 + np.log(5.0))
"""Of 1 and the logarithm of a factor: a step of a share of it is then one, at no change too."""
_POWER = "building/hvac"


class _Seen(NamedTuple):
    """What was observed by step: air in Cel, ``[step, zone]``, power in W, ``[step]`` (NaN: not measured)."""

    zones: tuple[str, ...]
    air: Floats
    power: Floats
    per_hour: int
    commands: tuple[dict[str, float], ...]


def fit_premises(
    open_with: Callable[[Mapping[str, float]], EnergyPlus],
    zones: Sequence[str],
    per_hour: int,
    actuators: Sequence[str],
    observed: Mapping[str, tuple[float, ...]],
) -> dict[str, float]:
    """Fit the factors of :mod:`nervure.twin.premises` to readings by step; the last third is held out.

    ``open_with`` opens the twin with a scenario, at the first step observed. Returns the factors, the
    root mean square error of temperature in K on the held-out part with them and with the model as it
    was, and the same of the hourly power as shares of its mean, where it was measured. Raises TwinError
    without a zone's temperature, and for less than two days.
    """
    from scipy.optimize import least_squares

    seen = _seen(zones, per_hour, actuators, observed)
    steps = len(seen.air)
    cut = round(steps * (1 - _HELD)) // per_hour * per_hour

    def run(x: Floats, until: int) -> tuple[Floats, Floats]:
        twin = open_with(dict(zip(FACTORS, np.exp(x - 1).tolist(), strict=True)))
        try:
            return _run(twin, seen, until)
        finally:
            twin.close()

    def wrong(x: Floats) -> Floats:
        air, power = run(x, cut)
        return _off(seen, air, power, slice(0, cut))

    start = np.ones(len(FACTORS))
    fit = least_squares(
        wrong, start, bounds=_BOUNDS, diff_step=0.05, x_scale=0.3, max_nfev=10, ftol=2e-3, xtol=2e-3
    )
    found = dict(zip(FACTORS, np.exp(fit.x - 1).tolist(), strict=True))
    found |= _errors(seen, "held_out", *run(fit.x, steps), cut)
    return found | _errors(seen, "uncalibrated_held_out", *run(start, steps), cut)


def _seen(
    zones: Sequence[str], per_hour: int, actuators: Sequence[str], observed: Mapping[str, tuple[float, ...]]
) -> _Seen:
    there = tuple(zone for zone in zones if f"{zone}/temperature" in observed)
    if not there:
        raise TwinError("calibrating needs temperatures", hint=f"give {zones[0]}/temperature")
    air = np.array([observed[f"{zone}/temperature"] for zone in there], np.float64).T
    whole = len(air) // per_hour * per_hour
    if whole < _FEWEST_H * per_hour:
        raise TwinError(f"{len(air)} steps are too few", hint=f"give {_FEWEST_H * per_hour} at least")
    power = np.array(observed.get(_POWER, (np.nan,) * whole), np.float64)[:whole]
    told = {name: observed[name] for name in actuators if name in observed}
    if odd := [name for name, one in {**told, _POWER: power}.items() if len(one) < whole]:
        raise TwinError(f"{odd[0]} has fewer steps than the temperatures", hint="give as many")
    commands = tuple(
        {name: float(one[at]) for name, one in told.items() if np.isfinite(one[at])} for at in range(whole)
    )
    return _Seen(there, air[:whole], power, per_hour, commands)


def _run(twin: EnergyPlus, seen: _Seen, until: int) -> tuple[Floats, Floats]:
    """Return air ``[step, zone]`` and power ``[step]`` of a run under what was set."""
    air, power = np.empty((until, len(seen.zones))), np.empty(until)
    for at in range(until):
        if seen.commands[at]:
            twin.apply(seen.commands[at])
        readings = twin.step()
        air[at] = [readings[f"{zone}/temperature"] for zone in seen.zones]
        power[at] = readings[_POWER]
    return air, power


def _off(seen: _Seen, air: Floats, power: Floats, part: slice) -> Floats:
    """Return by how much a run is off, in spreads, by the hour; what nobody measured is no error."""
    airs = _hourly(air - seen.air[part], seen.per_hour) / _KELVIN
    off = [np.where(np.isfinite(airs), airs, 0.0).reshape(-1)]
    if np.isfinite(seen.power).all():
        hourly = _hourly(seen.power[part], seen.per_hour)
        error = _hourly(power, seen.per_hour) - hourly
        off.append(error / max(float(hourly.std()), 1e-9) * np.sqrt(air.shape[1]))
    return np.concatenate(off)


def _errors(seen: _Seen, name: str, air: Floats, power: Floats, cut: int) -> dict[str, float]:
    """Return the errors of a run from a step on."""
    found = {f"{name}_rmse_k": _root(air[cut:] - seen.air[cut:])}
    if np.isfinite(seen.power).all():
        hourly = _hourly(seen.power[cut:], seen.per_hour)
        off = _root(_hourly(power[cut:], seen.per_hour) - hourly)
        found[f"{name}_power"] = off / max(float(np.abs(hourly).mean()), 1e-9)
    return found


def _hourly(series: Floats, per_hour: int) -> Floats:
    """Return means by the hour, ``[hour, ...]``, of ``[step, ...]``."""
    found: Floats = series.reshape(-1, per_hour, *series.shape[1:]).mean(axis=1)
    return found


def _root(off: Floats) -> float:
    return float(np.sqrt(np.nanmean(off**2)))
