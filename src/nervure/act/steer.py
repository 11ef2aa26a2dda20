"""Steering: from what is in force towards what ought to be, only by steps that the judge lets pass.

A jump that a rate forbids becomes steps, a state that may not follow is reached through those between,
and what cannot move yet stays where it is until it can.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec.structs import replace

from nervure.act import track
from nervure.act.array import Entry
from nervure.act.interlock import judge
from nervure.core.command import Held, Known, Proposal, Verdict, allowed, foremost
from nervure.core.interlock import Approve, Authority, Declared, Envelope, Range, Rate, Sequence, Value, label
from nervure.core.interlock_check import span_ns, way

__all__ = ["planned", "regained", "steer"]

_ONCE = (Approve, Authority, Envelope)  # of who asked and what was said: that is as it was


def planned(declared: Declared, rest: Mapping[str, Value], known: Known, since_ns: int) -> dict[str, Value]:
    """Return what the local plan says now; it began anew at ``since_ns``, with the step that fits best."""
    wanted = dict(rest)
    if not declared.plan:
        return wanted
    spans = [span_ns(step.hold) for step in declared.plan]
    elapsed = (known.now_ns - since_ns) % sum(spans)
    for step, span in zip(declared.plan, spans, strict=True):
        wanted |= step.values
        if elapsed < span:
            break
        elapsed -= span
    return wanted


def steer(wanted: Mapping[str, Value], declared: Declared, known: Known) -> Known:
    """Return what is known after one step towards what is wanted."""
    aim = {name: value for name, value in wanted.items() if known.value(name) != value}
    if not aim:
        return known
    if _may(aim, declared, known):
        return track.applied(known, declared, aim)
    for name, value in aim.items():
        step = {name: _next(name, value, declared, known)}
        if known.value(name) != step[name] and _may(step, declared, known):
            known = track.applied(known, declared, step)
    return known


def regained(entry: Entry, values: Mapping[str, Value], declared: Declared, known: Known) -> Verdict | None:
    """Say what speaks against a model's command that decides these fields again, after somebody stronger did.

    It was judged by how things were when it came. What binds models only is not asked of single steps, so
    it is asked here once more, but for what its Task said or who said yes to it.
    """
    rules = tuple(one for one in declared.interlocks if not isinstance(one, _ONCE))
    again = Proposal(
        id=entry.id, values=values, by="model", actor=entry.actor, model=entry.model, slot=entry.slot,
        issued_ns=known.now_ns, until_ns=entry.until_ns, seen_ns=known.now_ns,
    )  # fmt: skip
    return foremost(judge(again, replace(declared, interlocks=rules), known))


def _may(values: Mapping[str, Value], declared: Declared, known: Known) -> bool:
    return allowed(judge(Proposal(id="step", values=values, by="plan"), declared, known))


def _next(name: str, value: Value, declared: Declared, known: Known) -> Value:
    """Return how far a field may go now towards a value: the next state, or as far as its rates allow."""
    now = known.value(name)
    if now is None:
        return value
    for one in declared.of(Sequence):
        if one.of == name:
            states = way(one.after, label(now), label(value))
            if states:
                return _valued(states[0], declared.fields[name])
    if isinstance(value, str) or isinstance(now, str) or isinstance(value, bool):
        return value
    low, high = float(min(value, now)), float(max(value, now))
    for rate in declared.of(Rate):
        if rate.of == name:
            held = [one.value for one in _lately(rate, known)]
            numbers = [float(one) for one in held if not isinstance(one, str)]
            low = max(low, _within(max(numbers), -rate.most))
            high = min(high, _within(min(numbers), rate.most))
    for bound in declared.of(Range):
        if bound.of == name:
            low = low if bound.low is None else max(low, min(bound.low, now))
            high = high if bound.high is None else min(high, max(bound.high, now))
    return min(max(float(value), low), high) if low <= high else now


def _within(was: float, most: float) -> float:
    """Return ``was + most``, or as much less as its last digit needs for the judge to find it no farther.

    >>> abs(0.9865410864655755 - 0.3 - 0.9865410864655755) > 0.3, _within(1.0, 0.5)
    (True, 1.5)
    >>> abs(_within(0.9865410864655755, -0.3) - 0.9865410864655755) <= 0.3
    True
    """
    found = was + most
    while abs(found - was) > abs(most):
        found = math.nextafter(found, was)
    return found


def _lately(rate: Rate, known: Known) -> list[Held]:
    begin, found = known.now_ns - span_ns(rate.per), list[Held]()
    for one in reversed(known.held.get(rate.of, ())):
        found.append(one)
        if one.since_ns <= begin:
            break
    return found


def _valued(state: str, kind: str) -> Value:
    return state if kind == "text" else state == "true" if kind == "boolean" else float(state)
