"""Raw water: how much of a dose of chlorine it uses up at once, before the water leaves the works."""

from __future__ import annotations

import numpy as np

__all__ = ["Raw"]

_LASTS_MIN, _WIDE = 12 * 60.0, 0.35
_AFTER_RAIN_H, _TIMES = 10.0, 2.2


class Raw:
    """A demand that wanders, lasting half a day, and more than doubles for ten hours after rain.

    ``mean`` in mg/L; ``rain_h`` is when the rain comes, in hours from the start, never below 0.
    """

    def __init__(self, seed: int, mean: float, rain_h: float) -> None:
        self._rng = np.random.default_rng([seed, 23])
        self._mean, self._rain = mean, rain_h
        self._swing = float(self._rng.standard_normal())

    def minute(self, hour: float) -> float:
        """Let a minute pass; return what is used up at an hour from the start, in mg/L."""
        keep = float(np.exp(-1 / _LASTS_MIN))
        self._swing = keep * self._swing + float(np.sqrt(1 - keep**2) * self._rng.standard_normal())
        ago = hour - self._rain if self._rain >= 0 else -1.0
        murky = 1.0
        if 0 <= ago < _AFTER_RAIN_H:  # two hours up, then slowly down
            murky = 1 + (_TIMES - 1) * min(ago / 2, (_AFTER_RAIN_H - ago) / (_AFTER_RAIN_H - 2))
        return self._mean * murky * float(np.exp(_WIDE * self._swing - _WIDE**2 / 2))
