"""The controllers that a what-if may put in front of a twin, and how the twin is opened for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nervure.core.error import UsageError
from nervure.twin.api import Twin

__all__ = ["CONTROLLERS", "Decide", "known", "opened"]

Decide = Callable[[Mapping[str, float], float], Mapping[str, float]]
"""Takes readings and seconds since the start, returns commands."""

CONTROLLERS: Mapping[str, tuple[str, ...]] = {
    "roads": ("fixed", "actuated", "Webster", "greedy queue", "max-pressure"),
    "building": ("schedule", "learned start"),
}
"""Which there are for which twin; the first two of roads are plans of its own."""

_EVERY_S = {"Webster": 5.0}


def known(twin: str, controller: str) -> None:
    """Raise UsageError for a controller that this twin has not."""
    there = CONTROLLERS.get(twin, ())
    if controller and controller not in there:
        raise UsageError(
            f"there is no controller {controller!r} for {twin}",
            hint=f"there are {', '.join(there)}" if there else "command its actuators: [do.commands]",
        )


def opened(twin: str, net: str, controller: str) -> tuple[Twin, Callable[[float], Decide | None]]:
    """Open a twin for a controller; returns it, and what makes the controller of a run.

    That is told on which day of the year the run begins.
    """
    from nervure.twin.find import open_twin

    known(twin, controller)
    options: dict[str, Any] = {"net": net} if net else {}
    if twin == "roads":
        options |= {"plan": controller if controller in ("fixed", "actuated") else "fixed"}
        options |= {"step_s": _EVERY_S.get(controller, 10.0)}
    found = open_twin(twin, **options)
    if twin == "roads" and controller not in ("", "fixed", "actuated"):
        return found, lambda _: _signals(found, controller)
    if twin == "building" and controller:
        return found, lambda day: _thermostats(controller, day)
    return found, lambda _: None


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


def _thermostats(name: str, day: float) -> Decide:
    from nervure.act.controller.thermostat import LearnedStart, Schedule
    from nervure.core.comfort import HOME
    from nervure.twin.house import ZONES

    zones = tuple(one.name for one in ZONES)
    made = Schedule(zones, HOME) if name == "schedule" else LearnedStart(zones, HOME)
    return lambda readings, now_s: made.decide(24 * day + now_s / 3600, readings)
