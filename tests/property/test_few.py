"""Few rows are looked at in another way than many: both say the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nervure.core.columnar import endless, every, least, most, only, some
from nervure.core.event import NEVER, Hold, Persistence
from nervure.core.group import Groups, gathered, grouped
from nervure.score.track import Track

ROWS = st.integers(1, 5) | st.integers(60, 70)


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.02, 0.5, 1.0]))
def test_flags_and_edges_are_those_that_numpy_finds(rows: int, seed: int, share: float) -> None:
    noise = np.random.default_rng(seed)
    flags = noise.random(rows) < share
    column = noise.integers(-(1 << 62), 1 << 62, rows)
    assert every(flags) == flags.all()
    assert some(flags) == flags.any()
    assert (least(column), most(column)) == (column.min(), column.max())
    shown = endless(column[0])[:rows]
    assert only(shown) == column[0]
    assert (shown == column[0]).all()


def _rows(groups: Groups, place: NDArray[np.int64]) -> dict[int, list[int]]:
    """The rows of each place, in the order in which they come."""
    bounds = zip(groups.starts, groups.ends, strict=True)
    return {int(place[groups.order[start]]): groups.order[start : end + 1].tolist() for start, end in bounds}


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(0, 2**32 - 1), st.booleans())
def test_what_is_gathered_is_grouped_in_another_order(rows: int, seed: int, apart: bool) -> None:
    noise = np.random.default_rng(seed)
    place = noise.permutation(1000)[:rows] if apart else noise.integers(0, 40, rows)
    time = noise.integers(0, 50, rows)
    found, known = gathered(place), grouped(place)
    pairs = [_rows(one, place) for one in (found, known)]
    assert pairs[0] == pairs[1]
    assert found.counts.tolist() == [len(pairs[1][int(place[found.order[start]])]) for start in found.starts]
    assert found.rising(time) == known.rising(time)
    assert found.of(place)[found.fresh].tolist() == list(pairs[0])
    assert (found.back(found.of(place)) == place).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_a_track_that_runs_says_what_its_steps_say(seed: int, streams: int) -> None:
    noise = np.random.default_rng(seed)
    runs, steps = Track(streams), Track(streams)
    for _ in range(6):
        there = noise.permutation(streams)[: int(noise.integers(1, streams + 1))]
        time = noise.integers(0, 40, len(there))
        value = noise.integers(0, 3, len(there)).astype(np.float64)
        before = runs.state()
        found = runs.run(there, time, value)
        if found is None:
            assert runs.state() == before
            assert not (time > steps.time[there]).all()
            runs.step(there, time, value)
            steps.step(there, time, value)
            continue
        known = steps.step(there, time, value)
        assert [getattr(found, name).tolist() for name in ("newer", "fresh", "flat_ns")] == [
            getattr(known, name).tolist() for name in ("newer", "fresh", "flat_ns")
        ]
        assert runs.state() == steps.state()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_idle_is_known_after_every_step_and_start(seed: int) -> None:
    noise = np.random.default_rng(seed)
    hold = Hold(4, Persistence(hold_ns=3, gap_ns=2, hole_ns=9))
    for time in range(12):
        there = noise.permutation(4)[: int(noise.integers(1, 5))]
        hold.step(there, np.full(len(there), time), noise.random(len(there)) < 0.3)
        if noise.random() < 0.2:
            state = hold.state()
            hold = Hold(4, hold.span)
            assert hold.idle(there)
            hold.restore(state)
        for some_ in ([0], [1, 2], [0, 1, 2, 3]):
            quiet = (hold.since[some_] == NEVER).all() and not hold.active[some_].any()
            assert hold.idle(np.array(some_)) == quiet
