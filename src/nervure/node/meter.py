"""What a node counts: messages, readings, rejects, and how long a reading took to its decision."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil

from nervure.core.observation import Reject

__all__ = ["Meter"]

KEPT = 100_000


class Meter:
    """Counters since the start, and the last hundred thousand latencies."""

    def __init__(self) -> None:
        self.started = time.time()
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._latency = np.zeros(KEPT)
        self._seen = 0
        self._process = psutil.Process(os.getpid())

    def count(self, **amounts: int) -> None:
        """Add to counters by name."""
        self._counts.update(amounts)

    def rejects(self, rejects: Sequence[Reject]) -> None:
        """Count what went to quarantine, by reason."""
        for reject in rejects:
            self._reasons[reject.reason] += reject.count

    def arrival(self, received_ns: Sequence[int], now_ns: int) -> None:
        """Note how long after reaching the log these messages were stored in memory and scored."""
        values = np.maximum(0, now_ns - np.asarray(received_ns, dtype=np.int64))[-KEPT:] / 1e6
        places = (self._seen + np.arange(len(values))) % KEPT
        self._latency[places] = values
        self._seen += len(values)

    def figures(self) -> dict[str, Any]:
        """Return every counter, latency percentiles (ms), CPU seconds and memory."""
        held = self._latency[: min(self._seen, KEPT)]
        p50, p99, most = np.percentile(held, [50, 99, 100]) if len(held) else (0.0, 0.0, 0.0)
        cpu = self._process.cpu_times()
        return {
            **{name: self._counts[name] for name in sorted(self._counts)},
            "rejected": dict(self._reasons),
            "latency_ms": {
                "p50": round(float(p50), 3),
                "p99": round(float(p99), 3),
                "max": round(float(most), 3),
            },
            "cpu_s": round(cpu.user + cpu.system, 3),
            "memory_mb": round(self._process.memory_info().rss / 1e6, 1),
            "uptime_s": round(time.time() - self.started, 1),
        }
