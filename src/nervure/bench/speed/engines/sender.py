"""The sender of the job's messages by MQTT, QoS 1: frames are encoded before it is told to go."""

from __future__ import annotations

import sys
from pathlib import Path

from nervure.bench.speed.engines.seat import Seat, sending
from nervure.bench.speed.load import Burst, send

__all__ = ["main"]


def main(folder: str, scores: str, port: str, topics: str) -> None:
    """Read the messages; ``topics`` is a file with the topic of each sensor, a line each."""
    names = Path(topics).read_text("utf-8").split()
    seat = Seat(folder, scores)
    burst = Burst([(names[int(key[1:])], text.encode()) for key, text in seat.lines("messages.tsv")])

    def work() -> None:
        acknowledged = send("127.0.0.1", int(port), burst).acknowledged
        if acknowledged != seat.messages:
            raise RuntimeError(f"the broker took {acknowledged:,} of {seat.messages:,} messages")

    sending(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
