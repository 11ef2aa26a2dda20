"""Loops on a running node: each Task of a guarded capability is judged, sent, and put into its loop's log.

    requested ─▶ judge, mode ─▶ checked | awaiting approval | rejected …   one transaction, with its line
    guard     ─▶ nervure/tasks/3/guard-5/status                            how the device stands, each second
    order     ─▶ nervure/tasks/3                                           beside the Task, as devices know it

How a loop stands is kept in the catalogue with every decision; what guards report between two decisions is
kept in memory, and heard again within a second after a restart.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from nervure.act import array, track
from nervure.act.standing import Ruling, Standing, demoted, rule
from nervure.core.command import Approval, Proposal
from nervure.core.instant import SECOND_NS
from nervure.core.interlock import Declared
from nervure.core.interlock_check import inputs, span_ns
from nervure.core.mac import Sealed, fingerprint, sealed
from nervure.core.order import Do, Order, Report
from nervure.node.awaiting import Line
from nervure.node.bell import Bell
from nervure.node.plate import Plates
from nervure.node.there import Present, by_its_time, sensed
from nervure.node.wish import (
    Doubt,
    Heard,
    about,
    asked,
    by_its_clock,
    cleared,
    errand,
    hands,
    informed,
    lasting,
    latched,
    proposal_of,
    since_ns,
    unlike,
)
from nervure.store import loop as rows
from nervure.store.catalogue import Catalogue
from nervure.store.loop import Asked
from nervure.store.write.writer import Writer

__all__ = ["Loops"]

Derived = Callable[[str], bytes]
_AWAY_S = 5.0
_ANEW = "its guard was started anew"


class Loops:
    """The loops of a node; every method may be called from any thread."""

    def __init__(
        self, catalogue: Catalogue, writer: Writer, present: Present, seal: Callable[[bytes], str],
        derived: Derived, doubt: Doubt,
    ) -> None:  # fmt: skip
        self._catalogue = catalogue
        self._writer = writer
        self._present = present
        self._seal = seal
        self._derived, self._doubt = derived, doubt
        self._lock = threading.RLock()
        self._standing: dict[int, Standing] = {}
        self._heard: dict[int, Heard] = {}
        self._streams: dict[str, int] = {}
        self.plates = Plates(catalogue)
        self.bell = Bell(catalogue, self.plates.about)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Make one transaction, before which nobody else changes a loop; take it before any other."""
        with self._lock:
            try:
                with self._catalogue.together():
                    yield
            except BaseException:
                self._standing.clear()  # what was not kept is not so
                self.bell.forget()
                raise

    # --- what guards say -----------------------------------------------------------------------------

    def heard(self, thing: int, capability: int, report: Report, at_ns: int, position: int = 0) -> bool:
        """Take note of a guard's report, of when and where in the log; whether a Task may go on now."""
        with self._lock:
            before = self._heard.get(capability)
            if before is not None and before.at_ns > at_ns:
                return False
            fresh = before is None or before.report.boot != report.boot
            self._heard[capability] = Heard(report=report, at_ns=at_ns, thing=thing)
            read = self.plates.of(capability)
            if read is not None:
                before_it = self.standing(capability)
                if before_it.boot not in ("", report.boot):
                    self._over(capability, {one.id for one in report.slots})
                known = informed(before_it, read, report, at_ns, position)
                self._standing[capability] = known
                if before_it.boot != report.boot:  # where its start lies must outlive what others get wrong
                    self._keep(capability, known)
                self.bell.trips(capability, known.known.trips, at_ns)
            return fresh or bool(self.standing(capability).asks)

    def noted(self, capability: int, report: Report) -> None:
        """Write what a guard noticed into its loop's log; called within the transaction of its message."""
        with self._lock:
            read = self.plates.of(capability)
            if read is None:
                return
            tripped = [one for one in report.notes if one.what == "tripped"]
            standing = self.standing(capability)
            if tripped:
                lower = demoted(replace(standing, trips=standing.trips + 1), time.time_ns(), to="advisory")
                if lower.mode != standing.mode:
                    detail = {"from": standing.mode, "to": lower.mode, "why": "it tripped"}
                    self.write(capability, "platform", "demoted", detail, state=lower)
                standing = lower
            self._keep(capability, standing)
            for one in report.notes:
                self.write(capability, f"guard {report.boot[:8]}", one.what, one.detail)

    def drifts(self, capability: int, found: Mapping[str, str], now_ns: int) -> None:
        """Take a loop a step back for every model that it rests on and that is found to drift, once."""
        with self._lock:
            before = self.standing(capability)
            if set(found) == set(before.drifting):
                return
            with self.turn():
                fresh = [why for model, why in found.items() if model not in before.drifting]
                after = demoted(before, now_ns) if fresh else before
                after = replace(after, drifting=tuple(found))
                detail = {"from": before.mode, "to": after.mode, "why": "; ".join(fresh or found.values())}
                what = "demoted" if after.mode != before.mode else "drift" if found else "drift is over"
                self.write(capability, "platform", what, detail, state=after)
                self.bell.drift(capability, found, now_ns)

    def key(self, capability: int) -> bytes:
        """Return the key by which the guard of a capability knows our orders."""
        return self._derived(f"orders of capability {capability}, key {self.standing(capability).key}")

    def alive(self, capability: int, now_ns: int) -> Heard | None:
        """Return the newest report of a guard that is there."""
        found = self._heard.get(capability)
        return found if found is not None and now_ns - found.at_ns < _AWAY_S * SECOND_NS else None

    # --- what becomes of Tasks -----------------------------------------------------------------------

    def decide(self, task: int) -> Ruling | None:
        """Judge a Task and write down what becomes of it; None where it needs no judge."""
        with self.turn():
            found = self._asked(task)
            read = None if found is None else self._declaration(found)
            if found is None or read is None:
                return None
            now_ns = time.time_ns()
            standing = self._informed(found.capability, read, now_ns)
            draft = self._proposal(found, read, self._approvals(task), now_ns)
            proposal = by_its_time(draft, read, standing.known)
            after, ruling = rule(proposal, read, standing, now_ns)
            ruling = self._meant(found.capability, read, ruling)
            if found.status in ("checked", "approved") and ruling.state == "checked":
                return ruling  # it was written down before
            if ruling.state == "tripped" and not read.guarded:  # nobody there latches it
                after = latched(after, ruling, now_ns)
                self.bell.trips(found.capability, after.known.trips, now_ns)
            ruling = Line(self._catalogue, self._writer, self.write).of(found, proposal, ruling)
            self._wrote(found, proposal, ruling, standing, after)
            return ruling

    def _wrote(
        self, found: Asked, proposal: Proposal, ruling: Ruling, before: Standing, after: Standing
    ) -> None:
        """Write a decision into Task, loop and log."""
        self._keep(found.capability, after)
        detail = {
            "values": proposal.values, "by": proposal.by, "model": proposal.model, "inputs": proposal.inputs,
            "slot": proposal.slot, "mode": before.mode, "why": ruling.detail,
            "asked": found.run_log[0].get("by", ""),
            "verdicts": [msgspec.to_builtins(one) for one in ruling.verdicts],
        }  # fmt: skip
        if ruling.state == "awaiting approval" and found.status == "requested":
            self._writer.task_status(found.task, "checked")
        self._writer.task_status(found.task, ruling.state, ruling.detail)
        self.write(found.capability, proposal.actor, ruling.state, detail, task=found.task)
        if ruling.lowered:
            lowered = {"from": before.mode, "to": after.mode, "why": ruling.lowered}
            self.write(found.capability, "platform", "demoted", lowered)

    def _meant(self, capability: int, read: Declared, ruling: Ruling) -> Ruling:
        """Refuse what would go to a guard that keeps to another declaration, or knows no order of ours."""
        heard = self._heard.get(capability) if read.guarded else None
        why = unlike(heard, read, self.key(capability), capability) if ruling.state == "checked" else ""
        return replace(ruling, state="rejected", detail=why) if why else ruling

    def order(self, task: int, now_ns: int) -> Sealed | None:
        """Return the order of a Task that may go now, its number kept; None where its guard is away."""
        with self.turn():
            found = self._asked(task)
            read = None if found is None else self._declaration(found)
            heard = None if found is None else self.alive(found.capability, now_ns)
            if found is None or read is None or heard is None:
                return None
            proposal = self._proposal(found, read, self._approvals(task), now_ns)
            number = self._number(found.capability, heard.report)
            order = Order(
                capability=found.capability, number=number, boot=heard.report.boot,
                echo_ns=heard.report.clock_ns, task=task, proposal=by_its_clock(proposal, read, heard),
            )  # fmt: skip
            return sealed(order, self.key(found.capability))

    def asks(self, now_ns: int) -> list[tuple[int, Sealed]]:
        """Return the orders that are no Tasks and that guards have not followed yet, by their Thing."""
        found = []
        with self._lock:
            for capability, heard in self._heard.items():
                for one in self.standing(capability).asks:
                    key = self.key(capability)
                    if self.alive(capability, now_ns) is None or heard.report.key != fingerprint(key):
                        continue
                    with self.turn():
                        number = self._number(capability, heard.report)
                    found.append((heard.thing, sealed(errand(one, capability, number, heard.report), key)))
        return found

    def guarded(self, task: int) -> bool:
        """Tell whether a Task goes to a guard."""
        with self._lock:
            found = self._asked(task)
            read = None if found is None else self._declaration(found)
            return read is not None and read.guarded

    def expired(self, task: int, now_ns: int) -> bool:
        """End a Task that could not be sent in time; whether it was that."""
        with self.turn():
            found = self._asked(task)
            read = None if found is None else self._declaration(found)
            if found is None or read is None or now_ns - since_ns(found) <= span_ns(read.age):
                return False
            self._writer.task_status(task, "expired", "nobody took it there in time")
            self.write(found.capability, "platform", "expired", {"why": "its guard was away"}, task=task)
            return True

    def sent(self, task: int) -> None:
        """Take it that a device without a guard does what it was told, within the same transaction."""
        with self._lock:
            found = self._asked(task)
            read = None if found is None else self._declaration(found)
            if found is None or read is None or read.guarded:
                return
            now_ns = time.time_ns()
            proposal = self._proposal(found, read, (), now_ns)
            standing = self.standing(found.capability)
            known = track.applied(track.at(standing.known, now_ns), read, proposal.values)
            slots, _ = array.expire(standing.slots, now_ns)
            self._keep(found.capability, replace(standing, known=known, slots=array.put(slots, proposal)))

    def told(self, task: int, status: str, detail: str, who: str) -> None:
        """Write what was said of a Task into the log of its loop, within the transaction that notes it."""
        with self._lock:
            found = self._asked(task)
            if found is not None and self._declaration(found) is not None:
                self.write(found.capability, who, status, {"why": detail}, task=task)

    # --- what people do ------------------------------------------------------------------------------

    def resume(self, task: int) -> None:
        """Judge a Task that people said yes to once more: it goes on when there are enough."""
        found = self._asked(task)
        read = None if found is None else self._declaration(found)
        if found is None or read is None:
            return
        now_ns = time.time_ns()
        draft = self._proposal(found, read, self._approvals(task), now_ns)
        lease = None if draft.until_ns is None else draft.until_ns - draft.issued_ns
        fresh = replace(draft, issued_ns=now_ns, until_ns=None if lease is None else now_ns + lease)
        standing = self._informed(found.capability, read, now_ns)
        fresh = by_its_time(fresh, read, standing.known)
        after, ruling = rule(fresh, read, standing, now_ns)
        if ruling.state == "checked":
            self._writer.task_status(task, "approved")
            self.write(found.capability, "platform", "approved", {}, task=task)
        elif ruling.state != "awaiting approval":
            self._wrote(found, fresh, ruling, standing, after)

    def ask(self, capability: int, do: Do, who: str, why: str = "") -> None:
        """Have what people hold released or trips reset; the guard is asked until it has done it."""
        with self.turn():
            read, before = self.declaration(self.row(capability)), self.standing(capability)
            standing, heard = before, self._heard.get(capability)
            with self._catalogue.database.read() as connection:
                newest = rows.newest(connection)
            slots = hands(before) if do == "release" else (0,)
            if do == "reset":
                standing = cleared(before, read, heard.report if heard else None)
                self.bell.trips(capability, standing.known.trips, time.time_ns())
                slots = slots if standing.known.trips else ()  # a guard that knows of none would reset any
            elif not read.guarded:  # nobody there would release them
                standing = replace(before, slots=array.take(before.slots, *slots))
            for slot in slots if read.guarded else ():
                standing = asked(standing, about(before, do, slot, who, newest))
            detail = {"slots": slots} if do == "release" else {"why": why}
            self.write(capability, who, f"{do} asked", detail, state=standing)

    def row(self, capability: int, project: int | None = None) -> Mapping[str, Any]:
        """Return a capability that has interlocks, or raise ``NotFoundError``."""
        return self.plates.row(capability, project)

    def declaration(self, row: Mapping[str, Any]) -> Declared:
        """Return what a capability of :meth:`row` keeps to."""
        return self.plates.declaration(row)

    def set(
        self, capability: int, standing: Standing, who: str, what: str, detail: Mapping[str, Any]
    ) -> None:
        """Let a loop stand otherwise, and write down who did it."""
        with self.turn():
            self.write(capability, who, what, detail, state=standing)

    def standing(self, capability: int) -> Standing:
        """Return how a loop stands."""
        with self._lock:
            found = self._standing.get(capability)
            if found is None:
                with self._catalogue.database.read() as connection:
                    state = rows.standing(connection, capability)
                found = Standing() if state is None else msgspec.json.decode(state, type=Standing)
                self._standing[capability] = found
            return found

    def report(self, capability: int) -> Heard | None:
        """Return the newest report of a guard, however old."""
        return self._heard.get(capability)

    def write(
        self, capability: int, who: str, what: str, detail: Mapping[str, Any], *, task: int | None = None,
        state: Standing | None = None,
    ) -> None:  # fmt: skip
        """Write a line into the log of a loop."""
        self._keep(capability, state if state is not None else self.standing(capability))
        with self._catalogue.database.write() as connection:
            rows.append(connection, capability, time.time_ns(), who, what, detail, task=task, seal=self._seal)

    # --- within --------------------------------------------------------------------------------------

    def _keep(self, capability: int, standing: Standing) -> None:
        with self._catalogue.database.write() as connection:
            rows.keep(connection, capability, lasting(standing))
        self._standing[capability] = standing

    def _proposal(self, found: Asked, read: Declared, yes: tuple[Approval, ...], now_ns: int) -> Proposal:
        return proposal_of(found, read, yes, now_ns, self._doubt)

    def _over(self, capability: int, held: Collection[str]) -> None:
        """End the Tasks that a guard does not hold any more since it was started anew."""
        with self._catalogue.database.read() as connection:
            lost = [one for one in rows.going(connection, capability) if str(one) not in held]
        for task in lost:
            self._writer.task_status(task, "failed", _ANEW)
            self.write(capability, "platform", "failed", {"why": _ANEW}, task=task)

    def _number(self, capability: int, report: Report) -> int:
        standing = self.standing(capability)
        number = max(standing.number, report.number) + 1
        self._keep(capability, replace(standing, number=number))
        return number

    def _asked(self, task: int) -> Asked | None:
        with self._catalogue.database.read() as connection:
            return rows.asked(connection, task)

    def _approvals(self, task: int) -> tuple[Approval, ...]:
        with self._catalogue.database.read() as connection:
            return rows.approvals(connection, task)

    def _declaration(self, found: Asked) -> Declared | None:
        return self.plates.read(found.capability, found.declared, found.parameters)

    def learn(self, names: Mapping[str, int]) -> None:
        """Take over which Datastreams there are, by name: rules name their inputs so."""
        with self._lock:
            self._streams = dict(names)

    def _informed(self, capability: int, read: Declared, now_ns: int) -> Standing:
        """Return how a loop stands with the newest readings of its inputs."""
        standing = self.standing(capability)
        wanted = {name: self._streams[name] for name in inputs(read) if name in self._streams}
        readings = self._present.readings(capability, read, wanted, standing.anew)
        return replace(standing, known=sensed(standing.known, read, readings, now_ns))
