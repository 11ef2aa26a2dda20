"""``nervure bench faults``: what breaks, and what becomes of what was acknowledged."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from nervure.cli.benched import Out, run
from nervure.cli.option import Json

__all__ = ["faults"]


def faults(
    *,
    only: Annotated[
        tuple[str, ...], Parameter(help="Play this case; may be repeated. The report keeps the others.")
    ] = (),
    out: Out = None,
    json: Json = False,
) -> int:
    """Kill, stall, fill, damage and flood a node under load, and look for every acknowledged message.

    It takes about half an hour. PostgreSQL must be installed, and root is needed to mount a small disk.
    """
    from nervure.bench.speed.faults import NOTES, measure

    return run(
        "faults",
        lambda tell: measure(only=only, progress=tell),
        notes=NOTES,
        part=bool(only),
        out=out,
        json=json,
    )
