"""Bytewax: a source in memory, its keyed state for the windows, batches of the dataflow scored at once."""

from __future__ import annotations

from typing import Any

from nervure.bench.speed.engines.seat import Ring, Seat, decode

__all__ = ["main"]

_BATCH = 1_000  # messages that the source gives at once


def main() -> None:
    """Run the dataflow in one worker."""
    import bytewax.operators as op
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSource, run_main

    seat = Seat.taken()
    messages = list(seat.lines("messages.tsv"))

    def window(ring: Ring | None, message: tuple[str, int, float]) -> tuple[Ring, list[Any]]:
        key, turn, value = message
        ring = ring or Ring()
        full = ring.push(value)
        return ring, [] if full is None else [(seat.number(key, turn), full.copy())]

    flow = Dataflow("job")
    read = op.input("read", flow, TestingSource(messages, batch_size=_BATCH))
    decoded = op.flat_map_batch("decode", read, _decoded)
    windows = op.stateful_flat_map("window", decoded, window)
    scored = op.flat_map_batch("score", windows, lambda batch: _scored(seat, batch))
    op.output("collect", scored, _sink(seat))
    seat.score([Ring()._held[:64]])  # noqa: SLF001 - the model is loaded before the start
    seat.ready()
    run_main(flow)
    seat.done()


def _decoded(batch: list[tuple[str, str]]) -> list[tuple[str, tuple[str, int, float]]]:
    return [(key, (key, *decode(payload))) for key, payload in batch]


def _scored(seat: Seat, batch: list[tuple[str, Any]]) -> list[tuple[int, float]]:
    scores = seat.score([window for _, (_, window) in batch])
    return [(number, score) for (_, (number, _)), score in zip(batch, scores.tolist(), strict=True)]


def _sink(seat: Seat) -> Any:
    from bytewax.outputs import DynamicSink, StatelessSinkPartition

    class Part(StatelessSinkPartition):  # type: ignore[misc]  # Bytewax is not installed where this is checked
        def write_batch(self, items: list[tuple[int, float]]) -> None:
            for number, score in items:
                seat.scores[number] = score

    class Sink(DynamicSink):  # type: ignore[misc]  # the same
        def build(self, *_: Any) -> Part:
            return Part()

    return Sink()


if __name__ == "__main__":
    main()
