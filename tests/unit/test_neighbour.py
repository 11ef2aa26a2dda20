"""Neighbours are those that tell something, however many nodes are looked at together."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from nervure.learn.neighbour import nearest
from nervure.learn.task import ForecastTask
from tests.series import weekly_task


def _led(nodes: int = 5) -> ForecastTask:
    """Return a task in which each node follows the one before it an hour later."""
    task = weekly_task(nodes=nodes, horizon=4)
    random = np.random.default_rng(2)
    value = task.table.value.copy()
    first = random.normal(size=len(value) + nodes)
    for node in range(nodes):
        start = nodes - node
        value[:, node] = first[start : start + len(value)] + random.normal(0, 0.1, len(value))
    return msgspec.structs.replace(task, table=msgspec.structs.replace(task.table, value=value))


def test_who_leads_is_found() -> None:
    assert nearest(_led(), 1)[1:, 0].tolist() == [0, 1, 2, 3]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nearest(_led(), 3)
    monkeypatch.setattr("nervure.learn.neighbour._BLOCK", 2)
    assert (nearest(_led(), 3) == whole).all()
    assert all(node not in row for node, row in enumerate(whole))
