"""A project in a file: the loops of its solution are there with their interlocks when the node answers."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.opened import opened
from tests.patience import until
from tests.service.test_act import status

pytestmark = pytest.mark.service

TANKS = """
name = "tanks"
title = "Tanks"
thing = "tank"
[[signals]]
name = "level"
unit = "m"
every = "5min"
[[loops]]
command = "pump"
age = "2s"
sets = [{ name = "speed", unit = "%" }]
interlocks = [{ kind = "range", of = "speed", low = 0, high = 100 }]
plan = [{ hold = "1h", values = { speed = 40.0 } }]
"""
PROJECT = """
[project]
solutions = ["tanks.toml"]
[[thing]]
name = "tank 7"
solution = "tanks.toml"
[[thing]]
name = "tank 8"
solution = "tanks.toml"
"""


def test_a_project_in_a_file_has_its_loops_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "tanks.toml").write_text(TANKS)
    (tmp_path / "nervure.toml").write_text(PROJECT)
    with opened(tmp_path) as node, httpx.Client(base_url=node.http) as api:
        loops = api.get("/api/loops").json()
        assert [(one["name"], one["mode"]) for one in loops] == [
            ("tank 7/pump", "shadow"),
            ("tank 8/pump", "shadow"),
        ]
        assert loops[0]["limits"][0]["high"] == 100
        given = api.post(f"/api/loops/{loops[0]['id']}/guard", json={}).json()
        assert given["act"]["plan"][0]["values"] == {"speed": 40.0}
        task = api.post(f"/api/loops/{loops[0]['id']}/hand", json={"values": {"speed": 130.0}}).json()
        until(lambda: status(api, task["id"]), equals="rejected")
        ruled = api.get(f"/v1.1/Tasks({task['id']})").json()["runLog"][-1]
        assert "range of speed" in ruled["detail"]
