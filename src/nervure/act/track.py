"""What is known at an actuator, kept up: what was put in force, what was read, what tripped.

Each function takes a :class:`Known` and returns the next one. Nothing older than the declaration looks
back is kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec.structs import replace

from nervure.act.check import awaited, title
from nervure.core.command import Held, Input, Known, Pending, Trip
from nervure.core.interlock import Declared, Dwell, Effect, Hourly, Rate, Starve, Value, label
from nervure.core.interlock_check import span_ns

__all__ = ["applied", "at", "began", "benched", "cleared", "lapsed", "sensed", "tripped"]

_LONGEST_WHY = 500


def began(declared: Declared, values: Mapping[str, Value], now_ns: int) -> Known:
    """Return what is known when a device starts with these values in force."""
    known = Known(now_ns=now_ns, held={name: (Held(one, now_ns),) for name, one in values.items()})
    left = {f"{one.of}={state}": now_ns for one in declared.of(Starve) for state in one.states}
    return replace(known, left=left)


def at(known: Known, now_ns: int) -> Known:
    """Return the same a little later; time does not go back."""
    return known if now_ns <= known.now_ns else replace(known, now_ns=now_ns)


def applied(known: Known, declared: Declared, values: Mapping[str, Value]) -> Known:
    """Return what is known once these values are in force."""
    changed = {name: one for name, one in values.items() if known.value(name) != one}
    if not changed:
        return known
    now, begin = known.now_ns, known.now_ns - _horizon(declared)
    held = dict(known.held)
    for name, one in changed.items():
        held[name] = (*_since(held.get(name, ()), begin), Held(one, now))
    acted = tuple(one for one in known.acted if one[0] > begin)
    left = dict(known.left)
    for rule in declared.of(Starve):
        if rule.of in changed:
            was = known.value(rule.of)
            if was is not None and label(was) in rule.states:
                left[f"{rule.of}={label(was)}"] = now
            left[f"{rule.of}={label(changed[rule.of])}"] = now
    pending = dict(known.pending)
    for effect in declared.of(Effect):
        if effect.of in changed and awaited(effect) not in pending:
            pending[awaited(effect)] = Pending(now, _number(known.inputs.get(effect.input)))
    return replace(
        known,
        held=held,
        acted=(*acted, *((now, name) for name in changed)),
        left=left,
        pending=pending,
    )


def sensed(known: Known, declared: Declared, readings: Mapping[str, tuple[Value, int]]) -> Known:
    """Return what is known with new readings and their times (ns); one older than known is passed over."""
    inputs = dict(known.inputs)
    for name, (value, time_ns) in readings.items():
        before = inputs.get(name)
        if before is not None and time_ns <= before.time_ns:
            continue
        same = before is not None and before.value == value
        inputs[name] = Input(value, time_ns, before.since_ns if before is not None and same else time_ns)
    pending = dict(known.pending)
    for effect in declared.of(Effect):
        waits, number = pending.get(awaited(effect)), _number(inputs.get(effect.input))
        if waits is None or number is None or effect.input not in readings:
            continue
        moved = 0.0 if waits.value is None else max(waits.moved, abs(number - waits.value))
        if moved >= effect.least:
            del pending[awaited(effect)]
        else:
            start = number if waits.value is None else waits.value
            pending[awaited(effect)] = replace(waits, value=start, moved=moved)
    return replace(known, inputs=inputs, pending=pending)


def lapsed(known: Known, declared: Declared) -> list[Trip]:
    """Return the trips of changes that had no effect in time, which are not latched yet."""
    latched = {one.rule for one in known.trips}
    found = []
    for effect in declared.of(Effect):
        waits = known.pending.get(awaited(effect))
        late = waits is not None and known.now_ns - waits.since_ns > span_ns(effect.within)
        if waits is not None and late and title(effect) not in latched:
            why = f"{effect.input} moved by {waits.moved:g} in {effect.within} after {effect.of} was changed"
            found.append(Trip(rule=title(effect), time_ns=known.now_ns, why=why))
    return found


def tripped(known: Known, trip: Trip) -> Known:
    """Return what is known with a trip latched; the same rule trips once."""
    if any(one.rule == trip.rule for one in known.trips):
        return known
    return replace(known, trips=(*known.trips, replace(trip, why=trip.why[:_LONGEST_WHY])))


def benched(known: Known, rule: str, until_ns: int) -> Known:
    """Return what is known with models not heard until an instant, by a rule that they broke."""
    return replace(known, benched={**known.benched, rule: until_ns})


def cleared(known: Known) -> Known:
    """Return what is known once a person has reset the trips; effects are awaited anew."""
    return replace(known, trips=(), pending={}, benched={})


def _horizon(declared: Declared) -> int:
    spans = [span_ns(one.per) for kind in (Rate, Hourly) for one in declared.of(kind)]
    spans += [span_ns(text) for one in declared.of(Dwell) for text in (one.on, one.off) if text]
    return max(spans, default=0)


def _since(held: tuple[Held, ...], begin_ns: int) -> tuple[Held, ...]:
    """Return what was in force at an instant, and after it."""
    for place in range(len(held) - 1, 0, -1):
        if held[place].since_ns <= begin_ns:
            return held[place:]
    return held


def _number(read: Input | None) -> float | None:
    if read is None or isinstance(read.value, str):
        return None
    return float(read.value) if math.isfinite(read.value) else None
