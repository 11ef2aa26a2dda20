"""The screen for acting, in a real browser, in front of a real node with real guards on MQTT."""

from __future__ import annotations

import math
import re
import sqlite3
from pathlib import Path

import httpx
import pytest

from nervure.bench.safety.station import Station, made
from nervure.core.papers import Papers, papers
from tests.acting import PUMP, SPEED
from tests.browser.ground import vector_pmtiles
from tests.browser.stage import artefacts, drive_at
from tests.opened import opened
from tests.patience import until

pytestmark = pytest.mark.service

NAME = "Pump <img src=x onerror=alert(1)>"
VALVE = "Valve"
EASY = {"promote": {"least": 2, "refused": 0.5}}
EFFECT = {"kind": "effect", "of": "speed", "input": "flow", "least": 0.1, "within": "300ms"}


def propose(api: httpx.Client, loop: int, speed: float) -> bool:
    body = {"taskingParameters": {"speed": speed}, "properties": {"act": {"model": "mpc", "lease_s": 3}}}
    assert api.post(f"/v1.1/TaskingCapabilities({loop})/Tasks", json=body).status_code == 201
    return True


def tamper(folder: Path, loop: int) -> bool:
    """Change a line of the log behind the node's back."""
    file = folder / "data" / "catalogue.db"
    with sqlite3.connect(file, timeout=10) as catalogue:
        changed = catalogue.execute(
            "UPDATE loop_step SET who = 'nobody' WHERE capability_id = ? AND number = 2", (loop,)
        ).rowcount
    catalogue.close()
    assert changed == 1
    return True


def trip(api: httpx.Client, loop: int, valve: Station) -> bool:
    """A command without effect: the flow that it should change stays as it is."""
    forced = {"mode": "auto", "because": "a test"}
    assert api.post(f"/api/loops/{loop}/mode", json=forced).status_code == 200
    valve.device.sense({"flow": 1.0})
    propose(api, loop, 60.0)
    return bool(until(lambda: api.get(f"/api/loops/{loop}").json()["trips"]))


def ground(shade: str) -> tuple[float, float, float]:
    """Return how bright the map is over water, where the street stands out most, and where nothing is."""
    from matplotlib.image import imread

    picture = imread(artefacts() / f"ground-vector-{shade}.png")[..., :3].mean(axis=2)
    world = 1024  # pixels at zoom 1, about 8 degrees east and 30 north; all of this is in the Atlantic
    x = round(picture.shape[1] / 2 + (-30 - 8) / 360 * world)

    def row(lat: float) -> int:
        north = [math.log(math.tan(math.radians(45 + one / 2))) / (2 * math.pi) for one in (lat, 30.0)]
        return int(picture.shape[0] / 2 + (north[1] - north[0]) * world + 0.5)

    water, none, at = float(picture[row(20.0), x]), float(picture[row(-20.0), x]), row(0.0)
    return water, max(map(float, picture[at - 2 : at + 3, x]), key=lambda one: abs(one - none)), none


def downloaded(name: str, given: Papers) -> None:
    """See that the guard's file came whole to who may have it; it is a secret, so it does not stay."""
    file = artefacts() / name
    assert name == f"guard-{given.capability}.json"
    assert papers(file.read_bytes()) == given
    file.unlink()


def test_loops_are_looked_after_from_a_browser(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "map.pmtiles").write_bytes(vector_pmtiles())
    with opened(tmp_path) as node, httpx.Client(base_url=node.http, timeout=20) as api:
        act = PUMP | EASY
        other = act | {"interlocks": [*PUMP["interlocks"], EFFECT]}
        pump, choked = made(api, NAME, act, SPEED), made(api, VALVE, other, SPEED)
        loop = pump.capability
        with (
            Station(node.mqtt_port, pump, {"speed": 20.0}) as device,
            Station(node.mqtt_port, choked, {"speed": 20.0}) as valve,
        ):
            until(lambda: [one["guard"] for one in api.get("/api/loops").json()], equals=["here"] * 2)
            speeds = iter([(30.0, 31.0), (40.0,)])
            works = [
                ("propose", lambda: all(propose(api, loop, one) for one in next(speeds))),
                ("approved", lambda: until(lambda: device.values["speed"], equals=40.0)),
                ("hand", lambda: until(lambda: device.values["speed"], equals=10.0)),
                ("back", lambda: until(lambda: device.values["speed"], equals=20.0)),
                ("tamper", lambda: tamper(tmp_path, loop)),
                ("trip", lambda: trip(api, choked.capability, valve)),
            ]
            found = drive_at(node.http, "act", after=works, pump=NAME, valve=VALVE, loop=loop)
        counted = api.get("/api/loops/modes").json()
    assert found["errors"] == []
    assert {name: wrong for name, wrong in found["violations"].items() if wrong} == {}
    assert found["wide"] == dict.fromkeys(found["wide"], 0)
    assert found["pieces"]
    assert set(found["pieces"]) == {206}  # the map of the ground, piece by piece
    for water, street, none in map(ground, ("light", "dark")):
        assert abs(water - none) > 0.02  # each layer is seen
        assert abs(street - none) > abs(water - none) + 0.01
    assert [found[one] for one in ("approved", "hand", "back")] == [40.0, 10.0, 20.0]
    assert "range of speed" in found["refused"]
    assert re.search(r"release asked.*approval\t.*shadow → advisory", found["log"], re.DOTALL), found["log"]
    assert found["cut"].startswith("✕")
    downloaded(found["file"], pump)
    assert found["buttons"] == []  # who may only read is offered nothing to press
    assert counted["modes"]["shadow"] == 1
    assert counted["tripped"] == 0
