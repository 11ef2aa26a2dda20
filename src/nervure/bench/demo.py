"""The demo: real district demand through the whole loop, from a fresh data folder to a report.

The node runs as its own process, as ``nervure up`` does; this process is the city around it: it
provisions, loads the history, trains, plays the field devices, and judges what came of it.
"""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench import judge
from nervure.bench.ear import Ear
from nervure.bench.outcome import Latency, Live, Outcome, Trace
from nervure.bench.process import NodeProcess, free_settings
from nervure.bench.scenario import Scenario, plan
from nervure.core.alert import Alert
from nervure.core.card import Card, Metric
from nervure.core.entity import Datastream
from nervure.core.error import StoreError
from nervure.core.instant import DAY_NS, SECOND_NS, iso
from nervure.core.observation import Batch
from nervure.core.settings import Notify, Project
from nervure.core.window import Table
from nervure.learn.course import Course, course
from nervure.learn.dataset import Dataset, load
from nervure.learn.split import by_time
from nervure.sense.replay import Replay, Track
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.store.provision import Place, provision
from nervure.stream.log import Log
from nervure.stream.subject import reading_subject
from nervure.trust.signature import SigningKey

__all__ = ["LiveState", "Options", "Watcher", "perform"]

SIGNAL = "inflow"
VALIDATION_DAYS = 56
PACK_SLOTS = 4_096


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to run the demo.

    ``speed`` is how much faster than life the devices are replayed, ``share`` the burst's part of
    its district's mean inflow. Without ``compare`` no baselines are fitted.
    """

    folder: Path
    days: int = 28
    speed: float = 40_000.0
    budget_s: float = 150.0
    seed: int = 0
    share: float = 0.3
    compare: bool = True
    webhook: str | None = None


class LiveState(msgspec.Struct, frozen=True, kw_only=True):
    """The replay at one moment: device time, counts, and per stream what was read and foreseen."""

    share: float
    moment_ns: int
    sent: int
    heard: int
    rows: tuple[tuple[str, float, float, float, float], ...] = ()


class Watcher:
    """What a demo run tells while it goes on; this one keeps silent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def phase(self, name: str, share: float, text: str = "") -> None:
        """Say how far a phase has come, ``share`` from 0 to 1."""

    def table(self, metrics: tuple[Metric, ...], unit: str) -> None:
        """Show the table of baselines above the model."""

    def live(self, state: LiveState) -> None:
        """Show the replay as it is now."""

    def alert(self, alert: Alert) -> None:
        """Show an alert that came in over MQTT."""

    def summary(self, figures: dict[str, Any], page: Path) -> None:
        """Say what was found, and where the report is."""


async def perform(options: Options, watcher: Watcher) -> tuple[Outcome, Card]:
    """Run the demo in a fresh folder and return what it measured, with the model's card."""
    return await _Demo(options, watcher).run()


