"""Tasking: Tasks that come by MQTT, Tasks that go to devices, and what becomes of them (OGC 17-079).

    v1.1/TaskingCapabilities(1)/Tasks   a client asks             → a Task, status requested
    (a capability with interlocks)      judged, :mod:`.loops`     → checked, awaiting approval, rejected, …
    nervure/tasks/3                     the Thing 3 is told       → dispatched, once it listens
    nervure/tasks/3/17/status           it says how Task 17 does  → acknowledged, running, completed, …
    nervure/tasks/3/guard-5/status      how the guard of capability 5 stands

A Task is kept before anybody is told. What was asked while the device was away is told when it
listens again, also after a restart; a device may hear of a Task twice and knows it by its id.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from nervure.core.error import NervureError, QueryError, StoreError, StreamError
from nervure.core.instant import iso
from nervure.core.mac import Sealed
from nervure.core.observation import Reject
from nervure.core.order import Report
from nervure.core.sensorthings import BY_NAME
from nervure.core.task import BY_DEVICE, word
from nervure.node.loops import Loops
from nervure.serve.path import route
from nervure.store.catalogue import Catalogue
from nervure.store.due import Due
from nervure.store.scope import EVERYTHING
from nervure.store.write.writer import Parent, Writer
from nervure.stream.log import Entries
from nervure.stream.subject import guard_of, subject_to_topic, task_of, task_subject

__all__ = ["VIEW", "Status", "Tasking", "Wire", "is_task", "some_tasks"]

_log = logging.getLogger("nervure.node")

VIEW = "task"
LOOK_S = 0.5
_TOGETHER = 32
_TREE = "nervure.tasks.>"
_ANY = "nervure.tasks.*"
_ENDS = (".Tasks", ".status")
_WRONG = (NervureError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError)
"""What one message or Task may bring about: that one is refused, and everybody else's go on."""
_CAPABILITY = BY_NAME["TaskingCapability"]


class Wire(Protocol):
    """What is asked of the log."""

    async def followed(self, tree: str, /) -> set[str]:
        """Return the subjects below a tree that somebody follows now."""
        ...

    async def send(self, subject: str, payload: bytes, /) -> None:
        """Send a message to whoever listens."""
        ...


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What a device says of a Task."""

    status: str
    detail: str = ""


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the log about Tasks."""

    sequence: int
    subject: str
    payload: bytes
    received_ns: int


def is_task(subject: str) -> bool:
    """Whether a message of the log is about Tasks.

    >>> is_task("v1//1.Tasks"), is_task("nervure.tasks.3.17.status"), is_task("v1//1.Observations")
    (True, True, False)
    """
    return subject.endswith(_ENDS) and not subject.startswith("nv.")


def some_tasks(subjects: Sequence[str]) -> bool:
    """Whether any of some subjects may be about Tasks: seldom one is, so all are looked at as one text."""
    text = "\n".join(subjects) + "\n"
    return any(f"{end}\n" in text for end in _ENDS)


