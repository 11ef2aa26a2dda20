"""Ours: the log's own reader, decoder and scorer, as the node uses them, in one process."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np
import uvloop

from nervure.bench.process import free_settings
from nervure.bench.speed.engines.seat import (
    BATCH,
    BEGIN_S,
    EVERY_S,
    SENSORS,
    WINDOW,
    Load,
    Seat,
    load,
    sending,
)
from nervure.core.entity import Datastream
from nervure.core.error import DataError
from nervure.core.instant import SECOND_NS
from nervure.core.settings import Limits, Settings
from nervure.score.pack import Pack
from nervure.score.runner import Runner
from nervure.score.scorer import Scorer
from nervure.sense.intake import Intake
from nervure.stream.log import Entries, Log
from nervure.stream.server import Server
from nervure.stream.subject import reading_subject
from nervure.trust.signature import trusted

__all__ = ["Way", "collect", "main"]

_FLOOD = Limits(per_device_s=1e6)  # the sender is faster than any device


class Way:
    """The way of a message: decoded, put into its window, scored. Datastreams are 1 and up by sensor."""

    def __init__(self, folder: Path) -> None:
        streams = [
            Datastream(
                id=1 + sensor,
                name=f"D{sensor}/inflow",
                unit="L/s",
                thing=1 + sensor,
                solution="water",
                signal="inflow",
                every_ns=EVERY_S * SECOND_NS,
            )
            for sensor in range(SENSORS)
        ]
        self._intake = Intake(streams, _FLOOD)
        runner = Runner((folder / "package.onnx").read_bytes(), trusted(folder / "keys"))
        outlets = {one.id: one.id for one in streams}
        self._scorer = Scorer(runner, streams, forecasts=outlets, batch=BATCH)

    def take(self, entries: Entries) -> list[Pack]:
        """Return what is said of a batch of the log."""
        batch, rejects = self._intake.take(entries)
        if rejects:
            raise DataError(f"{len(rejects)} messages were refused: {rejects[0].detail}")
        return self._scorer.take(batch).packs


def collect(seat: Seat, packs: list[Pack]) -> None:
    """Note the scores of messages; a model that has not seen a whole window says nothing."""
    issued = np.array([pack.issued_ns for pack in packs], dtype=np.int64)
    sensor = np.array([pack.datastream for pack in packs], dtype=np.int64) - 1
    bands = np.frombuffer(b"".join([pack.band for pack in packs])).reshape(-1, 3)
    turn = (issued // SECOND_NS - BEGIN_S) // EVERY_S
    full = turn >= WINDOW - 1
    seat.scores[(turn * SENSORS + sensor)[full]] = bands[full, 0]


async def _run(seat: Seat, folder: Path) -> None:
    settings = free_settings(folder)
    (folder / "settings").write_bytes(msgspec.json.encode(settings))
    server = await Server.start(settings)
    try:
        topics = folder / "topics"
        topics.write_text("".join(f"v1.1/Datastreams({one})/Observations\n" for one in range(1, SENSORS + 1)))
        shared = (str(seat.folder), seat.file)
        if seat.variant == "mqtt":
            sent = load(f"{__package__}.sender", *shared, str(settings.nats.mqtt_port), str(topics))
        else:
            sent = load(__spec__.name, *shared, "send", str(folder))
        with sent as sender:
            await _read(seat, settings, server.pid, sender)
    finally:
        await server.stop()


async def _read(seat: Seat, settings: Settings, broker: int, sender: Load) -> None:
    """Take the log to its end."""
    way, taken = Way(seat.folder), 0
    log = await Log.connect(settings)
    seat.ready(load=sender.pid, broker=broker)
    sender.go()
    async for entries in log.read(0):
        collect(seat, way.take(entries))
        taken += len(entries)
        if taken >= seat.messages:
            break
    seat.complete(limit_s=1.0)
    seat.done()
    await log.close()


def _send(seat: Seat, settings: Settings) -> None:
    """Append the messages to the log as a service does, some thousands in flight."""
    items = [
        (reading_subject(1 + int(key[1:])), payload.encode()) for key, payload in seat.lines("messages.tsv")
    ]

    async def work() -> None:
        log = await Log.connect(settings)
        await log.pour(items)
        await log.close()

    sending(lambda: uvloop.run(work()))


def main() -> None:
    """Start broker and sender, take every message; or be the sender."""
    if sys.argv[3] == "send":
        _send(Seat.taken(), msgspec.json.decode(Path(sys.argv[4], "settings").read_bytes(), type=Settings))
        return
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(_run(Seat.taken(), Path(folder)))


if __name__ == "__main__":
    main()
