"""What the actuators of a twin keep to: the interlocks that are declared of them in the platform.

One TaskingCapability a Thing, with a field for each of its actuators. What a quantity is called says which
rules it has, as it does on real devices; ranges come from the actuators themselves. Times are those of the
twin. Two spans are about the way from the platform to the device, which takes as long as it takes however
fast the twin goes: how old a command may be, and how long one holds at least. They grow with the speed.
Not so at signals: what rests on who stood there a minute ago does harm, whoever was slow, so there readings
may be two steps old and a command holds for three, and a platform that is late leaves them to their plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from nervure.core.junction import Junction
from nervure.twin.api import Actuator, Description

__all__ = ["KINDS", "keeps", "wants"]

Act = dict[str, Any]
_AGE_S, _LEASE_S = 5.0, 1.0  # of ours: a command on its way, the shortest lease worth having
_LEAST_S = 10.0
_LEASE_STEPS = 12
KINDS = frozenset({"conflict", "dwell", "fresh", "hourly", "range", "require", "sequence", "starve"})
"""The kinds of interlocks that twins declare; all others are somebody's own."""

_BRIEF = ("phase",)  # what rests on who stands there now: of a minute ago it is worse than a plan
_BRIEF_S, _SEEN_S = 30.0, 20.0


def keeps(about: Description, *, speed: float = 1.0, lease_s: float | None = None) -> dict[str, Act]:
    """Return what each Thing with actuators keeps to, as ``properties.act`` has it, at so many times life.

    >>> from nervure.twin.flood import Flood
    >>> act = keeps(Flood().describe(), speed=60.0)["basin"]
    >>> act["lease"], act["age"], act["plan"]
    ('10800s', '1800s', [{'hold': '1h', 'values': {'gate': 0}}])
    """
    return {
        thing: _act(about, parts, speed=speed, lease_s=lease_s)
        for thing, parts in wants(about).items()
    }  # fmt: skip


def wants(about: Description) -> dict[str, list[Actuator]]:
    """Return the actuators by their Thing."""
    found: dict[str, list[Actuator]] = {}
    for one in about.actuators:
        found.setdefault(one.thing, []).append(one)
    return found


def _act(about: Description, parts: Sequence[Actuator], *, speed: float, lease_s: float | None) -> Act:
    step_s, known = about.step_s, frozenset(one.name for one in about.sensors)
    least = max(_LEAST_S, 2 * step_s) if step_s >= 1 else 2.0
    brief = all(one.signal in _BRIEF for one in parts)
    longest = max(_BRIEF_S, 3 * step_s) if brief else max(_LEASE_STEPS * step_s, _LEASE_S * speed, least)
    lease = longest if lease_s is None else lease_s
    rules: list[Act] = [
        {"kind": "range", "of": one.signal, "low": one.low, "high": one.high} for one in parts
    ]
    plan: list[Act] = []
    for one in parts:
        more, own = _RULES.get(one.signal, _nothing)(one, about, known)
        rules += [rule for rule in more if rule not in rules]
        plan += own
    if not plan and all(one.rest is not None for one in parts):
        plan = [{"hold": "1h", "values": {one.signal: one.rest for one in parts}}]
    return {
        "simulated": True, "lease": _span(lease), "age": _span(max(least, _AGE_S * speed)),
        "every": _span(max(step_s, 0.001)), "interlocks": rules, "plan": plan,
        **({"seen": _span(max(_SEEN_S, 2 * step_s))} if brief else {}),
    }  # fmt: skip


def _span(seconds: float) -> str:
    """Write a duration.

    >>> _span(0.01), _span(300.0), _span(1e6)
    ('10ms', '300s', '1000000s')
    """
    return f"{seconds * 1000:g}ms" if seconds < 1 else f"{round(seconds, 3):.10g}s"


Found = tuple[list[Act], list[Act]]


def _nothing(_one: Actuator, _about: Description, _known: frozenset[str]) -> Found:
    return [], []


def _phase(one: Actuator, about: Description, known: frozenset[str]) -> Found:
    """A signal: any green may follow any other once it has been on for a while; nobody waits for ever.

    What must not wait too long are lanes and turns: a phase whose greens others have too may be left out.
    The yellow between is the signal's own. Its plan is the net's, in whole steps.
    """
    junction, step_s = one.about["junction"], about.step_s
    needed = [str(at) for at in msgspec.convert(junction, Junction).needed]
    states = [str(at) for at in range(int(one.high) + 1)]
    least = junction["yellow_s"] + junction["min_green_s"]
    all_round = len(needed) * (least + step_s)
    shown = f"{one.thing}/signal/shown"
    rules: list[Act] = [
        {"kind": "sequence", "of": one.signal,
         "after": {at: [to for to in states if to != at] for at in states},
         "least": dict.fromkeys(states, _span(least))},
        {"kind": "starve", "of": one.signal, "states": needed,
         "most": _span(max(junction["max_red_s"], all_round))},
    ]  # fmt: skip
    if shown in known:
        rules.append({"kind": "fresh", "inputs": [shown], "within": _span(max(60.0, 6 * step_s))})
    plan = [
        {"hold": _span(max(1, int((green + junction["yellow_s"]) / step_s + 0.5)) * step_s),
         "values": {one.signal: at}}
        for at, green in enumerate(junction["plan_s"])
    ]  # fmt: skip
    return rules, plan


def _setpoint(one: Actuator, about: Description, known: frozenset[str]) -> Found:
    """A thermostat: never heat against cold, and no model where the room's temperature cannot be right."""
    read = f"{one.thing}/temperature"
    hot, cold = "heat_setpoint", "cool_setpoint"
    rules: list[Act] = [
        {"kind": "conflict", "name": "heat against cold",
         "pairs": [[{"of": hot, "low": 22.5}, {"of": cold, "high": 22.5}]]},
        {"kind": "hourly", "most": 30},
    ]  # fmt: skip
    if read in known:
        rules += [
            {"kind": "fresh", "inputs": [read], "within": _span(max(1800.0, 3 * about.step_s))},
            {"kind": "require", "name": "a temperature that can be", "binds": "models",
             "needs": [{"of": read, "low": 5.0, "high": 40.0}]},
        ]  # fmt: skip
    return rules, []


def _valve(one: Actuator, _about: Description, _known: frozenset[str]) -> Found:
    """An isolating valve: open or closed, never moved to and fro."""
    return [
        {"kind": "sequence", "of": one.signal, "after": {"0": ["1"], "1": ["0"]},
         "least": {"0": "1min", "1": "1min"}},
        {"kind": "hourly", "most": 12},
    ], []  # fmt: skip


def _pump(one: Actuator, _about: Description, _known: frozenset[str]) -> Found:
    """A pump: not started and stopped all the time."""
    return [
        {"kind": "dwell", "of": one.signal, "on": "5min", "off": "5min"},
        {"kind": "hourly", "most": 30},
    ], []


def _seldom(one: Actuator, _about: Description, _known: frozenset[str]) -> Found:
    """A gate, a drive, a dose: a dozen changes an hour."""
    return [{"kind": "hourly", "most": 12, "of": one.signal}], []


_RULES: Mapping[str, Callable[[Actuator, Description, frozenset[str]], Found]] = {
    "phase": _phase, "heat_setpoint": _setpoint, "cool_setpoint": _setpoint, "valve": _valve, "pump": _pump,
    "gate": _seldom, "speed": _seldom, "dose": _seldom,
}  # fmt: skip
