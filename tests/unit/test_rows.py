"""Readings of a Thing side by side: machines that are replaced, clocks that jump, packs that come late."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from nervure.core.case import asked, channels, reach
from nervure.core.declaration import Solution, validate
from nervure.core.error import DeclarationError
from nervure.core.problem import Classify, Wake
from nervure.score.rows import Course, Rows, Tape
from nervure.solutions import find

HOUR = 3_600_000_000_000
Floats = NDArray[np.float64]
MOTION = Classify(
    what="motion", of=("a", "b"), window="5s", wake=Wake(of=("a",), above=2.0), classes=("x", "y"), model=""
)


def put(rows: Rows, channel: int, slots: list[int], values: list[float], every: int = HOUR) -> None:
    rows.put(channel, np.array(slots, dtype=np.int64) * every, np.array(values))


def course() -> Course:
    """Return rows of a sensor and the number of the row, shown three at a time."""
    return Course(2, 3, HOUR)


def test_a_row_waits_for_its_channels_and_no_longer() -> None:
    rows = course()
    put(rows, 0, [10], [1.0])
    assert rows.ready() is None
    put(rows, 1, [10], [1.0])
    found = rows.ready()
    assert found is not None
    np.testing.assert_array_equal(found.x[0], [[np.nan, np.nan], [np.nan, np.nan], [1.0, 1.0]])
    assert found.time.tolist() == [10 * HOUR]
    put(rows, 1, [10], [7.0])  # it is over
    assert rows.ready() is None


def test_rows_are_counted_and_not_timed() -> None:
    rows = course()
    for turn, slot in enumerate((10, 400, 401)):
        put(rows, 0, [slot], [float(turn)])
        put(rows, 1, [slot], [turn + 1.0])
        found = rows.ready()
    assert found is not None
    assert found.x[0, :, 0].tolist() == [0.0, 1.0, 2.0]


def test_another_machine_is_not_told_by_the_one_before() -> None:
    rows = course()
    put(rows, 0, [1, 2, 3], [5.0, 6.0, 7.0])
    put(rows, 1, [1, 2, 3], [90.0, np.nan, 92.0])
    found = rows.ready()
    assert found is not None
    assert found.x[-1, :, 1].tolist() == [90.0, 91.0, 92.0]
    put(rows, 0, [4], [0.5])
    put(rows, 1, [4], [1.0])
    found = rows.ready()
    assert found is not None
    np.testing.assert_array_equal(found.x[0], [[np.nan, np.nan], [np.nan, np.nan], [0.5, 1.0]])


def test_a_dead_channel_is_waited_for_once() -> None:
    rows = course()
    answered = 0
    for slot in range(1, 15):
        put(rows, 1, [slot], [float(slot)])
        found = rows.ready()
        answered += 0 if found is None else len(found.time)
        assert answered == (0 if slot < 9 else slot)
    put(rows, 0, [15], [3.0])  # it is alive again
    put(rows, 1, [15], [15.0])
    found = rows.ready()
    assert found is not None
    assert found.x[-1, -1].tolist() == [3.0, 15.0]


def tape() -> Tape:
    return Tape(MOTION, 5, HOUR)


def value(rows: int, *peaks: int) -> Floats:
    found = np.ones((rows, 2))
    found[list(peaks), 0] = 9.0
    return found


def test_a_window_is_asked_about_where_something_wakes_it() -> None:
    whole = value(20, 6, 17)
    rows, shown = tape(), []
    for start in range(0, 20, 4):
        slots = list(range(100 + start, 104 + start))
        for channel in range(2):
            put(rows, channel, slots, whole[start : start + 4, channel].tolist())
            found = rows.ready()
            if found is not None:
                shown += list(zip(found.time // HOUR, found.issued // HOUR, strict=True))
    assert asked(MOTION, whole, 5).tolist() == [8, 19]
    assert shown == [(106, 108), (117, 119)]


def test_gaps_are_borne_to_a_tenth() -> None:
    whole = value(12, 6)
    whole[5, 1] = np.nan
    assert asked(MOTION, whole, 5).tolist() == [8]
    whole[7, 1] = np.nan
    assert asked(MOTION, whole, 5).tolist() == []


def test_a_clock_that_jumps_begins_anew() -> None:
    rows = tape()
    for begin in (0, 10**5):
        whole = value(12, 6)
        for channel in range(2):
            put(rows, channel, list(range(begin, begin + 12)), whole[:, channel].tolist())
        found = rows.ready()
        assert found is not None
        assert found.time.tolist() == [(begin + 6) * HOUR]
    put(rows, 0, [5], [9.0])
    assert rows.ready() is None
    assert len(rows.state()[1]["tail"]) == 0


def test_packs_of_one_channel_may_come_long_before_the_others() -> None:
    whole, rows = value(3000, 2500), tape()
    put(rows, 0, list(range(3000)), whole[:, 0].tolist())
    assert rows.ready() is None
    put(rows, 1, list(range(3000)), whole[:, 1].tolist())
    found = rows.ready()
    assert found is not None
    assert found.time.tolist() == [2500 * HOUR]


def changed(name: str, **more: object) -> Solution:
    solution = find(name)
    problem = msgspec.structs.replace(solution.problems[0], **more)
    return msgspec.structs.replace(solution, problems=(problem,))


@pytest.mark.parametrize(
    ("solution", "text"),
    [
        (changed("machine", age="gone"), "no signal 'gone'"),
        (changed("machine", clip=0.0), "must be positive"),
        (changed("machine", quantiles=(0.1, 0.9)), "must rise and hold 0.5"),
        (changed("health", classes=("daily",)), "at least two classes"),
        (changed("health", of=("ax",)), "what wakes is shown"),
        (changed("health", classes=("daily", "trip")), "'fall' is no class"),
        (changed("health", window="10ms"), "not a whole number"),
    ],
)
def test_a_problem_that_cannot_be_asked_is_told_so(solution: Solution, text: str) -> None:
    with pytest.raises(DeclarationError, match=text):
        validate(solution)


def test_rules_read_what_their_problem_tells() -> None:
    solution = find("machine")
    wrong = msgspec.structs.replace(solution.rules[0], when="share > 0.5")
    with pytest.raises(DeclarationError, match="'life' tells no share"):
        validate(msgspec.structs.replace(solution, rules=(wrong,)))
    lost = msgspec.structs.replace(solution.rules[0], problem=None)
    with pytest.raises(DeclarationError, match="needs the problem whose life it reads"):
        validate(msgspec.structs.replace(solution, rules=(lost,)))


def test_channels_and_rows_of_windows() -> None:
    machine, health = find("machine"), find("health")
    life, fall = machine.problems[0], health.problems[0]
    assert not isinstance(life, Classify)
    assert isinstance(fall, Classify)
    assert reach(health, fall) == 75
    assert channels(fall) == ("ax", "ay", "az")
