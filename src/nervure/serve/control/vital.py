"""How the node does, in the few figures that a page shows all the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.instant import DAY_NS, SECOND_NS
from nervure.store.latest import Summary
from nervure.store.site import Site, Streams

__all__ = ["MS", "Reporting", "Vital", "figures", "reporting", "strip"]

Longs = NDArray[np.int64]
Flags = NDArray[np.bool_]

SILENT_INTERVALS = 3
LEAST_SILENT_NS = 60 * SECOND_NS
MS = 1_000_000
"""Nanoseconds in a millisecond, in which the console counts."""

LEAST_ROWS = 10
"""From so many readings on, one that declares no interval is expected at the mean one so far."""


class Vital(msgspec.Struct, frozen=True, kw_only=True):
    """The delay from sensed to scored (ms; None before the first live reading), and what is wrong."""

    p95_ms: float | None = None
    problems: tuple[str, ...] = ()


class Reporting(msgspec.Struct, frozen=True, kw_only=True):
    """How Datastreams report, in the order of the site's ``[stream]``.

    ``last_ns`` is 0 where there is no reading; ages are measured from ``clock_ns``.
    """

    clock_ns: int
    last_ns: Longs
    first_ns: Longs
    value: NDArray[np.float64]
    every_ns: Longs
    expected: Flags
    silent: Flags

    @property
    def reports(self) -> Flags:
        """Which of those expected do report."""
        return self.expected & ~self.silent


def reporting(streams: Streams, newest: Summary, now_ns: int) -> Reporting:
    """Tell which Datastreams are expected to report, and which of them are silent.

    Expected is a Datastream of readings that declares its interval, or has sent enough to know it. It
    is silent when nothing came for three intervals and a minute at least. Where the newest reading of
    all is older than a day the data are a replayed history, and that reading is what counts as now.
    """
    place = streams.at(newest.datastream)
    row = np.flatnonzero(place >= 0)
    place = place[row]
    last, first, rows = (np.zeros(len(streams.id), np.int64) for _ in range(3))
    value = np.full(len(streams.id), np.nan)
    last[place], first[place], rows[place] = newest.time[row], newest.first[row], newest.rows[row]
    value[place] = newest.value[row]
    read = streams.kind == "reading"
    past = last[read & (last <= now_ns)]
    latest = int(past.max(initial=0))
    clock = now_ns if not latest or now_ns - latest < DAY_NS else latest
    mean = np.where(rows >= LEAST_ROWS, (last - first) // np.maximum(rows - 1, 1), 0)
    every = np.where(streams.every_ns > 0, streams.every_ns, mean)
    expected = read & (every > 0)
    silent = expected & (clock - last > np.maximum(SILENT_INTERVALS * every, LEAST_SILENT_NS))
    return Reporting(
        clock_ns=clock, last_ns=last, first_ns=first, value=value, every_ns=every, expected=expected,
        silent=silent,
    )  # fmt: skip


def strip(site: Site, newest: Summary, vital: Callable[[], Vital], now_ns: int) -> dict[str, Any]:
    """Return the figures that are told once a second."""
    found = reporting(site.streams, newest, now_ns)
    return figures(found, np.ones(len(site.streams.id), np.bool_), vital(), now_ns)


def figures(found: Reporting, seen: Flags, vital: Vital, now_ns: int) -> dict[str, Any]:
    """Return the figures of the Datastreams in sight ``[stream]``."""
    reports, last = found.reports & seen, found.last_ns[seen & (found.last_ns <= now_ns)]
    age = found.clock_ns - found.last_ns[reports]
    return {
        "now": now_ns // MS,
        "p95_ms": vital.p95_ms,
        "newest": int(last.max()) // MS if last.max(initial=0) else None,
        "freshness_s": round(float(np.median(age)) / SECOND_NS, 3) if len(age) else None,
        "expected": int((found.expected & seen).sum()),
        "reporting": int(reports.sum()),
    }
