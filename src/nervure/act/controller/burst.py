"""A burst is seen, placed, and shut in: what is done in the minutes before a crew could be called.

Pressures of the last minutes are set beside those before; a burst moves them along a way that a model of
the network foretells for every place (the sensitivity of Perez et al., Control Engineering Practice 19(10),
2011). When it is shut in, the inflow has to fall; where it does not, the valves are opened again and the next
likely place is tried. Leaks that grow over days are for ``nervure.learn.detect.leak``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.act.controller.isolation import Closure, Segments, isolate
from nervure.core.error import DataError

__all__ = ["Burst", "Event", "Ways"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
_BEFORE, _CALM = 8, 20  # minutes that are set beside, and that noise is learned from at least
_WRONG = 0.15  # by how much of itself a foretold way may be off


class Ways(NamedTuple):
    """What a burst does at each place: ``move [place, sensor]`` in m, its flow ``loss [place]`` in m3/h.

    ``link [place]`` says which link a place is on, ``segment [sensor]`` where each pressure is read.
    """

    move: Floats
    loss: Floats
    link: Longs
    segment: Longs


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What the controller did at a minute: ``seen``, ``closed``, ``held``, ``opened`` or ``given up``."""

    minute: int
    what: str
    valves: tuple[int, ...] = ()
    chance: float = 0.0
    flow_m3h: float = 0.0


class _Case(msgspec.Struct):
    """A burst that is being dealt with."""

    base: Floats
    change: Floats
    noise: Floats
    inflow: float
    loss: float
    chance: Floats
    closure: Closure | None = None
    since: int = 0
    tries: int = 0


