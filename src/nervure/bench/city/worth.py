"""What forecasts are worth to the house: the same days once more, planned with them and without.

Both in one process and without a platform between, so that nothing but the forecasts is different: those that
the node made in the run, as they are stored, and the last day in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from nervure.act.controller.foretold import WHAT, Foretold, What
from nervure.act.controller.joined import Rooms, rooms, week_hour
from nervure.bench.city.history import weeks
from nervure.bench.city.plan import Part
from nervure.core.instant import SECOND_NS, to_ns
from nervure.core.observation import Batch
from nervure.twin.building import Building

__all__ = ["Worth", "worth"]

_LEARN_H = 328
_AHEAD_H = 24
Told = tuple[float, float, What, float]


class Worth(NamedTuple):
    """What the days cost, planned with the last day, with the forecasts of a run, and knowing what comes."""

    last_day: float
    foretold: float
    known: float


def worth(part: Part, told: Batch, seed: int) -> Worth:
    """Return what the days of a house cost with forecasts of temperature that were made, and without."""
    past = list(weeks(part, seed))
    made: list[Told] = [
        (week_hour(issued / SECOND_NS), week_hour(about / SECOND_NS), "temperature", value)
        for issued, about, value in zip(
            told.result_time.tolist(), told.time.tolist(), told.value.tolist(), strict=True
        )
    ]
    costs = []
    for rests, known in (((), []), (("forecast",), made), (("forecast",), _known(part))):
        control = _control(rests)
        for moment_s, readings in past:
            control.decide(readings, moment_s)
        costs.append(_cost(part, control, sorted(known), seed))
    return Worth(*costs)


def _known(part: Part) -> list[Told]:
    """Return the weather of the days as somebody would tell it every hour who knew it."""
    hours = round(part.minutes / 60)
    begin_h = week_hour(to_ns(datetime.fromisoformat(part.since)) / SECOND_NS)
    read = Building().weather(part.scenario.get("start_day", 0.0), hours + _AHEAD_H)
    return [
        (begin_h + issued, begin_h + issued + ahead, what, float(values[issued + ahead]))
        for issued in range(-1, hours)
        for ahead in range(1, _AHEAD_H + 1)
        for what, values in zip(WHAT, read, strict=True)
    ]


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
            issued_h, about_h, what, value = told[at]
            if isinstance(control.ahead, Foretold):
                control.ahead.tell(what, about_h, issued_h, value)
            at += 1
        twin.apply(control.decide(readings, begin_s + step * step_s))
        readings = twin.step()
    return float(twin.kpis()["cost"])
