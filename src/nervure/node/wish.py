"""From a Task to a proposal: who wants what, as the platform knows it and not as somebody says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from nervure.act import array, track
from nervure.act.guard import rules
from nervure.act.standing import Ruling, Standing, demoted
from nervure.core.command import (
    AHEAD_NS,
    HAND,
    MODEL_SLOT,
    SLOTS,
    Approval,
    Evidence,
    Proposal,
    Trip,
    foremost,
)
from nervure.core.error import ConflictError, QueryError
from nervure.core.instant import SECOND_NS, to_ns
from nervure.core.interlock import Declared
from nervure.core.interlock_check import span_ns
from nervure.core.mac import fingerprint
from nervure.core.order import Ask, Do, Order, Report, covers, mark
from nervure.core.strange import Strange
from nervure.store.loop import Asked
from nervure.trust.principal import PEOPLE

__all__ = [
    "Doubt",
    "Heard",
    "Wish",
    "about",
    "asked",
    "by_its_clock",
    "cleared",
    "errand",
    "hands",
    "informed",
    "is_open",
    "lasting",
    "latched",
    "proposal_of",
    "since_ns",
    "unlike",
]


Doubt = Callable[[Evidence], str]
Text = Annotated[str, Meta(max_length=200)]
_LONGEST_S = 1e9  # of a lease: 31 years


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a Task may say of itself, under ``act`` in its properties; ``seen``: of when its readings are.

    ``strange`` is how unlike what its model was taught on they are, which is looked at by ``node.drift``.
    """

    model: Text = ""
    slot: Annotated[int, Meta(ge=1, le=SLOTS)] | None = None
    lease_s: Annotated[float, Meta(gt=0, le=_LONGEST_S)] | None = None
    inputs: Text = ""
    seen: Annotated[datetime, Meta(tz=True)] | None = None
    rests: Annotated[tuple[Text, ...], Meta(max_length=20)] = ()
    evidence: Evidence | None = None
    strange: Strange | None = None


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """The newest report of a guard, and when the log had it."""

    report: Report
    at_ns: int
    thing: int


def proposal_of(
    found: Asked, read: Declared, approvals: tuple[Approval, ...], now_ns: int, doubt: Doubt
) -> Proposal:
    """Return a Task as a proposal: who asked for it is what the platform wrote down, not what it says.

    ``doubt`` says what speaks against its evidence.
    """
    properties = found.properties if isinstance(found.properties, Mapping) else {}
    try:
        wish = msgspec.convert(properties.get("act", {}), Wish)
    except msgspec.ValidationError as cause:
        raise QueryError(
            f"act in the Task's properties cannot be read: {cause}", hint="docs/act.md lists what it may say"
        ) from cause
    first = found.run_log[0] if found.run_log else {}
    person = first.get("as") in PEOPLE and not wish.model
    asker = str(first.get("by", ""))
    model = "" if person else wish.model or asker
    slot = wish.slot if wish.slot is not None else (HAND if person else MODEL_SLOT)
    since = min(since_ns(found), now_ns)
    seen = None if wish.seen is None or approvals else to_ns(wish.seen)  # people have looked since
    lease = span_ns(read.lease) if wish.lease_s is None else round(wish.lease_s * SECOND_NS)
    begin = since if seen is None or read.guarded else min(since, seen)  # a guard begins it then by itself
    return Proposal(
        id=str(found.task),
        values=found.values if isinstance(found.values, Mapping) else {},
        by="person" if person else "model",
        actor=model or asker,
        model=model,
        asker=asker if model and first.get("as") != "open" else "",  # else names tell nobody apart
        slot=slot,
        issued_ns=since,
        until_ns=None if person and wish.lease_s is None else begin + lease,
        inputs=wish.inputs,
        seen_ns=seen,
        rests=wish.rests,
        approvals=approvals,
        evidence=None if wish.evidence is None else replace(wish.evidence, wrong=doubt(wish.evidence)[:200]),
    )


def by_its_clock(proposal: Proposal, read: Declared, heard: Heard) -> Proposal:
    """Return a proposal whose readings have their instant by the clock of its guard, or an earlier one.

    What is simulated reads by the guard's clock. Elsewhere the newest report says how the clocks stand: it
    had been said when it was heard, so the readings are taken for older than they are, never for younger.
    """
    if proposal.seen_ns is None or read.simulated:
        return proposal
    return replace(proposal, seen_ns=heard.report.clock_ns - (heard.at_ns - proposal.seen_ns))