class Tasking:
    """Takes Tasks in from the log and tells devices theirs; a view of the log with a position."""

    def __init__(
        self,
        catalogue: Catalogue,
        writer: Writer,
        wire: Wire,
        refuse: Callable[[Sequence[Reject]], None],
        loops: Loops,
    ) -> None:
        saved = catalogue.view(VIEW)
        self.position = saved[0] if saved else 0
        """The last log position whose Tasks are kept."""
        self._taken = self.position
        self._catalogue = catalogue
        self._writer = writer
        self._wire = wire
        self._refuse = refuse
        self._loops = loops
        self._queue: deque[_Entry] = deque()
        self._waiting = True  # what was requested before a restart
        self._wake = asyncio.Event()
        self._wake.set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, entries: Entries) -> Entries:
        """Take the messages about Tasks out of a batch of the log, and return the others."""
        self._taken = max(self._taken, entries.sequence[-1])
        if not some_tasks(entries.subject):
            return entries
        ours = [place for place, subject in enumerate(entries.subject) if is_task(subject)]
        if not ours:
            return entries
        for place in ours:
            if entries.sequence[place] > self.position:
                self._queue.append(
                    _Entry(
                        sequence=entries.sequence[place],
                        subject=entries.subject[place],
                        payload=entries.payload[place],
                        received_ns=entries.received_ns[place],
                    )
                )
        self._wake.set()
        mine = set(ours)
        rest = [place for place in range(len(entries)) if place not in mine]
        return Entries(
            sequence=[entries.sequence[place] for place in rest],
            subject=[entries.subject[place] for place in rest],
            payload=[entries.payload[place] for place in rest],
            received_ns=[entries.received_ns[place] for place in rest],
        )

    def asked(self) -> None:
        """Say that a Task was made; from any thread."""
        self._loop.call_soon_threadsafe(self._again)

    def _again(self) -> None:
        self._waiting = True
        self._wake.set()

    def _later(self) -> None:
        """Look again in a while; once, however many reports made us look before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LOOK_S, self._again)

    async def run(self) -> None:
        """Work, for ever: keep what comes, tell devices what is theirs."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._queue:
                    some = [self._queue[place] for place in range(min(len(self._queue), _TOGETHER))]
                    await asyncio.to_thread(self._keep_all, some)
                    for _ in some:
                        self._queue.popleft()
                if self._waiting:
                    self._waiting = False  # what is asked meanwhile says so again
                    if await self._dispatch():
                        self._later()
            except (StoreError, StreamError) as cause:
                _log.warning("Tasks have to wait: %s", cause.what)
                self._later()

    async def commit(self) -> None:
        """Write down how far the log holds nothing for us, so that it may be trimmed."""
        taken = self._taken
        if not self._queue and taken > self.position:
            with contextlib.suppress(StoreError):  # the catalogue is away: next time
                await asyncio.to_thread(self._catalogue.commit_view, VIEW, taken, b"")
                self.position = max(self.position, taken)

    def _keep_all(self, entries: Sequence[_Entry]) -> None:
        """Keep what came at the same time in one transaction, or one by one where something is wrong."""
        try:
            with self._loops.turn():
                for entry in entries:
                    self._read(entry)
                self._catalogue.commit_view(VIEW, entries[-1].sequence, b"")
        except StoreError:
            raise
        except _WRONG:
            for entry in entries:
                self._keep(entry)
        else:
            self.position = entries[-1].sequence

    def _keep(self, entry: _Entry) -> None:
        """Keep one message and the position together, so that it counts once."""
        try:
            with self._loops.turn():
                self._read(entry)
                self._catalogue.commit_view(VIEW, entry.sequence, b"")
        except StoreError:
            raise
        except _WRONG as cause:
            self._loop.call_soon_threadsafe(self._refuse, [_reject(entry, _why(cause))])
            self._catalogue.commit_view(VIEW, entry.sequence, b"")
        self.position = entry.sequence

    def _read(self, entry: _Entry) -> None:
        guarded = guard_of(entry.subject)
        if guarded is not None:
            self._report(entry, *guarded)
            return
        told = task_of(entry.subject)
        if told is not None:
            try:
                said = msgspec.json.decode(entry.payload, type=Status)
            except (msgspec.DecodeError, UnicodeDecodeError) as cause:
                raise QueryError(f"the status of a Task cannot be read: {cause}") from cause
            thing, task = told
            if self._catalogue.thing_of_task(task) != thing:
                raise QueryError(f"Thing {thing} has no Task {task}")
            if word(said.status) not in BY_DEVICE:
                raise QueryError(f"a device does not say {said.status!r}", hint=", ".join(sorted(BY_DEVICE)))
            for state in self._writer.task_status(task, said.status, said.detail):
                self._loops.told(task, state, said.detail, f"device of Thing {thing}")
            return
        try:
            body = msgspec.json.decode(entry.payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
            raise QueryError(f"the Task is no JSON: {cause}") from cause
        if not isinstance(body, dict):
            raise QueryError("a Task is a JSON object")
        self._writer.create("Task", body, EVERYTHING, self._parent(entry.subject))

    def _report(self, entry: _Entry, thing: int, capability: int) -> None:
        """Take a guard's report; what it noticed goes into the log of its loop."""
        try:
            report = msgspec.json.decode(entry.payload, type=Report)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as cause:
            raise QueryError(f"the report of a guard cannot be read: {cause}") from cause
        if self._loops.plates.thing_of(capability) != thing:
            raise QueryError(f"Thing {thing} has no capability {capability}")
        if self._loops.heard(thing, capability, report, entry.received_ns, entry.sequence):
            self.asked()
        if report.notes:
            self._loops.noted(capability, report)

    def _parent(self, subject: str) -> Parent | None:
        """Return the TaskingCapability whose topic it is."""
        way = route(subject_to_topic(subject).removeprefix("v1.1/"))
        first, *rest = way.steps
        if way.steps[-1].kind.name != "Task" or len(rest) > 1 or not way.steps[-1].many:
            raise QueryError("no Task is made there")
        if not rest or first.key is None:
            return None
        row = self._writer.resolve(_CAPABILITY.name, first.key)
        return Parent(kind=_CAPABILITY.name, id=row, relation="Tasks")

    async def _dispatch(self) -> bool:
        """Tell every device that listens what it was asked; whether there is more for others."""
        asked, asks = await asyncio.to_thread(self._due)
        if not asked and not asks:
            return False
        listening = await self._wire.followed(_TREE)
        left = bool(asks)
        for thing, order in asks:
            if listening & {task_subject(thing), _ANY, _TREE}:
                await self._wire.send(task_subject(thing), msgspec.json.encode({"order": order}))
        for task in asked:
            try:
                left |= await self._one(task, listening)
            except (StoreError, StreamError):
                raise
            except _WRONG as cause:
                why = _why(cause)
                _log.warning("Task %s cannot be judged: %s", task.id, why)
                await asyncio.to_thread(self._reject, task.id, why)
        return left

    async def _one(self, task: Due, listening: set[str]) -> bool:
        """Judge a Task and tell its device; whether it has to wait."""
        subject = task_subject(task.thing)
        there = bool(listening & {subject, _ANY, _TREE})
        order: Sealed | None = None
        if task.declares:
            order, step = await asyncio.to_thread(self._judged, task.id, there)
            if step != "go":
                return step == "wait"
        if order is None and not there:
            return True
        await self._wire.send(subject, _message(task, order))
        try:
            await asyncio.to_thread(self._sent, task.id)
        except NervureError as cause:  # it has answered already
            _log.debug("Task %s: %s", task.id, cause.what)
        return False

    def _due(self) -> tuple[list[Due], list[tuple[int, Sealed]]]:
        return self._catalogue.due_tasks(), self._loops.asks(time.time_ns())

    def _judged(self, task: int, there: bool) -> tuple[Sealed | None, Literal["go", "wait", "over"]]:
        """Judge a Task; returns its order for a guard, and whether it goes now, has to wait, or is over."""
        with self._loops.turn():
            ruling = self._loops.decide(task)
            if ruling is None:
                return None, "go"
            if ruling.state != "checked":
                return None, "over"
            if not self._loops.guarded(task):
                return None, "go"
            now_ns = time.time_ns()
            order = self._loops.order(task, now_ns) if there else None
            if order is not None:
                return order, "go"
            return None, "over" if self._loops.expired(task, now_ns) else "wait"

    def _sent(self, task: int) -> None:
        with self._loops.turn():
            for state in self._writer.task_status(task, "dispatched"):
                if state == "dispatched":
                    self._loops.sent(task)
                    self._loops.told(task, state, "", "platform")

    def _reject(self, task: int, why: str) -> None:
        with self._loops.turn():
            self._writer.task_status(task, "rejected", why[:500])
            self._loops.told(task, "rejected", why[:500], "platform")


def _message(task: Due, order: Sealed | None) -> bytes:
    return msgspec.json.encode(
        {
            **({} if order is None else {"order": order}),
            "id": task.id,
            "@iot.id": task.name,
            "creationTime": iso(task.creation_ns),
            "taskingParameters": task.parameters,
            "TaskingCapability": {"@iot.id": task.capability, "name": task.title},
        }
    )


def _why(cause: Exception) -> str:
    """Say what is wrong; what nobody has foreseen goes into the node's own log whole."""
    if isinstance(cause, NervureError):
        return cause.what
    _log.error("nobody foresaw this of a Task", exc_info=cause)
    return f"{type(cause).__name__}: {cause}"[:500]


def _reject(entry: _Entry, why: str) -> Reject:
    return Reject(
        sequence=entry.sequence,
        index=0,
        count=1,
        subject=entry.subject,
        reason="malformed",
        detail=why,
        payload=entry.payload[:4096],
        received_ns=entry.received_ns,
    )
