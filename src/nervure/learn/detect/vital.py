"""Simulated vital signs of people at home, and how they deteriorate: no public set could be had.

Everything here is made up, and figures measured on it say how detectors compare, not how they would do
on patients. A person has a heart rate, an oxygen saturation and a skin-corrected temperature once a
minute: a level of their own, the hour of the day, bouts of activity that all three follow, noise that
lasts, artefacts of movement, gaps. Sizes are those of textbooks; onsets are slow or sudden by kind.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.detect.block import NORMAL, ODD, Block

__all__ = ["KINDS", "VITALS", "Decline", "Person", "early_warning", "person", "ward"]

Floats = NDArray[np.float64]
Kind = Literal["sepsis", "desaturation", "bradycardia", "fever", "loose"]

VITALS = ("heart rate", "oxygen saturation", "temperature")  # 1/min, %, degrees C
KINDS: tuple[Kind, ...] = ("sepsis", "desaturation", "bradycardia", "fever", "loose")
_DAY, _MINUTE_NS = 1440, 60_000_000_000
_COURSE: dict[Kind, tuple[int, int, tuple[float, float, float]]] = {
    "sepsis": (600, 240, (35.0, -4.0, 1.8)),
    "desaturation": (30, 90, (8.0, -8.0, 0.0)),
    "bradycardia": (10, 80, (-28.0, -1.0, 0.0)),
    "fever": (240, 300, (16.0, 0.0, 2.0)),
    "loose": (20, 160, (0.0, 0.0, -4.0)),
}  # minutes of onset, minutes at full size, full size of each channel


class Decline(msgspec.Struct, frozen=True, kw_only=True):
    """A deterioration: rows from ``start`` to before ``stop``, at its full size from ``full`` on."""

    kind: Kind
    start: int
    full: int
    stop: int


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One simulated person: a block of minutes, and what befell them."""

    block: Block
    declines: tuple[Decline, ...] = ()


