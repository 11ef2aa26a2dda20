from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from nervure.store.observations import Observations
from tests.chaos.writer import PACK, killed_after, message

ROOT = Path(__file__).parents[2]
DEATHS = 12


def check(folder: Path, acknowledged: int) -> int:
    """The table holds the messages up to its position, each reading once, and nothing behind it."""
    store = Observations.open(folder)
    try:
        assert store.repaired == ()
        assert store.position >= acknowledged, "what was sealed is there"
        found = store.series([1, 2, 3])
        assert sorted(found.value.tolist()) == list(range(PACK, PACK * (store.position + 1)))
        assert len(set(found.id.tolist())) == len(found) == store.count()
        position = store.position
        again = store.append(message(max(1, position)), position)  # the log goes on from the position
        assert (again.rows, again.duplicates) == (0, 0)
        return position
    finally:
        store.close()


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_at_any_instant_every_reading_is_stored_once(tmp_path: Path) -> None:
    folder = tmp_path / "observations"
    chance = random.Random(20)
    position = 0
    for _ in range(DEATHS):
        command = [sys.executable, "-m", "tests.chaos.writer", str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as writer:
            assert writer.stdout is not None
            assert int(writer.stdout.readline()) == position
            acknowledged = killed_after(writer, chance.randrange(6), chance.uniform(0.0, 0.05)) or position
        position = check(folder, acknowledged)
    assert position > DEATHS
    print(f"{position} messages stored once through {DEATHS} deaths")


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "observations"
    command = [sys.executable, "-m", "tests.chaos.full", str(folder)]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert len(seen["errors"]) == 5  # the last with its files there, and no commit
    for error in seen["errors"]:
        assert "the disk is full" in error
        assert str(folder) in error
        assert "hint: make room; no reading is lost" in error
    assert seen["rows"] == seen["sequence"] * PACK
    assert seen["stray"] == []
    assert check(folder, seen["sequence"]) == seen["sequence"]
