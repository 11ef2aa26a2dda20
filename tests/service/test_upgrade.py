"""Data folders that older code has written open in this one, are read whole, and go on."""

from __future__ import annotations

import asyncio
import tarfile
from pathlib import Path

import httpx
import pytest

from nervure.bench.process import NodeProcess, free_settings
from nervure.core.settings import Project
from nervure.store.catalogue import Catalogue
from nervure.store.observations import Observations
from nervure.stream.subject import reading_topic
from tests.patience import eventually
from tests.support import publish_mqtt

pytestmark = pytest.mark.service

FIXTURES = Path(__file__).parents[1] / "fixtures"
SEALED, LOGGED, MORE = 200, 100, 10


def moment(number: int) -> str:
    return f"2024-03-{1 + number // 24:02d}T{number % 24:02d}:00:00Z"


@pytest.mark.parametrize("state", ["0002", "0004"])
def test_a_data_folder_of_older_code_is_read_whole_and_goes_on(tmp_path: Path, state: str) -> None:
    folder = tmp_path / "data"
    with tarfile.open(FIXTURES / f"store-{state}.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    before = Observations.open(folder / "observations", write=False)
    assert (before.count(), before.position) == (SEALED, SEALED)
    before.close()
    node = NodeProcess(free_settings(folder, project=Project(solutions=("water",))))

    async def run() -> None:
        await node.start()
        try:
            stream = await _stream(node)
            body = b'{"phenomenonTime":"%b","result":%.4f}'
            more = [
                (reading_topic(stream), body % (moment(number).encode(), number / 8))
                for number in range(SEALED + LOGGED, SEALED + LOGGED + MORE)
            ]
            assert await asyncio.to_thread(publish_mqtt, node.settings.nats.mqtt_port, more) == MORE
            await eventually(node.status, lambda seen: seen["stored"] >= SEALED + LOGGED + MORE)
        finally:
            await node.stop()

    asyncio.run(run())
    after = Observations.open(folder / "observations", write=False)
    found = after.series([1, 2, 3, 4, 5])
    after.close()
    assert found.value.tolist() == [number / 8 for number in range(SEALED + LOGGED + MORE)]
    catalogue = Catalogue.open(folder / "catalogue.db")
    assert {one.name for one in catalogue.things()} >= {"old", "site"}
    catalogue.close()


async def _stream(node: NodeProcess) -> int:
    """Return the one Datastream of readings, asked for as a client would."""
    async with httpx.AsyncClient(base_url=node.url) as client:
        answer = (
            (await client.get("/v1.1/Datastreams?$filter=name eq 'old/inflow'")).raise_for_status().json()
        )
        (found,) = answer["value"]
        path = f"/v1.1/Datastreams({found['@iot.id']})/Observations?$count=true&$top=0"
        # a node answers while it still reads what its log holds
        whole = SEALED + LOGGED
        told = await eventually(lambda: client.get(path), lambda seen: seen.json()["@iot.count"] >= whole)
        assert told.json()["@iot.count"] == whole
    return int(found["@iot.id"])