def person(number: int, *, days: int = 3, kinds: tuple[Kind, ...] = (), seed: int = 0) -> Person:
    """Simulate one person over ``days``; declines come one after another, a day's start apart at least.

    Raises ``DataError`` where there are more declines than days after the first.
    """
    if len(kinds) > days - 1:
        raise DataError(f"{len(kinds)} declines do not fit {days} days", hint="the first day has none")
    random = np.random.default_rng([seed, number])
    rows = days * _DAY
    hour = np.arange(rows) / 60 % 24
    active = _activity(random, hour)
    wave = np.cos((hour - 17) / 12 * np.pi)
    own = np.array([random.normal(66, 8), random.normal(97.2, 0.6), random.normal(36.8, 0.15)])
    value = own + np.stack([5 * wave, 0.4 * wave, 0.3 * wave], axis=1)
    value += active[:, None] * np.array([random.normal(32, 6), -1.0, 0.25])
    value += np.stack(
        [
            _lasting(random, rows, 3.0, 0.97),
            _lasting(random, rows, 0.5, 0.9),
            _lasting(random, rows, 0.08, 0.99),
        ],
        axis=1,
    )
    declines, label = [], np.full(rows, NORMAL, np.int8)
    for day, kind in enumerate(kinds, start=1):
        one = _befall(random, value, kind, day * _DAY + int(random.integers(0, _DAY // 3)))
        declines.append(one)
        label[one.start : one.stop] = ODD
    _disturb(random, value)
    block = Block(
        name=f"person {number}", channels=VITALS, value=value, time=np.arange(rows) * _MINUTE_NS,
        every_ns=_MINUTE_NS, label=label, group=f"person {number}",
    )  # fmt: skip
    return Person(block=block, declines=tuple(declines))


def ward(
    count: int, *, first: int = 0, days: int = 3, ill: bool = False, seed: int = 0
) -> tuple[Person, ...]:
    """Simulate ``count`` persons numbered from ``first``; ``ill`` gives each two declines by turns."""
    chosen = [
        (KINDS[number % len(KINDS)], KINDS[(number // len(KINDS) + number + 1) % len(KINDS)])
        for number in range(count)
    ]
    return tuple(
        person(first + number, days=days, kinds=kinds if ill else (), seed=seed)
        for number, kinds in enumerate(chosen)
    )


def early_warning(value: Floats, *, smooth: int = 15) -> Floats:
    """Return the points of NEWS2 for these three signs, the mean of the last ``smooth`` minutes, ``[row]``.

    Thresholds are those of the Royal College of Physicians (National Early Warning Score 2, 2017,
    oxygen scale 1); breathing, pressure and consciousness are not measured here. A sign that is
    missing keeps its last points.
    """
    limits = (
        ((40, 50, 90, 110, 130), (3, 1, 0, 1, 2, 3)),
        ((91, 93, 95), (3, 2, 1, 0)),
        ((35.0, 36.0, 38.0, 39.0), (3, 1, 0, 1, 2)),
    )
    total = np.zeros(len(value))
    for channel, (edges, points) in enumerate(limits):
        rounded = np.round(value[:, channel], 1 if channel == 2 else 0)
        found = np.array(points, dtype=np.float64)[
            np.searchsorted(edges, np.nan_to_num(rounded), side="left")
        ]
        known = ~np.isnan(rounded)
        place = np.maximum.accumulate(np.where(known, np.arange(len(value)), -1))
        total += np.where(place < 0, 0.0, found[np.maximum(place, 0)])
    sums = np.concatenate([np.zeros(smooth), np.cumsum(total)])
    mean: Floats = (sums[smooth:] - sums[:-smooth]) / np.minimum(np.arange(1, len(value) + 1), smooth)
    return mean


def _activity(random: np.random.Generator, hour: Floats) -> Floats:
    """Return how active a person is, 0..1: bouts by day that rise and fall within minutes."""
    level, bout, left = np.zeros(len(hour)), 0.0, 0
    for row, now in enumerate(hour.tolist()):
        if left == 0 and random.random() < (1 / 50 if 7 <= now < 22 else 1 / 400):
            bout, left = float(random.uniform(0.2, 1.0)), int(random.integers(5, 45))
        goal, left = (bout, left - 1) if left else (0.0, 0)
        level[row] = (level[row - 1] if row else 0.0) * 0.8 + 0.2 * goal
    return level


def _lasting(random: np.random.Generator, rows: int, size: float, stays: float) -> Floats:
    """Return noise of that standard deviation, of which a share stays from minute to minute."""
    from scipy.signal import lfilter

    found: Floats = lfilter([np.sqrt(1 - stays**2)], [1, -stays], random.normal(0, size, rows + 500))[500:]
    return found


def _befall(random: np.random.Generator, value: Floats, kind: Kind, start: int) -> Decline:
    onset, lasts, size = _COURSE[kind]
    onset, lasts = (int(one * random.uniform(0.7, 1.3)) for one in (onset, lasts))
    stop = min(start + onset + lasts, len(value))
    rise = np.clip(np.arange(stop - start) / onset, 0, 1)[:, None]
    value[start:stop] += rise * np.array(size) * random.uniform(0.6, 1.2)
    if kind == "loose":
        noise = random.normal(0, 1, (stop - start, 2)) * np.array([15.0, 2.5])
        value[start:stop, :2] += rise * noise
        value[start:stop, :2][random.random((stop - start, 2)) < 0.4] = np.nan
    return Decline(kind=kind, start=start, full=start + onset, stop=stop)


def _disturb(random: np.random.Generator, value: Floats) -> None:
    """Add artefacts of movement, gaps, and what the devices round."""
    for _ in range(len(value) // 240):
        at, lasts = int(random.integers(len(value))), int(random.integers(1, 4))
        value[at : at + lasts, 0] += random.normal(0, 25)
        value[at : at + lasts, 1] -= abs(random.normal(0, 4))
    value[:, 1] = np.minimum(value[:, 1], 100.0)
    value[:, :2], value[:, 2] = np.round(value[:, :2]), np.round(value[:, 2], 1)
    value[random.random(value.shape) < 0.03] = np.nan
    for _ in range(max(1, len(value) // 720)):
        at, lasts = int(random.integers(len(value))), int(random.integers(5, 60))
        value[at : at + lasts, int(random.integers(3))] = np.nan
