"""Running a bench: its rows, with when, how long, on what, and the scheduler's floor beside it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from nervure.bench.speed.machine import PACKAGES, floor, machine
from nervure.bench.speed.row import Measured, Row

__all__ = ["Tell", "silent", "timed"]

Tell = Callable[[float, str], None]
"""Is told how far a bench is, from 0 to 1, and what it does."""


def silent(_share: float, _what: str) -> None:
    """Tell nobody."""


def timed(
    bench: str,
    words: Iterable[str],
    measure: Callable[[], list[Row]],
    *,
    packages: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> Measured:
    """Run a bench; ``words`` are those of its command, ``packages`` its peers, whose versions count too."""
    began, found = time.monotonic(), machine([*PACKAGES, *packages])
    when = datetime.now(UTC).isoformat(timespec="seconds")
    with floor() as floors:
        rows = measure()
    found["load after"] = machine(())["load"]
    if floors:
        one = floors[0]
        found["floor_ms"] = f"p50 {one.p50:g}, p99 {one.p99:g}, p99.9 {one.p999:g}"
    return Measured(
        bench=bench,
        command=shlex.join(["nervure", "bench", *words]),
        when=when,
        took_s=round(time.monotonic() - began, 1),
        machine=found,
        rows=tuple(rows),
        notes=tuple(notes),
    )
