"""The judge beside the plain reference: every command of every scene, and how long a decision takes."""

from __future__ import annotations

import math
import time
from typing import Any

import msgspec

from nervure.act.interlock import judge
from nervure.bench.safety.hostile import COMPANIONS, FIELDS, KINDS, PARAMETERS, Scene, scenes, tripped
from nervure.bench.safety.plain import SECOND, Told, unsafe
from nervure.core.command import allowed
from nervure.core.interlock_check import declared

__all__ = ["Judged", "decisions_ms", "try_kind"]


class Judged(msgspec.Struct, kw_only=True):
    """What came of the commands against one kind of interlock.

    ``violations`` were let pass and are unsafe, ``needless`` were not and are safe: none of either is
    right. ``first`` shows the first of them.
    """

    kind: str
    commands: int = 0
    passed: int = 0
    unsafe: int = 0
    violations: int = 0
    needless: int = 0
    first: str = ""


def try_kind(kind: str, seed: int, commands: int) -> Judged:
    """Throw so many commands at the judge, and hold each verdict against the plain reference."""
    found = Judged(kind=kind)
    for scene in scenes(kind, seed, commands):
        for proposal, told in scene.tries:
            verdict = allowed(judge(proposal, scene.read, tripped(scene.known, told)))
            wrong = _malformed(told) or _anyway(told) or _by_rules(scene, told)
            found.commands += 1
            found.passed += verdict
            found.unsafe += wrong
            found.violations += verdict and wrong
            found.needless += not verdict and not wrong
            if verdict == wrong and not found.first:
                found.first = f"{scene.rule} {scene.past} {told}"
    return found


def decisions_ms(commands: int, seed: int = 0) -> list[float]:
    """Return how long each decision takes with one interlock of every kind declared, in milliseconds."""
    rules = [next(iter(scenes(kind, seed, 1))).rule | {"binds": "all"} for kind in KINDS]
    rules = [one for one in rules if one["kind"] not in ("starve", "sequence")]
    rules += [*COMPANIONS["starve"], {"kind": "starve", "of": "s", "states": ["p", "q"], "most": "10min"}]
    read = declared({"act": {"interlocks": rules}}, PARAMETERS)
    taken: list[float] = []
    for scene in scenes("rate", seed + 1, commands):
        for proposal, told in scene.tries:
            if read is None:
                break
            known = tripped(scene.known, told)
            begun = time.perf_counter_ns()
            judge(proposal, read, known)
            taken.append((time.perf_counter_ns() - begun) / 1e6)
    return taken


def _by_rules(scene: Scene, told: Told) -> bool:
    rules = [scene.rule]
    if scene.rule["kind"] == "starve":
        rules += COMPANIONS["starve"]
    return any(unsafe(rule, scene.past, told, scene.lead_ns) for rule in rules)


def _malformed(told: Told) -> bool:
    right: dict[str, Any] = {"number": (int, float), "text": str, "boolean": bool}
    for name, value in told.values.items():
        kind = FIELDS.get(name)
        if (
            kind is None
            or not isinstance(value, right[kind])
            or (kind == "number" and isinstance(value, bool))
        ):
            return True
        if kind == "number" and not -math.inf < value < math.inf:
            return True
    return not told.values


def _anyway(told: Told) -> bool:
    """Tell what nobody has to declare: ages, leases of at most a minute, slots, trips."""
    if told.by == "plan":
        return False
    age = told.now_ns - told.issued_ns
    if not -2 * SECOND <= age <= 10 * SECOND:
        return True
    if told.until_ns is not None and told.until_ns <= told.now_ns:
        return True
    if told.by == "person":
        return not told.actor
    long = told.until_ns is None or told.until_ns > told.now_ns + 60 * SECOND
    return long or told.slot <= 8 or told.trip
