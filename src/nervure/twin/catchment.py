"""Calibration of sewers: how much of the ground drains into them, and how fast water comes down it.

The area that is connected and the width of catchments are what models of urban runoff are fitted by (Rossman
& Huber, Storm Water Management Model Reference Manual I, EPA/600/R-15/162A, 2016, section 3.8): one sets how
much runs off, the other when. Rain has to be measured, and what was set of gates and pumps to be known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import TwinError
from nervure.twin.record import known

if TYPE_CHECKING:
    from nervure.twin.sewer import Sewer

__all__ = ["fit_catchments"]

Floats = NDArray[np.float64]
_HELD = 1 / 3
_FEWEST = 36  # steps: three hours
_WET_MM = 2.0  # less tells nothing of what runs off
_NAMES = ("area", "width")
_BOUNDS = (1 + np.log(0.2), 1 + np.log(5.0))
"""Of 1 and the logarithm of a factor: a step of a share of it is then one, at no change too."""


class _Seen(NamedTuple):
    """What was observed by step: rain in mm/h, levels in m ``[step, place]`` (NaN: none), what was set."""

    names: tuple[str, ...]
    rain: Floats
    level: Floats
    commands: tuple[dict[str, float], ...]


def fit_catchments(twin: Sewer, observed: Mapping[str, tuple[float, ...]]) -> dict[str, float]:
    """Find ``area`` and ``width`` from levels, five minutes each, and start anew with them.

    ``sky/rain`` is told to the twin, so are gates and pumps where they are observed. The first two thirds
    decide. Returns both factors and the root mean square error of levels in m of the last third,
    ``uncalibrated`` too. Raises TwinError without rain or levels, for less than three hours, and where
    hardly any rain fell in what decides.
    """
    from scipy.optimize import least_squares

    seen = _seen(twin, observed)
    cut = round(len(seen.rain) * (1 - _HELD))
    if float(np.nansum(seen.rain[:cut])) * twin.describe().step_s / 3600 < _WET_MM:
        raise TwinError(
            f"less than {_WET_MM:g} mm of rain fell in the first two thirds", hint="give a storm at least"
        )

    def run(x: Floats, until: int) -> Floats:
        twin.rained(seen.rain[:until].tolist(), dict(zip(_NAMES, np.exp(x - 1).tolist(), strict=True)))
        found = np.empty((until, len(seen.names)))
        for at in range(until):
            twin.apply(seen.commands[at])
            readings = twin.step()
            found[at] = [readings[name] for name in seen.names]
        return found

    def wrong(x: Floats) -> Floats:
        off = run(x, cut) - seen.level[:cut]
        return np.where(np.isfinite(off), off, 0.0).reshape(-1)

    start = np.ones(len(_NAMES))
    fit = least_squares(wrong, start, bounds=_BOUNDS, diff_step=0.05, x_scale=0.3, max_nfev=12, xtol=1e-3)
    found = dict(zip(_NAMES, np.exp(fit.x - 1).tolist(), strict=True))
    for name, x in (("held_out", fit.x), ("uncalibrated_held_out", start)):
        off = (run(x, len(seen.rain)) - seen.level)[cut:]
        found[f"{name}_rmse_m"] = float(np.sqrt(np.nanmean(off**2)))
    twin.reset(scenario={one: found[one] for one in _NAMES})
    return found


def _seen(twin: Sewer, observed: Mapping[str, tuple[float, ...]]) -> _Seen:
    told = twin.describe()
    levels = tuple(one.name for one in told.sensors if one.signal == "level" and one.name in observed)
    if "sky/rain" not in observed or not levels:
        first = next(one.name for one in told.sensors if one.signal == "level")
        raise TwinError("calibrating needs rain and levels", hint=f"give sky/rain and {first}")
    settable = [one.name for one in told.actuators if one.name in observed]
    count = len(observed["sky/rain"])
    if odd := [name for name in (*levels, *settable) if len(observed[name]) != count]:
        raise TwinError(
            f"{odd[0]} has {len(observed[odd[0]])} steps, rain {count}", hint="give as many of each"
        )
    if count < _FEWEST:
        raise TwinError(f"{count} steps are too few to fit", hint=f"give {_FEWEST} at least")
    rain = np.array(observed["sky/rain"], np.float64)
    known("sky/rain", rain)
    commands = tuple(
        {name: float(observed[name][at]) for name in settable if np.isfinite(observed[name][at])}
        for at in range(count)
    )
    return _Seen(levels, rain, np.array([observed[name] for name in levels], np.float64).T, commands)
