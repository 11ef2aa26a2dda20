"""Short versions of what `nervure bench faults` plays at length; test_node kills node and broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nervure.bench.speed.fault import away, damage, kill, room
from nervure.bench.speed.fault.case import Case, Scale

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(180)]

MOST_MB = 512


@pytest.mark.parametrize(
    ("case", "scale", "told"),
    [
        pytest.param(kill.kill_sender, Scale(times=3, seconds=1.5), None, id="sender killed"),
        pytest.param(away.stalled, Scale(seconds=3, rate=3_000), True, id="node stalled"),
        pytest.param(away.broker_away, Scale(seconds=4), True, id="log server stalled"),
        pytest.param(away.postgres_away, Scale(seconds=3), True, id="PostgreSQL away"),
        pytest.param(room.disk_full, Scale(seconds=3), True, id="disk full"),
        pytest.param(damage.damaged_log, Scale(times=1, seconds=2), None, id="log damaged"),
        pytest.param(damage.damaged_table, Scale(times=2, seconds=2), None, id="table damaged"),
    ],
)
def test_nothing_acknowledged_is_lost_or_doubled(
    tmp_path: Path, case: Case, scale: Scale, told: bool | None
) -> None:
    outcome = asyncio.run(case(tmp_path, scale))
    found = outcome.found
    assert found.acknowledged > 100
    assert (found.lost, found.doubled, found.altered, found.alerts) == (0, 0, 0, 0)
    assert outcome.faults == scale.times
    assert outcome.seen is told
    assert outcome.most_mb < MOST_MB
