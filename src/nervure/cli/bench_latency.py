"""``nervure bench latency``: from sensor to decision, at several rates and under each preset."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from nervure.cli.benched import Out, run
from nervure.cli.option import Json

__all__ = ["latency"]


def latency(
    *,
    rate: Annotated[
        tuple[int, ...], Parameter(help="Messages a second; may be repeated. [default: 1000, 5000, 10000]")
    ] = (),
    seconds: Annotated[float, Parameter(help="For how long at each rate.", show_default=True)] = 15.0,
    turns: Annotated[int, Parameter(help="How many turns; medians count.", show_default=True)] = 1,
    out: Out = None,
    json: Json = False,
) -> int:
    """From sensor to decision, at several rates and with 0, 2 and 10 ms between batches."""
    from nervure.bench.speed.latency import RATES, measure

    return run(
        "latency",
        lambda tell: measure(rates=rate or RATES, seconds=seconds, turns=turns, progress=tell),
        out=out,
        json=json,
    )
