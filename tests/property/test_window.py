"""Windows of late, repeated and reordered readings, beside a reference in plain Python."""

from __future__ import annotations

import math
import random
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nervure.core.instant import HOUR_NS
from nervure.core.window import Rings
from nervure.score.lane import Lane
from nervure.score.rows import Course
from nervure.score.runner import Runner
from tests.tiny import card, runner

STREAMS, LENGTH, EVERY = 3, 7, 10
NAN = math.nan


class Plain:
    """What rings promise, a reading at a time: a dictionary of slots a stream."""

    def __init__(self, streams: int, length: int) -> None:
        self.length = length
        self.head = [-1] * streams
        self.held: list[dict[int, float]] = [{} for _ in range(streams)]

    def push(self, stream: int, slot: int, value: float) -> int:
        head = self.head[stream]
        if slot <= head - self.length:
            return -1
        self.held[stream][slot] = value
        self.head[stream] = max(head, slot)
        oldest = self.head[stream] - self.length
        self.held[stream] = {at: one for at, one in self.held[stream].items() if at > oldest}
        return 1 if slot > head else 0

    def fill(self, stream: int, slot: int, value: float) -> bool:
        head = self.head[stream]
        empty = math.isnan(self.held[stream].get(slot, NAN))
        if not (head - self.length < slot <= head and empty):
            return False
        self.held[stream][slot] = value
        return True

    def window(self, stream: int, last: int, length: int) -> list[float]:
        return [self.held[stream].get(slot, NAN) for slot in range(last - length + 1, last + 1)]


readings = st.lists(
    st.tuples(st.integers(0, STREAMS - 1), st.integers(0, 400), st.sampled_from([NAN, 1.0, 2.0, 3.5])),
    max_size=60,
)
"""Any order: late and early by up to forty slots, the same one again, another value for the same slot."""


@settings(max_examples=150, deadline=None)
@given(readings, st.lists(st.integers(0, 60), max_size=4), st.integers(-3, 10))
def test_rings_hold_what_a_dictionary_of_slots_holds(
    sent: list[tuple[int, int, float]], restarts: list[int], ahead: int
) -> None:
    rings, plain = Rings(streams=STREAMS, length=LENGTH, every_ns=EVERY), Plain(STREAMS, LENGTH)
    for place, (stream, time, value) in enumerate(sent):
        told = rings.push(np.array([stream]), np.array([time]), np.array([value]))
        assert told.tolist() == [plain.push(stream, time // EVERY, value)]
        if place in restarts:
            state, rings = rings.state(), Rings(streams=STREAMS, length=LENGTH, every_ns=EVERY)
            rings.restore(state)
    last = max(0, max(plain.head) + ahead)
    columns = np.arange(STREAMS)[None]
    for length in (1, 4, LENGTH):
        found = rings.window(columns, np.array([last]), length)[0].T
        wanted = [plain.window(stream, last, length) for stream in range(STREAMS)]
        np.testing.assert_array_equal(found, wanted)


@settings(max_examples=100, deadline=None)
@given(readings)
def test_a_batch_of_streams_is_one_reading_after_the_other(sent: list[tuple[int, int, float]]) -> None:
    whole = Rings(streams=STREAMS, length=LENGTH, every_ns=EVERY)
    single = Rings(streams=STREAMS, length=LENGTH, every_ns=EVERY)
    for start in range(0, len(sent), STREAMS):
        several = {stream: (time, value) for stream, time, value in sent[start : start + STREAMS]}
        if not several:
            continue
        time, value = np.array([one[0] for one in several.values()]), [one[1] for one in several.values()]
        told = whole.push(np.array(list(several)), time, np.array(value))
        alone = [
            int(single.push(np.array([stream]), np.array([at]), np.array([one]))[0])
            for stream, (at, one) in several.items()
        ]
        assert told.tolist() == alone
    assert whole.state() == single.state()


@cache
def _model() -> Runner:
    return runner(card())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 120), st.sampled_from([1.0, 2.0, 3.5])),
        max_size=60,
    )
)
def test_a_lane_takes_late_readings_into_empty_slots_only(sent: list[tuple[bool, int, int, float]]) -> None:
    lane = Lane(_model(), None, batch=64)
    names = len(lane.layout.names)
    plain = Plain(names, lane.span)
    for late, column, slot, value in sent:
        row = np.array([column]), np.array([slot * HOUR_NS]), np.array([value])
        if late:
            assert lane.fill(*row).tolist() == [plain.fill(column, slot, value)]
        else:
            assert lane.feed(*row).tolist() == [plain.push(column, slot, value) == 1]
    last = max(0, *plain.head)
    found = lane._rings.window(np.arange(names)[None], np.array([last]), lane.span)[0].T
    np.testing.assert_array_equal(found, [plain.window(column, last, lane.span) for column in range(names)])


rows = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)
"""Of each row, whether its first channel and its number were read."""


@settings(max_examples=60, deadline=None)
@given(rows, st.randoms(use_true_random=False), st.integers(1, 9))
def test_a_course_shows_the_same_rows_in_whatever_order_channels_come(
    read: list[tuple[bool, bool]], chance: random.Random, cut: int
) -> None:
    """Channels come up to three rows apart, some readings twice; the last row makes all before it whole."""
    length = 3
    read = [(True, True) if place % 4 == 0 else one for place, one in enumerate(read)]
    read.append((True, True))
    sent: list[tuple[float, int, int]] = []
    for channel in range(2):
        late = 0.0  # a channel's own readings come in their order
        for slot, known in enumerate(read, start=1):
            late = max(late, slot + chance.random() * 3)
            sent += [(late, channel, slot)] * (int(known[channel]) * (1 + (chance.random() < 0.2)))
    sent.sort(key=lambda one: (one[2] == len(read), one[0], one[1]))
    course = Course(2, length, HOUR_NS)
    found: list[list[list[float]]] = []
    for place, (_, channel, slot) in enumerate(sent):
        value = float(slot) if channel else slot * 1.5
        course.put(channel, np.array([slot * HOUR_NS]), np.array([value]))
        if place % cut == 0 or place == len(sent) - 1:
            asked = course.ready()
            found += [] if asked is None else asked.x.tolist()
    np.testing.assert_array_equal(np.array(found), _windows(_plain_rows(sent, read), length))


def _plain_rows(sent: list[tuple[float, int, int]], read: list[tuple[bool, bool]]) -> list[list[float]]:
    """Return the rows as they are whole: where a number was not read it is one more than before."""
    whole: list[list[float]] = []
    for slot in sorted({one[2] for one in sent}):
        first, number = read[slot - 1]
        before = whole[-1][1] if whole else 0.0
        whole.append([slot * 1.5 if first else NAN, float(slot) if number else before + 1])
    return whole


def _windows(whole: list[list[float]], length: int) -> list[list[list[float]]]:
    nothing = [[NAN, NAN]] * (length - 1)
    shown = nothing + whole
    return [shown[place : place + length] for place in range(len(whole))]
