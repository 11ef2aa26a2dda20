"""What is unsafe, said plainly: an independent reference beside which the judge is held.

It shares no code with the judge, keeps no state, and looks through the whole past each time: lists of
what was put into force and read, declarations as the JSON they are written in, times in plain nanoseconds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec

from nervure.core.command import By

__all__ = ["PLAIN", "SECOND", "Past", "Told", "unsafe"]

SECOND = 1_000_000_000
_UNIT = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


class Past(msgspec.Struct, kw_only=True):
    """Everything that happened: the start, changes as (time, field, value), readings as (time, input, value).

    ``events`` are both in the order in which they came, which is not always that of their times.
    """

    start_ns: int
    start: dict[str, Any]
    changes: list[tuple[int, str, Any]]
    readings: list[tuple[int, str, Any]]
    events: list[tuple[bool, int, str, Any]] = []


class Told(msgspec.Struct, kw_only=True):
    """A command, as JSON would have it, and when it is judged."""

    now_ns: int
    by: By
    values: dict[str, Any]
    model: str = ""
    actor: str = ""
    approvals: list[dict[str, Any]] = []
    evidence: dict[str, Any] | None = None
    issued_ns: int = 0
    until_ns: int | None = None
    slot: int = 12
    trip: bool = False


def unsafe(rule: dict[str, Any], past: Past, told: Told, lead_ns: int = 0) -> bool:
    """Tell whether a command would break a rule."""
    bound = rule.get("binds") or ("models" if rule["kind"] in _FOR_MODELS else "all")
    if bound == "models" and told.by != "model":
        return False
    if rule["kind"] == "starve":
        return _starve(rule, past, told, lead_ns)
    return PLAIN[rule["kind"]](rule, past, told)


_FOR_MODELS = {"hourly", "fresh", "envelope", "scope", "effect", "starve"}


def _ns(text: str) -> int:
    for unit in ("ms", "min", "s", "h"):
        if text.endswith(unit):
            return round(float(text[: -len(unit)]) * _UNIT[unit] * SECOND)
    raise ValueError(text)


def _spells(past: Past, field: str) -> list[tuple[int, Any]]:
    """Return since when a field had each value, the newest last; the same again begins nothing new."""
    found: list[tuple[int, Any]] = []
    if field in past.start:
        found.append((past.start_ns, past.start[field]))
    for when, name, value in past.changes:
        if name == field and (not found or found[-1][1] != value):
            found.append((when, value))
    return found


def _now(past: Past, field: str) -> Any:
    spells = _spells(past, field)
    return spells[-1][1] if spells else None


def _newest(past: Past, name: str) -> tuple[int, Any] | None:
    """Return the newest reading of an input; one that is not newer than one before does not count."""
    found: tuple[int, Any] | None = None
    for when, who, value in past.readings:
        if who == name and (found is None or when > found[0]):
            found = (when, value)
    return found


def _range(rule: dict[str, Any], _past: Past, told: Told) -> bool:
    value = told.values.get(rule["of"])
    return value is not None and not rule.get("low", -math.inf) <= value <= rule.get("high", math.inf)


def _rate(rule: dict[str, Any], past: Past, told: Told) -> bool:
    if rule["of"] not in told.values:
        return False
    value, begin = told.values[rule["of"]], told.now_ns - _ns(rule["per"])
    spells = _spells(past, rule["of"])
    if not spells:
        return True
    ends = [when for when, _ in spells[1:]] + [told.now_ns + 1]
    held = [was for (_, was), end in zip(spells, ends, strict=True) if end > begin]
    return any(not abs(value - was) <= rule["most"] for was in held)


def _on(value: Any) -> bool:
    return value not in {"off", ""} if isinstance(value, str) else bool(value > 0)


def _dwell(rule: dict[str, Any], past: Past, told: Told) -> bool:
    if rule["of"] not in told.values:
        return False
    spells = _spells(past, rule["of"])
    if not spells:
        return True
    since, state = spells[0][0], _on(spells[0][1])
    for when, value in spells[1:]:
        if _on(value) != state:
            since, state = when, _on(value)
    least = rule.get("on" if state else "off")
    return _on(told.values[rule["of"]]) != state and least is not None and told.now_ns - since < _ns(least)


def _hourly(rule: dict[str, Any], past: Past, told: Told) -> bool:
    changed = [name for name, value in told.values.items() if _now(past, name) != value]
    if not changed or ("of" in rule and rule["of"] not in changed):
        return False
    fields = {rule["of"]} if "of" in rule else {*past.start, *(name for _, name, _ in past.changes)}
    instants = {when for name in fields for when, _ in _spells(past, name)[name in past.start :]}
    lately = sum(when > told.now_ns - _ns(rule["per"]) for when in instants)
    return bool(lately >= rule["most"])


def _could(condition: dict[str, Any], value: Any) -> bool:
    """Tell whether a condition may hold: what is not known, or no number, may."""
    if value is None or (not isinstance(value, str) and not math.isfinite(value)):
        return True
    if "equals" in condition:
        wanted = condition["equals"]
        return isinstance(value, str) != isinstance(wanted, str) or value == wanted
    if isinstance(value, str):
        return True
    return bool(condition.get("low", -math.inf) <= value <= condition.get("high", math.inf))


def _surely(condition: dict[str, Any], value: Any) -> bool:
    if value is None or (not isinstance(value, str) and not math.isfinite(value)):
        return False
    if "equals" in condition:
        wanted = condition["equals"]
        return isinstance(value, str) == isinstance(wanted, str) and value == wanted
    return not isinstance(value, str) and _could(condition, value)


def _then(past: Past, told: Told, name: str) -> Any:
    if name in told.values:
        return told.values[name]
    value = _now(past, name)
    if value is None:
        newest = _newest(past, name)
        return None if newest is None else newest[1]
    return value


def _conflict(rule: dict[str, Any], past: Past, told: Told) -> bool:
    for one, other in rule["pairs"]:
        touched = one["of"] in told.values or other["of"] in told.values
        if touched and all(_could(each, _then(past, told, each["of"])) for each in (one, other)):
            return True
    return False


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def _sequence(rule: dict[str, Any], past: Past, told: Told) -> bool:
    if rule["of"] not in told.values:
        return False
    spells = _spells(past, rule["of"])
    if not spells:
        return True
    since, now = spells[-1]
    here, there = _label(now), _label(told.values[rule["of"]])
    if here == there:
        return False
    least = rule.get("least", {}).get(here)
    early = least is not None and told.now_ns - since < _ns(least)
    return there not in rule["after"].get(here, []) or early


def _fresh(rule: dict[str, Any], past: Past, told: Told) -> bool:
    for name in rule["inputs"]:
        newest = _newest(past, name)
        if newest is None or (not isinstance(newest[1], str) and not math.isfinite(newest[1])):
            return True
        if not -2 * SECOND <= told.now_ns - newest[0] <= _ns(rule["within"]):
            return True
        if "stuck" in rule and newest[0] - _same_since(past, name) > _ns(rule["stuck"]):
            return True
    return False


def _same_since(past: Past, name: str) -> int:
    """Return since when an input says what it says now."""
    taken: list[tuple[int, Any]] = []
    for when, who, value in past.readings:
        if who == name and (not taken or when > taken[-1][0]):
            taken.append((when, value))
    since = taken[-1][0]
    for when, value in reversed(taken):
        if value != taken[-1][1]:
            break
        since = when
    return since


def _require(rule: dict[str, Any], past: Past, told: Told) -> bool:
    return _doing(rule, past, told) and not all(
        _surely(one, _before(past, one["of"])) for one in rule["needs"]
    )


def _before(past: Past, name: str) -> Any:
    value = _now(past, name)
    newest = _newest(past, name)
    return value if value is not None else None if newest is None else newest[1]


def _doing(rule: dict[str, Any], past: Past, told: Told) -> bool:
    doing = rule.get("doing", [])
    touched = any(one["of"] in told.values for one in doing)
    return not doing or (touched and all(_could(one, _then(past, told, one["of"])) for one in doing))


def _same(values: dict[str, Any], other: Any) -> bool:
    return bool(values == other)


def _envelope(rule: dict[str, Any], _past: Past, told: Told) -> bool:
    shown = told.evidence
    if shown is None or not _same(told.values, shown["values"]) or shown["wrong"]:
        return True
    if rule.get("twin") and shown["twin"] != rule["twin"]:
        return True
    if rule.get("commands"):
        wanted = [(rule["commands"].get(name), value) for name, value in told.values.items()]
        if any(name is None for name, _ in wanted) or not _same(dict(wanted), shown["commands"]):
            return True
    if not -2 * SECOND <= told.now_ns - shown["time_ns"] <= _ns(rule["within"]):
        return True
    if shown["runs"] < rule.get("least_runs", 1):
        return True
    for name, bounds in rule["kpis"].items():
        low, high = shown["kpis"].get(name, (math.nan, math.nan))
        inside = bounds.get("low", -math.inf) <= low <= high <= bounds.get("high", math.inf)
        if not inside or math.isinf(low) or math.isinf(high):
            return True
    return False


def _authority(rule: dict[str, Any], _past: Past, told: Told) -> bool:
    return told.by == "model" and told.model not in rule["models"]


def _approve(rule: dict[str, Any], past: Past, told: Told) -> bool:
    if told.by == "plan" or not _doing(rule, past, told):
        return False
    yes = {
        one["who"]
        for one in told.approvals
        if _same(told.values, one["values"])
        and one["who"] not in {"", told.actor}
        and (not rule.get("of") or one["who"] in rule["of"])
        and -2 * SECOND <= told.now_ns - one["time_ns"] <= _ns(rule["within"])
    }
    return bool(len(yes) < rule["k"])


def _scope(rule: dict[str, Any], _past: Past, told: Told) -> bool:
    if not set(told.values) <= set(rule["fields"]):
        return True
    if "start" not in rule:
        return False
    moment = time.gmtime(told.now_ns // SECOND)
    minute = moment.tm_hour * 60 + moment.tm_min
    start, end = (int(rule[name][:2]) * 60 + int(rule[name][3:]) for name in ("start", "end"))
    inside = start <= minute < end if start <= end else minute >= start or minute < end
    return not inside


def _effect(rule: dict[str, Any], past: Past, told: Told) -> bool:
    """Go through the past in order: a change waits until the input has moved, or for too long."""
    waits: int | None = None
    base: float | None = None
    newest: tuple[int, Any] | None = None
    now = past.start.get(rule["of"])
    for change, when, name, value in past.events:
        if change and name == rule["of"] and value != now:
            now = value
            if waits is None:
                waits, base = when, None if newest is None or _odd(newest[1]) else float(newest[1])
        elif not change and name == rule["input"] and (newest is None or when > newest[0]):
            newest = (when, value)
            if waits is not None and not _odd(value):
                if base is not None and abs(value - base) >= rule["least"]:
                    waits = None
                elif base is None:
                    base = float(value)
    return waits is not None and told.now_ns - waits > _ns(rule["within"])


def _odd(value: Any) -> bool:
    return isinstance(value, str) or value != value  # noqa: PLR0124 - NaN


def _starve(rule: dict[str, Any], past: Past, told: Told, lead_ns: int) -> bool:
    """Tell whether a command passes by the state that has to be served now."""
    spells = [(when, _label(value)) for when, value in _spells(past, rule["of"])]
    left = dict.fromkeys(rule["states"], past.start_ns)
    for (_, state), (end, _) in pairwise(spells):
        if state in left:
            left[state] = end
    here = spells[-1][1] if spells else None
    waiting = sorted((when, state) for state, when in left.items() if state != here)
    if not waiting or told.now_ns - waiting[0][0] < _ns(rule["most"]) - lead_ns:
        return False
    due = waiting[0][1]
    wanted = _label(told.values[rule["of"]]) if rule["of"] in told.values else here
    return wanted is None or (wanted in rule["states"] and wanted != due)


PLAIN: dict[str, Callable[[dict[str, Any], Past, Told], bool]] = {
    "range": _range, "rate": _rate, "dwell": _dwell, "hourly": _hourly, "conflict": _conflict,
    "sequence": _sequence, "fresh": _fresh, "require": _require, "envelope": _envelope,
    "authority": _authority, "approve": _approve, "scope": _scope, "effect": _effect,
}  # fmt: skip
