"""Readings posted together are not decoded again when the log brings them, and are the same rows."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import pytest

from nervure.core.observation import Batch
from nervure.core.settings import Access, Settings
from nervure.node import event
from nervure.node.compose import Node
from nervure.sense.intake import Intake
from nervure.stream.log import Entries
from nervure.stream.subject import CHANGE
from tests.service.test_direct import Line, line, node_of, post
from tests.service.test_readings import made

pytestmark = pytest.mark.service

TIMES = (b'"2024-01-01T00:00:00.5+01:00"', b"1704067200", b"null", b'"2024-01-02T00:00:00.123456Z"')


async def posted(lines: list[Line], streams: list[int], turn: int) -> None:
    """Have each of some clients post one reading at the same time."""
    bodies = [
        b'{"result":%d.25,"phenomenonTime":%b}'
        % (turn * len(lines) + place, TIMES[(turn + place) % len(TIMES)])
        for place in range(len(lines))
    ]
    said = [
        one.say(post(streams[place % len(streams)], body))
        for place, (one, body) in enumerate(zip(lines, bodies, strict=True))
    ]
    assert {reply[0] for reply in await asyncio.gather(*said)} == {201}


async def decoded(node: Node) -> dict[int, tuple[int, int, float]]:
    """Return what the log holds in messages of several readings, by id: Datastream, instant, result."""
    found: dict[int, tuple[int, int, float]] = {}
    async for entries in node.log.read(0):
        for place, payload in enumerate(entries.payload):
            if entries.subject[place] == CHANGE and (puts := event.read(payload).make):
                sequence, came = entries.sequence[place], entries.received_ns[place]
                entry = Entries(sequence=[sequence], subject=[CHANGE], payload=[payload], received_ns=[came])
                batch, rejects = await node.inflow._make(puts, entry)
                assert not rejects
                columns = (batch.datastream.tolist(), batch.time.tolist(), batch.value.tolist())
                found |= zip(batch.id.tolist(), zip(*columns, strict=True), strict=True)
        if entries.sequence[-1] >= node.readings.position:
            break
    return found


def test_what_was_read_on_its_way_in_is_what_the_log_holds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[Batch | None] = []
    sounds = Intake.sounds

    def noted(*given: object) -> Batch | None:
        known.append(sounds(*given))  # type: ignore[arg-type]
        return known[-1]

    monkeypatch.setattr(Intake, "sounds", noted)

    async def scenario() -> None:
        opened = msgspec.structs.replace(settings, access=Access(open=True))
        async with node_of(opened) as node, contextlib.AsyncExitStack() as stack:
            streams = made(node, "hot", "cold")
            await node._learn()
            lines = [await stack.enter_async_context(line(opened)) for _ in range(9)]
            for turn in range(12):
                await posted(lines, list(streams), turn)
            ids = [one for batch in known if batch is not None for one in batch.id.tolist()]
            assert len(ids) > 50
            wanted = await decoded(node)
            for one in ids:
                row, (stream, time, value) = node.observations.by_id(one), wanted[one]
                assert row is not None
                assert (row.datastream, row.time_ns, row.result) == (stream, time // 1000 * 1000, value)
                assert row.feature

    asyncio.run(scenario())
