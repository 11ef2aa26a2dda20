"""The platform as a person runs it: up, send, listen, status, down, each a process of its own."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.patience import PATIENCE_S, until
from tests.support import free_ports

pytestmark = pytest.mark.service

SETTINGS = """
[nats]
port = {0}
mqtt_port = {1}
max_store_gb = 1
[http]
port = {2}
[access]
open = true
[[thing]]
name = "A"
solution = "water"
location = [11.35, 46.5]
"""


class Platform:
    """A node in its own folder, and the commands given to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = free_ports(3)
        self.http = f"http://127.0.0.1:{ports[2]}"
        (folder / "nervure.toml").write_text(SETTINGS.format(*ports))
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("NERVURE_")}

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "nervure.cli", *words],
            cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *words: str, code: int = 0) -> str:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, f"{words}: {out}{err}"
        return err if code else out

    def ask(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json"))

    def wait(self, process: subprocess.Popen[str]) -> None:
        look = functools.partial(httpx.get, f"{self.http}/health")
        until(look, lambda answer: answer.status_code == 200, forgive=(httpx.HTTPError,), running=process)


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path)


@contextlib.contextmanager
def node(platform: Platform) -> Iterator[subprocess.Popen[str]]:
    with platform.start("up", "--json") as process:
        try:
            platform.wait(process)
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def test_a_reading_goes_in_and_comes_out_at_every_door(platform: Platform) -> None:
    with node(platform) as process:
        streams = httpx.get(f"{platform.http}/v1.1/Datastreams?$select=id,name").json()["value"]
        key = next(one["@iot.id"] for one in streams if one["name"] == "A/inflow")
        heard = _heard_while_sending(platform, key)
        assert heard == pytest.approx([12.5, 13.5, 12.5])  # what came in m3/h is told in L/s
        platform.run("send", "99", "1")
        until(lambda: platform.ask("status")["quarantine"], lambda seen: sum(seen.values()) == 1)
        rows = httpx.get(f"{platform.http}/v1.1/Datastreams({key})/Observations").json()["value"]
        assert [row["result"] for row in rows] == pytest.approx([12.5, 13.5, 12.5])
        assert "there is no Datastream named 'B/inflow'" in platform.run("send", "B/inflow", "1", code=1)
        found = platform.ask("status")
        assert (found["stored"], found["problems"]) == (3, [])
        assert platform.ask("down") == {"stopped": True, "pid": process.pid}
        assert process.wait(PATIENCE_S) == 0
    assert "start one with: nervure up" in platform.run("status", code=1)


def test_a_folder_has_one_node_and_down_leaves_nothing_behind(platform: Platform) -> None:
    with node(platform) as process:
        children = psutil.Process(process.pid).children(recursive=True)
        assert any("nats-server" in child.name() for child in children)
        assert f"already (process {process.pid})" in platform.run("up", code=2)
        checks = {one["name"]: one for one in platform.ask("doctor")}
        assert checks["nats.port"]["found"].endswith(f"used by our own process {process.pid}")
        process.send_signal(signal.SIGINT)
        assert (process.communicate(timeout=PATIENCE_S)[1], process.returncode) == ("", 0)
    assert not [child for child in children if child.is_running()]
    assert platform.ask("down") == {"stopped": False, "pid": None}


def test_a_thing_that_nobody_would_watch_is_refused(platform: Platform) -> None:
    file = platform.folder / "nervure.toml"
    file.write_text(file.read_text().replace('solution = "water"', 'solution = "traffic"'))
    said = platform.run("up", code=2)
    assert "'A' is of the solution 'traffic', which does not run here" in said
    assert "$.thing[0].solution" in said


def _heard_while_sending(platform: Platform, key: int) -> list[float]:
    with platform.start("listen", "A/inflow", "--count", "3", "--seconds", "40", "--json") as ears:
        assert ears.stderr is not None
        assert "listening" in ears.stderr.readline()
        for words in (
            ("A/inflow", "12.5"),
            (str(key), "13.5", "--http"),
            ("A/inflow", "45", "--unit", "m3/h"),
        ):
            platform.ask("send", *words)
        out, err = ears.communicate(timeout=PATIENCE_S)
    assert ears.returncode == 0, err
    return [json.loads(line)["message"]["result"] for line in out.splitlines()]
