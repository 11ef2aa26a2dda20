"""The screen of twins, in a real browser: a what-if that runs to its end beside a real node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from nervure.twin.find import open_twin
from nervure.twin.state import keep, path_of
from tests.browser.stage import drive_at
from tests.opened import opened

pytestmark = pytest.mark.service


def run(data: Path) -> None:
    """Let a river's twin run through the first half of a storm, and write down where it is."""
    twin = open_twin("flood")
    storm = {"rain_mm": 110.0}
    twin.reset(seed=3, scenario=storm)
    for _ in range(60):
        twin.step()
    keep(path_of(data, "flood"), twin, 10**18, 60 * twin.describe().step_s, storm)


def test_a_what_if_is_asked_answered_and_looked_at(tmp_path: Path) -> None:
    run(tmp_path / "data")
    with opened(tmp_path) as node, httpx.Client(base_url=node.http, timeout=60) as api:

        def elsewhere() -> bool:
            wish: dict[str, Any] = {"question": "gate", "seeds": 2, "minutes": 600}
            return api.post("/api/whatif", json=wish).status_code == 202

        found = drive_at(node.http, "twin", after=[("elsewhere", elsewhere)])
        asked = {one["id"]: one for one in api.get("/api/whatif").json()}
        film = api.get("/api/whatif/1/film").raise_for_status().json()
    assert found["errors"] == []
    assert {name: wrong for name, wrong in found["violations"].items() if wrong} == {}
    assert found["wide"] == dict.fromkeys(found["wide"], 0)
    assert found["twins"] >= 7
    assert found["elsewhere"]
    assert found["figures"] == found["bars"] == len(asked[1]["changes"]) >= 9
    assert found["before"] == 0
    assert found["moved"] == [True, True]
    assert found["lanes"] == len(film["do"]["tracks"][0]["names"]) == 8
    assert found["title"] == "A lane of a crossing is shut: adaptive signals"
    assert (asked[1]["state"], asked[1]["scenario"], asked[1]["minutes"]) == ("done", {"shut_lane": 2}, 2)
    assert (asked[2]["state"], asked[2]["began"]) == ("cancelled", None)
    assert film["steps"] == 12
    assert found["boards"] >= 3  # of a river: rain, flow, level, how full
    assert asked[3]["film"]
    assert (found["elsewhereNow"], found["circumstances"]) == (0, [1, 0])
    assert "From now" in found["says"]
    assert (asked[4]["now"], asked[4]["scenario"], asked[4]["seeds"]) == (True, {}, 3)
    level = next(one for one in asked[4]["changes"] if one["kpi"] == "peak_level")
    assert level["low"] < level["mean"] < level["high"] < 0
