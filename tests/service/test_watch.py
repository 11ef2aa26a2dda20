"""A running node under watch: its history is learnt, a fault is an alert in seconds and names the sensor.

The node judges, whoever looks: alerts survive it being killed, and heed what people say of them.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from operator import not_
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.instant import iso
from tests.crowded import crowded
from tests.patience import PATIENCE_S, until
from tests.service.test_up import Platform, node

pytestmark = pytest.mark.service

Floats = NDArray[np.float64]
ROWS, STEP_S = 1_500, 1
NAMES = ("inlet", "outlet", "motor", "bearing")


def readings(rows: int, seed: int = 0) -> Floats:
    """Four sensors that follow two hidden causes."""
    random, mixed = np.random.default_rng(seed), np.random.default_rng(7).normal(size=(2, 4))
    hidden = np.sin(np.arange(rows)[:, None] / [9, 31]) + 0.2 * random.normal(size=(rows, 2))
    found: Floats = hidden @ mixed + 0.1 * random.normal(size=(rows, 4)) + [10, 20, 30, 40]
    return found


class Plant:
    """A Thing with four sensors at a running node."""

    def __init__(self, platform: Platform, token: str = "", rows: int = ROWS) -> None:
        self.alerts_before: set[str] = set()
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=f"{platform.http}/v1.1", timeout=30, headers=headers)
        self.platform = platform
        self.thing("pump", NAMES)
        (pump,) = self.ask("Things?$filter=name eq 'pump'&$expand=Datastreams($orderby=id)")
        self.key = pump["@iot.id"]
        self.streams = [one["@iot.id"] for one in pump["Datastreams"]]
        self.value, self.next = readings(ROWS + 400), rows
        self.start = time.time() - 300 - ROWS * STEP_S  # what is sent below is never ahead of its time
        self.send(0, rows)

    def api(self, path: str) -> Any:
        base = str(self.http.base_url).removesuffix("/v1.1/")
        return self.http.get(f"{base}/api/{path}").raise_for_status().json()

    def alerts(self, *, active: bool = False) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api(f"alerts?solution=monitor&active={str(active).lower()}")
        found = found if active else [*found, *self.api("alerts?solution=monitor&active=true")]
        self.alerts_before |= {one["id"] for one in found}
        return found

    def settled(self) -> dict[str, Any]:
        """How far the node has come with the pump, when it has taken it up."""
        until(lambda: self.api("monitors"), lambda seen: seen and seen[0]["standing"])
        standing: dict[str, Any] = self.api("monitors")[0]["standing"]
        return standing

    def ask(self, path: str) -> Any:
        return self.http.get(f"/{path}").raise_for_status().json()["value"]

    def thing(self, name: str, streams: tuple[str, ...]) -> None:
        described = [
            {
                "name": one, "description": one, "observationType": "x",
                "unitOfMeasurement": {"name": "bar", "symbol": "bar", "definition": "x"},
                "Sensor": {"name": one, "description": one, "encodingType": "x", "metadata": "x"},
                "ObservedProperty": {"name": one, "description": one, "definition": "x"},
            }
            for one in streams
        ]  # fmt: skip
        body = {"name": name, "description": name, "Datastreams": described}
        self.http.post("/Things", json=body).raise_for_status()

    def send(self, start: int, stop: int, silent: tuple[str, ...] = (), **more: float) -> None:
        """Send rows, but for sensors that are silent; ``more`` is added to the sensor of that name."""
        groups = []
        for place, (name, stream) in enumerate(zip(NAMES, self.streams, strict=True)):
            if name in silent:
                continue
            value = self.value[start:stop, place] + more.get(name, 0.0)
            stamps = [iso(int((self.start + row * STEP_S) * 1e9)) for row in range(start, stop)]
            rows = [list(one) for one in zip(stamps, value.tolist(), strict=True)]
            groups.append(
                {
                    "Datastream": {"@iot.id": stream}, "components": ["phenomenonTime", "result"],
                    "dataArray@iot.count": len(rows), "dataArray": rows,
                }
            )  # fmt: skip
        answer = self.http.post("/CreateObservations", json=groups).raise_for_status()
        assert "error" not in answer.json()

    def live(self, rows: int, silent: tuple[str, ...] = (), **more: float) -> None:
        for _ in range(rows):
            self.send(self.next, self.next + 1, silent, **more)
            self.next += 1


class Watch:
    """``nervure watch --project`` as a process, and what it prints."""

    def __init__(self, platform: Platform, *words: str, project: str = "first") -> None:
        self.process = platform.start("watch", "--project", project, "--json", "--quick", *words)
        self.out: list[dict[str, Any]] = []
        self.err: list[str] = []
        self._threads = [
            threading.Thread(target=one, daemon=True) for one in (self._read_out, self._read_err)
        ]
        for one in self._threads:
            one.start()

    def _read_out(self) -> None:
        assert self.process.stdout
        self.out.extend(json.loads(line) for line in self.process.stdout)

    def _read_err(self) -> None:
        assert self.process.stderr
        self.err.extend(self.process.stderr)

    def said(self, text: str) -> bool:
        return any(text in line for line in self.err)

    def says(self, text: str) -> None:
        """Wait until it has said so."""
        until(lambda: list(self.err), lambda said: any(text in line for line in said))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.end(130)

    def end(self, code: int = 0) -> None:
        assert self.process.wait(PATIENCE_S) == code, self.err
        for one in self._threads:
            one.join(60)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


def _s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def raised(watch: Watch) -> list[dict[str, Any]]:
    return [one["alert"] for one in watch.out if one["event"] == "raised"]


def blames(watch: Watch) -> list[str]:
    return [blamed(alert) for alert in raised(watch)]


def blamed(alert: dict[str, Any]) -> str:
    return str(alert["properties"]["streams"][0]["stream"])


@pytest.fixture(name="plant")
def _plant(tmp_path: Path) -> Iterator[Plant]:
    platform = Platform(tmp_path)
    with node(platform):
        plant = Plant(platform)
        yield plant
        plant.http.close()


def test_a_fault_is_an_alert_within_seconds_and_ends(plant: Plant) -> None:
    watch = Watch(plant.platform)
    watch.says("watching 1 of 3")
    assert watch.said("A is not watched: 0 readings are too few")
    plant.live(20)
    before = len(raised(watch))
    with crowded() as machine:
        began = time.monotonic()
        plant.live(5, motor=3.0)
        until(lambda: len(raised(watch)), lambda seen: seen > before)
        took_s = time.monotonic() - began
    assert took_s < 10 * machine.times
    alert = raised(watch)[-1]
    first = alert["properties"]["streams"][0]
    assert (first["stream"], first["datastream"], alert["datastream"]) == ("motor", *[plant.streams[2]] * 2)
    assert (alert["solution"], alert["severity"], alert["thing"]) == ("monitor", "minor", plant.key)
    assert "motor of pump is odd since" in alert["text"]
    assert abs(first["value"] - first["expected"]) == pytest.approx(3.0, abs=1.0)
    assert {one["datastream"] for one in alert["evidence"]} == {plant.streams[2]}
    assert first["value"] in [one["value"] for one in alert["evidence"]]
    assert alert["properties"]["rarity"] > alert["properties"]["limit"]
    watch.stop()
    plant.live(60)  # while nobody looks the node watches all the same: the alarm of before ends in them
    until(lambda: plant.api(f"alerts/{alert['id']}")["active"], not_)
    over = plant.api(f"alerts/{alert['id']}")
    assert over["start"] <= over["raised"] <= over["end"]
    made = [(one["version"], one["fitted"]) for one in plant.api("monitors")]
    again = Watch(plant.platform)
    again.says("watching 1 of 3")
    assert again.said("pump: watched since")
    assert [(one["version"], one["fitted"]) for one in plant.api("monitors")] == made
    before = len(raised(again))
    plant.live(5, inlet=-4.0)
    until(lambda: len(raised(again)), lambda seen: seen > before)
    assert blamed(raised(again)[-1]) == "inlet"
    again.stop()


def test_two_may_look_at_once_and_an_end_is_an_end_for_all(plant: Plant) -> None:
    both = Watch(plant.platform), Watch(plant.platform)
    for one in both:
        one.says("watching 1 of 3")
    plant.live(5)
    plant.live(5, motor=8.0)
    for one in both:
        until(partial(blames, one), lambda seen: "motor" in seen)
    faults = [{alert["id"] for alert in raised(one) if blamed(alert) == "motor"} for one in both]
    assert faults[0] == faults[1] == {one["id"] for one in plant.alerts(active=True)}
    assert plant.platform.run("watch", "--project", "first", "--stop") == ""
    until(lambda: plant.alerts(active=True), not_)
    assert plant.api("monitors") == []
    for one in both:
        one.says("pump is not watched any more")
        one.stop()
    assert plant.api("monitors") == []


def test_a_node_killed_within_an_alarm_goes_on_with_it(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    with platform.start("up", "--json") as process:
        platform.wait(process)
        plant = Plant(platform)
        platform.run("watch", "--project", "first", "--quick", "--seconds", "1")
        plant.live(10)
        plant.live(6, motor=6.0)
        until(lambda: plant.alerts(active=True))
        plant.live(2, motor=6.0)
        process.kill()  # the last readings are acknowledged: they are in the log, whatever was judged
        process.wait(PATIENCE_S)
    known = plant.alerts_before
    with node(platform):
        (open_,) = plant.alerts(active=True)
        assert open_["id"] in known
        until(lambda: plant.settled()["open"], equals=open_["id"])  # once it has read its log
        plant.live(60)
        until(lambda: plant.alerts(active=True), not_)
        over = [one for one in plant.alerts() if one["id"] == open_["id"]]
        assert len(over) == 1
        assert _s(over[0]["end"]) - _s(over[0]["start"]) >= 7 * STEP_S, "rows before and after count"
        assert (over[0]["start"], blamed(over[0])) == (open_["start"], "motor")
        plant.http.close()


def test_what_people_say_moves_the_limit_and_what_is_learnt(plant: Plant) -> None:
    platform = plant.platform
    platform.run("watch", "--project", "first", "--quick", "--seconds", "1")
    plant.live(10)
    plant.live(5, motor=6.0)
    plant.live(60)
    until(lambda: plant.alerts() and not plant.alerts(active=True))
    alert = next(one for one in plant.alerts() if blamed(one) == "motor")
    before = plant.settled()["limit"]
    told = platform.ask("alert", "verdict", alert["id"], "false", "--note", "works at the motor")
    said = told["properties"]["verdict"]
    assert (said["verdict"], said["note"], told["acknowledged"]) == ("false", "works at the motor", True)
    assert said["by"]
    until(lambda: plant.settled()["limit"], lambda seen: seen > before + 0.5)
    higher = plant.settled()["limit"]
    line = plant.api("audit")[0]
    assert (line["what"], line["detail"]["alert"]) == ("alert.judge", alert["id"])
    platform.run("alert", "verdict", alert["id"], "planned")  # a second thought
    until(lambda: plant.settled()["limit"], lambda seen: seen < higher - 0.5)
    assert "planned" in platform.run("alert", "list", "--solution", "monitor")
    assert "there is no alert 'nope'" in platform.run("alert", "verdict", "nope", "true", code=1)
    platform.run("watch", "--project", "first", "--quick", "--refit", "--seconds", "0")
    about = plant.api("monitors")[0]["about"]
    assert (about["verdicts"], "1 verdicts were heeded" in about["says"]) == (1, True)


def test_a_thing_that_was_too_young_is_taken_up_later(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    with node(platform):
        plant = Plant(platform, rows=20)
        watch = Watch(platform)
        watch.says("watching 0 of 3")
        assert watch.said("pump is not watched")
        plant.send(20, ROWS)
        plant.next = ROWS
        watch.says("pump: 4 Datastreams")
        plant.settled()
        before = len(raised(watch))
        plant.live(5, motor=5.0)
        until(lambda: len(raised(watch)), lambda seen: seen > before)
        watch.stop()
        plant.http.close()


def test_a_silent_sensor_does_not_hold_the_others_up(plant: Plant) -> None:
    watch = Watch(plant.platform, "--count", "1", "--severity", "major")
    watch.says("watching 1 of 3")
    plant.live(3, silent=("bearing",), motor=8.0)
    until(lambda: raised(watch))
    assert blamed(raised(watch)[0]) in {"motor", "bearing"}
    assert raised(watch)[0]["severity"] == "major"
    watch.end()  # one alarm was enough


def test_looking_once_judges_what_came_after_until_somebody_has_seen_it(plant: Plant) -> None:
    plant.live(20, outlet=4.0)
    words = ("watch", "--project", "first", "--once", "--json")
    with plant.platform.start(*words, "--quick", "--learn", "60%") as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1, err
    found = [json.loads(line)["alert"] for line in out.splitlines()]
    assert blamed(found[-1]) == "outlet"
    for one in plant.alerts():
        plant.platform.run("alert", "acknowledge", one["id"])
    with plant.platform.start(*words) as process:
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, ""), "all has been seen"
    assert "watched since" in err


def test_what_is_asked_wrongly_is_told_with_what_there_is(plant: Plant) -> None:
    platform = plant.platform
    told = platform.run("watch", "--project", "nope", code=1)
    assert "there is no project 'nope'" in told
    assert "there is first; city is all of this installation" in told
    assert "exclude each other" in platform.run("watch", "--project", "first", "--csv", "a.csv", code=2)
    assert "--time is for a file" in platform.run("watch", "--project", "first", "--time", "t", code=2)
    platform.run("project", "add", "town")
    assert "has no Datastreams" in platform.run("watch", "--project", "town", code=1)


def test_of_a_project_only_its_own_things_are_watched_and_a_lost_link_is_made_good(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    settings = tmp_path / "nervure.toml"
    settings.write_text(settings.read_text().replace("open = true", "open = false"))
    with node(platform):
        platform.run("project", "add", "town")
        platform.run("user", "add", "eng", "--role", "engineer", "--project", "town")
        plant = Plant(platform, platform.ask("token", "add", "eng", "test")["token"])
        watch = Watch(platform, project="town")
        watch.says("watching 1 of 1 Things of town")
    watch.says("the link to the node is down")
    with node(platform):
        watch.says("is up again")
        before = len(raised(watch))
        plant.live(5, motor=5.0)
        until(lambda: len(raised(watch)), lambda seen: seen > before)
        assert blamed(raised(watch)[-1]) == "motor"
        watch.stop()
        plant.http.close()


def test_without_a_node_it_says_how_to_start_one(tmp_path: Path) -> None:
    told = Platform(tmp_path).run("watch", "--project", "first", code=1)
    assert "start one with: nervure up" in told
