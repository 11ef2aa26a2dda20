"""No split lets the train part, its targets or what is computed from it, touch validation or test."""

from __future__ import annotations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nervure.core.window import Table
from nervure.learn.baseline import Profile, middle
from nervure.learn.lag import spans
from nervure.learn.split import Part, Split, allowed, by_group, by_random, by_time, check
from nervure.learn.task import samples, truth, windows
from tests.series import weekly_task

OTHERS: tuple[Part, Part] = ("validation", "test")


@st.composite
def _splits(draw: st.DrawFn) -> tuple[Split, int]:
    """Parts in time, or blocks dealt to the parts in any order, with rows that belong to nobody."""
    length = draw(st.integers(20, 120))
    if draw(st.booleans()):
        one = draw(st.integers(4, length - 8))
        two = draw(st.integers(one + 4, length - 2))
        return by_time((0, one, two, length), purge=draw(st.integers(0, 3))), length
    owner = np.repeat(draw(st.lists(st.integers(0, 3), min_size=length, max_size=length)), 5)[:length]
    parts = [np.flatnonzero(owner == part) for part in range(3)]
    return Split(train=parts[0], validation=parts[1], test=parts[2], how="blocks"), length


@given(_splits(), st.integers(1, 8), st.integers(1, 5))
@settings(max_examples=150, deadline=None)
def test_samples_stay_in_their_part(made: tuple[Split, int], window: int, horizon: int) -> None:
    split, length = made
    check(split)
    foreign = {int(row) for part in OTHERS for row in split.rows(part)}
    for last in allowed(split, "train", length, window=window, horizon=horizon):
        assert not foreign & set(range(int(last) - window + 1, int(last) + horizon + 1))
    for part in ("train", *OTHERS):
        own = set(split.rows(part).tolist())
        for last in allowed(split, part, length, window=window, horizon=horizon):
            assert set(range(int(last) + 1, int(last) + horizon + 1)) <= own
            assert last - window + 1 >= 0
            assert last + horizon < length


@given(_splits(), st.integers(1, 8), st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_no_sample_that_may_be_used_is_left_out(made: tuple[Split, int], window: int, horizon: int) -> None:
    split, length = made
    rows = set(split.test.tolist())
    wanted = [
        last
        for last in range(window - 1, length - horizon)
        if set(range(last + 1, last + horizon + 1)) <= rows
    ]
    assert allowed(split, "test", length, window=window, horizon=horizon).tolist() == wanted


@given(st.lists(st.sampled_from("abcdef"), min_size=6, max_size=60))
@settings(max_examples=50, deadline=None)
def test_a_group_is_in_one_part(groups: list[str]) -> None:
    groups += list("abcdef")
    split = by_group(groups, validation=["b"], test=["c", "d"])
    held = [{groups[row] for row in split.rows(part)} for part in ("train", *OTHERS)]
    assert held == [{"a", "e", "f"}, {"b"}, {"c", "d"}]
    assert sum(len(split.rows(part)) for part in ("train", *OTHERS)) == len(groups)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_windows_dealt_at_random_share_no_row(length: int, gap: int, seed: int) -> None:
    starts = np.arange(40) * (length + gap - 1)
    split = by_random(starts, length, seed=seed)
    held = [
        {row for start in starts[split.rows(part)] for row in range(start, start + length)}
        for part in ("train", *OTHERS)
    ]
    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]


@given(st.floats(-1e6, 1e6), st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_what_is_computed_from_the_train_part_knows_no_other(poison: float, seed: int) -> None:
    task = weekly_task(seed=seed)
    value = task.table.value.copy()
    value[np.r_[task.split.validation, task.split.test]] = poison
    table = Table(
        streams=task.table.streams, first=task.table.first, every_ns=task.table.every_ns, value=value
    )
    other = msgspec.structs.replace(task, table=table)
    chosen, same = samples(task, "train"), samples(other, "train")
    assert np.array_equal(chosen.last, same.last)
    few = chosen.take(slice(0, None, 37))
    assert np.array_equal(truth(task, few), truth(other, few), equal_nan=True)
    assert np.array_equal(windows(task, few).x, windows(other, few).x, equal_nan=True)
    assert np.array_equal(middle(task), middle(other))
    for one, two in zip(spans(task, task.channels), spans(other, task.channels), strict=True):
        assert np.array_equal(one, two)
    node = np.arange(task.nodes)
    days = np.zeros((task.nodes, 168, 4), dtype=np.int64)
    days[:, :, 3] = np.arange(168)
    days[:, :, 0] = np.arange(168) % 24
    assert np.array_equal(Profile(task).at(node, days), Profile(other).at(node, days))
