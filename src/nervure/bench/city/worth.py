"""What forecasts are worth to the house: the same days once more, planned with them and without.

Both in one process and without a platform between, so that nothing but the forecasts is different: those that
the node made in the run, as they are stored, and the last day in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from nervure.act.controller.foretold import Foretold
from nervure.act.controller.joined import Rooms, rooms, week_hour
from nervure.bench.city.history import weeks
from nervure.bench.city.plan import Part
from nervure.core.instant import SECOND_NS, to_ns
from nervure.core.observation import Batch
from nervure.twin.building import Building

__all__ = ["worth"]

_LEARN_H = 328
Told = tuple[float, float, float]


def worth(part: Part, told: Batch, seed: int) -> tuple[float, float]:
    """Return what the days of a house cost, planned with the last day and with forecasts that were made."""
    past = [(moment_s, readings) for moment_s, readings in weeks(part, seed)]
    known = [
        (week_hour(issued / SECOND_NS), week_hour(about / SECOND_NS), value)
        for issued, about, value in zip(
            told.result_time.tolist(), told.time.tolist(), told.value.tolist(), strict=True
        )
    ]
    found = []
    for rests in ((), ("forecast",)):
        control = _control(rests)
        for moment_s, readings in past:
            control.decide(readings, moment_s)
        found.append(_cost(part, control, sorted(known) if rests else [], seed))
    return found[0], found[1]


def _control(rests: tuple[str, ...]) -> Rooms:
    actuators = Building().describe().actuators
    about = [one.about for one in actuators if one.signal == "heat_setpoint"]
    return rooms("climate", about, learn_h=_LEARN_H, rests=rests)


def _cost(part: Part, control: Rooms, told: Sequence[Told], seed: int) -> float:
    """Run the days; a forecast is known from the step after the one at which it was issued."""
    twin, at = Building(), 0
    readings = twin.reset(seed=seed, scenario=part.scenario)
    begin_s, step_s = to_ns(datetime.fromisoformat(part.since)) / SECOND_NS, twin.describe().step_s
    for step in range(round(part.minutes * 60 / step_s)):
        now_h = week_hour(begin_s + step * step_s)
        while at < len(told) and told[at][0] < now_h:
            issued_h, about_h, value = told[at]
            if isinstance(control.ahead, Foretold):
                control.ahead.tell("temperature", about_h, issued_h, value)
            at += 1
        twin.apply(control.decide(readings, begin_s + step * step_s))
        readings = twin.step()
    return float(twin.kpis()["cost"])
