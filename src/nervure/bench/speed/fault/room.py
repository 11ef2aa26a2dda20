"""A disk that is full for a while, and a clock that somebody sets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil

from nervure.bench.speed.fault.case import Outcome, Play, Scale, play

__all__ = ["clock", "disk_full"]

_MB = 1 << 20
_LIBRARIES = "/usr/lib/*/faketime/libfaketimeMT.so.1"


async def disk_full(folder: Path, scale: Scale) -> Outcome:
    """The disk takes nothing for a while: a small one of memory is filled up, and freed.

    Where none can be mounted, the node and its log server may write to no file instead.
    """
    with _small_disk(folder, scale) as small:
        async with play(folder, scale) as played:
            devices = played.crowd()
            await devices.sending()
            await asyncio.sleep(1.0)
            ballast = folder / "ballast"
            await asyncio.to_thread(_fill, ballast) if small else _forbid(played, 0)
            await asyncio.sleep(scale.seconds)
            watcher = played.stage.watcher
            played.seen = await watcher.tells(
                lambda: bool(watcher.problems) and watcher.highest.get("nervure_troubles", 0) > 0
            )

            async def free() -> None:
                ballast.unlink(missing_ok=True)
                if not small:
                    _forbid(played, resource.RLIM_INFINITY)
                await devices.sending()

            await played.fault(free)
            played.more = {"a disk of its own": float(small)}
    return played.judged


@contextlib.contextmanager
def _small_disk(folder: Path, scale: Scale) -> Iterator[bool]:
    """Mount a small disk of memory there, if that is allowed."""
    room = 300 + round(scale.rate * scale.seconds / 2_000)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={room}m", "tmpfs", str(folder)]
    try:
        mounted = os.getuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)  # noqa: S607 - where it is, the path says


def _fill(ballast: Path) -> None:
    """Write until nothing fits any more."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(_MB))
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while shutil.disk_usage(ballast.parent).free:
            file.write(bytes(4096))


def _forbid(played: Play, most: int) -> None:
    node = psutil.Process(played.stage.node.pid)
    for one in (node, *node.children(recursive=True)):
        one.rlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


async def clock(folder: Path, scale: Scale) -> Outcome:
    """The clock of the node is set an hour ahead, two hours back, and right again.

    ``libfaketime`` (Debian: faketime) sets it for the node alone: the log server, a static program,
    goes on with the true one, as another machine would.
    """
    library = next(iter(sorted(Path("/").glob(_LIBRARIES.removeprefix("/")))), None)
    says = folder / "clock"
    says.write_text("+0\n")
    faked = {} if library is None else {
        "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(says), "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    async with play(folder, scale, extra=1, environment=faked) as played:
        devices, stage = played.crowd(), played.stage
        live = stage.send("live", stage.streams[-1:], 20.0, most=1 << 16, live=True)
        await devices.sending()
        for offset in ("+3600", "-3600", "+0"):

            async def turn(offset: str = offset) -> None:
                says.write_text(f"{offset}\n")
                await live.sending(10)

            await played.fault(turn)
            await asyncio.sleep(scale.seconds / 3)
        watcher = stage.watcher
        played.seen = await watcher.tells(
            lambda: watcher.named("clock:") and watcher.highest.get("nervure_clock_jumps", 0) >= 3
        )
    return played.judged
