"""How a loop stands: its mode, what it has shown in it, what people hold; and what becomes of a proposal.

Pure as the judge: the node keeps a :class:`Standing` in the catalogue, a bench keeps it in memory.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from nervure.act import array
from nervure.act.interlock import judge
from nervure.core.command import Known, Proposal, Trip, Verdict, digest, foremost
from nervure.core.error import ConflictError
from nervure.core.interlock import Declared
from nervure.core.order import Ask
from nervure.core.task import MODES, Mode, State

__all__ = ["RECENT", "Ruling", "Standing", "demoted", "promoted", "rule"]

RECENT = 50
"""How many of the newest commands say whether a loop drifts."""


_MODELS = 20

_STATE: Mapping[str, State] = {"trip": "tripped", "await": "awaiting approval"}


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A loop's mode since when, what was judged of its models meanwhile, its slots, its newest number.

    ``recent`` are the newest commands of models, 1 for refused; ``watch_ns`` is until when somebody has
    the watch; ``key`` counts the keys that its guard was given. ``boot`` is the start that its guard is in,
    ``anew`` where in the log that was first heard of, ``carried`` are the trips of starts before it: they too
    need a person. ``models`` are the newest that commanded it, and what they rest on; ``drifting`` those for
    whose drift it has lost a step, ``asks`` what people want of its guard that it has not done yet.
    ``unproven`` is what it had yet to show when somebody raised it to its mode for a reason.
    """

    mode: Mode = "shadow"
    since_ns: int = 0
    judged: int = 0
    refused: int = 0
    trips: int = 0
    recent: tuple[int, ...] = ()
    watch_ns: int = 0
    watcher: str = ""
    unproven: str = ""
    number: int = 0
    key: int = 0
    boot: str = ""
    anew: int = 0
    carried: tuple[Trip, ...] = ()
    models: tuple[str, ...] = ()
    drifting: tuple[str, ...] = ()
    asks: tuple[Ask, ...] = ()
    slots: array.Slots = ()
    known: Known = Known()


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a proposal: the state of its Task, what every rule said, and the reason in words.

    ``lowered`` tells why the loop has lost its mode by this, or nothing.
    """

    state: State
    verdicts: tuple[Verdict, ...]
    detail: str = ""
    lowered: str = ""


def rule(proposal: Proposal, declared: Declared, standing: Standing, now_ns: int) -> tuple[Standing, Ruling]:
    """Judge a proposal on the platform's side.

    ``checked`` means that it may be dispatched now, ``awaiting approval`` that people have to say yes.
    Where the device's time is simulated, rules are judged at the instant up to which it is known.
    """
    here_ns = standing.known.now_ns if declared.simulated else now_ns
    known = replace(standing.known, now_ns=here_ns)
    verdicts = judge(proposal, declared, known)
    if proposal.by == "model":
        verdicts = (*verdicts, _mode(proposal, standing, now_ns))
    last = foremost(verdicts)
    after, lowered = _counted(proposal, verdicts, declared, standing, now_ns)
    if last is not None:
        state = _STATE.get(last.outcome, "rejected")
        found = Ruling(state=state, verdicts=verdicts, detail=f"{last.rule}: {last.why}", lowered=lowered)
        return after, found
    slots, _ = array.expire(after.slots, here_ns)
    above = array.stronger(slots, proposal.slot, proposal.values)
    if above is not None and proposal.by == "model":
        held = f"slot {above.slot} is held by {above.actor or above.model}"
        return after, Ruling(state="overridden", verdicts=verdicts, detail=held, lowered=lowered)
    return after, Ruling(state="checked", verdicts=verdicts, lowered=lowered)


def promoted(
    standing: Standing, declared: Declared, mode: Mode, who: str, now_ns: int, *, watch_ns: int = 0,
    because: str = "",
) -> Standing:  # fmt: skip
    """Return the loop in another mode; up goes one step at a time, and only on evidence.

    A reason takes the place of both, and what was missing stays with it. Raises ``ConflictError`` with what
    is missing; where something has tripped, no reason helps. Down goes at once, whoever may act.
    """
    here, there = MODES.index(standing.mode), MODES.index(mode)
    missing = _missing(standing, declared, mode) if there > here else ""
    if missing and standing.known.trips and because:
        raise ConflictError("it has tripped", hint="nervure act trip reset, once somebody has seen to it")
    if missing and not because:
        raise ConflictError(
            f"this loop may not go from {standing.mode} to {mode}: {missing}",
            hint="a reason takes the place of evidence (--because), and stands in the log",
        )
    if there == here:
        return replace(standing, watch_ns=watch_ns, watcher=who) if mode == "supervised" else standing
    return replace(
        standing, mode=mode, since_ns=now_ns, judged=0, refused=0, trips=0, recent=(), unproven=missing,
        watch_ns=watch_ns if mode == "supervised" else 0, watcher=who,
    )  # fmt: skip


def demoted(standing: Standing, now_ns: int, *, to: Mode | None = None) -> Standing:
    """Return the loop one mode lower, or in ``to`` if that is lower."""
    here = MODES.index(standing.mode)
    there = min(here, max(here - 1, 0) if to is None else MODES.index(to))
    if there == here:
        return standing
    return replace(
        standing, mode=MODES[there], since_ns=now_ns, judged=0, refused=0, trips=0, recent=(), unproven="",
        watch_ns=0,
    )  # fmt: skip


def _missing(standing: Standing, declared: Declared, mode: Mode) -> str:
    """Say what a loop has yet to show before it may go up, and which modes would be left out; or nothing."""
    asked, found = declared.promote, []
    over = MODES[MODES.index(standing.mode) + 1 : MODES.index(mode)]
    if over:
        found.append(f"{' and '.join(over)} left out: one step at a time")
    if trips := max(len(standing.known.trips), standing.trips):
        found.append(f"{trips} trips since")
    if standing.drifting:
        found.append(f"{', '.join(standing.drifting)} drifts")
    if standing.judged < asked.least:
        found.append(f"{standing.judged} commands were judged in it, {asked.least} are needed")
    elif (share := standing.refused / max(1, standing.judged)) > asked.refused:
        found.append(f"{share:.1%} of its commands were refused, {asked.refused:.1%} are allowed")
    return "; ".join(found)


def _mode(proposal: Proposal, standing: Standing, now_ns: int) -> Verdict:
    """Say what a loop's mode makes of a model's command."""
    approved = any(
        one.of == digest(proposal.values) and one.who and one.who != proposal.actor
        for one in proposal.approvals
    )
    match standing.mode:
        case "shadow":
            return Verdict(rule="mode", kind="mode", outcome="refuse", why="shadow: judged only")
        case "advisory" if not approved:
            return Verdict(rule="mode", kind="mode", outcome="await", why="advisory: a person says yes first")
        case "supervised" if now_ns >= standing.watch_ns and not approved:
            return Verdict(rule="mode", kind="mode", outcome="await", why="supervised: nobody has the watch")
        case _:
            return Verdict(rule="mode", kind="mode", outcome="pass")


def _counted(
    proposal: Proposal, verdicts: tuple[Verdict, ...], declared: Declared, standing: Standing, now_ns: int
) -> tuple[Standing, str]:
    """Count a model's command as evidence; a loop that trips, or is refused too often, loses its mode."""
    if proposal.by != "model" or proposal.approvals:  # what people said yes to was counted when it was asked
        return standing, ""
    late = proposal.seen_ns is not None and any(
        one.outcome == "refuse" for one in verdicts if one.kind == "seen"
    )  # which says how the platform does, not its controller
    bad = not late and any(one.outcome in ("refuse", "trip") for one in verdicts if one.kind != "mode")
    trip = any(one.outcome == "trip" for one in verdicts)
    recent = (*standing.recent, int(bad))[-RECENT:]
    after = replace(
        standing, judged=standing.judged + 1, refused=standing.refused + bad, trips=standing.trips + trip,
        recent=recent, models=_lately(proposal, standing.models),
    )  # fmt: skip
    if trip and MODES.index(standing.mode) > MODES.index("advisory"):
        return demoted(after, now_ns, to="advisory"), "it tripped"
    if len(recent) == RECENT and sum(recent) > declared.promote.demote * RECENT and standing.mode != "shadow":
        return demoted(after, now_ns), f"{sum(recent)} of its last {RECENT} commands were refused"
    return after, ""


def _lately(proposal: Proposal, before: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the newest models, the newest first."""
    mine = tuple(dict.fromkeys((proposal.model, *proposal.rests)))
    if before[: len(mine)] == mine:
        return before
    return (*mine, *(one for one in before if one not in mine))[:_MODELS]
