"""``nervure bench scale``: the stream scored by several workers, placed by the node and by Ray.

Each turn runs a node for every setup, sends the same burst, and waits until all of it is stored and
scored. Then readings come at a pace while workers leave: one that is asked to, one that is killed. All
forecasts are read from the log, so that every reading is seen to be scored once, and how long the
partitions of who left had to wait for their next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from importlib.util import find_spec
from pathlib import Path

import msgspec
import psutil

from nervure.bench.speed.decisions import Decisions
from nervure.bench.speed.field import Field, field, reading
from nervure.bench.speed.latency import sent
from nervure.bench.speed.load import Burst, send
from nervure.bench.speed.machine import cpu_s
from nervure.bench.speed.row import Row, Turns
from nervure.bench.speed.run import Tell, silent
from nervure.core.error import EnvironmentMissing, StreamError
from nervure.core.instant import HOUR_NS, SECOND_NS
from nervure.core.scale import Scale

__all__ = ["ALONE", "LEAVE", "NETS", "SETUPS", "Net", "Setup", "measure"]

ALONE = "no workers"
PARTITIONS = 8
STREAMS = 400
LEAVE = {"planned": "a worker is stopped", "killed": "a worker is killed"}
_WARM = 66  # readings a stream before windows are full
_READY_S = 120.0
_PACE, _AFTER_S = 400, 5.0
_RATE = "messages/s until all are scored and sealed"


class Net(msgspec.Struct, frozen=True, kw_only=True):
    """The model of a case."""

    name: str
    channels: int
    part: int = 1
    """As many times fewer messages are sent, as each costs so much more."""


NETS = (
    Net(name="CNN at every message", channels=16),
    Net(name="CNN of 64 channels at every message", channels=64),
    Net(name="CNN of 256 channels at every message", channels=256, part=4),
)


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """So many workers; started by the node, or placed by Ray."""

    workers: int
    ray: bool = False

    @property
    def name(self) -> str:
        """What it is called in rows."""
        if not self.workers:
            return ALONE
        return f"{self.workers} worker{'s' * (self.workers > 1)}{', placed by Ray' * self.ray}"

    @property
    def scale(self) -> Scale:
        """The settings of the node."""
        if not self.workers:
            return Scale()
        return Scale(partitions=PARTITIONS, workers=0 if self.ray else self.workers)


SETUPS = tuple(Setup(workers=count) for count in (0, 1, 2, 4)) + tuple(
    Setup(workers=count, ray=True) for count in (1, 2, 4)
)


def measure(
    *,
    messages: int,
    turns: int = 3,
    setups: Iterable[Setup] = SETUPS,
    nets: Iterable[Net] = NETS,
    leaves: Iterable[str] = tuple(LEAVE),
    progress: Tell = silent,
) -> list[Row]:
    """Send so many messages a turn to each setup, then let workers leave; return the figures of all."""
    found = Turns("scale")
    here = [one for one in setups if not one.ray or find_spec("ray")]
    plan = [(net, setup) for _ in range(turns) for net in nets for setup in here]
    for place, (net, setup) in enumerate(plan):
        progress(place / len(plan), f"{net.name}, {setup.name}")
        with tempfile.TemporaryDirectory(prefix="nervure-bench-") as folder:
            asyncio.run(_burst(Path(folder), net, setup, messages // net.part, found))
    for setup in (Setup(workers=2), Setup(workers=2, ray=True)) if Setup(workers=2) in here else ():
        for leave in leaves if setup in here else ():
            if setup.ray and leave == "planned":  # a signal to one of Ray's actors ends it as a crash does
                continue
            for turn in range(turns):
                progress((turn + 1) / turns, f"{LEAVE[leave]}, {setup.name}")
                with tempfile.TemporaryDirectory(prefix="nervure-bench-") as folder:
                    asyncio.run(_leave(Path(folder), leave, setup, found))
    others = [one.name for one in here if one.workers != 4]
    return found.rows({one.name: [other for other in others if other != one.name] for one in here})


async def _burst(folder: Path, net: Net, setup: Setup, messages: int, found: Turns) -> None:
    """Send a burst to a node whose windows are full."""
    async with _scaled(folder, setup, channels=net.channels) as (run, placed):
        warm = _WARM * STREAMS
        await _send(run, 0, warm)
        before, spent = await _counted(run), _cpu(run, placed)
        node_s, began = cpu_s(run.pids), time.monotonic()
        await _send(run, warm, messages)
        wall_s, after = time.monotonic() - began, await _counted(run)
        spent = _cpu(run, placed) - spent
        found.add(net.name, setup.name, _RATE, messages / wall_s)
        found.add(net.name, setup.name, "messages per CPU-s of all processes", messages / spent)
        found.add(
            net.name, setup.name, "messages per CPU-s of the node", messages / (cpu_s(run.pids) - node_s)
        )
        shares = [(after[one] - before.get(one, 0)) / messages for one in after]
        if setup.workers:
            found.add(net.name, setup.name, "share of the readings scored by the busiest worker", max(shares))
            found.add(net.name, setup.name, "share of the readings scored by the least busy one", min(shares))
        status = await run.node.status()
        if status["findings"] != warm + messages:
            raise StreamError(f"{warm + messages} readings were sent, {status['findings']} judged")


async def _send(run: Field, start: int, count: int) -> None:
    """Send a burst, and wait until it is stored and scored."""
    burst = Burst([reading(run.ids, one) for one in range(start, start + count)])
    await asyncio.to_thread(send, "127.0.0.1", run.port, burst)
    await run.drained()


async def _counted(run: Field) -> dict[str, int]:
    """Return how many readings each worker has scored; what they say of themselves is a moment old."""
    await asyncio.sleep(1.0)
    workers = (await run.node.status())["scale"].get("workers", {})
    return {name: one["rows"] for name, one in workers.items()}


async def _leave(folder: Path, leave: str, setup: Setup, found: Turns) -> None:
    """Keep readings coming while a worker leaves; every one of them must be scored once."""
    every_ns = round(STREAMS / 4 * SECOND_NS / _PACE)
    async with _scaled(folder, setup, told=True, every_ns=every_ns, streams=STREAMS // 4) as (run, _):
        async with Decisions.heard(run.node.settings) as heard:
            playing = asyncio.create_task(sent(run, _PACE, 2 * _AFTER_S))
            await asyncio.sleep(_AFTER_S)
            workers = (await run.node.status())["scale"]["workers"]
            chosen = max(workers.values(), key=lambda one: len(one["holds"]))
            left_ns = time.time_ns()
            os.kill(chosen["pid"], signal.SIGKILL if leave == "killed" else signal.SIGTERM)
            paced = await playing
            await run.drained()
            await heard.until(paced.acknowledged)
        silence_s = heard.silence_s(chosen["holds"], PARTITIONS, left_ns)
        case, name = LEAVE[leave], setup.name
        found.add(case, name, "s to the first decision of what it held", silence_s)
        found.add(case, name, "readings scored by nobody", heard.missing())
        found.add(case, name, "readings scored twice", heard.doubled())


@contextlib.asynccontextmanager
async def _scaled(
    folder: Path,
    setup: Setup,
    *,
    channels: int | None = None,
    told: bool = False,
    every_ns: int = HOUR_NS,
    streams: int = STREAMS,
) -> AsyncIterator[tuple[Field, psutil.Process | None]]:
    """Run a node with its workers; yields also the process under which Ray has placed them."""
    async with contextlib.AsyncExitStack() as stack:
        placing = None
        if setup.ray:
            placing = asyncio.create_task(_placed(folder, setup.workers, stack))
        run = await stack.enter_async_context(
            field(
                folder,
                streams,
                model=True,
                every_ns=every_ns,
                told=told,
                scale=setup.scale,
                channels=channels,
            )
        )
        placed = await placing if placing is not None else None
        await _manned(run, setup.workers)
        yield run, placed


async def _placed(folder: Path, count: int, stack: contextlib.AsyncExitStack) -> psutil.Process:
    """Have Ray place workers once the node has written its settings."""
    file = folder / "nervure.toml"
    while (
        not (folder / "catalogue.db").exists() or not file.exists() or not (folder / "nats" / "js").exists()
    ):
        await asyncio.sleep(0.1)
    words = ("-m", "nervure.cli", "worker", "--ray", str(count), "--settings", str(file), "--json")
    process = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
    stack.push_async_callback(_ended, process)
    assert process.stdout is not None  # noqa: S101 - it was asked for
    async with asyncio.timeout(_READY_S):
        if not await process.stdout.readline():
            raise EnvironmentMissing("Ray has placed no workers")
    return psutil.Process(process.pid)


async def _ended(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await process.wait()


async def _manned(run: Field, workers: int) -> None:
    """Wait until so many workers hold all partitions in equal parts."""
    held: list[int] = []
    try:
        async with asyncio.timeout(_READY_S):
            while workers:
                found = (await run.node.status())["scale"]
                held = [len(one["holds"]) for one in found.get("workers", {}).values()]
                if len(held) == workers and min(held) == PARTITIONS // workers and not found["free"]:
                    return
                await asyncio.sleep(0.1)
    except TimeoutError as cause:
        raise EnvironmentMissing(
            f"of {workers} workers {len(held)} came within {_READY_S:g} s, and hold {held} partitions",
            hint="let less else run on the machine",
        ) from cause


def _cpu(run: Field, placed: psutil.Process | None) -> float:
    """Return what the node, its log server, all workers and whatever of Ray has spent."""
    pids = {run.node.pid, *(one.pid for one in psutil.Process(run.node.pid).children(recursive=True))}
    if placed is not None:
        pids |= {placed.pid, *(one.pid for one in placed.children(recursive=True))}
    return cpu_s(pids)
