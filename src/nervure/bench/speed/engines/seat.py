"""What the engines' programs share: the job's folder, the model, the scores, and the word with the bench.

It runs in the engines' own environments, so it knows the standard library, numpy and ONNX Runtime only.
A program says ``ready`` once it has started, waits for ``go``, says ``done`` once every score is there,
and ends when its standard input does: what it costs in between is measured from outside.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from nervure.stream.child import tied

__all__ = [
    "BATCH", "BEGIN_S", "EVERY_S", "SENSORS", "WARM_SENSORS", "WARM_TURNS", "WINDOW", "WORD", "Load", "Ring",
    "Seat", "aside", "decode", "free_port", "load", "sending", "server",
]  # fmt: skip

Floats = NDArray[np.float32]

SENSORS, WINDOW = 1_000, 64
BEGIN_S, EVERY_S = 1_672_531_200, 3_600  # 2023-01-01, an hour
WARM_SENSORS, WARM_TURNS = 50, 80
BATCH = 64
WORD = "nervure: "
"""What the lines begin with that are meant for the bench; engines print much else."""


def decode(payload: str | bytes) -> tuple[int, float]:
    """Return turn and value of a message, with the standard library.

    >>> decode('{"result":20.13,"phenomenonTime":"2023-01-01T02:00:00Z"}')
    (2, 20.13)
    """
    message = json.loads(payload)
    moment = datetime.fromisoformat(message["phenomenonTime"])
    return (int(moment.timestamp()) - BEGIN_S) // EVERY_S, message["result"]


class Ring:
    """The last 64 values of a sensor, written twice so that a window is one slice.

    >>> ring = Ring()
    >>> [ring.push(float(value)) is None for value in range(64)].count(True)
    63
    >>> ring.push(64.0)[[0, -1]].tolist()
    [1.0, 64.0]
    """

    __slots__ = ("_count", "_held")

    def __init__(self) -> None:
        self._held: Floats = np.zeros(2 * WINDOW, dtype=np.float32)
        self._count = 0

    def push(self, value: float) -> Floats | None:
        """Take a value; return a view of the window once it is full: copy it before the next."""
        place = self._count % WINDOW
        self._held[place] = self._held[place + WINDOW] = value
        self._count += 1
        return self._held[place + 1 : place + 1 + WINDOW] if self._count >= WINDOW else None


class Seat:
    """A program's place in a turn: ``folder`` is the job's, ``scores`` the file its scores go into."""

    def __init__(self, folder: str, scores: str) -> None:
        self.folder, self._file = Path(folder), scores
        self.messages: int = json.loads((self.folder / "job.json").read_bytes())["messages"]
        self._scores: Floats | None = None
        self._session: Any = None

    @classmethod
    def taken(cls) -> Seat:
        """Return the place that the command names: ``python -m ... FOLDER SCORES [VARIANT]``."""
        return cls(*sys.argv[1:3])

    @property
    def variant(self) -> str:
        """Which way of a program's several is asked for."""
        return sys.argv[3] if len(sys.argv) > 3 else ""

    @property
    def file(self) -> str:
        """The file of the scores, for workers in other processes."""
        return self._file

    def lines(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield key and payload of each message in a file of the job."""
        with (self.folder / name).open(encoding="utf-8") as file:
            for line in file:
                key, _, payload = line.rstrip("\n").partition("\t")
                yield key, payload

    # --- scores -----------------------------------------------------------------------------------

    @property
    def scores(self) -> Floats:
        """The scores by message, then those of the messages to run warm with; NaN where there is none."""
        if self._scores is None:
            self._scores = np.memmap(self._file, dtype=np.float32, mode="r+")
        return self._scores

    def number(self, key: str, turn: int) -> int:
        """Return the place of a message's score."""
        if key[0] == "W":
            return self.messages + turn * WARM_SENSORS + int(key[1:])
        return turn * SENSORS + int(key[1:])

    def score(self, windows: Sequence[Floats] | Floats) -> Floats:
        """Score windows, at most ``BATCH`` at once: ``[row]``; one thread, as small graphs like it."""
        if self._session is None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            self._session = onnxruntime.InferenceSession(
                str(self.folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        x = np.asarray(windows, dtype=np.float32)[:, :, None]
        run = self._session.run
        found = [run(None, {"x": x[start : start + BATCH]})[0][:, 0] for start in range(0, len(x), BATCH)]
        return found[0] if len(found) == 1 else np.concatenate(found)

    def put(self, numbers: Sequence[int] | NDArray[np.int64], windows: Sequence[Floats] | Floats) -> None:
        """Score windows and collect the scores."""
        if len(numbers):
            self.scores[numbers] = self.score(windows)

    def complete(self, *, warm: bool = False, limit_s: float = 500.0) -> None:
        """Wait until every score is there: those of the job, or of the messages to run warm with."""
        turns = WARM_TURNS if warm else self.messages // SENSORS
        per_turn, first = (WARM_SENSORS, self.messages) if warm else (SENSORS, 0)
        part = self.scores[first + (WINDOW - 1) * per_turn : first + turns * per_turn]
        begun = time.monotonic()
        while np.isnan(part).any():
            if time.monotonic() - begun > limit_s:
                raise TimeoutError(f"{int(np.isnan(part).sum())} scores have not come in {limit_s:g} s")
            time.sleep(0.05)

    # --- the word with the bench --------------------------------------------------------------------

    def ready(self, *, load: int = 0, broker: int = 0) -> None:
        """Say that all is started and wait for ``go``; ``load`` is the process that only sends messages."""
        _say("ready", load=load, broker=broker)
        sys.stdin.readline()

    def done(self) -> None:
        """Say that every score is there, and wait until the processes have been looked at."""
        _say("done")
        sys.stdin.readline()


def _say(word: str, **facts: object) -> None:
    sys.stdout.write(f"{WORD}{json.dumps({'word': word, **facts})}\n")
    sys.stdout.flush()


class Load:
    """A process that only sends the job's messages, once it is told to: its time is not the engine's."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def go(self) -> None:
        """Let it send."""
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()


@contextlib.contextmanager
def load(module: str, *arguments: str) -> Iterator[Load]:
    """Start a sender and wait until it has read its messages; it ends with the block."""
    command = tied(sys.executable, "-m", module, *arguments)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        if not process.stdout.readline():
            raise RuntimeError(f"{module} ended with {process.wait()} before it could send")
        try:
            yield Load(process)
        finally:
            process.kill()


def sending(send: Callable[[], object]) -> None:
    """In the sender: say that all is ready, send once told to, and wait for the end."""
    print("ready", flush=True)
    if sys.stdin.readline():
        send()
        sys.stdin.readline()


@contextlib.contextmanager
def server(command: Sequence[str], port: int) -> Iterator[int]:
    """Run a broker beside the program until the end of the block; yield its process id once it listens."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(tied(*command), stdin=quiet, stdout=quiet, stderr=quiet) as process:
        try:
            begun = time.monotonic()
            while not _listens(port):
                if process.poll() is not None or time.monotonic() - begun > 30:
                    raise RuntimeError(f"{command[0]} does not answer; it ended with {process.poll()}")
                time.sleep(0.05)
            yield process.pid
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        return True
    return False


def free_port() -> int:
    """Return a port on loopback that nobody listens on, below those of outgoing connections."""
    while True:
        port = random.randint(12_000, 31_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def aside(work: Callable[[], None]) -> threading.Thread:
    """Do something beside an engine that keeps the main thread; what goes wrong ends the program."""

    def tried() -> None:
        try:
            work()
        except BaseException:  # noqa: BLE001 - whatever it is, the engine would go on for ever
            traceback.print_exc()
            os._exit(1)

    thread = threading.Thread(target=tried, daemon=True)
    thread.start()
    return thread
