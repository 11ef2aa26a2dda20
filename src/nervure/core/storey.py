"""What a learned controller of an office is told and may choose: the same in training and at work.

All zones of a storey share one choice, as they share one fan and one cooling coil: what a zone's own
thermostat wants comes on top of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nervure.core.comfort import Comfort

__all__ = ["AHEAD_H", "CHOICES", "FEATURES", "Storey"]

Floats = NDArray[np.float64]
_WALLS_H = (24.0, 96.0)
_FAR_H = 72
AHEAD_H = 24

FEATURES = (
    "mean", "lowest", "highest", "walls", "old walls", "somebody", "ready", "ready far", "closing", "outdoor",
    "outdoor 3h", "outdoor 6h", "outdoor 12h", "outdoor 24h", "coldest 12h", "warmest 12h", "sun", "sun 3h",
    "sun 6h", "sun 12h", "hour sine", "hour cosine", "week sine", "week cosine",
)  # fmt: skip
"""What is told of the storey, each around 0 and about 1 wide."""

CHOICES: tuple[tuple[float | None, float | None, float | None], ...] = (
    (None, None, None),
    *((None, None, one) for one in (10.0, 7.0)),
    *((one, None, None) for one in (21.0, 22.5)),
    *((None, one, None) for one in (23.0, 21.5, 20.0)),
)
"""What may be chosen, in Cel: to heat up to or to cool down to so much at least, and how cold an empty storey
may become; None is what the rule has."""


class Storey:
    """The zones of an office; update it once a decision, in order."""

    def __init__(self, zones: Sequence[str], comfort: Comfort, *, every_h: float = 0.5) -> None:
        self._zones, self._comfort = tuple(zones), comfort
        self._keep = np.exp(-every_h / np.array(_WALLS_H))
        self._walls: Floats | None = None

    def look(
        self, hour: float, readings: Mapping[str, float], outdoor: Floats, sun: Floats
    ) -> NDArray[np.float32]:
        """Return what is told, ``[1, feature]``, at an hour since a Monday's midnight.

        ``outdoor`` in Cel and ``sun`` in W/m2 are foreseen from now, ``[hour]``, for a day at least. Where a
        zone is not read, NaN is told.
        """
        air = np.array([readings.get(f"{one}/temperature", np.nan) for one in self._zones])
        mean = float(air.mean())
        if self._walls is None or not np.isfinite(self._walls).all():
            self._walls = np.full(len(_WALLS_H), mean)
        if np.isfinite(mean):
            self._walls = self._keep * self._walls + (1 - self._keep) * mean
        told = [
            (mean - 21) / 3, (air.min() - 21) / 3, (air.max() - 22) / 3, *((self._walls - 21) / 3),
            *self._clock(hour), (outdoor[0] - 10) / 12,
            *((outdoor[:span].mean() - 10) / 12 for span in (3, 6, 12, 24)),
            (outdoor[:12].min() - 10) / 12, (outdoor[:12].max() - 10) / 12, sun[0] / 300,
            *(sun[:span].mean() / 200 for span in (3, 6, 12)),
            np.sin(2 * np.pi * hour / 24), np.cos(2 * np.pi * hour / 24),
            np.sin(2 * np.pi * hour / 168), np.cos(2 * np.pi * hour / 168),
        ]  # fmt: skip
        return np.array([told], np.float32)

    def _clock(self, hour: float) -> tuple[float, float, float, float]:
        """Return whether somebody is there, how soon somebody comes, near and far, and how soon all go."""
        now, coming = self._comfort.band(hour), self._comfort.next(hour, _FAR_H)
        ready = coming[0] - hour if coming is not None else float(_FAR_H)
        there = now[0] > -100.0
        left = next((one for one in range(1, 25) if self._comfort.band(int(hour) + one) != now), 24)
        closing = (int(hour) + left - hour) if there else 0.0
        return float(there), min(ready, 12.0) / 6 - 1, ready / 36 - 1, closing / 5
