"""The recordings that solutions learn from, as they really are."""

from __future__ import annotations

import numpy as np
import pytest

from nervure.core.case import asked, channels, reach
from nervure.core.problem import Classify, RemainingLife
from nervure.learn.detect.record import Record, divide, records
from nervure.learn.detect.whole import windows
from nervure.solutions import find

pytestmark = pytest.mark.real

RECORDED = {"machine": (1416, 1416), "health": (4505, 38), "structure": (699, 100)}


@pytest.fixture(name="opened", params=RECORDED, scope="module")
def _opened(request: pytest.FixtureRequest) -> tuple[str, tuple[Record, ...]]:
    return str(request.param), records(find(str(request.param)))


def test_recordings_are_what_they_are_said_to_be(opened: tuple[str, tuple[Record, ...]]) -> None:
    name, found = opened
    solution = find(name)
    problem = solution.problems[0]
    assert isinstance(problem, RemainingLife | Classify)
    assert (len(found), len({one.block.group for one in found})) == RECORDED[name]
    assert all(set(channels(problem)) <= set(one.block.channels) for one in found)
    assert sum(int(np.isnan(one.block.value).sum()) for one in found) == 0  # nothing is out of range
    if isinstance(problem, Classify):
        assert {one.truth for one in found} == set(problem.classes)


def test_no_group_is_on_two_sides(opened: tuple[str, tuple[Record, ...]]) -> None:
    _, found = opened
    split = divide(found)
    sides = [
        {found[row].block.group for row in rows.tolist()}
        for rows in (split.train, split.validation, split.test)
    ]
    assert sum(len(one) for one in sides) == len(set.union(*sides))
    assert len(split.train) + len(split.validation) + len(split.test) == len(found)


def test_nearly_everything_that_happens_wakes(opened: tuple[str, tuple[Record, ...]]) -> None:
    name, found = opened
    solution = find(name)
    problem = solution.problems[0]
    assert isinstance(problem, RemainingLife | Classify)
    length = reach(solution, problem)
    if isinstance(problem, RemainingLife):
        assert len(windows(problem, found[:20], length)) == 20
        return
    odd = [one for one in found if not one.whole]
    woken = [len(asked(problem, one.block.value, length)) > 0 for one in odd]
    assert np.mean(woken) > 0.995
