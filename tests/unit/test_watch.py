"""``nervure watch``: what it is asked, how readings become rows, and that a monitor lies where it should."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from nervure.cli import main
from nervure.cli.feed import Source, heard
from nervure.cli.learnt import share_of
from nervure.cli.post import file_of
from nervure.core.error import UsageError
from nervure.core.event import Persistence
from nervure.core.guard import Guard, Plan
from nervure.core.slot import Slots, laid
from nervure.core.tail import tail_of
from nervure.learn.detect.block import Block

DAY_NS = 86_400 * 10**9


def test_readings_lie_on_the_nearest_slot_and_the_later_one_counts() -> None:
    place = np.array([0, 1, 0, 0, 1])
    time = np.array([100, 104, 111, 113, 134])
    slot, table, at = laid(place, time, np.arange(5.0), 2, every_ns=10, origin_ns=100)
    assert slot.tolist() == [100, 110, 130]
    np.testing.assert_array_equal(table, [[0, 1], [3, np.nan], [np.nan, 4]])
    assert at.tolist() == [0, 0, 1, 1, 2]


def test_a_slot_is_over_when_all_have_read_or_a_later_one_begins_or_nobody_waits_longer() -> None:
    slots = Slots(2, every_ns=10 * 10**9, origin_ns=0)
    assert slots.put(0, 1, 1.0, 0.0) == []
    ((time, row),) = slots.put(1, 2, 2.0, 0.1)
    assert (time, row.tolist()) == (0, [1.0, 2.0])
    assert slots.put(0, 10 * 10**9, 3.0, 10.0) == []
    ((time, row),) = slots.put(0, 21 * 10**9, 4.0, 20.0)
    assert time == 10 * 10**9
    np.testing.assert_array_equal(row, [3.0, np.nan])
    assert slots.tick(24.9) == []
    ((time, row),) = slots.tick(25.0)
    assert (time, slots.done_ns) == (20 * 10**9, 20 * 10**9)
    assert slots.tick(99.0) == []


def test_what_comes_for_a_slot_that_is_over_is_late() -> None:
    slots = Slots(2, every_ns=10, origin_ns=0, done_ns=20)
    assert slots.put(0, 22, 1.0, 0.0) == slots.put(0, 31, 1.0, 0.0) == slots.put(1, 24, 2.0, 0.1) == []
    assert slots.late == 2


def test_every_row_is_judged_once_whatever_the_order_of_sensors() -> None:
    random = np.random.default_rng(0)
    slots, found = Slots(3, every_ns=10, origin_ns=5), []
    for slot in range(200):
        for stream in random.permutation(3)[: random.integers(1, 4)].tolist():
            found += slots.put(stream, 5 + 10 * slot + int(random.integers(-5, 5)), 1.0, float(slot))
    found += slots.tick(1e9)
    assert [time for time, _ in found] == [5 + 10 * slot for slot in range(200)]
    assert slots.late == 0


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        (b'{"result": 2, "phenomenonTime": "1970-01-01T00:00:01.5Z"}', (7, 1_500_000_000, 2.0)),
        (b'{"result": 2.5, "phenomenonTime": "1970-01-01T00:00:01Z/1970-01-01T01:00:00Z"}', (7, 10**9, 2.5)),
        (b'{"result": "open", "phenomenonTime": "1970-01-01T00:00:01Z"}', None),
        (b'{"result": true, "phenomenonTime": "1970-01-01T00:00:01Z"}', None),
        (b'{"result": 2}', None),
        (b"[1]", None),
        (b"{", None),
    ],
)
def test_only_numbers_with_a_time_are_heard(payload: bytes, found: tuple[int, int, float] | None) -> None:
    assert heard("v1.1/Datastreams(7)/Observations", payload) == found


def test_news_of_other_topics_are_not_heard() -> None:
    assert heard("v1.1/Things", b'{"result": 2, "phenomenonTime": "1970-01-01T00:00:01Z"}') is None


def test_a_monitor_lies_by_its_name_within_its_project_whatever_they_are_called() -> None:
    def path(project: str, thing: str) -> str:
        return file_of(Path("d"), project, Source(id=3, name=thing, streams=())).as_posix()

    assert path("Town", "pump-1") == "d/monitors/town/pump-1.onnx"
    assert path("..", "../../etc/passwd") == "d/monitors/_/etc_passwd-3.onnx"
    assert path("a/b", "///") == "d/monitors/a_b/3.onnx"
    assert path("Straße", "Brücke") == "d/monitors/strasse/Brücke.onnx"


def test_what_to_learn_from_is_a_share_a_length_or_a_time() -> None:
    time = np.arange(100, dtype=np.int64) * DAY_NS // 10
    block = Block(name="b", channels=("a",), value=np.zeros((100, 1)), time=time, every_ns=DAY_NS // 10)
    assert share_of(block, "25%") == 0.25
    assert share_of(block, "3d") == 0.3
    assert share_of(block, "1970-01-06") == 0.5
    for wrong in ("1%", "x%", "20d", "1969-01-01", "soon"):
        with pytest.raises(UsageError):
            share_of(block, wrong)


def test_a_guard_restored_goes_on_where_its_limit_had_moved() -> None:
    random = np.random.default_rng(0)
    plan = Plan(
        kind="adaptive", tail=tail_of(random.normal(size=(2000, 1))), limit=2.5, rate=0.01, memory=500
    )
    span = Persistence(hold_ns=0, gap_ns=3, hole_ns=9)
    whole, cut = Guard(plan, 1, span), Guard(plan, 1, span)
    one = np.zeros(1, dtype=np.int64)
    for step, score in enumerate(random.normal(size=3000).tolist()):
        if step % 50 == 0:
            state = cut.state()
            cut = Guard(plan, 1, span)
            cut.restore(state)
        for guard in (whole, cut):
            guard.step(one, np.array([step]), np.array([score]))
        assert (whole.limit, whole.tail) == (cut.limit, cut.tail)


def test_a_labelled_file_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random, rows = np.random.default_rng(0), 1_500
    load = np.sin(np.arange(rows) / 20) + 0.1 * random.normal(size=rows)
    value = np.stack([load, 2 * load], axis=1) + 0.05 * random.normal(size=(rows, 2))
    label = np.zeros(rows, dtype=int)
    value[1_200:1_220, 1] += 3
    label[1_200:1_220] = 1
    start = datetime(2024, 1, 1, tzinfo=UTC)
    lines = [
        f"{(start + timedelta(minutes=row)).isoformat()},{value[row, 0]:.3f},{value[row, 1]:.3f},{label[row]}"
        for row in range(rows)
    ]
    file = tmp_path / "pump.csv"
    file.write_text("\n".join(["time,a,b,label", *lines]))
    assert main(["watch", "--csv", str(file), "--quick", "--json"]) == 1
    (series,) = json.loads(capsys.readouterr().out)["series"]
    assert series["labelled"]["events"] == series["labelled"]["events_found"] == 1
    alarm = max(series["alarms"], key=lambda one: one["rarity"])
    assert alarm["streams"][0]["stream"] == "b"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "what is to be watched?"),
        (("--csv", "a.csv", "--project", "first"), "exclude each other"),
        (("--csv", "a.csv", "--once"), "--once is for a running node"),
        (("--csv", "a.csv", "--count", "3"), "--count is for a running node"),
        (("--project", "first", "--label", "y"), "--label is for a file"),
        (("--project", "first", "--once", "--count", "3"), "--once ends by itself"),
        (("--project", "first", "--alarms-per-day", "0"), "must be above 0"),
    ],
)
def test_what_does_not_go_together_is_refused(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", *words]) == 2
    assert told in capsys.readouterr().err
