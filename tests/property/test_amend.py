"""Any mix of appending, changing, deleting, sealing, merging and dying ends in what a dict would hold."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nervure.core.instant import DAY_NS, SECOND_NS
from nervure.core.observation import NO_RESULT_TIME, Batch, observation_id
from nervure.store import memory
from nervure.store.observations import Observations
from tests.reading import START

Row = tuple[int, int, int, int]
"""Datastream, time, value, feature."""

STREAMS = (1, 2, 3)
streams = st.sampled_from(STREAMS)
rows = st.tuples(streams, st.integers(0, 3 * 86_400), st.integers(0, 9), st.integers(0, 2))
picks = st.lists(st.integers(0, 60), min_size=1, max_size=4)
steps = st.one_of(
    st.tuples(st.just("append"), st.lists(rows, min_size=1, max_size=6)),
    st.tuples(st.just("put"), st.tuples(st.integers(0, 60), rows)),
    st.tuples(st.just("ids"), picks),
    st.tuples(st.just("datastream"), streams),
    st.tuples(st.just("feature"), st.integers(1, 2)),
    st.tuples(st.just("seal"), st.none()),
    st.tuples(st.just("compact"), st.none()),
    st.tuples(st.just("die"), st.none()),
)


def batch_of(found: Sequence[tuple[int, Row]]) -> Batch:
    return Batch.of(
        id=[identity for identity, _ in found],
        datastream=[row[0] for _, row in found],
        time=[START + row[1] * SECOND_NS for _, row in found],
        value=[row[2] for _, row in found],
        feature=[row[3] for _, row in found],
        marks=[NO_RESULT_TIME if row[2] % 2 else 0 for _, row in found],
        keyed=[False] * len(found),
    )


class Play:
    """The store, the log that it is filled from, and what is expected of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log: list[tuple[str, object]] = []
        self.kept: dict[int, Row] = {}
        self.ever: list[int] = []
        self.store = Observations.open(folder)

    def apply(self, position: int, name: str, wish: object, store: Observations) -> None:
        """Bring one event of the log into a store."""
        match name, wish:
            case "append", list() as found:
                numbered = [(observation_id(position, place), row) for place, row in enumerate(found)]
                store.append(batch_of(numbered), position)
            case "put", (int() as identity, tuple() as row):
                store.amend(batch_of([(identity, row)]), position)
            case "ids", list() as ids:
                store.drop(ids=ids, upto=position)
            case "datastream", int() as stream:
                store.drop(datastreams=[stream], upto=position)
            case "feature", int() as feature:
                store.drop(features=[feature], upto=position)

    def expect(self, position: int, name: str, wish: object) -> None:
        """Do the same to a dict."""
        match name, wish:
            case "append", list() as found:
                new = {observation_id(position, place): row for place, row in enumerate(found)}
                self.kept |= new
                self.ever += new
            case "put", (int() as identity, tuple() as row):
                if identity in self.kept:
                    self.kept[identity] = row
            case "ids", list() as ids:
                self.kept = {key: row for key, row in self.kept.items() if key not in ids}
            case "datastream", int() as stream:
                self.kept = {key: row for key, row in self.kept.items() if row[0] != stream}
            case "feature", int() as feature:
                self.kept = {key: row for key, row in self.kept.items() if row[3] != feature}

    def named(self, name: str, wish: object) -> object:
        """Let picks name rows that there were, or none."""
        unknown = observation_id(100_000)
        if name == "ids" and isinstance(wish, list):
            return [self.ever[pick] if pick < len(self.ever) else unknown for pick in wish]
        if name == "put" and isinstance(wish, tuple):
            pick, row = wish
            return (self.ever[pick] if pick < len(self.ever) else unknown, row)
        return wish

    def step(self, name: str, wish: object) -> None:
        if name == "seal":
            self.store.seal()
        elif name == "compact":
            self.store.compact()
        elif name == "die":
            self.die()
        else:
            event = (name, self.named(name, wish))
            self.log.append(event)
            self.apply(len(self.log), *event, self.store)
            self.expect(len(self.log), *event)
        self.check()

    def die(self) -> None:
        """Open the store again as after kill -9, and replay the log from its position."""
        assert self.store._claim is not None
        self.store._claim.release()
        self.store._engine.close()
        self.store = Observations.open(self.folder)
        assert self.store.repaired == ()
        for position in range(self.store.position + 1, len(self.log) + 1):
            self.apply(position, *self.log[position - 1], self.store)

    def check(self) -> None:
        expected = sorted((row[0], START + row[1] * SECOND_NS, key, row[2]) for key, row in self.kept.items())
        everything = self.store.query("SELECT * FROM observation")
        assert sorted(everything["id"].to_pylist()) == sorted(self.kept)
        assert self.store.count() == len(expected)
        for stream in STREAMS:
            mine = [one for one in expected if one[0] == stream]
            found = self.store.series([stream])
            assert sorted(zip(found.time.tolist(), found.id.tolist(), found.value.tolist(), strict=True)) == [
                one[1:] for one in mine
            ]
            late = self.store.series([stream], START + DAY_NS)
            assert sorted(late.id.tolist()) == sorted(one[2] for one in mine if one[1] >= START + DAY_NS)
            assert self.store.count(stream) == len(mine)
            spans, last = self.store.spans([stream]), self.store.last([stream])
            if not mine:
                assert spans == {}
                continue
            given_times = [one[1] for one in mine if one[3] % 2 == 0]
            ends = (given_times[0], given_times[-1]) if given_times else (None, None)
            assert spans == {stream: (mine[0][1], mine[-1][1], *ends)}
            assert last[stream][0] == mine[-1][1]
            assert last[stream][1] in {one[3] for one in mine if one[1] == mine[-1][1]}


@pytest.mark.parametrize("kept", [0, 400_000], ids=["nothing at hand", "all at hand"])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(wanted=st.lists(steps, min_size=3, max_size=14))
def test_any_mix_of_changes_ends_in_what_a_dict_holds(
    monkeypatch: pytest.MonkeyPatch, kept: int, wanted: list[tuple[str, object]]
) -> None:
    monkeypatch.setattr(memory, "RECENT_ROWS", kept)
    with tempfile.TemporaryDirectory() as folder:
        play = Play(Path(folder))
        try:
            for name, wish in wanted:
                play.step(name, wish)
            for name in ("die", "seal", "die"):
                play.step(name, None)
        finally:
            play.store.close()
