"""What a node counts: messages, readings, rejects, and how long a reading took to its decision."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from nervure.core.observation import Reject

__all__ = ["Meter"]

KEPT = 100_000
LIVE_NS = 60_000_000_000
"""A reading is live if it is no older than this when it comes: what a device kept for later is not."""

_FEW = 64

Longs = NDArray[np.int64]


class _Last:
    """The last hundred thousand of some delays, in milliseconds."""

    def __init__(self) -> None:
        self._held = np.zeros(KEPT)
        self._seen = 0

    def note_few(self, delays_ns: Sequence[int]) -> None:
        """Note so few that numpy would take longer."""
        for one in delays_ns:
            self._held[self._seen % KEPT] = max(0, one) / 1e6
            self._seen += 1

    def note(self, delays_ns: Longs) -> None:
        values = np.maximum(0, delays_ns[-KEPT:]) / 1e6
        place = self._seen % KEPT
        room = KEPT - place
        self._held[place : place + len(values)] = values[:room]
        self._held[: len(values[room:])] = values[room:]
        self._seen += len(values)

    @property
    def some(self) -> bool:
        return self._seen > 0

    def percentiles(self) -> dict[str, float]:
        held = self._held[: min(self._seen, KEPT)]
        found = np.percentile(held, [50, 95, 99, 99.9, 100]) if len(held) else np.zeros(5)
        names = ("p50", "p95", "p99", "p99.9", "max")
        return {name: round(float(one), 3) for name, one in zip(names, found, strict=True)}


class Meter:
    """Counters since the start, and how long the last hundred thousand messages and readings took."""

    def __init__(self) -> None:
        self.started = time.time()
        self._counts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._latency, self._age = _Last(), _Last()
        self._process = psutil.Process(os.getpid())

    def count(self, **amounts: int) -> None:
        """Add to counters by name."""
        for name, amount in amounts.items():
            self._counts[name] += amount

    def rejects(self, rejects: Sequence[Reject]) -> None:
        """Count what went to quarantine, by reason."""
        for reject in rejects:
            self._reasons[reject.reason] += reject.count

    def arrival(self, received_ns: Sequence[int], sensed_ns: Longs, now_ns: int) -> None:
        """Note how long ago messages came to the log, and live readings were sensed: they are scored now."""
        if max(len(received_ns), len(sensed_ns)) <= _FEW:
            self._latency.note_few([now_ns - one for one in received_ns])
            ages = [now_ns - one for one in sensed_ns.tolist()]
            self._age.note_few([one for one in ages if 0 <= one < LIVE_NS])
            return
        self._latency.note(now_ns - np.asarray(received_ns, dtype=np.int64))
        age = now_ns - sensed_ns
        self._age.note(age[(age >= 0) & (age < LIVE_NS)])

    @property
    def p95_ms(self) -> float | None:
        """Within how long 95 % of the newest live readings were scored after they were sensed, or None."""
        return self._age.percentiles()["p95"] if self._age.some else None

    def figures(self) -> dict[str, Any]:
        """Return every counter, percentiles of delays (ms), CPU seconds and memory."""
        cpu = self._process.cpu_times()
        return {
            **{name: self._counts[name] for name in sorted(self._counts)},
            "rejected": dict(self._reasons),
            "latency_ms": self._latency.percentiles(),
            "age_ms": self._age.percentiles(),
            "cpu_s": round(cpu.user + cpu.system, 3),
            "memory_mb": round(self._process.memory_info().rss / 1e6, 1),
            "uptime_s": round(time.time() - self.started, 1),
        }
