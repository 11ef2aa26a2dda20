"""A small made-up data set: two streets, hours, a daily wave and noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nervure.core.declaration import Signal, Solution, Source
from nervure.core.instant import HOUR_NS
from nervure.core.problem import Forecast
from nervure.core.window import Table
from nervure.learn.dataset import Dataset, ThingMeta

__all__ = ["FIRST", "SOLUTION", "dataset", "write"]

FIRST = 473_352  # 2024-01-01T00:00Z as a slot
SOLUTION = Solution(
    name="noise",
    title="Noise",
    thing="street",
    signals=(Signal(name="level", unit="m", every="1h", low=0, high=200),),
    problems=(Forecast(of="level", horizon="6h", window="24h"),),
    data=Source(folder="noise", files=("noise.csv",), layout="wide", split=("rest", "3w", "2w")),
)


def dataset(hours: int = 12 * 168, *, things: tuple[str, ...] = ("a", "b"), seed: int = 0) -> Dataset:
    """Return the data set: each street's wave is shifted by some hours."""
    random = np.random.default_rng(seed)
    time = np.arange(hours)[:, None]
    shift = 6 * np.arange(len(things))
    value = 50 + 10 * np.sin(2 * np.pi * (time + shift) / 24) + random.normal(0, 1, (hours, len(things)))
    table = Table(
        streams=tuple(f"{name}/level" for name in things), first=FIRST, every_ns=HOUR_NS, value=value
    )
    metas = tuple(ThingMeta(name=name) for name in things)
    return Dataset(solution=SOLUTION, table=table, things=metas, zone="UTC", origin="made up")


def write(folder: Path) -> None:
    """Write the data set and its solution, ``noise.py``, into a folder."""
    made = dataset()
    rows = [
        f"{np.datetime64('2024-01-01T00') + hour}:00:00,{a:.3f},{b:.3f}"
        for hour, (a, b) in enumerate(made.table.value)
    ]
    (folder / "noise").mkdir(exist_ok=True)
    (folder / "noise" / "noise.csv").write_text("\n".join(["timestamp,a,b", *rows]) + "\n")
    (folder / "noise.py").write_text(_FILE)


_FILE = """
from nervure.core.declaration import Signal, Solution, Source
from nervure.core.problem import Forecast

solution = Solution(
    name="noise", title="Noise", thing="street",
    signals=(Signal(name="level", unit="m", every="1h", low=0, high=200),),
    problems=(Forecast(of="level", horizon="6h", window="24h"),),
    data=Source(
        folder="noise", files=("noise.csv",), layout="wide", columns={"([ab])": r"\\1/level"},
        split=("rest", "3w", "2w"), report_at=("1h", "6h"), licence="CC0-1.0",
    ),
)
"""
