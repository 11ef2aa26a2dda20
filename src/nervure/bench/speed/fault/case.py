"""What every case has: how large it is played, what came of it, and the same beginning and end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nervure.bench.speed.fault.check import Found, check
from nervure.bench.speed.fault.orders import Orders
from nervure.bench.speed.fault.stage import Devices, Stage
from nervure.bench.speed.http import fill
from nervure.bench.speed.row import Row, short
from nervure.core.error import NervureError

__all__ = ["Case", "Outcome", "Play", "Scale", "p99_ms", "play"]


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How large a case is played: how often, for how long, how fast, and on how many rows."""

    times: int = 1
    seconds: float = 3.0
    rate: float = 1_000.0
    devices: int = 20
    rows: int = 0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a case; ``seen``: whether status and metrics told of it, ``more``: figures of its own.

    ``beside`` are figures of others at which the same was done, by their name.
    """

    found: Found
    faults: int
    recovery_s: list[float]
    most_mb: float
    tasks: int | None = None
    seen: bool | None = None
    more: dict[str, float] = {}
    beside: dict[str, dict[str, float]] = {}

    def rows(self, case: str) -> list[Row]:
        """Return the figures for the report."""
        found = self.found
        figures: dict[str, float] = {
            "faults": self.faults,
            "messages acknowledged": found.acknowledged,
            "lost": found.lost,
            "doubled": found.doubled,
            "altered": found.altered,
            "alerts missing or twice": found.alerts,
        }
        if self.tasks is not None:
            figures["Tasks missing or twice"] = self.tasks
        if self.recovery_s:
            figures["s to recover, median"] = float(np.median(self.recovery_s))
            figures["s to recover, at most"] = max(self.recovery_s)
        if self.most_mb:
            figures["node MB at most"] = self.most_mb
        if self.seen is not None:
            figures["told by status and metrics"] = float(self.seen)
        return [
            Row(bench="faults", case=case, subject=subject, metric=name, value=short(value))
            for subject, some in ({"nervure": figures | self.more} | self.beside).items()
            for name, value in some.items()
        ]


class Play:
    """A case that is being played: its stage, the devices that send all the while, and what was noted."""

    def __init__(self, stage: Stage, scale: Scale) -> None:
        self.stage, self.scale = stage, scale
        self.recovery_s: list[float] = []
        self.faults = 0
        self.seen: bool | None = None
        self.more: dict[str, float] = {}
        self.left_out: tuple[str, ...] = ()
        self.orders: Orders | None = None
        self.outcome: Outcome | None = None

    @property
    def judged(self) -> Outcome:
        """What came of it, once :func:`play` is over."""
        if self.outcome is None:
            raise NervureError("the case is still being played")
        return self.outcome

    def crowd(self, name: str = "crowd", rate: float | None = None) -> Devices:
        """Have the devices send, together at the case's rate."""
        streams = self.stage.streams[: self.scale.devices]
        rate = self.scale.rate if rate is None else rate
        return self.stage.send(name, streams, rate / len(streams))

    async def fault(self, work: Callable[[], Awaitable[None] | None]) -> None:
        """Do something to the platform, and note how long it takes until it has recovered."""
        begun = time.monotonic()
        done = work()
        if done is not None:
            await done
        self.faults += 1
        self.recovery_s.append(await self.stage.recovered(begun))


@asynccontextmanager
async def play(
    folder: Path,
    scale: Scale,
    *,
    extra: int = 0,
    catalogue: str | None = None,
    environment: Mapping[str, str] | None = None,
    solutions: tuple[str, ...] = (),
    signing: bool = False,
) -> AsyncIterator[Play]:
    """Set the stage, let the case be played, and judge what came of it: ``Play.judged``.

    ``extra`` so many Datastreams are there beyond those of the crowd; ``environment`` is the node's only;
    ``solutions`` run in it besides ours; ``signing``: devices sign in.
    """
    stage = Stage(
        folder, streams=scale.devices + extra, catalogue=catalogue, solutions=solutions, signing=signing
    )
    if scale.rows:
        await asyncio.to_thread(fill, stage.home / "observations", scale.rows)
    found = Play(stage, scale)
    try:
        with _environment(environment or {}):
            await stage.begin()
        yield found
        tasks = await _ended(found)
        await stage.close()
    finally:
        await stage.close()
    found.outcome = Outcome(
        found=check(stage, left_out=found.left_out),
        faults=found.faults,
        recovery_s=found.recovery_s,
        most_mb=stage.watcher.most_mb,
        tasks=tasks,
        seen=found.seen,
        more=found.more,
    )


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the processes that are started meanwhile."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


async def _ended(played: Play) -> int | None:
    """Let everybody end with all they sent; return how many Tasks are wrong, if any were asked."""
    orders = played.orders
    if orders is not None:
        await orders.stop()
    for one in played.stage.devices:
        await one.finish()
    await played.stage.recovered(time.monotonic())
    return None if orders is None else await orders.wrong()


def p99_ms(delays: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> float:
    """Return the 99th percentile of what was noted, in milliseconds; what was not noted is 0."""
    known = delays[delays > 0]
    return float(np.percentile(known, 99)) / 1e6 if len(known) else float("nan")


Case = Callable[[Path, Scale], Coroutine[Any, Any, Outcome]]
