"""``nervure bench store --quick``: it runs, says what it found, and all stores agree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nervure.bench.speed.store_ours import Ours
from nervure.bench.speed.store_peer import DuckTable, PlainDelta, PlainParquet
from nervure.bench.speed.store_postgres import Postgres
from nervure.bench.speed.store_rows import parts
from nervure.bench.speed.store_subject import QUESTIONS, Subject, agree, asked_of, evict
from nervure.cli import main
from nervure.core.error import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Postgres as Server

OURS = "nervure"
PEERS = {"DuckDB table", "plain Parquet", "plain Delta"}


@pytest.mark.service
def test_a_quick_run_holds_its_gates_beside_its_peers(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["bench", "store", "--quick", "--no-postgres", "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    found = json.loads(out)
    rows = {(one["case"], one["subject"], one["metric"]): one for one in found["rows"]}
    for case in ("write", "compacted", "24 h of one sensor, warm", "count of all, warm"):
        subjects = {subject for name, subject, _ in rows if name == f"200,000 rows: {case}"}
        assert subjects == {OURS, *PEERS}
    mine = rows["200,000 rows: table of 100 sensors for training, warm", OURS, "CPU ms"]
    assert set(mine["ratio_to"]) == PEERS
    assert mine["value"] > 0
    assert ("200,000 rows: write on", f"{OURS}, being read", "rows/s") in rows
    assert ("200,000 rows: from kill -9 to answers", OURS, "s") in rows


def test_answers_that_differ_are_an_error() -> None:
    one = (np.array([2, 1]), np.array([20.0, 10.0]))
    agree("last", {OURS: one, "turned around": (np.array([1, 2]), np.array([10.0, 20.0]))})
    with pytest.raises(DataError, match="answers otherwise"):
        agree("last", {OURS: one, "other": (np.array([1, 2]), np.array([10.0, 20.5]))})
    with pytest.raises(DataError, match="answers otherwise"):
        agree("last", {OURS: one, "shorter": (np.array([1]), np.array([10.0]))})


@pytest.mark.service
def test_every_store_answers_the_same_however_it_was_opened(tmp_path: Path, postgres: Server) -> None:
    where = postgres.database().replace("+psycopg", "")
    subjects: list[Subject] = [
        Ours(tmp_path / "nervure"),
        DuckTable(tmp_path / "duckdb"),
        PlainParquet(tmp_path / "parquet"),
        PlainDelta(tmp_path / "delta"),
        Postgres(where=where),
    ]
    rows = 20_000
    for subject in subjects:
        for one in parts(0, rows, rows // 2):
            subject.write(one)
        subject.settle()
        assert subject.size() > rows
        subject.close()
        subject.open()
        evict(subject.files())
    for turn, (name, ask) in enumerate(QUESTIONS.items()):
        answers = {subject.name: ask(subject, asked_of(rows, turn)) for subject in subjects}
        agree(name, answers)
        assert len(answers) == len(PEERS) + 2
    count = {int(subject.count(asked_of(rows, 0))[0][0]) for subject in subjects}
    assert count == {rows}
    for subject in subjects:
        subject.close()
