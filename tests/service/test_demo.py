"""The demo as a person runs it: one command, one JSON object, one report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    folder = tmp_path_factory.mktemp("demo")
    command = [
        "demo",
        "--headless",
        "--json",
        "--no-compare",
        "--budget",
        "8",
        "--speed",
        "160000",  # four weeks in fifteen seconds
        "--data",
        str(folder / "demo"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "nervure.cli", *command],
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout), done.stderr, folder / "demo"


def test_every_reading_is_stored_once(ran: tuple[dict[str, Any], str, Path]) -> None:
    found = ran[0]
    assert found["sent"] == found["stored"] > 9_000
    assert (found["lost"], found["duplicates"], found["quarantined"]) == (0, 0, 0)


def test_forecasts_are_made_live_and_their_band_holds(ran: tuple[dict[str, Any], str, Path]) -> None:
    found = ran[0]
    assert found["forecast"]["points"] > 100_000
    assert len(found["forecast"]["mae_by_hour"]) == 24
    assert (
        found["forecast"]["mae"] < 1.3
    )  # L/s; the same hour last week is off by 1.16, the day before by 1.41
    assert 0.7 < found["coverage_80"] < 0.9


def test_the_burst_and_the_stuck_meter_are_found(ran: tuple[dict[str, Any], str, Path]) -> None:
    found = ran[0]
    assert found["burst_detected_after_h"] is not None
    assert found["burst_detected_after_h"] <= 24
    assert found["stuck_detected_after_h"] == 6.0
    burst = [one for one in found["alerts"] if one["thing_name"] == found["injected"]["burst"]["thing"]]
    assert any(one["evidence"] and one["text"].startswith("Likely burst in DMA") for one in burst)
    assert len({one["id"] for one in found["alerts"]}) == len(found["alerts"])


def test_the_report_stands_alone(ran: tuple[dict[str, Any], str, Path]) -> None:
    page = (ran[2] / "report.html").read_text("utf-8")
    assert page.count("<svg") == 5
    assert "src=" not in page
    assert 'href="http' not in page.replace('xlink:href="#', "")
    assert "Likely burst" in page


def test_progress_goes_to_stderr(ran: tuple[dict[str, Any], str, Path]) -> None:
    assert "replay" in ran[1]
    assert "ALERT" in ran[1]
