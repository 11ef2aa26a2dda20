"""Take the pictures of the console that the documents show: real districts, a real model, a real browser.

python tools/console_shots.py          write docs/console/*.webp
python tools/console_shots.py FOLDER   write them there
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the tests' city

__all__ = ["FOLDER", "main"]

FOLDER = ROOT / "docs" / "console"
_DAYS = 14


def main(words: list[str]) -> int:
    """Play two weeks at a node that has a model, raise an alert, and take the pictures."""
    from nervure.bench.browser import drive
    from tests.browser.stage import OTHER, stage, teach

    place = Path(words[0]) if words else FOLDER
    with tempfile.TemporaryDirectory(prefix="nervure-shots-") as folder:
        teach(Path(folder), 0, 1)
        with stage(Path(folder), _DAYS * 24) as made:
            made.wait_for_forecasts()
            made.high_water(f"{OTHER}/level")
            made.wait_for_alert()
            key = httpx.get(f"{made.node.http}/alerts").json()[0]["id"]
            stream = made.streams["DMA 3/inflow"]
            model = httpx.get(f"{made.node.http}/api/models").json()
            scores = next(one["id"] for one in model if one["promoted"])
            chart, drawn = "[data-points]", ".map[data-drawn=true]"
            explore = f"explore?streams={stream}&from=-7d&forecast=1&heat=water/inflow"
            screens = {
                "overview": {"path": "", "waits": [drawn, ".incidents li"], "shade": "light"},
                "incident": {"path": f"alerts/{key}", "waits": [chart, ".trail li"], "shade": "dark"},
                "explore": {"path": explore, "waits": [chart, "canvas[data-drawn]"], "shade": "light"},
                "models": {
                    "path": f"models/{scores}", "waits": [".drift", drawn], "shade": "dark"
                },
            }  # fmt: skip
            found = drive(made.node.http, "shots", place, screens=screens)
    for name, size in found["bytes"].items():
        print(f"{place / name}.webp: {size:,} bytes")
    return 1 if found["errors"] else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
