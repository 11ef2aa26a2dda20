"""The river's twin fitted to a real gauge: curve number and lag from storms in years of rain and discharge.

Storms are cut out of the record; what ran off before one is its base flow. Ground that was wet before has
a curve number of its own (antecedent moisture, USDA, National Engineering Handbook, part 630, chapter 10).
Not for snow, nor for a river that rises from the ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import TwinError
from nervure.twin.flood import runoff, unit_hydrograph

__all__ = ["Basin", "Storm", "constant_share", "efficiency", "fit_basin", "storms"]

Floats = NDArray[np.float64]
_FEWEST = 10
_RECESSION = 0.9  # of a base flow is left after a day


class Storm(NamedTuple):
    """A storm: where it begins in the record, its rain and its discharge in mm, ``[step]``, and base flow."""

    begins: int
    rain: Floats
    flow: Floats
    base: float


class Basin(NamedTuple):
    """Curve numbers of dry and of wet ground, base flow in mm from which ground is wet, and lag in h."""

    dry: float
    wet: float
    wet_from: float
    lag_h: float
    step_h: float

    def simulate(self, storm: Storm) -> Floats:
        """Return the discharge of a storm in mm, ``[step]``."""
        number = self.wet if storm.base >= self.wet_from else self.dry
        return _run_off(storm, runoff(storm.rain, number), self.lag_h, self.step_h)


def storms(
    rain: Floats, flow: Floats, *, least: float = 20.0, before: int = 3, after: int = 8
) -> list[Storm]:
    """Cut storms out of a record of rain and discharge in mm, ``[step]``: at least so much rain, dry before.

    A storm begins where after ``before`` steps of less than 1 mm each it begins to rain, and ends ``after``
    steps after the last of its rain, or where the next begins. Steps that are not a number end it.
    """
    wet, found, at = rain >= 1.0, list[Storm](), before
    while at < len(rain) - after:
        if not wet[at] or wet[at - before : at].any():
            at += 1
            continue
        last = at
        while last + 1 < len(rain) and wet[last + 1 : last + 1 + before].any():
            last += 1 + int(np.argmax(wet[last + 1 : last + 1 + before]))
        part = slice(at, min(last + 1 + after, len(rain)))
        whole = np.isfinite(rain[part]).all() and np.isfinite(flow[at - 1 : part.stop]).all()
        if whole and rain[part].sum() >= least:
            found.append(Storm(at, rain[part], flow[part], float(flow[at - 1])))
        at = last + 1
    return found


def fit_basin(taught: Sequence[Storm], *, step_h: float) -> Basin:
    """Fit the river to storms; raise TwinError for fewer than ten of them."""
    from scipy.optimize import minimize

    if len(taught) < _FEWEST:
        raise TwinError(f"{len(taught)} storms are too few to fit", hint=f"give {_FEWEST} at least")
    wet_from = float(np.median([one.base for one in taught]))

    def made(x: Floats) -> Basin:
        return Basin(float(x[0]), float(x[1]), wet_from, float(np.exp(x[2])), step_h)

    def off(x: Floats) -> float:
        own = made(x)
        return float(sum(((own.simulate(one) - one.flow) ** 2).sum() for one in taught))

    start = [70.0, 80.0, np.log(step_h)]
    bounds = [(30.0, 98.0), (30.0, 98.0), (np.log(step_h / 4), np.log(step_h * 6))]
    return made(minimize(off, start, method="Nelder-Mead", bounds=bounds, options={"maxfev": 300}).x)


def constant_share(
    taught: Sequence[Storm], others: Sequence[Storm], lag_h: float, step_h: float
) -> tuple[float, list[Floats]]:
    """Return the share of rain that ran off in storms taught, and what so plain a model says of others."""
    rain = sum(float(one.rain.sum()) for one in taught)
    more = sum(float((one.flow - _base(one)).sum()) for one in taught)
    share = float(np.clip(more / max(rain, 1e-9), 0.0, 1.0))
    return share, [_run_off(one, share * one.rain, lag_h, step_h) for one in others]


def efficiency(made: Sequence[Floats], seen: Sequence[Storm]) -> float:
    """Return the efficiency of Nash and Sutcliffe (J. Hydrology 10(3), 1970) over all steps of all storms."""
    own, real = np.concatenate(list(made)), np.concatenate([one.flow for one in seen])
    return float(1 - ((own - real) ** 2).sum() / ((real - real.mean()) ** 2).sum())


def _base(storm: Storm) -> Floats:
    return np.asarray(storm.base * _RECESSION ** np.arange(1, len(storm.flow) + 1), np.float64)


def _run_off(storm: Storm, excess: Floats, lag_h: float, step_h: float) -> Floats:
    found: Floats = np.convolve(excess, unit_hydrograph(lag_h, step_h))[: len(storm.flow)] + _base(storm)
    return found
