"""The judge of commands: one pure function, asked in the platform and again beside the actuator.

It reads no clock and touches nothing: the same proposal, declaration and knowledge give the same
verdicts. What is not known counts as unsafe. A person's hand wins over every model, and keeps to
whatever binds ``all``; the local plan keeps to that too.

This is no safety-instrumented system (IEC 61511): the hardware interlocks of the plant stay.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from nervure.act.check import PASS, RULES, Said, changes, kind, seconds, title
from nervure.core.command import AHEAD_NS, HAND, Known, Proposal, Verdict, digest
from nervure.core.interlock import Declared
from nervure.core.interlock_check import span_ns

__all__ = ["CHANGES", "judge"]

CHANGES = 4096
"""How many past changes are kept: with more within the spans that rules look back, nothing is changed."""

_MOST = sys.float_info.max  # a whole number of JSON may be longer than any double


def judge(proposal: Proposal, declared: Declared, known: Known) -> tuple[Verdict, ...]:
    """Return what every rule says of a command: it may be given only if all of them let it pass.

    First come those that are no interlocks (``form``, ``seen`` where the declaration has it, ``lease``,
    ``authority``, ``trip``), then the declared ones, each under its name, and that a command does not say
    what it has ``seen``. A malformed command gets no further than ``form``.

    >>> from nervure.core.interlock import Range
    >>> speed = Declared(fields={"speed": "number"}, interlocks=(Range(of="speed", low=0, high=100),))
    >>> hand = Proposal(id="1", values={"speed": 120.0}, by="person", slot=8, actor="maria")
    >>> [(one.rule, one.outcome) for one in judge(hand, speed, Known())][-1]
    ('range of speed', 'refuse')
    """
    formed = _form(proposal, declared, known)
    found = [Verdict(rule="form", kind="form", outcome=formed[0], why=formed[1])]
    if formed != PASS:
        return tuple(found)
    bound = isinstance(declared.seen, str)
    if bound and proposal.seen_ns is not None:  # what is late is wrong in other ways too
        found.append(_always("seen", _seen, proposal, declared, known))
    for name, rule in (("lease", _lease), ("authority", _slot), ("trip", _trip)):
        found.append(_always(name, rule, proposal, declared, known))
    for one in declared.interlocks:
        outcome, why = PASS
        if one.binds == "all" or proposal.by == "model":
            outcome, why = RULES[type(one)](one, proposal, declared, known)
        found.append(Verdict(rule=title(one), kind=kind(one), outcome=outcome, why=why))
    if bound and proposal.seen_ns is None:
        found.append(_always("seen", _seen, proposal, declared, known))
    return tuple(found)


def _always(
    name: str, rule: Callable[[Proposal, Declared, Known], Said], proposal: Proposal, declared: Declared,
    known: Known,
) -> Verdict:  # fmt: skip
    outcome, why = rule(proposal, declared, known)
    return Verdict(rule=name, kind=name, outcome=outcome, why=why)


# --- what nobody has to declare -----------------------------------------------------------------------


def _form(proposal: Proposal, declared: Declared, known: Known) -> Said:
    if not proposal.values:
        return "refuse", "it sets nothing"
    for name, value in proposal.values.items():
        form = declared.fields.get(name)
        if form is None:
            return "refuse", f"there is no field {name!r}; there is {', '.join(declared.fields)}"
        if isinstance(value, bool | str):
            right = form == ("boolean" if isinstance(value, bool) else "text")
        else:
            right = form == "number" and isinstance(value, float | int) and -_MOST <= value <= _MOST
        if not right:
            return "refuse", f"{name} is {value!r:.60}, which is no {form}"
    if len(known.acted) >= CHANGES and changes(proposal, known):
        return "refuse", f"it was changed {CHANGES} times within the spans that its rules look back"
    return PASS


def _lease(proposal: Proposal, declared: Declared, known: Known) -> Said:
    if proposal.by == "plan":
        return PASS
    now = known.now_ns
    if proposal.issued_ns > now + AHEAD_NS:
        return "refuse", f"it was issued {seconds(proposal.issued_ns - now)} in the future"
    if now - proposal.issued_ns > span_ns(declared.age):
        return "refuse", f"it is {seconds(now - proposal.issued_ns)} old; {declared.age} is allowed"
    if proposal.until_ns is None:
        return PASS if proposal.by == "person" else ("refuse", "a model's command needs a lease")
    if proposal.until_ns <= now:
        return "refuse", f"its lease ended {seconds(now - proposal.until_ns)} ago"
    longest = span_ns(declared.lease)
    if proposal.by == "model" and proposal.until_ns > now + longest:
        return "refuse", f"its lease of {seconds(proposal.until_ns - now)} is longer than {declared.lease}"
    return PASS


def _seen(proposal: Proposal, declared: Declared, known: Known) -> Said:
    """Say whether what a model's command rests on was read lately, by the time of the device."""
    if not isinstance(declared.seen, str) or proposal.by != "model":
        return PASS
    of = digest(proposal.values)
    if any(one.of == of and one.who and one.who != proposal.actor for one in proposal.approvals):
        return PASS  # somebody has looked at it since
    if proposal.seen_ns is None:
        return "refuse", "it does not say of when the readings are that it rests on"
    age = known.now_ns - proposal.seen_ns
    if age < -AHEAD_NS and not declared.simulated:  # what is simulated may be farther than we were told
        return "refuse", f"it rests on readings {seconds(-age)} in the future"
    if age > span_ns(declared.seen):
        return "refuse", f"it rests on readings {seconds(age)} old; {declared.seen} is allowed"
    return PASS


def _slot(proposal: Proposal, _declared: Declared, _known: Known) -> Said:
    if proposal.by == "model" and proposal.slot <= HAND:
        return "refuse", f"slot {proposal.slot} belongs to people; models command from {HAND + 1} on"
    if proposal.by == "person" and not proposal.actor:
        return "refuse", "a person has a name"
    return PASS


def _trip(proposal: Proposal, _declared: Declared, known: Known) -> Said:
    if known.trips and proposal.by == "model":
        first = known.trips[0]
        return "refuse", f"tripped by {first.rule}: {first.why}; a person has to reset it"
    return PASS
