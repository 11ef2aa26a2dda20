"""The goals of speed: what each bench's figures are held against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from nervure.bench.speed.fault.title import TITLES
from nervure.bench.speed.row import Row

__all__ = ["GATES", "GOALS", "Goal", "Held", "failed", "held"]


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """A bound on a figure: its value, or with ``over`` its ratio to that subject's."""

    bench: str
    case: str
    subject: str
    metric: str
    bound: float
    way: Literal["at least", "at most"] = "at least"
    over: str | None = None
    stretch: float | None = None

    @property
    def words(self) -> str:
        """The goal as it stands in the report."""
        times = f" times {self.over}" if self.over else ""
        return f"{self.way} {self.bound:,g}{times}"


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A goal, what was found, and whether that is enough; ``None``: it was not measured."""

    goal: Goal
    found: float | None
    met: bool | None


def _most(case: str, metric: str, bound: float) -> Goal:
    return Goal(
        bench="faults", case=TITLES[case], subject="nervure", metric=metric, bound=bound, way="at most"
    )


_UNWATCHED = ("log", "table")  # a node for each trial: its memory is not watched
_NEVER = ("lost", "doubled", "altered", "alerts missing or twice")
_FAULTS = (
    *(_most(case, metric, 0) for case in TITLES for metric in _NEVER),
    *(_most(case, "s to recover, at most", 30) for case in TITLES),
    *(_most(case, "node MB at most", 512) for case in TITLES if case not in _UNWATCHED),
    *(_most(case, "Tasks missing or twice", 0) for case in ("node", "broker", "both")),
    *(_most(case, "others' p99 to decision, times before", 2) for case in ("thousand", "flood")),
    _most("flood", "flood messages neither stored nor counted", 0),
)

GOALS: tuple[Goal, ...] = (*_FAULTS,)

GATES: tuple[Goal, ...] = ()
"""What a quick run must hold, on whatever machine: ratios to peers only, well below the goals."""


def held(rows: Iterable[Row], goals: Iterable[Goal] = GOALS) -> list[Held]:
    """Hold figures against the goals."""
    known = {(one.bench, one.case, one.subject, one.metric): one for one in rows}
    found = []
    for goal in goals:
        row = known.get((goal.bench, goal.case, goal.subject, goal.metric))
        value = None if row is None else row.ratio_to.get(goal.over) if goal.over else row.value
        found.append(Held(goal=goal, found=value, met=None if value is None else _met(goal, value)))
    return found


def _met(goal: Goal, value: float) -> bool:
    return value >= goal.bound if goal.way == "at least" else value <= goal.bound


def failed(rows: Iterable[Row]) -> list[str]:
    """Return the gates that figures of a quick run do not hold, in words."""
    found = list(rows)
    benches = {one.bench for one in found}
    return [
        f"{one.goal.case}: {one.goal.subject} has {one.found} {one.goal.metric}, not {one.goal.words}"
        for one in held(found, [gate for gate in GATES if gate.bench in benches])
        if not one.met
    ]
