"""What people do with loops: look at them, take them by hand, say yes, change their mode, reset trips."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec.structs import replace

from nervure.act.array import Entry, expire
from nervure.act.standing import Standing, promoted
from nervure.core.command import Approval, digest
from nervure.core.error import ConflictError, DeniedError, NotFoundError, UsageError
from nervure.core.instant import SECOND_NS, iso
from nervure.core.interlock import Value
from nervure.core.mac import fingerprint
from nervure.core.order import Slot
from nervure.core.papers import Papers
from nervure.core.task import FINAL, MODES, STATES, Mode
from nervure.node.loops import Loops
from nervure.node.wish import unlike
from nervure.serve.control.loops import (
    LineView,
    LogView,
    LoopView,
    ModesView,
    PromotionView,
    SlotView,
    TaskView,
    VerdictView,
)
from nervure.store import loop as rows
from nervure.store.catalogue import Catalogue
from nervure.store.scope import Scope
from nervure.store.write.writer import Parent, Writer
from nervure.trust.principal import PEOPLE

__all__ = ["Steering"]

_TASK = sa.table(
    "task", sa.column("id"), sa.column("tasking_capability_id"), sa.column("status"), sa.column("project_id")
)
_UNSENT = ("requested", "checked", "awaiting approval", "approved")
_JUDGED = ("checked", "rejected", "tripped", "overridden", "awaiting approval")


class Steering:
    """The loops of a node, on somebody's behalf; may be called from any thread."""

    def __init__(
        self,
        catalogue: Catalogue,
        writer: Writer,
        loops: Loops,
        wake: Callable[[], None],
        sealed: Callable[[bytes, str], bool],
    ) -> None:
        self._catalogue = catalogue
        self._writer = writer
        self._loops = loops
        self._wake = wake
        self._sealed = sealed
        self._said: dict[int, tuple[int, list[VerdictView]]] = {}

    def views(self, scope: Scope) -> list[LoopView]:
        """Return every loop in sight."""
        with self._catalogue.database.read() as connection:
            found = rows.capabilities(connection, scope.project)
            waiting, numbers = rows.waiting(connection), rows.numbers(connection)
        return [
            self._view(row, waiting.get(row["id"], 0), numbers.get(row["id"], 0))
            for row in found
            if "act" in row["properties"]
        ]

    def modes(self, scope: Scope) -> ModesView:
        """Return how many loops are in each mode, tripped, without their guard, and how many Tasks wait."""
        with self._catalogue.database.read() as connection:
            found = rows.capabilities(connection, scope.project)
            waiting = rows.waiting(connection)
        mine = [row for row in found if "act" in row["properties"]]
        standings = [self._loops.standing(row["id"]) for row in mine]
        now_ns = time.time_ns()
        return ModesView(
            modes={mode: sum(one.mode == mode for one in standings) for mode in MODES},
            tripped=sum(bool(one.known.trips) for one in standings),
            away=sum(
                self._loops.declaration(row).guarded and self._loops.alive(row["id"], now_ns) is None
                for row in mine
            ),
            waiting=sum(waiting.get(row["id"], 0) for row in mine),
        )

    def view(self, loop: int, scope: Scope) -> LoopView:
        """Return one loop."""
        return self._one(self._loops.row(loop, scope.project))

    def log(self, loop: int, scope: Scope, limit: int, before: int | None) -> LogView:
        """Return the newest lines of a loop's log, checked as far as they go back."""
        self._loops.row(loop, scope.project)
        with self._catalogue.database.read() as connection:
            found = rows.lines(connection, loop, limit, before)
            newest = rows.head(connection, loop)
        if before is not None and found:
            newest = (found[0].number, found[0].hash)
        return LogView(
            lines=[
                LineView(
                    number=one.number, time=iso(one.time_ns), task=one.task, who=one.who, what=one.what,
                    detail=msgspec.json.decode(one.detail), hash=one.hash, seal=one.seal,
                )
                for one in found
            ],
            broken=rows.broken(loop, found, newest, self._sealed),
        )  # fmt: skip

    def hand(self, loop: int, scope: Scope, values: Mapping[str, Value], seconds: float | None) -> TaskView:
        """Make a Task of a person's hand."""
        if scope.kind not in PEOPLE:
            raise DeniedError(
                f"{scope.who} is no person", hint="a program makes a Task, in a slot for models"
            )
        self._loops.row(loop, scope.project)
        body: dict[str, Any] = {"taskingParameters": dict(values)}
        if seconds is not None:
            body["properties"] = {"act": {"lease_s": seconds}}
        parent = Parent(kind="TaskingCapability", id=loop, relation="Tasks")
        made = self._writer.create("Task", body, scope, parent)
        return self._task(made.id, scope)

    def auto(self, loop: int, scope: Scope) -> None:
        """Release what people hold, in whichever slot."""
        self._loops.row(loop, scope.project)
        self._loops.ask(loop, "release", scope.who)
        self._wake()

    def reset(self, loop: int, scope: Scope, why: str) -> None:
        """Reset trips; only a person does."""
        if scope.kind not in PEOPLE:
            raise DeniedError(f"{scope.who} is no person: what has tripped needs one")
        self._loops.row(loop, scope.project)
        self._loops.ask(loop, "reset", scope.who, why)
        self._wake()

    def guard(self, loop: int, scope: Scope, *, renew: bool) -> Papers:
        """Return what the guard of a loop is to be given; who asked for it stands in the log."""
        row = self._loops.row(loop, scope.project)
        self._loops.declaration(row)
        with self._loops.turn():
            standing = self._loops.standing(loop)
            if renew:
                standing = replace(standing, key=standing.key + 1)
            what = "guard's key renewed" if renew else "guard's file given out"
            self._loops.set(loop, standing, scope.who, what, {"key": fingerprint(self._loops.key(loop))})
            key = self._loops.key(loop)
        return Papers(
            thing=row["thing_id"], capability=loop, name=row["name"], act=row["properties"]["act"],
            parameters=row["tasking_parameters"], key=key.hex(),
        )  # fmt: skip

    def rises(self, loop: int, scope: Scope, mode: Mode) -> bool:
        """Tell whether a mode lets a loop do more than it may now."""
        self._loops.row(loop, scope.project)
        return MODES.index(mode) > MODES.index(self._loops.standing(loop).mode)

    def change(self, loop: int, scope: Scope, mode: Mode, *, hours: float, because: str) -> LoopView:
        """Change a loop's mode: on evidence, or for a reason that somebody answers for."""
        row = self._loops.row(loop, scope.project)
        read = self._loops.declaration(row)
        with self._loops.turn():
            standing = self._loops.standing(loop)
            now_ns = time.time_ns()
            watch_ns = now_ns + round(hours * 3600 * SECOND_NS)
            after = promoted(
                standing, read, mode, scope.who, now_ns, watch_ns=watch_ns, because=because
            )  # fmt: skip
            detail = {"from": standing.mode, "to": mode, "why": because} | _shown(standing)
            if after.mode != standing.mode and after.unproven:
                detail["unproven"] = after.unproven
            self._loops.set(loop, after, scope.who, "mode", detail)
        self._wake()
        return self._one(row)

    def tasks(self, scope: Scope, status: str, limit: int) -> list[TaskView]:
        """Return the Tasks of loops in a state, the newest first."""
        if status not in STATES:
            raise UsageError(f"{status!r} is no status of a Task", hint=f"one of: {', '.join(STATES)}")
        with self._catalogue.database.read() as connection:
            loops = [
                row["id"]
                for row in rows.capabilities(connection, scope.project)
                if "act" in row["properties"]
            ]
            query = sa.select(_TASK.c.id).where(
                _TASK.c.status == status, _TASK.c.tasking_capability_id.in_(loops)
            )
            ids = list(connection.execute(query.order_by(_TASK.c.id.desc()).limit(limit)).scalars())
        return [self._task(one, scope) for one in ids]

    def task(self, task: int, scope: Scope) -> TaskView:
        """Return one Task of a loop."""
        return self._task(task, scope)

    def approve(self, task: int, scope: Scope) -> TaskView:
        """Note a yes; the Task goes on when there are enough."""
        with self._loops.turn():
            found = self._of(task, scope)
            if scope.kind not in PEOPLE:
                raise DeniedError(f"{scope.who} is no person: approvals are theirs")
            if found.status != "awaiting approval":
                raise ConflictError(f"Task {task} is {found.status}: it waits for nobody")
            values = found.values if isinstance(found.values, dict) else {}
            given = Approval(who=scope.who, time_ns=time.time_ns(), of=digest(values))
            with self._catalogue.database.write() as connection:
                rows.approve(connection, task, given)
            self._loops.write(found.capability, scope.who, "approval", {"of": given.of}, task=task)
            self._loops.resume(task)
        self._wake()
        return self._task(task, scope)

    def refuse(self, task: int, scope: Scope, why: str) -> TaskView:
        """Reject a Task that has not been sent yet."""
        with self._loops.turn():
            found = self._of(task, scope)
            if found.status not in _UNSENT:  # its command is in force, whatever it would be called
                hint = "" if found.status in FINAL else f"nervure act hand {found.capability}"
                raise ConflictError(f"Task {task} is {found.status}: it is too late to say no", hint=hint)
            said = why or f"by {scope.who}"
            self._writer.task_status(task, "rejected", said)
            self._loops.write(found.capability, scope.who, "rejected", {"why": said}, task=task)
        return self._task(task, scope)

    # --- within --------------------------------------------------------------------------------------

    def _of(self, task: int, scope: Scope) -> rows.Asked:
        with self._catalogue.database.read() as connection:
            found = rows.asked(connection, task)
        if found is None or scope.project not in (None, found.project):
            raise NotFoundError(f"there is no Task {task}")
        self._loops.row(found.capability, scope.project)
        return found

    def _task(self, task: int, scope: Scope) -> TaskView:
        found = self._of(task, scope)
        with self._catalogue.database.read() as connection:
            said = rows.approvals(connection, task)
        first, last = found.run_log[0], found.run_log[-1]
        wish = found.properties.get("act", {}) if isinstance(found.properties, dict) else {}
        row = self._loops.row(found.capability)
        return TaskView(
            id=task, loop=found.capability, name=row["name"], created=iso(found.creation_ns),
            status=found.status, values=found.values, by=first.get("by", ""),
            model=str(wish.get("model", "")) if isinstance(wish, dict) else "",
            detail=last.get("detail", ""), approved=[one.who for one in said],
        )  # fmt: skip

    def _one(self, row: Mapping[str, Any]) -> LoopView:
        with self._catalogue.database.read() as connection:
            waiting, (number, _) = rows.waiting(connection), rows.head(connection, row["id"])
        return self._view(row, waiting.get(row["id"], 0), number)

    def _view(self, row: Mapping[str, Any], waiting: int, number: int) -> LoopView:
        loop, now_ns = row["id"], time.time_ns()
        read, standing = self._loops.declaration(row), self._loops.standing(row["id"])
        heard = self._loops.report(loop)
        report = heard.report if heard is not None else None
        here = self._loops.alive(loop, now_ns) is not None
        unfit = unlike(heard, read, self._loops.key(loop), loop) if read.guarded else ""
        held = {name: one[-1].value for name, one in standing.known.held.items() if one}
        slots = _reported(report.slots) if report is not None else _kept(standing.slots, now_ns)
        return LoopView(
            id=loop,
            name=row["name"],
            thing=row["thing_id"],
            mode=standing.mode,
            since=iso(standing.since_ns) if standing.since_ns else None,
            watch_until=iso(standing.watch_ns) if standing.watch_ns > now_ns else None,
            watcher=standing.watcher,
            unproven=standing.unproven,
            judged=standing.judged,
            refused=standing.refused,
            trips=[msgspec.to_builtins(one) for one in standing.known.trips],
            guard=("here" if here else "away") if read.guarded else "none",
            heard=iso(heard.at_ns) if heard is not None else None,
            unfit=unfit,
            damaged=report.damaged if report is not None else 0,
            values=dict(report.values) if report is not None else held,
            holder=report.holder if report is not None else "",
            slots=slots,
            limits=[msgspec.to_builtins(one) for one in read.interlocks],
            plan=[msgspec.to_builtins(one) for one in read.plan],
            fields=dict(read.fields),
            verdicts=self._verdicts(loop, number),
            waiting=waiting,
            lease=read.lease,
            promote=PromotionView(least=read.promote.least, refused=read.promote.refused),
        )  # fmt: skip

    def _verdicts(self, loop: int, number: int) -> list[VerdictView]:
        """Return what the rules said of the newest command that was judged; ``number`` is the newest line's.

        Who looks on asks once a second, and the log is read again only when it has grown.
        """
        known = self._said.get(loop)
        if known is None or known[0] != number:
            known = self._said[loop] = (number, self._read_verdicts(loop))
        return known[1]

    def _read_verdicts(self, loop: int) -> list[VerdictView]:
        with self._catalogue.database.read() as connection:
            for line in rows.lines(connection, loop, 20):
                if line.what in _JUDGED and line.task is not None:
                    said = msgspec.json.decode(line.detail).get("verdicts")
                    if said:
                        return msgspec.convert(said, list[VerdictView])
        return []


def _reported(slots: Sequence[Slot]) -> list[SlotView]:
    """Return the slots as a guard reported them."""
    return [
        SlotView(
            slot=one.slot, by=one.by, actor=one.actor, task=one.id, values=dict(one.values), left_s=one.left_s
        )
        for one in slots
    ]  # fmt: skip


def _kept(slots: Sequence[Entry], now_ns: int) -> list[SlotView]:
    """Return the slots as the platform keeps them, for a device without a guard."""
    return [
        SlotView(
            slot=one.slot, by=one.by, actor=one.actor or one.model, task=one.id, values=dict(one.values),
            left_s=None if one.until_ns is None else max(0.0, (one.until_ns - now_ns) / SECOND_NS),
        )
        for one in expire(tuple(slots), now_ns)[0]
    ]  # fmt: skip


def _shown(standing: Standing) -> dict[str, Any]:
    return {"judged": standing.judged, "refused": standing.refused, "trips": standing.trips}
