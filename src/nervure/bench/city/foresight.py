"""What is foreseen in the city: models trained on what the node has stored, and how forecasts came out.

A forecast counts for an instant of the run if it was issued in the run. It is held against what was read
then, beside the two forecasts that need no model: as it is now, and as it was a day before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.city.outcome import Foresight, Lead
from nervure.bench.city.parts import Program, Yard
from nervure.bench.city.plan import Plan
from nervure.bench.city.worth import worth
from nervure.core.instant import DAY_NS, HOUR_NS, to_ns
from nervure.core.observation import Batch
from nervure.core.settings import Settings
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations

__all__ = ["WEATHER", "Learned", "foreseen", "leads", "learned", "learning"]

WEATHER = str(Path(__file__).with_name("weather.py"))
"""The solution that says what is foreseen, as a person would name a file of their own."""

LEADS_H = (1, 6, 12, 24)
_BUDGET_S = 10.0
_TRAINED_S = 240.0
Floats = NDArray[np.float64]


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """A model as ``nervure train`` told of it."""

    problem: str
    version: str
    train_s: float


def learning(yard: Yard) -> dict[str, Program]:
    """Begin to train the models of the weather on what is stored, all at once."""
    return {one.name: yard.learner(WEATHER, one.name, _BUDGET_S) for one in find(WEATHER).problems}


def learned(courses: Mapping[str, Program]) -> dict[str, Learned]:
    """Wait until models are trained and handed to the node, which scores with them from then on."""
    told = {name: one.result(_TRAINED_S) for name, one in courses.items()}
    return {
        name: Learned(problem=name, version=one["version"], train_s=one["train_s"])
        for name, one in told.items()
    }


def foreseen(plan: Plan, settings: Settings, models: dict[str, Learned]) -> tuple[Foresight, ...]:
    """Return how well was foreseen what the plan says is to be."""
    if not models:
        return ()
    solution = find(WEATHER)
    catalogue = Catalogue.open(settings.catalogue_place)
    known = catalogue.datastreams(solution=solution.name)
    catalogue.close()
    store = Observations.open(settings.folder / "observations", write=False)
    found = []
    try:
        for part in plan.parts:
            for one in (one for one in known if one.kind == "forecast" and part.foresee):
                begin_ns = to_ns(datetime.fromisoformat(part.since))
                read, told = store.series([one.source or 0]), store.series([one.id])
                model = models[f"forecast-{one.signal}"]
                costs = worth(part, told.take(told.result_time >= begin_ns), plan.seed)
                found.append(
                    Foresight(
                        twin=part.twin, what=f"{one.signal} of {part.foresee}", unit=one.unit,
                        model=f"{solution.name}-{model.problem}", version=model.version,
                        train_s=model.train_s, slots=int((read.time < begin_ns).sum()),
                        leads=leads(read, told, begin_ns, begin_ns + round(part.minutes * 60e9)),
                        cost_last_day=costs.last_day, cost_foretold=costs.foretold, cost_known=costs.known,
                    )
                )  # fmt: skip
    finally:
        store.close()
    return tuple(found)


def leads(read: Batch, told: Batch, begin_ns: int, end_ns: int) -> tuple[Lead, ...]:
    """Return the errors by hours ahead of forecasts issued in a span, about instants of it, by the hour.

    ``read`` and ``told`` are of one Datastream each. What was issued first about an instant counts so many
    hours ahead, and where a reading that a plain forecast needs is missing nobody is judged.
    """
    known = dict(zip(read.time.tolist(), read.value.tolist(), strict=True))
    inside = (told.result_time >= begin_ns) & (told.time <= end_ns)
    found = []
    for hours in LEADS_H:
        rows = np.flatnonzero(inside & (told.time // HOUR_NS - told.result_time // HOUR_NS == hours))
        lines = [
            (known[about], float(told.value[row]), known[issued], known[about - DAY_NS], *_band(told, row))
            for row in rows.tolist()
            for about, issued in [(int(told.time[row]), int(told.result_time[row]))]
            if {about, issued, about - DAY_NS} <= known.keys()
        ]
        if lines:
            found.append(_lead(hours, np.array(lines, dtype=np.float64)))
    return tuple(found)


def _band(told: Batch, row: int) -> tuple[float, float]:
    return float(told.low[row]), float(told.high[row])


def _lead(hours: int, lines: Floats) -> Lead:
    """Return the errors of lines ``[instant, (read, foretold, last, day before, low, high)]``."""
    was, foretold, last, day, low, high = lines.T
    return Lead(
        hours=hours,
        count=len(was),
        mae=float(np.abs(foretold - was).mean()),
        last_value=float(np.abs(last - was).mean()),
        last_day=float(np.abs(day - was).mean()),
        inside=float(((was >= low) & (was <= high)).mean()),
    )
