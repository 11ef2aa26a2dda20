"""Stages: no reading sees what came after it in the log, and each sees what came before."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nervure.score.order import PLAIN, SHARED, stages

ROLES = {0: (0, True), 1: (1, True), 2: (0, False), 3: (1, False), 4: (SHARED, False), 5: (PLAIN, False)}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(sorted(ROLES)), max_size=30))
def test_stages_give_each_target_what_came_before_it_and_no_more(streams: list[int]) -> None:
    node = np.array([ROLES[one][0] for one in streams], dtype=np.int64)
    target = np.array([ROLES[one][1] for one in streams], dtype=bool)
    cut = stages(np.array(streams, dtype=np.int64), node, target)
    level = {int(row): number for number, rows in enumerate(cut) for row in rows}
    assert sorted(level) == list(range(len(streams)))
    for rows in cut:
        held = [streams[row] for row in rows]
        assert len(set(held)) == len(held)
    for later in range(len(streams)):
        for earlier in range(later):
            same = streams[earlier] == streams[later]
            feeds = not target[earlier] and target[later] and node[earlier] in {SHARED, node[later]}
            fed = target[earlier] and not target[later] and node[later] in {SHARED, node[earlier]}
            if same:
                assert level[earlier] < level[later]
            if feeds:
                assert level[earlier] <= level[later]
            if fed:
                assert level[earlier] < level[later]


def test_streams_without_a_model_need_no_more_stages_than_readings_of_one() -> None:
    rows = stages(np.array([1, 2, 1, 3]), np.full(4, PLAIN), np.zeros(4, dtype=bool))
    assert [one.tolist() for one in rows] == [[0, 1, 3], [2]]
