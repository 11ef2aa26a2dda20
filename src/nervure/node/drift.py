"""Drift of the models that loops rest on: whether they still are what they were.

A loop rests on what its declaration names (``rests``), on the ``model`` of its Tasks, and on what those say
they rest on; names are those of models in the catalogue (``water-forecast-inflow``), of anomaly problems
(``water-anomaly-inflow``), or of the monitor of a Thing (``monitor:pump 7``). Every forecast of the
last week is held against what was read. A model drifts when the error of the later half is so many times
that of the earlier one, or its interval holds so much less than it promised. Monitors, classes and remaining
lives are held against their own promises and answers (:mod:`nervure.node.constancy`), learned controllers
against what they were taught on (:mod:`nervure.node.strayed`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.answer import ANSWER, answers
from nervure.core.declaration import Solution
from nervure.core.entity import Datastream
from nervure.core.instant import DAY_NS, SECOND_NS
from nervure.core.interlock import Promotion
from nervure.core.problem import Classify, Forecast, RemainingLife
from nervure.node.constancy import Alarmed, Unsure, aged, doubts, newest, unlikely
from nervure.node.promised import Promises
from nervure.node.strayed import LEAST, Strayed, strayed
from nervure.store.catalogue import Catalogue
from nervure.store.curve import Curve
from nervure.store.hindsight import Hindsight, held, hindsight
from nervure.store.model import Model

__all__ = ["LEAST_ROWS", "Drifts", "Found", "Observed", "Told", "drifting"]

DAYS = 7.0
LEAST_ROWS = 50
"""With fewer forecasts in a half nobody is accused."""

_MOST_ROWS = 2_000_000
_SHOWN = 20

Floats = NDArray[np.float64]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How the forecasts of a model came true."""

    name: str
    version: str
    found: Hindsight
    promised: float | None


Found = Told | Alarmed | Unsure | Strayed
"""How a model does: what it foretold, how many alarms it raised, how sure it is, how strange its world."""


class Observed(Protocol):
    """What is asked of the store of observations."""

    def last(self, datastreams: Sequence[int], /) -> Mapping[int, tuple[int, float]]:
        """Return time and value of the newest reading of each Datastream."""
        ...

    def curves(self, ids: Sequence[int], start_ns: int, end_ns: int, /) -> dict[int, Curve]:
        """Return the curves of some Datastreams in a span of time."""
        ...

    def about(self, ids: Sequence[int], start_ns: int, end_ns: int, /) -> float:
        """Return about how many rows these have."""
        ...