class Burst:
    """Watch pressures by the minute, and close at most ``most`` valves where a burst must be.

    ``sensors`` are readings of pressure, ``inflow`` of flows that feed the network, ``outflow`` of those
    that leave it for a tank. ``limit`` is in standard deviations of the best way's strength, which calm
    minutes hardly ever reach twice running. Where pressures drift together (``drifts``), as with a tank's
    level or the demand of an evening, it is set beside how strong the best way has usually been.
    """

    def __init__(
        self,
        ways: Ways,
        cut: Segments,
        demand: Floats,
        sources: Longs,
        *,
        sensors: Sequence[str],
        inflow: Sequence[str],
        outflow: Sequence[str] = (),
        valve: Callable[[int], str],
        most: int = 4,
        tries: int = 5,
        limit: float = 7.0,
        drifts: bool = False,
    ) -> None:
        self._ways, self._cut, self._demand, self._sources = ways, cut, demand, sources
        self._sensors, self._valve = tuple(sensors), valve
        self._flow = dict.fromkeys(inflow, 1.0) | dict.fromkeys(outflow, -1.0)
        self._most, self._tries, self._limit, self._drifts = most, tries, limit, drifts
        self._seen: list[Floats] = []
        self._flows: list[float] = []
        self._over = 0
        self._least: Floats = np.zeros(len(self._sensors))
        self._case: _Case | None = None
        self._over_and_out = False
        self.events: list[Event] = []

    def foretell(self, ways: Ways) -> None:
        """Take what bursts do at another hour: places, sensors and segments stay the same."""
        self._ways = ways

    def forget(self) -> None:
        """Begin to learn anew what is calm, unless a burst is being dealt with: something was switched."""
        if self._case is not None:
            return
        if len(self._seen) >= _CALM + 3:  # how much pressures scatter then is known
            self._least = np.maximum(self._least, self._noise(np.array(self._seen[:-2])))
        self._seen, self._flows, self._over = [], [], 0

    def decide(self, minute: int, readings: Mapping[str, float]) -> dict[str, float]:
        """Return the valves to set at a minute: 0 closes, 1 opens."""
        now = np.array([readings[one] for one in self._sensors])
        flow = float(sum(sign * readings[one] for one, sign in self._flow.items()))
        if np.isnan(now).any() or np.isnan(flow):
            return {}  # nothing is decided on what was not read
        self._seen.append(now)
        self._flows.append(flow)
        if self._over_and_out:
            return {}
        if self._case is None:
            return self._watch(minute)
        return self._follow(minute, self._case, flow)

    def _watch(self, minute: int) -> dict[str, float]:
        """Look for a burst; two minutes running over the limit are one."""
        if len(self._seen) < _CALM + 3:
            return {}
        past = np.array(self._seen[:-2])
        base = past[-_BEFORE:].mean(axis=0)
        change, noise = self._seen[-1] - base, np.maximum(self._noise(past), self._least)
        strength, _ = self._match(change, noise)
        limit = self._limit * (self._usual(past, noise) if self._drifts else 1.0)
        self._over = self._over + 1 if strength.max() > limit else 0
        if self._over < 2:
            return {}
        calm = float(np.mean(self._flows[-2 - _BEFORE : -2]))
        recent = np.array(self._seen[-2:]).mean(axis=0) - base
        chance, loss = self._placed(recent, noise / np.sqrt(2))
        self._case = _Case(base=base, change=recent, noise=noise, inflow=calm, loss=loss, chance=chance)
        self.events.append(Event(minute=minute, what="seen", flow_m3h=loss))
        return self._close(minute, self._case)

    def _noise(self, past: Floats) -> Floats:
        """Return how much pressures scatter in such a comparison without a burst, ``[sensor]`` in m."""
        scatter: Floats = np.maximum(_changes(past).std(axis=0), 0.01)
        return scatter

    def _usual(self, past: Floats, noise: Floats) -> float:
        """Return how strong the best way has been in such comparisons, one at least (root mean square)."""
        way = self._ways.move / noise
        strength = (_changes(past) / noise) @ way.T / np.maximum(np.sqrt((way**2).sum(axis=1)), 1e-9)
        return max(1.0, float(np.sqrt((strength.max(axis=1) ** 2).mean())))

    def _match(self, change: Floats, noise: Floats) -> tuple[Floats, Floats]:
        """Return each place's strength in standard deviations, and the share of its burst, ``[place]``."""
        way = self._ways.move / noise
        size = np.maximum(np.sqrt((way**2).sum(axis=1)), 1e-9)
        strength = way @ (change / noise) / size
        return strength, strength / size

    def _placed(self, change: Floats, noise: Floats) -> tuple[Floats, float]:
        """Return the chance of each segment, ``[segment]``, and how much is lost in m3/h."""
        blur = np.sqrt(noise**2 + (_WRONG * change) ** 2 + (0.02 * np.abs(change).max()) ** 2)
        strength, share = self._match(change, blur)
        wrong = ((change / blur) ** 2).sum() - np.maximum(strength, 0.0) ** 2
        likely = np.exp(-0.5 * (wrong - wrong.min()))
        place = self._cut.of_link[self._ways.link]
        found = np.bincount(place, likely, minlength=self._cut.total)
        loss = float((likely * np.maximum(share, 0.0) * self._ways.loss).sum() / likely.sum())
        return found / found.sum(), loss

    def _close(self, minute: int, case: _Case) -> dict[str, float]:
        """Close around what is most likely now, or give up."""
        closure = None
        if case.tries < self._tries and case.chance.max() > 0:
            with suppress(DataError):  # no closure of so few valves holds what is left
                closure = isolate(self._cut, case.chance, self._demand, self._sources, most=self._most)
        if closure is None:
            self._over_and_out = True
            self.events.append(Event(minute=minute, what="given up"))
            return {}
        case.closure, case.since, case.tries = closure, minute, case.tries + 1
        self.events.append(Event(minute=minute, what="closed", valves=closure.valves, chance=closure.chance))
        return {self._valve(at): 0.0 for at in closure.valves}

    def _follow(self, minute: int, case: _Case, flow: float) -> dict[str, float]:
        """Look whether what was closed held; if not, open it and close the next."""
        closure = case.closure
        if closure is None or minute - case.since < 2:
            return {}
        served = closure.cut_off * float(self._demand.sum())  # who is cut off draws nothing either
        left = float(np.mean(self._flows[-2:])) - (case.inflow - served)
        if left < 0.5 * case.loss and self._back(case, closure):
            self._over_and_out = True
            self.events.append(Event(minute=minute, what="held", valves=closure.valves, flow_m3h=left))
            return {}
        self.events.append(Event(minute=minute, what="opened", valves=closure.valves, flow_m3h=left))
        case.chance = case.chance.copy()
        case.chance[list(closure.inside)] = 0.0
        if case.chance.sum() > 0:
            case.chance /= case.chance.sum()
        opened = {self._valve(at): 1.0 for at in closure.valves}
        return opened | self._close(minute, case)

    def _back(self, case: _Case, closure: Closure) -> bool:
        """Return whether pressures are back, by half of how they had moved, where there still is water."""
        wet = ~np.isin(self._ways.segment, list(closure.inside))
        then = (case.change / case.noise)[wet]
        now = ((np.array(self._seen[-2:]).mean(axis=0) - case.base) / case.noise)[wet]
        if float((then**2).sum()) < self._limit**2:
            return True  # all that the burst moved is behind the valves: the inflow alone has to tell
        return float(now @ then) < 0.5 * float(then @ then)


def _changes(past: Floats) -> Floats:
    """Return by how much each minute differed from those before it, ``[minute, sensor]`` in m."""
    width = len(past) - _BEFORE - 1
    means = np.array([past[at : at + _BEFORE].mean(axis=0) for at in range(width)])
    changes: Floats = past[_BEFORE + 1 : _BEFORE + 1 + width] - means
    return changes
