"""A node with the inflows of ten real districts and a river gauge, and a browser that looks at it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from nervure.bench import browser
from nervure.bench.browser import CONSOLE, node_program
from nervure.cli.train import hand_over, keep
from nervure.core.settings import Access, Settings
from nervure.learn.dataset import cache_folder
from nervure.learn.reader import package
from nervure.solutions.water import solution as water
from nervure.stream.subject import reading_topic
from tests.chaos.city import learn
from tests.opened import Opened, opened
from tests.patience import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Works = Sequence[tuple[str, Callable[[], Any]]]

__all__ = [
    "CONSOLE",
    "GAUGE",
    "OTHER",
    "RIVER",
    "Stage",
    "drive",
    "drive_at",
    "node_program",
    "stage",
    "teach",
]

HOURS = 7 * 24
GAUGE = "Gauge <img src=x onerror=alert(1)>"
"""A name as somebody might give who means harm."""
RIVER, OTHER = "Talfer", "Eisack"

_PLACE = {
    f"DMA {number}": (11.30 + 0.02 * (number % 4), 46.46 + 0.02 * (number // 4)) for number in range(1, 11)
}


class Stage:
    """The node, its Datastreams by name, and the MQTT client of its devices."""

    def __init__(self, node: Opened, client: mqtt.Client, folder: Path) -> None:
        self.node = node
        self.folder = folder
        self._client = client
        found = httpx.get(f"{node.root}/Datastreams?$select=id,name&$top=1000").json()["value"]
        self.streams = {one["name"]: int(one["@iot.id"]) for one in found}
        self.newest = 0.0
        """Of when the last readings of the districts are (seconds since 1970)."""

    def send(self, stream: str, body: dict[str, Any]) -> None:
        """Publish as a device does, and wait until the node has it."""
        said = self._client.publish(reading_topic(self.streams[stream]), json.dumps(body), qos=1)
        said.wait_for_publish(PATIENCE_S)

    def high_water(self, stream: str = f"{GAUGE}/level") -> float:
        """Send readings that raise an alert; return when they went out (seconds since 1970)."""
        begun = time.time()
        self.send(stream, {"t0": begun - 2400, "dt": 600, "v": [5400, 5500, 5600, 5600, 5700]})
        return begun

    def wait_for_alert(self) -> None:
        """Wait until an alert is open."""
        until(lambda: httpx.get(f"{self.node.http}/alerts?active=true").json())

    def wait_for_forecasts(self) -> None:
        """Wait until all that a model has foretold is stored."""

        def look() -> tuple[list[Any], Any]:
            with httpx.Client(base_url=self.node.http, timeout=30) as api:
                told = api.get("/api/streams?kind=forecast&solution=water").json()["last"]
                return told, api.get("/status").json()["log"]["behind"]

        until(
            look, lambda seen: len(set(seen[0])) == 1 and None not in seen[0] and not seen[1],
            every_s=0.3, forgive=(httpx.TimeoutException,),
        )  # fmt: skip

    def wait_for_quarantine(self) -> bool:
        """Wait until something was refused."""
        return bool(until(lambda: httpx.get(f"{self.node.http}/api/quarantine").json()))


@contextlib.contextmanager
def stage(folder: Path, hours: int = HOURS) -> Iterator[Stage]:
    """Run an open node that has seen a week of the districts, the last hour being now."""
    things = [(name, "water", at) for name, at in _PLACE.items()]
    gauges = {GAUGE: (11.37, 46.5), RIVER: (11.35, 46.51), OTHER: (11.33, 46.47)}
    things += [(name, "flood", at) for name, at in gauges.items()]
    text = [f"[[thing]]\nname='{name}'\nsolution='{of}'\nlocation={list(at)}\n" for name, of, at in things]
    (folder / "nervure.toml").write_text('[project]\nsolutions = ["water", "flood"]\n' + "".join(text))
    with opened(folder) as node:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="districts")
        client.connect("127.0.0.1", node.mqtt_port)
        client.loop_start()
        try:
            made = Stage(node, client, folder)
            _replay(made, hours)
            yield made
        finally:
            client.disconnect()
            client.loop_stop()


def teach(folder: Path, *seeds: int) -> list[str]:
    """Train a small model for each seed, really; the first one scores once the node runs. Return versions."""
    data = folder / "data"
    data.mkdir()
    settings = Settings(data=str(data), access=Access(open=True))
    learned = [learn(data, seed, days=100 - 20 * place)[1] for place, seed in enumerate(seeds)]
    for place, one in enumerate(learned):
        keep(one, settings, None)
        hand_over(settings, one, promoted=not place)
    return [one.card.version for one in learned]


def _replay(made: Stage, hours: int) -> None:
    """Send the last hours of each district's real inflow, moved so that it ends now."""
    assert water.data is not None
    rows = package.read(water.data, cache_folder())
    begin = int(time.time()) // 3600 * 3600 - (hours - 1) * 3600
    for place, name in enumerate(rows.streams):
        if name not in made.streams:
            continue
        value = rows.value[rows.column == place]
        week = value[np.isfinite(value)][-hours:]
        for start in range(0, hours, 24):  # a message a day
            part = [float(one) for one in week[start : start + 24]]
            made.send(name, {"t0": begin + start * 3600, "dt": 3600, "v": part})
    made.newest = begin + (hours - 1) * 3600


def drive(made: Stage, script: str, *, after: Works = (), **given: Any) -> dict[str, Any]:
    """Run a script of `console/browser` in front of the node; see `drive_at`."""
    return drive_at(made.node.http, script, after=after, **given)


def drive_at(url: str, script: str, *, after: Works = (), **given: Any) -> dict[str, Any]:
    """Run a script and return what it found; pictures of it are kept."""
    return browser.drive(url, script, artefacts(), after=dict(after), **given)


def artefacts() -> Path:
    """Return the folder where screenshots are kept."""
    folder = Path(os.environ.get("NERVURE_SHOTS", CONSOLE.parent / "out" / "console"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
