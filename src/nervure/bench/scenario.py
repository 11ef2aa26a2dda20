"""Declared, labelled injections into a replay of real readings: a burst, and a meter that lies.

Real district data come without labelled bursts, so the demo adds one and says so everywhere.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import UsageError
from nervure.core.instant import DAY_NS, HOUR_NS

__all__ = ["Burst", "Scenario", "Stuck", "plan"]

LEAST_DAYS = 4


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """Extra inflow in one district: a pipe has burst, and is repaired later."""

    thing: str
    start_ns: int
    end_ns: int
    extra: float


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """A meter that repeats one value."""

    thing: str
    start_ns: int
    end_ns: int


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What is injected into a replay, and nothing else is changed."""

    burst: Burst
    stuck: Stuck

    def apply(self, thing: str, time: NDArray[np.int64], value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what this Thing's device sends: ``value [time]`` with the injections in it."""
        sent = value.copy()
        if thing == self.burst.thing:
            sent[(time >= self.burst.start_ns) & (time < self.burst.end_ns)] += self.burst.extra
        if thing == self.stuck.thing:
            held = (time >= self.stuck.start_ns) & (time < self.stuck.end_ns)
            before = value[time < self.stuck.start_ns]
            seen = before[np.isfinite(before)]
            sent[held] = seen[-1] if len(seen) else 0.0
        return sent

    def touched(self, thing: str) -> tuple[int, int] | None:
        """Return the span in which this Thing's readings, or a forecast from them, are not the real ones.

        A model looks back one week, so the span ends a week after the injection.
        """
        for part in (self.burst, self.stuck):
            if part.thing == thing:
                return part.start_ns, part.end_ns + 7 * DAY_NS
        return None


def plan(
    things: list[str],
    mean: NDArray[np.float64],
    start_ns: int,
    *,
    days: int = 28,
    share: float = 0.3,
    seed: int = 0,
) -> Scenario:
    """Draw a scenario for a replay from ``start_ns``: which district bursts and which meter sticks.

    ``mean [thing]`` is each district's mean inflow; the burst adds ``share`` of it, from 01:00 UTC
    after a third of the ``days`` for 36 h; the meter sticks from 09:00 after four sevenths of them
    for 30 h. Fewer than four days have no room for both.
    """
    if days < LEAST_DAYS:
        raise UsageError(
            f"{days} days are too few for a burst and a stuck meter", hint=f"replay at least {LEAST_DAYS}"
        )
    chance = np.random.default_rng(seed)
    burst, stuck = (int(one) for one in chance.choice(len(things), size=2, replace=False))
    day = start_ns // DAY_NS * DAY_NS
    begin = day + days // 3 * DAY_NS + HOUR_NS
    hold = day + days * 4 // 7 * DAY_NS + 9 * HOUR_NS
    return Scenario(
        burst=Burst(
            thing=things[burst],
            start_ns=begin,
            end_ns=begin + 36 * HOUR_NS,
            extra=round(share * float(mean[burst]), 2),
        ),
        stuck=Stuck(thing=things[stuck], start_ns=hold, end_ns=hold + 30 * HOUR_NS),
    )
