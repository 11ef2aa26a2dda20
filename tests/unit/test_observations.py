from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from nervure.core.error import NotFoundError, StoreError
from nervure.core.instant import DAY_NS, HOUR_NS, SECOND_NS
from nervure.core.observation import Batch, Quality, observation_id
from nervure.core.settings import Store
from nervure.sense.moment import FIRST_NS, LAST_NS
from nervure.store import digest, observations, pace, tail
from nervure.store.observations import Observations
from tests.reading import START, batch


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
    readings = [(7, 0, 1.0), (7, 1, 9.0), (7, 2, 3.0), (7, 2, 3.0), (7, 3, 4.0)]
    again = batch(2, readings, text=[None, None, '"on"', '"off"', None])
    done = store.append(again, 2)
    assert (done.rows, done.duplicates) == (1, 2)
    assert [(one.sequence, one.index) for one in done.conflicts] == [(2, 1), (2, 3)]
    assert {one.reason for one in done.conflicts} == {"conflict"}
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


def test_merging_changes_no_row(folder: Path) -> None:
    store = Observations.open(folder)
    for sequence in range(1, 13):
        readings = [(9 - sequence % 3, sequence, float(sequence)), (7, -sequence, 0.0)]
        store.append(batch(sequence, readings), sequence)
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


def test_it_is_time_to_seal_after_enough_rows_or_long_enough(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    clock = SimpleNamespace(monotonic=lambda: now_s[0])
    for one in (pace, tail):
        monkeypatch.setattr(one, "time", clock)
    store = Observations.open(folder, Store(seal_rows=3, seal_s=0.05))
    seen = [store.due]
    store.append(batch(1, [(7, 0, 1.0)]), 1)
    seen.append(store.due)
    now_s[0] += 0.06
    seen.append(store.due)
    store.seal()
    seen.append(store.due)
    store.append(batch(2, [(7, second, 1.0) for second in range(1, 4)]), 2)
    seen.append(store.due)
    assert seen == [False, False, True, False, False], "the last seal was a moment ago"
    store.append(batch(3, [(7, second, 1.0) for second in range(4, 7)]), 3)
    assert store.due, "twice as many have come"
    store.seal()
    now_s[0] += pace.RUSH_S
    store.append(batch(4, [(7, second, 1.0) for second in range(7, 10)]), 4)
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
    counted = "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM observation"
    wrong: list[str] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            low = store.taken
            found = store.query(counted).to_pylist()[0]
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


def test_a_digest_spares_the_next_start_a_full_look(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observations, "SPARE_ROWS", 2)
    store = Observations.open(folder)
    store.append(batch(1, [(7, 0, 1.0), (8, 5, 2.0)]), 1)
    store.seal()
    store.append(batch(2, [(7, 9, 3.0)]), 2)
    store.compact()
    assert digest.load(folder) is None  # memory knows more than the files: with the next seal
    store.seal()
    found = digest.load(folder)
    assert found is not None
    assert (found.position, found.rows) == (2, 3)
    store._claim.release()  # type: ignore[union-attr]  # as a process that died

    for harm in (None, b"", b"PAR1 nothing PAR1"):
        if harm is not None:
            (folder / "_digest.parquet").write_bytes(harm)
        store = Observations.open(folder)
        assert store.last([7, 8]) == {7: (START + 9 * SECOND_NS, 3.0), 8: (START + 5 * SECOND_NS, 2.0)}
        assert (store.count(), store.count(7)) == (3, 2)
        assert store.append(batch(3, [(7, 0, 1.0), (7, 9, 3.0)]), 3).duplicates == 2
        store.close()


def test_a_digest_that_does_not_fit_the_table_is_not_believed(folder: Path) -> None:
    store = Observations.open(folder)
    store.append(batch(1, [(7, 0, 1.0)]), 1)
    store.seal()
    store.append(batch(2, [(7, 5, 2.0)]), 2)
    store.seal()
    store.close()
    found = digest.load(folder)
    assert found is not None
    wrong = msgspec.structs.replace(found.summary, rows=found.summary.rows + 1)
    digest.save(folder, digest.Digest(position=2, summary=wrong))
    store = Observations.open(folder)
    assert store.count() == 2
    store.close()


@pytest.mark.parametrize("instant_ns", [LAST_NS, FIRST_NS, LAST_NS - 86_400_000_001_000])
def test_the_farthest_instants_are_in_answers_and_outlive_a_deletion(folder: Path, instant_ns: int) -> None:
    store = Observations.open(folder)
    readings = Batch.of(
        id=[observation_id(1), observation_id(1, 1)],
        datastream=[7, 7],
        time=[instant_ns, instant_ns - instant_ns // 10**9],
        value=[1.0, 2.0],
    )
    store.append(readings, 1)
    store.seal()
    assert sorted(store.series([7]).value.tolist()) == [1.0, 2.0]
    store.drop(ids=[observation_id(1, 1)], upto=2)
    store.seal()
    assert store.series([7]).value.tolist() == [1.0]
    wide = store.matrix([7], FIRST_NS, LAST_NS, 4_000)
    assert np.nansum(wide) == (0.0 if instant_ns == LAST_NS else 1.0), "the end is not in the span"
    store.close()
