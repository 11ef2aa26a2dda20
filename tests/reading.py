"""Readings for tests of the store: one message of the log, written short."""

from __future__ import annotations

from nervure.core.instant import DAY_NS, SECOND_NS
from nervure.core.observation import Batch, observation_id

__all__ = ["START", "batch"]

START = 19_675 * DAY_NS
"""2023-11-14 in UTC."""


def batch(sequence: int, readings: list[tuple[int, int, float]], **columns: object) -> Batch:
    """One message at ``sequence`` with (datastream, second, value) readings."""
    return Batch.of(
        id=[observation_id(sequence, index) for index in range(len(readings))],
        datastream=[reading[0] for reading in readings],
        time=[START + reading[1] * SECOND_NS for reading in readings],
        value=[reading[2] for reading in readings],
        **columns,  # type: ignore[arg-type]
    )
