from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nervure.core.error import QueryError
from nervure.core.instant import HOUR_NS, SECOND_NS
from nervure.core.observation import Batch, Quality, observation_id
from nervure.store.observations import Observations
from tests.reading import START, batch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "observations"


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
    assert store.table([], [], HOUR_NS).value.shape == (0, 0)
    assert store.table([], [], HOUR_NS, START, START + 2 * HOUR_NS).value.shape == (2, 0)
    store.close()


def test_in_a_slot_what_was_read_counts_before_what_was_foretold_and_words_do_not(folder: Path) -> None:
    store = Observations.open(folder)
    store.append(batch(1, [(7, 0, 1.0), (7, 7_200, 8.0)]), 1)
    foretold = [START - HOUR_NS, START + HOUR_NS]
    store.append(batch(2, [(7, 600, 2.0), (7, 4_000, 3.0)], result_time=foretold), 2)
    store.append(batch(3, [(7, 1_200, np.nan), (7, 10_800, np.nan)], text=['"dry"', '"wet"']), 3)
    for _ in range(2):
        table = store.table([7], ["a"], HOUR_NS)
        np.testing.assert_array_equal(table.value[:, 0], [1.0, 3.0, 8.0, np.nan])
        store.seal()
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
        skipped: list[float] = []
        for skip in (0, 8, 16, 24, 32):
            skipped += store.page(7, limit=8, skip=skip, descending=descending).value.tolist()
        assert skipped == expected
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


def test_an_instant_at_the_end_of_a_file_is_found(folder: Path) -> None:
    """The table's log knows the times of a file to the millisecond only."""
    store = Observations.open(folder)
    end = START + SECOND_NS - 1_000
    store.append(Batch.of(id=[observation_id(1)], datastream=[7], time=[end], value=[1.0]), 1)
    store.seal()
    assert len(store.series([7], end)) == len(store.series([7], end, end + 1_000)) == 1
    assert len(store.series([7], end + 1_000)) == len(store.series([7], START, end)) == 0
    again = Batch.of(id=[observation_id(2)], datastream=[7], time=[end], value=[1.0])
    store.close()
    store = Observations.open(folder)
    assert store.append(again, 2).duplicates == 1
    store.close()


def test_only_the_files_that_are_needed_are_opened(folder: Path) -> None:
    store = Observations.open(folder)
    for sequence in range(1, 6):
        store.append(batch(sequence, [(sequence, 86_400 * sequence, 1.0), (sequence + 1, 0, 1.0)]), sequence)
        store.seal()
    shelf = store._shelf
    assert len(shelf) == 10
    assert len(shelf.choose(ids=[3])) == 2
    assert len(shelf.choose(ids=[])) == 0
    assert len(shelf.choose(start_ns=START + 86_400 * SECOND_NS)) == 5
    assert len(shelf.choose(ids=[3], start_ns=START, end_ns=START + 1)) == 1
    assert len(shelf.choose(identity=observation_id(4, 1))) == 1
    assert len(shelf.choose(since=observation_id(4))) == 4
    store.close()
