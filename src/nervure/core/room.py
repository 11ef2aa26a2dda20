"""A room with heating as a controller has to know it: when people want it how warm, what heat costs there.

It travels in the properties of a TaskingCapability, so who decides need not know which twin or which house
is behind it.
"""

from __future__ import annotations

import msgspec

from nervure.core.comfort import Comfort

__all__ = ["Ratio", "Room"]


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """Heat (or cold) per electricity of a machine: a line over the air outdoors in Cel, between bounds."""

    at_c: float
    ratio: float
    slope: float
    least: float
    most: float

    def of(self, outdoor_c: float) -> float:
        """Return the ratio at an outdoor temperature.

        >>> Ratio(at_c=7.0, ratio=3.6, slope=0.075, least=1.5, most=5.0).of(27.0)
        5.0
        """
        return min(max(self.ratio + self.slope * (outdoor_c - self.at_c), self.least), self.most)


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """One room: its band of comfort by hour of the week in Cel, heating power in W, what electricity costs.

    ``price`` is money a kWh by hour of the day, ``sold`` what is paid for what the roof leaves over. Readings
    are called ``NAME/temperature`` (Cel), ``NAME/heat`` (W, cold is negative), ``outdoor/temperature`` (Cel)
    and ``outdoor/sun`` (W/m2 on the windows); commands ``NAME/heat_setpoint`` and ``NAME/cool_setpoint``.
    """

    name: str
    comfort: Comfort
    power_w: float
    heating: Ratio
    cooling: Ratio
    price: tuple[float, ...]
    sold: float = 0.0
