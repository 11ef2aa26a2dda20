"""A node merges small files as often as its settings say."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from nervure.core.settings import Project, Settings, Store
from nervure.node.compose import Node
from nervure.solutions import find
from nervure.store.provision import Place, provision
from nervure.stream.subject import reading_subject

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]


def test_small_files_are_merged_as_often_as_wanted(settings: Settings) -> None:
    store = Store(seal_s=0.05, compact_s=0.2)
    settings = msgspec.structs.replace(settings, project=Project(solutions=("flood",)), store=store)

    async def run() -> None:
        node = Node(settings)
        await node.start()
        stream = provision(node.catalogue, find("flood"), [Place(name="gauge")])["gauge/level"]
        working = asyncio.create_task(node.run())
        merged = settings.folder / "observations"
        try:
            async with asyncio.timeout(120):
                while not any(merged.glob("day=*/merged-*")):
                    await node.log.publish(reading_subject(stream.id), b'{"result":1}')
                    await asyncio.sleep(0.1)
        finally:
            node.stop()
            await working

    asyncio.run(run())
