"""``nervure bench stream``: readings by MQTT through decode, window, store and score, beside peers."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from nervure.cli.benched import Out, Quick, run
from nervure.cli.option import Json
from nervure.core.error import UsageError

__all__ = ["stream"]


def stream(
    *,
    messages: Annotated[
        int, Parameter(help="How many messages are sent a turn.", show_default=True)
    ] = 100_000,
    turns: Annotated[int, Parameter(help="How many turns; medians count.", show_default=True)] = 3,
    case: Annotated[
        tuple[str, ...], Parameter(help="Only the cases whose names begin so; may be repeated.")
    ] = (),
    quick: Quick = False,
    out: Out = None,
    json: Json = False,
) -> int:
    """Readings by MQTT beside bare subscribers: messages per CPU-second with and without a model."""
    from nervure.bench.speed.stream import CASES, measure
    from nervure.bench.speed.subscriber import SUBSCRIBERS

    chosen = [one for one in CASES if not case or one.name.startswith(case)]
    if quick:
        chosen = list(CASES[:1])
    if not chosen:
        names = "; ".join(one.name for one in CASES)
        raise UsageError(f"there is no case {case[0]!r}", hint=f"there are: {names}")
    return run(
        "stream",
        lambda tell: measure(
            messages=10_000 if quick else messages,
            turns=1 if quick else turns,
            cases=chosen,
            peers=("paho",) if quick else tuple(SUBSCRIBERS),
            progress=tell,
        ),
        packages=("paho-mqtt", "aiomqtt", "gmqtt"),
        quick=quick,
        out=out,
        json=json,
        part=bool(case),
    )
