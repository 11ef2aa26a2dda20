"""The report on detection as data: what ``detection.json`` holds, and all that the page is written from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from nervure.bench.forecast.document import Failure, Line, Machine

__all__ = [
    "About", "Document", "Panel", "Picture", "Ranked", "Span", "Trace", "Verdict", "meets", "read", "sense",
]  # fmt: skip

Sense = Literal["less", "more", ""]
Bounds = tuple[tuple[Literal["<=", ">="], float], ...]

_LESS = re.compile(
    r"RMSE|PHM08|cost|false alarm|\bFAR\b|\bMAR\b|over bound|raw - decoded|\bdelay\b|claimed again"
    r"|error|failures|wasted|kB|beside extrapolation|width|minutes into"
)
_NEITHER = re.compile(r"coverage|renewals|expected over seen|^least$|^most$")


def sense(metric: str) -> Sense:
    """Return whether less or more of a metric is better; empty where neither is, as of coverage.

    >>> sense("RMSE clipped"), sense("F1"), sense("coverage")
    ('less', 'more', '')
    """
    if _NEITHER.search(metric):
        return ""
    return "less" if _LESS.search(metric) else "more"


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a panel, ``[point]``; ``role`` says how it is drawn, ``high`` makes it a band from ``y``."""

    name: str
    role: Literal["baseline", "deep", "truth", "limit", "other", "band"]
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    high: tuple[float | None, ...] = ()


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a panel that something happened in."""

    start: float
    stop: float
    name: str = ""


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a picture: lines and what happened, or bars, or a table of counts ``[true][told]``."""

    title: str
    kind: Literal["roc", "line", "bar", "grid"] = "line"
    traces: tuple[Trace, ...] = ()
    spans: tuple[Span, ...] = ()
    labels: tuple[str, ...] = ()
    bars: tuple[float, ...] = ()
    grid: tuple[tuple[int, ...], ...] = ()


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn of a set under one name: ``roc``, ``timeline``, ``life``, ``attribution``, ..."""

    set: str
    name: str
    words: str
    panels: tuple[Panel, ...]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a set asks, in the words of its contest; ``said`` is what its numbers show, ``notes`` by model."""

    set: str
    family: str
    title: str
    question: str
    protocol: str
    metrics: tuple[str, ...]
    goals: tuple[tuple[str, Literal["<=", ">="], float], ...] = ()
    said: str = ""
    notes: tuple[tuple[str, str], ...] = ()

    @property
    def bounds(self) -> dict[str, Bounds]:
        """The goals by metric: of one that has to lie between two bounds, both."""
        found: dict[str, Bounds] = {}
        for metric, sign, bound in self.goals:
            found[metric] = (*found.get(metric, ()), (sign, bound))
        return found

    @property
    def lead(self) -> str:
        """The metric that models are compared by: that of the first goal, else the first of the table."""
        return self.goals[0][0] if self.goals else self.metrics[0]

    @property
    def sense(self) -> Sense:
        """Whether less or more of the lead metric is better; empty where it has to lie between bounds."""
        if self.goals and sense(self.lead):
            return "less" if self.goals[0][1] == "<=" else "more"
        return sense(self.lead) if not self.goals else ""


class Verdict(NamedTuple):
    """A goal of a set: all bounds of one metric, the model held against it, and one that meets it instead."""

    metric: str
    bounds: Bounds
    model: str
    value: float | None
    other: str = ""
    other_value: float | None = None

    @property
    def state(self) -> str:
        """``met``, ``missed``, ``met by another`` or ``not measured``."""
        if self.value is None:
            return "not measured"
        met = all(meets(self.value, sign, bound) for sign, bound in self.bounds)
        return "met" if met else "met by another" if self.other else "missed"


def meets(value: float, sign: str, bound: float) -> bool:
    """Return whether a value is on the right side of a bound.

    >>> meets(0.9, ">=", 0.9), meets(0.9, "<=", 0.8)
    (True, False)
    """
    return value >= bound if sign == ">=" else value <= bound


class Ranked(NamedTuple):
    """A model, its value of the lead metric, the deviation over seeds (None for one seed), the seeds."""

    model: str
    value: float
    deviation: float | None
    seeds: int


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report; ``metric + "_sd"`` is the deviation over seeds."""

    made: str
    machine: Machine
    full: bool
    sets: tuple[About, ...]
    rows: tuple[Line, ...]
    pictures: tuple[Picture, ...] = ()
    failures: tuple[Failure, ...] = ()

    def value(self, name: str, model: str, metric: str) -> float | None:
        """Return one number, or None where it was not measured."""
        for row in self.rows:
            if (row.set, row.model, row.metric) == (name, model, metric):
                return row.value
        return None

    def row(self, name: str, model: str) -> Line:
        """Return some row of a model on a set: what it cost stands in each."""
        return next(one for one in self.rows if (one.set, one.model) == (name, model))

    def models(self, name: str, *kinds: str) -> tuple[str, ...]:
        """Return the models of a set, of some kinds or of all, in the order of its rows."""
        found = [row.model for row in self.rows if row.set == name and (not kinds or row.kind in kinds)]
        return tuple(dict.fromkeys(found))

    def ranked(self, about: About, *kinds: str) -> tuple[Ranked, ...]:
        """Return the models of some kinds that have the lead metric, the best first.

        Where models are even, or neither less nor more of it is better, those that meet most goals come
        first.
        """
        found = []
        for model in self.models(about.set, *kinds):
            value = self.value(about.set, model, about.lead)
            if value is not None:
                row = self.row(about.set, model)
                found.append(
                    Ranked(model, value, self.value(about.set, model, f"{about.lead}_sd"), row.seeds)
                )
        sign = {"less": 1, "more": -1, "": 0}[about.sense]
        return tuple(sorted(found, key=lambda one: (sign * one.value, -self.reached(about, one.model))))

    def reached(self, about: About, model: str) -> int:
        """Return how many of a set's goals a model meets; all bounds of a metric are one goal."""
        values = {metric: self.value(about.set, model, metric) for metric in about.bounds}
        return sum(_within(values[metric], bounds) for metric, bounds in about.bounds.items())

    def best(self, about: About, *kinds: str) -> str:
        """Return the model that meets most of a set's goals, of those the best by the lead metric."""
        ranked = self.ranked(about, *kinds)
        if not ranked:
            return ""
        return max(enumerate(ranked), key=lambda at: (self.reached(about, at[1].model), -at[0]))[1].model

    def verdicts(self, about: About) -> tuple[Verdict, ...]:
        """Hold one model against all goals of a set: that which meets most of them, peers left out."""
        chosen = self.best(about, "baseline", "deep")
        models = self.models(about.set, "baseline", "deep")
        found = []
        for metric, bounds in about.bounds.items():
            held = {one: self.value(about.set, one, metric) for one in models}
            there = {one: own for one, own in held.items() if own is not None and _within(own, bounds)}
            pick = max if bounds[0][0] == ">=" else min
            other = "" if chosen in there or not there else pick(there, key=lambda one: there[one])
            found.append(Verdict(metric, bounds, chosen, held.get(chosen), other, there.get(other)))
        return tuple(found)


def _within(value: float | None, bounds: Bounds) -> bool:
    return value is not None and all(meets(value, sign, bound) for sign, bound in bounds)


def read(path: Path) -> Document:
    """Read a report."""
    return msgspec.json.decode(path.read_bytes(), type=Document)