def informed(
    standing: Standing, read: Declared, report: Report, at_ns: int, position: int = 0
) -> Standing:  # fmt: skip
    """Return how a loop stands with what its guard reports, at a position of the log.

    A guard that was started anew has forgotten what had tripped; the platform has not. Where its time is
    simulated (:mod:`nervure.node.there`) it is as late as it says.
    """
    at_ns = report.clock_ns if read.simulated else at_ns
    carried, anew, known = standing.carried, standing.anew, standing.known
    if standing.boot != report.boot:
        carried, anew = known.trips if standing.boot else carried, position
        if read.simulated:  # what was read before is of another present
            known = replace(known, inputs={})
    again = read.simulated and at_ns < known.now_ns - AHEAD_NS  # a simulation that begins anew
    if not known.held or known.now_ns == 0 or again:
        known = track.began(read, report.values, at_ns)
    known = track.applied(track.at(known, at_ns), read, report.values)
    said = {one.rule for one in report.trips}
    trips = report.trips + tuple(one for one in carried if one.rule not in said)
    known = replace(known, trips=trips, pending={})  # whether it had an effect is seen there
    slots = tuple(
        array.Entry(
            slot=one.slot, values=one.values, by="person" if one.by == "person" else "model",
            actor=one.actor, id=one.id,
            until_ns=None if one.left_s is None else at_ns + round(one.left_s * SECOND_NS),
        )
        for one in report.slots
    )  # fmt: skip
    asks = tuple(one for one in standing.asks if is_open(one, report))
    return replace(
        standing, known=known, slots=slots, boot=report.boot, anew=anew, carried=carried, asks=asks
    )


def cleared(standing: Standing, read: Declared, report: Report | None) -> Standing:
    """Return how a loop stands once a person resets trips: what its guard has latched, it has to reset.

    Raises ``ConflictError`` where nothing has: what trips later was seen to by nobody.
    """
    latched = report.trips if report is not None and read.guarded else ()
    if not (latched or standing.known.trips):
        raise ConflictError("nothing has tripped here", hint="nervure act list shows what has")
    known = track.cleared(standing.known)
    return replace(standing, known=replace(known, trips=latched), carried=())


def latched(standing: Standing, ruling: Ruling, now_ns: int) -> Standing:
    """Return how a loop stands that tripped by the platform's own judge, as its device has no guard."""
    last = foremost(ruling.verdicts)
    if last is None or standing.known.trips:
        return standing
    known = track.tripped(standing.known, Trip(rule=last.rule, time_ns=now_ns, why=last.why))
    return replace(demoted(standing, now_ns, to="advisory"), known=known, trips=standing.trips + 1)


def unlike(heard: Heard | None, read: Declared, key: bytes, capability: int) -> str:
    """Say why a guard would not do what it is told: other rules, or another key; or nothing."""
    if heard is None:
        return ""
    if heard.report.rules != rules(read):
        return "guard: the device keeps to another declaration; bring it the new one"
    if heard.report.key != fingerprint(key):
        which = "another key" if heard.report.key else "no key to know orders by (an older release?)"
        return f"guard: the device has {which}; give it its file: nervure act guard {capability} --out FILE"
    return ""


def since_ns(found: Asked) -> int:
    """Return since when a Task may be done: when it was asked, or when people had said yes."""
    for line in reversed(found.run_log):
        if line.get("status") == "approved":
            return to_ns(datetime.fromisoformat(line["time"]))
    return found.creation_ns


def is_open(ask: Ask, report: Report) -> bool:
    """Tell whether a guard has yet to do what was asked; what has tripped since, nobody has looked at."""
    if ask.do == "reset":
        return bool(report.trips) and all(mark(one) in ask.of for one in report.trips)
    return any(one.slot == ask.slot and covers(one.id, ask.task, ask.of) for one in report.slots)


def about(standing: Standing, do: Do, slot: int, who: str, newest: int) -> Ask:
    """Return a wish to a guard, about what is there now; ``newest`` is the newest Task."""
    if do == "reset":
        return Ask(do=do, who=who, of=tuple(mark(one) for one in standing.known.trips))
    held = tuple(one.id for one in standing.slots if one.slot == slot)
    return Ask(do=do, slot=slot, who=who, task=newest, of=held)


def hands(standing: Standing) -> tuple[int, ...]:
    """Return the slots that people hold, as far as is known, and that of a hand, which may be on its way."""
    return tuple(sorted({HAND, *(one.slot for one in standing.slots if one.by == "person")}))


def asked(standing: Standing, ask: Ask) -> Standing:
    """Return how a loop stands with one more wish to its guard, which takes the place of one like it."""
    others = tuple(one for one in standing.asks if (one.do, one.slot) != (ask.do, ask.slot))
    return replace(standing, asks=(*others, ask))


def errand(ask: Ask, capability: int, number: int, report: Report) -> Order:
    """Return the order by which a guard does what was asked."""
    return Order(
        capability=capability, number=number, boot=report.boot, echo_ns=report.clock_ns, do=ask.do,
        slot=ask.slot, who=ask.who, task=ask.task, of=ask.of,
    )  # fmt: skip


def lasting(standing: Standing) -> bytes:
    """Return how a loop stands as it is kept: what an input said is kept where JSON can say it."""
    sane = {
        name: one
        for name, one in standing.known.inputs.items()
        if isinstance(one.value, str) or math.isfinite(one.value)
    }
    return msgspec.json.encode(replace(standing, known=replace(standing.known, inputs=sane)))
