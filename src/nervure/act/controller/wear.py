"""A machine that wears: when to have its bearing replaced, and how fast to run until the crew comes.

Crews come at their hours; between them they cost more, and after a break most. From how what is measured
grew towards earlier breaks the planner learns the power of it that grows evenly with the work done (work
counts by the third power of speed, as rolling bearings' lives do: ISO 281:2007), and at which value machines
broke. So it knows how much work is left, with its doubt, and compares what running on, running slower,
stopping, and calling a crew would cost by the hour. Remaining life by such an extrapolation: Gebraeel et
al., IIE Transactions 37(6), 2005. Not for a fault of another kind than those in the histories: what is
learned is how *these* breaks came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Aged", "Alarm", "Business", "Growth", "History", "ToBreak", "Wear", "best_age", "best_alarm"]

Floats = NDArray[np.float64]
POWER = 3.0  # of speed, by which work wears
_SLOWEST = 0.4
_POWERS = (0.2, 0.3, 0.36, 0.5, 0.7, 1.0)
_RECENT = 60
_Z = 1.64  # one in twenty breaks sooner


class Business(msgspec.Struct, frozen=True, kw_only=True):
    """What things cost in money, and how long they take in hours.

    ``earns`` is an hour at full speed; crews come every ``every_h`` for ``planned``, at once for
    ``called``, and after a break for ``broken``.
    """

    earns: float = 100.0
    every_h: float = 96.0
    planned: float = 3_000.0
    planned_h: float = 4.0
    called: float = 8_000.0
    called_h: float = 8.0
    broken: float = 16_000.0
    broken_h: float = 36.0

    def visit(self, hour: float) -> float:
        """Return in how many hours the crew comes next.

        >>> Business().visit(90.0)
        6.0
        """
        return self.every_h - hour % self.every_h


class History(NamedTuple):
    """One life until its break: hours of work at full speed and what was measured then, ``[reading]``."""

    work: Floats
    seen: Floats


class Growth(NamedTuple):
    """What was learned of breaks: the power that grows evenly, at which value they come, and its spread."""

    power: float
    limit: float
    spread: float
    life_h: float

    @staticmethod
    def learned(histories: Sequence[History]) -> Growth:
        """Learn from lives until the break; the power that leaves least of the second half's growth open."""

        def wrong(power: float) -> float:
            off = []
            for one in histories:
                half = one.work > one.work[-1] / 2
                x, y = one.work[half], one.seen[half] ** power
                fit = np.polyval(np.polyfit(x[: len(x) // 2], y[: len(x) // 2], 1), x[-5:])
                off.append(float(np.abs(fit - y[-5:]).mean() / y[-5:].mean()))
            return float(np.median(off))

        power = min(_POWERS, key=wrong)
        ends = np.array([float(np.median(one.seen[-5:] ** power)) for one in histories])
        lives = np.array([one.work[-1] for one in histories])
        return Growth(power, float(ends.mean()), float(ends.std(ddof=1)), float(lives.mean()))


class ToBreak:
    """Run until it breaks."""

    def decide(self, _hour: float, _readings: Mapping[str, float]) -> dict[str, float]:
        """Return full speed."""
        return {"drive/speed": 1.0, "crew/planned": 0.0, "crew/called": 0.0}

    def renewed(self) -> None:
        """Nothing was remembered."""


class Aged:
    """Have it replaced at the first visit after so many hours."""

    def __init__(self, age_h: float) -> None:
        self._age, self._begun = age_h, 0.0
        self._new = True

    def decide(self, hour: float, _readings: Mapping[str, float]) -> dict[str, float]:
        """Return full speed, and whether the crew shall replace it when it comes."""
        if self._new:
            self._begun, self._new = hour, False
        due = float(hour - self._begun >= self._age)
        return {"drive/speed": 1.0, "crew/planned": due, "crew/called": 0.0}

    def renewed(self) -> None:
        """Count anew."""
        self._new = True


class Alarm:
    """Have it replaced at the first visit after the mean of three readings has passed a limit."""

    def __init__(self, limit: float, *, of: str = "bearing/envelope") -> None:
        self._limit, self._of = limit, of
        self._seen: list[float] = []

    def decide(self, _hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return full speed, and whether the crew shall replace it when it comes."""
        value = readings.get(self._of, np.nan)
        if np.isfinite(value):
            self._seen = [*self._seen[-2:], value]
        due = float(len(self._seen) == 3 and float(np.mean(self._seen)) > self._limit)
        return {"drive/speed": 1.0, "crew/planned": due, "crew/called": 0.0}

    def renewed(self) -> None:
        """Forget."""
        self._seen = []


class Wear:
    """Compare by the hour what can be done, with the work that is surely left."""

    def __init__(self, business: Business, growth: Growth, *, of: str = "bearing/envelope") -> None:
        self._business, self._growth, self._of = business, growth, of
        self.renewed()

    def renewed(self) -> None:
        """Begin with a new bearing."""
        self._work, self._speed, self._last = 0.0, 1.0, -1.0
        self._told: list[tuple[float, float]] = []

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]:
        """Return speed, and whether a crew is asked for when it comes, or now."""
        if self._last >= 0:
            self._work += self._speed**POWER * (hour - self._last)
        self._last = hour
        value = readings.get(self._of, np.nan)
        if np.isfinite(value) and self._speed > 0.1:  # what stands still says nothing
            self._told.append((self._work, max(value, 1e-9) ** self._growth.power))
        self._speed, planned, called = self._choice(hour, self.left())
        return {"drive/speed": self._speed, "crew/planned": planned, "crew/called": called}

    def left(self) -> float:
        """Return the hours of full speed that are surely left: one in twenty has fewer."""
        growth = self._growth
        if len(self._told) < 12:
            return float("inf")
        told = np.array(self._told[-_RECENT:])
        x, y = told[:, 0] - told[-1, 0], told[:, 1]
        fit, doubt = np.polyfit(x, y, 1, cov=True)
        slope = float(fit[0]) + _Z * float(np.sqrt(doubt[0, 0]))
        if slope <= 1e-9:
            return float("inf")
        limit = growth.limit - _Z * growth.spread
        now = float(fit[1]) + _Z * float(np.sqrt(doubt[1, 1]))
        return max((limit - now) / slope, 0.0)

    def _choice(self, hour: float, left: float) -> tuple[float, float, float]:
        """Return speed, planned, called: what is cheapest by the hour, of what surely holds."""
        own, life = self._business, self._growth.life_h
        first = own.visit(hour)
        second = first + own.every_h
        if left >= second:
            return 1.0, 0.0, 0.0
        new_h = (own.planned + own.earns * own.planned_h) / life  # what an hour of a bearing's life costs
        options = []
        if left >= first:  # replaced at the next visit, at full speed
            options.append((0.0, 1.0, 1.0, 0.0))
        for until, planned in ((first, 1.0), (second, 0.0)):
            speed = min((left / until) ** (1 / POWER), 1.0)
            if speed >= _SLOWEST:  # slower, and what is gained of the bearing's life
                gained = until - first
                cost = own.earns * (1 - speed) * until - new_h * gained
                options.append((cost, speed, planned, 0.0))
        options.append((own.earns * first, 0.0, 1.0, 0.0))  # stand still until it comes
        options.append((own.called - own.planned + own.earns * (own.called_h - own.planned_h), 1.0, 0.0, 1.0))
        _, speed, planned, called = min(options)
        return speed, planned, called


def best_age(lives_h: Sequence[float], business: Business) -> float:
    """Return the age at which planned replacements cost least by the hour, on lives that were."""

    def rate(age: float) -> float:
        cost = hours = 0.0
        for life in lives_h:
            due = np.ceil(age / business.every_h) * business.every_h
            broke = life < due
            cost += business.broken if broke else business.planned
            lost = business.broken_h if broke else business.planned_h
            cost, hours = cost + lost * business.earns, hours + min(life, due) + lost
        return cost / hours

    ages = np.arange(1, 40) * business.every_h
    return float(min(ages.tolist(), key=rate))


def best_alarm(histories: Sequence[History], business: Business) -> float:
    """Return the limit at which an alarm costs least by the hour, on lives that were.

    The crew comes at a moment that has nothing to do with the alarm.
    """
    phases = (np.arange(6) + 0.5) / 6 * business.every_h

    def rate(limit: float) -> float:
        cost = hours = 0.0
        for one in histories:
            mean = np.convolve(one.seen, np.ones(3) / 3, "valid")
            over = np.flatnonzero(mean > limit)
            first = float(one.work[over[0] + 2]) if len(over) else float(one.work[-1])
            for wait in phases.tolist():
                broke = first + wait >= one.work[-1]
                lost = business.broken_h if broke else business.planned_h
                cost += (business.broken if broke else business.planned) + lost * business.earns
                hours += min(first + wait, float(one.work[-1])) + lost
        return cost / hours

    top = max(float(one.seen.max()) for one in histories)
    return float(min(np.geomspace(top / 100, top, 60).tolist(), key=rate))
