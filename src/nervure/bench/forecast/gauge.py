"""What a model costs: memory of its process, and the time of one round of forecasts on one thread."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nervure.core.window import Window
from nervure.learn.task import Forecaster, ForecastTask, Samples, samples, windows

__all__ = ["one_round", "peak_mb", "plain_ms", "round_ms"]

_RUNS = 30
_LONGEST_S = 3.0


def peak_mb() -> float:
    """Return the most memory that this process has held, in MB.

    Linux says it of the program that runs now. ``getrusage``, which serves elsewhere, also counts
    what the parent held when it started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def one_round(task: ForecastTask, chosen: Samples) -> Samples:
    """Return all nodes at the first instant that is asked about."""
    if not len(chosen):
        chosen = samples(task, "test")
    node = np.arange(task.nodes, dtype=np.int64)
    return Samples(last=np.full(task.nodes, chosen.last[0], dtype=np.int64), node=node)


def plain_ms(task: ForecastTask, fitted: Forecaster, chosen: Samples) -> float:
    """Time a round of a forecaster that has no graph, in milliseconds."""
    window = windows(task, one_round(task, chosen), history=max(1, fitted.history))
    return _median_ms(lambda: fitted.predict(window))


def round_ms(graph: bytes, window: Window) -> float:
    """Time a round by ONNX Runtime on one thread, in milliseconds, all nodes in one batch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    feeds: dict[str, Any] = {"x": window.x, "node": window.node, "calendar": window.calendar}
    if window.ahead is not None:
        feeds["future"] = window.ahead
    known = {one.name for one in session.get_inputs()}  # an input that no node uses is not in the graph
    return _median_ms(lambda: session.run(["y"], {name: feeds[name] for name in feeds if name in known}))


def _median_ms(work: Callable[[], Any]) -> float:
    work()
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < _RUNS and (len(times) < 3 or time.perf_counter() - begun < _LONGEST_S):
        before = time.perf_counter()
        work()
        times.append(time.perf_counter() - before)
    return 1e3 * float(np.median(times))
