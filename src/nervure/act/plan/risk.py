"""What it is expected to cost to renew something on a day, given how long it may last yet.

A renewal too early throws life away, one too late risks a failure. A new life is worth what it costs
a day, so that days on end can be compared (age replacement: Barlow & Hunter, Operations Research 8,
1960, with the remaining life of this one machine instead of the life of all).
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.core.maintenance import Asset

__all__ = ["Risk", "horizon_risk"]

Floats = NDArray[np.float64]

_LEAST = 1e-3  # days
_STEPS = 2000
_erf = np.vectorize(math.erf, otypes=[float])


class Risk:
    """The costs of one asset by the day of its renewal.

    Its remaining life is taken for log-normal below and above its middle, each half through the
    quantile given; ``band`` is how much of the chance lies between ``low`` and ``high``. ``life`` is
    how many days a new one lasts where the asset does not say; a day of it costs a planned renewal
    divided by them.
    """

    def __init__(self, asset: Asset, *, band: float = 0.9, life: float) -> None:
        if not 0 < band < 1:
            raise DataError(f"a band of {band} holds nothing or all", hint="say 0.9 for 5 % to 95 %")
        if not 0 <= asset.low <= asset.mid <= asset.high or not math.isfinite(asset.high):
            raise DataError(
                f"{asset.name}: the remaining lives {asset.low:g}, {asset.mid:g}, {asset.high:g} do not rise"
            )
        self.asset = asset
        reach = NormalDist().inv_cdf(0.5 + band / 2)
        low, mid, high = (max(one, _LEAST) for one in (asset.low, asset.mid, asset.high))
        self._middle = math.log(mid)
        self._below = max((self._middle - math.log(low)) / reach, _LEAST)
        self._above = max((math.log(high) - self._middle) / reach, _LEAST)
        self._rate = asset.planned / (asset.life or life)
        self._end = math.exp(self._middle + 3 * self._above)

    def failed(self, day: Floats | float) -> Floats:
        """Return the chance that it has failed before a day."""
        gone = np.log(np.maximum(day, _LEAST)) - self._middle
        score = gone / np.where(gone < 0, self._below, self._above)
        found: Floats = np.where(np.asarray(day) > 0, 0.5 * (1 + _erf(score / math.sqrt(2))), 0.0)
        return found

    def cost(self, day: Floats | float) -> Floats:
        """Return what renewing it on a day is expected to cost, beside a renewal now that wastes nothing.

        Planned cost or failure, less what the days worked until then are worth. If it fails first it
        is renewed then.
        """
        grid = np.linspace(0.0, max(self._end, float(np.max(day)), 1.0), _STEPS)
        alive = 1 - self.failed(grid)
        worked = np.concatenate([[0.0], np.cumsum((alive[1:] + alive[:-1]) / 2 * np.diff(grid))])
        gone, own = self.failed(day), self.asset
        found: Floats = (
            own.planned + gone * (own.failed - own.planned) - self._rate * np.interp(day, grid, worked)
        )
        return found

    def best(self, start: float, stop: float) -> float:
        """Return the day between two that costs least."""
        days = np.linspace(start, max(start, stop), 501)
        return float(days[int(np.argmin(self.cost(days)))])

    def later(self, day: float) -> float:
        """Return what leaving it until after a day is expected to cost, at best."""
        return float(self.cost(np.array([self.best(day, max(self._end, day))]))[0])


def horizon_risk(risk: Risk, horizon: float) -> float:
    """Return the chance that it fails before the horizon ends."""
    return float(risk.failed(horizon))
