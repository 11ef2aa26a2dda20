"""A whole node that is told the weather ahead, by HTTP and by MQTT, and foresees with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from hashlib import sha256
from operator import itemgetter
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from nervure.bench.process import NodeProcess, free_settings
from nervure.core.instant import HOUR_NS, iso
from nervure.core.settings import Project
from nervure.solutions import find
from nervure.store.catalogue import Catalogue
from nervure.store.provision import Place, provision
from nervure.stream.log import Log
from nervure.trust.signature import SigningKey
from tests.patience import eventually
from tests.service.test_node import Station
from tests.tiny import card, signed

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

SOLUTION = """
from nervure.core.declaration import Rule, Signal, Solution
from nervure.core.problem import Forecast

solution = Solution(
    name="sky", title="Sky", thing="district",
    signals=(
        Signal(name="inflow", unit="L/s", every="1h"),
        Signal(name="rain", unit="mm", every="1h", site=True, ahead="48h"),
    ),
    problems=(Forecast(of="inflow", horizon="24h", window="48h", future=("rain",)),),
    rules=(
        Rule(name="silent", when="silent > 6h", severity="warning", of=("inflow",), say="{thing}"),
        Rule(name="flat", when="flat > 3h", severity="warning", of=("rain",), say="{thing} flat"),
    ),
)
"""
HOURS = 50


class Sky(Station):
    """A node with one district and the weather; one that is not ``settled`` has neither yet."""

    def __init__(self, folder: Path, *, settled: bool = True) -> None:
        file = folder / "sky.py"
        file.write_text(SOLUTION)
        self.settings = free_settings(folder / "data", project=Project(name="test", solutions=(str(file),)))
        self.settings.folder.mkdir(parents=True)
        if settled:
            self.settle()
        self.node = NodeProcess(self.settings)
        self.now = time.time_ns() // HOUR_NS
        self.card = msgspec.structs.replace(
            card(future=True), name="sky-forecast-inflow", solution="sky", streams=("A/inflow",)
        )

    def settle(self) -> None:
        """Make the district and what is measured there."""
        with contextlib.closing(Catalogue.open(self.settings.folder / "catalogue.db")) as catalogue:
            solution = find(self.settings.project.solutions[0])
            self.streams = provision(catalogue, solution, [Place(name="A")])
            self.outlet = next(one.id for one in catalogue.datastreams(kind="forecast"))

    def pack(self, first: int, values: list[float], *, issued: int | None = None) -> bytes:
        """Write a pack from hour ``first`` (0 is the one that has begun)."""
        body: dict[str, Any] = {"t0": iso((self.now + first) * HOUR_NS), "dt": 3600, "v": values}
        if issued is not None:
            body["resultTime"] = iso((self.now + issued) * HOUR_NS)
        return json.dumps(body).encode()

    async def learn(self) -> None:
        """Give the node its model."""
        package = signed(self.card, SigningKey.load_or_create(self.settings.folder))
        log = await Log.connect(self.settings)
        await log.put_package("sky.onnx", package)
        await log.close()
        with contextlib.closing(Catalogue.open(self.settings.folder / "catalogue.db")) as catalogue:
            catalogue.add_model(self.card, "sky.onnx", sha256(package).hexdigest(), promoted=True)
        await eventually(self.node.status, lambda seen: seen["models"].get("sky") == self.card.version)

    async def foreseen(self, issued: int) -> list[float]:
        """Return the forecast that was made with the reading of an hour."""
        path = f"/v1.1/Datastreams({self.outlet})/Observations?$top=100&$orderby=phenomenonTime&$filter="
        moment = iso((self.now + issued) * HOUR_NS)
        found = await eventually(lambda: self.get(f"{path}resultTime eq {moment}"), itemgetter("value"))
        return [one["result"] for one in found["value"]]


async def _tell(sky: Sky, client: httpx.AsyncClient, hour: int, value: float, issued: int) -> int:
    times = {
        "phenomenonTime": iso((sky.now + hour) * HOUR_NS),
        "resultTime": iso((sky.now + issued) * HOUR_NS),
    }
    path = f"/v1.1/Datastreams({sky.id('rain')})/Observations"
    return (await client.post(path, json={"result": value, **times})).status_code


def test_weather_told_ahead_reaches_the_forecast_and_nothing_else(tmp_path: Path) -> None:
    sky = Sky(tmp_path)

    async def scenario() -> None:
        await sky.node.start()
        try:
            async with httpx.AsyncClient(base_url=sky.node.url, timeout=20) as client:
                values = [20.0 + hour % 5 for hour in range(HOURS)]
                sky.publish((sky.topic("A/inflow"), sky.pack(-HOURS, values)))
                assert [await _tell(sky, client, hour, 2.0, -1) for hour in (1, 2, 3)] == [201] * 3
                # further than declared, even if the next hour has begun meanwhile
                assert await _tell(sky, client, 50, 2.0, 0) == 400
                await sky.learn()
                sky.publish(
                    (sky.topic("rain"), sky.pack(2, [5.0] * 30, issued=0)),  # issued anew, but of hour 1
                    (sky.topic("rain"), sky.pack(-1, [7.0])),  # read, and not late for what was foretold
                    (sky.topic("A/inflow"), sky.pack(3, [1.0], issued=0)),  # no signal to be known ahead
                    (sky.topic("A/inflow"), sky.pack(0, [30.0])),
                )
                told = await sky.foreseen(0)
                status = await sky.node.status()
                alerts = await sky.get("/alerts")
                stored = await sky.get(f"/v1.1/Datastreams({sky.id('rain')})/Observations?$count=true&$top=1")
        finally:
            await sky.node.stop()
        rain = [0.0] * 22 + [7.0, 0.0]  # what was read of it
        ahead = [2.0] + [5.0] * 23
        expected = np.sum([[*values[-23:], 30.0], rain, ahead], axis=0)
        assert told == pytest.approx(expected.tolist(), abs=1e-3)
        assert status["rejected"] == {"future": 1}
        assert stored["@iot.count"] == 3 + 30 + 1
        assert (alerts["value"] if isinstance(alerts, dict) else alerts) == []
        assert status["problems"] == []

    asyncio.run(scenario())


def test_a_model_that_came_before_the_first_thing_waits_for_it(tmp_path: Path) -> None:
    sky = Sky(tmp_path, settled=False)

    async def scenario() -> None:
        await sky.node.start()
        try:
            await sky.learn()
            sky.settle()
            sky.publish((sky.topic("A/inflow"), sky.pack(-HOURS, [20.0] * (HOURS + 1))))
            assert len(await sky.foreseen(0)) == 24
        finally:
            await sky.node.stop()

    asyncio.run(scenario())
