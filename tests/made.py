"""Small files of made-up readings, in the layout that a solution declares for its real ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from nervure.core.calendar import zone_offset_ns
from nervure.core.declaration import Solution, Source
from nervure.core.instant import duration_ns
from nervure.core.problem import Forecast
from tests import raw

__all__ = ["example", "write"]

THINGS = 3


def example(pattern: str, turn: int) -> str:
    r"""Return a column name that a declared pattern admits.

    >>> example(r"dma_(\d+)_l_s", 1), example("([HML]U[FL]L)", 2), example(r"PM2\.5", 0)
    ('dma_2_l_s', 'LUFL', 'PM2.5')
    """
    name = re.sub(r"\\d\+?", str(turn + 1), pattern)
    name = re.sub(r"\[(\w+)\]", lambda hit: hit[1][min(turn, len(hit[1]) - 1) if turn else 0], name, count=1)
    name = re.sub(r"\[(\w)\w*\]", r"\1", name)
    return re.sub(r"\\(.)", r"\1", name).replace("(", "").replace(")", "")


def write(solution: Solution, folder: Path, *, rows: int | None = None) -> Source:
    """Write the declared files below ``folder``, long enough for the declared windows and parts."""
    source = solution.data
    assert source is not None
    random = np.random.default_rng(0)
    if source.prepare is not None:
        return _raw(solution, folder / source.folder, random)
    count = rows or _enough(solution, source)
    every = solution.signals[0].every_ns
    start = np.datetime64("2023-01-02T00:00", "ns").astype(np.int64)
    moment = start + np.arange(count) * every
    time = pa.array(moment + zone_offset_ns(source.zone, moment), pa.timestamp("ns"))  # local, as in files
    target = folder / source.folder
    target.mkdir(parents=True)
    named = {
        example(pattern, turn): re.sub(r".*/", "", stream)
        for pattern, stream in source.columns.items()
        for turn in (range(THINGS) if re.search(r"[\[\\][dA-Z]", pattern) else (0,))
    }
    columns = {name: _course(solution, signal, count, random) for name, signal in named.items()}
    if source.layout == "long":
        table = pa.concat_tables(
            pa.table({source.time: time, str(source.thing): [f"station {turn}"] * count, **columns})
            for turn in range(THINGS)
        )
    else:
        table = pa.table({source.time: time, **columns})
    pa.parquet.write_table(table, target / source.files[0])
    if source.things:
        lines = [f"station {turn},here,{turn}.5,4{turn}.0" for turn in range(THINGS)]
        (target / source.things).write_text(
            "\n".join([f"{source.thing},river,longitude,latitude", *lines]) + "\n"
        )
    if "adjacency.parquet" in source.files:
        square = {name: np.eye(len(columns))[place] for place, name in enumerate(columns)}
        pa.parquet.write_table(pa.table(square), target / "adjacency.parquet")
    return source


def _raw(solution: Solution, target: Path, random: np.random.Generator) -> Source:
    assert solution.data is not None
    target.mkdir(parents=True)
    tables = raw.files(solution, lambda signal, count: _course(solution, signal, count, random))
    for name, table in tables.items():
        pa.parquet.write_table(table, target / name)
    return solution.data


def _enough(solution: Solution, source: Source) -> int:
    """Return a number of rows that the declared parts and the longest window fit into."""
    every = solution.signals[0].every_ns
    fixed = sum(duration_ns(one) // every for one in source.split if isinstance(one, str) and one != "rest")
    spans = [
        duration_ns(problem.window) // every + duration_ns(problem.horizon) // every
        for problem in solution.problems
        if isinstance(problem, Forecast)
    ]
    return fixed + 12 * max(spans)


def _course(solution: Solution, signal: str, count: int, random: np.random.Generator) -> np.ndarray:
    one = solution.signal(signal)
    low = -10.0 if one.low is None else one.low
    high = 10.0 if one.high is None else one.high
    value = low + (high - low) * (0.3 + 0.1 * np.sin(np.arange(count) / 4) + 0.02 * random.random(count))
    value[random.random(count) < 0.02] = np.nan
    return np.asarray(value)
