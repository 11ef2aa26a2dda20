"""The twin of roads with a controller in front of it: its junctions, and one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import msgspec

from nervure.act.controller.api import Controller
from nervure.core.junction import Junction
from nervure.twin.fault import Faults
from nervure.twin.roads import Roads

__all__ = ["drive", "junctions_of"]


def junctions_of(twin: Roads) -> tuple[Junction, ...]:
    """Return the junctions of a twin, from what it tells of its actuators."""
    return tuple(msgspec.convert(one.about["junction"], Junction) for one in twin.describe().actuators)


def drive(
    twin: Roads,
    make: Callable[[tuple[Junction, ...]], Controller] | None,
    *,
    seed: int,
    scenario: Mapping[str, float],
    faults: Faults | None = None,
    steps: int = 0,
) -> tuple[Mapping[str, float], Controller | None, float]:
    """Run once; returns the key figures, the controller, and the mean milliseconds of a decision.

    What a controller leaves out goes back to the twin's own plan. Without a controller all is left to it.
    """
    step_s = twin.describe().step_s
    controller = make(junctions_of(twin)) if make is not None else None
    commands = {one.name for one in twin.describe().actuators}
    readings = twin.reset(seed=seed, scenario=scenario)
    count, spent = steps or int(twin.span_s / step_s), 0.0
    for step in range(count):
        if controller is not None:
            seen = readings if faults is None else faults.through(readings, step * step_s)
            begun = time.perf_counter()
            wish = controller.decide(seen, step * step_s)
            spent += time.perf_counter() - begun
            twin.apply(wish)
            if left := commands - set(wish):
                twin.release(tuple(sorted(left)))
        readings = twin.step()
    return twin.kpis(), controller, spent / count * 1e3