class _Demo:
    """One run; the steps are in the order in which they happen."""

    def __init__(self, options: Options, watcher: Watcher) -> None:
        self.options, self.watcher = options, watcher
        self.solution = find("water")
        self.begun = time.monotonic()

    async def run(self) -> tuple[Outcome, Card]:
        self.prepare()
        try:
            await self.node.start()
            self.log = await Log.connect(self.settings)
            await self.load_history()
            learned = await self.learn()
            replay, ear = await self.replay()
            await self.settle()
            await self.log.close()
        finally:
            await self.node.stop()
        return self.judge(learned, replay, ear), learned.card

    def prepare(self) -> None:
        """Read the data, draw the scenario, provision the catalogue."""
        self.watcher.phase("data", 0.0, "reading two years of water demand")
        self.data: Dataset = load(self.solution)
        table = self.data.table
        self.end_ns = (table.first + len(table.value)) * table.every_ns
        self.start_ns = (self.end_ns - self.options.days * DAY_NS) // table.every_ns * table.every_ns
        self.cut = self.start_ns // table.every_ns - table.first
        self.settings = free_settings(
            self.options.folder,
            project=Project(name="demo", solutions=("water",)),
            notify=Notify(webhook=self.options.webhook),
        )
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        catalogue = Catalogue.open(self.settings.catalogue_place)
        places = [
            Place(name=one.name, location=one.location, properties=one.properties) for one in self.data.things
        ]
        self.streams: dict[str, Datastream] = provision(catalogue, self.solution, places)
        self.outlets = {one.id: one for one in catalogue.datastreams(solution="water", kind="forecast")}
        self.names = {thing.id: thing.name for thing in catalogue.things()}
        catalogue.close()
        self.scenario = self.draw()
        self.node = NodeProcess(self.settings)
        self.watcher.phase(
            "data", 1.0, f"{len(places)} districts, {len(table.value):,} hours, from {self.data.origin}"
        )

    def draw(self) -> Scenario:
        things = [one.name for one in self.data.things]
        columns = [self.data.table.streams.index(f"{name}/{SIGNAL}") for name in things]
        mean = np.nanmean(self.data.table.value[: self.cut, columns], axis=0)
        chosen = self.options
        return plan(things, mean, self.start_ns, days=chosen.days, share=chosen.share, seed=chosen.seed)

    async def load_history(self) -> None:
        """Put everything before the replay into the log, as packs, and wait until it is stored."""
        table = self.data.table
        items: list[tuple[str, bytes, str | None]] = []
        for start in range(0, self.cut, PACK_SLOTS):  # all streams of a span together, as they happened
            first, end = iso((table.first + start) * table.every_ns), min(start + PACK_SLOTS, self.cut)
            for name, stream in self.streams.items():
                column = table.value[start:end, table.streams.index(name)].tolist()
                values = [None if math.isnan(one) else one for one in column]
                pack = {"t0": first, "dt": table.every_ns / SECOND_NS, "v": values}
                items.append(
                    (reading_subject(stream.id), msgspec.json.encode(pack), f"history.{stream.id}.{start}")
                )
        self.loaded = int(np.isfinite(table.value[: self.cut]).sum())
        begun = time.monotonic()
        last = max(await self.log.publish_many(items))
        await self.until("sealed_position", last, "history", self.loaded)
        took = time.monotonic() - begun
        self.watcher.phase("history", 1.0, f"{self.loaded:,} readings stored in {took:.1f} s")

    async def until(self, key: str, wanted: int, phase: str, total: int) -> None:
        """Wait until the node's position has come to ``wanted``."""
        while True:
            status = await self.node.status()
            if status[key] >= wanted:
                return
            self.watcher.phase(
                phase,
                min(1.0, status.get("stored", 0) / max(1, total)),
                f"{status.get('stored', 0):,} stored",
            )
            await asyncio.sleep(0.2)

    async def learn(self) -> Course:
        """Train on what the store holds, hold it against the baselines, hand it to the node."""
        table = self.stored_table()
        data = msgspec.structs.replace(self.data, table=table)
        every = table.every_ns
        split = by_time((0, self.cut - VALIDATION_DAYS * DAY_NS // every, self.cut, len(table.value)))
        key = SigningKey.load_or_create(self.settings.folder)
        learned = await asyncio.to_thread(
            course,
            data,
            split=split,
            budget_s=self.options.budget_s,
            seed=self.options.seed,
            key=key,
            compare=self.options.compare,
            progress=lambda share, text: self.watcher.phase("train", share, text),
        )
        self.watcher.table(learned.metrics, learned.card.unit)
        await self.log.put_package(learned.name, learned.package)
        catalogue = Catalogue.open(self.settings.catalogue_place)
        catalogue.add_model(learned.card, learned.name, learned.sha256, promoted=True)
        catalogue.close()
        while (await self.node.status())["models"].get("water") != learned.card.version:
            await asyncio.sleep(0.1)
        return learned

    def stored_table(self) -> Table:
        """Return the history as the store gives it back, followed by the weeks that are to come."""
        table = self.data.table
        observations = Observations.open(self.settings.folder / "observations", write=False)
        ids = [self.streams[name].id for name in table.streams]
        first = table.first * table.every_ns
        stored = observations.table(ids, table.streams, table.every_ns, first, self.start_ns)
        value = table.value.copy()
        value[: self.cut] = stored.value
        if not np.array_equal(value, table.value, equal_nan=True):
            raise StoreError("the store gave back other readings than were loaded", where=str(observations))
        return msgspec.structs.replace(table, value=value)

    async def replay(self) -> tuple[Replay, Ear]:
        """Play one MQTT client a district, QoS 1, with the injections in their readings."""
        table = self.data.table
        ear = Ear(
            self.settings.nats.mqtt_port,
            {outlet.id: outlet.source or 0 for outlet in self.outlets.values()},
            on_alert=lambda payload: self.watcher.alert(msgspec.json.decode(payload, type=Alert)),
        )
        ear.wait()
        times = (table.first + np.arange(self.cut, len(table.value))) * table.every_ns
        tracks: list[Track] = []
        for name in sorted(self.streams, key=lambda name: "/" in name):  # the weather of an hour comes first
            thing = name.rpartition("/")[0]
            value = self.scenario.apply(thing, times, table.value[self.cut :, table.streams.index(name)])
            tracks.append(
                Track(device=thing or "site", datastream=self.streams[name].id, time=times, value=value)
            )
        self.tracks = {track.datastream: track for track in tracks}
        replay = Replay(
            tracks, host="127.0.0.1", port=self.settings.nats.mqtt_port, speed_up=self.options.speed
        )
        task = asyncio.create_task(replay.play())
        while not task.done():
            self.show(replay, ear)
            await asyncio.sleep(0.25)
        await task
        self.show(replay, ear)
        return replay, ear

    def show(self, replay: Replay, ear: Ear) -> None:
        """Tell the watcher where the replay is."""
        moment = replay.now_ns or self.start_ns
        every = self.data.table.every_ns
        last = ear.last()
        rows = []
        for name, stream in self.streams.items():
            thing, heard, track = name.rpartition("/")[0], last.get(stream.id), self.tracks[stream.id]
            if thing and heard:
                place = min(len(track.value) - 1, (moment - self.start_ns) // every)
                rows.append((thing, float(track.value[place]), heard.value, heard.low, heard.high))
        self.watcher.live(
            LiveState(
                share=(moment - self.start_ns) / (self.end_ns - self.start_ns),
                moment_ns=moment,
                sent=replay.acknowledged,
                heard=ear.heard,
                rows=tuple(rows),
            )
        )

    async def settle(self) -> None:
        """Wait until everything in the log is stored and scored."""
        while True:
            _, last = await self.log.first_last()
            status = await self.node.status()
            if min(status["sealed_position"], status["score_position"]) >= last:
                self.status = status
                return
            await asyncio.sleep(0.2)

    def judge(self, learned: Course, replay: Replay, ear: Ear) -> Outcome:
        """Hold what is stored against what was sent, foreseen and injected."""
        ear.close()
        observations = Observations.open(self.settings.folder / "observations", write=False)
        catalogue = Catalogue.open(self.settings.catalogue_place)
        alerts = tuple(sorted(catalogue.alerts(), key=lambda alert: alert.raised_ns))
        quarantined = sum(catalogue.quarantine_counts().values())
        catalogue.close()
        stored = observations.series(list(self.tracks), self.start_ns, self.end_ns)
        forecasts = observations.series(list(self.outlets), self.start_ns - DAY_NS, self.end_ns + 8 * DAY_NS)
        wanted = set(replay.sent_ns)
        found = list(zip(stored.datastream.tolist(), stored.time.tolist(), strict=True))
        every, horizon = self.data.table.every_ns, learned.card.horizon
        days = (self.end_ns - self.start_ns) / DAY_NS
        alarms = judge.alarms(alerts, self.names, self.scenario, days)
        return Outcome(
            sent=replay.acknowledged,
            stored=len(found),
            lost=len(wanted - set(found)),
            duplicates=len(found) - len(set(found)),
            quarantined=quarantined,
            live=self._live(forecasts, learned),
            alerts=alerts,
            names=self.names,
            burst_detected_after_h=alarms.burst_after_h,
            stuck_detected_after_h=alarms.stuck_after_h,
            false_alarms_per_day=alarms.false_per_day,
            latency=_latency(ear.latency_ms(replay.sent_ns)),
            wall_s=time.monotonic() - self.begun,
            train_s=learned.train_s,
            speed=self.options.speed,
            days=days,
            scenario=self.scenario,
            traces=self.traces(forecasts, stored, every, horizon),
        )

    def _live(self, forecasts: Batch, learned: Course) -> Live:
        """Hold what was foreseen live against what the meters really read."""
        error = judge.errors(
            forecasts,
            {outlet.id: self.names[outlet.thing] for outlet in self.outlets.values()},
            SIGNAL,
            self.data.table,
            self.scenario,
            start_ns=self.start_ns,
            end_ns=self.end_ns,
            horizon=learned.card.horizon,
        )
        return Live(
            mae=error.mae,
            coverage_80=error.coverage,
            points=error.points,
            baselines=tuple(one for one in learned.metrics if one.kind == "baseline"),
        )

    def traces(self, forecasts: Batch, stored: Batch, every: int, horizon: int) -> tuple[Trace, ...]:
        """Put each stream's readings beside what was foreseen a day before."""
        return tuple(
            judge.trace(
                forecasts.take(forecasts.datastream == outlet.id),
                stored.take(stored.datastream == outlet.source),
                self.names[outlet.thing],
                outlet.unit,
                every,
                horizon,
            )
            for outlet in self.outlets.values()
        )


def _latency(samples: NDArray[np.float64]) -> Latency:
    p50, p99 = np.percentile(samples, [50, 99]) if len(samples) else (float("nan"), float("nan"))
    return Latency(p50=float(p50), p99=float(p99), samples=samples)
