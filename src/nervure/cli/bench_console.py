"""``nervure bench console``: the web console on a city, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from nervure.cli.benched import Out, Quick, run
from nervure.cli.option import Json

__all__ = ["console"]


def console(
    *,
    sensors: Annotated[int, Parameter(help="Sensors, series and alerts.", show_default=True)] = 10_000,
    turns: Annotated[int, Parameter(help="How many turns; medians count.", show_default=True)] = 3,
    minutes: Annotated[float, Parameter(help="To watch memory; 0: not at all.", show_default=True)] = 60.0,
    shots: Annotated[Path | None, Parameter(help="Where to keep a picture of the page if it fails.")] = None,
    quick: Quick = False,
    out: Out = None,
    json: Json = False,
) -> int:
    """The console on a city of 10,000 sensors: bytes, times to what is seen, memory.

    It runs from a checkout of the sources, with Chromium. A quick run has 1,000 sensors and one turn.
    """
    from nervure.bench.speed.console import measure

    if quick:
        sensors, turns, minutes = 1_000, 1, 0.1
    return run(
        "console",
        lambda tell: measure(sensors=sensors, turns=turns, minutes=minutes, out=shots, progress=tell),
        quick=quick,
        part=minutes == 0,
        out=out,
        json=json,
    )
