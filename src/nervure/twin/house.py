"""A house as resistances and capacities: two zones, each with air and mass, a heat pump, a tariff.

Grey-box models of this kind: Bacher & Madsen, Energy and Buildings 43(7), 2011. The equations, ``a`` air,
``m`` mass, ``o`` outdoors, of zone i beside zone j:

    Ca dTa/dt = (Tm - Ta)/Ram + (To - Ta)/Rao + (Taj - Ta)/Rij + heat + people + 0.4 sun
    Cm dTm/dt = (Ta - Tm)/Ram + (To - Tm)/Rmo + 0.6 sun

They are linear, so a step is exact: the exponential of the matrix.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.room import Ratio

__all__ = [
    "COOLING", "HEATING", "ZONES", "House", "Tariff", "Zone", "cooling_ratio", "discrete", "heating_ratio",
]  # fmt: skip

Floats = NDArray[np.float64]


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """What a zone is made of: capacities in J/K, resistances in K/W, glass in m2, the heat pump's W."""

    name: str
    air_j_k: float
    mass_j_k: float
    air_mass_k_w: float
    air_out_k_w: float
    mass_out_k_w: float
    glass_m2: float
    power_w: float


# 140 m2 of a well insulated, heavy house: ISO 13790:2008 has 260 kJ/K of mass a m2 of floor (12.3.1.2), and
# 9.1 and 3.45 W/(m2 K) from mass through surfaces of 2.5 and 4.5 times the floor to the air (7.2.2).
ZONES = (
    Zone(
        name="living", air_j_k=2.2e6, mass_j_k=2.0e7, air_mass_k_w=1 / 710, air_out_k_w=1 / 38,
        mass_out_k_w=1 / 34, glass_m2=6.0, power_w=5500.0,
    ),
    Zone(
        name="sleeping", air_j_k=1.8e6, mass_j_k=1.6e7, air_mass_k_w=1 / 570, air_out_k_w=1 / 31,
        mass_out_k_w=1 / 28, glass_m2=3.5, power_w=4500.0,
    ),
)  # fmt: skip


class Tariff(msgspec.Struct, frozen=True, kw_only=True):
    """An example of a price by time of use, in money a kWh; the same every day."""

    night: float = 0.16
    day: float = 0.28
    peak: float = 0.48
    sold: float = 0.06

    def price(self, hour: float) -> float:
        """Return the price in an hour of the day: night from 22 to 6, peak from 16 to 21.

        >>> Tariff().price(3), Tariff().price(17.5)
        (0.16, 0.48)
        """
        of_day = hour % 24
        if of_day < 6 or of_day >= 22:
            return self.night
        return self.peak if 16 <= of_day < 21 else self.day


class House(msgspec.Struct, frozen=True, kw_only=True):
    """Factors on the zones' figures: what a calibration finds."""

    capacity: float = 1.0
    loss: float = 1.0
    sun: float = 1.0


HEATING = Ratio(at_c=7.0, ratio=3.6, slope=0.075, least=1.5, most=5.0)
"""Heat per electricity of an air-source heat pump, as a line through data-sheet values."""

COOLING = Ratio(at_c=35.0, ratio=3.2, slope=-0.09, least=2.0, most=6.0)
"""Cold per electricity of the same machine."""


def heating_ratio(outdoor_c: float) -> float:
    """Return heat per electricity of the house's heat pump.

    >>> heating_ratio(7.0), heating_ratio(27.0)
    (3.6, 5.0)
    """
    return HEATING.of(outdoor_c)


def cooling_ratio(outdoor_c: float) -> float:
    """Return cold per electricity of the same machine.

    >>> cooling_ratio(35.0)
    3.2
    """
    return COOLING.of(outdoor_c)


def discrete(house: House, step_s: float, zones: tuple[Zone, ...] = ZONES) -> tuple[Floats, Floats]:
    """Return the exact step: state ``[2 zone]`` (airs, then masses), inputs ``[3 zone + 1]``.

    Inputs are heat to each air, sunshine on each mass, in W, gains of each air in W, and outdoors in Cel.
    """
    count = len(zones)
    a, b = np.zeros((2 * count, 2 * count)), np.zeros((2 * count, 3 * count + 1))
    between = 40.0  # W/K through the inner wall and door
    for at, zone in enumerate(zones):
        air, mass, out = at, count + at, 3 * count
        ca, cm = zone.air_j_k * house.capacity, zone.mass_j_k * house.capacity
        inner = 1 / zone.air_mass_k_w
        wind, wall = house.loss / zone.air_out_k_w, house.loss / zone.mass_out_k_w
        a[air, air] -= (inner + wind + between * (count - 1)) / ca
        a[air, mass] += inner / ca
        for other in range(count):
            a[air, other] += between / ca if other != at else 0.0
        a[mass, mass], a[mass, air] = -(inner + wall) / cm, inner / cm
        b[air, at], b[mass, count + at], b[air, 2 * count + at] = 1 / ca, 1 / cm, 1 / ca
        b[air, out], b[mass, out] = wind / ca, wall / cm
    both = np.zeros((5 * count + 1, 5 * count + 1))
    both[: 2 * count] = np.hstack([a, b]) * step_s
    done = _exponential(both)
    return done[: 2 * count, : 2 * count], done[: 2 * count, 2 * count :]


def _exponential(matrix: Floats) -> Floats:
    """Return the exponential of a matrix by scaling, a series, and squaring."""
    halvings = max(0, int(np.ceil(np.log2(max(np.abs(matrix).sum(axis=1).max(), 1e-9)))) + 4)
    small = matrix / 2**halvings
    out, term = np.eye(len(matrix)), np.eye(len(matrix))
    for power in range(1, 12):
        term = term @ small / power
        out = out + term
    for _ in range(halvings):
        out = out @ out
    return out
