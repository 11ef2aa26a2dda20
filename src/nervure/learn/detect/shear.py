"""A simulated building: storeys on columns that lose stiffness, shaken by wind, warmed and cooled.

For tests, and for a claim that asks for a structure with an answer that is known. Nothing here was
measured.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.signal import cont2discrete, lfilter, ss2tf

from nervure.core.error import DataError

__all__ = ["Building", "Shaken", "frequencies", "shake", "shaken"]

Floats = NDArray[np.float64]

_WARM = -0.0015  # of stiffness a degree C: concrete, as measured on bridges (Peeters & De Roeck, 2001)
_MEAN_C = 15.0


class Building(msgspec.Struct, frozen=True, kw_only=True):
    """Storeys of ``mass`` kg on columns of ``stiffness`` N/m, bottom first; ``damping`` is of every mode."""

    mass: tuple[float, ...] = (1e4, 1e4, 1e4)
    stiffness: tuple[float, ...] = (1e7, 1e7, 1e7)
    damping: float = 0.01


def _modes(building: Building) -> tuple[Floats, Floats]:
    """Return angular frequencies ``[mode]`` in rad/s and shapes ``[storey, mode]`` of modal mass 1."""
    below = np.array(building.stiffness)
    if len(below) != len(building.mass) or (below <= 0).any():
        raise DataError("a building has one stiffness above 0 a storey", hint="give as many as masses")
    above = np.r_[below[1:], 0.0]
    matrix = np.diag(below + above) - np.diag(above[:-1], 1) - np.diag(above[:-1], -1)
    square, shape = eigh(matrix, np.diag(building.mass))
    return np.sqrt(square), shape


def frequencies(building: Building) -> Floats:
    """Return the natural frequencies in Hz, ``[mode]``, slowest first.

    >>> frequencies(Building()).round(2).tolist()
    [2.24, 6.28, 9.07]
    """
    return _modes(building)[0] / (2 * np.pi)


def shake(building: Building, rows: int, hz: float, random: np.random.Generator) -> Floats:
    """Return accelerations ``[row, storey]`` in m/s^2 under a wind of its own on each storey.

    The wind is white noise through a slow filter, so that it blows more at low frequencies. Each mode
    is solved exactly for forces that are held for a row.
    """
    omega, shape = _modes(building)
    settle = int(5 * hz / (building.damping * omega[0]))  # what swung before the record is gone
    force = random.normal(size=(rows + settle, len(omega)))
    force = 1e3 * lfilter([1.0], [1.0, -0.7], force, axis=0) @ shape
    out = np.zeros((rows, len(omega)))
    for at, rate in enumerate(omega):
        plain = np.array([[0.0, 1.0], [-(rate**2), -2 * building.damping * rate]])
        system = (plain, np.array([[0.0], [1.0]]), plain[1:], np.ones((1, 1)))
        above, under = ss2tf(*cont2discrete(system, 1 / hz)[:4])
        out += lfilter(above[0], under, force[:, at])[settle:, None] * shape[:, at]
    return out


class Shaken(msgspec.Struct, frozen=True, kw_only=True):
    """Records of a simulated building: ``value [case, row, storey]`` at ``hz``, and what was true of each.

    ``celsius [case]``; ``left [case]`` is the stiffness left in storey ``storey [case]``, 1 to 3, and 1
    for storey 0, which is an undamaged building; ``group [case]`` is the building, of which there are
    several of one drawing, none quite like it.
    """

    value: Floats
    hz: float
    celsius: Floats
    storey: NDArray[np.int64]
    left: Floats
    group: tuple[str, ...]


def shaken(
    buildings: int, cases: int, *, rows: int = 2048, hz: float = 40.0, noise_db: float = 20.0,
    loss: tuple[float, float] = (0.05, 0.20), seed: int = 0,
) -> Shaken:  # fmt: skip
    """Simulate ``cases`` records of each of several buildings, half of them with a column damaged.

    Masses and columns differ by 1 % from building to building, temperature lies between -5 and 35
    degrees C and takes 0.15 % of the stiffness a degree, damage takes ``loss`` of one storey's, noise
    is ``noise_db`` below each channel. Wind is as strong as it likes, by a factor of 3 either way.
    """
    random = np.random.default_rng(seed)
    value, what = [], []
    for number in range(buildings):
        mass, stiffness = (base * (1 + 0.01 * random.normal(size=3)) for base in (1e4, 1e7))
        for turn in range(cases):
            celsius, storey = float(random.uniform(-5, 35)), int(random.integers(1, 4)) if turn % 2 else 0
            left = 1 - float(random.uniform(*loss)) if storey else 1.0
            now = stiffness * (1 + _WARM * (celsius - _MEAN_C))
            now = np.where(np.arange(1, 4) == storey, now * left, now)
            building = Building(mass=tuple(mass.tolist()), stiffness=tuple(now.tolist()))
            found = shake(building, rows, hz, random) * float(np.exp(random.uniform(-np.log(3), np.log(3))))
            found += random.normal(size=found.shape) * found.std(axis=0) * 10 ** (-noise_db / 20)
            value.append(found)
            what.append((celsius, storey, left, f"building {number}"))
    celsius_, storey_, left_, group = zip(*what, strict=True)
    return Shaken(
        value=np.stack(value), hz=hz, celsius=np.array(celsius_), storey=np.array(storey_, np.int64),
        left=np.array(left_), group=group,
    )  # fmt: skip
