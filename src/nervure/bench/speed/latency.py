"""``nervure bench latency``: from sensor to decision, at several rates and under each preset.

A process of its own sends readings over MQTT with QoS 1, each stamped with the instant it was due. The
node takes them from its log, stores them and scores every one by a small CNN, whose anomaly score is
held against its limit: that is the decision. The node tells how old readings were then.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from nervure.bench.speed.field import Field, field
from nervure.bench.speed.machine import cpu_s, floor
from nervure.bench.speed.paced import Paced, Plan
from nervure.bench.speed.row import Row, Turns
from nervure.bench.speed.run import Tell, silent
from nervure.core.error import StreamError
from nervure.core.instant import SECOND_NS
from nervure.core.settings import Limits, Score
from nervure.stream.child import tied

__all__ = ["PRESETS_MS", "RATES", "measure", "sent"]

RATES = (1_000, 5_000, 10_000)
PRESETS_MS = (0.0, 2.0, 10.0)
STREAMS = 1_000
_WARM = 66  # readings a stream before windows are full
_LEAST_S = 5.0
NODE, FLOOR = "nervure", "floor"
_SHOWN = ("p50", "p99", "p99.9")


def measure(
    *,
    rates: Iterable[int] = RATES,
    presets_ms: Iterable[float] = PRESETS_MS,
    seconds: float = 15.0,
    turns: int = 1,
    streams: int = STREAMS,
    progress: Tell = silent,
) -> list[Row]:
    """Send at each rate for so long under each preset, a fresh node each time; return percentiles in ms."""
    found = Turns("latency")
    plan = [(rate, preset) for _ in range(turns) for rate in rates for preset in presets_ms]
    for place, (rate, preset) in enumerate(plan):
        case = _Case(rate=rate, preset_ms=preset, seconds=seconds, streams=streams)
        progress(place / len(plan), case.name)
        with tempfile.TemporaryDirectory(prefix="nervure-bench-") as folder:
            asyncio.run(_one(Path(folder), case, found))
    return found.rows()


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement: messages a second, the least interval between batches, for how long, of how many."""

    rate: int
    preset_ms: float
    seconds: float
    streams: int

    @property
    def name(self) -> str:
        return f"{self.rate:,} messages/s, interval {self.preset_ms:g} ms"


async def _one(folder: Path, case: _Case, found: Turns) -> None:
    rate = case.rate
    some = max(1, min(case.streams, rate // 10))  # ten readings a second each
    every_ns = round(some * SECOND_NS / rate)
    score = Score(min_interval_ms=case.preset_ms)
    limits = Limits(per_device_s=max(100.0, 10 * rate / some))
    async with field(folder, some, model=True, every_ns=every_ns, score=score, limits=limits) as run:
        await sent(run, rate, max(_LEAST_S, _WARM * some / rate))
        await run.drained()
        before, began = cpu_s(run.pids), asyncio.get_running_loop().time()
        with floor() as floors:
            paced = await sent(run, rate, case.seconds)
        spent = cpu_s(run.pids) - before
        wall = asyncio.get_running_loop().time() - began
        status = await run.drained()
    if paced.acknowledged < paced.sent or status["rejected"]:
        raise StreamError(
            f"{case.name}: {paced.sent - paced.acknowledged} not taken, {status['rejected']} rejected"
        )
    for name in _SHOWN:
        found.add(case.name, NODE, f"{name} ms", status["age_ms"][name])
        found.add(case.name, FLOOR, f"{name} ms", getattr(floors[0], name.replace(".", "")))
    above = status["age_ms"]["p99"] - floors[0].p99
    found.add(case.name, NODE, "p99 above the floor, ms", above)
    found.add(case.name, NODE, "share of a core", spent / wall)
    found.add(case.name, "load generator", "share of a core", paced.cpu_share)
    found.add(case.name, "load generator", "late at most, ms", paced.late_ms)


async def sent(run: Field, rate: int, seconds: float) -> Paced:
    """Send at a rate from a process of its own."""
    plan = Plan(port=run.port, ids=run.ids, rate=rate, seconds=seconds)
    process = await asyncio.create_subprocess_exec(
        *tied(sys.executable, "-m", "nervure.bench.speed.paced"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(msgspec.json.encode(plan))
    return msgspec.json.decode(out, type=Paced)
