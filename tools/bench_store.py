"""Measure the store: ``python tools/bench_store.py [--rows 10000000]``.

1,000 sensors with one reading a minute, in batches of 4,096, sealed as the node does. Besides the
time on the clock each line gives processor time, which other work on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nervure.core.instant import DAY_NS, from_ns
from nervure.core.observation import PACK_BITS, Batch
from nervure.core.settings import Store
from nervure.store.observations import Observations

SENSORS, BATCH, MINUTE_NS = 1_000, 4_096, 60_000_000_000
START = 19_675 * DAY_NS
MEAN = """
    SELECT datastream, time_bucket(INTERVAL 15 MINUTE, time) AS slot, avg(value) AS mean FROM observation
    WHERE datastream BETWEEN 100 AND 199 AND time >= ? AND time < ? GROUP BY 1, 2
"""


class Clock:
    """Adds up time on the clock and processor time."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._wall
        self.cpu += time.process_time() - self._cpu


def fill(store: Observations, rows: int) -> None:
    """Append and seal, and say how fast."""
    chance = np.random.default_rng(0)
    level = chance.normal(20, 5, SENSORS)
    appending, sealing = Clock(), Clock()
    for first in range(0, rows, BATCH):
        number = np.arange(first, min(first + BATCH, rows))
        sensor, minute = number % SENSORS, number // SENSORS
        wave = 3 * np.sin(2 * np.pi * minute / 1440) + chance.normal(0, 0.3, len(number))
        batch = Batch.of(
            id=(number + 1) << PACK_BITS,
            datastream=sensor + 1,
            time=START + minute * MINUTE_NS,
            value=np.round(level[sensor] + wave, 2),
        )
        with appending:
            store.append(batch, int(number[-1]) + 1)
        if store.due:
            with sealing:
                store.seal()
    with sealing:
        store.seal()
    wall, cpu = appending.wall + sealing.wall, appending.cpu + sealing.cpu
    print(f"append {rows / appending.wall / 1e6:.2f} M rows/s ({rows / appending.cpu / 1e6:.2f} M per CPU-s)")
    print(f"seal   {rows / sealing.wall / 1e6:.2f} M rows/s ({rows / sealing.cpu / 1e6:.2f} M per CPU-s)")
    print(f"both   {rows / wall / 1e6:.2f} M rows/s ({rows / cpu / 1e6:.2f} M per CPU-s)")


def show(name: str, ask: Callable[[], Any], times: int = 9) -> None:
    """Ask a question some times and print the median."""
    walls, cpus = [], []
    for _ in range(times):
        clock = Clock()
        with clock:
            ask()
        walls.append(clock.wall * 1e3)
        cpus.append(clock.cpu * 1e3)
    print(f"  {name:42} {np.median(walls):8.2f} ms  ({np.median(cpus):.2f} ms CPU)")


def questions(store: Observations, end: int) -> None:
    """Ask what the platform asks."""
    chance = np.random.default_rng(1)
    some = list(range(100, 200))
    names = [str(one) for one in some]
    week = [from_ns(end - 7 * DAY_NS), from_ns(end)]
    show("24 h of one sensor", lambda: store.series([int(chance.integers(1, SENSORS))], end - DAY_NS, end))
    show("15 min mean, 100 sensors, 7 d (SQL)", lambda: store.query(MEAN, week))
    show(
        "15 min table, 100 sensors, 7 d",
        lambda: store.table(some, names, 15 * MINUTE_NS, end - 7 * DAY_NS, end),
    )
    show("one observation by id", lambda: store.by_id(int(chance.integers(1, 10**6)) << PACK_BITS))
    show("newest 100 of one sensor", lambda: store.page(5, descending=True))
    show("last of 1,000 sensors", lambda: store.last(range(1, SENSORS + 1)))


def small_commits(store: Observations, first: int, end: int) -> None:
    """Seal twenty rows at a time, as a small city does."""
    clock, laps = Clock(), []
    for turn in range(100):
        number = first + 20 * turn + np.arange(20)
        moment = np.full(20, end + turn * MINUTE_NS)
        store.append(
            Batch.of(id=(number + 1) << PACK_BITS, datastream=number % 20 + 1, time=moment, value=number),
            int(number[-1]) + 1,
        )
        before = clock.wall
        with clock:
            store.seal()
        laps.append((clock.wall - before) * 1e3)
    print(f"  {'commit of 20 rows':42} {np.median(laps):8.2f} ms  ({clock.cpu * 10:.2f} ms CPU)")


def main() -> None:
    """Fill, ask, merge, ask again, reopen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    print(f"{datetime.now(UTC):%Y-%m-%d} {rows:,} rows of {SENSORS:,} sensors")
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "observations"
        store = Observations.open(folder, Store())
        fill(store, rows)
        end = START + rows // SENSORS * MINUTE_NS
        size = sum(path.stat().st_size for path in folder.glob("day=*/*.parquet"))
        print(f"{size / rows:.2f} bytes/row in {len(list(folder.glob('day=*/*')))} files; as sealed:")
        questions(store, end)
        clock = Clock()
        with clock:
            gone = store.compact()
        print(f"merged: {gone} files fewer in {clock.wall:.1f} s ({clock.cpu:.1f} s CPU); now:")
        questions(store, end)
        small_commits(store, rows, end)
        store.close()
        clock = Clock()
        with clock:
            store = Observations.open(folder)
        print(f"  {'open':42} {clock.wall * 1e3:8.2f} ms  ({clock.cpu * 1e3:.2f} ms CPU)")
        store.close()


if __name__ == "__main__":
    main()
