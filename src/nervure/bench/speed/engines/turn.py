"""One turn of one program: started, told to go, measured until its last score, stopped."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import psutil
from numpy.typing import NDArray

import nervure
from nervure.bench.speed.engines.seat import WARM_SENSORS, WARM_TURNS, WORD
from nervure.core.error import EnvironmentMissing
from nervure.stream.child import tied

__all__ = ["Turned", "tree_cpu_s", "turn"]

_START_S, _JOB_S, _STOP_S = 180.0, 540.0, 20.0
_JVM = "-Xmx1g"


class Turned(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn cost: processor time of all processes from "go" to the last score, and the start-up.

    ``broker_cpu_s`` is the broker's part of ``cpu_s``.
    """

    started_s: float
    wall_s: float
    cpu_s: float
    broker_cpu_s: float
    memory_mb: float
    scores: NDArray[np.float32]


class _Said(msgspec.Struct):
    word: str
    load: int = 0
    broker: int = 0


def turn(python: Path, program: str, variant: str, job: Path, messages: int) -> Turned:
    """Run a program on the job in a folder; ``EnvironmentMissing`` with its last words if it fails."""
    with tempfile.TemporaryDirectory(prefix="nervure-engine-") as name:
        folder = Path(name)
        scores = folder / "scores"
        np.full(messages + WARM_TURNS * WARM_SENSORS, np.nan, np.float32).tofile(scores)
        arguments = [str(job.resolve()), str(scores), *([variant] if variant else [])]
        command = [str(python), "-m", f"{__package__}.{program}", *arguments]
        with _running(command, folder) as process:
            turned = _measured(process, folder)
        found = np.fromfile(scores, dtype=np.float32, count=messages)
        return msgspec.structs.replace(turned, scores=found)


def _measured(process: subprocess.Popen[bytes], folder: Path) -> Turned:
    assert process.stdin is not None  # noqa: S101 - it was asked for
    words: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(process.stdout, words), daemon=True).start()
    begun = time.monotonic()
    ready = _next("ready", words, _START_S, folder)
    started = time.monotonic()
    before, broker = tree_cpu_s(process.pid, ready.load), _broker_s(ready)
    process.stdin.write(b"go\n")
    process.stdin.flush()
    _next("done", words, _JOB_S, folder)
    return Turned(
        started_s=started - begun,
        wall_s=time.monotonic() - started,
        cpu_s=tree_cpu_s(process.pid, ready.load) - before,
        broker_cpu_s=_broker_s(ready) - broker,
        memory_mb=_memory_mb(process.pid, ready.load),
        scores=np.zeros(0, np.float32),
    )


def _broker_s(ready: _Said) -> float:
    return tree_cpu_s(ready.broker) if ready.broker else 0.0


def _listen(lines: IO[bytes] | None, words: queue.SimpleQueue[bytes | None]) -> None:
    """Pass on what is meant for us, and the end."""
    for line in lines or ():
        _, mark, said = line.partition(WORD.encode())
        if mark:
            words.put(said)
    words.put(None)


def _next(word: str, words: queue.SimpleQueue[bytes | None], limit_s: float, folder: Path) -> _Said:
    try:
        said = words.get(timeout=limit_s)
    except queue.Empty:
        raise EnvironmentMissing(f"it was not {word} in {limit_s:g} s: {_last(folder)}") from None
    if said is None:
        raise EnvironmentMissing(f"it ended before it was {word}: {_last(folder)}")
    found = msgspec.json.decode(said, type=_Said)
    if found.word != word:
        raise EnvironmentMissing(f"it said {found.word!r}, not {word!r}")
    return found


def _last(folder: Path) -> str:
    lines = (folder / "errors").read_text("utf-8", "replace").splitlines()
    return " | ".join(line.strip() for line in lines[-4:])[-600:] or "it said nothing"


@contextlib.contextmanager
def _running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a session of its own, which is ended with all that it has started.

    Of our packages it sees none but this one, by a link: what an engine needs comes from its own
    environment.
    """
    (folder / "path").mkdir()
    (folder / "path" / "nervure").symlink_to(Path(nervure.__file__).parent)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NERVURE_", "PYTHON"))}
    kept |= {"PYTHONPATH": str(folder / "path"), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
    kept |= {"OMP_NUM_THREADS": "1", "HOME": str(folder), "TMPDIR": str(folder), "RAY_TMPDIR": str(folder)}
    kept["JAVA_TOOL_OPTIONS"] = f"{_JVM} -Djava.io.tmpdir={folder} -XX:-UsePerfData"
    kept["PATH"] = os.pathsep.join((str(Path(command[0]).parent), kept.get("PATH", os.defpath)))
    kept |= {"RAY_DISABLE_IMPORT_WARNING": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    with (
        (folder / "errors").open("wb") as errors,
        subprocess.Popen(
            tied(*command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            env=kept,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Let a program end by itself, then kill what is left of it and of its children."""
    left = _family(process.pid)
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_S)
    left += _family(process.pid)
    for one in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(left, timeout=_STOP_S)


def _family(pid: int, without: int = 0) -> list[psutil.Process]:
    """Return a process and all below it, but for ``without`` and all below that."""
    found: list[psutil.Process] = []
    waiting = [pid]
    while waiting:
        with contextlib.suppress(psutil.NoSuchProcess):
            one = psutil.Process(waiting.pop())
            found.append(one)
            waiting += [child.pid for child in one.children() if child.pid != without]
    return found


def tree_cpu_s(pid: int, without: int = 0) -> float:
    """Return the processor seconds of a process, of all below it, and of those below it that have ended."""
    spent = 0.0
    for one in _family(pid, without):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            spent += times.user + times.system + times.children_user + times.children_system
    return spent


def _memory_mb(pid: int, without: int) -> float:
    """Return the memory of the processes, what they share counted in parts."""
    held = 0
    for one in _family(pid, without):
        with contextlib.suppress(psutil.Error):
            held += one.memory_full_info().pss
    return held / 1e6
