"""The demo of a city as a person runs it, in seconds: one command, one JSON object, one report."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nervure.bench.city.plan import plan
from nervure.core.error import UsageError

pytestmark = pytest.mark.service


def test_a_city_of_one_house_in_seconds(tmp_path: Path) -> None:
    words = ["demo", "city", "--quick", "--json", "--twins", "building", "--data", str(tmp_path / "city")]
    done = subprocess.run(
        [sys.executable, "-m", "nervure.cli", *words],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["good"]
    assert found["sent"] == found["stored"] == 1_464
    assert (found["lost"], found["doubled"], found["quarantined"]) == (0, 0, 0)
    (building,) = found["sides"]
    cost = next(one for one in building["kpis"] if one["name"] == "cost")
    assert cost["joined"] < cost["alone"]
    assert building["speed"] > 100
    assert building["acknowledged"] > 5
    assert {one["what"] for one in found["delays"]} >= {"sensor to acknowledgement"}
    assert found["tasks"]["superseded"] > 5
    assert {one["state"] for one in found["hostile"]} == {"rejected", "refused at the door"}
    assert any("a temperature that can be" in rule for rule in found["distrusted"])
    assert all(one["intact"] for one in found["loops"])
    page = (tmp_path / "city" / "report.html").read_text("utf-8")
    assert "Hostile commands" in page
    assert "heat against cold" in page
    assert "src=" not in page


def test_the_plan_is_a_hundred_times_as_fast_as_life_and_lasts_minutes() -> None:
    whole = plan()
    assert whole.slowest >= 100
    assert whole.wall_s <= 240
    assert [one.twin for one in plan(only=("pipes",)).parts] == ["pipes"]
    with pytest.raises(UsageError, match="no 'harbour'"):
        plan(only=("harbour",))
