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
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec

from nervure.core.error import NervureError, StoreError, StreamError
from nervure.core.instant import DAY_NS
from nervure.core.observation import Batch
from nervure.core.settings import Settings
from nervure.node.entry import Entry
from nervure.node.feature import Features
from nervure.node.front import Front
from nervure.node.hearing import EVERY_S, end_of
from nervure.node.herald import Herald
from nervure.node.inflow import Inflow
from nervure.node.inquiry import Inquiries
from nervure.node.meter import Meter
from nervure.node.promise import keep_promises
from nervure.node.readings import Readings
from nervure.node.scale import Scale, positions
from nervure.node.study import Study
from nervure.node.task import VIEW as TASKS
from nervure.node.trouble import Clock, Troubles
from nervure.node.watch import VIEW, Watch
from nervure.sense.http import ingest
from nervure.sense.intake import Intake
from nervure.sense.mqtt import ExternalBroker
from nervure.serve.answer import ASGI
from nervure.serve.control.brief import brief
from nervure.serve.control.vital import Vital, strip
from nervure.serve.header import secured
from nervure.serve.listener import bind, listen
from nervure.serve.live import Live
from nervure.serve.site import Sites
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.stream.log import Log, address_of
from nervure.stream.server import Server

__all__ = ["Node"]

_log = logging.getLogger("nervure.node")

COMMIT_S = 1.0
SEAL_S = 0.1
HOUSEKEEPING_S = 30.0
AGAIN_S = 0.5
FULL_S = 0.02


