"""The web console in a real browser, in front of a real node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from nervure.bench.speed.console import measure
from tests.browser.stage import GAUGE, OTHER, RIVER, Stage, drive, drive_at, stage
from tests.crowded import crowded
from tests.opened import Opened
from tests.support import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.service

SCREENS: dict[str, dict[str, object]] = {
    "overview": {"path": "", "waits": [".map[data-drawn=true]", ".incidents li"]},
    "alerts": {"path": "alerts", "waits": ["tr.line", ".rates rect"]},
    "explore": {
        "path": "explore?streams=1,2,3&from=-7d&before=1&heat=water/inflow",
        "waits": ["[data-points]", "canvas[data-drawn]"],
    },
    "models": {"path": "models", "waits": [".empty"]},
    "quality": {"path": "devices?solution=water", "waits": ["tr.line"]},
    "devices": {"path": "devices?tab=list", "waits": ["table"]},
    "solutions": {"path": "settings", "waits": ["details li"]},
    "doctor": {"path": "settings?tab=doctor", "waits": ["td"]},
}


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("city")) as made:
        made.high_water()
        made.wait_for_alert()
        yield made


def test_each_screen_shows_data_and_nothing_of_it_shuts_anybody_out(city: Stage) -> None:
    key = httpx.get(f"{city.node.http}/alerts").json()[0]["id"]
    incident = {"path": f"alerts/{key}", "waits": ["[data-points]", ".trail li"]}
    found = drive(city, "screens", screens=SCREENS | {"incident": incident})
    assert {name: wrong for name, wrong in found["violations"].items() if wrong} == {}
    assert found["wide"] == dict.fromkeys(found["wide"], 0)  # nothing is cut off at 360 px
    assert found["out"] == dict.fromkeys(found["out"], 0)  # and one sees in the line of screens which it is
    assert found["errors"] == []
    assert "of 14 Things abnormal" in found["texts"]["overview"]
    assert GAUGE in found["texts"]["alerts"]  # as text: nothing of it ran, or it would be among the errors
    assert "High water at" in found["texts"]["incident"]
    assert "DMA 10/inflow" in found["texts"]["quality"]
    assert "runs here, 11 Things" in found["texts"]["solutions"]


def test_an_alert_is_seen_within_two_seconds_and_answered(city: Stage) -> None:
    works = [
        ("first", lambda: city.high_water(f"{OTHER}/level")),
        ("high water", lambda: city.high_water(f"{RIVER}/level")),
        ("one more", lambda: city.send(f"{RIVER}/level", {"result": 5800})),
    ]
    with crowded() as machine:
        found = drive(city, "alert", thing=RIVER, other=OTHER, after=works)
    assert found["errors"] == []
    assert found["before"] == 0
    assert all(0 < one <= 2000 * machine.times for one in found["seen_ms"]), (found["seen_ms"], machine.times)
    assert found["word"] == f"Critical · {RIVER}"
    assert f"High water at {RIVER}" in found["sentence"]
    assert found["grown"] > found["points"] >= 5
    assert "<b>works</b> on the dam" in found["trail"]
    assert found["kept"] == ["critical", "unacknowledged"]
    assert found["left"] == 0  # acknowledged, so no more among those that are not
    assert found["back"] == "unacknowledged"
    alerts = httpx.get(f"{city.node.http}/alerts").json()
    mine = next(one for one in alerts if RIVER in one["text"])
    assert mine["acknowledged"]
    assert mine["shelved_until"] is not None


def test_a_device_is_let_in_and_shut_out_and_what_is_refused_is_seen(city: Stage) -> None:
    def nonsense() -> bool:
        city.send("DMA 1/inflow", {"result": "<script>alert(2)</script>", "unit": "parsec"})
        return city.wait_for_quarantine()

    found = drive(city, "devices", after=[("nonsense", nonsense)])
    assert found["errors"] == []
    assert len(found["token"]) > 20
    assert found["taken"] == "This would be taken."
    assert "<script>alert(2)</script>" in found["quarantine"]


def test_a_broken_line_is_said_and_mended_and_a_language_kept(city: Stage) -> None:
    found = drive(city, "line")
    assert found["errors"] == []
    assert found["before"] == 0
    assert "not heard" in found["said"]
    assert found["language"] == "de"


def test_who_signs_in_sees_their_screens_and_who_signs_out_nothing(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "nervure.cli", "up", "--http", f"127.0.0.1:{port}", "--json"]
    nats, mqtt = free_ports(2)
    ports = ("--set", f"nats.port={nats}", "--set", f"nats.mqtt_port={mqtt}")
    command += ["--data", str(tmp_path / "data"), *ports]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NERVURE_")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path, env=environment, text=True
    ) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            Opened(said, process).wait()
            found = drive_at(said["http"], "signin", password=said["admin"])
            bearer = {"authorization": f"Bearer {found['token']}"}
            assert httpx.get(f"{said['http']}/api/me", headers=bearer).json()["name"] == "admin"
        finally:
            process.terminate()
            process.wait(30)
    assert found["errors"] == []
    assert found["violations"] == []
    assert "is wrong" in found["refused"]
    assert found["address"] == "/console/"
    assert "Overview" in found["screens"]
    assert found["role"] == "Role: admin"
    assert found["cookies"] == 0
    assert found["ended"] == 200  # elsewhere; the page led to the sign-in by itself
    assert "user.add" in found["audit"]


def test_what_it_costs_is_measured_in_a_browser() -> None:
    rows = {(one.case, one.metric): one.value for one in measure(sensors=40, turns=1, minutes=0.03)}
    assert 20_000 < rows["first load, gzip", "bytes without the map"] < 80_000
    assert rows["first load, gzip", "bytes of the map"] > 200_000
    assert rows["heat-map of 40 series", "ms to decode and paint"] > 0
    shown = rows["heat-map of 40 series", "ms from the answer to the screen"]
    assert rows["heat-map of 40 series", "ms to decode and paint"] < shown < 5_000
    assert rows["table of 40 alerts", "rows in the page at once"] <= 40
    assert rows["map of 40 sensors", "ms until all have changed"] > 0
    assert rows["16 charts for 0.03 min, 200 readings/s", "MB of heap at the end"] > 1
