"""``nervure bench soak``: hours at half load, and what grows meanwhile."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from nervure.cli.benched import Out, run
from nervure.cli.option import Json

__all__ = ["soak"]


def soak(
    *,
    minutes: Annotated[float, Parameter(help="For how long.", show_default=True)] = 60.0,
    rate: Annotated[int, Parameter(help="Messages a second.", show_default=True)] = 5_000,
    every: Annotated[float, Parameter(help="Seconds from one look to the next.", show_default=True)] = 10.0,
    out: Out = None,
    json: Json = False,
) -> int:
    """Hours at half load: memory, files, delays, and by how much they grow."""
    from nervure.bench.speed.soak import measure

    return run(
        "soak",
        lambda tell: measure(minutes=minutes, rate=rate, every_s=every, progress=tell),
        out=out,
        json=json,
    )
