"""Rows laid down part by part are those that lay there, in order; what grows is not written each time."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from nervure.core.error import StoreError
from nervure.core.instant import SECOND_NS
from nervure.core.observation import Batch, observation_id
from nervure.store import lay, merge
from nervure.store.column import COLUMNS, RARE, to_arrow
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


def _write(folder: Path, tables: list[pa.Table]) -> list[str]:
    paths = [str(folder / f"{number}.parquet") for number in range(len(tables))]
    for path, table in zip(paths, tables, strict=True):
        pq.write_table(_sorted(table), path, row_group_size=170)
    return paths


@pytest.mark.parametrize("rows", [1, 20, 10_000])
def test_every_row_is_laid_down_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(lay, "PART_ROWS", 3 * rows)
    monkeypatch.setattr(lay, "LEAST_ROWS", rows)
    monkeypatch.setattr(lay, "GROUP_ROWS", 300)
    parts = [to_arrow(_rows(seed, 1_000, 1 + seed)) for seed in range(3)]
    files, target = _write(tmp_path, parts), tmp_path / "new.parquet"
    gone = Gone.of(ids=[int(parts[0]["id"][7].as_py())], position=99)
    lay.lay(Files({(): files}), target, gone=gone)
    found = pq.read_table(target, schema=COLUMNS)
    left = [parts[0].take([row for row in range(1_000) if row != 7]), *parts[1:]]
    assert _sorted(found).equals(_sorted(pa.concat_tables(left)))
    order = np.lexsort([found[name].to_numpy() for name in ("result_time", "time", "datastream")])
    keys = ("datastream", "time", "result_time")
    assert all((found[key].to_numpy()[order] == found[key].to_numpy()).all() for key in keys)
    groups = pq.ParquetFile(target).metadata
    assert [groups.row_group(one).num_rows for one in range(groups.num_row_groups)] == [300] * 9 + [299]


def test_a_column_in_which_no_file_has_anything_is_not_laid_down(tmp_path: Path) -> None:
    """It would cost every merge to come as much as one that is full."""
    plain = to_arrow(_rows(0, 50, 1))
    foreseen = to_arrow(msgspec.structs.replace(_rows(1, 50, 2), low=np.arange(50.0), text=["a"] * 50))
    slim = plain.drop_columns(["low", "high", "text", "end_time", "feature", "marks", "extra"])
    files, target = _write(tmp_path, [plain, foreseen, slim]), tmp_path / "new.parquet"
    kinds = {("high", "end_time", "feature", "extra"): [files[1]], tuple(RARE): [files[2]]}
    kinds[tuple(name for name in RARE if name != "marks")] = [files[0]]  # it lies there, and is empty
    lay.lay(Files(kinds), target)
    found = pq.read_table(target)
    assert found.column_names == [
        *("datastream", "time", "result_time", "id", "value", "low", "quality", "text", "marks")
    ]
    whole = _sorted(pa.concat_tables([plain, foreseen, plain]))
    assert _sorted(found).equals(whole.select(found.column_names))


def test_what_is_gone_is_left_out_as_questions_leave_it_out(tmp_path: Path) -> None:
    rows = msgspec.structs.replace(_rows(0, 500, 5), feature=np.arange(500) % 9)
    (file,), target = _write(tmp_path, [to_arrow(rows)]), tmp_path / "new.parquet"
    engine = Engine(tmp_path)
    before, after = Gone.of(datastreams=[50], features=[3], position=5), Gone.of(features=[4], position=6)
    for gone, some in ((before, False), (after, True), (before.also(after), True)):
        lay.lay(Files({(): [file]}), target, gone=gone)
        asked = engine.rows("SELECT id FROM {observation} ORDER BY id", Files({(): [file]}), (), gone=gone)
        assert sorted(pq.read_table(target)["id"].to_pylist()) == asked["id"].to_pylist()
        assert (len(asked) < 500) is some, "what came after the event stays"
    engine.close()


def test_long_texts_are_laid_down_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are bounded by number, and texts by their bytes: a file of waveforms has more in few rows."""
    monkeypatch.setattr(lay, "PART_BYTES", 1 << 20)
    held = list[int]()
    ordered = lay._ordered

    def seen(rows: pa.Table) -> pa.Table:
        held.append(rows.nbytes)
        return ordered(rows)

    monkeypatch.setattr(lay, "_ordered", seen)
    parts = []
    for seed in range(4):
        rows = _rows(seed, 1_000, 1 + seed)
        texts = [f"[{'1.25,' * (4_000 if row % 50 else 10)}{row}]" for row in range(1_000)]
        parts.append(to_arrow(msgspec.structs.replace(rows, text=texts, value=np.full(1_000, np.nan))))
    target = tmp_path / "new.parquet"
    lay.lay(Files({(): _write(tmp_path, parts)}), target)
    assert _sorted(pq.read_table(target, schema=COLUMNS)).equals(_sorted(pa.concat_tables(parts)))
    assert sum(held) > 70 << 20
    assert max(held) < 16 << 20, "64 rows of a file come at once"
    groups = pq.ParquetFile(target).metadata
    assert max(groups.row_group(one).num_rows for one in range(groups.num_row_groups)) < 1_000


def test_nothing_makes_a_file_without_rows(tmp_path: Path) -> None:
    target = tmp_path / "new.parquet"
    lay.lay(Files(), target)
    assert pq.read_table(target).num_rows == 0


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (file,) = _write(tmp_path, [to_arrow(_rows(0, 50, 1))])
    Path(file).write_bytes(Path(file).read_bytes()[:-20])
    with pytest.raises(StoreError, match="cannot merge files"):
        lay.lay(Files({(): [file]}), tmp_path / "new.parquet")


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
    monkeypatch.setattr(lay, "LEAST_ROWS", 100)
    monkeypatch.setattr(lay, "PART_ROWS", 100)
    target = tmp_path / "new.parquet"
    for off in range(4):
        rows = Batch.of(
            id=observation_id(1) + np.arange(count),
            datastream=[7] * count,
            time=(year_us + off + np.arange(count)) * 1000,
            value=[1.0] * count,
        )
        lay.lay(Files({(): _write(tmp_path, [to_arrow(rows)])}), target)
        assert pq.read_table(target, schema=COLUMNS).equals(to_arrow(rows))
