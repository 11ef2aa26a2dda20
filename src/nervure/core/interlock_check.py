"""Reading what a TaskingCapability declares of interlocks, and saying what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from nervure.core.error import DeclarationError
from nervure.core.instant import duration_ns
from nervure.core.interlock import (
    Approve,
    Condition,
    Conflict,
    Declared,
    Dwell,
    Effect,
    Envelope,
    Field,
    Fresh,
    Interlock,
    Range,
    Rate,
    Require,
    Scope,
    Sequence,
    Starve,
    label,
)

__all__ = ["ACT", "declared", "fields_of", "inputs", "lead_ns", "span_ns", "way"]

ACT = "act"
"""The name in a TaskingCapability's properties under which all of this stands."""

_FIELDS: dict[str, Field] = {
    "Quantity": "number", "Count": "number", "Text": "text", "Category": "text", "Boolean": "boolean",
}  # fmt: skip


@lru_cache(maxsize=4096)
def span_ns(text: str) -> int:
    """Read a duration of a declaration that was checked, in nanoseconds."""
    return duration_ns(text)


def fields_of(parameters: Any) -> dict[str, Field]:
    """Return the fields of ``taskingParameters`` (a DataRecord of SWE Common) that are single values."""
    found: dict[str, Field] = {}
    if isinstance(parameters, Mapping):
        parts = parameters.get("field", parameters.get("fields"))
        for one in parts if isinstance(parts, list) else ():
            inner = one.get("component", one) if isinstance(one, Mapping) else {}
            kind = _FIELDS.get(inner.get("type", ""))
            if kind is not None and isinstance(one.get("name"), str):
                found[one["name"]] = kind
    return found


def declared(properties: Any, parameters: Any, *, where: str = "$.properties.act") -> Declared | None:
    """Read what a capability declares; None where it declares nothing.

    Raises ``DeclarationError`` with the place of what is wrong.

    >>> speed = {"type": "DataRecord", "field": [{"name": "speed", "type": "Quantity"}]}
    >>> rule = {"kind": "range", "of": "speed", "low": 0, "high": 100}
    >>> declared({"act": {"interlocks": [rule]}}, speed).interlocks[0].high
    100.0
    >>> declared({"act": {"interlocks": [rule | {"of": "sped"}]}}, speed)
    Traceback (most recent call last):
    nervure.core.error.DeclarationError: there is no field 'sped'
      at $.properties.act.interlocks[0].of
    hint: the capability has: speed
    """
    given = properties.get(ACT) if isinstance(properties, Mapping) else None
    if given is None:
        return None
    fields = fields_of(parameters)
    if not isinstance(given, Mapping) or "fields" in given:
        raise DeclarationError(
            "act is an object with interlocks, lease, age and plan",
            where=where,
            hint="fields come from taskingParameters",
        )
    try:
        read = msgspec.convert({**given, "fields": fields}, Declared)
    except msgspec.ValidationError as cause:
        what, _, place = str(cause).partition(" - at `")
        raise DeclarationError(
            f"the interlocks cannot be read: {what}",
            where=f"{where}{place.rstrip('`').removeprefix('$')}",
            hint="docs/act.md lists the kinds and what each needs",
        ) from cause
    _check(read, where)
    return read


def _check(read: Declared, where: str) -> None:
    if not read.fields:
        raise DeclarationError(
            "nothing can be commanded", where=where, hint="name fields in taskingParameters"
        )
    for name in ("lease", "age", "seen", "every"):
        text = getattr(read, name)
        if isinstance(text, str):
            duration_ns(text, where=f"{where}.{name}")
    if read.simulated and not read.guarded:
        raise DeclarationError(
            "time is simulated and nobody tells it: that takes a guard", where=f"{where}.guarded"
        )
    for number, one in enumerate(read.interlocks):
        at = f"{where}.interlocks[{number}]"
        _spans(one, at)
        _named(read, one, at)
        _sound(read, one, at)
    for number, step in enumerate(read.plan):
        at = f"{where}.plan[{number}]"
        duration_ns(step.hold, where=f"{at}.hold")
        _fields(read, step.values, f"{at}.values")
        for name, value in step.values.items():
            _fits(read, name, value, f"{at}.values.{name}")
    _planned(read, where)


