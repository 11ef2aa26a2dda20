"""A small city for crash tests: real districts, a trained model, and devices that count their acks."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np

from nervure.bench.process import NodeProcess, free_settings
from nervure.core.entity import Datastream
from nervure.core.instant import DAY_NS, SECOND_NS, iso
from nervure.core.scale import Scale
from nervure.core.settings import Project, Settings
from nervure.learn.course import Course, How, course
from nervure.learn.dataset import Dataset, load
from nervure.learn.recipe import Recipe
from nervure.learn.split import by_time
from nervure.sense.replay import Replay, Track
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.store.provision import Place, provision
from nervure.stream.log import Log
from nervure.stream.subject import reading_subject
from nervure.trust.signature import SigningKey
from tests.patience import eventually

__all__ = ["City", "learn"]

LIVE_DAYS = 14
STEPS = 4


def learn(folder: Path, seed: int = 0, days: int = 200) -> tuple[Dataset, Course]:
    """Train a small model on the real districts, in seconds; its accuracy is not the point here.

    It takes so many steps, not seconds: what it foresees, and whom it alarms, is the same on every machine.
    """
    data = load(find("water"))
    rows = days * 24  # of the newest data
    table = data.table
    table = msgspec.structs.replace(
        table, first=table.first + len(table.value) - rows, value=table.value[-rows:].copy()
    )
    data = msgspec.structs.replace(data, table=table)
    cut = rows - LIVE_DAYS * 24
    split = by_time((0, cut - 40 * 24, cut, rows))
    key = SigningKey.load_or_create(folder)
    how = How(model="mixer", recipe=Recipe(least_steps=STEPS, epochs=0.001))
    return data, course(data, split=split, key=key, budget_s=1e6, seed=seed, compare=False, how=how)


class City:
    """A node with its history and model, and the devices that replay the last two weeks at it."""

    def __init__(self, folder: Path, data: Dataset, learned: Course, scale: Scale | None = None) -> None:
        self.data, self.learned = data, learned
        table = data.table
        self.cut = len(table.value) - LIVE_DAYS * 24
        project = Project(name="chaos", solutions=("water",))
        self.settings: Settings = free_settings(folder, project=project, scale=scale or Scale())
        folder.mkdir(parents=True, exist_ok=True)
        catalogue = Catalogue.open(folder / "catalogue.db")
        self.streams: dict[str, Datastream] = provision(
            catalogue, find("water"), [Place(name=one.name) for one in data.things]
        )
        self.outlets = catalogue.datastreams(kind="forecast")
        catalogue.close()
        self.node = NodeProcess(self.settings)
        self.tracks = self._tracks()

    def _tracks(self) -> list[Track]:
        table = self.data.table
        times = (table.first + np.arange(self.cut, len(table.value))) * table.every_ns
        tracks = []
        for name in sorted(self.streams, key=lambda name: "/" in name):
            value = table.value[self.cut :, table.streams.index(name)].copy()
            if name == self.stuck:
                value[100:140] = 5.0  # long enough to be called stuck
            device = name.rpartition("/")[0] or "site"
            tracks.append(Track(device=device, datastream=self.streams[name].id, time=times, value=value))
        return tracks

    @property
    def stuck(self) -> str:
        """The stream whose meter is made to repeat a value."""
        return f"{self.data.things[0].name}/inflow"

    async def begin(self, key_folder: Path) -> None:
        """Start the node, load the history, hand it the model."""
        for file in key_folder.iterdir():  # the node must trust the key that signed the model
            target = self.settings.folder / file.name
            target.write_bytes(file.read_bytes())
            target.chmod(0o600)
        await self.node.start()
        log = await Log.connect(self.settings)
        table = self.data.table
        items = []
        for name, stream in self.streams.items():
            column = table.value[: self.cut, table.streams.index(name)].tolist()
            pack = {
                "t0": iso(table.first * table.every_ns),
                "dt": table.every_ns / SECOND_NS,
                "v": [None if np.isnan(one) else one for one in column],
            }
            items.append((reading_subject(stream.id), msgspec.json.encode(pack), None))
        last = max(await log.publish_many(items))
        await log.put_package(self.learned.name, self.learned.package)
        await log.close()
        await self.reached(last)
        catalogue = Catalogue.open(self.settings.folder / "catalogue.db")
        catalogue.add_model(self.learned.card, self.learned.name, self.learned.sha256, promoted=True)
        catalogue.close()
        version = self.learned.card.version
        await eventually(self.node.status, lambda status: status["models"].get("water") == version)

    async def reached(self, last: int, timeout_s: float = 120.0) -> None:
        """Wait until both views have passed a position of the log."""
        await eventually(
            self.node.status,
            lambda status: min(status["sealed_position"], status["score_position"]) >= last,
            seconds=timeout_s, every_s=0.1,
        )  # fmt: skip

    def replay(self, seconds: float) -> Replay:
        """Return the devices, which take about so long."""
        speed = LIVE_DAYS * DAY_NS / 1e9 / seconds
        return Replay(self.tracks, host="127.0.0.1", port=self.settings.nats.mqtt_port, speed_up=speed)

    async def finish(self) -> None:
        """Wait until all of the log has been worked on, then stop the node."""
        log = await Log.connect(self.settings)
        while True:
            _, last = await log.first_last()
            await self.reached(last)
            if (await log.first_last())[1] == last:
                break
        await log.close()
        await self.node.stop()

    def check(self, replay: Replay) -> None:
        """Every acknowledged reading is stored once, every forecast once, every alert once."""
        observations = Observations.open(self.settings.folder / "observations", write=False)
        start, end = int(self.tracks[0].time[0]), int(self.tracks[0].time[-1]) + 1
        stored = observations.series([track.datastream for track in self.tracks], start, end)
        rows = list(zip(stored.datastream.tolist(), stored.time.tolist(), strict=True))
        values = dict(zip(rows, stored.value.tolist(), strict=True))
        assert replay.acknowledged == replay.sent == len(replay.sent_ns)
        assert max(Counter(rows).values()) == 1
        assert set(rows) == set(replay.sent_ns)
        for track in self.tracks:
            for when, what in zip(track.time.tolist(), track.value.tolist(), strict=True):
                assert np.isnan(what) or values[track.datastream, when] == what
        self._check_forecasts(observations, replay, start)
        catalogue = Catalogue.open(self.settings.folder / "catalogue.db")
        alerts = catalogue.alerts(limit=1000)
        catalogue.close()
        observations.close()
        stuck = [
            one for one in alerts if one.datastream == self.streams[self.stuck].id and "stuck" in one.rule
        ]
        assert len(stuck) == 1
        twice = Counter((one.rule, one.datastream, one.start_ns) for one in alerts)
        assert [one for one in alerts if twice[one.rule, one.datastream, one.start_ns] > 1] == []

    def _check_forecasts(self, observations: Observations, replay: Replay, start: int) -> None:
        horizon = self.learned.card.horizon
        made = observations.series([one.id for one in self.outlets], start, start + 60 * DAY_NS)
        keys = Counter(
            zip(made.datastream.tolist(), made.result_time.tolist(), made.time.tolist(), strict=True)
        )
        assert max(keys.values()) == 1
        source = {one.id: one.source for one in self.outlets}
        issued = Counter((source[stream], moment) for stream, moment, _ in keys if moment >= start)
        wanted = {key for key in replay.sent_ns if key[0] in set(source.values())}
        assert set(issued) == wanted
        assert set(issued.values()) == {horizon}


def pauses(count: int, least: float, most: float, seed: int) -> list[float]:
    """Draw how long to wait before each crash."""
    chance = random.Random(seed)
    return [chance.uniform(least, most) for _ in range(count)]
