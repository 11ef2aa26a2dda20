"""When a room has to be how warm: a band by hour of the week."""

from __future__ import annotations

import msgspec

__all__ = ["HOME", "OFFICE", "Comfort"]

FREE = (-100.0, 100.0)


class Comfort(msgspec.Struct, frozen=True, kw_only=True):
    """Bands in Cel by hour of the week from Monday 0 o'clock: low and high, ``[168]`` each."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    def band(self, hour: float) -> tuple[float, float]:
        """Return the band in an hour of the week; later weeks are alike.

        >>> HOME.band(12.0), HOME.band(168 + 17.5)
        ((16.0, 28.0), (20.0, 25.0))
        """
        at = int(hour % 168)
        return self.low[at], self.high[at]

    def missed(self, hour: float, temperature: float) -> float:
        """Return by how many K a temperature is outside the band."""
        low, high = self.band(hour)
        return max(0.0, low - temperature, temperature - high)

    def next(self, hour: float, within: int = 24) -> tuple[float, float, float] | None:
        """Return the next whole hour at which the band gets narrower than now, and that band.

        None where that does not happen within so many hours.

        >>> OFFICE.next(5.25)
        (8.0, 21.0, 24.0)
        """
        now = self.band(hour)
        for ahead in range(1, within + 1):
            at = float(int(hour) + ahead)
            low, high = self.band(at)
            if low > now[0] or high < now[1]:
                return at, low, high
        return None


def _week(of: dict[int, tuple[float, float]], weekend: dict[int, tuple[float, float]]) -> Comfort:
    """Return the week whose bands begin at the hours given, from Monday to Friday and at the weekend."""
    low: list[float] = []
    high: list[float] = []
    for day in range(7):
        bands = weekend if day >= 5 else of
        band = bands[0]
        for hour in range(24):
            band = bands.get(hour, band)
            low.append(band[0])
            high.append(band[1])
    return Comfort(low=tuple(low), high=tuple(high))


HOME = _week(
    {0: (17.0, 25.0), 6: (20.0, 25.0), 9: (16.0, 28.0), 16: (20.0, 25.0), 23: (17.0, 25.0)},
    {0: (17.0, 25.0), 7: (20.0, 25.0), 23: (17.0, 25.0)},
)
"""People who are out on weekdays from 9 to 16, and sleep at 17 Cel and more."""

OFFICE = _week({0: FREE, 8: (21.0, 24.0), 18: FREE}, {0: FREE})
"""Weekdays from 8 to 18 at 21 to 24 Cel; nobody there otherwise."""
