"""The controllers that a what-if may put in front of a twin, and how the twin is opened for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nervure.core.error import UsageError
from nervure.twin.api import Twin

if TYPE_CHECKING:
    from nervure.bench.twin.water import Yard

__all__ = ["CONTROLLERS", "Decide", "known", "opened"]

Decide = Callable[[Mapping[str, float], float], Mapping[str, float]]
"""Takes readings and seconds since the start, returns commands."""

CONTROLLERS: Mapping[str, tuple[str, ...]] = {
    "roads": ("fixed", "actuated", "Webster", "greedy queue", "max-pressure"),
    "building": ("schedule", "learned start"),
    "pipes": ("isolation",),
}
"""Which there are for which twin; the first two of roads are plans of its own."""

_EVERY_S = {"Webster": 5.0}
_HOUR = 10.0  # when a network's twin begins, where nothing else is said
_APART_H = 3.0


def known(twin: str, controller: str) -> None:
    """Raise UsageError for a controller that this twin has not."""
    there = CONTROLLERS.get(twin, ())
    if controller and controller not in there:
        raise UsageError(
            f"there is no controller {controller!r} for {twin}",
            hint=f"there are {', '.join(there)}" if there else "command its actuators: [do.commands]",
        )


def opened(
    twin: str, net: str, controller: str, *, minutes: float = 60.0
) -> tuple[Twin, Callable[[Mapping[str, float]], Decide | None]]:
    """Open a twin for a controller; returns it, and what makes the controller of a run.

    That is told the circumstances in which the run begins. A run takes so many ``minutes``.
    """
    from nervure.twin.find import open_twin

    known(twin, controller)
    options: dict[str, Any] = {"net": net} if net else {}
    if twin == "roads":
        options |= {"plan": controller if controller in ("fixed", "actuated") else "fixed"}
        options |= {"step_s": _EVERY_S.get(controller, 10.0)}
    found = _street(options) if twin == "roads" else open_twin(twin, **options)
    if twin == "roads" and controller not in ("", "fixed", "actuated"):
        return found, lambda _: _signals(found, controller)
    if twin == "building" and controller:
        return found, lambda scenario: _thermostats(controller, scenario.get("start_day", 0.0))
    if twin == "pipes" and controller:
        return found, lambda scenario: _isolation(found, scenario.get("hour", _HOUR), minutes)
    return found, lambda _: None


def _street(options: Mapping[str, Any]) -> Twin:
    from nervure.twin.drivers import OtherDrivers

    return OtherDrivers(**options)


def _signals(twin: Twin, name: str) -> Decide:
    import msgspec

    from nervure.act.controller.api import Controller
    from nervure.act.controller.greedy import GreedyQueue
    from nervure.act.controller.pressure import MaxPressure
    from nervure.act.controller.shield import Shield
    from nervure.act.controller.webster import Webster
    from nervure.core.junction import Junction

    there = tuple(msgspec.convert(one.about["junction"], Junction) for one in twin.describe().actuators)
    rules: dict[str, Callable[[tuple[Junction, ...]], Controller]] = {
        "Webster": Webster, "greedy queue": GreedyQueue, "max-pressure": MaxPressure,
    }  # fmt: skip
    return Shield(rules[name](there), there).decide


def _isolation(twin: Twin, hour: float, minutes: float) -> Decide:
    """Return the search for valves, which knows what bursts do in this network at hours of the run."""
    from nervure.act.controller.joined import Isolation
    from nervure.twin.pipes import Pipes

    if not isinstance(twin, Pipes):
        raise UsageError("valves are searched for in a network of pipes", hint='twin = "pipes"')
    hours = tuple((hour + _APART_H * one) % 24 for one in range(min(8, 1 + round(minutes / 60 / _APART_H))))
    yard = _yard(twin.path, hours)
    made = Isolation(yard.control(twin, hour), yard.ways, yard.owes)
    return lambda readings, now_s: made.decide(readings, now_s + 3600 * hour)


@cache
def _yard(path: Path, hours: tuple[float, ...]) -> Yard:
    from nervure.bench.twin.water import own

    return own(path, hours)


def _thermostats(name: str, day: float) -> Decide:
    from nervure.act.controller.thermostat import LearnedStart, Schedule
    from nervure.core.comfort import HOME
    from nervure.twin.house import ZONES

    zones = tuple(one.name for one in ZONES)
    made = Schedule(zones, HOME) if name == "schedule" else LearnedStart(zones, HOME)
    return lambda readings, now_s: made.decide(24 * day + now_s / 3600, readings)
