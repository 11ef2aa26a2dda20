"""``nervure watch``: what it is asked, how readings become rows, and that a monitor lies where it should."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from nervure.cli import main
from nervure.cli.learnt import share_of
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


def put(slots: Slots, now_s: float, *readings: tuple[int, int, float]) -> list[tuple[int, list[float]]]:
    place, time, value = (np.array(one) for one in zip(*readings, strict=True))
    slots.put(place, time, value.astype(float), now_s)
    return over(slots, now_s)


def over(slots: Slots, now_s: float) -> list[tuple[int, list[float]]]:
    time, value = slots.over(now_s)
    return list(zip(time.tolist(), value.tolist(), strict=True))


def test_a_slot_is_over_when_all_have_read_or_nobody_waits_longer() -> None:
    step = 10 * 10**9
    slots = Slots(2, every_ns=step, origin_ns=0)
    assert put(slots, 0.0, (0, 1, 1.0)) == []
    assert put(slots, 0.1, (1, 2, 2.0)) == [(0, [1.0, 2.0])]
    assert put(slots, 10.0, (0, step, 3.0)) == []
    assert put(slots, 12.0, (0, 2 * step, 4.0), (1, 2 * step, 5.0)) == [], "the one before may still fill"
    assert over(slots, 14.9) == []
    (one, other) = over(slots, 15.0)
    assert (one[0], other) == (step, (2 * step, [4.0, 5.0]))
    np.testing.assert_array_equal(one[1], [3.0, np.nan])
    assert (over(slots, 99.0), slots.done_ns, len(slots)) == ([], 2 * step, 0)


def test_what_comes_for_a_slot_that_is_over_is_late() -> None:
    slots = Slots(2, every_ns=10, origin_ns=0, done_ns=20)
    assert put(slots, 0.0, (0, 22, 1.0), (0, 14, 1.0)) == []
    assert (slots.late, len(slots)) == (2, 0)


def test_sensors_may_send_their_backlog_one_after_the_other() -> None:
    step = 10 * 10**9
    slots = Slots(2, every_ns=step, origin_ns=0)
    for sensor in range(2):
        found = put(slots, float(sensor), *[(sensor, slot * step, float(slot)) for slot in range(50)])
    assert found == [(slot * step, [float(slot)] * 2) for slot in range(50)]


def test_no_more_slots_wait_than_memory_is_for_them() -> None:
    slots = Slots(2, every_ns=1, origin_ns=0)
    assert len(put(slots, 0.0, *[(0, slot, 1.0) for slot in range(Slots.MOST + 7)])) == 7


def test_slots_that_are_not_over_survive_a_restart() -> None:
    slots, again = (Slots(3, every_ns=10**10, origin_ns=5) for _ in range(2))
    put(slots, 0.0, (0, 5, 1.0), (2, 5, 2.0))
    again.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(slots.state())), 100.0)
    assert put(again, 100.0, (1, 5, 3.0)) == [(5, [1.0, 3.0, 2.0])]


def test_every_row_is_judged_once_whatever_the_order_of_sensors() -> None:
    random = np.random.default_rng(0)
    slots, found = Slots(3, every_ns=10, origin_ns=5), list[tuple[int, list[float]]]()
    for slot in range(200):
        for stream in random.permutation(3)[: random.integers(1, 4)].tolist():
            found += put(slots, float(slot), (stream, 5 + 10 * slot + int(random.integers(-5, 5)), 1.0))
    found += over(slots, 1e9)
    assert [time for time, _ in found] == [5 + 10 * slot for slot in range(200)]
    assert slots.late == 0


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
