"""A worker: a process that scores and judges the partitions it holds.

It takes its fair part of the partitions, hands over what is too much when others join, and takes over
from who has gone. It has no store: readings come from the node by way of NATS, states, alerts and
positions go to the catalogue, forecasts to the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from nervure.core.error import NervureError, StoreError, StreamError
from nervure.core.settings import Settings
from nervure.node.deal import Hand, read
from nervure.node.hearing import EVERY_S, end_of
from nervure.node.meter import Meter
from nervure.node.pulse import Pulse
from nervure.node.share import Known, Library, Share
from nervure.node.trouble import Troubles
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.lease import Lease, LeaseLost, Leases, Standing
from nervure.stream.log import Entries, Log
from nervure.stream.partition import Partitions

__all__ = ["Hands", "fair", "work"]

_log = logging.getLogger("nervure.node")

LOOK_S = 0.25
COMMIT_S = 1.0
LEARN_S = 1.0
_AGAIN_S = 0.5
_FULL_S = 0.02
_TURN_BYTES = 1 << 16


class _Held:
    """A partition that is worked on: its lease, its share once that is loaded, and the task."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.share: Share | None = None
        self.task: asyncio.Task[None] | None = None
        self.lacks = False
        self.forgot = 0


class Hands:
    """The partitions of one worker; it runs until :meth:`stop`."""

    def __init__(self, settings: Settings, name: str = "") -> None:
        self.name = name or self.named()
        self._settings = settings
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held: dict[int, _Held] = {}
        self._beats: dict[str, tuple[int, float]] = {}
        self._meter = Meter()
        self._rows = 0
        self._troubles = Troubles()
        self._stamp: tuple[int, ...] = ()
        self._turn = asyncio.Lock()

    @staticmethod
    def named() -> str:
        """Return a name that no other worker has."""
        return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"

    def stop(self) -> None:
        """Ask it to stop, from any thread: it commits, and others take over."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    async def run(self) -> None:
        """Work until it is told to stop."""
        settings, self._loop = self._settings, asyncio.get_running_loop()
        self._catalogue = Catalogue.open(settings.catalogue_place)
        self._leases = Leases(self._catalogue.database)
        self._known = Known(self._catalogue)
        for name in settings.project.solutions:  # the first look takes long, and partitions wait for nobody
            await asyncio.to_thread(find, name)
        self._log = await Log.connect(settings)
        self._library = Library(self._log, settings)
        self._partitions = await Partitions.connect(settings)
        self._pulse = Pulse(self._leases, self.name, LOOK_S)
        self._pulse.start()
        jobs = [
            asyncio.create_task(self._every(LOOK_S, "leases", self._look)),
            asyncio.create_task(self._every(COMMIT_S, "commit", self._commit)),
            asyncio.create_task(self._every(LEARN_S, "catalogue", self._learn)),
            asyncio.create_task(self._every(EVERY_S, "log", self._listen)),
        ]
        stopped = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait([*jobs, stopped], return_when=asyncio.FIRST_COMPLETED)
            for job in done - {stopped}:
                job.result()
        finally:
            for job in (*jobs, stopped):
                job.cancel()
            await asyncio.gather(*jobs, stopped, return_exceptions=True)
            await self._close()

    async def _close(self) -> None:
        for number in list(self._held):
            with contextlib.suppress(NervureError):  # who takes over does again what is not committed
                await self._give(number)
        await asyncio.to_thread(self._pulse.stop)
        with contextlib.suppress(NervureError):
            await asyncio.to_thread(self._leases.free, self.name)
        self._partitions.close()
        await self._log.close()
        self._catalogue.close()

    async def _every(self, seconds: float, name: str, work: Callable[[], Any]) -> None:
        while True:
            await self._troubles.bear(name, work)
            await asyncio.sleep(seconds)

    # --- who holds what -----------------------------------------------------------------------------

    async def _look(self) -> None:
        """Say that we live, see who else does, and hold what is ours."""
        about = self._about()
        standing = await asyncio.to_thread(self._leases.attend, self.name, about)
        self._pulse.felt(about)
        await self._bury(standing)
        for lease in standing.leases:
            held = self._held.get(lease.partition)
            if held is not None and (held.lease != lease or self._has_failed(held)):
                await self._drop(lease.partition)
                held = None
            if (
                held is None and lease.worker == self.name
            ):  # what was given up half, or failed: from its commit
                self._hold(lease, len(standing.leases))
        for number in set(self._held) - {one.partition for one in standing.leases}:
            await self._drop(number)
        mine, free = fair(standing, self.name), [one for one in standing.leases if not one.worker]
        for number in sorted(self._held)[mine:]:
            await self._give(number)
        for lease in free[: max(0, mine - len(self._held))]:
            taken = await asyncio.to_thread(self._leases.take, lease, self.name)
            if taken is not None:
                self._hold(taken, len(standing.leases))

    def _has_failed(self, held: _Held) -> bool:
        """Tell whether the work on a partition broke off, as it does when the catalogue is away."""
        if held.task is None or not held.task.done():
            return False
        try:
            held.task.result()
        except (StoreError, StreamError) as cause:
            self._troubles.note(f"partition {held.lease.partition}", str(cause))
        return True

    async def _bury(self, standing: Standing) -> None:
        """Take out workers whose beat has stood still for too long."""
        now = time.monotonic()
        for one in standing.workers:
            beat, since = self._beats.get(one.name, (-1, now))
            self._beats[one.name] = (beat, since) if beat == one.beat else (one.beat, now)
            still = now - self._beats[one.name][1]
            if one.name != self.name and still > self._settings.scale.silent_s:
                _log.warning("%s has been silent for %.1f s: others take over", one.name, still)
                await asyncio.to_thread(self._leases.free, one.name, one.beat)
        names = {one.name for one in standing.workers}
        self._beats = {name: seen for name, seen in self._beats.items() if name in names}

    def _hold(self, lease: Lease, count: int) -> None:
        held = self._held[lease.partition] = _Held(lease)
        held.task = asyncio.create_task(self._work(held, count))

    async def _drop(self, number: int) -> None:
        """Let go of a partition at once: it is another's now."""
        held = self._held.pop(number)
        if held.task is not None:
            held.task.cancel()
            await asyncio.gather(held.task, return_exceptions=True)

    async def _give(self, number: int) -> None:
        """Hand a partition over: stop, commit, and leave it to whoever wants it."""
        held = self._held[number]
        await self._drop(number)
        if held.share is not None:
            await held.share.last(self._settings.scale.silent_s / 2)
        await asyncio.to_thread(self._leases.take, held.lease, "")

    def _about(self) -> dict[str, Any]:
        """Return what we say of ourselves."""
        shares = [one.share for one in self._held.values() if one.share is not None]
        return {
            "pid": os.getpid(),
            **self._meter.figures(),
            "rows": self._rows,
            "open": sum(one.open_alerts() for one in shares),
            "lacks": any(one.lacks for one in self._held.values()),
            "problems": self._troubles.words(),
        }

    # --- the work -----------------------------------------------------------------------------------

    async def _work(self, held: _Held, count: int) -> None:
        """Load a partition and score what comes, as long as it is ours."""
        number = held.lease.partition
        while True:
            share = Share(
                number,
                count,
                self._catalogue,
                self._log,
                self._meter,
                self._settings,
                known=self._known,
                held=held.lease,
            )
            try:
                await share.load(self._library)
                break
            except (StoreError, StreamError) as cause:
                self._troubles.note(f"partition {number}", str(cause))
                await asyncio.sleep(_AGAIN_S)
        self._troubles.over(f"partition {number}")
        held.share = share
        async with contextlib.aclosing(self._partitions.read(number)) as feed:
            async for entries in feed:
                await self._take(held, share, entries)

    async def _take(self, held: _Held, share: Share, entries: Entries) -> None:
        """Score what has arrived, some thousand readings at a time; what else is to be done comes between."""
        place = f"partition {held.lease.partition}"
        for some in _portions(entries):
            while share.full:  # noqa: ASYNC110 - what is full is emptied by commits
                await asyncio.sleep(_FULL_S)
            async with self._turn:  # one partition a turn of the loop: leases and commits have theirs
                try:
                    self._rows += share.hear(some)
                except StreamError as cause:
                    held.lacks = True
                    self._troubles.note(place, str(cause))
                else:
                    held.lacks = False
                    self._troubles.over(place)
                await asyncio.sleep(0)
            if share.pressing:  # what fails is tried again; whoever has the lease now does it again
                with contextlib.suppress(StoreError):
                    await share.backpressure()

    async def _commit(self) -> None:
        """Commit all partitions, and have forgotten what their commits hold."""
        for number, held in list(self._held.items()):
            share = held.share
            if share is None or self._held.get(number) is not held:
                continue
            try:
                await share.commit()
            except LeaseLost:
                if self._held.get(number) is held:
                    await self._drop(number)
                continue
            if share.forgettable > held.forgot:
                await self._partitions.forget(number, share.forgettable)
                held.forgot = share.forgettable

    async def _listen(self) -> None:
        """See how far the log has got: silence counts as far as what came by then was worked on."""
        end, asked_ns = await end_of(self._log)
        for held in self._held.values():
            if held.share is not None:
                held.share.ended(end, asked_ns)

    async def _learn(self) -> None:
        """Take up Datastreams that are new."""
        stamp = await asyncio.to_thread(self._catalogue.stamp)
        if stamp != self._stamp:
            for held in list(self._held.values()):
                if held.share is not None:
                    held.share.learn()
            self._stamp = stamp


