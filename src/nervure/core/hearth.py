"""What a learned controller of heat is told of a zone and may choose: the same in training and at home."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nervure.core.comfort import Comfort

__all__ = ["CHOICES", "FEATURES", "Hearth"]

Floats = NDArray[np.float64]
_AHEAD_H = (1, 2, 3, 5, 8, 12)
_WALLS_H = 24.0
_HEAT = (20.0, 21.0, 22.0, 23.0, 24.0)  # Cel
_COLD = (24.0, 22.5)

FEATURES = (
    "air", "walls", "low", "high", "low ahead", "high ahead", "ready", "outdoor", "outdoor 6h", "outdoor 12h",
    "sun", "sun 6h", "hour sine", "hour cosine", "price", *(f"price {one}h" for one in _AHEAD_H),
)  # fmt: skip
"""What is told of each zone, each around 0 and about 1 wide."""

CHOICES: tuple[tuple[float | None, float | None], ...] = (
    (None, None),
    *((one, None) for one in _HEAT),
    *((None, one) for one in _COLD),
)
"""What may be chosen: where to heat up to and cool down to in Cel; None is the band's own edge."""


class Hearth:
    """Some zones in one tariff; update it once a decision, in order."""

    def __init__(
        self, zones: Sequence[str], comfort: Comfort, price: Callable[[float], float], *, every_h: float = 0.5
    ) -> None:
        self._zones, self._comfort, self._price = tuple(zones), comfort, price
        self._keep = float(np.exp(-every_h / _WALLS_H))
        self._walls: Floats | None = None
        day = [price(float(one)) for one in range(24)]
        self._mean, self._wide = float(np.mean(day)), max(float(np.std(day)), 1e-6)

    def look(
        self, hour: float, readings: Mapping[str, float], outdoor: Floats, sun: Floats
    ) -> NDArray[np.float32]:
        """Return what is told, ``[zone, feature]``, at an hour since a Monday's midnight.

        ``outdoor`` in Cel and ``sun`` in W/m2 are foreseen from now, ``[hour]``, for twelve at least. What
        is not read is NaN.
        """
        air = np.array([readings.get(f"{one}/temperature", np.nan) for one in self._zones])
        if self._walls is None or not np.isfinite(self._walls).all():
            self._walls = air.copy()
        if np.isfinite(air).all():
            self._walls = self._keep * self._walls + (1 - self._keep) * air
        low, high = self._comfort.band(hour)
        coming = self._comfort.next(hour)
        ahead = coming if coming is not None else (hour + 24.0, low, high)
        shared = [
            (low - 20) / 4, (high - 25) / 3, (ahead[1] - 20) / 4, (ahead[2] - 25) / 3,
            min(ahead[0] - hour, 12.0) / 6 - 1, (outdoor[0] - 10) / 12, (outdoor[:6].mean() - 10) / 12,
            (outdoor[:12].mean() - 10) / 12, sun[0] / 300, sun[:6].mean() / 200,
            np.sin(2 * np.pi * hour / 24), np.cos(2 * np.pi * hour / 24),
            *((self._price(hour + one) - self._mean) / self._wide for one in (0, *_AHEAD_H)),
        ]  # fmt: skip
        own = np.stack([(air - 21) / 2, (self._walls - 21) / 2], axis=1)
        return np.hstack([own, np.tile(shared, (len(air), 1))]).astype(np.float32)

    def setpoints(self, hour: float, choice: int) -> tuple[float, float]:
        """Return the setpoints of a choice in Cel, never outside the band of the hour."""
        low, high = self._comfort.band(hour)
        heat, cold = CHOICES[choice]
        warm = low if heat is None else min(max(heat, low), high - 0.5)
        cool = high if cold is None else max(min(cold, high), warm + 0.5)
        return warm, cool
