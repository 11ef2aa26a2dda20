"""``nervure bench console``: a city in a browser: bytes, times to what is seen, memory while events come in.

A node knows 10,000 districts. Each has played a real week of one of ten real districts, another week
each, and stands still since seven hours, so that its meter is told to be stuck: 10,000 alerts, raised
by the node's own rules. A headless Chromium then opens the console on it, without a graphics card.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.browser import drive
from nervure.bench.speed.field import Field, field, topic
from nervure.bench.speed.latency import sent
from nervure.bench.speed.load import Burst, send
from nervure.bench.speed.row import Row, Turns, short
from nervure.bench.speed.run import Tell, silent
from nervure.core.error import StreamError
from nervure.core.instant import iso
from nervure.solutions import find
from nervure.store.provision import Place

__all__ = ["SENSORS", "measure"]

SENSORS = 10_000
NODE = "console"
LIVE = 16
RATE = 200
HOURS, STILL = 7 * 24, 8
_BEFORE_MIN = -12 * 60
_STEP = 12
_SETTLED = 0.2
_LOAD = "first load, gzip"
_NAMES = {
    "chart_ms": "ms to the first chart",
    "heat_answer_ms": "ms of the answer",
    "heat_draw_ms": "ms to decode and paint",
    "heat_shown_ms": "ms from the answer to the screen",
    "alerts_first_ms": "ms to the first rows",
    "alerts_all_ms": "ms to fetch all rows",
    "frame_p50_ms": "ms a frame of scrolling, median",
    "frame_p95_ms": "ms a frame of scrolling, p95",
    "map_first_ms": "ms to the map",
    "recolour_ms": "ms until all have changed",
}
_CASES = {
    "chart": "first chart",
    "heat": "heat-map of {n:,} series",
    "alerts": "table of {n:,} alerts",
    "frame": "table of {n:,} alerts",
    "map": "map of {n:,} sensors",
    "recolour": "map of {n:,} sensors",
}

Floats = NDArray[np.float64]


def measure(
    *, sensors: int = SENSORS, turns: int = 3, minutes: float = 60.0, out: Path | None = None,
    progress: Tell = silent,
) -> list[Row]:  # fmt: skip
    """Open the console on a city of so many sensors; return bytes, milliseconds and megabytes.

    Memory is watched for so many minutes, with 16 charts on screen and 200 readings a second coming in; with
    0 it is not.
    Pictures of what fails go to ``out``.
    """
    with tempfile.TemporaryDirectory(prefix="nervure-bench-") as folder:
        return asyncio.run(_run(Path(folder), sensors, turns, minutes, out or Path(folder), progress))


async def _run(
    folder: Path, sensors: int, turns: int, minutes: float, out: Path, progress: Tell
) -> list[Row]:
    progress(0.0, f"{sensors:,} sensors")
    weeks = _weeks(sensors)
    places = [Place(name=f"DMA {one + 1}", location=_place(one)) for one in range(sensors)]
    async with field(folder, sensors, places=places) as run:
        await _play(run, weeks)
        progress(0.1, "waiting for the alerts")
        await run.drained()
        rung = _rung(run)
        if rung != sensors:
            raise StreamError(f"{rung:,} alerts were raised, and {sensors:,} meters stand still")
        loop, load = asyncio.get_running_loop(), list[Any]()

        def begin() -> bool:
            some = msgspec.structs.replace(run, ids=run.ids[:RATE])  # each once a second
            load.append(asyncio.run_coroutine_threadsafe(sent(some, RATE, minutes * 60), loop))
            return True

        def turned() -> bool:
            progress(0.4, "a turn is over")
            return True

        works = {f"turn {one}": turned for one in range(turns)}
        found = await asyncio.to_thread(
            drive, run.node.url, "bench", out, after=works | {"load": begin}, turns=turns, alerts=sensors,
            one=run.ids[0], live=",".join(map(str, run.ids[:LIVE])), group="water/inflow",
            before=_BEFORE_MIN, seconds=minutes * 60, every=min(60.0, minutes * 6),
        )  # fmt: skip
        for one in load:
            await asyncio.wrap_future(one)
    return _rows(found, sensors, minutes)


def _weeks(sensors: int) -> Floats:
    """Return a real week of each sensor ``[sensor, hour]``, the last eight hours of which stand still."""
    from nervure.learn.dataset import cache_folder
    from nervure.learn.reader import package

    source = find("water").data
    if source is None:
        raise StreamError("the solution water names no data")
    rows = package.read(source, cache_folder())
    series = []
    for column, name in enumerate(rows.streams):
        if name.endswith("/inflow"):
            value = rows.value[rows.column == column]
            series.append(value[np.isfinite(value)])
    shortest = min(map(len, series))
    found = np.empty((sensors, HOURS))
    for one in range(sensors):
        start = one // len(series) * _STEP % (shortest - HOURS)
        found[one] = series[one % len(series)][start : start + HOURS]
    found[:, -STILL:] = found[:, -STILL, None] + 0.001  # a value that it did not have the hour before
    return found


def _place(number: int) -> tuple[float, float]:
    """Return where a sensor is: on a grid of 100 columns over some thirty kilometres."""
    row, column = divmod(number, 100)
    return 11.2 + 0.004 * column, 46.3 + 0.003 * row


async def _play(run: Field, weeks: Floats) -> None:
    """Send each sensor's week over MQTT as one pack, the last hour of which is now."""
    begin = iso((int(time.time()) // 3600 - HOURS + 1) * 3600 * 1_000_000_000)
    messages = []
    for one, week in zip(run.ids, weeks.round(3).tolist(), strict=True):
        messages.append((topic(one), json.dumps({"t0": begin, "dt": 3600, "v": week}).encode()))
    said = await asyncio.to_thread(send, "127.0.0.1", run.port, Burst(messages, in_flight=200))
    if said.acknowledged != len(messages):
        raise StreamError(f"{said.acknowledged:,} of {len(messages):,} packs were acknowledged")


def _rung(run: Field) -> int:
    answer = httpx.get(f"{run.node.url}/api/alerts/counts?state=open", timeout=60.0).raise_for_status()
    return int(answer.json()["open"])


def _rows(found: dict[str, Any], sensors: int, minutes: float) -> list[Row]:
    turns = Turns("console")
    load = found["load"]
    turns.add(_LOAD, NODE, "bytes without the map", load["first"])
    turns.add(_LOAD, NODE, "bytes of the map", load["map"])
    turns.add(_LOAD, NODE, f"bytes of the API's answers about {sensors:,} sensors", load["answers"])
    for turn in found["turns"]:
        if turn["heat_rows"] != sensors:
            raise StreamError(f"the heat-map has {turn['heat_rows']:,} rows, not {sensors:,}")
        for name, words in _NAMES.items():
            case = _CASES[name.partition("_")[0]].format(n=sensors)
            turns.add(case, NODE, words, turn[name])
        turns.add(_CASES["alerts"].format(n=sensors), NODE, "rows in the page at once", turn["alerts_lines"])
    return turns.rows() if found["memory"] is None else turns.rows() + _memory(found["memory"], minutes)


def _memory(found: dict[str, Any], minutes: float) -> list[Row]:
    turns = Turns("console")
    case = f"{LIVE} charts for {minutes:g} min, {RATE} readings/s"
    samples = found["samples"]
    turns.add(case, NODE, "points of a chart at the end", found["points"])
    for name, words in (("heap_mb", "MB of heap"), ("nodes", "nodes"), ("listeners", "listeners")):
        value = [float(one[name]) for one in samples]
        turns.add(case, NODE, f"{words} at the start", value[0])
        turns.add(case, NODE, f"{words} at the end", value[-1])
        turns.add(case, NODE, f"{words}, growth an hour", _growth(samples, value))
    return turns.rows()


def _growth(samples: Sequence[dict[str, float]], value: Sequence[float]) -> float:
    """Return the slope of a line through the samples after the first fifth, per hour."""
    hours = np.array([one["seconds"] for one in samples]) / 3600
    settled = hours >= _SETTLED * hours[-1]
    if settled.sum() < 2:
        return 0.0
    return short(float(np.polyfit(hours[settled], np.array(value)[settled], 1)[0]))
