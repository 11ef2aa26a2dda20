"""The platform killed while it controls devices: each is on its plan within the lease, nothing is unsafe."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nervure.bench.safety.chaos import play

pytestmark = [pytest.mark.service, pytest.mark.chaos]

KILLS = 3
"""``nervure bench safety`` kills fifty times."""


def test_devices_fall_back_to_their_plan_and_everything_is_in_the_log(tmp_path: Path) -> None:
    found = asyncio.run(play(tmp_path, KILLS, seed=7))
    assert (found.kills, found.late, found.unsafe, found.not_in_log, found.broken) == (KILLS, 0, 0, 0, 0), (
        found
    )
    assert found.taken > KILLS
    assert found.of_node
