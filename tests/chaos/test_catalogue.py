from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from nervure.store.catalogue import Catalogue
from tests.chaos.writer import killed_after

ROOT = Path(__file__).parents[2]
DEATHS = 10


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_at_any_instant_position_state_and_alerts_agree(tmp_path: Path) -> None:
    place = tmp_path / "catalogue.db"
    chance = random.Random(3)
    position = 0
    for _ in range(DEATHS):
        command = [sys.executable, "-m", "tests.chaos.view", str(place)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
            assert process.stdout is not None
            assert int(process.stdout.readline()) == position
            acknowledged = killed_after(process, chance.randrange(8), chance.uniform(0.0, 0.01)) or position
        catalogue = Catalogue.open(place)
        found = catalogue.view("score")
        position, state = found or (0, b"0")
        assert position >= acknowledged
        assert state == str(position).encode()
        alerts = {one.start_ns for one in catalogue.alerts(limit=100_000)}
        assert alerts == (set(range(position + 1)) if position else set())
        assert [one.start_ns for _, one in catalogue.outbox(100_000)] == (_news(position) if position else [])
        assert catalogue.quarantine_counts().get("future", 0) in (position, position + 1)
        catalogue.close()
    assert position >= DEATHS


def _news(position: int) -> list[int]:
    """Alerts 1, 0, 2, 3, ...: each once, in the order they were first told."""
    return [1, 0, *range(2, position + 1)]
