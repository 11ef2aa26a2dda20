"""No engine: ONNX Runtime on windows that are cut already, or a plain loop around it."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nervure.bench.speed.engines.seat import BATCH, SENSORS, WINDOW, Ring, Seat, decode

__all__ = ["main"]


def main() -> None:
    """Run the ``model`` alone, or the ``loop``."""
    seat = Seat.taken()
    (_model if seat.variant == "model" else _loop)(seat)


def _model(seat: Seat) -> None:
    """Score windows that lie ready, in the order of their messages, ``BATCH`` at once."""
    read = np.array([decode(payload)[1] for _, payload in seat.lines("messages.tsv")], dtype=np.float32)
    cut = sliding_window_view(read.reshape(-1, SENSORS), WINDOW, axis=0)
    windows = np.ascontiguousarray(cut.reshape(-1, WINDOW))
    seat.score(windows[:BATCH])
    seat.ready()
    seat.put(np.arange((WINDOW - 1) * SENSORS, seat.messages), windows)
    seat.done()


def _loop(seat: Seat) -> None:
    """Decode message by message, keep windows in rings, score ``BATCH`` at once."""
    messages = list(seat.lines("messages.tsv"))
    seat.score(np.zeros((BATCH, WINDOW), dtype=np.float32))
    rings: dict[str, Ring] = {}
    numbers: list[int] = []
    held = []
    seat.ready()
    for key, payload in messages:
        turn, value = decode(payload)
        ring = rings.get(key)
        if ring is None:
            ring = rings[key] = Ring()
        window = ring.push(value)
        if window is not None:
            numbers.append(seat.number(key, turn))
            held.append(window.copy())
            if len(held) == BATCH:
                seat.put(numbers, held)
                numbers, held = [], []
    seat.put(numbers, held)
    seat.done()


if __name__ == "__main__":
    main()
