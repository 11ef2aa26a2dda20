"""``nervure bench soak``: hours at half load, and what grows meanwhile.

A paced sender keeps the node at a rate; every so often memory, open files, threads, the rows and files
of the store, its position behind the log, and delays are noted. What is fitted through each of them
after the first fifth says how much it grows in an hour.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from nervure.bench.speed.field import Field, field
from nervure.bench.speed.latency import sent
from nervure.bench.speed.machine import cpu_s
from nervure.bench.speed.row import Row, Turns
from nervure.bench.speed.run import Tell, silent
from nervure.core.error import StreamError
from nervure.core.instant import SECOND_NS

__all__ = ["measure"]

NODE = "nervure"
_STREAMS = 1_000
_SETTLED = 0.2
_CASE = "{rate:,} messages/s for {minutes:g} min, CNN at every message"

Sample = dict[str, float]


def measure(
    *, minutes: float = 60.0, rate: int = 5_000, every_s: float = 10.0, progress: Tell = silent
) -> list[Row]:
    """Keep a node at a rate for so long; return where its figures stood and by how much they grow."""
    with tempfile.TemporaryDirectory(prefix="nervure-bench-") as folder:
        return asyncio.run(_run(Path(folder), minutes, rate, every_s, progress))


async def _run(folder: Path, minutes: float, rate: int, every_s: float, progress: Tell) -> list[Row]:
    case, streams = _CASE.format(rate=rate, minutes=minutes), max(1, min(_STREAMS, rate // 10))
    every_ns = round(streams * SECOND_NS / rate)
    async with field(folder, streams, model=True, every_ns=every_ns) as run:
        load = asyncio.create_task(sent(run, rate, minutes * 60))
        samples = await _watched(run, load, minutes * 60, every_s, progress)
        paced, status = await load, await run.drained()
    lost = paced.acknowledged - status["stored"]
    if paced.acknowledged < paced.sent or lost or status["rejected"]:
        raise StreamError(f"{case}: {paced}, of which {status['stored']:,} are stored, {status['rejected']}")
    found = Turns("soak")
    for name in samples[0]:
        if name != "hours":
            _note(found, case, name, samples)
    found.add(case, NODE, "readings stored, acknowledged", status["stored"])
    found.add(case, NODE, "readings lost", lost)
    return found.rows()


async def _watched(
    run: Field, load: asyncio.Task[Any], seconds: float, every_s: float, progress: Tell
) -> list[Sample]:
    began, samples = time.monotonic(), list[Sample]()
    while not load.done():
        await asyncio.sleep(every_s)
        past = time.monotonic() - began
        samples.append(await _sample(run, past))
        progress(min(1.0, past / seconds), f"{samples[-1]['memory MB']:.0f} MB")
    return samples


async def _sample(run: Field, past_s: float) -> Sample:
    status, process = await run.node.status(), psutil.Process(run.node.pid)
    table = run.node.settings.folder / "observations"
    return {
        "hours": past_s / 3600,
        "memory MB": status["memory_mb"],
        "memory of the log server, MB": _memory_mb(run.node.broker_pid()),
        "open files": process.num_fds(),
        "threads": process.num_threads(),
        "files of the table": sum(1 for _ in table.glob("day=*/*.parquet")),
        "CPU seconds": cpu_s(run.pids),
        "p50 ms": status["age_ms"]["p50"],
        "p99 ms": status["age_ms"]["p99"],
    }


def _memory_mb(pid: int | None) -> float:
    return 0.0 if pid is None else psutil.Process(pid).memory_info().rss / 1e6


def _note(found: Turns, case: str, name: str, samples: Sequence[Sample]) -> None:
    """Note all figures of a name, and the slope of a line through those after the first fifth."""
    value = np.array([one[name] for one in samples])
    hours = np.array([one["hours"] for one in samples])
    settled = hours >= _SETTLED * hours[-1]
    if name != "CPU seconds":
        for one in value:
            found.add(case, NODE, name, float(one))
    if settled.sum() > 1:
        slope = float(np.polyfit(hours[settled], value[settled], 1)[0])
        found.add(case, NODE, f"{name}, growth an hour", slope)
