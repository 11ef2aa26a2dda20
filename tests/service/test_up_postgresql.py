"""A node whose catalogue lies in PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest

from nervure.store.catalogue import Catalogue
from tests.service.test_up import Platform

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Postgres

pytestmark = pytest.mark.service


def test_a_node_keeps_its_catalogue_where_the_settings_say(tmp_path: Path, postgres: Postgres) -> None:
    place = postgres.database()
    platform = Platform(tmp_path)
    platform.environ["NERVURE_CATALOGUE_URL"] = place
    with platform.start("up", "--open", "--json") as process:
        try:
            platform.wait(process)
            body = {"name": "pump", "description": "A pump", "properties": {"people": 5}}
            made = httpx.post(f"{platform.http}/v1.1/Things", json=body)
            assert made.status_code == 201, made.text
            found = httpx.get(f"{platform.http}/v1.1/Things?$filter=properties/people eq 5").json()["value"]
            assert [one["name"] for one in found] == ["pump"]
        finally:
            process.terminate()
            process.wait(60)
    with closing(Catalogue.open(place)) as catalogue:
        assert [one.name for one in catalogue.things()] == ["A", "site", "pump"]
    assert not list(tmp_path.rglob("catalogue.db"))
