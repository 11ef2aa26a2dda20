"""Files as they are sealed: what they hold, what they lack, and the digest that memory makes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from nervure.core.instant import SECOND_NS
from nervure.core.observation import NO_RESULT_TIME, Batch
from nervure.store import observations
from nervure.store.column import COLUMNS, RARE, SCHEMA
from nervure.store.digest import digest, load
from nervure.store.gone import NOTHING
from nervure.store.look import summary
from nervure.store.observations import Observations
from nervure.store.seal import files
from tests.reading import START

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bounded": {"low": 0.5, "high": 9.5},
    "worded": {"text": True},
    "whole": {"low": 0.5, "text": True, "end_time": True, "feature": 3, "extra": True},
    "about something": {"feature": 3},
}


def rows(kind: str, position: int, hour: int | None = None, count: int = 40) -> Batch:
    """Rows of four Datastreams in a message; of a kind every other row has what the kind is about."""
    made, number = KINDS[kind], np.arange(count)
    some = number % 2 == 0
    time = START + number * SECOND_NS + (position if hour is None else hour) * 3_600 * SECOND_NS
    said = [f'"{one}"' if one % 2 == 0 else None for one in range(count)]
    found = Batch.of(
        id=(position << 16) + number,
        datastream=7 + number % 4,
        time=time,
        value=np.where(some, np.nan, number * 1.5) if "text" in made else number * 1.5,
        result_time=time - 5 * SECOND_NS if kind == "bounded" else None,
        marks=np.full(count, NO_RESULT_TIME) if kind == "plain" else None,
        low=np.where(some, made["low"], np.nan) if "low" in made else None,
        high=np.where(some, made["high"], np.nan) if "high" in made else None,
        end_time=np.where(some, time + 9 * SECOND_NS, np.iinfo(np.int64).min) if "end_time" in made else None,
        feature=np.where(some, made["feature"], 0) if "feature" in made else None,
    )
    return msgspec.structs.replace(
        found,
        text=said if "text" in made else None,
        extra=[None if one is None else '{"parameters":{}}' for one in said] if "extra" in made else None,
    )


def same(found: Batch, wanted: Batch) -> bool:
    """Whether two batches show the same, however their columns are kept."""
    for name in COLUMNS.names:
        one, other = getattr(found, name), getattr(wanted, name)
        if name in {"text", "extra"}:
            equal = list(one or [None] * len(found)) == list(other or [None] * len(wanted))
        else:
            none = {"end_time": np.iinfo(np.int64).min}.get(name, 0)
            one, other = ([none] * len(wanted) if had is None else had for had in (one, other))
            equal = np.array_equal(one, other, equal_nan=name in {"value", "low", "high"})
        if not equal:
            return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_sealed_file_lacks_what_no_row_has_and_delta_is_told(tmp_path: Path, kind: str) -> None:
    batch = rows(kind, 1)
    batch = batch.take(np.lexsort((batch.time, batch.datastream)))
    (made,) = files(batch, lambda day: tmp_path / str(day) / "part.parquet", tmp_path)
    schema = pq.read_schema(made.path)
    lacking = {name for name in RARE if name not in schema.names}
    had: dict[str, set[str]] = {
        "plain": set(),
        "bounded": {"low", "high"},
        "worded": {"text"},
        "about something": {"feature"},
    }
    wanted = had.get(kind, {"low", "text", "end_time", "feature", "extra"})
    assert lacking == set(RARE) - wanted - {"marks"}
    counted = json.loads(made.statistics)["nullCount"]
    assert counted == {"marks": 0} | dict.fromkeys(lacking, len(batch))
    assert not schema.field("time").nullable
    assert schema.field("value").nullable == ("text" in KINDS[kind])


def test_files_that_lack_something_are_read_merged_and_reopened_beside_others(tmp_path: Path) -> None:
    folder = tmp_path / "observations"
    store = Observations.open(folder)
    made = [rows(kind, position) for position, kind in enumerate([*KINDS, *KINDS], 1)]
    for position, batch in enumerate(made, 1):
        store.append(batch, position)
        assert store.seal() == len(batch)
    wanted = Batch.concat([msgspec.structs.replace(one, keyed=None) for one in made])
    wanted = wanted.take(np.lexsort((wanted.id, wanted.result_time, wanted.time, wanted.datastream)))
    streams = [7, 8, 9, 10]
    for step in ("sealed", "merged", "opened again"):
        if step == "merged":
            assert store.compact() > 0
        if step == "opened again":
            store.close()
            store = Observations.open(folder)
        assert same(store.series(streams), wanted), step
        assert store.count() == len(wanted)
        theirs = DeltaTable(folder).to_pyarrow_table()  # as anybody reads the table
        assert theirs.schema.names == SCHEMA.names
        assert sorted(theirs["id"].to_pylist()) == sorted(wanted.id.tolist())
        assert theirs["low"].null_count == np.isnan(wanted.low).sum()
    store.drop(features=[3], upto=len(made) + 1)
    store.seal()
    left = wanted.take(wanted.feature != 3 if wanted.feature is not None else np.ones(len(wanted), np.bool_))
    assert same(store.series(streams), left)
    store.close()


def test_the_digest_that_memory_makes_is_that_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observations, "SPARE_ROWS", 2)
    store = Observations.open(tmp_path / "observations")
    for position, kind in enumerate(KINDS, 1):
        store.append(rows(kind, position), position)
        store.seal()
    store.append(rows("whole", len(KINDS) + 1, hour=0), len(KINDS) + 1)  # late, and in no file yet
    store.compact()
    assert load(store.folder) is None
    store.seal()
    found = load(store.folder)
    assert found is not None
    view = store._files(store._shelf)
    assert store._memory.gone == NOTHING
    assert (found.position, found.rows) == (len(KINDS) + 1, 40 * (len(KINDS) + 1))
    for name in type(found.summary).__struct_fields__:
        mine, theirs = getattr(found.summary, name), getattr(summary(view), name)
        assert np.array_equal(mine, theirs, equal_nan=name == "value"), name
    assert digest(view, found.position, found).rows == found.rows
    store.append(rows("whole", len(KINDS) + 2), len(KINDS) + 2)
    store.seal()
    store.compact()  # nothing waits: memory knows what the files hold
    again = load(store.folder)
    assert again is not None
    assert (again.position, again.rows) == (len(KINDS) + 2, found.rows + 40)
    store.close()
