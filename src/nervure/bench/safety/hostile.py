"""Random and hostile scenes for the judge: a rule of one kind, a past, and commands that try it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import msgspec

from nervure.act import track
from nervure.bench.safety.plain import SECOND, Past, Told
from nervure.core.command import Approval, By, Evidence, Known, Proposal, Trip, digest
from nervure.core.error import DeclarationError
from nervure.core.interlock import Declared
from nervure.core.interlock_check import declared

__all__ = ["COMPANIONS", "FIELDS", "KINDS", "PARAMETERS", "Scene", "scenes", "tripped"]

BEGIN_NS = 1_790_000_000 * SECOND
FIELDS = {"a": "number", "b": "number", "s": "text", "on": "boolean"}
_TYPES = {"number": "Quantity", "text": "Text", "boolean": "Boolean"}
PARAMETERS = {
    "type": "DataRecord",
    "field": [{"name": name, "type": _TYPES[kind]} for name, kind in FIELDS.items()],
}
STATES = ("p", "q", "y")
_SPANS = ("500ms", "1s", "7s", "1min", "10min")
_NS = {"500ms": SECOND // 2, "1s": SECOND, "7s": 7 * SECOND, "1min": 60 * SECOND, "10min": 600 * SECOND}
_NUMBERS = (0.0, 1.0, -1.0, 2.5, 10.0, 10.000000001, 9.999999999, 100.0, -0.0, 1e-300, 1e300)
_ODD: tuple[Any, ...] = (math.nan, math.inf, -math.inf, True, "10", "", 10**30, -5e-324)
_BY: tuple[By, ...] = ("model", "model", "model", "person", "plan")
_AGES = (0, 0, 0, 0, SECOND, 10 * SECOND, 10 * SECOND + 1, -2 * SECOND, -2 * SECOND - 1)
_LEASES = (SECOND, SECOND, 60 * SECOND, 60 * SECOND + 1, 0)
_PEOPLE = ("ann", "bo", "cy", "")


class Scene(msgspec.Struct, kw_only=True):
    """A rule as JSON and as it is read, what happened, what is known of it, and commands as they are told."""

    rule: dict[str, Any]
    read: Declared
    past: Past
    known: Known
    tries: list[tuple[Proposal, Told]]
    lead_ns: int = 0


def scenes(kind: str, seed: int, commands: int) -> Iterator[Scene]:
    """Yield scenes of one kind of interlock until they hold so many commands."""
    chance = random.Random(f"{kind} {seed}")
    left = commands
    while left > 0:
        rule, lead = KINDS[kind](chance)
        rules = [rule, *COMPANIONS.get(kind, ())]
        try:
            read = declared({"act": {"interlocks": rules, "lease": "1min", "age": "10s"}}, PARAMETERS)
        except DeclarationError:  # a random rule that cannot be met is refused, as it should be
            continue
        if read is None:
            continue
        past, marks = _past(rule, chance)
        known = _known(past, read)
        tries = [_try(rule, past, marks, chance) for _ in range(min(left, 25))]
        left -= len(tries)
        yield Scene(rule=rule, read=read, past=past, known=known, tries=tries, lead_ns=lead)


def _past(rule: dict[str, Any], chance: random.Random) -> tuple[Past, list[int]]:
    """Make up what happened, and the instants at which rules turn."""
    start = {
        "a": chance.choice(_NUMBERS),
        "b": chance.choice(_NUMBERS),
        "s": chance.choice(STATES),
        "on": False,
    }
    for name in [name for name in start if chance.random() < 0.02]:
        del start[name]  # a device that does not know what is in force
    now, changes, readings = BEGIN_NS, list[tuple[int, str, Any]](), list[tuple[int, str, Any]]()
    spans = [_NS[text] for text in rule.values() if isinstance(text, str) and text in _NS] or [SECOND]
    marks, events = [now], list[tuple[bool, int, str, Any]]()
    for _ in range(chance.randrange(0, 14)):
        now += chance.choice((1, SECOND // 3, SECOND, 5 * SECOND, *spans, spans[0] - 1, spans[0] + 1))
        if chance.random() < 0.5:
            name = chance.choice(tuple(FIELDS))
            changes.append((now, name, _value(name, chance)))
            events.append((True, *changes[-1]))
            marks.append(now)
        else:
            late = chance.choice((0, 0, 0, SECOND, -SECOND))
            readings.append((now - late, chance.choice(("x", "z")), _reading(chance)))
            events.append((False, *readings[-1]))
            marks.append(now - late)
    past = Past(start_ns=BEGIN_NS, start=start, changes=changes, readings=readings, events=events)
    return past, marks


def _known(past: Past, read: Declared) -> Known:
    """Keep up what is known, as a device does: in the order in which things happened."""
    known = track.began(read, past.start, past.start_ns)
    for change, when, name, value in past.events:
        if change:
            known = track.applied(track.at(known, when), read, {name: value})
        else:
            known = track.sensed(known, read, {name: (value, when)})
    return known


def _try(rule: dict[str, Any], past: Past, marks: list[int], chance: random.Random) -> tuple[Proposal, Told]:
    """Make up a command, at an instant near to where something turns."""
    spans = [_NS[text] for text in rule.values() if isinstance(text, str) and text in _NS] or [SECOND]
    now = _instant(marks, spans, chance)
    values = _values(rule, past, chance)
    other = values | {"a": 3.0}
    by: By = chance.choice(_BY)
    shown = rule["kind"] in ("approve", "envelope")  # the others do not look at it, and it costs hashes
    yes = [
        (who, now - chance.choice((0, SECOND, *spans, spans[0] + 1, -3 * SECOND)), of)
        for who in (chance.sample(_PEOPLE, chance.randrange(0, 4)) if shown else ())
        for of in [chance.choice((values, values, other))]
    ]
    told = Told(
        now_ns=now, by=by, values=values, model=chance.choice(("m1", "m2", "")),
        actor=chance.choice(_PEOPLE[:3]) if by == "person" else "",
        approvals=[{"who": who, "time_ns": when, "values": of} for who, when, of in yes],
        evidence=_evidence(values, other, now, spans, chance) if shown else None,
        issued_ns=now - chance.choice(_AGES),
        until_ns=chance.choice((*(now + one for one in _LEASES), None)),
        slot=chance.choice((12, 12, 12, 12, 9, 8, 1, 16)), trip=chance.random() < 0.03,
    )  # fmt: skip
    return _proposed(told), told


def _instant(marks: list[int], spans: list[int], chance: random.Random) -> int:
    newest = max(marks)
    if chance.random() < 0.3:
        return newest + chance.randrange(0, 700 * SECOND)
    return max(
        newest, chance.choice(marks) + chance.choice((*spans, 0)) + chance.choice((-1, 0, 1, 0, SECOND))
    )


def _values(rule: dict[str, Any], past: Past, chance: random.Random) -> dict[str, Any]:
    values = {name: _wish(name, past, chance) for name in FIELDS if chance.random() < 0.45}
    if isinstance(rule.get("of"), str) and rule["of"] in FIELDS and chance.random() < 0.8:
        values[rule["of"]] = _wish(rule["of"], past, chance)
    values = values or {"a": 1.0}
    if chance.random() < 0.03:
        values[chance.choice((*FIELDS, "nobody"))] = chance.choice(_ODD)
    return values


def _proposed(told: Told) -> Proposal:
    shown = told.evidence
    return Proposal(
        id="1", values=told.values, by=told.by, actor=told.actor, model=told.model, slot=told.slot,
        issued_ns=told.issued_ns, until_ns=told.until_ns,
        approvals=tuple(
            Approval(who=one["who"], time_ns=one["time_ns"], of=_digest(one["values"]))
            for one in told.approvals
        ),
        evidence=None if shown is None else Evidence(
            of=_digest(shown["values"]), time_ns=shown["time_ns"], kpis=shown["kpis"], runs=shown["runs"],
            twin=shown["twin"], commands=shown["commands"], wrong=shown["wrong"],
        ),
    )  # fmt: skip


def tripped(known: Known, told: Told) -> Known:
    """Return what is known at the instant of a command."""
    known = msgspec.structs.replace(known, now_ns=told.now_ns)
    return track.tripped(known, Trip(rule="r", time_ns=0, why="w")) if told.trip else known


def _digest(values: dict[str, Any]) -> str:
    try:
        return digest(values)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
        return "none"


def _evidence(
    values: dict[str, Any], other: dict[str, Any], now: int, spans: list[int], chance: random.Random
) -> dict[str, Any] | None:
    if chance.random() < 0.3:
        return None
    low = chance.choice((-1.0, 0.0, 5.0, math.nan))
    named = {f"t/{name}": value for name, value in values.items()}
    return {
        "values": chance.choice((values, values, values, other)),
        "time_ns": now - chance.choice((0, SECOND, *spans, spans[0] + 1, -3 * SECOND)),
        "runs": chance.choice((1, 2, 3, 5)),
        "twin": chance.choice(("roads/net", "roads/net", "roads/net", "pipes/net")),
        "commands": chance.choice((named, named, named, {"t/a": 3.0}, named | {"t/z": 1.0})),
        "wrong": chance.choice(("", "", "", "", "", "its what-if is not signed")),
        "kpis": {"k": (low, low + chance.choice((0.0, 1.0, 5.0, -1.0, math.inf))), "l": (0.0, 1.0)},
    }


def _value(name: str, chance: random.Random) -> Any:
    kind = FIELDS[name]
    if kind == "number":
        return chance.choice(_NUMBERS)
    return chance.choice((*STATES, "off")) if kind == "text" else chance.random() < 0.5


def _wish(name: str, past: Past, chance: random.Random) -> Any:
    if chance.random() < 0.01:
        return chance.choice(_ODD)
    mine = [value for _, who, value in past.changes if who == name]
    return chance.choice(mine) if mine and chance.random() < 0.3 else _value(name, chance)


def _reading(chance: random.Random) -> Any:
    return chance.choice((0.0, 1.0, 5.0, 5.0, 5.0, 10.0, math.nan, "open", "shut"))


# --- rules, one maker a kind -------------------------------------------------------------------------


def _span(chance: random.Random) -> str:
    return chance.choice(_SPANS)


def _binds(rule: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    return rule | ({"binds": chance.choice(("all", "models"))} if chance.random() < 0.3 else {})


def _condition(chance: random.Random, *names: str) -> dict[str, Any]:
    name = chance.choice(names or ("a", "b", "s", "on", "x", "z"))
    if name == "s" or (name in "xz" and chance.random() < 0.3):
        return {"of": name, "equals": chance.choice(STATES if name == "s" else ("open", "shut"))}
    if name == "on":
        return {"of": name, "equals": chance.random() < 0.5}
    low = chance.choice((0.0, 1.0, 5.0))
    return {"of": name} | chance.choice(({"low": low}, {"high": low}, {"low": low, "high": low + 5}))


def _ranges(chance: random.Random) -> tuple[dict[str, Any], int]:
    low = chance.choice(_NUMBERS[:8])
    edge = chance.choice(({"low": low}, {"high": low}, {"low": low, "high": low + chance.choice((0.0, 9.0))}))
    return {"kind": "range", "of": chance.choice("ab"), **edge}, 0


def _rates(chance: random.Random) -> tuple[dict[str, Any], int]:
    most = chance.choice((0.5, 1.0, 2.5, 10.0, 1e300))
    return {"kind": "rate", "of": chance.choice("ab"), "most": most, "per": _span(chance)}, 0


def _dwells(chance: random.Random) -> tuple[dict[str, Any], int]:
    rule = {"kind": "dwell", "of": chance.choice(("a", "on", "s"))}
    return rule | chance.choice(({"on": _span(chance)}, {"off": _span(chance)}, {"on": "7s", "off": "1s"})), 0


def _hourlies(chance: random.Random) -> tuple[dict[str, Any], int]:
    rule: dict[str, Any] = {"kind": "hourly", "most": chance.randrange(1, 5), "per": _span(chance)}
    return rule | chance.choice(({}, {"of": chance.choice(tuple(FIELDS))})), 0


def _conflicts(chance: random.Random) -> tuple[dict[str, Any], int]:
    pairs = [
        [_condition(chance, "a", "b", "s", "on"), _condition(chance)] for _ in range(chance.randrange(1, 4))
    ]
    return {"kind": "conflict", "pairs": pairs}, 0


def _sequences(chance: random.Random) -> tuple[dict[str, Any], int]:
    after = {one: [two for two in STATES if two != one and chance.random() < 0.6] for one in STATES}
    least = {one: _span(chance) for one in STATES if chance.random() < 0.5}
    return {"kind": "sequence", "of": "s", "after": after, "least": least}, 0


def _freshes(chance: random.Random) -> tuple[dict[str, Any], int]:
    rule: dict[str, Any] = {
        "kind": "fresh",
        "inputs": chance.choice((["x"], ["x", "z"])),
        "within": _span(chance),
    }
    return rule | chance.choice(({}, {"stuck": _span(chance)})), 0


def _requires(chance: random.Random) -> tuple[dict[str, Any], int]:
    doing = [_condition(chance, "a", "b", "s", "on") for _ in range(chance.randrange(0, 3))]
    needs = [_condition(chance) for _ in range(chance.randrange(1, 3))]
    return {"kind": "require", "needs": needs, "doing": doing}, 0


def _envelopes(chance: random.Random) -> tuple[dict[str, Any], int]:
    bounds = chance.choice(({"low": 0.0}, {"high": 5.0}, {"low": -1.0, "high": 6.0}))
    rule = {"kind": "envelope", "kpis": {"k": bounds}, "within": _span(chance)}
    rule |= chance.choice(({}, {}, {"twin": "roads/net"}))
    rule |= chance.choice(({}, {}, {"commands": {name: f"t/{name}" for name in FIELDS}}))
    return rule | {"least_runs": chance.choice((1, 3))}, 0


def _authorities(chance: random.Random) -> tuple[dict[str, Any], int]:
    return {"kind": "authority", "models": chance.choice((["m1"], ["m1", "m2"], []))}, 0


def _approves(chance: random.Random) -> tuple[dict[str, Any], int]:
    of = chance.choice(([], ["ann", "bo"], ["ann", "bo", "cy"]))
    rule = {"kind": "approve", "k": chance.choice((1, 2)), "of": of, "within": _span(chance)}
    return rule | {"doing": [_condition(chance, "a", "s", "on")] if chance.random() < 0.4 else []}, 0


def _scopes(chance: random.Random) -> tuple[dict[str, Any], int]:
    fields = chance.sample(tuple(FIELDS), chance.randrange(1, 5))
    hours = chance.choice(({}, {"start": "06:00", "end": "22:00"}, {"start": "22:00", "end": "06:00"}))
    return {"kind": "scope", "fields": fields, **hours}, 0


def _effects(chance: random.Random) -> tuple[dict[str, Any], int]:
    rule = {"kind": "effect", "of": chance.choice(("a", "on", "s")), "input": chance.choice("xz")}
    return rule | {"least": chance.choice((1.0, 4.0, 5.0)), "within": _span(chance)}, 0


def _starves(chance: random.Random) -> tuple[dict[str, Any], int]:
    """A lead of two hops: a state held for 7 s, yellow for 1 s, and a step of a second after each."""
    return {"kind": "starve", "of": "s", "states": ["p", "q"], "most": chance.choice(("1min", "10min"))}, (
        2 * (7 + 1 + 1 + 1) * SECOND
    )


COMPANIONS = {
    "starve": (
        {
            "kind": "sequence", "of": "s", "after": {"p": ["y"], "y": ["p", "q"], "q": ["y"]},
            "least": {"p": "7s", "q": "7s", "y": "1s"},
        },
    )
}  # fmt: skip
"""Rules that another one needs beside it."""

_MAKERS = {
    "range": _ranges, "rate": _rates, "dwell": _dwells, "hourly": _hourlies, "conflict": _conflicts,
    "sequence": _sequences, "fresh": _freshes, "require": _requires, "envelope": _envelopes,
    "authority": _authorities, "approve": _approves, "scope": _scopes, "effect": _effects,
    "starve": _starves,
}  # fmt: skip


def _bound(kind: str) -> Any:
    def make(chance: random.Random) -> tuple[dict[str, Any], int]:
        rule, lead = _MAKERS[kind](chance)
        return _binds(rule, chance), lead

    return make


KINDS = {kind: _bound(kind) for kind in _MAKERS}
