"""Changing and deleting: at once in answers, for good in the table, the same after any replay."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from nervure.core.instant import DAY_NS, SECOND_NS
from nervure.core.observation import NO_END, NO_RESULT_TIME, Batch, observation_id
from nervure.store import column, delta, digest, merge, observations
from nervure.store.observations import Observations
from tests.reading import START, batch

SEALED = pytest.mark.parametrize("sealed", [False, True], ids=["in memory", "in files"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "observations"


def filled(folder: Path, *, sealed: bool) -> Observations:
    """Three readings of Datastream 7, one of 8, over two days."""
    store = Observations.open(folder)
    day = DAY_NS // SECOND_NS
    readings = [(7, 0, 1.0), (7, 1, 2.0), (7, day, 3.0), (8, 5, 4.0)]
    store.append(batch(1, readings, feature=[3, 3, 4, 0]), 1)
    if sealed:
        store.seal()
    return store


def died(store: Observations) -> None:
    """Leave the store as a process that was killed does."""
    store._claim.release()  # type: ignore[union-attr]
    store._engine.close()


def values(store: Observations) -> list[float]:
    found: list[float] = store.series([7, 8]).value.tolist()
    return found


@SEALED
def test_what_is_deleted_is_out_of_every_answer_at_once_and_of_the_table_for_good(
    folder: Path, sealed: bool
) -> None:
    store = filled(folder, sealed=sealed)
    store.drop(ids=[observation_id(1, 1)], upto=2)
    for _ in ("pending", "sealed"):
        assert values(store) == [1.0, 3.0, 4.0]
        assert (store.count(), store.count(7)) == (3, 2)
        assert store.by_id(observation_id(1, 1)) is None
        assert store.query("SELECT count(*) AS n FROM observation").to_pylist() == [{"n": 3}]
        assert store.page(7).value.tolist() == [1.0, 3.0]
        store.seal()
    assert store.position == 2
    assert DeltaTable(folder).to_pyarrow_table().num_rows == 3
    died(store)
    store = Observations.open(folder)
    assert (values(store), store.count(7)) == ([1.0, 3.0, 4.0], 2)
    store.close()


@SEALED
def test_first_newest_and_last_follow_what_is_deleted(folder: Path, sealed: bool) -> None:
    store = filled(folder, sealed=sealed)
    assert store.moved().keys() == {7, 8}
    store.drop(ids=[observation_id(1, 2)], upto=2)
    assert store.last([7]) == {7: (START + SECOND_NS, 2.0)}
    assert store.span(7) == (START, START + SECOND_NS)
    assert store.moved() == {7: (START, START + SECOND_NS, START, START + SECOND_NS)}
    store.drop(ids=[observation_id(1, 0), observation_id(1, 1), observation_id(1, 3)], upto=3)
    assert (store.count(), store.last([7, 8]), store.span()) == (0, {}, None)
    assert store.moved() == {7: None, 8: None}
    store.seal()
    assert store.append(batch(4, [(7, 0, 9.0)]), 4).rows == 1
    assert store.span(7) == (START, START)
    store.close()


@SEALED
def test_a_deleted_reading_may_be_sent_again(folder: Path, sealed: bool) -> None:
    store = filled(folder, sealed=sealed)
    store.drop(ids=[observation_id(1, 0)], upto=2)
    done = store.append(batch(3, [(7, 0, 9.0), (7, 1, 2.0)]), 3)
    assert (done.rows, done.duplicates, done.conflicts) == (1, 1, ())
    store.seal()
    assert values(store) == [9.0, 2.0, 3.0, 4.0]
    store.close()


@SEALED
def test_what_is_changed_keeps_its_id(folder: Path, sealed: bool) -> None:
    store = filled(folder, sealed=sealed)
    identity = observation_id(1, 0)
    for upto, value in ((2, 10.0), (3, 20.0), (4, 30.0)):
        new = Batch.of(id=[identity], datastream=[7], time=[START + 7 * SECOND_NS], value=[value])
        assert store.amend(new, upto) == 1
        found = store.by_id(identity)
        assert found is not None
        assert (found.result, found.time_ns) == (value, START + 7 * SECOND_NS)
        assert (store.count(7), store.span(7)) == (3, (START + SECOND_NS, START + DAY_NS))
        if upto == 3:
            store.seal()
    store.seal()
    died(store)
    store = Observations.open(folder)
    assert (store.count(7), values(store)) == (3, [2.0, 30.0, 3.0, 4.0])
    assert store.amend(Batch.of(id=[observation_id(9)], datastream=[7], time=[0], value=[0.0]), 9) == 0
    assert store.count() == 4
    store.close()


@SEALED
def test_whole_datastreams_and_what_is_about_a_feature_go(folder: Path, sealed: bool) -> None:
    store = filled(folder, sealed=sealed)
    store.drop(features=[3], upto=2)
    assert (values(store), store.count(7)) == ([3.0, 4.0], 1)
    assert store.span(7) == (START + DAY_NS, START + DAY_NS)
    store.drop(datastreams=[8], ids=[observation_id(1, 3)], upto=3)
    assert (values(store), store.count(), store.count(8)) == ([3.0], 1, 0)
    store.append(batch(4, [(8, 5, 8.0)], feature=[3]), 4)
    for _ in ("pending", "sealed"):
        assert values(store) == [3.0, 8.0]
        store.seal()
    store.close()


def test_an_event_that_was_taken_before_does_nothing(folder: Path) -> None:
    store = filled(folder, sealed=True)
    store.drop(ids=[observation_id(1, 0)], upto=1)
    new = Batch.of(id=[observation_id(1, 1)], datastream=[7], time=[START], value=[9.0])
    assert store.amend(new, 1) == 0
    assert values(store) == [1.0, 2.0, 3.0, 4.0]
    store.close()


@pytest.mark.parametrize("end", range(6))
def test_killed_between_events_and_seal_a_replay_ends_in_the_same_rows(folder: Path, end: int) -> None:
    first = observation_id(1, 0)
    changed = Batch.of(id=[first], datastream=[7], time=[START + SECOND_NS], value=[11.0])

    def replay(store: Observations, upto: int, seals: frozenset[int] = frozenset()) -> None:
        day = DAY_NS // SECOND_NS
        for step in range(1, upto + 1):
            if step == 1:
                store.append(batch(1, [(7, 0, 1.0), (7, day, 2.0), (8, 0, 3.0)]), 1)
            elif step == 2:
                store.drop(ids=[observation_id(1, 1)], upto=2)
            elif step == 3:
                store.amend(changed, 3)
            elif step == 4:
                store.drop(datastreams=[8], upto=4)
            else:
                store.append(batch(5, [(8, 1, 5.0), (7, 9, 6.0)]), 5)
            if step in seals:
                store.seal()

    for seals in (frozenset[int](), frozenset({1}), frozenset({1, 3}), frozenset({2, 4})):
        place = folder / f"{end}-{len(seals)}-{max(seals, default=0)}"
        store = Observations.open(place)
        replay(store, end, seals)
        died(store)
        store = Observations.open(place)
        replay(store, 5)
        for _ in ("in memory", "sealed"):
            assert values(store) == [11.0, 6.0, 5.0], (seals, end)
            assert (store.count(7), store.count(8), store.last([7])) == (
                2,
                1,
                {7: (START + 9 * SECOND_NS, 6.0)},
            )
            store.seal()
        store.close()


def test_a_change_during_a_seal_that_fails_or_seemed_to_is_not_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(folder, sealed=True)
    store.drop(ids=[observation_id(1, 0)], upto=2)
    rewrite = delta.Delta.rewrite

    def broken(self: delta.Delta, *_: object) -> None:
        store.drop(ids=[observation_id(1, 1)], upto=3)
        self._doubt = True
        raise OSError("no disk")

    def doubtful(self: delta.Delta, *wish: object) -> None:
        rewrite(self, *wish)  # type: ignore[arg-type]
        store.drop(ids=[observation_id(1, 3)], upto=4)
        self._doubt = True
        raise OSError("the answer was lost")

    for behaviour, left in ((broken, [3.0, 4.0]), (doubtful, [3.0])):
        monkeypatch.setattr(delta.Delta, "rewrite", behaviour)
        with pytest.raises(OSError, match=r"no disk|the answer was lost"):
            store.seal()
        assert values(store) == left
    monkeypatch.setattr(delta.Delta, "rewrite", rewrite)
    store.seal()
    assert (values(store), store.count(), store.position) == ([3.0], 1, 4)
    assert not store._memory.gone
    assert DeltaTable(folder).to_pyarrow_table().num_rows == 1
    store.close()


def test_merging_meanwhile_brings_nothing_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Observations.open(folder)
    for sequence in range(1, 10):
        store.append(batch(sequence, [(7, sequence, float(sequence))]), sequence)
        store.seal()

    def slow(*wish: object) -> str:
        found = merge.merge(*wish)  # type: ignore[arg-type]
        store.drop(ids=[observation_id(4)], upto=10)
        store.seal()
        return found

    monkeypatch.setattr(observations, "merge", slow)
    assert store.compact() == 0
    assert values(store) == [1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    monkeypatch.undo()
    assert store.compact() > 0
    assert len(values(store)) == 8
    store.close()


def test_a_digest_from_before_a_change_is_not_believed(folder: Path) -> None:
    store = filled(folder, sealed=True)
    store.close()
    assert digest.load(folder) is not None
    store = Observations.open(folder)
    new = Batch.of(id=[observation_id(1, 2)], datastream=[7], time=[START + 2 * SECOND_NS], value=[5.0])
    store.amend(new, 2)
    store.seal()
    died(store)
    store = Observations.open(folder)
    assert store.last([7]) == {7: (START + 2 * SECOND_NS, 5.0)}
    assert store.count() == 4
    store.close()


@SEALED
def test_every_column_comes_back(folder: Path, sealed: bool) -> None:
    store = Observations.open(folder)
    store.append(batch(1, [(7, 0, 1.0)]), 1)
    full = Batch.of(
        id=[observation_id(2, 0), observation_id(2, 1)],
        datastream=[7, 7],
        time=[START, START],
        value=[np.nan, 2.0],
        text=['["a",true]', None],
        end_time=[START + 5_500, NO_END],
        feature=[0, 12],
        marks=[NO_RESULT_TIME, 0],
        extra=[None, '{"parameters":{"a":1}}'],
        keyed=[False, False],
    )
    assert store.append(full, 2).rows == 2
    if sealed:
        store.seal()
    found = store.series([7])
    order = np.argsort(found.id)
    found = found.take(order)
    assert found.text == [None, '["a",true]', None]
    assert found.end_time is not None
    assert found.end_time.tolist() == [NO_END, START + 5_000, NO_END]
    assert found.feature is not None
    assert found.feature.tolist() == [0, 0, 12]
    assert found.marks is not None
    assert found.marks.tolist() == [0, NO_RESULT_TIME, 0]
    assert found.extra == [None, None, '{"parameters":{"a":1}}']
    assert store.spans([7]) == {7: (START, START + 5_000, START, START)}
    store.close()


def test_datastreams_without_a_key_take_every_observation(folder: Path) -> None:
    store = Observations.open(folder)
    mixed = batch(1, [(7, 0, 1.0), (7, 0, 1.0), (8, 0, 1.0), (8, 0, 2.0)], keyed=[True, True, False, False])
    done = store.append(mixed, 1)
    assert (done.rows, done.duplicates, done.conflicts) == (3, 1, ())
    store.append(batch(2, [(8, 0, 2.0), (7, 0, 3.0)], keyed=[False, True]), 2)
    assert values(store) == [1.0, 1.0, 2.0, 2.0]
    store.close()


def test_a_table_of_an_older_version_opens_and_grows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = column.SCHEMA
    for name in ("end_time", "feature", "marks", "extra"):
        older = older.remove(older.get_field_index(name))
    monkeypatch.setattr(delta, "SCHEMA", older)
    table = delta.create(folder)
    rows = column.to_arrow(batch(1, [(7, 0, 1.0), (7, 1, 2.0), (8, 0, 3.0)])).select(older.names[1:])
    day = pa.array([START // DAY_NS] * 3, pa.int32()).view(pa.date32())
    write_deltalake(
        table, rows.add_column(0, "day", day), mode="append", commit_properties=delta.positions(1, 0)
    )
    monkeypatch.undo()

    reader = Observations.open(folder, write=False)
    assert values(reader) == [1.0, 2.0, 3.0]
    reader.close()
    store = Observations.open(folder)
    assert (store.repaired, store.position, store.count()) == ((), 1, 3)
    store.append(batch(2, [(7, 2, 4.0)], feature=[5]), 2)
    store.seal()
    assert store.query("SELECT feature, marks FROM observation ORDER BY id DESC").to_pylist()[:2] == [
        {"feature": 5, "marks": 0},
        {"feature": None, "marks": 0},
    ]
    store.drop(ids=[observation_id(1, 0)], upto=3)
    store.seal()
    died(store)
    store = Observations.open(folder)
    assert (store.repaired, values(store)) == ((), [2.0, 4.0, 3.0])
    assert store.spans([7]) == {7: (START + SECOND_NS, START + 2 * SECOND_NS) * 2}
    store.close()
    files = [str(path) for path in folder.glob("day=*/*.parquet")]
    assert duckdb.sql(
        "SELECT count(*) FROM read_parquet($files, union_by_name = true)", params={"files": files}
    )
