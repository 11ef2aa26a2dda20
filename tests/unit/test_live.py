"""Readings of the node as training data: in declared units and ranges, joined where time allows."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from nervure.core.entity import Datastream
from nervure.core.error import DataError
from nervure.core.instant import HOUR_NS
from nervure.core.observation import Batch, Quality
from nervure.learn.live import live
from nervure.learn.task import pose, samples
from nervure.store.observations import Observations
from tests.noise import FIRST, SOLUTION, dataset

STREAMS = [
    Datastream(id=1, name="a/level", unit="m", thing=1, solution="noise", signal="level", every_ns=HOUR_NS),
    Datastream(id=2, name="b/level", unit="cm", thing=2, solution="noise", signal="level", every_ns=HOUR_NS),
    Datastream(id=3, name="c/level", unit="m", thing=3, solution="noise", signal="level", every_ns=HOUR_NS),
    Datastream(
        id=4, name="a/level/forecast", unit="m", thing=1, solution="noise", signal="level", kind="forecast"
    ),
    Datastream(id=5, name="rain", unit="mm", thing=4, solution="weather", signal="rain"),
]


def filled(folder: Path, rows: list[tuple[int, int, float]], quality: int = Quality.GOOD) -> Observations:
    """Return a store with rows ``(datastream, slot, value)``, sealed."""
    store = Observations.open(folder)
    batch = Batch.of(
        id=np.arange(1, len(rows) + 1) << 16,
        datastream=[row[0] for row in rows],
        time=[row[1] * HOUR_NS + HOUR_NS // 3 for row in rows],
        value=[row[2] for row in rows],
        quality=np.full(len(rows), quality, dtype=np.int8),
    )
    store.append(batch, len(rows))
    store.seal()
    store.close()
    return Observations.open(folder, write=False)


def test_the_data_set_goes_on_with_what_the_node_was_told(tmp_path: Path) -> None:
    known = dataset(400)
    end = FIRST + 400
    rows = [
        (1, end - 1, 77.0), (1, end, 51.0), (2, end, 5200.0), (2, end + 2, 30_000.0), (3, end + 1, 53.0),
        (4, end + 9, 60.0), (5, end + 9, 4.0),
    ]  # fmt: skip
    store = filled(tmp_path, rows)
    found = live(SOLUTION, known, STREAMS, store)
    store.close()
    value = found.table.value
    assert found.table.streams == ("a/level", "b/level", "c/level")
    assert [one.name for one in found.things] == ["a", "b", "c"]
    assert (found.table.first, len(value)) == (FIRST, 403)
    np.testing.assert_array_equal(value[:399, :2], known.table.value[:399])
    assert (value[399, 0], value[399, 1]) == (77.0, known.table.value[399, 1])  # the node's own stands
    np.testing.assert_array_equal(value[400], [51.0, 52.0, np.nan])
    np.testing.assert_array_equal(value[402], [np.nan, np.nan, np.nan])  # 300 m cannot be
    assert found.hidden == 1


def test_long_after_the_data_set_the_node_stands_alone_and_can_be_learned_from(tmp_path: Path) -> None:
    late = dataset(1200)
    first = FIRST + 400 + 90 * 24
    rows = [
        (column + 1, first + row, float(late.table.value[row, column]) * (1, 100)[column])
        for row in range(1200)
        for column in range(2)
    ]
    store = filled(tmp_path, rows)
    for known in (dataset(400), None):
        found = live(SOLUTION, known, STREAMS, store)
        assert found.origin == "the node"
        np.testing.assert_allclose(found.table.value, late.table.value, rtol=1e-12)
    assert len(samples(pose(found), "train"))
    later = live(SOLUTION, None, STREAMS, store, since_ns=(first + 1000) * HOUR_NS)
    store.close()
    assert (later.table.first, len(later.table.value)) == (first + 1000, 200)


@pytest.mark.parametrize(
    ("parts", "days", "cuts"),
    [
        (("18d", "6d", "6d"), 60, (48, 54)),
        (("18d", "6d", "6d"), 15, (9, 12)),
        (("rest", "6d", "6d"), 60, (48, 54)),
        (("rest", "6d", "6d"), 15, (9, 12)),  # a store that has just begun can be learnt from too
    ],
)
def test_parts_of_a_published_protocol_do_not_leave_out_what_is_new(
    tmp_path: Path, parts: tuple[str, str, str], days: int, cuts: tuple[int, int]
) -> None:
    assert SOLUTION.data is not None
    data = msgspec.structs.replace(SOLUTION.data, split=parts)
    fixed = msgspec.structs.replace(SOLUTION, data=data)
    store = filled(tmp_path, [(1, FIRST + row, 50.0) for row in range(24 * days)])
    split = pose(live(fixed, None, STREAMS, store)).split
    store.close()
    assert (split.validation[0], split.test[0], split.test[-1]) == (24 * cuts[0], 24 * cuts[1], 24 * days - 1)


def test_readings_that_are_doubted_are_not_learned_from(tmp_path: Path) -> None:
    store = filled(tmp_path, [(1, FIRST, 50.0), (1, FIRST + 1, 51.0)], quality=Quality.GOOD + 1)
    assert np.isnan(live(SOLUTION, None, STREAMS, store).table.value).all()
    store.close()


def test_what_a_person_has_labelled_is_not_learned_from(tmp_path: Path) -> None:
    rows = [(stream, FIRST + row, 50.0 + row) for stream in (1, 3) for row in range(6)]
    said = {"since_ns": (FIRST + 2) * HOUR_NS + 1, "until_ns": (FIRST + 4) * HOUR_NS, "label": "fault"}
    streams = [
        msgspec.structs.replace(one, properties={"labels": [said]}) if one.id == 1 else one for one in STREAMS
    ]
    store = filled(tmp_path, rows)
    value = live(SOLUTION, None, streams, store).table.value
    store.close()
    assert np.isnan(value[:, 0]).tolist() == [False, False, True, True, False, False]
    assert not np.isnan(value[:, 1]).any()  # it is about one series


def test_a_node_without_readings_says_so(tmp_path: Path) -> None:
    store = filled(tmp_path, [(5, FIRST, 1.0)])
    with pytest.raises(DataError, match="no readings of it yet"):
        live(SOLUTION, None, STREAMS, store)
    store.close()
