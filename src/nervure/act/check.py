"""The declared interlocks, judged one by one: each a pure function of command, declaration and knowledge."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from nervure.core.command import AHEAD_NS, Known, Outcome, Proposal, digest
from nervure.core.interlock import (
    Approve,
    Authority,
    Condition,
    Conflict,
    Declared,
    Dwell,
    Effect,
    Envelope,
    Fresh,
    Hourly,
    Interlock,
    Range,
    Rate,
    Require,
    Scope,
    Sequence,
    Starve,
    Value,
    label,
)
from nervure.core.interlock_check import lead_ns, span_ns, way

__all__ = ["PASS", "RULES", "Said", "awaited", "changes", "is_on", "kind", "seconds", "starving", "title"]

Said = tuple[Outcome, str]
PASS: Said = ("pass", "")
_OFF = ("off", "")


def title(one: Interlock) -> str:
    """Return the name of an interlock: its own, or one made of what it is.

    >>> title(Range(of="speed", low=0)), title(Range(of="speed", low=0, name="pump"))
    ('range of speed', 'pump')
    """
    if one.name:
        return one.name
    of = getattr(one, "of", None)
    return f"{kind(one)} of {of}" if isinstance(of, str) else kind(one)


def awaited(one: Effect) -> str:
    """Return by what a change is known whose effect this rule awaits: rules of one field may go by one name.

    >>> awaited(Effect(of="speed", input="flow", least=1.0, within="10s"))
    'effect of speed: flow'
    """
    return f"{title(one)}: {one.input}"


def is_on(value: Value) -> bool:
    """Tell whether a value is on: true, a number above zero, a text other than ``off``."""
    if isinstance(value, str):
        return value not in _OFF
    return value > 0


def starving(one: Starve, declared: Declared, known: Known) -> str | None:
    """Return the state that has waited longest, if it is time to serve it."""
    value = known.value(one.of)
    now = None if value is None else label(value)
    waiting = [
        (known.left.get(f"{one.of}={state}", known.now_ns), state) for state in one.states if state != now
    ]
    if not waiting:
        return None
    since, state = min(waiting)
    late = known.now_ns - since >= span_ns(one.most) - _lead(declared, one)
    return state if late else None


def changes(proposal: Proposal, known: Known) -> set[str]:
    """Return the fields that a proposal would change."""
    return {name for name, value in proposal.values.items() if known.value(name) != value}


def _range(one: Range, proposal: Proposal, _declared: Declared, _known: Known) -> Said:
    value = proposal.values.get(one.of)
    if value is None or _between(value, one.low, one.high):
        return PASS
    return "refuse", f"{one.of} {_shown(value)} lies outside {_shown(one.low)} to {_shown(one.high)}"


def _rate(one: Rate, proposal: Proposal, _declared: Declared, known: Known) -> Said:
    value = proposal.values.get(one.of)
    if value is None:
        return PASS
    held = known.held.get(one.of, ())
    if not held:
        return "refuse", f"what {one.of} is now is not known"
    if isinstance(value, str):
        return "refuse", f"{one.of} is no number"
    begin = known.now_ns - span_ns(one.per)
    for place in range(len(held) - 1, -1, -1):
        was = held[place].value
        if isinstance(was, str) or not abs(value - was) <= one.most:
            return "refuse", f"{one.of} {_shown(was)} to {_shown(value)}: more than {one.most:g} in {one.per}"
        if held[place].since_ns <= begin:
            break
    return PASS


def _dwell(one: Dwell, proposal: Proposal, _declared: Declared, known: Known) -> Said:
    value = proposal.values.get(one.of)
    if value is None:
        return PASS
    held = known.held.get(one.of, ())
    if not held:
        return "refuse", f"what {one.of} is now is not known"
    was = is_on(held[-1].value)
    least = one.on if was else one.off
    if is_on(value) == was or least is None:
        return PASS
    since = held[-1].since_ns
    for before in reversed(held):
        if is_on(before.value) != was:
            break
        since = before.since_ns
    lasted = known.now_ns - since
    if lasted >= span_ns(least):
        return PASS
    return "refuse", f"{one.of} is {'on' if was else 'off'} for {seconds(lasted)}; {least} is the least"


def _hourly(one: Hourly, proposal: Proposal, _declared: Declared, known: Known) -> Said:
    touched = changes(proposal, known)
    if not touched or (one.of is not None and one.of not in touched):
        return PASS
    begin = known.now_ns - span_ns(one.per)
    count = len({when for when, name in known.acted if when > begin and one.of in (None, name)})
    return PASS if count < one.most else ("refuse", f"{count} changes in {one.per}; {one.most} are allowed")


def _conflict(one: Conflict, proposal: Proposal, declared: Declared, known: Known) -> Said:
    for pair in one.pairs:
        if not any(condition.of in proposal.values for condition in pair):
            continue
        found = [_holds(condition, _after(condition.of, proposal, declared, known)) for condition in pair]
        if all(one_holds is not False for one_holds in found):
            said = " and ".join(_phrase(condition) for condition in pair)
            return "refuse", f"{said} together" if None not in found else f"{said}: not known to be apart"
    return PASS


def _sequence(one: Sequence, proposal: Proposal, _declared: Declared, known: Known) -> Said:
    value = proposal.values.get(one.of)
    if value is None:
        return PASS
    held = known.held.get(one.of, ())
    if not held:
        return "refuse", f"what {one.of} is now is not known"
    now, then = label(held[-1].value), label(value)
    if then == now:
        return PASS
    if then not in one.after.get(now, ()):
        return (
            "refuse",
            f"{one.of} goes from {now} to {', '.join(one.after.get(now, ())) or 'nothing'}, not {then}",
        )
    lasted, least = known.now_ns - held[-1].since_ns, one.least.get(now)
    if least is not None and lasted < span_ns(least):
        return "refuse", f"{one.of} is {now} for {seconds(lasted)}; {least} is the least"
    return PASS


def _fresh(one: Fresh, _proposal: Proposal, _declared: Declared, known: Known) -> Said:
    for name in one.inputs:
        read = known.inputs.get(name)
        if read is None or not _sane(read.value):
            return "refuse", f"{name} is {'not known' if read is None else 'no number'}"
        age = known.now_ns - read.time_ns
        if age > span_ns(one.within) or age < -AHEAD_NS:
            return "refuse", f"{name} is {seconds(age)} old; {one.within} is allowed"
        same = read.time_ns - read.since_ns
        if one.stuck is not None and same > span_ns(one.stuck):
            return "refuse", f"{name} says the same for {seconds(same)}: it is stuck"
    return PASS


def _require(one: Require, proposal: Proposal, declared: Declared, known: Known) -> Said:
    if not _does(one.doing, proposal, declared, known):
        return PASS
    for condition in one.needs:
        read = known.inputs.get(condition.of)
        value = known.value(condition.of) if condition.of in declared.fields else read.value if read else None
        if _holds(condition, value) is not True:
            said = "not known" if value is None else _shown(value)
            return "refuse", f"it needs {_phrase(condition)}; it is {said}"
    return PASS


def _envelope(one: Envelope, proposal: Proposal, _declared: Declared, known: Known) -> Said:
    shown = proposal.evidence
    if shown is None:
        return "refuse", "it needs a what-if of these values"
    if shown.wrong:
        return "refuse", shown.wrong
    if shown.of != digest(proposal.values):
        return "refuse", "its what-if is of other values"
    if one.twin and shown.twin != one.twin:
        return "refuse", f"its what-if is of {shown.twin or 'no twin'}, not of {one.twin}"
    if one.commands and not _meant(one.commands, proposal.values, shown.commands):
        return "refuse", "its what-if set other actuators"
    age = known.now_ns - shown.time_ns
    if age > span_ns(one.within) or age < -AHEAD_NS:
        return "refuse", f"its what-if is {seconds(age)} old; {one.within} is allowed"
    if shown.runs < one.least_runs:
        return "refuse", f"its what-if has {shown.runs} runs; {one.least_runs} are needed"
    for name, bounds in one.kpis.items():
        low, high = shown.kpis.get(name, (math.nan, math.nan))
        inside = low <= high and _between(low, bounds.low, None) and _between(high, None, bounds.high)
        if not (inside and math.isfinite(low) and math.isfinite(high)):
            return (
                "refuse",
                f"{name} comes to {low:g} to {high:g}, not {_shown(bounds.low)} to {_shown(bounds.high)}",
            )
    return PASS


def _meant(names: Mapping[str, str], values: Mapping[str, Value], commands: Mapping[str, float]) -> bool:
    """Tell whether these values, and nothing else, were set by the actuators that they stand for."""
    known = {names[field]: value for field, value in values.items() if field in names}
    return len(known) == len(values) and known == commands


def _authority(one: Authority, proposal: Proposal, _declared: Declared, _known: Known) -> Said:
    if proposal.by != "model" or proposal.model in one.models:
        return PASS
    return "refuse", f"the model {proposal.model!r} may not command this"


def _approve(one: Approve, proposal: Proposal, declared: Declared, known: Known) -> Said:
    if proposal.by == "plan" or not _does(one.doing, proposal, declared, known):
        return PASS
    of, begin = digest(proposal.values), known.now_ns - span_ns(one.within)
    people = {
        given.who
        for given in proposal.approvals
        if given.of == of
        and begin <= given.time_ns <= known.now_ns + AHEAD_NS
        and given.who not in ("", proposal.actor, proposal.asker)
        and (not one.of or given.who in one.of)
    }
    if len(people) >= one.k:
        return PASS
    return "await", f"{len(people)} of {one.k} have approved" + (f" ({', '.join(one.of)})" if one.of else "")


def _scope(one: Scope, proposal: Proposal, _declared: Declared, known: Known) -> Said:
    outside = [name for name in proposal.values if name not in one.fields]
    if outside:
        return "refuse", f"{outside[0]} is out of its scope"
    if one.start is not None and one.end is not None:
        clock = (
            datetime.fromtimestamp(known.now_ns / 1e9, tz=UTC).astimezone(_zone(one.zone)).strftime("%H:%M")
        )
        inside = one.start <= clock < one.end if one.start <= one.end else not one.end <= clock < one.start
        if not inside:
            return "refuse", f"it is {clock}; {one.start} to {one.end} is allowed"
    return PASS


def _effect(one: Effect, _proposal: Proposal, _declared: Declared, known: Known) -> Said:
    waits = known.pending.get(awaited(one))
    if waits is None or known.now_ns - waits.since_ns <= span_ns(one.within):
        return PASS
    return "trip", f"{one.input} moved by {waits.moved:g} in {one.within} after {one.of} was changed"


def _starve(one: Starve, proposal: Proposal, declared: Declared, known: Known) -> Said:
    left = known.benched.get(title(one), 0) - known.now_ns
    if left > 0 and proposal.by == "model":
        return "refuse", f"it let somebody wait too long: it is not heard for {seconds(left)}"
    state = starving(one, declared, known)
    value, now = proposal.values.get(one.of), known.value(one.of)
    if state is None:
        return PASS
    then = now if value is None else value
    if then is not None and label(then) == state:
        return PASS
    if now is not None and then is not None and label(then) not in one.states:  # on the way there
        for rule in declared.of(Sequence):
            if rule.of == one.of and label(then) in (label(now), *way(rule.after, label(now), state)):
                return PASS
    return "refuse", f"{state} has to be served now: nobody waits longer than {one.most}"


RULES: Mapping[type[Any], Callable[[Any, Proposal, Declared, Known], Said]] = {
    Range: _range, Rate: _rate, Dwell: _dwell, Hourly: _hourly, Conflict: _conflict, Sequence: _sequence,
    Fresh: _fresh, Require: _require, Envelope: _envelope, Authority: _authority, Approve: _approve,
    Scope: _scope, Effect: _effect, Starve: _starve,
}  # fmt: skip


def _after(name: str, proposal: Proposal, declared: Declared, known: Known) -> Value | None:
    """Return what a name says once the command is in force."""
    if name in declared.fields:
        return proposal.values.get(name, known.value(name))
    read = known.inputs.get(name)
    return None if read is None else read.value


def _does(doing: tuple[Condition, ...], proposal: Proposal, declared: Declared, known: Known) -> bool:
    """Tell whether a command brings about what a rule is for; what is not known may be."""
    if not doing:
        return True
    touched = any(one.of in proposal.values for one in doing)
    return touched and all(
        _holds(one, _after(one.of, proposal, declared, known)) is not False for one in doing
    )


def _holds(one: Condition, value: Value | None) -> bool | None:
    """Tell whether a condition holds; None where that is not known."""
    if value is None or not _sane(value):
        return None
    if one.equals is not None:
        same = isinstance(value, str) == isinstance(one.equals, str)
        return value == one.equals if same else None
    return None if isinstance(value, str) else _between(value, one.low, one.high)


def _sane(value: Value) -> bool:
    return isinstance(value, str) or math.isfinite(value)


def _between(value: Value, low: float | None, high: float | None) -> bool:
    return not isinstance(value, str) and (low is None or value >= low) and (high is None or value <= high)


def _phrase(one: Condition) -> str:
    if one.equals is not None:
        return f"{one.of} {_shown(one.equals)}"
    return f"{one.of} from {_shown(one.low)} to {_shown(one.high)}"


def _shown(value: Value | None) -> str:
    if value is None:
        return "open"
    return f"{value:g}" if isinstance(value, float | int) and not isinstance(value, bool) else label(value)


def seconds(ns: int) -> str:
    """Write a span for people."""
    return f"{ns / 1e9:.3g} s"


def kind(one: Interlock) -> str:
    """Return the kind of an interlock, as a declaration names it."""
    return type(one).__name__.lower()


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


_LEADS: dict[tuple[int, int], tuple[Declared, int]] = {}


def _lead(declared: Declared, one: Starve) -> int:
    """Return the lead of a bound, worked out once for each declaration."""
    key = (id(declared), id(one))
    found = _LEADS.get(key)
    if found is None or found[0] is not declared:
        if len(_LEADS) > 1024:
            _LEADS.clear()
        found = _LEADS[key] = (declared, lead_ns(declared, one))
    return found[1]
