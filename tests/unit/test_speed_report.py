"""The report on speed keeps the cases that a run of a part did not measure."""

from __future__ import annotations

from pathlib import Path

from nervure.bench.speed.report import load, put
from nervure.bench.speed.row import Measured, Row


def run(*cases: tuple[str, float]) -> Measured:
    rows = tuple(
        Row(bench="faults", case=case, subject="nervure", metric="lost", value=value) for case, value in cases
    )
    return Measured(
        bench="faults", command="faults", when="2026-01-01T00:00", took_s=1.0, machine={}, rows=rows
    )


def told(folder: Path) -> list[tuple[str, float]]:
    (found,) = load(folder).runs
    return [(row.case, row.value) for row in found.rows]


def test_a_part_takes_the_place_of_its_cases_only(tmp_path: Path) -> None:
    put(run(("a", 1.0), ("b", 2.0)), tmp_path)
    put(run(("c", 5.0), ("a", 3.0)), tmp_path, part=True)
    assert told(tmp_path) == [("a", 3.0), ("b", 2.0), ("c", 5.0)]
    assert load(tmp_path).runs[0].took_s == 2.0
    put(run(("a", 4.0)), tmp_path)
    assert told(tmp_path) == [("a", 4.0)]
