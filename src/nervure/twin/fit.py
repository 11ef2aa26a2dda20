"""Calibration of the road twin: how much traffic there is, from what loops counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import TwinError

if TYPE_CHECKING:
    from nervure.twin.roads import Roads

__all__ = ["fit_demand"]

Floats = NDArray[np.float64]
_ROUNDS = 6
_HELD = 1 / 3
_FEWEST = 6  # steps


def fit_demand(twin: Roads, observed: Mapping[str, tuple[float, ...]]) -> Mapping[str, float]:
    """Find the demand at which the twin counts as many arrivals as were observed, and start anew with it.

    The first two thirds of the steps decide; the rest gives the error, as a share of what was counted
    there, of single loops and of their sum. NaN is what nobody counted. Raises TwinError where no sensor
    of arrivals is named, or there are fewer than 6 steps.
    """
    known = {one.name for one in twin.describe().sensors if one.signal == "arrivals"}
    names = sorted(set(observed) & known)
    if not names:
        raise TwinError("nothing to fit: no sensor of arrivals was given", hint=f"such as {min(known)}")
    seen = np.array([observed[name] for name in names], np.float64)
    if seen.shape[1] < _FEWEST:
        raise TwinError(f"{seen.shape[1]} steps are too few to fit", hint=f"give {_FEWEST} at least")
    cut = round(seen.shape[1] * (1 - _HELD))
    there = np.isfinite(seen)
    wanted = float(seen[:, :cut][there[:, :cut]].sum())
    demand = 1.0
    for _ in range(_ROUNDS):  # counts grow with demand, less than in proportion where queues are full
        counted = _counted(twin, names, demand, seen.shape[1])
        total = float(counted[:, :cut][there[:, :cut]].sum())
        if total <= 0 or abs(total - wanted) <= 0.005 * wanted:
            break
        demand = float(np.clip(demand * wanted / total, 0.05, 10.0))
    held = np.where(there, counted, np.nan)[:, cut:] - seen[:, cut:]
    scale = max(float(np.nansum(seen[:, cut:])), 1.0)
    twin.reset(scenario={"demand": demand})
    return {
        "demand": demand,
        "held_out_error": float(abs(np.nansum(held)) / scale),
        "held_out_loop_error": float(np.nansum(np.abs(np.nansum(held, axis=1))) / scale),
    }


def _counted(twin: Roads, names: list[str], demand: float, steps: int) -> Floats:
    """Return the arrivals of a run, ``[sensor, step]``."""
    twin.reset(scenario={"demand": demand})
    found = [[readings[name] for name in names] for readings in (twin.step() for _ in range(steps))]
    return np.array(found, np.float64).T
