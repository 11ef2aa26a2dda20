"""Splits of detection: what belongs together stays together, and what leaks is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nervure.core.error import DataError, LeakError
from nervure.learn.detect import body, machine, structure
from nervure.learn.detect.block import Block, merged, runs, unite
from nervure.learn.detect.fold import deal, folds, leave_one_out, stretches
from nervure.learn.split import Split
from tests import made_detect


@pytest.fixture(name="data", scope="module")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_detect.write(tmp_path_factory.mktemp("detect"))


def _apart(splits: tuple[Split, ...], groups: list[str]) -> None:
    """No group is in two parts of a split, and every row is tested exactly once."""
    tested = np.sort(np.concatenate([one.test for one in splits]))
    assert tested.tolist() == list(range(len(groups)))
    for one in splits:
        parts = [{groups[row] for row in part} for part in (one.train, one.validation, one.test)]
        assert not (parts[0] & parts[1]) | (parts[0] & parts[2]) | (parts[1] & parts[2])
        assert not one.leaky


def test_every_set_of_records_is_split_by_what_it_was_taken_from(data: Path) -> None:
    recordings = machine.cwru(data)
    _apart(machine.bearing_folds(recordings, 3), [one.block.group for one in recordings])
    bearings = machine.pronostia(data)
    _apart(leave_one_out([one.block.group for one in bearings]), [one.block.group for one in bearings])
    frames = structure.peer(data)
    _apart(structure.motion_folds(frames), [one.block.group for one in frames])
    found = structure.lanl(data)
    _apart(structure.lanl_folds(found, 3), list(found.stretch))
    motions = body.sisfall(data)
    _apart(body.subject_folds(motions, 3), [one.block.group for one in motions])


def test_folds_are_dealt_evenly_by_kind_and_the_same_each_time(data: Path) -> None:
    recordings = machine.cwru(data)
    for one in machine.bearing_folds(recordings, 3):
        assert sorted({recordings[row].fault for row in one.test}) == ["B", "IR", "OR"]
    first, second = (machine.bearing_folds(recordings, 3, seed=7) for _ in range(2))
    assert [one.test.tolist() for one in first] == [one.test.tolist() for one in second]
    other = machine.bearing_folds(recordings, 3, seed=8)
    assert [one.test.tolist() for one in first] != [one.test.tolist() for one in other]


def test_windows_that_overlap_are_not_dealt_at_random() -> None:
    with pytest.raises(LeakError, match="windows of 64 rows that start 32 rows apart overlap"):
        deal(640, window=64, step=32)
    assert deal(640, window=64, step=32, allow_leaky=True).leaky
    assert not deal(640, window=64, step=64).leaky


def test_a_severity_that_is_tested_was_never_seen(data: Path) -> None:
    frames = structure.peer(data)
    split = structure.unseen_severity(frames, seen=0.8)
    assert {frames[row].left for row in split.train} == {1.0, 0.8}
    assert {frames[row].left for row in split.validation} == {1.0, 0.8}
    assert {frames[row].left for row in split.test} == {1.0, 0.9}
    motions = [{frames[row].block.group for row in part} for part in (split.train, split.test)]
    assert not motions[0] & motions[1]
    with pytest.raises(DataError, match=r"no run has 0\.7"):
        structure.unseen_severity(frames, seen=0.7)


def test_engines_for_choosing_are_not_those_for_fitting(data: Path) -> None:
    fleet = machine.cmapss("FD001", data)
    fit, choose = fleet.validation(0.3, seed=1)
    assert sorted([*fit, *choose]) == list(range(6))
    assert len(choose) == 2
    with pytest.raises(DataError, match="a share of 1"):
        fleet.validation(1.0)


def test_what_cannot_be_folded() -> None:
    with pytest.raises(DataError, match="2 folds leave no part"):
        folds(["a", "b", "c"], 2)
    with pytest.raises(DataError, match="2 groups cannot be dealt"):
        folds(["a", "b"], 3)
    with pytest.raises(DataError, match="group 'a' is of two strata"):
        folds(["a", "a", "b", "c"], 3, stratum=["x", "y", "x", "x"])


def test_stretches_never_hold_two_labels() -> None:
    label = [0] * 20 + [1] * 50 + [0] * 9 + [1] * 30 + [0] * 60
    names = stretches(label, 10)
    sizes = [names.count(one) for one in dict.fromkeys(names)]
    assert sizes == [10] * 7 + [9] + [10] * 9
    assert all(len({label[row] for row in range(169) if names[row] == one}) == 1 for one in set(names))


def test_blocks_say_what_does_not_fit() -> None:
    def block(**other: object) -> Block:
        plain = {
            "name": "a",
            "channels": ("x",),
            "value": np.zeros((3, 1)),
            "time": np.arange(3),
            "every_ns": 1,
        }
        return Block(**{**plain, **other})  # type: ignore[arg-type]

    with pytest.raises(DataError, match=r"a: values of \(2, 1\)"):
        block(value=np.zeros((2, 1)))
    with pytest.raises(DataError, match="a: 2 labels for 3 rows"):
        block(label=np.zeros(2, np.int8))
    with pytest.raises(DataError, match="no block was given"):
        unite([])
    with pytest.raises(DataError, match="b has other channels than a"):
        unite([block(), block(name="b", channels=("y",))])
    odd = block(label=np.array([0, 1, 1], np.int8))
    assert odd.events.tolist() == [[1, 3]]
    assert odd.part(1).events.tolist() == [[0, 2]]
    assert block().events.tolist() == []


def test_runs_and_what_is_merged() -> None:
    assert runs(np.zeros(3, bool)).shape == (0, 2)
    assert runs(np.ones(3, bool)).tolist() == [[0, 3]]
    assert merged(np.empty((0, 2), np.int64), 5).shape == (0, 2)
    assert merged(np.array([[0, 1], [2, 3], [4, 5]]), 0).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert merged(np.array([[0, 1], [2, 3], [4, 5]]), 1).tolist() == [[0, 5]]
