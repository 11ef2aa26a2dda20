"""What a person says of an alarm changes the next limit and the next fit."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from nervure.cli.verdict import read_verdicts
from nervure.core.error import DataError
from nervure.core.event import Persistence
from nervure.core.guard import Plan, Told, Verdict, watch
from nervure.core.instant import DAY_NS
from nervure.core.tail import tail_of
from nervure.learn.detect.block import Block
from nervure.learn.detect.vigil import keep

MINUTE = 60 * 10**9
SPAN = Persistence(hold_ns=0, gap_ns=20 * MINUTE, hole_ns=60 * MINUTE)


def limits(verdict: Verdict | None) -> np.ndarray:
    random = np.random.default_rng(0)
    score = random.exponential(1.0, 5_000)
    score[1_000:1_010] = 25.0
    rate = MINUTE / DAY_NS
    plan = Plan(
        kind="adaptive",
        tail=tail_of(random.exponential(1.0, 5_000)),
        limit=4.0,
        rate=rate,
        alarms_per_day=1.0,
    )
    told = [Told(start_ns=990 * MINUTE, end_ns=1_020 * MINUTE, verdict=verdict)] if verdict else []
    return watch(plan, np.arange(5_000) * MINUTE, score[:, None], SPAN, told)[1]


def test_a_true_alarm_does_not_use_up_the_promise_and_a_false_one_raises_the_limit() -> None:
    nothing, true, planned, false = (limits(one) for one in (None, "true", "planned", "false"))
    assert np.array_equal(nothing[:1_010], true[:1_010]), "nobody says anything before it has rung"
    assert true[1_100] < nothing[1_100]
    assert np.array_equal(true, planned)
    assert true[1_100] == pytest.approx(true[999], abs=0.2)
    assert false[1_100] == pytest.approx(nothing[1_100] + 1.0, abs=0.2)


def test_what_was_odd_is_not_learnt_from_and_what_was_false_is() -> None:
    random = np.random.default_rng(1)
    rows = 3_000
    value = random.normal(size=(rows, 2))
    for start in range(100, 1_150, 75):  # a tenth of what is learnt from is odd
        value[start : start + 8, 0] += 6.0
    value[2_000:2_010, 0] += 6.0
    block = Block(
        name="x",
        channels=("a", "b"),
        value=value,
        time=np.arange(rows, dtype=np.int64) * MINUTE,
        every_ns=MINUTE,
    )
    spans = [(start, start + 8) for start in range(100, 1_150, 75)]

    def peak(verdict: Verdict) -> float:
        told = [Told(start_ns=a * MINUTE, end_ns=b * MINUTE, verdict=verdict) for a, b in spans]
        vigil = keep(block, quick=True, told=told)
        return float(vigil.score[2_000 - vigil.since : 2_010 - vigil.since].max())

    assert peak("true") > peak("false")
    labelled = msgspec.structs.replace(block, label=np.ones(rows, dtype=np.int8))
    plain, seen = keep(block, quick=True), keep(labelled, quick=True)
    assert np.array_equal(plain.score, seen.score), "labels of a file only measure"


def test_a_file_of_verdicts_is_read_or_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "told.csv"
    path.write_text("start,end,verdict\n1970-01-02,1970-01-02T01:00+01:00,Planned\n", "utf-8")
    assert read_verdicts(path) == (Told(start_ns=DAY_NS, end_ns=DAY_NS, verdict="planned"),)
    for text, says in (
        ("start,end\n", "no columns"),
        ("start,end,verdict\n1970-01-02,1970-01-03,perhaps\n", "no verdict"),
        ("start,end,verdict\nnoon,1970-01-03,true\n", "no time"),
        ("start,end,verdict\n1970-01-04,1970-01-03,true\n", "before"),
    ):
        path.write_text(text, "utf-8")
        with pytest.raises(DataError, match=says):
            read_verdicts(path)
    with pytest.raises(DataError, match="cannot read"):
        read_verdicts(tmp_path / "none.csv")
