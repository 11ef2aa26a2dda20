"""Ray: two actors keyed by a hash of the sensor, to which batches go, a few on their way at once."""

from __future__ import annotations

from itertools import islice
from typing import Any
from zlib import crc32

from nervure.bench.speed.engines.seat import Ring, Seat, decode

__all__ = ["main"]

_ACTORS, _BATCH, _ON_THE_WAY = 2, 5_000, 4


class _Worker:
    """An actor: windows of its share of the sensors."""

    def __init__(self, folder: str, scores: str) -> None:
        self._seat = Seat(folder, scores)
        self._rings: dict[str, Ring] = {}

    def take(self, batch: list[tuple[str, str]]) -> int:
        """Take messages in their order; score those that fill a window, all at once."""
        numbers: list[int] = []
        windows = []
        for key, payload in batch:
            turn, value = decode(payload)
            ring = self._rings.get(key)
            if ring is None:
                ring = self._rings[key] = Ring()
            full = ring.push(value)
            if full is not None:
                numbers.append(self._seat.number(key, turn))
                windows.append(full.copy())
        self._seat.put(numbers, windows)
        return len(numbers)


def main() -> None:
    """Start Ray on this machine, warm the actors, send them the messages."""
    import ray

    seat = Seat.taken()
    ray.init(
        num_cpus=_ACTORS,
        include_dashboard=False,
        object_store_memory=200_000_000,
        log_to_driver=False,
        configure_logging=False,
    )
    actor: Any = ray.remote(_Worker)
    actors = [actor.remote(str(seat.folder), seat.file) for _ in range(_ACTORS)]
    messages = list(seat.lines("messages.tsv"))
    _send(ray, actors, list(seat.lines("warm.tsv")))
    seat.ready()
    _send(ray, actors, messages)
    seat.done()
    ray.shutdown()


def _send(ray: Any, actors: list[Any], messages: list[tuple[str, str]]) -> None:
    """Give every actor its part of each batch; wait for the oldest before too many are on their way."""
    coming = iter(messages)
    waiting: list[Any] = []
    while batch := list(islice(coming, _BATCH)):
        parts: list[list[tuple[str, str]]] = [[] for _ in actors]
        for message in batch:
            parts[crc32(message[0].encode()) % len(actors)].append(message)
        waiting += [actor.take.remote(part) for actor, part in zip(actors, parts, strict=True)]
        while len(waiting) > _ON_THE_WAY:
            ray.get(waiting.pop(0))
    ray.get(waiting)


if __name__ == "__main__":
    main()
