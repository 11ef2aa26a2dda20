"""Commands: what somebody wants of an actuator, what is known there, and what was judged of it.

The words that an interlock's judge and whoever asks it share; nothing here does anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from nervure.core.interlock import Value

__all__ = [
    "AHEAD_NS",
    "HAND",
    "MODEL_SLOT",
    "SLOTS",
    "Approval",
    "By",
    "Evidence",
    "Held",
    "Input",
    "Known",
    "Outcome",
    "Pending",
    "Proposal",
    "Trip",
    "Verdict",
    "allowed",
    "digest",
    "foremost",
    "moved",
]

SLOTS = 16
"""Places in the priority array of an actuator, 1 the strongest (ASHRAE 135, clause 19)."""

HAND = 8
"""The slot of a person's hand (manual operator); no model gets this one or a stronger one."""

MODEL_SLOT = 12
"""Where models command unless they say otherwise."""

AHEAD_NS = 2_000_000_000
"""How far in the future an instant may lie before nobody believes it."""

By = Literal["person", "model", "plan"]
Outcome = Literal["pass", "await", "refuse", "trip"]
Text = Annotated[str, Meta(max_length=200)]


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """Who approved which values, and when."""

    who: Text
    time_ns: int
    of: Text
    """The :func:`digest` of the values."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a what-if found of these values: the interval of each figure, over how many runs.

    ``of`` is the :func:`digest` of the values, ``commands`` what was set in which ``twin``
    (``roads/corridor``), by its actuators' names, in which ``scenario`` and over which ``seeds``. ``seal`` is
    the signature of all that (:mod:`nervure.trust.testimony`). ``wrong`` is what the platform has against it:
    it alone says that.
    """

    of: Text
    time_ns: int
    kpis: Annotated[Mapping[str, tuple[float, float]], Meta(max_length=200)]
    runs: int = 1
    twin: Text = ""
    commands: Annotated[Mapping[str, float], Meta(max_length=200)] = {}
    scenario: Annotated[Mapping[str, float], Meta(max_length=200)] = {}
    minutes: float = 0.0
    seeds: Annotated[tuple[int, ...], Meta(max_length=1000)] = ()
    seal: Text = ""
    wrong: Text = ""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A command before it is one.

    ``number`` rises with every command to the same capability. ``until_ns`` ends its lease; None is
    for people only. ``asker`` is who asked in the name of a model, ``inputs`` the hash of what that saw,
    ``rests`` the models that it rests on, ``seen_ns`` the instant of its readings, by the clock of whoever
    judges.
    """

    id: Text
    values: Annotated[Mapping[str, Value], Meta(max_length=200)]
    by: By = "model"
    actor: Text = ""
    number: int = 0
    slot: Annotated[int, Meta(ge=1, le=SLOTS)] = MODEL_SLOT
    issued_ns: int = 0
    until_ns: int | None = None
    model: Text = ""
    asker: Text = ""
    inputs: Text = ""
    seen_ns: int | None = None
    rests: Annotated[tuple[Text, ...], Meta(max_length=20)] = ()
    approvals: Annotated[tuple[Approval, ...], Meta(max_length=50)] = ()
    evidence: Evidence | None = None


class Held(msgspec.Struct, frozen=True, array_like=True):
    """A value that was in force, and since when."""

    value: Value
    since_ns: int


class Input(msgspec.Struct, frozen=True, array_like=True):
    """A reading that commands depend on: its value, its time, and since when it says the same."""

    value: Value
    time_ns: int
    since_ns: int


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """A change whose effect is awaited: since when, what the input said then, how far it has moved."""

    since_ns: int
    value: float | None
    moved: float = 0.0


class Trip(msgspec.Struct, frozen=True, kw_only=True):
    """A latched trip: which interlock, when, why. It stays until a person resets it."""

    rule: Text
    time_ns: int
    why: Annotated[str, Meta(max_length=500)]


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known at one actuator at one instant, by whoever judges.

    ``held`` are the values in force and those before, by field, the newest last; ``acted`` when what
    was changed, the newest last; ``left`` since when states that may starve have waited; ``pending``
    the changes whose effect is awaited, and ``benched`` until when models are not heard, by the name of the
    rule.
    """

    now_ns: int = 0
    held: Mapping[str, tuple[Held, ...]] = {}
    acted: tuple[tuple[int, str], ...] = ()
    inputs: Mapping[str, Input] = {}
    left: Mapping[str, int] = {}
    pending: Mapping[str, Pending] = {}
    trips: tuple[Trip, ...] = ()
    benched: Mapping[str, int] = {}

    def value(self, field: str) -> Value | None:
        """Return the value in force, or None where it is not known."""
        held = self.held.get(field)
        return held[-1].value if held else None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule says of a proposal, and why, in words for people."""

    rule: str
    kind: str
    outcome: Outcome
    why: str = ""


def allowed(verdicts: tuple[Verdict, ...]) -> bool:
    """Tell whether every rule lets a proposal pass."""
    return all(one.outcome == "pass" for one in verdicts)


def foremost(verdicts: tuple[Verdict, ...]) -> Verdict | None:
    """Return the verdict that decides: a trip before a refusal, that before what is still awaited."""
    for outcome in ("trip", "refuse", "await"):
        for one in verdicts:
            if one.outcome == outcome:
                return one
    return None


def digest(values: Mapping[str, Value]) -> str:
    """Return the hash of values, by which approvals and evidence name them.

    >>> digest({"speed": 40.0}) == digest({"speed": 40}), digest({"speed": 41}) == digest({"speed": 40})
    (True, False)
    """
    plain = {name: float(one) if type(one) is int else one for name, one in values.items()}
    return hashlib.sha256(msgspec.json.encode(plain, order="deterministic")).hexdigest()[:32]


def moved(proposal: Proposal, issued_ns: int, now_ns: int) -> Proposal:
    """Return a proposal with its times by another clock, at which it was issued then and it is so late now.

    Its lease lasts as long as before, from now on, or from what it has seen, where it says that: ``seen_ns``
    is of the other clock already. Approvals and evidence stay as old as they were.
    """
    shift = issued_ns - proposal.issued_ns
    shown = proposal.evidence
    begin_ns = now_ns if proposal.seen_ns is None else min(now_ns, proposal.seen_ns)
    return replace(
        proposal,
        issued_ns=issued_ns,
        until_ns=None if proposal.until_ns is None else begin_ns + (proposal.until_ns - proposal.issued_ns),
        approvals=tuple(replace(one, time_ns=one.time_ns + shift) for one in proposal.approvals),
        evidence=None if shown is None else replace(shown, time_ns=shown.time_ns + shift),
    )
