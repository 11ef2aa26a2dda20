"""Composition: the rooms wired into one process.

    log ──▶ intake ──▶ observations (position in each commit)
                  └──▶ scorer ──▶ engine ──▶ alerts, position and state in one transaction ──▶ notifier

The log is the truth. Each view (``observations``, ``score``) has its own position and goes on from
there after a crash; what it does twice has the same id both times.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from nervure.core.error import NervureError, StoreError, StreamError
from nervure.core.instant import DAY_NS
from nervure.core.observation import Batch, observation_id
from nervure.core.settings import Settings
from nervure.node.meter import Meter
from nervure.node.watch import VIEW, Watch
from nervure.sense.http import ingest
from nervure.sense.intake import Intake
from nervure.sense.mqtt import ExternalBroker
from nervure.serve.answer import ASGI
from nervure.serve.app import application
from nervure.serve.listener import bind, listen
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.stream.log import Entries, Log
from nervure.stream.server import Server

__all__ = ["Node", "run"]

_log = logging.getLogger("nervure.node")

COMMIT_S = 1.0
SEAL_S = 0.1
HOUSEKEEPING_S = 30.0


class Node:
    """One running node: the embedded log, the catalogue, the store, and what is scored."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.meter = Meter()
        self.server: Server | None = None
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._gateways: list[ExternalBroker] = []
        self._trouble: dict[str, str] = {}
        self._stamp: tuple[int, ...] = ()
        self._switching = asyncio.Lock()

    async def start(self) -> None:
        """Start the log, open the stores, take up every view where it stopped."""
        settings = self.settings
        settings.folder.mkdir(parents=True, exist_ok=True)
        self._door = bind(settings.http.host, settings.http.port)
        self.catalogue = Catalogue.open(settings.folder / "catalogue.db")
        self.observations = Observations.open(settings.folder / "observations", settings.store)
        scored = self.catalogue.view(VIEW)
        reached = max(self.observations.position, scored[0] if scored else 0)
        if settings.nats.url is None:  # numbers that a view has passed must never be given out again
            self.server = await Server.start(settings, floor=reached)
        self.log = await Log.connect(settings)
        self.intake = Intake(self.catalogue.datastreams(), settings.limits)
        self.watch = Watch(self.catalogue, self.observations, self.log, self.meter, settings)
        for name in settings.project.solutions:
            self.watch.add(find(name))
        self._stamp = self.catalogue.stamp()
        await self.watch.refresh()
        self.watch.restore()

    async def run(self) -> None:
        """Work until :meth:`stop`; a loop that dies takes the node down with its error."""
        jobs: list[Coroutine[Any, Any, None]] = [
            self._ingest(),
            self._every(COMMIT_S, self.watch.commit),
            self._every(SEAL_S, self._seal),
            self._every(1.0, self._refresh),
            self.watch.notify(),
            self._every(HOUSEKEEPING_S, self._housekeep),
            listen(self._application(), self._door),
        ]
        if self.server is not None:
            jobs.append(self.server.wait())
        for broker in self.settings.broker:
            gateway = ExternalBroker(broker, self.log.publish, self.intake.named, self.settings.limits)
            self._gateways.append(gateway)
            jobs.append(gateway.run())
        self._tasks = [asyncio.create_task(job) for job in jobs]
        stopped = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait([*self._tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
        finally:
            stopped.cancel()
            await self._shut()

    def stop(self) -> None:
        """Ask the node to stop."""
        self._stop.set()

    async def _ingest(self) -> None:
        after = min(self.observations.position, self.watch.position)
        async for entries in self.log.read(after):
            while self.observations.full:  # noqa: ASYNC110 - slow or full disk: the log keeps what we leave
                await asyncio.sleep(0.2)
            async with self._switching:
                self.take(entries)
                await self.watch.backpressure()

    def take(self, entries: Entries) -> None:
        """Bring one batch of log entries into the store and under the models."""
        upto = entries.sequence[-1]
        batch, rejects = self.intake.take(entries)
        appended = self.observations.append(batch, upto)
        refused = [*rejects, *appended.conflicts]
        self.watch.refuse(refused)
        self.meter.count(entries=len(entries), readings=len(batch), duplicates=appended.duplicates)
        self.meter.rejects(refused)
        self.watch.take(self._unseen(batch), upto)
        self.meter.arrival(entries.received_ns, time.time_ns())

    def _unseen(self, batch: Batch) -> Batch:
        """Leave out what the score view has already worked on before a restart."""
        known = observation_id(self.watch.position + 1)
        if len(batch) and batch.id[0] < known:
            return batch.take(batch.id >= known)
        return batch

    async def _seal(self) -> None:
        if self.observations.due:
            await self._guarded("store", self.observations.seal)

    async def _guarded(self, name: str, work: Callable[[], Any]) -> None:
        """Work in a thread; when it fails, say so in the status and try again the next time."""
        try:
            await asyncio.to_thread(work)
            self._trouble.pop(name, None)
        except StoreError as cause:
            if name not in self._trouble:
                _log.error("%s: %s", name, cause)
            self._trouble[name] = str(cause)

    async def _refresh(self) -> None:
        """See Datastreams and models that were added while the node runs."""
        stamp = self.catalogue.stamp()
        if stamp == self._stamp:
            return
        async with self._switching:  # a new model's windows come from the store, which must not move on
            self.intake.learn(self.catalogue.datastreams())
            await self.watch.refresh()
        self._stamp = stamp

    async def _housekeep(self) -> None:
        """Forget what every view has passed, merge small files, drop what is too old."""
        with contextlib.suppress(StreamError):  # the server is being started again; next time
            await self.log.trim(min(self.observations.safe_position, self.watch.position))
        await self._guarded("compaction", self.observations.compact)
        keep = self.settings.store.keep_days
        if keep:
            await self._guarded("retention", lambda: self.observations.retain(time.time_ns() - keep * DAY_NS))

    async def _every(self, seconds: float, work: Any) -> None:
        while True:
            await asyncio.sleep(seconds)
            await work()

    def _application(self) -> ASGI:
        return application(
            self.catalogue, self.observations, self.status, ingest(self.log.publish, self.intake)
        )

    def status(self) -> dict[str, Any]:
        """Return what ``nervure status`` and ``/metrics`` show."""
        return {
            **self.meter.figures(),
            "stored": self.observations.count(),
            "sealed_position": self.observations.position,
            "score_position": self.watch.position,
            "quarantine": self.catalogue.quarantine_counts(),
            "models": self.watch.models(),
            "open_alerts": self.watch.open_alerts(),
            "gateways": [msgspec.to_builtins(gateway.standing()) for gateway in self._gateways],
            "broker": self._broker(),
            "repaired": list(self.observations.repaired),
            "problems": self._problems(),
        }

    def _broker(self) -> dict[str, int]:
        """Return how the embedded server does: restarts, refused rights, QoS 0 messages shed."""
        server = self.server
        return {"restarts": server.restarts, "refused": server.refused, "shed": server.shed} if server else {}

    def _problems(self) -> list[str]:
        """Return what keeps readings from being taken or kept, in words; nothing when all is well."""
        found = [f"{name}: {text}" for name, text in self._trouble.items()]
        if self.server is not None and self.server.trouble:
            found.append(f"log: {self.server.trouble}")
        return found

    async def _shut(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(NervureError):  # what fails now is done again from the log at the next start
            await self.watch.commit()
            await asyncio.to_thread(self.observations.seal)
        await self.watch.close()
        await self.log.close()
        self.observations.close()
        self.catalogue.close()
        if self.server is not None:
            await self.server.stop()


def run(settings: Settings) -> None:
    """Run a node until SIGINT or SIGTERM."""
    import uvloop

    async def main() -> None:
        node = Node(settings)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, node.stop)
        await node.start()
        await node.run()

    uvloop.run(main())
