"""The equations of the house fitted to a building that stands: one zone, from temperature, heat and weather.

The grey box of :mod:`nervure.twin.house` with its figures free (Bacher & Madsen, Energy and Buildings 43(7),
2011): air and mass, what flows between them and outdoors, how much of the heat that was measured arrives, and
what is gained besides. Not for a building whose zones differ much, nor where nobody measured the heat.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.twin.api import TwinError
from nervure.twin.house import House, Zone, discrete

__all__ = ["Dwelling", "Record", "fit_dwelling", "foretold"]

Floats = NDArray[np.float64]
_FEWEST = 96
_WIDE = np.array([3.0, 3.0, 3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 6.0])
_MEMORY_S = 60 * 3600.0
"""How long a building is thought to remember before it is fitted."""
_EVERY = 24
"""A forecast begins every so many steps of what is fitted, so that none drifts for weeks."""


class Dwelling(NamedTuple):
    """A zone with the share of measured heat that arrives in it.

    ``gain_w`` is gained besides, ``busy_w`` on top of it while people are in, in W; ``mass_above_k`` is how
    much warmer than the air the mass begins.
    """

    zone: Zone
    share: float
    gain_w: float
    busy_w: float
    mass_above_k: float
    step_s: float

    def simulate(self, start: tuple[float, float], heat: Floats, outdoor: Floats, busy: Floats) -> Floats:
        """Return air and mass in Cel, ``[step + 1, 2]``; heat in W, outdoors in Cel, busy 0 or 1."""
        a, b = discrete(House(), self.step_s, (self.zone,))
        rest = b @ np.stack([self.share * heat, 0 * heat, self.gain_w + self.busy_w * busy, outdoor])
        out = np.empty((len(heat) + 1, 2))
        out[0] = start
        for at in range(len(heat)):
            out[at + 1] = a @ out[at] + rest[:, at]
        return out


class Record(NamedTuple):
    """Readings, ``[step]`` each: air and outdoors in Cel, heat in W, whether people are in (0 or 1)."""

    air: Floats
    heat: Floats
    outdoor: Floats
    busy: Floats

    def simulate(self, own: Dwelling, mass_c: float, part: slice) -> Floats:
        """Return air and mass of these steps and the one after, the air read at the first alone."""
        return own.simulate(
            (float(self.air[part.start]), mass_c), self.heat[part], self.outdoor[part], self.busy[part]
        )


def fit_dwelling(seen: Record, *, step_s: float, cut: int) -> Dwelling:
    """Fit to the steps before ``cut``.

    Raises TwinError for fewer than 96 of them, or where nothing was heated.
    """
    from scipy.optimize import least_squares

    if cut < _FEWEST or cut > len(seen.air):
        raise TwinError(f"{cut} steps of {len(seen.air)} cannot be fitted", hint=f"give {_FEWEST} at least")
    scale = float(seen.heat[:cut].mean())
    if not scale > 0:
        raise TwinError("nothing was heated, so nothing can be found of it", hint="give heat in W")
    start = _start(scale / max(float((seen.air - seen.outdoor)[:cut].mean()), 1.0))

    def wrong(x: Floats) -> Floats:
        own = _made(x, scale, step_s)
        whole = _path(own, seen, cut)
        days = range(_EVERY, cut - _EVERY, _EVERY)  # from what was read, with the mass as it had become
        paths = [seen.simulate(own, whole[at, 1], slice(at, at + _EVERY)) for at in days]
        off = [path[1:, 0] - seen.air[at + 1 : at + _EVERY + 1] for at, path in zip(days, paths, strict=True)]
        return np.concatenate([whole[:, 0] - seen.air[:cut], *off])

    bounds = (start - _WIDE, start + _WIDE)
    fit = least_squares(wrong, start, bounds=bounds, x_scale=_WIDE / 4, diff_step=1e-3, max_nfev=60)
    return _made(fit.x, scale, step_s)


def foretold(own: Dwelling, seen: Record, cut: int, *, every: int | None = None) -> Floats:
    """Return the air from ``cut`` on in Cel, ``[step - cut]``; heat and weather are told as they were.

    The air is told until ``cut``, and anew every so many steps, if at all.
    """
    mass, steps = float(_path(own, seen, cut)[-1, 1]), len(seen.air)
    out = np.empty(steps - cut)
    every = every or steps
    for at in range(cut - 1, steps - 1, every):
        part = slice(at, min(at + every, steps - 1))
        path = seen.simulate(own, mass, part)
        out[part.start - cut + 1 : part.stop - cut + 1] = path[1:, 0]
        mass = float(path[-1, 1])
    return out


def _path(own: Dwelling, seen: Record, cut: int) -> Floats:
    """Return air and mass up to a step, simulated from the first in one go, ``[cut, 2]``."""
    return seen.simulate(own, float(seen.air[0]) + own.mass_above_k, slice(0, cut - 1))


def _start(loss_w_k: float) -> Floats:
    """Return where a fit begins: logarithms of capacities, flows and the share; gains; the mass."""
    mass = np.log(loss_w_k * _MEMORY_S)
    half = np.log(loss_w_k / 2)
    return np.array([mass - 2.3, mass, half + 3.0, half, half, -0.2, 0.1, 0.1, -0.5])


def _made(x: Floats, scale_w: float, step_s: float) -> Dwelling:
    zone = Zone(
        name="all",
        air_j_k=float(np.exp(x[0])),
        mass_j_k=float(np.exp(x[1])),
        air_mass_k_w=float(np.exp(-x[2])),
        air_out_k_w=float(np.exp(-x[3])),
        mass_out_k_w=float(np.exp(-x[4])),
        glass_m2=0.0,
        power_w=0.0,
    )
    gains = scale_w * x[6:8]
    return Dwelling(zone, float(np.exp(x[5])), float(gains[0]), float(gains[1]), float(x[8]), step_s)
