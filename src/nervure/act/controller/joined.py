"""Controllers as a running node offers their loops: from what capabilities say of themselves, made ready.

Signals and rooms say all that is needed in the properties of their TaskingCapability (``junction``,
``room``), so any field that says so can be joined. Controllers that know a network's model come from whoever
has that model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from nervure.act.controller.api import Controller
from nervure.act.controller.burst import Burst, Event, Ways
from nervure.act.controller.climate import Ahead, Climate, Machine
from nervure.act.controller.fixed import FixedPlan
from nervure.act.controller.foretold import Foretold
from nervure.act.controller.greedy import GreedyQueue
from nervure.act.controller.pressure import MaxPressure
from nervure.act.controller.shield import Shield
from nervure.act.controller.thermostat import LearnedStart, Schedule
from nervure.act.controller.webster import Webster
from nervure.core.error import UsageError
from nervure.core.junction import Junction
from nervure.core.room import Room

__all__ = ["ROOMS", "SIGNALS", "Isolation", "Rooms", "Yesterday", "rooms", "signals", "week_hour"]

_LEAST_C, _MOST_C = 0.0, 45.0
_IDLE_KW = 0.01
_MONDAY_H = 96.0  # hours from 1970 to its first Monday
SIGNALS: Mapping[str, Callable[[Sequence[Junction]], Controller]] = {
    "fixed": FixedPlan, "webster": Webster, "greedy": GreedyQueue, "max-pressure": MaxPressure,
}  # fmt: skip
"""Rules of signals by the name under which they are joined; all run behind the shield."""

ROOMS = ("schedule", "learned-start", "climate")


def signals(
    name: str,
    told: Sequence[Mapping[str, Any]],
    make: Callable[[Sequence[Junction]], Controller] | None = None,
) -> Controller:
    """Return a controller of all junctions that capabilities tell of, behind the shield.

    ``make`` is for one that is not in ``SIGNALS``. Raises UsageError where no junction is told of.
    """
    junctions = [msgspec.convert(one["junction"], Junction) for one in told if "junction" in one]
    if not junctions:
        raise UsageError(
            "no loop here is a signal", hint="run nervure twin run roads, or name another --prefix"
        )
    return Shield((make or SIGNALS[name])(junctions), junctions)


def week_hour(now_s: float) -> float:
    """Return hours since the midnight of a Monday, to the second.

    >>> week_hour(96 * 3600.0), week_hour(96.5 * 3600)
    (0.0, 0.5)
    """
    return round((now_s / 3600 - _MONDAY_H) * 3600) / 3600


class _Hourly(Protocol):
    """A controller of rooms: hours since a Monday's midnight."""

    def decide(self, hour: float, readings: Mapping[str, float]) -> dict[str, float]: ...


class Yesterday:
    """The coming day as the last one was, moved to how it is now: a forecast that needs nobody.

    >>> seen = Yesterday()
    >>> for hour in range(25):
    ...     seen.note(float(hour), 5.0 if hour < 24 else 7.0, 100.0)
    >>> seen(24.0, 2).outdoor.round(2).tolist(), seen(24.0, 2).sun.tolist()
    ([7.0, 6.84], [100.0, 100.0])
    """

    def __init__(self) -> None:
        self._hours: dict[int, tuple[float, float]] = {}

    def note(self, hour: float, outdoor: float, sun: float) -> None:
        """Take note of an hour: outdoors in Cel, sun in W/m2."""
        self._hours[int(hour)] = (outdoor, sun)
        self._hours.pop(int(hour) - 49, None)

    def __call__(self, hour: float, count: int) -> Ahead:
        """Return what is foreseen from an hour on; where nothing is known, as it is now."""
        import numpy as np

        now = self._hours.get(int(hour), (0.0, 0.0))
        before = [self._hours.get(int(hour) + at - 24, now) for at in range(count)]
        off = now[0] - before[0][0]
        fading = np.exp(-np.arange(count) / 12.0)
        outdoor = np.array([one[0] for one in before]) + off * fading
        return Ahead(outdoor, np.array([one[1] for one in before]), np.zeros(count))


