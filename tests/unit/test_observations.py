from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from nervure.core.error import NotFoundError, QueryError, StoreError
from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS
from nervure.core.observation import Batch, Quality, observation_id
from nervure.core.settings import Store
from nervure.store.observations import Observations

START = 19_675 * DAY_NS  # 2023-11-14


def batch(sequence: int, readings: list[tuple[int, int, float]], **columns: object) -> Batch:
    """One message at ``sequence`` with (datastream, second, value) readings."""
    return Batch.of(
        id=[observation_id(sequence, index) for index in range(len(readings))],
        datastream=[reading[0] for reading in readings],
        time=[START + reading[1] * SECOND_NS for reading in readings],
        value=[reading[2] for reading in readings],
        **columns,  # type: ignore[arg-type]
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "observations"


def test_what_is_appended_is_answered_before_and_after_it_is_sealed(folder: Path) -> None:
    store = Observations.open(folder)
    first = batch(1, [(7, 0, 1.0), (8, 0, 5.0)], low=[0.5, np.nan], high=[1.5, np.nan])
    assert store.append(first, 1).rows == 2
    for _ in ("in memory", "in the table"):
        found = store.series([7, 8])
        assert found.datastream.tolist() == [7, 8]
        assert found.value.tolist() == [1.0, 5.0]
        assert found.time.tolist() == found.result_time.tolist() == [START, START]
        assert found.low[0] == 0.5
        assert np.isnan(found.low[1])
        assert store.count() == 2
        assert store.count(7) == 1
        assert store.last([7, 9]) == {7: (START, 1.0)}
        observation = store.by_id(observation_id(1, 0))
        assert observation is not None
        assert (observation.result, observation.low, observation.high) == (1.0, 0.5, 1.5)
        assert store.by_id(observation_id(2, 0)) is None
        store.seal()
    assert store.position == 1
    store.close()


def test_a_reopened_store_goes_on_from_its_position(folder: Path) -> None:
    store = Observations.open(folder)
    store.append(batch(1, [(7, 0, 1.0)]), 1)
    assert store.seal() == 1
    store.append(batch(5, [(7, 1, 2.0)]), 6)
    assert store.seal() == 1
    store.append(batch(7, [(7, 2, 3.0)]), 7)
    assert (store.position, store.safe_position, store.taken) == (6, 1, 7)
    store.close()

    store = Observations.open(folder)
    assert (store.position, store.safe_position, store.count()) == (6, 1, 2)
    assert store.last([7]) == {7: (START + SECOND_NS, 2.0)}
    assert store.span(7) == (START, START + SECOND_NS)
    replayed = Batch.concat([batch(5, [(7, 1, 2.0)]), batch(7, [(7, 2, 3.0)])])
    assert store.append(replayed, 7).rows == 1
    assert store.seal() == 1
    assert store.series([7]).value.tolist() == [1.0, 2.0, 3.0]
    store.close()


def test_a_position_without_rows_is_sealed_too(folder: Path) -> None:
    store = Observations.open(folder)
    assert store.seal() == 0
    store.append(batch(1, []), 400)
    assert store.seal() == 0
    assert store.position == 400
    store.close()
    store = Observations.open(folder)
    assert (store.position, store.count()) == (400, 0)
    store.close()


@pytest.mark.parametrize("sealed", ["memory", "recent", "files"])
def test_the_first_result_of_a_key_stays(folder: Path, sealed: str) -> None:
    store = Observations.open(folder)
    store.append(batch(1, [(7, 0, 1.0), (7, 1, 2.0), (7, 2, 3.0)], text=[None, None, '"on"']), 1)
    if sealed != "memory":
        store.seal()
    if sealed == "files":
        store.close()
        store = Observations.open(folder)
    again = batch(2, [(7, 0, 1.0), (7, 1, 9.0), (7, 2, 3.0), (7, 2, 3.0), (7, 3, 4.0)], text=[None] * 2 + ['"on"', '"off"', None])
    done = store.append(again, 2)
    assert (done.rows, done.duplicates) == (1, 2)
    assert [(one.sequence, one.index, one.reason) for one in done.conflicts] == [(2, 1, "conflict"), (2, 3, "conflict")]
    assert b'"result":9.0' in done.conflicts[0].payload
    assert done.conflicts[0].subject == "v1//1.Datastreams(7).Observations"
    assert store.series([7]).value.tolist()[:2] == [1.0, 2.0]
    assert store.count(7) == 4
    store.close()


def test_within_one_batch_the_first_wins_as_well(folder: Path) -> None:
    store = Observations.open(folder)
    done = store.append(batch(1, [(7, 5, 1.0), (7, 5, 1.0), (7, 5, 2.0), (7, 4, 3.0)]), 1)
    assert (done.rows, done.duplicates, len(done.conflicts)) == (2, 1, 1)
    assert store.series([7]).value.tolist() == [3.0, 1.0]
    store.close()


def test_another_result_time_is_another_key(folder: Path) -> None:
    store = Observations.open(folder)
    ahead = [(7, 3600, 1.0), (7, 7200, 2.0)]
    store.append(batch(1, ahead, result_time=[START, START]), 1)
    done = store.append(batch(2, ahead, result_time=[START + SECOND_NS] * 2), 2)
    assert (done.rows, done.duplicates) == (2, 0)
    store.seal()
    assert store.append(batch(3, ahead, result_time=[START, START + SECOND_NS]), 3).duplicates == 2
    assert store.series([7]).result_time.tolist() == [START, START + SECOND_NS] * 2
    store.close()


def test_instants_are_kept_to_the_microsecond(folder: Path) -> None:
    store = Observations.open(folder)
    one = Batch.of(id=[observation_id(1)], datastream=[7], time=[START + 1_234_567], value=[1.0])
    two = Batch.of(id=[observation_id(2)], datastream=[7], time=[START + 1_234_999], value=[1.0])
    store.append(one, 1)
    store.seal()
    assert store.append(two, 2).duplicates == 1
    assert store.series([7]).time.tolist() == [START + 1_234_000]
    assert store.series([7], START + 1_234_000, START + 1_234_001).time.tolist() == [START + 1_234_000]
    assert len(store.series([7], START + 1_234_001)) == 0
    store.close()


def test_what_is_a_day_older_than_the_newest_is_late(folder: Path) -> None:
    store = Observations.open(folder)
    store.append(batch(1, [(7, 100_000, 1.0), (7, 10_000, 2.0), (7, 50_000, 3.0)]), 1)
    store.append(batch(2, [(7, 9_000, 2.0), (8, 0, 1.0), (8, 90_000, 1.0)]), 2)
    found = store.series([7, 8])
    assert dict(zip(found.id.tolist(), found.quality.tolist(), strict=True)) == {
        observation_id(1, 0): Quality.GOOD,
        observation_id(1, 1): Quality.LATE,
        observation_id(1, 2): Quality.GOOD,
        observation_id(2, 0): Quality.LATE,
        observation_id(2, 1): Quality.GOOD,
        observation_id(2, 2): Quality.GOOD,
    }
    ahead = batch(3, [(9, 200_000, 1.0), (9, 3_600, 1.0)], result_time=[START, START])
    store.append(ahead, 3)
    assert store.series([9]).quality.tolist() == [Quality.GOOD, Quality.GOOD]
    store.close()


def test_a_table_takes_the_reading_that_came_last_in_each_slot(folder: Path) -> None:
    store = Observations.open(folder)
    readings = [(7, 0, 1.0), (8, 10, 5.0), (7, 3_000, 2.0), (7, 1_000, 3.0), (7, 7_200, 4.0), (7, 7_300, 9.0)]
    quality = [0, 0, 0, 0, 0, Quality.OUT_OF_RANGE]
    store.append(batch(1, readings, quality=quality), 1)
    for _ in range(2):
        table = store.table([8, 7, 6], ["b", "a", "none"], HOUR_NS)
        assert table.first == START // HOUR_NS
        assert table.streams == ("b", "a", "none")
        np.testing.assert_array_equal(
            table.value, [[5.0, 3.0, np.nan], [np.nan, np.nan, np.nan], [np.nan, 4.0, np.nan]]
        )
        every = store.table([7], ["a"], HOUR_NS, good_only=False)
        assert every.value[2, 0] == 9.0
        asked = store.table([7], ["a"], HOUR_NS, START - HOUR_NS, START + 2 * HOUR_NS)
        np.testing.assert_array_equal(asked.value[:, 0], [np.nan, 3.0, np.nan])
        assert asked.first == START // HOUR_NS - 1
        store.seal()
    assert store.table([6], ["none"], HOUR_NS).value.shape == (0, 1)
    store.close()


def test_pages_follow_each_other_in_either_direction(folder: Path) -> None:
    store = Observations.open(folder)
    readings = [(7, number * 40_000, float(number)) for number in range(30)]
    for sequence, reading in enumerate(readings, 1):
        store.append(batch(sequence, [reading, (8, reading[1], -1.0)]), sequence)
        if sequence % 7 == 0:
            store.seal()
    for descending in (False, True):
        expected = sorted(range(30), reverse=descending)
        skipped = [
            store.page(7, limit=8, skip=skip, descending=descending).value.tolist() for skip in (0, 8, 16, 24, 32)
        ]
        assert sum(skipped, []) == expected
        after: tuple[int, int] | None = None
        walked: list[float] = []
        while len(page := store.page(7, limit=8, descending=descending, after=after)):
            walked += page.value.tolist()
            after = (int(page.time[-1]), int(page.id[-1]))
        assert walked == expected
    assert store.page(limit=3, order="id", descending=True).id.tolist()[0] == observation_id(30, 1)
    assert len(store.page(99)) == 0
    assert len(store.page(7, limit=0)) == 0
    with pytest.raises(QueryError, match="cannot be ordered by 'value'"):
        store.page(7, order="value")
    store.close()


def test_results_that_are_no_numbers_keep_their_text(folder: Path) -> None:
    store = Observations.open(folder)
    store.append(batch(1, [(7, 0, 1.0)]), 1)
    store.append(batch(2, [(7, 1, np.nan), (7, 2, 2.0)], text=['"open"', None]), 2)
    for _ in range(2):
        found = store.series([7])
        assert list(found.text or []) == [None, '"open"', None]
        assert np.isnan(found.value[1])
        row = store.by_id(observation_id(2, 0))
        assert row is not None
        assert row.result == '"open"'
        store.seal()
    store.close()


def test_sql_sees_files_and_tail_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    store = Observations.open(folder)
    store.append(batch(1, [(7, 0, 1.0)]), 1)
    store.seal()
    store.append(batch(2, [(7, 1, 3.0)]), 2)
    mean = "SELECT avg(value) AS mean, max(time) AS newest FROM observation WHERE datastream = $stream"
    row = store.query(mean, {"stream": 7}).to_pylist()[0]
    assert row["mean"] == 2.0
    assert row["newest"].isoformat() == "2023-11-14T00:00:01+00:00"
    assert store.query("SELECT count(*) AS n FROM observation WHERE value > ?", [2]).to_pylist() == [{"n": 1}]
    refused = [
        f"SELECT * FROM read_csv('{tmp_path}/secret.csv')",
        "SELECT nothing FROM observation",
        "DROP VIEW observation",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        "SELECT 1; SELECT 2",
        "SET memory_limit = '1TB'",
        "SELEC 1",
        "",
    ]
    for sql in refused:
        with pytest.raises(QueryError):
            store.query(sql)
    with pytest.raises(QueryError, match=r"stopped after 0\.2 s"):
        store.query("SELECT count(*) FROM range(1000000000000)", limit_s=0.2)
    assert not (tmp_path / "out.csv").exists()
    store.close()


def test_merging_changes_no_row(folder: Path) -> None:
    store = Observations.open(folder)
    for sequence in range(1, 13):
        store.append(batch(sequence, [(9 - sequence % 3, sequence, float(sequence)), (7, -sequence, 0.0)]), sequence)
        store.seal()
    before = store.series([7, 8, 9])
    files = len(list(folder.glob("day=*/*.parquet")))
    assert store.compact() == files - 2
    assert store.compact() == 0
    after = store.series([7, 8, 9])
    assert after.id.tolist() == before.id.tolist()
    assert after.value.tolist() == before.value.tolist()
    assert store.position == 12
    assert store.by_id(observation_id(12, 0)) is not None
    store.close()
    store = Observations.open(folder)
    assert store.repaired == ()
    assert (store.count(), store.position, store.safe_position) == (24, 12, 11)
    assert store.append(batch(13, [(7, 1, 1.0), (7, -5, 0.0)]), 13).duplicates == 1
    store.close()


def test_old_days_are_forgotten_and_counts_follow(folder: Path) -> None:
    store = Observations.open(folder)
    day = DAY_NS // SECOND_NS
    store.append(batch(1, [(7, number * day, float(number)) for number in range(5)] + [(8, 0, 1.0)]), 1)
    store.seal()
    store.append(batch(2, [(7, 5 * day, 5.0)]), 2)
    assert store.retain(START + 2 * DAY_NS + HOUR_NS) == 3
    assert store.retain(START + 2 * DAY_NS + HOUR_NS) == 0
    assert (store.count(), store.count(7), store.count(8)) == (4, 4, 0)
    assert store.span(7) == (START + 2 * DAY_NS, START + 5 * DAY_NS)
    assert store.span(8) is None
    assert store.series([7]).value.tolist() == [2.0, 3.0, 4.0, 5.0]
    store.close()


def test_one_process_writes_and_others_may_read(folder: Path) -> None:
    with pytest.raises(NotFoundError):
        Observations.open(folder, write=False)
    store = Observations.open(folder)
    with pytest.raises(StoreError, match="another process"):
        Observations.open(folder)
    reader = Observations.open(folder, write=False)
    store.append(batch(1, [(7, 0, 1.0)]), 1)
    store.seal()
    assert reader.count() == 0
    reader.refresh()
    assert (reader.count(), reader.position) == (1, 1)
    assert reader.series([7]).value.tolist() == [1.0]
    for change in (reader.seal, reader.compact, reader.vacuum, lambda: reader.append(batch(2, []), 2)):
        with pytest.raises(StoreError, match="for reading only"):
            change()
    reader.close()
    store.close()
    Observations.open(folder).close()


def test_it_is_time_to_seal_after_enough_rows_or_long_enough(folder: Path) -> None:
    store = Observations.open(folder, Store(seal_rows=3, seal_s=0.05))
    assert not store.due
    store.append(batch(1, [(7, 0, 1.0)]), 1)
    assert not store.due
    time.sleep(0.06)
    assert store.due
    store.seal()
    assert not store.due
    store.append(batch(2, [(7, second, 1.0) for second in range(1, 4)]), 2)
    assert store.due
    store.close()


def test_memory_is_bounded_when_nothing_can_be_sealed(folder: Path) -> None:
    store = Observations.open(folder, Store(seal_rows=1))
    for sequence in range(1, 21):
        store.append(batch(sequence, [(7, sequence, 1.0)]), sequence)
    assert store.full
    with pytest.raises(StoreError, match="20 readings wait in memory"):
        store.append(batch(21, [(7, 21, 1.0)]), 21)
    assert store.taken == 20
    assert store.seal() == 20
    assert store.append(batch(21, [(7, 21, 1.0)]), 21).rows == 1
    store.close()


def test_sealing_in_a_thread_leaves_the_loop_free(folder: Path) -> None:
    store = Observations.open(folder)
    rows = 400_000
    many = Batch.of(
        id=observation_id(1) + np.arange(rows) % 65_536,
        datastream=np.arange(rows) % 1_000,
        time=START + np.arange(rows) // 1_000 * SECOND_NS,
        value=np.random.default_rng(0).normal(size=rows),
    )

    async def run() -> tuple[list[float], int]:
        store.append(many, 1)
        sealing = asyncio.create_task(asyncio.to_thread(store.seal))
        waits: list[float] = []
        sequence = 1
        while not sealing.done():
            sequence += 1
            began = time.perf_counter()
            store.append(batch(sequence, [(5_000, sequence, 1.0)]), sequence)
            assert store.count() == rows + sequence - 1
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.001)
        return waits, await sealing

    waits, sealed = asyncio.run(run())
    assert rows <= sealed < rows + len(waits)  # some were appended while it wrote
    assert store.position == 1 + sealed - rows
    assert len(store.series([5_000])) == len(waits)
    print(f"{len(waits)} appends during the seal, longest {max(waits) * 1e3:.1f} ms")
    assert np.median(waits) < 0.05
    store.close()


def test_answers_hold_every_row_once_while_others_write(folder: Path) -> None:
    store = Observations.open(folder)
    wrong: list[str] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            low = store.taken
            found = store.query("SELECT count(*) AS n, count(DISTINCT id) AS ids FROM observation").to_pylist()[0]
            if not (found["n"] == found["ids"] and low <= found["n"] <= store.taken):
                wrong.append(f"{low} <= {found} <= {store.taken}")

    def merge() -> None:
        while not stop.is_set():
            store.compact()

    threads = [threading.Thread(target=target) for target in (look, look, merge)]
    for thread in threads:
        thread.start()
    for sequence in range(1, 61):
        store.append(batch(sequence, [(sequence % 5, sequence, 1.0)]), sequence)
        store.seal()
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.count() == 60
    store.close()
