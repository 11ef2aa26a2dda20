"""Take the pictures of the console that the documents show: real districts, a real model, a real browser.

python tools/console_shots.py          write docs/console/*.webp
python tools/console_shots.py FOLDER   write them there
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from nervure.core.papers import Papers, papers

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the tests' city

if TYPE_CHECKING:
    from tests.browser.stage import Stage

__all__ = ["FOLDER", "main"]

FOLDER = ROOT / "docs" / "console"
_DAYS = 14
_VALVE, _INFLOW = "DMA 3/pressure", "DMA 3/inflow"


def main(words: list[str]) -> int:
    """Play two weeks at a node that has a model, raise an alert, act, ask what if, and take the pictures."""
    from nervure.bench.browser import drive
    from nervure.bench.safety.station import Station
    from tests.browser.stage import OTHER, stage, teach

    place = Path(words[0]) if words else FOLDER
    with tempfile.TemporaryDirectory(prefix="nervure-shots-") as folder:
        teach(Path(folder), 0, 1)
        with stage(Path(folder), _DAYS * 24) as made:
            made.wait_for_forecasts()
            made.high_water(f"{OTHER}/level")
            made.wait_for_alert()
            screens = _screens(made)
            with httpx.Client(base_url=made.node.http, timeout=30) as api:
                answer, given = _asked(api), _papers(api)
                with Station(made.node.mqtt_port, given, {"pressure": 40.0}) as valve:
                    valve.device.sense({_INFLOW: 12.0})
                    _commanded(api, given.capability)
                    act, twin = f"act/{given.capability}", f"twin/{answer}"
                    screens |= {
                        "act": {"path": act, "waits": [".force", ".log tbody tr"], "shade": "light"},
                        "twin": {"path": twin, "waits": ["svg .span", ".boards .bars"], "shade": "dark"},
                    }
                    found = drive(made.node.http, "shots", place, screens=screens)
    for name, size in found["bytes"].items():
        print(f"{place / name}.webp: {size:,} bytes")
    return 1 if found["errors"] else 0


def _screens(made: Stage) -> dict[str, dict[str, object]]:
    """Return the screens that need no more than readings: where, what to wait for, and their colours."""
    key = httpx.get(f"{made.node.http}/alerts").json()[0]["id"]
    stream = made.streams["DMA 3/inflow"]
    model = httpx.get(f"{made.node.http}/api/models").json()
    scores = next(one["id"] for one in model if one["promoted"])
    chart, drawn = "[data-points]", ".map[data-drawn=true]"
    explore = f"explore?streams={stream}&from=-7d&forecast=1&heat=water/inflow"
    return {
        "overview": {"path": "", "waits": [drawn, ".incidents li"], "shade": "light"},
        "incident": {"path": f"alerts/{key}", "waits": [chart, ".trail li"], "shade": "dark"},
        "explore": {"path": explore, "waits": [chart, "canvas[data-drawn]"], "shade": "light"},
        "models": {
            "path": f"models/{scores}", "waits": [".drift", drawn], "shade": "dark"
        },
    }  # fmt: skip


def _papers(api: httpx.Client) -> Papers:
    """Return the file of the guard of a district's inlet valve, which its solution declares."""
    loops = api.get("/api/loops").raise_for_status().json()
    (loop,) = [one["id"] for one in loops if one["name"] == _VALVE]
    return papers(api.post(f"/api/loops/{loop}/guard", json={}).raise_for_status().content)


def _commanded(api: httpx.Client, loop: int) -> None:
    """Let a model lower the pressure a little, and wait until the valve has it."""
    from tests.patience import until

    until(lambda: api.get(f"/api/loops/{loop}").json()["guard"], equals="here")
    forced = {"mode": "auto", "because": "a picture for the documents"}
    api.post(f"/api/loops/{loop}/mode", json=forced).raise_for_status()
    act = {"model": "leakage", "lease_s": 3600}
    body = {"taskingParameters": {"pressure": 38.5}, "properties": {"act": act}}
    api.post(f"/v1.1/TaskingCapabilities({loop})/Tasks", json=body).raise_for_status()
    until(lambda: api.get(f"/api/loops/{loop}").json()["values"].get("pressure"), equals=38.5)


def _asked(api: httpx.Client) -> int:
    """Ask a twin what a measure would change; return the number of the answer."""
    from tests.patience import until

    asked = api.post("/api/whatif", json={"question": "gate", "seeds": 8}).raise_for_status().json()["id"]
    until(lambda: api.get(f"/api/whatif/{asked}").json()["state"], equals="done", seconds=120)
    return int(asked)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