class Node:
    """One running node: the embedded log, the catalogue, the store, and what is scored.

    ``examine`` tells what is missing on the machine.
    """

    def __init__(self, settings: Settings, examine: Callable[[], Iterable[Any]] | None = None) -> None:
        self.settings = settings
        self._examine = examine
        self.meter = Meter()
        self.server: Server | None = None
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._gateways: list[ExternalBroker] = []
        self._troubles = Troubles()
        self._clock = Clock()
        self._end = 0
        self._quarantine: dict[str, int] = {}
        self._stamp: tuple[int, ...] = ()
        self._known: tuple[int, ...] = ()
        self._switching = asyncio.Lock()

    async def start(self) -> None:
        """Start the log, open the stores, take up every view where it stopped."""
        settings = self.settings
        settings.folder.mkdir(parents=True, exist_ok=True)
        guarded = settings.tls.on and not settings.access.open
        self._door = bind(settings.http.host, settings.http.port, guarded=guarded)
        with contextlib.ExitStack() as failed:
            failed.callback(self._door.close)
            self.catalogue = Catalogue.open(settings.catalogue_place)
            self.entry = Entry(settings, self.catalogue)
            self.observations = Observations.open(settings.folder / "observations", settings.store)
            scored = self.catalogue.view(VIEW)
            asked = self.catalogue.view(TASKS)
            views = [self.observations.position, scored[0] if scored else 0, asked[0] if asked else 0]
            views += positions(self.catalogue)
            if settings.nats.url is None:  # numbers that a view has passed must never be given out again
                self.server = await Server.start(
                    settings, floor=max(views), read=min(views), gate=self.entry.gate
                )
            self.log = await Log.connect(settings)
            self._wire()
            await self.scale.start(self.catalogue.datastreams())
            for name in settings.project.solutions:
                if name not in self.scale.layout.solutions:
                    self.watch.add(find(name))
            self._stamp = self._known = self.catalogue.stamp()
            await self.watch.refresh()
            self.watch.restore()
            failed.pop_all()

    def _wire(self) -> None:
        """Put together what reads the log and what answers."""
        settings = self.settings
        datastreams = self.catalogue.datastreams()
        self.intake = Intake(datastreams, settings.limits, [find(one) for one in settings.project.solutions])
        self.watch = Watch(self.catalogue, self.observations, self.log, self.meter, settings)
        self.scale = Scale(settings, self.catalogue, self.observations, self.log, self.watch, self.meter)
        self.readings = Readings(self.log.publish_many, self.intake, settings.nats.max_payload_bytes)
        self.front = Front(
            settings, self.catalogue, self.observations, self.log, self.readings,
            guard=self.entry.guard, refuse=self.watch.refuse, seal=self.entry.seal,
            derived=self.entry.derived, doubt=self.entry.doubt,
        )  # fmt: skip
        self.front.learn(datastreams)
        self.sites = Sites(self.catalogue)
        self.live = Live(strip=self._strip, brief=brief, since=self.observations.since)
        self.herald = Herald(self.catalogue, self.live)
        self.watch.told = self.herald.own
        self.study = Study(settings, self.catalogue, self.observations, self.log)
        self.inquiries = Inquiries(settings)
        self.features = Features(self.front.writer)
        self.readings.join(self.features.default, self._learn, self.observations.holders, self.features.quick)
        self.inflow = Inflow(
            intake=self.intake,
            features=self.features,
            drafter=self.front.writer,
            observations=self.observations,
            watch=self.watch,
            dealer=self.scale.dealer,
            readings=self.readings,
            meter=self.meter,
            learn=self._learn_patiently,
            fulfilled=self.catalogue.fulfilled,
            told=self._took,
        )

    async def run(self) -> None:
        """Work until :meth:`stop`; a loop that dies takes the node down with its error."""
        jobs: list[Coroutine[Any, Any, None]] = [
            self._ingest(),
            self._every(COMMIT_S, lambda: self._troubles.bear("alerts", self.watch.commit)),
            self._every(SEAL_S, self._seal),
            self._every(1.0, lambda: self._troubles.bear("catalogue", self._refresh)),
            self._every(EVERY_S, self._look),
            self.watch.notify(),
            self.live.run(),
            self.herald.run(),
            keep_promises(self.catalogue, self.log, self.readings),
            *self.front.jobs(),
            *self.scale.jobs(),
            *self.entry.jobs(self.server, address_of(self.settings)),
            self._every(HOUSEKEEPING_S, self._housekeep),
            self._every(self.settings.store.compact_s, self._compact),
            listen(secured(self._application()), self._door, self.entry.tls, self.front.shortcut),
        ]
        if self.server is not None:
            jobs.append(self.server.wait())
        for broker in self.settings.broker:
            gateway = ExternalBroker(broker, self.log.publish_many, self.intake.named, self.settings.limits)
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
        while True:
            views = (self.observations, self.watch, self.front.tasking, self.scale)
            await self._read(min(one.position for one in views))
            async with self._switching:
                while not await self._troubles.bear("partitions", self.scale.deal_again):  # noqa: ASYNC110 - it works, or not
                    await asyncio.sleep(AGAIN_S)

    async def _read(self, after: int) -> None:
        """Take what the log holds after a position, until a worker lacks some of it."""
        least_s = self.settings.score.min_interval_ms / 1000
        async for entries in self.log.read(after):
            begun = time.monotonic()
            while self.observations.full or self.watch.full or self.scale.dealer.full:  # the log keeps it
                taken = not self.watch.full or await self._troubles.bear("alerts", self.watch.commit)
                await asyncio.sleep(FULL_S if taken else AGAIN_S)
            async with self._switching:
                await self.inflow.take(self.front.take(entries), entries.sequence[-1])
            if self.watch.pressing:
                await self._troubles.bear("alerts", self.watch.backpressure)
            if self.scale.lacks:
                return
            if least_s:  # fewer and larger batches: what comes meanwhile waits, and costs less each
                await asyncio.sleep(max(0.0, begun + least_s - time.monotonic()))

    async def _seal(self) -> None:
        if self.observations.due:
            with contextlib.suppress(StoreError):  # the catalogue is away: next time
                await self.features.flush()
            await self._guarded("store", self.observations.seal)

    async def _guarded(self, name: str, work: Callable[[], Any]) -> None:
        """Work in a thread; when it fails, say so in the status and try again the next time."""
        await self._troubles.bear(name, lambda: asyncio.to_thread(work))

    async def _refresh(self) -> None:
        """See Datastreams and models that were added while the node runs."""
        await self._learn()
        if self._known == self._stamp and not self.watch.monitors.due and self.scale.settled:
            return
        async with self._switching:  # a new model's windows come from the store, which must not move on
            known = self._known
            await self.scale.switch()
            await self.watch.refresh()
            self._stamp = known

    async def _learn(self) -> bool:
        """Take over what Datastreams there are, and tell whether the catalogue has changed."""
        stamp = await asyncio.to_thread(self.catalogue.stamp)
        if stamp == self._known:
            return False
        datastreams = await asyncio.to_thread(self.catalogue.datastreams)
        self.intake.learn(datastreams)
        self.front.learn(datastreams)
        await self.scale.learn(datastreams)
        self.features.forget()
        self._known = stamp
        return True

    async def _learn_patiently(self) -> bool:
        """Take over what there is, for a reading that cannot be placed without; wait for the catalogue."""
        while True:
            try:
                return await self._learn()
            except StoreError as cause:
                self._troubles.note("catalogue", str(cause))
                await asyncio.sleep(AGAIN_S)

    async def _look(self) -> None:
        """See how far the log has got, whether it answers, and whether somebody set the clock."""
        if jump := self._clock.look():
            self._troubles.note("clock", jump)
        else:
            self._troubles.over("clock")
        await self._troubles.bear("log", self._listen)

    async def _listen(self) -> None:
        self._end, asked_ns = await end_of(self.log)
        self.watch.ended(self._end, asked_ns)

    async def _housekeep(self) -> None:
        """Forget what every view has passed, and drop what is too old."""
        with contextlib.suppress(StreamError, StoreError):  # one of them is away; next time
            await self.front.tasking.commit()
            views = (self.watch, self.front.tasking, self.scale)
            passed = min(self.observations.safe_position, *(one.position for one in views))
            await self.log.trim(passed)
            await asyncio.to_thread(self.catalogue.forget_drafted, passed)
        if keep := self.settings.store.keep_days:
            await self._guarded("retention", lambda: self.observations.retain(time.time_ns() - keep * DAY_NS))

    async def _compact(self) -> None:
        await self._guarded("compaction", self.observations.compact)

    async def _every(self, seconds: float, work: Any) -> None:
        while True:
            await asyncio.sleep(seconds)
            await work()

    def _application(self) -> ASGI:
        door = ingest(self.log.publish, self.intake, self.front.may_write)
        control = self.entry.control(
            standing=self.watch.monitors.standing,
            vital=self._vital,
            site=self.sites,
            observed=self.observations,
            live=self.live,
            check=self.intake.check,
            examine=self._examine,
            study=self.study,
            steering=self.front.steered(self.entry.sealed),
            inquiries=self.inquiries,
        )
        return self.front.application(self.status, ingest=door, control=control)

    def _took(self, batch: Batch) -> None:
        """Tell of Observations that answers have now, by MQTT and to pages."""
        self.front.took(batch)
        self.live.took(batch)

    def _vital(self) -> Vital:
        return Vital(p95_ms=self.meter.p95_ms, problems=tuple(self._problems()))

    def _strip(self) -> dict[str, Any]:
        """Return what is told once a second to pages that show how the node does."""
        found = strip(self.sites(), self.observations.newest(), self._vital, time.time_ns())
        rung = self.watch.open_alerts() + self.scale.open_alerts()
        return found | {"open_alerts": rung, "problems": self._problems()}

    def status(self) -> dict[str, Any]:
        """Return what ``nervure status`` and ``/metrics`` show."""
        problems = self._problems()
        return {
            **self.scale.counted(self.meter.figures()),
            "stored": self.observations.count(),
            "sealed_position": self.observations.position,
            "score_position": min(self.watch.position, self.scale.position),
            "quarantine": self._counted(),
            "models": self.watch.models() | self.scale.models(),
            "monitors": self.watch.monitors.figures(),
            "open_alerts": self.watch.open_alerts() + self.scale.open_alerts(),
            "scale": self.scale.figures(),
            "gateways": [msgspec.to_builtins(gateway.standing()) for gateway in self._gateways],
            "log": self._standing(),
            "broker": self._broker(),
            "mqtt": self.front.figures(),
            "door": self.entry.figures(),
            "repaired": list(self.observations.repaired),
            "clock": {"jumps": self._clock.jumps, "jumped_s": round(self._clock.jumped_s, 3)},
            "troubles": len(problems),
            "problems": problems,
        }

    def _counted(self) -> dict[str, int]:
        """Return how much is in quarantine; while the catalogue is away, how much was at the last look."""
        with contextlib.suppress(StoreError):
            self._quarantine = self.catalogue.quarantine_counts()
        return self._quarantine

    def _standing(self) -> dict[str, int]:
        """Return where the log ended when it was last asked, and how many messages are not yet worked on."""
        taken = min(self.observations.taken, self.watch.taken)
        return {"end": self._end, "taken": taken, "behind": max(0, self._end - taken)}

    def _broker(self) -> dict[str, int]:
        """Return how the embedded server does: restarts, refused rights, QoS 0 messages shed."""
        server = self.server
        return {"restarts": server.restarts, "refused": server.refused, "shed": server.shed} if server else {}

    def _problems(self) -> list[str]:
        """Return what keeps readings from being taken or kept, in words; nothing when all is well."""
        found = self._troubles.words() + self.scale.problems()
        if self.server is not None and self.server.trouble:
            found.append(f"log: {self.server.trouble}")
        return found

    async def _shut(self) -> None:
        self.live.close()
        self.readings.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._door.close()  # also when nothing came to listen at it yet
        for work in (self.watch.last(), asyncio.to_thread(self.observations.seal)):
            with contextlib.suppress(NervureError):  # it is done again from the log at the next start
                await work
        await self.study.close()
        await self.inquiries.close()
        await self.scale.close()
        await self.watch.close()
        self.front.close()
        await self.log.close()
        self.observations.close()
        self.catalogue.close()
        if self.server is not None:
            await self.server.stop()
