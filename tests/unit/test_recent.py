"""Pages out of memory: the same rows as sorting everything would give, or none at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nervure.core.observation import NO_END, Batch, observation_id
from nervure.store import memory
from nervure.store.observations import Observations
from nervure.store.recent import Near, Recent

MS = 1_000_000


def _some(seed: int, rows: int, first: int) -> Batch:
    random = np.random.default_rng(seed)
    time = random.integers(0, 30, rows) * MS
    end = np.where(random.random(rows) < 0.3, time + random.integers(0, 3, rows) * MS, NO_END)
    return Batch.of(
        id=observation_id(first) + np.arange(rows),
        datastream=random.integers(1, 4, rows),
        time=time,
        value=random.random(rows),
        end_time=end if seed % 2 else None,
        keyed=np.zeros(rows, np.bool_),
    )


def _sorted(rows: Batch, wanted: Near) -> list[int]:
    """Say by plain Python which ids a page has."""
    ends = [NO_END] * len(rows) if rows.end_time is None else rows.end_time.tolist()
    keys = [
        (time, time if end == NO_END else end, one) if wanted.ends else (time, one)
        for stream, time, end, one in zip(
            rows.datastream.tolist(), rows.time.tolist(), ends, rows.id.tolist(), strict=True
        )
        if stream == wanted.datastream
    ]
    keys.sort(reverse=wanted.falling)
    if wanted.after is not None:
        keys = [key for key in keys if (key < wanted.after if wanted.falling else key > wanted.after)]
    return [key[-1] for key in keys[: wanted.rows]]


def _walk(store: Observations, rows: Batch, *, falling: bool, ends: bool, every: int) -> int:
    """Page through a Datastream to its end; return how many pages memory had."""
    after, pages = None, 0
    for _ in range(len(rows)):
        wanted = Near(datastream=2, rows=every, falling=falling, ends=ends, after=after)
        expected = _sorted(rows, wanted)
        found = store.near(wanted, deep=False)
        if found is not None:
            pages += 1
            assert found.id.tolist() == expected
        if not expected:
            return pages
        last = rows.take(rows.id == expected[-1])
        time, one = int(last.time[0]), expected[-1]
        end = time if last.end_time is None or last.end_time[0] == NO_END else int(last.end_time[0])
        after = (time, end, one) if ends else (time, one)
    return pages


@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_pages_out_of_memory_are_those_of_all_rows(tmp_path: Path, falling: bool, ends: bool) -> None:
    store = Observations.open(tmp_path)
    parts = []
    for number in range(1, 9):
        parts.append(_some(number, 40, number))
        store.append(parts[-1], number)
        if number % 3:
            store.seal()
    assert _walk(store, Batch.concat(parts), falling=falling, ends=ends, every=7) > 10
    store.close()


@pytest.mark.parametrize("falling", [False, True])
def test_what_has_left_memory_is_not_answered_from_it(
    tmp_path: Path, falling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "RECENT_ROWS", 100)
    store = Observations.open(tmp_path)
    parts = []
    for number in range(1, 9):
        rows = _some(number, 40, number)
        parts.append(Batch.of(
            id=rows.id, datastream=rows.datastream, time=rows.time + number * 10 * MS, value=rows.value,
            end_time=rows.end_time, keyed=rows.keyed,
        ))  # fmt: skip
        store.append(parts[-1], number)
        store.seal()
    pages = _walk(store, Batch.concat(parts), falling=falling, ends=True, every=5)
    assert 0 < pages < 20
    store.close()


def test_the_newest_rows_come_back_to_hand_after_a_restart(tmp_path: Path) -> None:
    store = Observations.open(tmp_path)
    rows = _some(3, 2000, 1)
    rows = Batch.of(id=rows.id, datastream=rows.datastream, time=np.arange(2000) * MS, value=rows.value)
    store.append(rows, 1)
    store.seal()
    store.close()
    store = Observations.open(tmp_path)
    wanted = Near(datastream=2, rows=3, falling=True)
    assert store.near(wanted, deep=False) is None
    for deep in (True, False):
        found = store.near(wanted, deep=deep)
        assert found is not None
        assert found.id.tolist() == _sorted(rows, wanted)
    gone = _sorted(rows, wanted)[0]
    store.drop(ids=[gone], upto=2)
    found = store.near(wanted, deep=False)
    assert found is not None
    assert found.id.tolist() == _sorted(rows.take(rows.id != gone), wanted)
    assert len(store.series([2])) == int((rows.datastream == 2).sum()) - 1
    store.seal()
    store.append(Batch.of(id=[observation_id(3)], datastream=[2], time=[5000 * MS], value=[1.0]), 3)
    newest = store.near(Near(datastream=2, rows=2, falling=True), deep=False)
    assert newest is not None
    assert newest.id.tolist()[0] == observation_id(3)
    store.close()


def test_small_parts_are_merged_and_the_oldest_leave() -> None:
    recent, left = Recent(), 0
    for number in range(1, 300):
        left += sum(map(len, recent.add(_some(number, 10, number), 1600)))
    assert len(list(recent)) < 30
    kept = sum(map(len, recent))
    assert kept <= 1600
    assert kept + left == 2990
