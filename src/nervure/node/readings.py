"""Readings: Observations that people and programs make, change and delete, through the log.

Every one of them is appended to the log first, as a device's message is, and answered when the
store has come so far: who has made an Observation reads it. Changing and deleting are events of the
log too (``nv.change``), so that a replay ends in the same rows. Requests that come at the same time
are appended together.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from heapq import heappop, heappush

import numpy as np

from nervure.core.error import BusyError, NervureError, QueryError, StreamError, TooLargeError
from nervure.core.observation import Batch, Draft, Group, Reject, Sound, observation_id
from nervure.node import event
from nervure.node.array import Message, ids_of, messages
from nervure.node.post import STOPPED, Posts, Publish, Tell, error_of, require_taken
from nervure.sense.bucket import Bucket
from nervure.sense.intake import SHARED, Intake
from nervure.sense.reason import UNKNOWN_STREAM
from nervure.store.duplicate import Key, Keys
from nervure.store.intent import Intent, Plan
from nervure.stream.publish import Item
from nervure.stream.subject import CHANGE, reading_subject

__all__ = ["Readings"]

IN_FLIGHT = 2048
IN_FLIGHT_BYTES = 64 << 20
_DOUBLES = 200_000  # as many as a few data arrays have


class _Wish:
    """Messages to append, and who waits for it; ``sequences`` are there once the log has them."""

    __slots__ = ("done", "items", "sequences", "size")

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.size = sum(len(item[1]) for item in items)
        self.sequences: list[int] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Readings:
    """Makes, changes and deletes Observations; used on the node's loop only.

    :meth:`join` gives it what it asks of the rest of the node. ``most_bytes`` is the largest message.
    """

    def __init__(self, publish: Publish, intake: Intake, most_bytes: int) -> None:
        self._publish = publish
        self._intake = intake
        self._most = min(most_bytes, intake.limits.message_bytes) - event.HEADROOM
        self._bucket = Bucket(per_s=intake.limits.per_device_s, burst_s=1.0)
        self._default: Callable[[int], Awaitable[int]] = _none
        self._learn: Callable[[], Awaitable[bool]] = _nothing_new
        self._taken = 0
        self._queue: list[_Wish] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._waiting: list[tuple[int, int, _Wish]] = []
        self._refused: dict[int, Reject] = {}
        self._since: dict[_Wish, int] = {}  # the log position that each comes after, the earliest first
        self._promised: set[int] = set()
        self._doubles: dict[int, Key] = {}
        self._holders: Callable[[Keys], Mapping[Key, int]] = _nobody
        self._quick: Callable[[int], int] = _nothing_known
        self._posts = Posts(publish, self._most, self._doubles, self._stored)
        self._bytes = self._number = 0
        self._closed = False

    def join(
        self,
        default: Callable[[int], Awaitable[int]],
        learn: Callable[[], Awaitable[bool]],
        holders: Callable[[Keys], Mapping[Key, int]],
        quick: Callable[[int], int],
    ) -> None:
        """Take what finds the default feature of a Datastream (0: none), and what looks for new ones.

        ``holders`` returns the ids under which keys are stored; ``quick`` is the default feature if
        that is known without looking, else 0.
        """
        self._default, self._learn, self._holders, self._quick = default, learn, holders, quick

    def taken(self, upto: int, refused: Sequence[Reject] = (), doubles: Batch | None = None) -> None:
        """Let those go on who wait for the store to have come to a log position.

        ``doubles`` are readings that were there before, and are not stored under their own id.
        """
        self._taken = max(self._taken, upto)
        if doubles is not None and (self._since or self._posts.busy):
            self._note(doubles)
        if refused and self._since:
            for one in refused:
                self._refused.setdefault(one.sequence, one)
            if len(self._refused) > IN_FLIGHT:  # of what others sent, too: who still waits comes later
                first = next(iter(self._since.values()), upto)
                self._refused = {key: one for key, one in self._refused.items() if key > first}
        while self._waiting and self._waiting[0][0] <= upto:
            _finish(heappop(self._waiting)[2])
        self._posts.taken(upto, refused)

    @property
    def position(self) -> int:
        """The last log position that answers show."""
        return self._taken

    def close(self) -> None:
        """Tell those who still wait that nobody will answer them; what the log has is not lost."""
        self._closed = True
        for task in self._sending:
            task.cancel()
        for wish in (*self._queue, *(wish for _, _, wish in self._waiting)):
            _fail(wish, StreamError(STOPPED))
        self._waiting.clear()
        self._posts.close()

    async def create(self, drafts: Sequence[Draft], *, once: str | None = None) -> list[int]:
        """Append Observations and return their ids, once they are in answers.

        ``once`` names the request for good: asked again within two minutes, it gives the same ids.
        What the store would not take raises ``QueryError``, and nothing is appended. What it has
        already, where a solution says that there is one result an instant, has the id of that.
        """
        items: list[Item] = []
        for number, draft in enumerate(drafts):
            subject = reading_subject(draft.datastream)
            await self._require_sound(subject, draft.message)
            self._require_calm(subject, time.time_ns())
            items.append((subject, draft.message, _name(once, number)))
        return await self._stored([observation_id(sequence) for sequence in await self._append(items)])

    async def fast(self, datastream: int, payload: bytes, *, once: str | None = None) -> int | None:
        """Append one plain reading and return its id; ``None``: it is none, take the slow way.

        That is a number, perhaps with its times, for a Datastream that is known and has a feature.
        """
        self._require_size(payload)
        subject, now_ns = reading_subject(datastream), time.time_ns()
        sound = self._intake.sound(subject, payload, now_ns)
        if sound is None or not await self._default(datastream):
            return None
        self._require_calm(subject, now_ns)
        if once is None:
            return await self._posts.one(datastream, payload, sound)
        sequences = await self._append([(subject, payload, _name(once, 0))])
        return (await self._stored([observation_id(sequences[0])]))[0]

    def plain(self, datastream: int, payload: bytes) -> Sound | None:
        """Read at once a reading that `fast` takes; None: it has to be looked at."""
        if len(payload) > self._most or not self._quick(datastream):
            return None
        return self._intake.sound(reading_subject(datastream), payload, time.time_ns())

    def post(self, datastream: int, payload: bytes, sound: Sound, tell: Tell) -> None:
        """Append a plain reading; ``tell`` its id when it is in answers, or what went wrong."""
        self._require_calm(reading_subject(datastream), time.time_ns())
        self._posts.add(datastream, payload, tell, sound)

    def known(self, payload: bytes) -> Sequence[tuple[int, Sound]] | None:
        """Return the readings ``(datastream, reading)`` of a message that the log brings, if it is ours."""
        return self._posts.known(payload)

    async def change(self, id: int, draft: Draft) -> None:
        """Give an Observation another content."""
        await self._require_sound(reading_subject(draft.datastream), draft.message)
        await self._append([(CHANGE, event.put(id, draft).content, None)])

    async def drop(
        self, *, ids: Sequence[int] = (), datastreams: Sequence[int] = (), features: Sequence[int] = ()
    ) -> None:
        """Delete Observations: by id, all of some Datastreams, all about some features."""
        plans = event.drops(ids=ids, datastreams=datastreams, features=features)
        if items := [(CHANGE, plan.content, None) for plan in plans]:
            await self._append(items)

    # --- what goes with a change of entities ---------------------------------------------------------

    def plan(
        self,
        drafts: Sequence[Draft] = (),
        puts: Mapping[int, Draft] | None = None,
        *,
        ids: Sequence[int] = (),
        datastreams: Sequence[int] = (),
        features: Sequence[int] = (),
    ) -> list[Plan]:
        """Write what a change of entities leaves for the log; from any thread.

        Observations of a Datastream that is not known yet are of one that this change makes. Raises
        ``QueryError`` for what the store would not take.
        """
        puts, told = puts or {}, (*drafts, *(puts or {}).values())
        for draft in told:
            self._require_size(draft.message)
        require_taken(copy.copy(self._intake), told)  # by what is known now, should more be learnt meanwhile
        return [
            *event.makes(drafts, self._most),
            *(event.put(row, draft) for row, draft in puts.items()),
            *event.drops(ids=ids, datastreams=datastreams, features=features),
        ]

    async def fulfil(self, intents: Sequence[Intent]) -> list[int]:
        """Append what the catalogue has promised, and return the ids of the Observations made."""
        numbers = {one.id for one in intents}
        self._promised |= numbers
        try:
            items = [(CHANGE, event.message(one), f"intent|{one.id}") for one in intents]
            sequences = await self._append(items, urgent=True)
        finally:
            self._promised -= numbers
        return await self._stored(
            [
                observation_id(sequence, index)
                for one, sequence in zip(intents, sequences, strict=True)
                for index in range(one.made)
            ]
        )

    def promised(self, intent: int) -> bool:
        """Whether an intent is on its way to the log."""
        return intent in self._promised

    async def arrays(self, groups: Sequence[Group], *, once: str | None = None) -> list[int | None]:
        """Append data arrays and return the id of each Observation in order, ``None`` for one refused."""
        if any(self._intake.stream_of(reading_subject(one.datastream)) is None for one in groups):
            await self._learn()
        made = messages(groups, self._most, self._intake.limits.pack)
        kept = [self._sound_rows(message) for message in made]
        items = [
            (SHARED, message.payload, _name(once, number))
            for number, (message, (rows, _)) in enumerate(zip(made, kept, strict=True))
            if rows
        ]
        sequences = iter(await self._append(items, partly=True) if items else ())
        found: list[int | None] = []
        for rows, count in kept:
            sequence = next(sequences) if rows else 0
            found += ids_of(sequence, rows, count)
        if not self._doubles:
            return found
        stored = iter(await self._stored([one for one in found if one is not None]))
        return [None if one is None else next(stored) for one in found]

    def _sound_rows(self, message: Message) -> tuple[Sequence[int], int]:
        """Return the places of the rows that will be taken, and how many there are in all."""
        batch, rejects = self._intake.foretell(SHARED, message.payload, time.time_ns())
        if not rejects:
            return range(len(batch)), len(batch)
        return batch.id.tolist(), message.count()

    async def _require_sound(self, subject: str, payload: bytes) -> None:
        """Refuse what the store would not take."""
        self._require_size(payload)
        batch, rejects = self._intake.check(subject, payload, time.time_ns())
        if rejects and rejects[0].reason == UNKNOWN_STREAM:
            await self._learn()
            batch, rejects = self._intake.check(subject, payload, time.time_ns())
        if rejects or not len(batch):
            raise error_of(rejects[0]) if rejects else QueryError("there is no Observation in the message")

    def _require_calm(self, subject: str, now_ns: int) -> None:
        """Refuse what would be left out because its Datastream sends too much."""
        if self._intake.flooded(subject, now_ns) or not self._bucket.admit(subject, now_ns):
            rate = self._intake.limits.per_device_s
            raise BusyError(f"a Datastream may send {rate:g} messages a second for long")

    def _require_size(self, payload: bytes) -> None:
        if len(payload) > self._most:
            raise TooLargeError(
                f"an Observation may have {self._most:,} bytes", hint="send what belongs to it elsewhere"
            )

    # --- what was there before ------------------------------------------------------------------------

    def _note(self, doubles: Batch) -> None:
        """Note which readings are not stored under their own id; somebody may be told of one of them."""
        keys = Keys(datastream=doubles.datastream, time=doubles.time, result_time=doubles.result_time)
        self._doubles |= zip(doubles.id.tolist(), keys.tuples(), strict=True)
        while len(self._doubles) > _DOUBLES:
            del self._doubles[next(iter(self._doubles))]

    async def _stored(self, ids: list[int]) -> list[int]:
        """Return the ids under which readings are stored: for one that was there before, the first one's."""
        found = {one: self._doubles[one] for one in ids if one in self._doubles} if self._doubles else {}
        if not found:
            return ids
        columns = np.array(list(set(found.values())), dtype=np.int64).T
        keys = Keys(datastream=columns[0], time=columns[1], result_time=columns[2])
        there = await asyncio.to_thread(self._holders, keys)
        return [there.get(found[one], one) if one in found else one for one in ids]

    # --- the log ----------------------------------------------------------------------------------

    async def _append(
        self, items: Sequence[Item], *, partly: bool = False, urgent: bool = False
    ) -> list[int]:
        """Append messages, wait until the store has taken them, and return their sequences.

        What the store refused of one raises an error, but where readings are known to be ``partly`` bad.
        What is ``urgent`` is never too much.
        """
        if self._closed:
            raise StreamError("the node stops")
        wish = _Wish(items)
        busy = len(self._since) >= IN_FLIGHT or self._bytes + wish.size > IN_FLIGHT_BYTES
        if busy and not urgent:
            raise BusyError("too many readings are under way to the log")
        self._since[wish] = self._taken
        self._bytes += wish.size
        try:
            if not self._queue:
                asyncio.get_running_loop().call_soon(self._send_queue)
            self._queue.append(wish)
            await wish.done
            for sequence in wish.sequences:
                if sequence in self._refused and not partly:
                    raise error_of(self._refused[sequence])
            return wish.sequences
        finally:
            del self._since[wish]
            self._bytes -= wish.size
            if not self._since:
                self._refused.clear()

    def _send_queue(self) -> None:
        wishes, self._queue = self._queue, []
        task = asyncio.get_running_loop().create_task(self._send(wishes))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, wishes: list[_Wish]) -> None:
        """Append the messages of several requests at once."""
        try:
            sequences = await self._publish([item for wish in wishes for item in wish.items])
        except NervureError as cause:
            for wish in wishes:
                _fail(wish, cause)
            return
        except asyncio.CancelledError:
            for wish in wishes:
                _fail(wish, StreamError(STOPPED))
            raise
        start = 0
        for wish in wishes:
            end = start + len(wish.items)
            wish.sequences = sequences[start:end]
            start = end
            last = max(wish.sequences, default=0)
            if last <= self._taken:
                _finish(wish)
            else:
                self._number += 1
                heappush(self._waiting, (last, self._number, wish))


def _finish(wish: _Wish) -> None:
    if not wish.done.done():
        wish.done.set_result(None)


def _fail(wish: _Wish, cause: NervureError) -> None:
    if not wish.done.done():
        wish.done.set_exception(cause)


def _name(once: str | None, number: int) -> str | None:
    """Return what names one message of a request for good."""
    return None if once is None else f"{once}|{number}".replace(" ", "|")


def _nobody(_keys: Keys) -> dict[Key, int]:
    return {}


def _nothing_known(_datastream: int) -> int:
    return 0


async def _none(_datastream: int) -> int:
    return 0


async def _nothing_new() -> bool:
    return False
