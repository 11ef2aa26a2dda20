"""The job of `nervure bench engines`: ours and a plain loop give the right scores, wrong ones are caught."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from nervure.bench.speed.engines.bench import CASE, chosen, measure
from nervure.bench.speed.engines.job import TOLERANCE, check, reference, values, write
from nervure.bench.speed.engines.peer import OURS, Engine, prepare
from nervure.bench.speed.engines.seat import SENSORS, WINDOW
from nervure.bench.speed.engines.turn import turn
from nervure.bench.speed.run import silent
from nervure.core.error import DataError, EnvironmentMissing, UsageError

MESSAGES = 66 * SENSORS

pytestmark = pytest.mark.service


def test_a_quick_run_holds_every_score_against_the_reference(tmp_path: Path) -> None:
    notes: list[str] = []
    broken = Engine(subject="Broken", program="on_bytewax", how="in an environment without it")
    engines = [*chosen(quick=True, cache=tmp_path), broken]
    rows = measure(engines, messages=MESSAGES, turns=1, cache=tmp_path, notes=notes)
    rates = {row.subject: row for row in rows if row.metric == "events per CPU-s"}
    assert set(rates) == {OURS, "Python loop", "ONNX Runtime alone"}
    assert all(row.case == CASE and row.value > 0 for row in rates.values())
    assert set(rates[OURS].ratio_to) == {"Python loop", "ONNX Runtime alone"}
    whole = {row.subject: row.value for row in rows if row.metric == "events per CPU-s without the broker"}
    assert whole[OURS] > rates[OURS].value, "the broker's time must be in the one and not in the other"
    assert notes[0].startswith("Left out: Broken, it ended before it was ready")
    assert "No module named 'bytewax'" in notes[0]
    assert f"all {3 * SENSORS:,} scores" in notes[1]


def test_an_engine_that_saw_another_reading_is_caught(tmp_path: Path) -> None:
    expected = write(tmp_path, MESSAGES)
    file = tmp_path / "messages.tsv"
    lines = file.read_text().splitlines(keepends=True)
    lines[-1] = lines[-1].replace('"result":', '"result":1')
    file.write_text("".join(lines))
    turned = turn(Path(sys.executable), "on_alone", "loop", tmp_path, MESSAGES)
    check(turned.scores[:-1], expected[:-1], "loop")
    with pytest.raises(DataError, match=f"loop: score {MESSAGES - 1:,} is"):
        check(turned.scores, expected, "loop")


@pytest.mark.parametrize(
    ("place", "score", "said"),
    [
        (-1, 2 * TOLERANCE, "x: score 63,999 is"),
        (-1, np.nan, "x left out 1 of 1,000 scores and made 0 too many"),
        (0, 0.0, "x left out 0 of 1,000 scores and made 1 too many"),
    ],
)
def test_a_score_that_is_wrong_or_missing_or_too_many_is_caught(place: int, score: float, said: str) -> None:
    expected = reference(values(WINDOW))
    found = expected.copy()
    assert check(found, expected, "x") == 0.0
    found[place] = score if place == 0 else found[place] + score
    with pytest.raises(DataError, match=said):
        check(found, expected, "x")


def test_what_an_engine_lacks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentMissing, match="needs java, which is not installed"):
        prepare("flink", tmp_path, silent)
    with pytest.raises(UsageError, match="there is no engine 'Storm'"):
        chosen(["Storm"], cache=tmp_path)
    assert [one.subject for one in chosen(["spark"], cache=tmp_path)] == ["Spark"]
