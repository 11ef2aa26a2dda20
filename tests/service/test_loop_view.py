"""What pages see of loops: how many are in which mode, what a device without a guard holds, one Task."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from nervure.bench.safety.station import made
from tests.acting import PUMP, SPEED
from tests.opened import opened

pytestmark = pytest.mark.service


def test_loops_are_counted_and_slots_of_a_device_without_a_guard_are_shown(tmp_path: Path) -> None:
    with opened(tmp_path) as node, httpx.Client(base_url=node.http) as api:
        none = {"modes": dict.fromkeys(("shadow", "advisory", "supervised", "auto"), 0)}
        assert api.get("/api/loops/modes").json() == none | {"tripped": 0, "away": 0, "waiting": 0}
        plain = {"guarded": False, "interlocks": PUMP["interlocks"][:1]}
        pump = made(api, "pump", PUMP | plain, SPEED)
        thing, loop = pump.thing, pump.capability
        made(api, "valve", PUMP, SPEED)
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", node.mqtt_port)
        client.subscribe(f"nervure/tasks/{thing}", 1)
        client.loop_start()
        try:
            task = api.post(f"/api/loops/{loop}/hand", json={"values": {"speed": 10}, "minutes": 5}).json()
            end = time.monotonic() + 10
            while not (slots := api.get(f"/api/loops/{loop}").json()["slots"]):
                assert time.monotonic() < end, api.get(f"/api/tasks/{task['id']}").text
                time.sleep(0.05)
        finally:
            client.disconnect()
            client.loop_stop()
        assert [(one["slot"], one["values"], one["task"]) for one in slots] == [
            (8, {"speed": 10}, str(task["id"]))
        ]
        assert 290 < slots[0]["left_s"] <= 300
        assert api.get(f"/api/tasks/{task['id']}").json()["status"] == "dispatched"
        assert api.get("/api/tasks/999").status_code == 404
        view = api.get(f"/api/loops/{loop}").json()
        assert (view["guard"], view["lease"], view["promote"]) == (
            "none",
            "3s",
            {"least": 100, "refused": 0.02},
        )
        said = {one["rule"]: one["outcome"] for one in view["verdicts"]}
        assert (
            said["range of speed"] == "pass"
        )  # what was said of the newest command, though the log has grown
        counted = api.get("/api/loops/modes").json()
        assert counted["modes"]["shadow"] == 2
        assert counted["away"] == 1
