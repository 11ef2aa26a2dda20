"""One job of detection in a process of its own: fit, judge, and say what it cost.

``python -m nervure.bench.detect.trial`` reads a :class:`Request` from stdin and writes what it came to.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings
from pathlib import Path

import msgspec
import numpy as np

from nervure.bench.detect.board import open_contest
from nervure.bench.detect.job import Job, Result
from nervure.bench.forecast.gauge import peak_mb
from nervure.bench.forecast.job import write
from nervure.core.error import NervureError

__all__ = ["Kept", "Request", "main"]

_WATCH_S = 1.0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, whose contest it is, and where to write what comes of it."""

    out: str
    job: Job
    module: str


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A result as it lies in the folder; ``memory_mb`` is the peak of its process, ``cpu_s`` all it took."""

    result: Result
    memory_mb: float = 0.0
    cpu_s: float = 0.0


def main() -> None:
    """Do what stdin asks for."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    warnings.simplefilter("ignore")  # the last line of the log is what the report says of a failure
    try:
        result = open_contest(request.module, request.job.set).perform(request.job)
    except NervureError as cause:
        sys.exit(" ".join(str(cause).split()))
    kept = Kept(result=result, memory_mb=round(peak_mb(), 1), cpu_s=round(time.process_time(), 2))
    write(Path(request.out), msgspec.convert(msgspec.to_builtins(kept, enc_hook=_plain), Kept))


def _plain(value: object) -> object:
    """Return a number or an array of NumPy as Python has them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise NotImplementedError(type(value))


def _end_with(parent: int) -> None:
    """End when the process that asked has gone: nobody waits for the answer."""
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)


if __name__ == "__main__":
    main()
