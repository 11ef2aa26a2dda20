"""Fixtures of the unit tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nervure.serve.sensorthings import SensorThings
from tests.entities import town

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def things(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SensorThings]:
    """The reading side of SensorThings over a small town, in either database."""
    postgres = request.param == "postgresql"
    database = request.getfixturevalue("postgres").catalogue() if postgres else ""
    with town(tmp_path_factory.mktemp("town"), database) as (catalogue, observations):
        yield SensorThings(catalogue, observations, endpoints=["mqtt://127.0.0.1:1883"])