def _spans(one: Interlock, at: str) -> None:
    for name in ("per", "on", "off", "within", "stuck", "most", "bench"):
        text = getattr(one, name, None)
        if isinstance(text, str):
            duration_ns(text, where=f"{at}.{name}")
    for state, text in one.least.items() if isinstance(one, Sequence) else ():
        duration_ns(text, where=f"{at}.least.{state}")


def _named(read: Declared, one: Interlock, at: str) -> None:
    """See that what is named among the fields is there."""
    of = getattr(one, "of", None)
    if isinstance(of, str):
        _fields(read, (of,), f"{at}.of")
    if isinstance(one, Scope):
        _fields(read, one.fields, f"{at}.fields")
    if isinstance(one, Require | Approve):
        _fields(read, (condition.of for condition in one.doing), f"{at}.doing")
    if isinstance(one, Envelope):
        _fields(read, one.commands, f"{at}.commands")
    conditions: list[Condition] = []
    if isinstance(one, Conflict):
        conditions += [condition for pair in one.pairs for condition in pair]
        for number, pair in enumerate(one.pairs):
            if not {condition.of for condition in pair} & read.fields.keys():
                raise DeclarationError(
                    "neither side of the pair is a field: no command could meet it",
                    where=f"{at}.pairs[{number}]",
                )
    if isinstance(one, Require):
        conditions += one.needs
    if isinstance(one, Require | Approve):
        conditions += one.doing
    for condition in conditions:
        bounded = condition.low is not None or condition.high is not None
        if (condition.equals is None) != bounded:
            raise DeclarationError(
                f"the condition on {condition.of!r} needs either equals, or low and high", where=at
            )
        _ordered(condition.low, condition.high, at)


def _sound(read: Declared, one: Interlock, at: str) -> None:
    """See that an interlock can be met, and means something."""
    match one:
        case Range():
            _numeric(read, one.of, at)
            _ordered(one.low, one.high, at)
            _some([bound for bound in (one.low, one.high) if bound is not None], at)
        case Rate():
            _numeric(read, one.of, at)
            if not (math.isfinite(one.most) and one.most > 0):
                raise DeclarationError(f"most is {one.most}: nothing could change", where=f"{at}.most")
        case Dwell() if one.on is None and one.off is None:
            raise DeclarationError("a dwell needs on, off or both", where=at)
        case Envelope():
            _some(one.kpis, f"{at}.kpis")
            for name, bounds in one.kpis.items():
                _ordered(bounds.low, bounds.high, f"{at}.kpis.{name}")
        case Approve() if one.of and len(set(one.of)) < one.k:
            raise DeclarationError(f"{one.k} must approve, and only {len(set(one.of))} may", where=f"{at}.of")
        case Scope():
            _zoned(one, at)
        case Sequence():
            _sequence(one, at)
        case Starve():
            _starving(read, one, at)


def _some(bounds: Collection[object], at: str) -> None:
    if not bounds:
        raise DeclarationError("it bounds nothing", where=at, hint="give low, high or both")


def _sequence(one: Sequence, at: str) -> None:
    states = one.after.keys()
    for state, following in one.after.items():
        unknown = [name for name in following if name not in states]
        if unknown:
            raise DeclarationError(
                f"{unknown[0]!r} follows {state!r}, and nothing says what may follow it",
                where=f"{at}.after.{state}",
            )
    unknown = [name for name in one.least if name not in states]
    if unknown:
        raise DeclarationError(f"there is no state {unknown[0]!r}", where=f"{at}.least")


def _starving(read: Declared, one: Starve, at: str) -> None:
    for rule in read.of(Sequence):
        for state in dict.fromkeys((*one.states, *rule.after)) if rule.of == one.of else ():
            if any(goal != state and not way(rule.after, state, goal) for goal in one.states):
                raise DeclarationError(
                    f"from {state!r} not every other state is reached", where=f"{at}.states"
                )
    lead = lead_ns(read, one)
    if span_ns(one.most) < lead:
        raise DeclarationError(
            f"{one.most} is too short: going through all {len(one.states)} states takes {lead / 1e9:g} s",
            where=f"{at}.most",
            hint="let states wait longer, or shorten what they must hold at least",
        )


