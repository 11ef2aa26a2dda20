"""What MQTT has acknowledged is in the log, whenever nats-server is killed.

The server acknowledges QoS 1 once the stream of its MQTT messages has them. A stream of our own
beside that one, fed from the devices' subjects, is filled by a queue of its own: with ``sync_s=0``
and these senders it lacked up to 2,393 of 16,000 acknowledged messages after a kill.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from pathlib import Path

import pytest

from nervure.stream.log import Log
from nervure.stream.subject import datastream_of, reading_topic
from tests.flood import Flood
from tests.support import collect, kill, make_settings, running

pytestmark = pytest.mark.chaos

DEVICES = 8
ROUNDS = 3


@pytest.mark.parametrize(
    ("sync_s", "window", "pad"),
    [
        (0.0, 1, 0),
        (
            0.0,
            20,
            2000,
        ),  # a flush takes a millisecond or more: wider windows run into the server's time limit
        (120.0, 1, 0),
        (120.0, 1000, 0),
        (120.0, 1000, 2000),
    ],
)
def test_no_acknowledged_message_is_lost_when_the_server_is_killed(
    tmp_path: Path, sync_s: float, window: int, pad: int
) -> None:
    settings = make_settings(tmp_path, sync_s=sync_s, max_store_gb=4.0)
    port = settings.nats.mqtt_port
    luck = random.Random(f"{sync_s} {window} {pad}")

    async def run() -> None:
        async with running(settings) as (server, log):
            for _ in range(ROUNDS):
                _, before = await log.first_last()
                floods = [
                    await Flood.start(port, f"device-{number}", reading_topic(number), window=window, pad=pad)
                    for number in range(DEVICES)
                ]
                async with asyncio.timeout(30):
                    await asyncio.wait([flood.begun for flood in floods], return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(luck.uniform(0.0, 0.7))
                await kill(server)
                await asyncio.gather(*(flood.ended for flood in floods))
                kept = await _kept(log, before)
                for number, flood in enumerate(floods):
                    missing = set(range(1, flood.acknowledged + 1)) - kept[number]
                    assert not missing, f"{len(missing)} of {flood.acknowledged} of device {number} are lost"

    asyncio.run(run())


async def _kept(log: Log, before: int) -> dict[int | None, set[int]]:
    _, last = await log.first_last()
    found = await collect(log, before, last - before)
    kept: dict[int | None, set[int]] = defaultdict(set)
    for subject, payload in zip(found.subject, found.payload, strict=True):
        kept[datastream_of(subject)].add(int(payload))
    return kept
