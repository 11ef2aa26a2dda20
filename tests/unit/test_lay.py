"""Rows laid down part by part are those that lay there, in order; what grows is not written each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from nervure.core.instant import SECOND_NS
from nervure.core.observation import Batch, observation_id
from nervure.store import lay, merge
from nervure.store.column import COLUMNS, to_arrow
from nervure.store.engine import Engine
from nervure.store.gone import Gone
from nervure.store.shelf import Files, Shelf

START = 1_672_531_200 * SECOND_NS


def _rows(seed: int, count: int, first: int) -> Batch:
    """A stream with most of the rows, hundred with a few, and one with a single row."""
    random = np.random.default_rng(seed)
    stream = np.where(random.random(count) < 0.5, 50, random.integers(1, 100, count))
    stream[0] = 101
    time = START + random.integers(0, 3_600, count) * SECOND_NS
    return Batch.of(
        id=observation_id(first) + np.arange(count), datastream=stream, time=time, value=random.random(count)
    )


def _sorted(table: pa.Table) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in ("datastream", "time", "result_time", "id")])


@pytest.mark.parametrize("part", [64, 500, 10_000])
def test_every_row_is_laid_down_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(lay, "PART_ROWS", part)
    monkeypatch.setattr(lay, "GROUP_ROWS", 300)
    parts = [to_arrow(_rows(seed, 1_000, 1 + seed)) for seed in range(3)]
    files = [str(tmp_path / f"{number}.parquet") for number in range(2)]
    for file, table in zip(files, parts, strict=False):
        pq.write_table(_sorted(table), file)
    engine, target = Engine(tmp_path), tmp_path / "new.parquet"
    gone = Gone.of(ids=[int(parts[0]["id"][7].as_py())], position=99)
    lay.lay(engine, Files({(): files}), target, memory=[parts[2]], gone=gone)
    engine.close()
    found = pq.read_table(target, schema=COLUMNS)
    left = [parts[0].take([row for row in range(1_000) if row != 7]), *parts[1:]]
    assert _sorted(found).equals(_sorted(pa.concat_tables(left)))
    order = np.lexsort([found[name].to_numpy() for name in ("result_time", "time", "datastream")])
    keys = ("datastream", "time", "result_time")
    assert all((found[key].to_numpy()[order] == found[key].to_numpy()).all() for key in keys)
    groups = pq.ParquetFile(target).metadata
    assert [groups.row_group(one).num_rows for one in range(groups.num_row_groups)] == [300] * 9 + [299]


def test_nothing_makes_a_file_without_rows(tmp_path: Path) -> None:
    engine, target = Engine(tmp_path), tmp_path / "new.parquet"
    lay.lay(engine, Files(), target)
    engine.close()
    assert pq.read_table(target).num_rows == 0


def _shelf(rows: list[int], day: list[int] | None = None) -> Shelf:
    column: NDArray[np.int64] = np.zeros(len(rows), np.int64)
    given = ("version", "path", "rows", "day")
    rest = [name for name in Shelf.__struct_fields__ if name not in given]
    return Shelf(
        version=1,
        path=np.array([str(one) for one in range(len(rows))], dtype=np.object_),
        rows=np.array(rows, np.int64),
        day=column if day is None else np.array(day, np.int64),
        **dict.fromkeys(rest, column),
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_day_that_grows_is_written_again_a_few_times_and_lies_in_few_files(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows, written, came, most = list[int](), 0, 0, 0
    for turn in range(2_000):
        one = int(10 ** random.uniform(2, 4.5))
        came, rows = came + one, [*rows, one]
        if turn % 12 == 0:
            for files in merge.mergeable(_shelf(rows)):
                total = sum(rows[file] for file in files)
                assert total >= 2 * max(rows[file] for file in files)
                written += total
                rows = [*(size for file, size in enumerate(rows) if file not in files), total]
            most = max(most, len(rows))
    assert sum(rows) == came
    assert written < 12 * came
    assert most < 60


def test_a_past_day_that_grows_is_not_written_again_each_time() -> None:
    """One forecast or reading of a day to come makes today a past one."""
    rows, written, most = [1_000_000], 0, 0
    for _ in range(1_000):
        rows = [*rows, 1_000]
        for files in merge.mergeable(_shelf([*rows, 1], [0] * len(rows) + [30])):
            total = sum(rows[file] for file in files)
            written += total
            rows = [*(size for file, size in enumerate(rows) if file not in files), total]
        most = max(most, len(rows))
    assert sum(rows) == 2_000_000
    assert written < 12_000_000
    assert most < 10


@pytest.mark.parametrize("count", [1, 600])
@pytest.mark.parametrize("year_us", [9_183_110_400_000_000, -9_183_024_000_000_000])
def test_rows_of_any_instant_that_64_bits_hold_are_laid_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, year_us: int, count: int
) -> None:
    """A client may name any instant; as a float, such a one is off by some microseconds."""
    monkeypatch.setattr(lay, "PART_ROWS", 100)
    engine, target = Engine(tmp_path), tmp_path / "new.parquet"
    for off in range(4):
        rows = Batch.of(
            id=observation_id(1) + np.arange(count),
            datastream=[7] * count,
            time=(year_us + off + np.arange(count)) * 1000,
            value=[1.0] * count,
        )
        lay.lay(engine, Files(), target, memory=[to_arrow(rows)])
        assert pq.read_table(target, schema=COLUMNS).equals(to_arrow(rows))
    engine.close()
