"""Policies of maintenance compared: the same fleet, the same lives, other decisions.

Places of a fleet each run one engine at a time, a cycle a day. Whatever policy is followed, the n-th
engine of a place lives the same life, so that policies differ in what they decide alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.act.plan.schedule import crews_of, schedule
from nervure.core.maintenance import Asset

__all__ = [
    "Course", "Fleet", "Outcome", "Policy", "at_age", "at_threshold", "by_schedule", "never", "simulate",
]  # fmt: skip

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


class Course(NamedTuple):
    """An engine's life: at the end of each day, the life expected and its low, middle and high quantiles."""

    expected: Floats
    quantile: Floats  # [day, 3]

    @property
    def life(self) -> int:
        """Days until it fails."""
        return len(self.expected)


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """What is assumed: places, days, crews with a shift of hours a day, and costs of one renewal."""

    places: int = 20
    days: int = 730
    crews: int = 1
    shift: float = 8.0
    hours: float = 12.0
    preventive: float = 10_000.0
    failure: float = 50_000.0
    life: float = 200.0


class Outcome(NamedTuple):
    """What came of a policy: cost a place and day, renewals in time, failures, days of life not used."""

    cost: float
    planned: int
    failures: int
    wasted: float


Policy = Callable[[Sequence[Course], Longs], list[int]]


def simulate(policy: Policy, courses: Sequence[Course], fleet: Fleet, *, seed: int = 0) -> Outcome:
    """Follow a policy for ``fleet.days``, the engines of each place drawn from ``courses``.

    ``policy(engines [place], age [place])`` is asked each morning which places to work at, in order.
    Work is begun while a crew has hours left, and goes on the next day; what has none is not done
    that day. An engine that fails is renewed at once, and costs what a failure costs.
    """
    random = np.random.default_rng(seed)
    draw = [np.random.default_rng(int(one)) for one in random.integers(2**31, size=fleet.places)]
    engine = [courses[int(one.integers(len(courses)))] for one in draw]
    age = np.array([int(draw[at].integers(one.life // 2)) + 1 for at, one in enumerate(engine)])
    free, cost, planned, failures, wasted = 0.0, 0.0, 0, 0, 0.0
    for _ in range(fleet.days):
        free = min(free, 0.0) + fleet.crews * fleet.shift
        new = []
        for place in policy(engine, age):
            if free > 0:
                free -= fleet.hours
                cost, planned = cost + fleet.preventive, planned + 1
                wasted += engine[place].life - age[place]
                new.append(place)
        failed = [at for at, one in enumerate(engine) if at not in new and age[at] + 1 >= one.life]
        cost, failures = cost + fleet.failure * len(failed), failures + len(failed)
        age += 1
        for place in (*new, *failed):
            engine[place], age[place] = courses[int(draw[place].integers(len(courses)))], 1
    return Outcome(cost / (fleet.places * fleet.days), planned, failures, float(wasted) / max(planned, 1))


def never(_engines: Sequence[Course], _age: Longs) -> list[int]:
    """Run to failure."""
    return []


def at_age(limit: float) -> Policy:
    """Renew each engine at an age in days, the oldest first."""
    return lambda _, age: [int(place) for place in np.argsort(-age) if age[place] >= limit]


def at_threshold(limit: float) -> Policy:
    """Renew each engine once its expected life is less than a number of days, the shortest first."""

    def policy(engines: Sequence[Course], age: Longs) -> list[int]:
        left = np.array([one.expected[at - 1] for one, at in zip(engines, age, strict=True)])
        return [int(place) for place in np.argsort(left) if left[place] < limit]

    return policy


def by_schedule(fleet: Fleet, *, horizon: int = 14, band: float = 0.9, effort: float = 0.05) -> Policy:
    """Plan anew each morning with the schedule of maintenance, and begin what it has for today."""

    def policy(engines: Sequence[Course], age: Longs) -> list[int]:
        shown = [one.quantile[at - 1] for one, at in zip(engines, age, strict=True)]
        assets = [_asset(str(place), one, fleet) for place, one in enumerate(shown) if one[0] < 2 * horizon]
        if not assets:
            return []
        plan = schedule(assets, crews_of(fleet.crews), horizon, shift=fleet.shift, band=band, effort=effort)
        return [int(one.asset) for one in plan.visits if one.day == 0]

    return policy


def _asset(name: str, quantile: Floats, fleet: Fleet) -> Asset:
    low, mid, high = (float(one) for one in np.maximum.accumulate(quantile))
    return Asset(
        name=name, low=low, mid=mid, high=high, cost_preventive=fleet.preventive,
        cost_failure=fleet.failure, hours=fleet.hours, life=fleet.life,
    )  # fmt: skip
