"""Benches of speed run as users run them: small, on a real node, with their gates."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nervure.bench.speed.latency import measure

pytestmark = pytest.mark.service


def bench(*words: str, code: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "nervure.cli", "bench", *words, "--json"],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_the_stream_is_measured_beside_a_bare_subscriber(tmp_path: Path) -> None:
    found = bench("stream", "--quick", "--out", str(tmp_path))
    rows = {(one["subject"], one["metric"]): one for one in found["rows"]}
    ours = rows["nervure", "messages per CPU-s"]
    assert ours["ratio_to"]["bare paho"] > 0.5
    assert ours["ratio_to"]["decode alone"] < 1
    assert "floor_ms" in found["machine"]
    assert json.loads((tmp_path / "speed.json").read_text())["runs"][0]["rows"] == found["rows"]


def test_delays_are_those_from_the_instant_that_a_reading_is_due() -> None:
    found = {
        (one.subject, one.metric): one.value for one in measure(rates=(200,), presets_ms=(10.0,), seconds=2)
    }
    assert 0 < found["floor", "p50 ms"] < found["nervure", "p50 ms"] <= found["nervure", "p99 ms"]
    assert found["nervure", "p50 ms"] > 3  # a reading waits for half of the interval, on average


def test_two_workers_score_every_reading_once_though_one_is_killed() -> None:
    found = bench("scale", "--quick")
    rows = {(one["case"], one["subject"], one["metric"]): one["value"] for one in found["rows"]}
    case, killed = "CNN of 64 channels at every message", "a worker is killed"
    most = rows[case, "2 workers", "share of the readings scored by the busiest worker"]
    least = rows[case, "2 workers", "share of the readings scored by the least busy one"]
    assert 0.4 < least <= 0.5 <= most < 0.6
    assert rows[killed, "2 workers", "readings scored by nobody"] == 0
    assert rows[killed, "2 workers", "readings scored twice"] == 0
    assert 0 < rows[killed, "2 workers", "s to the first decision of what it held"] < 20
