"""Rules made ready: what each reads, how long it must hold, and the sentence it says."""

from __future__ import annotations

from string import Formatter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.columnar import endless, only
from nervure.core.declaration import Condition, Rule, Solution, condition, watched
from nervure.core.error import DeclarationError
from nervure.core.event import Persistence, span_of
from nervure.core.finding import Findings

__all__ = ["PLACES", "Ruling", "above", "rulings", "sentence"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PLACES = frozenset(
    {"thing", "signal", "value", "expected", "low", "high", "unit", "since", "excess", "hours"}
)


_TRUE, _FALSE = endless(np.bool_(True)), endless(np.bool_(False))


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of a solution, read: ``key`` names it in alerts; ``span`` is when it rings and ends."""

    key: str
    rule: Rule
    condition: Condition
    signals: tuple[str, ...]
    span: Persistence


def rulings(solution: Solution) -> tuple[Ruling, ...]:
    """Read the rules of a solution; those that tell a broken instrument come first.

    >>> from nervure.solutions import find
    >>> [one.key for one in rulings(find("water"))]
    ['water.stuck', 'water.silent', 'water.burst']
    """
    ready = [_ruling(solution, rule, place) for place, rule in enumerate(solution.rules)]
    return tuple(sorted(ready, key=lambda one: one.condition.measure not in {"flat", "silent"}))


def _ruling(solution: Solution, rule: Rule, place: int) -> Ruling:
    where = f"{solution.name} $.rules[{place}]"
    unknown = {name for _, name, _, _ in Formatter().parse(rule.say) if name is not None} - PLACES
    if unknown:
        raise DeclarationError(
            f"{solution.name}: rule {rule.name!r} says {{{min(unknown)}}}, which is not known",
            where=f"{where}.say",
            hint=f"known are: {', '.join(sorted(PLACES))}",
        )
    read = condition(rule.when, where=f"{where}.when")
    signals = watched(solution, rule)
    return Ruling(
        key=f"{solution.name}.{rule.name}",
        rule=rule,
        condition=read,
        signals=signals,
        span=span_of(solution, rule, read, max(solution.about(name)[1] for name in signals)),
    )


def above(ruling: Ruling, findings: Findings) -> tuple[Flags, Flags]:
    """Tell which findings fulfil a condition, and about which of them anything is known at all."""
    read = ruling.condition
    values: dict[str, Floats] = {
        "score": findings.score,
        "value": findings.value,
        "life": findings.value,
        "share": findings.value,
        "flat": findings.flat_s,
    }
    measured = values[read.measure]
    if (value := only(measured)) is not None:
        if value != value:  # noqa: PLR0124 - NaN: nothing is known
            return _FALSE[: len(measured)], _FALSE[: len(measured)]
        if read.limit is not None:
            met = value > read.limit if read.above else value < read.limit
            return (_TRUE if met else _FALSE)[: len(measured)], _TRUE[: len(measured)]
    limit = findings.limit if read.limit is None else np.float64(read.limit)
    met = measured > limit if read.above else measured < limit
    return np.asarray(met), ~np.isnan(measured)


def sentence(rule: Rule, said: dict[str, Any]) -> str:
    """Write what a rule says."""
    return rule.say.format_map(said)