def inputs(read: Declared) -> set[str]:
    """Return the inputs that the rules of a declaration ask for."""
    names: set[str] = set()
    for one in read.of(Fresh):
        names |= set(one.inputs)
    for one in read.of(Effect):
        names.add(one.input)
    for one in read.of(Require):
        names |= {condition.of for condition in one.needs}
    for one in read.interlocks:
        for pair in getattr(one, "pairs", ()):
            names |= {condition.of for condition in pair}
    return names - read.fields.keys()


def way(after: Mapping[str, tuple[str, ...]], start: str, goal: str) -> tuple[str, ...]:
    """Return the shortest way from a state to another, without the start; empty where there is none.

    >>> way({"ns": ("y",), "y": ("ns", "ew"), "ew": ("y",)}, "ns", "ew")
    ('y', 'ew')
    """
    before: dict[str, str] = {}
    front = [start]
    while front and goal not in before:
        following: list[str] = []
        for state in front:
            for after_it in after.get(state, ()):
                if after_it not in before:
                    before[after_it] = state
                    following.append(after_it)
        front = following
    if goal not in before:
        return ()
    found = [goal]
    while before[found[-1]] != start:
        found.append(before[found[-1]])
    return tuple(reversed(found))


def lead_ns(read: Declared, one: Starve) -> int:
    """Return how long before its bound a starving state is served: once through all who may wait.

    A hop is what a state must hold at least, what lies between it and the next, and a step of the
    device for each change. The first may begin where nobody has to be served, and take longer.
    """
    hold, step = 0, span_ns(read.every)
    for rule in read.of(Dwell):
        if rule.of == one.of:
            hold = max(hold, *(span_ns(text) for text in (rule.on, rule.off) if text))
    first = longest = hold + step
    for rule in read.of(Sequence):
        if rule.of != one.of:
            continue
        least = {state: max(hold, span_ns(text)) for state, text in rule.least.items()}
        for start in dict.fromkeys((*one.states, *rule.after)):
            for goal in one.states:
                states = (start, *way(rule.after, start, goal)[:-1]) if start != goal else ()
                cost = sum(least.get(state, hold) + step for state in states)
                first, longest = max(first, cost), max(longest, cost if start in one.states else 0)
    return first + (len(one.states) - 1) * longest


def _planned(read: Declared, where: str) -> None:
    """See that the plan keeps to the ranges and goes the ways that sequences allow."""
    for number, step in enumerate(read.plan):
        at = f"{where}.plan[{number}].values"
        for one in read.of(Range):
            value = step.values.get(one.of)
            if isinstance(value, float | int) and not _within(float(value), one.low, one.high):
                raise DeclarationError(
                    f"the plan sets {one.of} to {value:g}, outside its range", where=f"{at}.{one.of}"
                )
        for one in read.of(Sequence):
            value = step.values.get(one.of)
            if value is not None and label(value) not in one.after:
                raise DeclarationError(
                    f"the plan sets {one.of} to {label(value)!r}, of which the sequence says nothing",
                    where=f"{at}.{one.of}",
                )


def _fields(read: Declared, names: Iterable[str], where: str) -> None:
    for name in names:
        if name not in read.fields:
            raise DeclarationError(
                f"there is no field {name!r}",
                where=where,
                hint=f"the capability has: {', '.join(read.fields)}",
            )


def _fits(read: Declared, name: str, value: Any, where: str) -> None:
    kind = read.fields[name]
    right = {"text": isinstance(value, str), "boolean": isinstance(value, bool)}.get(
        kind, isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value)
    )
    if not right:
        raise DeclarationError(f"{value!r} is no {kind}", where=where)


def _numeric(read: Declared, name: str, at: str) -> None:
    if read.fields[name] != "number":
        raise DeclarationError(f"{name!r} is no number", where=f"{at}.of")


def _ordered(low: float | None, high: float | None, at: str) -> None:
    for bound in (low, high):
        if bound is not None and not math.isfinite(bound):
            raise DeclarationError(f"{bound} is no bound", where=at)
    if low is not None and high is not None and low > high:
        raise DeclarationError(f"low {low:g} lies above high {high:g}", where=at)


def _zoned(one: Scope, at: str) -> None:
    if (one.start is None) != (one.end is None):
        raise DeclarationError("start and end stand together", where=at)
    try:
        ZoneInfo(one.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as cause:
        raise DeclarationError(
            f"there is no time zone {one.zone!r}", where=f"{at}.zone", hint="write Europe/Berlin"
        ) from cause


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)
