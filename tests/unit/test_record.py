"""Recordings of one's own: a file of a row a reading becomes recordings, split by what belongs together."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from nervure.core.declaration import Signal, Solution, Source, validate
from nervure.core.error import DataError, DeclarationError
from nervure.core.problem import Classify, RemainingLife, Wake
from nervure.learn.dataset import load
from nervure.learn.detect.record import divide, records
from nervure.learn.detect.whole import plain, windows
from nervure.solutions import find
from tests.recorded import write

PUMPS = """pump,run,hours,vibration,heat,left
A,1,1,0.5,20,
A,1,2,0.6,21,
A,1,3,,22,
B,1,1,0.5,20,7
B,1,2,0.6,990,7
"""


def solution(**more: object) -> Solution:
    source = Source(
        folder="own", files=("pumps.csv",), layout="runs", thing="pump",
        columns={"hours": "hours", "vibration": "vibration", "heat": "heat"}, units={"vibration": "mm/s"},
    )  # fmt: skip
    return validate(
        Solution(
            name="pumps", title="Pumps", thing="pump",
            signals=(
                Signal(name="vibration", unit="m/s", every="1h"),
                Signal(name="heat", unit="Cel", every="1h", low=-40, high=200),
                Signal(name="hours", unit="1", every="1h"),
            ),
            problems=(RemainingLife(of=("vibration", "heat"), age="hours", window=2, clip=50.0),),
            data=msgspec.structs.replace(source, **more),
        )
    )  # fmt: skip


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "pumps.csv").write_text(PUMPS)
    return tmp_path


def test_a_file_becomes_recordings(folder: Path) -> None:
    one, other = records(solution(), folder)
    assert (one.block.group, other.block.group, one.left, other.left) == ("A", "B", 0.0, 7.0)
    assert one.block.channels == ("hours", "vibration", "heat")
    np.testing.assert_allclose(one.block.value[:, 1], [0.0005, 0.0006, np.nan])
    assert np.isnan(other.block.value[1, 2])  # 990 degrees are out of range
    found = windows(solution().problems[0], [one, other], 2)  # type: ignore[arg-type]  # it is a life's
    np.testing.assert_allclose(found.x[1, :, 2], [1.0, 2.0])


def test_lives_are_learnt_from_new_on(folder: Path) -> None:
    text = PUMPS.replace("A,1,1,", "A,1,5,")
    (folder / "own" / "pumps.csv").write_text(text)
    problem = solution().problems[0]
    assert isinstance(problem, RemainingLife)
    with pytest.raises(DataError, match="does not count its rows from 1"):
        plain(problem, records(solution(), folder))


def test_what_cannot_be_opened_says_so(folder: Path) -> None:
    with pytest.raises(DataError, match="are not here"):
        records(solution(files=("gone.csv",)), folder)
    with pytest.raises(DeclarationError, match="nothing opens recordings by 'gone'"):
        records(solution(prepare="gone"), folder)
    with pytest.raises(DataError, match="names no recordings"):
        records(find("water"), folder)
    with pytest.raises(DataError, match="recordings, which no table holds"):
        load(solution(), folder)


def test_a_set_that_says_what_tests_it_is_not_dealt_again(tmp_path: Path) -> None:
    machine = find("machine")
    write(machine, tmp_path)
    found = records(machine, tmp_path)
    split = divide(found)
    assert {found[row].part for row in split.test.tolist()} == {"test"}
    assert {found[row].part for row in (*split.train.tolist(), *split.validation.tolist())} == {""}
    assert len(split.validation) == 8


def test_a_class_that_was_not_declared_is_refused(tmp_path: Path) -> None:
    from nervure.learn.detect.course import course
    from tests.tiny import KEY

    health = find("health")
    write(health, tmp_path)
    found = [msgspec.structs.replace(one, truth="trip") for one in records(health, tmp_path)]
    problem = health.problems[0]
    assert isinstance(problem, Classify)
    with pytest.raises(DataError, match="trip is new, daily is missing, fall is missing"):
        course(health, problem, found, key=KEY)
    deaf = msgspec.structs.replace(problem, wake=Wake(of=problem.of, above=99.0))
    with pytest.raises(DataError, match="no window of the recordings"):
        course(health, deaf, found, key=KEY)
    odd = msgspec.structs.replace(problem, model="gone")
    with pytest.raises(DeclarationError, match="no model of classes is called 'gone'"):
        course(health, odd, records(health, tmp_path), key=KEY)
