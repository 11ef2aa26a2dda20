"""Which node runs in a data folder: a locked file that names its process.

The lock lives and dies with the process, so a file left by a crash is never taken for a running
node; the start time and command line are kept beside the number, so that a later process with the
same number is never taken for ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from nervure.core.error import EnvironmentMissing, NervureError, UsageError

__all__ = ["Running", "claim", "find", "stop"]

NAME = "nervure.pid"
_LOOK_S = 0.05
CLOCK_S = 2.0  # start times are reckoned from the boot time, which moves when the clock is set


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A node's process, and where it answers."""

    pid: int
    started: float
    command: tuple[str, ...]
    http: str


@contextlib.contextmanager
def claim(folder: Path, http: str) -> Iterator[Running]:
    """Hold the data folder as the one node in it.

    Raises ``UsageError`` if another node does, ``EnvironmentMissing`` if it cannot be written.
    """
    path = folder / NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _locked(path)
    except OSError as cause:
        raise EnvironmentMissing(
            f"the data folder cannot be written: {cause.strerror}",
            where=str(folder),
            hint="set NERVURE_FOLDER to one that can",
        ) from cause
    if handle is None:
        other = _read(path)
        raise UsageError(
            f"a node runs in {folder} already" + (f" (process {other.pid})" if other else ""),
            hint="stop it with: nervure down; or give this one its own folder and ports",
        )
    own = psutil.Process()
    running = Running(pid=own.pid, started=own.create_time(), command=tuple(own.cmdline()), http=http)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, msgspec.json.encode(running), 0)
        yield running
    finally:
        path.unlink(missing_ok=True)  # while we still hold the lock
        os.close(handle)


def find(folder: Path) -> Running | None:
    """Return the node that runs in a data folder, or nothing."""
    running = _read(folder / NAME)
    return running if running and _process(running) else None


def stop(running: Running, timeout_s: float) -> None:
    """Ask a node to stop and wait until it has; it is never killed."""
    process = _process(running)
    if process is None:
        return
    try:
        process.terminate()
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied as cause:
        raise UsageError(
            f"process {running.pid} belongs to another user", hint="stop it as that user"
        ) from cause
    end = time.monotonic() + timeout_s
    while _process(running) is not None:
        if time.monotonic() > end:
            raise NervureError(
                f"process {running.pid} still runs after {timeout_s:g} s",
                hint="give it longer: nervure down --wait 120",
            )
        time.sleep(_LOOK_S)


def _locked(path: Path) -> int | None:
    """Open and lock the file; nothing if another holds it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.fstat(handle).st_ino == path.stat().st_ino:
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        os.close(handle)  # the one before us took the file away while we waited for it


def _read(path: Path) -> Running | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None


def _process(running: Running) -> psutil.Process | None:
    """Return the process if it is the very one that wrote the file."""
    try:
        process = psutil.Process(running.pid)
        same = abs(process.create_time() - running.started) < CLOCK_S
        if same and tuple(process.cmdline()) == running.command and process.status() != psutil.STATUS_ZOMBIE:
            return process
    except psutil.Error:
        return None
    return None
