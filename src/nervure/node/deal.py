"""Dealing: readings are laid out by partition for the workers, as columns, in the order of the log.

    log ──▶ intake ──▶ store
                 └───▶ Dealer ──▶ nv.part.0 … nv.part.7 ──▶ workers

A message says after which log position it goes on and up to which it has all readings of its partition,
so a worker sees what is doubled and what is missing. What is dealt is lost with a crash at no harm: the
log keeps it until every partition has committed it, and it is dealt again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.answer import JUDGED
from nervure.core.entity import Datastream
from nervure.core.error import AwayError
from nervure.core.observation import PACK_BITS, Batch
from nervure.core.scale import partition_of

__all__ = ["TURN_ROWS", "Dealer", "Hand", "Turn", "batch_of", "read"]

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

_log = logging.getLogger("nervure.node")

MARK_S = 0.5
"""How often a partition hears how far the log is when there is nothing for it."""

MOST_ROWS = 400_000
"""So many rows wait for a log server that is away; then the log has to."""

MOST_BYTES = 1 << 20
_ROWS = 8_000
TURN_ROWS = 16_000
"""About so many readings are dealt at once: what is dealt together is scored in one go, and a worker does
nothing else meanwhile."""

_AGAIN_S = 0.5
_NAMES = ("id", "datastream", "time", "result_time", "value", "low", "high", "quality")
_ALWAYS = ("id", "datastream", "time", "value")
_TYPES = (np.int64, np.int64, np.int64, np.int64, np.float64, np.float64, np.float64, np.int8)

_ROW_BYTES = sum(np.dtype(one).itemsize for one in _TYPES)
_EACH, _LONG = 5, (1 << 63) - 1  # what msgpack writes before the bytes of a column, and the longest number


class Hand(msgspec.Struct, frozen=True, array_like=True):
    """Readings of one partition: those of the log after one position and up to another.

    Where they are too many for a message, it is the ``number``-th of ``count``. ``clocks`` say of each
    solution the newest time that was read of any of its streams. ``columns`` hold the bytes of `Batch`'s
    columns; what is left out is as it usually is.
    """

    after: int
    upto: int
    number: int
    count: int
    clocks: dict[str, int]
    columns: tuple[bytes, ...]


read = msgspec.msgpack.Decoder(Hand).decode


class _Taken(NamedTuple):
    """Readings of the log up to a position, which partitions want each ``[partition, row]``, and the clocks.

    ``clocks [solution]`` are the newest time of each solution up to there.
    """

    batch: Batch
    wanted: Flags
    upto: int
    clocks: Longs


class Turn(NamedTuple):
    """What is dealt at once: messages ``(partition, payload)``, their readings, up to which log position."""

    messages: list[tuple[int, bytes]]
    rows: int
    upto: int


class Dealer:
    """Lays readings out by partition; ``put`` brings messages to where workers read them."""

    def __init__(self, put: Callable[[Sequence[tuple[int, bytes]]], Awaitable[None]]) -> None:
        self._put = put
        self.most_bytes = MOST_BYTES
        """How large a message may be at most."""
        self._begun = 0
        self.count = 0
        """How many partitions there are; 0: nothing is dealt."""
        self.taken = 0
        """The last log position that was taken, dealt or not."""
        self.rows = 0
        self._solutions: tuple[str, ...] = ()
        self._guests: Mapping[str, Mapping[str, Collection[int]]] = {}
        self._told: tuple[tuple[int, int, str, tuple[int, ...]], ...] = ()
        self._queue: deque[_Taken] = deque()
        self._waiting = 0
        self._after: list[int] = []
        self._marked = 0.0
        self._clocks: Longs = np.zeros(0, dtype=np.int64)
        self._wake = asyncio.Event()
        self._calm = asyncio.Event()
        self._calm.set()
        self._lay()

    def begin(
        self,
        count: int,
        solutions: Collection[str],
        guests: Mapping[str, Mapping[str, Collection[int]]],
        position: int,
    ) -> None:
        """Deal to so many partitions what comes of these solutions after a log position.

        ``guests`` say of Datastreams, by solution and name, which partitions get them beside their own.
        """
        self.count, self.taken = count, position
        self._begun += 1
        self._guests = guests
        self._solutions = tuple(sorted(solutions))
        self._clocks = np.zeros(len(self._solutions), dtype=np.int64)
        self._after = [position] * count
        self._queue.clear()
        self._waiting = 0
        self._told = ()
        self._lay()
        self._calm.set()

    def learn(self, datastreams: Iterable[Datastream]) -> None:
        """Take over which Datastreams there are."""
        told = tuple(
            (one.id, one.thing, one.solution, tuple(self._guests.get(one.solution, {}).get(one.name, ())))
            for one in datastreams
            if one.kind in JUDGED and one.solution in self._solutions
        )
        if told != self._told:
            self._told = told
            self._lay()

    def _lay(self) -> None:
        """Note the partition and the solution of every Datastream."""
        told = sorted(self._told)
        self._ids: Longs = np.array([one[0] for one in told], dtype=np.int64)
        self._solution: Longs = np.array([self._solutions.index(one[2]) for one in told], dtype=np.int64)
        self._wanted = np.zeros((self.count, len(told)), dtype=bool)
        for row, (_, thing, _, guests) in enumerate(told):
            self._wanted[[partition_of(thing, self.count), *guests], row] = True

    def take(self, batch: Batch, upto: int) -> None:
        """Take a batch of the log, which ends at ``upto``."""
        if not self.count or upto <= self.taken:
            return
        after, self.taken = self.taken, upto
        if len(batch) and len(self._ids):
            where = np.minimum(np.searchsorted(self._ids, batch.datastream), len(self._ids) - 1)
            mine = (self._ids[where] == batch.datastream) & (batch.id >> PACK_BITS > after)
            rows = np.flatnonzero(mine)
            if len(rows):
                batch, where = _plain(batch, rows), where[rows]
                read = batch.result_time >= batch.time  # what is foretold moves no clock
                np.maximum.at(self._clocks, self._solution[where[read]], batch.time[read])
                self._queue.append(_Taken(batch, self._wanted[:, where], upto, self._clocks.copy()))
                self._waiting += len(rows)
                self.rows += len(rows)
        self._calm.clear()
        self._wake.set()

    def lacks(self, upto: int) -> bool:
        """Whether partitions were not yet dealt what the log holds up to there."""
        return self.count > 0 and upto > self.taken

    @property
    def full(self) -> bool:
        """Whether nothing more may be taken until what waits is with the log server."""
        return self._waiting > MOST_ROWS

    async def calm(self) -> None:
        """Wait until all partitions were told of all that was taken."""
        self._marked = 0.0
        self._calm.clear()
        self._wake.set()
        await self._calm.wait()

    async def run(self) -> None:
        """Deal, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            pause = self._marked + MARK_S - time.monotonic()
            if not self._queue and pause > 0:  # nothing but how far the log is: not so often
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause)
            await self._deal()

    async def _deal(self) -> None:
        """Put what waits, one message a partition, and the next only when these are there."""
        begun = self._begun
        mark = time.monotonic() - self._marked >= MARK_S
        turn = self.turn(all_of_them=mark)
        if turn.messages and not await self._patiently(turn.messages, begun):
            return
        self._waiting -= turn.rows
        if mark:
            self._marked = time.monotonic()
        if not self._queue and self.taken == turn.upto and all(one == turn.upto for one in self._after):
            self._calm.set()
        else:
            self._wake.set()

    def turn(self, *, all_of_them: bool = False) -> Turn:
        """Return what is dealt next; ``all_of_them``: also to partitions for which there is nothing."""
        some: list[_Taken] = []
        rows = 0
        while self._queue and rows < TURN_ROWS:
            some.append(self._queue.popleft())
            rows += len(some[-1].batch)
        # a clock ahead of what is dealt would have readings that still wait taken for silence
        upto, clocks = (some[-1].upto, some[-1].clocks) if self._queue else (self.taken, self._clocks)
        none = np.zeros((self.count, 0), dtype=bool)
        wanted = np.concatenate([none, *(one.wanted for one in some)], axis=1)
        whole = _Taken(Batch.concat([one.batch for one in some]), wanted, upto, clocks)
        return Turn(list(self._messages(whole, all_of_them=all_of_them)), rows, upto)

    async def _patiently(self, messages: list[tuple[int, bytes]], begun: int) -> bool:
        """Put messages, however long the server is away; false if they are of no use any more."""
        while True:
            try:
                await self._put(messages)
            except AwayError as cause:
                _log.warning("partitions wait for the log server: %s", cause.what)
                await asyncio.sleep(_AGAIN_S)
            else:
                return self._begun == begun
            if self._begun != begun:
                return False

    def _messages(self, taken: _Taken, *, all_of_them: bool) -> Iterator[tuple[int, bytes]]:
        """Write the messages of what was taken, up to its log position."""
        batch, wanted, upto, now = taken
        clocks = dict(zip(self._solutions, now.tolist(), strict=True))
        most = self._most_rows(clocks)
        for one in range(self.count):
            rows = np.flatnonzero(wanted[one])
            after = self._after[one]
            if not len(rows) and (not all_of_them or after == upto):
                continue
            parts = [rows[start : start + most] for start in range(0, max(1, len(rows)), most)]
            for number, some in enumerate(parts):
                hand = Hand(after, upto, number, len(parts), clocks, _columns(batch, some))
                yield one, msgspec.msgpack.encode(hand)
            self._after[one] = upto

    def _most_rows(self, clocks: dict[str, int]) -> int:
        """Return how many readings a message has room for."""
        head = len(msgspec.msgpack.encode(Hand(_LONG, _LONG, _LONG, _LONG, clocks, ()))) + _EACH * len(_NAMES)
        return max(1, min(_ROWS, (self.most_bytes - head) // _ROW_BYTES))


def _plain(batch: Batch, rows: Longs) -> Batch:
    """Return rows of a batch with the columns that are scored."""
    return Batch(**{name: getattr(batch, name)[rows] for name in _NAMES})


def _columns(batch: Batch, rows: Longs) -> tuple[bytes, ...]:
    """Return the bytes of columns, none of what is as usual."""
    found = [getattr(batch, name)[rows] for name in _NAMES]
    time_, result = found[2], found[3]
    usual = (False, False, False, np.array_equal(time_, result), False)
    gaps = (*usual, np.isnan(found[5]).all(), np.isnan(found[6]).all(), not found[7].any())
    return tuple(b"" if left else one.tobytes() for one, left in zip(found, gaps, strict=True))


def batch_of(hand: Hand) -> Batch:
    """Return the readings that a message holds."""
    columns: dict[str, Any] = {
        name: np.frombuffer(one, dtype=kind) if one or name in _ALWAYS else None
        for name, one, kind in zip(_NAMES, hand.columns, _TYPES, strict=True)
    }
    return Batch.of(**columns)
