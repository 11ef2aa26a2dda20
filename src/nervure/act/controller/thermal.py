"""A linear model of rooms by the hour, learned from readings: what the planner of a building's heat needs.

The next hour's air follows from the air and a slow mean of the air (the walls, which nobody measures),
heat, weather, and whether people are in. The slow mean has the memory that fits best. Ridge regression,
newer hours weighing more. Grey-box beside this: Bacher & Madsen, Energy and Buildings 43(7), 2011.
Not for less than two weeks of readings, nor for rooms whose heat is not measured.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError

__all__ = ["Hours", "Rooms", "learn"]

Floats = NDArray[np.float64]
_MEMORY_H = (6.0, 12.0, 24.0, 48.0)
_FEWEST = 96


class Hours(NamedTuple):
    """Readings by the hour: air at its beginning in Cel and mean heat in W, ``[hour, zone]``.

    ``outdoor`` in Cel, ``sun`` in W/m2 and ``people`` (0 or 1) are ``[hour]``.
    """

    air: Floats
    heat: Floats
    outdoor: Floats
    sun: Floats
    people: Floats


class Rooms(NamedTuple):
    """The model: ``state' = a state + b heat + e [outdoor, sun, people, 1]``, state ``[2 zone]``: air, walls.

    ``memory_h`` is that of the walls, ``error_k [zone]`` the root mean square of an hour's error.
    """

    a: Floats
    b: Floats
    e: Floats
    memory_h: float
    error_k: Floats

    def walls(self, air: Floats) -> Floats:
        """Return the slow mean of the air up to now, ``[zone]``, of ``air [hour, zone]``."""
        found: Floats = _slow(air, self.memory_h)[-1]
        return found


def learn(hours: Hours, *, half_life_h: float = 24 * 28, ridge: float = 1e-4) -> Rooms:
    """Fit the model; raise DataError for less than four days, or where nothing was heated or cooled."""
    if len(hours.air) < _FEWEST:
        raise DataError(f"{len(hours.air)} hours are too few to learn rooms from", hint=f"give {_FEWEST}")
    if not np.abs(hours.heat).max() > 0:
        raise DataError("nothing was heated or cooled, so nothing can be learned of it")
    fits = [_fit(hours, memory, half_life_h, ridge) for memory in _MEMORY_H]
    return _refined(hours, min(fits, key=lambda one: float((one.error_k**2).sum())), half_life_h)


def _slow(air: Floats, memory_h: float) -> Floats:
    keep, out = np.exp(-1 / memory_h), np.empty_like(air)
    out[0] = air[: min(len(air), int(memory_h))].mean(axis=0)
    for at in range(1, len(air)):
        out[at] = keep * out[at - 1] + (1 - keep) * air[at - 1]
    return out


def _fit(hours: Hours, memory_h: float, half_life_h: float, ridge: float) -> Rooms:
    """Fit each zone by differences of temperature, as physics has them: no coefficient below zero."""
    walls, zones = _slow(hours.air, memory_h), hours.air.shape[1]
    found = [_zone(hours, walls, at, half_life_h, ridge) for at in range(zones)]
    return _built(np.array([one[0] for one in found]), memory_h, np.array([one[1] for one in found]))


def _built(found: Floats, memory_h: float, error: Floats) -> Rooms:
    """Return the model of coefficients ``[zone, coefficient]``."""
    zones, keep = len(found), float(np.exp(-1 / memory_h))
    a, b, e = np.zeros((2 * zones, 2 * zones)), np.zeros((2 * zones, zones)), np.zeros((2 * zones, 4))
    for at in range(zones):
        own = found[at]
        others = [one for one in range(zones) if one != at]
        a[at, at] = 1 - own[: zones + 1].sum()
        a[at, zones + at], a[at, others] = own[0], own[2 : zones + 1]
        b[at, at] = own[zones + 1] / 1000
        e[at] = (own[1], own[zones + 2] / 100, own[zones + 3], own[zones + 4])
    a[zones:, :zones], a[zones:, zones:] = (1 - keep) * np.eye(zones), keep * np.eye(zones)
    return Rooms(a, b, e, memory_h, error)


def _refined(hours: Hours, rooms: Rooms, half_life_h: float, ahead: int = 12) -> Rooms:
    """Fit the coefficients and the walls' memory anew, to errors up to half a day ahead."""
    from scipy.optimize import least_squares

    zones, count = hours.air.shape[1], len(hours.air)
    begins = np.arange(24, count - ahead, 5)
    root = np.sqrt(0.5 ** ((count - begins) / half_life_h))[:, None]
    around = np.stack([hours.outdoor, hours.sun, hours.people, np.ones(count)], axis=1)
    start = np.concatenate([_coefficients(rooms).reshape(-1), [np.log(rooms.memory_h)]])

    def wrong(x: Floats) -> Floats:
        memory = float(np.exp(x[-1]))
        model = _built(x[:-1].reshape(zones, -1), memory, rooms.error_k)
        state = np.concatenate([hours.air[begins], _slow(hours.air, memory)[begins]], axis=1)
        out = []
        for step in range(ahead):
            at = begins + step
            state = state @ model.a.T + hours.heat[at] @ model.b.T + around[at] @ model.e.T
            out.append((state[:, :zones] - hours.air[at + 1]) * root)
        return np.concatenate(out).reshape(-1)

    low = np.concatenate([np.zeros(len(start) - 1), [np.log(3.0)]])
    high = np.concatenate([np.full(len(start) - 1, np.inf), [np.log(100.0)]])
    fit = least_squares(
        wrong, np.clip(start, low + 1e-6, high - 1e-6), bounds=(low, high), x_scale="jac", max_nfev=12
    )
    return _built(fit.x[:-1].reshape(zones, -1), float(np.exp(fit.x[-1])), rooms.error_k)


def _coefficients(rooms: Rooms) -> Floats:
    """Return what :func:`_built` was given, ``[zone, coefficient]``."""
    zones = rooms.b.shape[1]
    rows = []
    for at in range(zones):
        others = [one for one in range(zones) if one != at]
        e = rooms.e[at]
        rows.append(
            [
                rooms.a[at, zones + at], e[0], *rooms.a[at, others], rooms.b[at, at] * 1000, e[1] * 100, e[2],
                e[3],
            ]
        )  # fmt: skip
    return np.array(rows)


def _zone(hours: Hours, walls: Floats, at: int, half_life_h: float, ridge: float) -> tuple[Floats, float]:
    """Return what moves a zone's air: its walls, outdoors, the other zones, a kW, 100 W/m2, people, rest."""
    from scipy.optimize import nnls

    air = hours.air[:, at]
    others = [hours.air[:, one] - air for one in range(hours.air.shape[1]) if one != at]
    around = [hours.heat[:, at] / 1000, hours.sun / 100, hours.people, np.ones(len(air))]
    x = np.stack([walls[:, at] - air, hours.outdoor - air, *others, *around], axis=1)[:-1]
    y = air[1:] - air[:-1]
    root = np.sqrt(0.5 ** (np.arange(len(x))[::-1] / half_life_h))
    scale = np.sqrt((x**2).mean(axis=0)) + 1e-9
    calm = np.sqrt(ridge * (root**2).sum()) * np.eye(x.shape[1])
    left = np.concatenate([x / scale * root[:, None], calm])
    found = nnls(left, np.concatenate([y * root, np.zeros(x.shape[1])]))[0] / scale
    error = float(np.sqrt((((y - x @ found) * root) ** 2).sum() / (root**2).sum()))
    return found, error