class Rooms:
    """A controller of rooms on readings that have a time: hours of the week in UTC, as their comfort is.

    A temperature that no room has is not planned with: the last one that could be true stands for it.
    Whether the room may be commanded then is for its interlocks to say.
    """

    def __init__(
        self, name: str, inner: _Hourly, ahead: Yesterday | Foretold, rooms: Sequence[str], *,
        every_s: float = 300.0, rests: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.name, self.every_s = name, every_s
        self.inner = inner
        self.ahead = ahead
        self._rests = rests
        self._air = [f"{one}/temperature" for one in rooms]
        self._true: dict[str, float] = {}

    @property
    def rests(self) -> tuple[str, ...]:
        """The models that the present plan rests on."""
        return self._rests if isinstance(self.ahead, Foretold) and self.ahead.rests else ()

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        """Return setpoints; raises KeyError where a reading is missing, and nothing is asked then."""
        hour = week_hour(now_s)
        self.ahead.note(hour, seen["outdoor/temperature"], seen["outdoor/sun"])
        for name in self._air:
            if _LEAST_C <= seen[name] <= _MOST_C:
                self._true[name] = seen[name]
        return self.inner.decide(hour, {**seen, **self._true})


def rooms(
    name: str, told: Sequence[Mapping[str, Any]], *, learn_h: int = 168, rests: tuple[str, ...] = ()
) -> Rooms:  # fmt: skip
    """Return a controller of all rooms that capabilities tell of: schedule, learned-start or climate.

    With ``rests``, the names of models, climate plans with their forecasts as it is told of them
    (``ahead.tell``), else with the last day. It learns the rooms for ``learn_h`` hours, four days at least,
    before its first plan. Batteries are left to their own plan.
    Raises UsageError where no room is told of.
    """
    known = [msgspec.convert(one["room"], Room) for one in told if "room" in one]
    if not known:
        raise UsageError(
            "no loop here is a room", hint="run nervure twin run building, or name another --prefix"
        )
    names, first = [one.name for one in known], known[0]
    ahead: Yesterday | Foretold = Foretold(Yesterday()) if rests else Yesterday()
    inner: _Hourly
    if name == "schedule":
        inner = Schedule(names, first.comfort)
    elif name == "learned-start":
        inner = LearnedStart(names, first.comfort)
    else:
        machine = Machine(
            power_w=tuple(one.power_w for one in known),
            heating=first.heating.of,
            cooling=first.cooling.of,
            price=lambda hour: first.price[int(hour) % 24],
            sold=first.sold,
        )
        inner = Climate(names, first.comfort, machine, ahead, learn_h=learn_h)
    return Rooms(name, inner, ahead, names, rests=rests)


class Isolation:
    """The controller of bursts on readings that have a time; what it closed it holds closed.

    ``ways`` are what bursts do by the hour of the day, in UTC; the nearest hour counts. What pressures owe
    to the levels of tanks, which come and go without any burst, is taken off (``owes``, in m by m). A pump
    that starts or stops moves all pressures at once: what is calm is learned anew then, for 23 minutes.
    """

    name = "isolation"
    every_s = 60.0

    def __init__(
        self, burst: Burst, ways: Mapping[float, Ways], owes: Mapping[str, Mapping[str, float]] | None = None
    ) -> None:
        self._burst, self._ways, self._owes = burst, dict(ways), owes or {}
        self._set: dict[str, float] = {}
        self._begun_s: float | None = None
        self._on: frozenset[str] | None = None

    @property
    def events(self) -> Sequence[Event]:
        """What it did, by the minute since it began."""
        return self._burst.events

    @property
    def begun_s(self) -> float:
        """When its first minute was, in seconds since 1970; NaN before."""
        return float("nan") if self._begun_s is None else self._begun_s

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        """Return every valve that was ever set, as it is to be: 0 closed, 1 open."""
        if self._begun_s is None:
            self._begun_s = now_s
        on = frozenset(one for one, value in seen.items() if one.endswith("/power") and value > _IDLE_KW)
        if on != (self._on if self._on is not None else on):
            self._burst.forget()
        self._on = on
        hour = now_s / 3600 % 24
        self._burst.foretell(self._ways[min(self._ways, key=lambda one: abs((one - hour + 12) % 24 - 12))])
        self._set |= self._burst.decide(round((now_s - self._begun_s) / 60), {**seen, **self._still(seen)})
        return self._set

    def _still(self, seen: Mapping[str, float]) -> dict[str, float]:
        """Return pressures without what they owe to the levels of tanks."""
        return {
            name: seen[name] - sum(share * seen[level] for level, share in owed.items())
            for name, owed in self._owes.items()
        }
