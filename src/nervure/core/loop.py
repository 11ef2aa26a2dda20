"""Loops of a solution: what is set at each Thing, who decides, and what every command keeps to.

A loop is declared once, for all Things of a solution. A TaskingCapability that says
``{"loop": "flood/gate"}`` in its properties gets the declaration of that loop (``act``) and its
``taskingParameters``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from nervure.core.error import DeclarationError
from nervure.core.interlock import Authority, Declared, Interlock, Promotion, Step
from nervure.core.interlock_check import ACT, declared

__all__ = ["LOOP", "Loop", "Setting", "act_of", "capability", "check", "parameters"]

LOOP = "loop"
"""The name in a TaskingCapability's properties that says which loop of which solution it is."""

Name = Annotated[str, Meta(min_length=1, max_length=100)]


class Setting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that is set: a number with its UCUM ``unit``, one of ``options``, or on and off."""

    name: Name
    unit: str | None = None
    options: tuple[str, ...] = ()
    label: str = ""


class Loop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A control loop: which command, decided by which policy, within which interlocks.

    ``policy`` is the controller or model that may command (empty: any). ``rests`` are problems of the
    solution whose forecasts it rests on: when such a model drifts the loop loses a step. ``plan`` is what
    the device does by itself. Interlocks name signals of the solution (``level``), and stand for those of
    the Thing. ``lease``, ``age``, ``seen``, ``every``, ``guarded`` and ``promote`` are as in
    :class:`nervure.core.interlock.Declared`.
    """

    command: Name
    sets: Annotated[tuple[Setting, ...], Meta(min_length=1, max_length=50)]
    policy: str = ""
    rests: tuple[str, ...] = ()
    interlocks: Annotated[tuple[Interlock, ...], Meta(max_length=100)] = ()
    plan: tuple[Step, ...] = ()
    lease: str = "1min"
    age: str = "10s"
    seen: str | UnsetType = UNSET
    every: str = "1s"
    guarded: bool = True
    promote: Promotion = Promotion()


def parameters(loop: Loop) -> dict[str, Any]:
    """Return what may be asked, as a DataRecord of SWE Common.

    >>> parameters(Loop(command="gate", sets=(Setting(name="gate", unit="1"),)))["field"][0]["type"]
    'Quantity'
    """
    return {"type": "DataRecord", "field": [_field(one) for one in loop.sets]}


def _field(one: Setting) -> dict[str, Any]:
    about = {"name": one.name, "label": one.label or one.name}
    if one.unit is not None:
        return {**about, "type": "Quantity", "uom": {"code": one.unit}}
    if one.options:
        tokens = {"type": "AllowedTokens", "value": list(one.options)}
        return {**about, "type": "Category", "constraint": tokens}
    return {**about, "type": "Boolean"}


def act_of(loop: Loop, solution: str, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Return what a capability of the loop declares; ``inputs`` are Datastreams' names by their signals."""
    fields = {one.name for one in loop.sets}
    rules = [_named(msgspec.to_builtins(one), fields, inputs) for one in loop.interlocks]
    if loop.policy and not any(isinstance(one, Authority) for one in loop.interlocks):
        rules.append({"kind": "authority", "models": [loop.policy]})
    seen = {"seen": loop.seen} if isinstance(loop.seen, str) else {}
    return seen | {
        "lease": loop.lease, "age": loop.age, "every": loop.every, "guarded": loop.guarded,
        "promote": msgspec.to_builtins(loop.promote),
        "rests": [f"{solution}-{one}" for one in loop.rests],
        "interlocks": rules, "plan": list(msgspec.to_builtins(loop.plan)),
    }  # fmt: skip


def capability(loop: Loop, solution: str, inputs: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the ``taskingParameters`` and the properties of a capability of the loop."""
    mark = f"{solution}/{loop.command}"
    return parameters(loop), {LOOP: mark, ACT: act_of(loop, solution, inputs)}


def check(
    loop: Loop, solution: str, signals: Collection[str], problems: Sequence[str], where: str
) -> Declared:
    """Return what a loop declares, checked as a capability's is; what is wrong is raised with its place."""
    for name in loop.rests:
        if name not in problems:
            raise DeclarationError(
                f"{solution}: there is no problem {name!r} to rest on", where=f"{where}.rests",
                hint=f"one of: {', '.join(problems)}",
            )  # fmt: skip
    known = {one: one for one in signals}
    act = act_of(loop, solution, known)
    found = declared({ACT: act}, parameters(loop), where=where)
    if found is None:
        raise DeclarationError("it declares nothing", where=where)
    for number, rule in enumerate(act["interlocks"]):
        unknown = sorted(_inputs(rule, found.fields.keys()) - set(signals))
        if unknown:
            raise DeclarationError(
                f"{solution}: there is no signal {unknown[0]!r}", where=f"{where}.interlocks[{number}]",
                hint=f"declared are: {', '.join(sorted(signals))}",
            )  # fmt: skip
    return found


def _named(rule: dict[str, Any], fields: Collection[str], inputs: Mapping[str, str]) -> dict[str, Any]:
    """Return a rule with the names of Datastreams in the place of signals."""

    def of(name: str) -> str:
        return name if name in fields else inputs.get(name, name)

    def condition(one: dict[str, Any]) -> dict[str, Any]:
        return one | {"of": of(one["of"])}

    found = dict(rule)
    if rule["kind"] == "fresh":
        found["inputs"] = [of(one) for one in rule["inputs"]]
    if rule["kind"] == "effect":
        found["input"] = of(rule["input"])
    if "needs" in rule:
        found["needs"] = [condition(one) for one in rule["needs"]]
    if "pairs" in rule:
        found["pairs"] = [[condition(one) for one in pair] for pair in rule["pairs"]]
    return found


def _inputs(rule: Mapping[str, Any], fields: Collection[str]) -> set[str]:
    """Return the inputs that a rule names."""
    names = set(rule.get("inputs", ()))
    if rule["kind"] == "effect":
        names.add(rule["input"])
    conditions = [*rule.get("needs", ()), *(one for pair in rule.get("pairs", ()) for one in pair)]
    return (names | {one["of"] for one in conditions}) - set(fields)
