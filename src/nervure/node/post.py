"""Posts: single readings that come at the same time, appended to the log as one message.

A message costs the log, its reader and the store about as much whatever it holds. So what is posted
while some are under way waits for them, and for a moment for those who were just answered, and goes
together as one event of the log (``nv.change``) with all of them in it; a reading that comes alone is a
message of its own, as a device's is. Either way an answer is given when the log has it and the store has
taken it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Container, Sequence
from typing import Protocol

from nervure.core.entity import Datastream
from nervure.core.error import (
    BusyError,
    ConflictError,
    NervureError,
    NotFoundError,
    QueryError,
    StreamError,
    TooLargeError,
)
from nervure.core.observation import Draft, Reject, Sound, observation_id
from nervure.node import event
from nervure.sense.intake import Intake
from nervure.sense.reason import TOO_LARGE, UNKNOWN_FEATURE, UNKNOWN_STREAM
from nervure.store.duplicate import CONFLICT
from nervure.stream.publish import Item
from nervure.stream.subject import CHANGE, reading_subject

__all__ = ["STOPPED", "Posts", "Publish", "Tell", "error_of", "require_taken"]

Tell = Callable[[int | NervureError], None]
"""Takes the id of an Observation that answers have now, or what went wrong."""

IN_FLIGHT = 2048
STOPPED = "the node stops; it is not certain whether the log has it"
PATIENCE_S = 0.01
"""So long at most those who come later wait for the store to take those before them."""

LULL_S = 0.001
"""So long a message waits for as many readings as the last had: who was answered posts again.

