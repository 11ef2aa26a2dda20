"""Drift of the models that loops rest on: whether their forecasts still come true as they did.

A loop rests on what its declaration names (``rests``), on the ``model`` of its Tasks, and on what those say
they rest on; names are those of models in the catalogue (``water-forecast-inflow``). Every forecast of the
last week is held against what was read. A model drifts when the error of the later half is so many times
that of the earlier one, or its interval holds so much less than it promised.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np

from nervure.core.instant import DAY_NS, SECOND_NS
from nervure.core.interlock import Promotion
from nervure.core.problem import Forecast
from nervure.store.catalogue import Catalogue
from nervure.store.curve import Curve
from nervure.store.hindsight import Hindsight, held, hindsight
from nervure.store.model import Model

__all__ = ["LEAST_ROWS", "Drifts", "Observed", "Told", "drifting"]

DAYS = 7.0
LEAST_ROWS = 50
"""With fewer forecasts in a half nobody is accused."""

_MOST_ROWS = 2_000_000


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How the forecasts of a model came true."""

    name: str
    version: str
    found: Hindsight
    promised: float | None


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

    def __init__(self, catalogue: Catalogue, observed: Observed) -> None:
        self._catalogue, self._observed = catalogue, observed

    def look(self, names: Collection[str]) -> dict[str, Told]:
        """Return how the models of these names do that score now, as far as they foretell anything."""
        if not names:
            return {}
        found = {}
        for one in self._catalogue.models():
            if one.promoted and one.name in names and isinstance(one.card.problem, Forecast):
                said = self._one(one, one.card.problem)
                if said is not None:
                    found[one.name] = said
        return found

    def _one(self, model: Model, problem: Forecast) -> Told | None:
        """Judge one; None where there is too little to say."""
        known = self._catalogue.datastreams(solution=model.solution)
        told = {one.source: one.id for one in known if one.kind == "forecast" and one.source is not None}
        read = [
            one.id for one in known if one.kind == "reading" and one.signal == problem.of and one.id in told
        ]
        last = max((when for when, _ in self._observed.last(read).values()), default=0)
        if not last:
            return None
        both, span = [*read, *(told[one] for one in read)], DAYS * DAY_NS
        end = last + SECOND_NS
        while span > DAY_NS and self._observed.about(both, round(end - span), end) > _MOST_ROWS:
            span /= 2
        start = round(end - span)
        curves = self._observed.curves(both, start, end)
        parts = [held(curves.get(one), curves.get(told[one])) for one in read]
        seen = hindsight(np.concatenate([np.zeros((0, 3)), *parts]), (start + end) / 2000)
        quantiles = model.card.quantiles
        promised = round(quantiles[-1] - quantiles[0], 6) if len(quantiles) > 1 else None
        return Told(name=model.name, version=model.version, found=seen, promised=promised)


def drifting(told: Told, asked: Promotion) -> str:
    """Say how a model drifts, by what a loop asks of those that it rests on; or nothing.

    >>> seen = Hindsight(rows=400, earlier=1.0, later=2.0, coverage=0.79)
    >>> drifting(Told(name="a", version="1", found=seen, promised=0.8), Promotion())
    'the error of a 1 is 2.0 times that of half a week before (1.5 are allowed)'
    """
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
