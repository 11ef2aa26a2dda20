"""Whether monitors keep their promise: the alarms that they raised lately beside those that they promised.

A monitor is an anomaly problem of a solution (``water-anomaly-inflow``), whose score is the error of a
forecast, or one that ``nervure watch --project`` has posted at a Thing (``monitor:pump 7``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from nervure.core.alert import MONITOR
from nervure.core.declaration import Solution
from nervure.core.instant import DAY_NS, SECOND_NS
from nervure.core.problem import Anomaly
from nervure.node.constancy import Alarmed, alarmed, newest
from nervure.store.catalogue import Catalogue
from nervure.store.model import Model

__all__ = ["DAYS", "Last", "Promises"]

DAYS = 3.5
_MOST_ALERTS = 2_000


class Last(Protocol):
    """What is asked of the store of observations."""

    def last(self, datastreams: Sequence[int], /) -> Mapping[int, tuple[int, float]]:
        """Return time and value of the newest reading of each Datastream."""
        ...


class Promises:
    """Counts alarms of the last half of a week; called from a thread."""

    def __init__(self, catalogue: Catalogue, observed: Last, solutions: Sequence[Solution]) -> None:
        self._catalogue, self._observed, self._solutions = catalogue, observed, solutions

    def names(self) -> Iterator[str]:
        """Yield what can be rested on, trained or not: problems of solutions that run here, and monitors."""
        for solution in self._solutions:
            yield from (f"{solution.name}-{problem.name}" for problem in solution.problems)
        for posted in self._catalogue.monitors():
            yield f"{MONITOR}:{self._catalogue.thing(posted.thing).name}"

    def look(self, names: Collection[str], champions: Collection[Model]) -> Iterator[Alarmed]:
        """Yield how the monitors of these names do; ``champions`` are the models that score now."""
        for solution in self._solutions:
            for problem in solution.problems:
                if isinstance(problem, Anomaly) and f"{solution.name}-{problem.name}" in names:
                    yield from self._of_problem(solution, problem, champions)
        if any(one.startswith(f"{MONITOR}:") for one in names):
            yield from self._posted(names)

    def _of_problem(
        self, solution: Solution, problem: Anomaly, champions: Collection[Model]
    ) -> Iterator[Alarmed]:
        known = self._catalogue.datastreams(solution=solution.name)
        span = self._span([one.id for one in known if one.kind == "reading" and one.signal in problem.of])
        if span is None:
            return
        found = self._catalogue.alerts(solution=solution.name, limit=_MOST_ALERTS)
        for one in champions:  # the score is the error of its forecasts
            if one.solution == solution.name and one.card.problem.name == problem.residual:
                mine = [alert for alert in found if alert.model == f"{one.name} {one.version}"]
                name, per_day = f"{solution.name}-{problem.name}", problem.policy.alarms_per_day
                rules = {alert.rule for alert in mine} or {""}  # several of one score tell of the same
                by_rule = [[alert for alert in mine if alert.rule == rule] for rule in rules]
                each = [alarmed(some, name, one.version, per_day, span) for some in by_rule]
                yield max(each, key=lambda said: said.raised)

    def _posted(self, names: Collection[str]) -> Iterator[Alarmed]:
        found = self._catalogue.alerts(solution=MONITOR, limit=_MOST_ALERTS)
        for posted in self._catalogue.monitors():
            name = f"{MONITOR}:{self._catalogue.thing(posted.thing).name}"
            span = self._span(posted.streams) if name in names else None
            if span is not None:
                mine = [one for one in found if one.thing == posted.thing]
                yield alarmed(mine, name, posted.version, float(posted.about.get("promised", 0.0)), span)

    def _span(self, datastreams: Sequence[int]) -> tuple[int, int] | None:
        last = newest(self._observed.last(datastreams))
        return (round(last - DAYS * DAY_NS), last + SECOND_NS) if last else None