def _portions(entries: Entries) -> Iterator[list[tuple[int, Hand]]]:
    """Yield messages with their places in the stream, about as many together as are scored at once."""
    some: list[tuple[int, Hand]] = []
    size = 0
    for message, payload in zip(entries.sequence, entries.payload, strict=True):
        some.append((message, read(payload)))
        size += len(payload)
        if size >= _TURN_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def fair(standing: Standing, name: str) -> int:
    """Return how many partitions a worker should hold: as many as the others, the first some one more.

    >>> from nervure.store.lease import Worker
    >>> leases = tuple(Lease(one, "", 1) for one in range(5))
    >>> workers = tuple(Worker(one, 1, {}) for one in ("a", "b"))
    >>> [fair(Standing(leases, workers), one) for one in ("a", "b", "c")]
    [3, 2, 0]
    """
    names = [one.name for one in standing.workers]
    if name not in names:
        return 0
    each, more = divmod(len(standing.leases), len(names))
    return each + (names.index(name) < more)


def work(settings: Settings, name: str = "") -> None:
    """Run a worker until SIGINT or SIGTERM."""
    import uvloop

    async def main() -> None:
        hands = Hands(settings, name)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, hands.stop)
        await hands.run()

    uvloop.run(main())


if __name__ == "__main__":
    work(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Settings), sys.argv[2])