Once more as long, if some have come meanwhile.
"""

_MOST = 512
_NEW = Datastream(id=1, name="", unit="", thing=1)
_MISSING = (UNKNOWN_STREAM, UNKNOWN_FEATURE)


class Publish(Protocol):
    """Appends messages to the log and returns their sequences."""

    async def __call__(self, items: Sequence[Item], /) -> list[int]:
        """Append them."""
        ...


class _Post:
    """A reading, and who waits for it."""

    __slots__ = ("datastream", "payload", "sound", "tell")

    def __init__(self, datastream: int, payload: bytes, tell: Tell, sound: Sound | None) -> None:
        self.datastream, self.payload, self.tell, self.sound = datastream, payload, tell, sound


class Posts:
    """Gathers readings, used on the node's loop only; ``most_bytes`` is the largest message.

    ``doubles`` are ids under which a reading is not stored, because another was there before; ``first``
    finds the ids of those.
    """

    def __init__(
        self,
        publish: Publish,
        most_bytes: int,
        doubles: Container[int],
        first: Callable[[list[int]], Awaitable[list[int]]],
    ) -> None:
        self._publish = publish
        self._most = most_bytes
        self._doubles, self._first = doubles, first
        self._queue: list[_Post] = []
        self._under_way: dict[int, list[_Post]] = {}  # by the number of the message
        self._since: dict[int, int] = {}  # the log position that each is after, the earliest first
        self._waiting: list[tuple[int, int]] = []  # sequence and number of those that the log has
        self._known: dict[bytes, list[tuple[int, Sound]]] = {}  # by the message that holds them
        self._tasks: set[asyncio.Task[None]] = set()
        self._refused: dict[tuple[int, int], Reject] = {}
        self._number = self._count = self._taken = 0
        self._gate: asyncio.TimerHandle | None = None
        self._lull: asyncio.TimerHandle | None = None
        self._usual = 0  # as many readings came together lately
        self._closed = False

    @property
    def busy(self) -> bool:
        """Whether somebody waits."""
        return self._count > 0

    def add(self, datastream: int, payload: bytes, tell: Tell, sound: Sound | None = None) -> None:
        """Append a reading that is known to be sound; ``BusyError`` if too many are under way.

        ``sound`` is what it was read as: it need not be decoded when the log brings it.
        """
        if self._closed:
            raise StreamError("the node stops")
        if self._count >= IN_FLIGHT:
            raise BusyError("too many readings are under way to the log")
        self._count += 1
        self._queue.append(_Post(datastream, payload, tell, sound))
        if self._lull is not None:
            if len(self._queue) >= self._usual:
                self._send_queue()
        elif len(self._queue) == 1 and self._gate is None:  # none are under way, or they are late
            asyncio.get_running_loop().call_soon(self._send_queue)

    async def one(self, datastream: int, payload: bytes, sound: Sound | None = None) -> int:
        """Append a reading that is known to be sound; return its id when it is in answers."""
        done: asyncio.Future[int | NervureError] = asyncio.get_running_loop().create_future()
        self.add(datastream, payload, lambda found: None if done.done() else done.set_result(found), sound)
        found = await done
        if isinstance(found, NervureError):
            raise found
        return found

    def known(self, payload: bytes) -> Sequence[tuple[int, Sound]] | None:
        """Return the readings ``(datastream, reading)`` of a message that the log brings, if it is ours."""
        return self._known.pop(payload, None) if self._known else None

    def taken(self, upto: int, refused: Sequence[Reject]) -> None:
        """Let those go on who wait for the store to have come to a log position."""
        self._taken = max(self._taken, upto)
        if not self._count:
            return
        for one in refused:
            self._refused.setdefault((one.sequence, one.index), one)
        ready = [one for one in self._waiting if one[0] <= self._taken]
        if ready:
            self._waiting = [one for one in self._waiting if one[0] > self._taken]
            for sequence, number in ready:
                self._finish(sequence, number)
        if self._refused:  # of what others sent, too: who still waits comes later
            first = next(iter(self._since.values()), self._taken)
            self._refused = {key: one for key, one in self._refused.items() if key[0] > first}

    def close(self) -> None:
        """Tell those who still wait that nobody will answer them; what the log has is not lost."""
        self._closed = True
        if self._lull is not None:
            self._lull.cancel()
        for task in self._tasks:
            task.cancel()
        posts = [*self._queue, *(post for group in self._under_way.values() for post in group)]
        self._queue.clear()
        self._under_way.clear()
        self._since.clear()
        self._waiting.clear()
        for post in posts:
            self._tell(post, StreamError(STOPPED))

    # --- the log ----------------------------------------------------------------------------------

    def _send_queue(self) -> None:
        """Send what waits, as one message, unless some are under way that are not late."""
        for timer in (self._gate, self._lull):
            if timer is not None:
                timer.cancel()
        self._gate = self._lull = None
        if not self._queue:  # they were told that the node stops
            return
        group = self._cut()
        self._number += 1
        self._under_way[self._number], self._since[self._number] = group, self._taken
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._send(group, self._number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._gate = loop.call_later(PATIENCE_S, self._send_queue)

    def _lulled(self, before: int) -> None:
        """Wait once more if some have come, else send what there is."""
        if len(self._queue) > before:
            self._lull = asyncio.get_running_loop().call_later(LULL_S, self._send_queue)
        else:
            self._send_queue()

    def _cut(self) -> list[_Post]:
        """Take as many as one message holds."""
        size = count = 0
        for post in self._queue[:_MOST]:
            size += len(post.payload) + event.EACH
            if count and size > self._most:
                break
            count += 1
        group, self._queue = self._queue[:count], self._queue[count:]
        return group

    async def _send(self, group: list[_Post], number: int) -> None:
        item = _item(group)
        read = [(one.datastream, one.sound) for one in group if one.sound is not None]
        if len(group) == len(read) > 1:
            self._known[item[1]] = read
        try:
            (sequence,) = await self._publish([item])
        except NervureError as cause:
            self._fail(number, cause)
        except asyncio.CancelledError:
            self._fail(number, StreamError(STOPPED))
            raise
        else:
            if sequence <= self._taken:
                self._finish(sequence, number)
            else:
                self._waiting.append((sequence, number))

    def _finish(self, sequence: int, number: int) -> None:
        group = self._done(number)
        for index, post in enumerate(group):
            identity = observation_id(sequence, index)
            reject = self._refused.get((sequence, index)) if self._refused else None
            if reject is not None:
                self._tell(post, error_of(reject))
            elif identity in self._doubles:
                task = asyncio.get_running_loop().create_task(self._tell_first(post, identity))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            else:
                self._tell(post, identity)

    async def _tell_first(self, post: _Post, identity: int) -> None:
        try:
            self._tell(post, (await self._first([identity]))[0])
        except NervureError as cause:
            self._tell(post, cause)
        except asyncio.CancelledError:
            self._tell(post, StreamError(STOPPED))
            raise

    def _fail(self, number: int, cause: NervureError) -> None:
        for post in self._done(number):
            self._tell(post, cause)

    def _tell(self, post: _Post, found: int | NervureError) -> None:
        self._count -= 1
        if not self._count:
            self._refused.clear()
        post.tell(found)

    def _done(self, number: int) -> list[_Post]:
        """Return those of a message that is under way no more; what came meanwhile goes next."""
        group = self._under_way.pop(number, [])
        self._since.pop(number, None)
        if not self._under_way:
            self._known.clear()  # what comes yet is decoded
        if not self._under_way and self._gate is not None:
            self._gate.cancel()
            self._gate = None
            self._usual = len(group) + len(self._queue)
            loop = asyncio.get_running_loop()
            if self._usual > 1 and not self._closed:
                self._lull = loop.call_later(LULL_S, self._lulled, len(self._queue))
            elif self._queue:
                loop.call_soon(self._send_queue)
        return group


def _item(group: Sequence[_Post]) -> Item:
    if len(group) == 1:
        return reading_subject(group[0].datastream), group[0].payload, None
    return CHANGE, event.gathered([(one.datastream, one.payload) for one in group]), None


def require_taken(intake: Intake, drafts: Sequence[Draft]) -> None:
    """Refuse what the store would not take; a Datastream that is not known is new, and declared by nobody."""
    newcomers, now_ns = Intake([_NEW], intake.limits), time.time_ns()
    for draft in drafts:
        rejects = intake.check(reading_subject(draft.datastream), draft.message, now_ns)[1]
        if rejects and rejects[0].reason == UNKNOWN_STREAM:
            rejects = newcomers.check(reading_subject(_NEW.id), draft.message, now_ns)[1]
        if rejects:
            raise error_of(rejects[0])


def error_of(reject: Reject) -> NervureError:
    """Return the error that a request gets for what was refused."""
    if reject.reason in _MISSING:
        return NotFoundError(reject.detail)
    if reject.reason == CONFLICT:
        return ConflictError(reject.detail)
    if reject.reason == TOO_LARGE:
        return TooLargeError(reject.detail, hint="send it in several messages")
    return QueryError(reject.detail)