class Drifts:
    """Holds forecasts against readings; called from a thread."""

    def __init__(self, catalogue: Catalogue, observed: Observed, solutions: Sequence[Solution] = ()) -> None:
        self._catalogue, self._observed = catalogue, observed
        self._promises = Promises(catalogue, observed, solutions)
        self._champions: set[str] = set()

    def look(self, names: Collection[str]) -> dict[str, Found]:
        """Return how the models of these names do that score now, as far as that can be said."""
        if not names:
            return {}
        champions = [one for one in self._catalogue.models() if one.promoted]
        self._champions = {f"{one.name} {one.version}" for one in champions}
        found: dict[str, Found] = {one.name: one for one in self._promises.look(names, champions)}
        for one in champions:
            said = self._one(one) if one.name in names else None
            if said is not None:
                found[one.name] = said
        return found

    def unknown(self, names: Collection[str]) -> dict[str, str]:
        """Return which of these names nothing has here, whether it scores or not, and what there is."""
        if not names:
            return {}
        there = sorted({*self._promises.names(), *(one.name for one in self._catalogue.models())})
        some = {one: get_close_matches(one, there, 1) for one in set(names).difference(there)}
        every = f"There are: {', '.join(there[:_SHOWN])}." if there else "There are no models yet."
        return {one: f"Is {near[0]!r} meant?" if near else every for one, near in some.items()}

    def at(self, loop: int, rests: Collection[str], told: Mapping[str, Found]) -> dict[str, Found]:
        """Return how all that a loop rests on does, of what :meth:`look` told and of what its Tasks say."""
        others = [one for one in rests if one not in told]
        said = strayed(self._catalogue, loop, others) if others else ()
        return {name: told[name] for name in rests if name in told} | {one.name: one for one in said}

    def unsaid(self, drifted: Collection[str], found: Mapping[str, Found]) -> list[str]:
        """Return who of those that drifted, by name and version, still scores, and nothing is known of it.

        A forecast that nobody can hold against readings any more has not become better by that.
        """
        told = {f"{one.name} {one.version}" for one in found.values() if not _few(one)}
        return [one for one in drifted if one in self._champions and one not in told]

    def _one(self, model: Model) -> Found | None:
        known = self._catalogue.datastreams(solution=model.solution)
        match model.card.problem:
            case Forecast() as problem:
                return self._forecast(model, problem, known)
            case Classify() as problem:
                return self._unsure(model, problem, known)
            case RemainingLife() as problem:
                return self._life(model, problem, known)
            case _:  # who commands by itself says how it does with its Tasks
                return None

    def _forecast(self, model: Model, problem: Forecast, known: Sequence[Datastream]) -> Told | None:
        """Judge forecasts; None where there is too little to say."""
        told = {one.source: one.id for one in known if one.kind == "forecast" and one.source is not None}
        read = [
            one.id for one in known if one.kind == "reading" and one.signal == problem.of and one.id in told
        ]
        both = [(one, told[one]) for one in read]
        span = self._span(read, both)
        if span is None:
            return None
        some, curves = self._curves(both, span)
        return self._told(
            model, [held(curves.get(one), curves.get(other)) for one, other in some], span,
            model.card.quantiles,
        )  # fmt: skip

    def _life(self, model: Model, problem: RemainingLife, known: Sequence[Datastream]) -> Told | None:
        """Hold remaining lives against what was said of the same machine later."""
        lives = {one.thing: one.id for one in known if one.kind == ANSWER and one.signal == problem.name}
        ages = {one.thing: one.id for one in known if one.kind == "reading" and one.signal == problem.age}
        both = [(life, ages[thing]) for thing, life in lives.items() if thing in ages]
        span = self._span([life for life, _ in both], both)
        if span is None:
            return None
        some, curves = self._curves(both, span)
        parts = [
            aged(curves[life], curves[age], problem.clip)
            for life, age in some
            if life in curves and age in curves
        ]
        return self._told(model, parts, span, ())  # its interval is of the end, not of later answers

    def _unsure(self, model: Model, problem: Classify, known: Sequence[Datastream]) -> Unsure | None:
        """See how sure a class is of its answers."""
        wanted = {one.signal for one in answers(problem)[1:]}
        shares = [one for one in known if one.kind == ANSWER and one.signal in wanted]
        things: dict[int, list[int]] = {}
        for one in shares:
            things.setdefault(one.thing, []).append(one.id)
        span = self._span([one.id for one in shares], list(things.values()))
        if span is None:
            return None
        some, curves = self._curves(list(things.values()), span)
        each = [doubts([curves[one] for one in mine if one in curves], _middle(span)) for mine in some]
        each = [one for one in each if one.rows]
        rows = sum(one.rows for one in each)
        if not rows:
            return None
        earlier, later = (
            1 - sum(getattr(one, half) * one.rows for one in each) / rows for half in ("earlier", "later")
        )
        return Unsure(name=model.name, version=model.version, rows=rows, earlier=earlier, later=later)

    def _span(self, of: Sequence[int], groups: Sequence[Sequence[int]]) -> tuple[int, int] | None:
        """Return the last week of some Datastreams, or less of it where they have very many rows."""
        last = newest(self._observed.last(of))
        if not last:
            return None
        span, end = DAYS * DAY_NS, last + SECOND_NS
        all_ = [one for group in groups for one in group]
        while span > DAY_NS and self._observed.about(all_, round(end - span), end) > _MOST_ROWS:
            span /= 2
        return round(end - span), end

    def _curves(
        self, groups: Sequence[Sequence[int]], span: tuple[int, int]
    ) -> tuple[Sequence[Sequence[int]], dict[int, Curve]]:
        """Read what belongs together in a span; every so many of them only where a day has too many rows."""
        rows = self._observed.about([one for group in groups for one in group], *span)
        some = groups[:: max(1, math.ceil(rows / _MOST_ROWS))]
        return some, self._observed.curves([one for group in some for one in group], *span)

    def _told(
        self, model: Model, parts: Sequence[Floats], span: tuple[int, int], quantiles: tuple[float, ...]
    ) -> Told:
        seen = hindsight(np.concatenate([np.zeros((0, 3)), *parts]), _middle(span))
        promised = round(quantiles[-1] - quantiles[0], 6) if len(quantiles) > 1 else None
        return Told(name=model.name, version=model.version, found=seen, promised=promised)


def _few(told: Found) -> bool:
    """Tell whether too little is known of a model to say whether it drifts."""
    rows = told.found.rows if isinstance(told, Told) else told.rows if isinstance(told, Unsure) else None
    return rows is not None and rows < LEAST_ROWS


def _middle(span: tuple[int, int]) -> float:
    """Return the middle of a span in microseconds."""
    return (span[0] + span[1]) / 2000


def drifting(told: Found, asked: Promotion) -> str:
    """Say how a model drifts, by what a loop asks of those that it rests on; or nothing.

    >>> seen = Hindsight(rows=400, earlier=1.0, later=2.0, coverage=0.79)
    >>> drifting(Told(name="a", version="1", found=seen, promised=0.8), Promotion())
    'the error of a 1 is 2.0 times that of half a week before (1.5 are allowed)'
    """
    if isinstance(told, Alarmed):
        often = told.raised > asked.drift * told.promised and unlikely(told.raised, told.promised)
        said = f"{told.name} {told.version} has raised {told.raised} alarms in {told.days:.3g} days"
        return f"{said}, {told.promised:.2g} were promised" if often else ""
    if isinstance(told, Unsure):
        less = told.rows >= LEAST_ROWS and told.later < told.earlier - asked.short
        said = f"{told.name} {told.version} is sure of its answers by {told.later:.0%}"
        return f"{said}, by {told.earlier:.0%} half a week before" if less else ""
    if isinstance(told, Strayed):
        far = told.rows >= LEAST and told.share > told.usual + asked.short
        said = f"{told.share:.0%} of what {told.name} {told.version} sees is unlike what it was taught on"
        return f"{said}, {told.usual:.0%} was then" if far else ""
    found = told.found
    if found.rows < LEAST_ROWS:
        return ""
    if found.earlier > 0 and found.later > asked.drift * found.earlier:
        ratio = found.later / found.earlier
        return (
            f"the error of {told.name} {told.version} is {ratio:.1f} times that of half a week before "
            f"({asked.drift:g} are allowed)"
        )
    if told.promised is not None and found.coverage < told.promised - asked.short:
        return (
            f"the interval of {told.name} {told.version} held {found.coverage:.0%} of what was read, "
            f"{told.promised:.0%} were promised"
        )
    return ""
