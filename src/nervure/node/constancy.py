"""How models that are no forecasts do: a monitor keeps its promise, a class is sure, a life runs down.

Of these nobody says at once what was right, so each is held against what it promised or says of itself:

* a monitor against the number of alarms a day that it promised; alarms that people called true, or of
  planned work, are none of its faults,
* a class against its own certainty: what was learned and is no more shows as doubt (confidence as a sign of
  shift: Garg et al., "Leveraging unlabeled data to predict out-of-distribution performance", ICLR 2022),
* a remaining life against its own later answers: after ten rows it ought to be ten rows shorter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.alert import Alert
from nervure.core.instant import DAY_NS
from nervure.store.curve import Curve
from nervure.store.hindsight import Hindsight, hindsight

__all__ = ["Alarmed", "Unsure", "aged", "alarmed", "doubts", "newest", "unlikely"]

LAG = 10
"""After how many answers a remaining life is held against what was said then."""

CHANCE = 1e-3
"""So unlikely it has to be that a monitor which keeps its promise raises so many alarms."""

Floats = NDArray[np.float64]


class Alarmed(msgspec.Struct, frozen=True, kw_only=True):
    """How many alarms a monitor has raised in so many days, and how many it promised."""

    name: str
    version: str
    raised: int
    promised: float
    days: float


class Unsure(msgspec.Struct, frozen=True, kw_only=True):
    """How sure a class was of its answers, in two halves of a span: the mean share of the likeliest."""

    name: str
    version: str
    rows: int
    earlier: float
    later: float


def newest(last: Mapping[int, tuple[int, float]]) -> int:
    """Return the time (ns) of the newest reading; 0 where there is none.

    One clock that is far ahead does not count beside others: a week before it nobody has read anything.

    >>> newest({1: (5, 1.0), 2: (7, 1.0), 3: (4_102_444_800_000_000_000, 1.0)})
    7
    """
    times = [when for when, _ in last.values()]
    return max([one for one in times if one <= time.time_ns() + DAY_NS] or times, default=0)


def alarmed(
    found: Sequence[Alert], name: str, version: str, per_day: float, span: tuple[int, int]
) -> Alarmed:
    """Count the alarms of a monitor that began in a span (ns), but for those that people called right."""
    mine = [one for one in found if span[0] <= one.start_ns < span[1] and not _right(one)]
    days = (span[1] - span[0]) / DAY_NS
    return Alarmed(name=name, version=version, raised=len(mine), promised=per_day * days, days=days)


def _right(one: Alert) -> bool:
    said = one.properties.get("verdict")
    return isinstance(said, Mapping) and said.get("verdict") in ("true", "planned")


def unlikely(raised: int, promised: float) -> bool:
    """Tell whether somebody who keeps to a promise hardly ever raises so many (Poisson).

    >>> unlikely(3, 0.5), unlikely(6, 0.5), unlikely(6, 4.0)
    (False, True, False)
    """
    if promised <= 0:
        return False
    below = sum(math.exp(-promised + n * math.log(promised) - math.lgamma(n + 1)) for n in range(raised))
    return 1 - below < CHANCE


def doubts(shares: Collection[Curve], middle_us: float) -> Hindsight:
    """Return the mean doubt before and after an instant: 1 less the share of the likeliest class.

    ``shares`` are the probabilities of each class of one Thing.

    >>> time, sure = np.arange(4), np.array([1.0, 0.9, 0.5, 0.7])
    >>> found = doubts([Curve(time=time, value=sure), Curve(time=time, value=1 - sure)], 2)
    >>> (found.rows, round(found.earlier, 3), round(found.later, 3))
    (2, 0.05, 0.4)
    """
    if not shares:
        return hindsight(np.zeros((0, 3)), middle_us)
    time, place = np.unique(np.concatenate([one.time for one in shares]), return_inverse=True)
    best = np.zeros(len(time))
    np.maximum.at(best, place, np.concatenate([one.value for one in shares]))
    return hindsight(np.stack([time.astype(np.float64), 1 - best, np.full(len(time), np.nan)], 1), middle_us)


def aged(life: Curve, age: Curve, clip: float) -> Floats:
    """Return each answer beside the one ``LAG`` answers later, ``[row, 3]``: time (us), error, inside or not.

    Rows that have passed in between count as ``age`` counts them; where that falls back the machine was
    replaced, and near ``clip`` nobody says how much is left.
    """
    _, mine, theirs = np.intersect1d(life.time, age.time, assume_unique=True, return_indices=True)
    left, old = life.value[mine], age.value[theirs]
    if len(left) <= LAG:
        return np.zeros((0, 3))
    passed = old[LAG:] - old[:-LAG]
    again = left[LAG:] + passed  # what it says now that it should have said then
    inside = np.full(len(again), np.nan)
    if life.low is not None and life.high is not None:
        low, high = life.low[mine][:-LAG], life.high[mine][:-LAG]
        known = np.isfinite(low) & np.isfinite(high)
        inside[known] = ((again >= low) & (again <= high))[known]
    good = (passed > 0) & (left[:-LAG] < clip * 0.95) & (again < clip * 0.95)
    return np.stack([life.time[mine][:-LAG].astype(np.float64), again - left[:-LAG], inside], 1)[good]
