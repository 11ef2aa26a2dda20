"""Benches of speed: ratios are those of turns, goals are held, the report grows bench by bench."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from nervure.bench.speed import goal
from nervure.bench.speed.cnn import WINDOW, graph, package
from nervure.bench.speed.field import pack, reading
from nervure.bench.speed.goal import GATES, GOALS, Goal, failed, held
from nervure.bench.speed.load import frame
from nervure.bench.speed.machine import cpu_s, floor
from nervure.bench.speed.paced import _STAMP, _Frames
from nervure.bench.speed.report import BENCHES, load, put
from nervure.bench.speed.row import Measured, Row, Turns
from nervure.bench.speed.run import timed
from nervure.core.error import UsageError
from nervure.core.window import Window
from nervure.score.runner import Runner
from tests.tiny import KEY


def row(
    value: float,
    ratio: float | None = None,
    *,
    bench: str = "stream",
    case: str = "c",
    subject: str = "ours",
    metric: str = "m",
) -> Row:
    ratios = {} if ratio is None else {"theirs": ratio}
    return Row(bench=bench, case=case, subject=subject, metric=metric, value=value, ratio_to=ratios)


def test_a_ratio_is_the_median_of_the_turns_own_ratios() -> None:
    turns = Turns("stream")
    for ours, theirs in ((10.0, 1.0), (30.0, 20.0), (60.0, 20.0)):
        turns.add("c", "ours", "m", ours)
        turns.add("c", "theirs", "m", theirs)
    found, beside = turns.rows({"ours": ["theirs", "nobody"]})
    assert (found.value, found.low, found.high, found.turns) == (30.0, 10.0, 60.0, 3)
    assert found.ratio_to == {"theirs": 3.0}
    assert beside.ratio_to == {}


def test_a_subject_that_missed_a_turn_has_no_ratio() -> None:
    turns = Turns("stream")
    for value in (1.0, 2.0):
        turns.add("c", "ours", "m", value)
    turns.add("c", "theirs", "m", 1.0)
    assert turns.rows({"ours": ["theirs"]})[0].ratio_to == {}
    assert turns.median("c", "ours", "m") == 1.5
    assert turns.median("c", "nobody", "m") is None


GOAL = Goal(bench="stream", case="c", subject="ours", metric="m", bound=2.0)


@pytest.mark.parametrize(
    ("one", "goal_", "met"),
    [
        (row(2.0), GOAL, True),
        (row(1.9), GOAL, False),
        (row(2.1), msgspec.structs.replace(GOAL, way="at most"), False),
        (row(9.0, 1.5), msgspec.structs.replace(GOAL, over="theirs"), False),
        (row(1.0, 2.5), msgspec.structs.replace(GOAL, over="theirs"), True),
        (row(9.0), msgspec.structs.replace(GOAL, over="theirs"), None),
        (row(9.0, case="d"), GOAL, None),
    ],
)
def test_goals_are_held_against_figures_and_ratios(one: Row, goal_: Goal, met: bool | None) -> None:
    assert held([one], [goal_])[0].met is met


def test_a_gate_that_is_missed_or_was_not_measured_fails_a_quick_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goal, "GATES", (GOAL, msgspec.structs.replace(GOAL, metric="n")))
    wrong = failed([row(1.0)])
    assert len(wrong) == 2
    assert "ours has 1.0 m, not at least 2" in wrong[0]
    assert failed([row(3.0), row(3.0, metric="n")]) == []
    assert failed([row(1.0, bench="http")]) == []


def test_goals_name_benches_that_there_are_and_gates_are_ratios() -> None:
    assert {one.bench for one in (*GOALS, *GATES)} <= set(BENCHES)
    figures = [one for one in GATES if not one.over and (one.way, one.bound) != ("at most", 0)]
    assert {one.metric for one in figures} == {"bytes without the map"}  # the same on any machine


def measured(bench: str, value: float) -> Measured:
    rows = (row(value, value / 10, bench=bench), row(10.0, bench=bench, subject="theirs"))
    return Measured(
        bench=bench, command=f"nervure bench {bench}", when="2026-01-01T00:00:00+00:00", took_s=1.0,
        machine={"cores": 2, "versions": {"numpy": "2"}}, rows=rows, notes=("Said beside it.",),
    )  # fmt: skip


def test_the_report_grows_by_a_bench_and_a_new_run_takes_the_place_of_the_old(tmp_path: Path) -> None:
    put(measured("http", 30.0), tmp_path)
    put(measured("stream", 40.0), tmp_path)
    written = put(measured("http", 50.0), tmp_path)
    assert [one.name for one in written] == ["speed.json", "speed.md", "http.svg"]
    assert [one.bench for one in load(tmp_path).runs] == ["stream", "http"]
    text = (tmp_path / "speed.md").read_text("utf-8")
    assert "5 times theirs" in text
    assert "30" not in text.partition("## Requests by HTTP")[2]
    assert text.count("Said beside it.") == 2
    assert "**missed**" in text or "not measured" in text
    for name in ("stream", "http"):
        assert (tmp_path / "speed" / f"{name}.svg").read_text("utf-8").startswith("<svg")


def test_a_file_that_is_no_report_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text("[]")
    with pytest.raises(UsageError, match="no report on speed"):
        put(measured("http", 1.0), tmp_path)
    assert (tmp_path / "speed.json").read_text() == "[]"


def test_a_run_says_on_what_it_was_measured() -> None:
    found = timed("stream", ["stream", "--case", "no model"], lambda: [row(1.0)], packages=("paho-mqtt",))
    assert found.command == "nervure bench stream --case 'no model'"
    assert "floor_ms" in found.machine
    assert {"numpy", "paho-mqtt"} <= set(found.machine["versions"])  # type: ignore[call-overload]


def test_the_floor_is_measured_between_two_processes() -> None:
    begun = time.monotonic()
    with floor() as found:
        time.sleep(0.5)
    assert 20 < found[0].count <= 1 + 500 * (time.monotonic() - begun)
    assert 0 < found[0].p50 <= found[0].p99 <= found[0].p999


def test_processor_seconds_are_those_of_the_process() -> None:
    import os

    before, begun = cpu_s((os.getpid(),)), time.process_time()
    while time.process_time() - begun < 0.2:
        pass
    assert 0.1 < cpu_s((os.getpid(),)) - before < 2.0


def test_the_cnn_judges_every_stream_and_takes_a_gap_for_nothing() -> None:
    data, card = package(("a/inflow", "b/inflow"), KEY)
    runner = Runner(data, [KEY.public])
    x = np.random.default_rng(1).normal(size=(2, WINDOW, 1)).astype(np.float32)
    x[1, :10] = np.nan
    window = Window(x=x, node=np.arange(2), calendar=np.zeros((2, WINDOW + 1, 5), np.int64))
    y = runner.run(window)
    filled = msgspec.structs.replace(window, x=np.nan_to_num(x))
    assert np.array_equal(y, runner.run(filled))
    assert (np.diff(y[:, 0], axis=1) > 0).all()
    assert card.limits["anomaly-inflow"]["streams"] == ("a/inflow", "b/inflow")
    assert len(graph().graph.input) == 3


def test_what_is_sent_is_what_the_node_reads() -> None:
    from nervure.sense.decode import PACK, READING

    topic, payload = reading([7, 8], 3)
    assert topic == "v1.1/Datastreams(8)/Observations"
    assert READING.decode(payload).result == 20.0 + (7 + 1) % 11
    assert len(PACK.decode(pack([7], 0, 100)[1]).v) == 100


def test_a_paced_frame_differs_from_a_plain_one_by_number_and_time_only() -> None:
    frames = _Frames([7, 8])
    made = frames.at(4, 1_700_000_000_123_456_789)
    payload = b'{"result":20.5,"phenomenonTime":"2023-11-14T22:13:20.123456Z"}'
    assert made == frame("v1.1/Datastreams(7)/Observations", payload, 5)
    assert len(_STAMP) == len("2023-11-14T22:13:20.123456Z")
