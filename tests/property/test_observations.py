"""The store against a plain dictionary: whatever happens to it, it holds what the log says, once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nervure.core.instant import DAY_NS, HOUR_NS
from nervure.core.observation import Batch, Quality, observation_id
from nervure.store import memory
from nervure.store.observations import Observations

START = 19_675 * DAY_NS
Key = tuple[int, int, int]
Row = tuple[int, float, str | None, int]

reading = st.tuples(
    st.integers(1, 3),
    st.integers(0, 60).map(lambda hour: START + hour * HOUR_NS),
    st.sampled_from([0, 0, 0, HOUR_NS, -12 * HOUR_NS]),
    st.sampled_from([1.0, 2.0, -0.0, float("inf"), None]),
)
message = st.lists(reading, max_size=6)


def to_batch(messages: list[tuple[int, list[tuple[int, int, int, float | None]]]]) -> Batch:
    rows = [(sequence, index, *one) for sequence, some in messages for index, one in enumerate(some)]
    words = ['"on"' if row[5] is None else None for row in rows]
    return Batch.of(
        id=[observation_id(row[0], row[1]) for row in rows],
        datastream=[row[2] for row in rows],
        time=[row[3] for row in rows],
        result_time=[row[3] + row[4] for row in rows],
        value=[np.nan if row[5] is None else row[5] for row in rows],
        text=words if any(words) else None,
    )


class Model(RuleBasedStateMachine):
    """A log, a dictionary that takes it in at once, and the store that seals, merges and dies."""

    def __init__(self) -> None:
        super().__init__()
        self.home = tempfile.TemporaryDirectory()
        self.folder = Path(self.home.name) / "observations"
        self.log: list[list[tuple[int, int, int, float | None]]] = []
        self.rows: dict[Key, Row] = {}
        self.newest: dict[int, tuple[int, int]] = {}
        self.outcome: list[tuple[int, int]] = []  # duplicates and conflicts of each message

    @initialize(recent=st.sampled_from([0, 10, 1000]))
    def open(self, recent: int) -> None:
        self.recent, memory.RECENT_ROWS = memory.RECENT_ROWS, recent
        self.store = Observations.open(self.folder)

    @rule(messages=st.lists(message, min_size=1, max_size=5))
    def append(self, messages: list[list[tuple[int, int, int, float | None]]]) -> None:
        first = len(self.log) + 1
        for sequence, some in enumerate(messages, first):
            self.log.append(some)
            self.outcome.append(self.take(sequence, some))
        self.play(first - 1, len(self.log))

    def take(self, sequence: int, some: list[tuple[int, int, int, float | None]]) -> tuple[int, int]:
        """Do with one message what the store is to do, in the plainest way."""
        duplicates = conflicts = 0
        for index, (stream, time, delay, value) in enumerate(some):
            key = (stream, time, time + delay)
            result = (0.0 if value is None else value, '"on"' if value is None else None)
            if key in self.rows:
                same = self.rows[key][1:3] == result
                duplicates, conflicts = duplicates + same, conflicts + (not same)
                continue
            newest, issued = self.newest.get(stream, (time, time + delay))
            late = min(newest, issued) - time > DAY_NS and delay >= 0  # a forecast makes nothing late
            quality = Quality.LATE if late else Quality.GOOD
            self.rows[key] = (observation_id(sequence, index), *result, quality)
            self.newest[stream] = max(newest, time), max(issued, time + delay)
        return duplicates, conflicts

    def play(self, after: int, upto: int) -> None:
        """Append the log after a position, as the node does after a start."""
        done = self.store.append(to_batch(list(enumerate(self.log[after:upto], after + 1))), upto)
        counted = self.outcome[after:upto]
        assert done.duplicates == sum(one[0] for one in counted)
        assert len(done.conflicts) == sum(one[1] for one in counted)

    @rule()
    def seal(self) -> None:
        self.store.seal()
        assert self.store.position == len(self.log)

    @rule()
    def merge(self) -> None:
        self.store.compact()

    @rule()
    def append_again(self) -> None:
        """The log sends some entries twice."""
        back = max(0, len(self.log) - 3)
        again = to_batch(list(enumerate(self.log[back:], back + 1)))
        assert self.store.append(again, len(self.log)).rows == 0

    @rule()
    def die_and_start_again(self) -> None:
        """All that is not sealed is gone; the log has it."""
        self.store.close()
        self.store = Observations.open(self.folder)
        assert self.store.repaired == ()
        assert self.store.position <= len(self.log)
        self.play(self.store.position, len(self.log))

    @precondition(lambda self: self.log)
    @invariant()
    def the_store_holds_what_the_dictionary_holds(self) -> None:
        found = self.store.series([1, 2, 3])
        text = found.text or [None] * len(found)
        value = np.where(np.isnan(found.value), 0.0, found.value)
        rows = zip(found.id.tolist(), value.tolist(), text, found.quality.tolist(), strict=True)
        keys = zip(found.datastream.tolist(), found.time.tolist(), found.result_time.tolist(), strict=True)
        assert list(zip(keys, rows, strict=True)) == sorted(self.rows.items())
        assert self.store.count() == len(self.rows)
        last = self.store.last([1, 2, 3])
        assert {stream: time for stream, (time, _) in last.items()} == {
            stream: time for stream, (time, _) in self.newest.items()
        }
        for stream in self.newest:
            mine = [key for key in self.rows if key[0] == stream]
            assert self.store.count(stream) == len(mine)
            assert self.store.span(stream) == (min(mine)[1], max(mine)[1])
            newest = self.rows[max(mine)]
            assert last[stream][1] == newest[1] or newest[2] is not None

    def teardown(self) -> None:
        self.store.close()
        memory.RECENT_ROWS = self.recent
        self.home.cleanup()


Model.TestCase.settings = settings(
    max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestObservations = Model.TestCase
