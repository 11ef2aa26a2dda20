"""``nervure bench scale``: the stream scored by several workers, placed by the node and by Ray."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from nervure.cli.benched import Out, Quick, run
from nervure.cli.option import Json
from nervure.core.error import UsageError

__all__ = ["scale"]

_NOTES = (
    "All setups share the cores with the log server and the sender: more workers than cores gain nothing.",
    "The node alone decodes and stores all readings, whoever scores: what light models gain is bound by it.",
    "The second in which a burst is committed counts too: more messages weigh it less.",
    "What Ray spends on itself counts among all processes, where it has placed the workers.",
)


def scale(
    *,
    messages: Annotated[
        int, Parameter(help="How many messages are sent a turn.", show_default=True)
    ] = 200_000,
    turns: Annotated[int, Parameter(help="How many turns; medians count.", show_default=True)] = 3,
    channels: Annotated[
        list[int] | None, Parameter(help="Only with CNNs of so many channels; others stay in the report.")
    ] = None,
    quick: Quick = False,
    out: Out = None,
    json: Json = False,
) -> int:
    """The stream with 1, 2 and 4 workers: messages a second, and seconds until others take over."""
    from nervure.bench.speed.scale import LEAVE, NETS, SETUPS, measure

    nets = NETS[1:2] if quick else NETS
    wanted = [one for one in nets if channels is None or one.channels in channels]
    if not wanted:
        raise UsageError(
            f"there is no CNN of {channels} channels here",
            hint=f"there are: {', '.join(str(one.channels) for one in nets)}",
        )
    return run(
        "scale",
        lambda tell: measure(
            messages=20_000 if quick else messages,
            turns=1 if quick else turns,
            setups=[one for one in SETUPS if one.workers in {0, 2} and not one.ray] if quick else SETUPS,
            nets=wanted,
            leaves=("killed",) if quick else () if channels else tuple(LEAVE),
            progress=tell,
        ),
        packages=("ray",),
        notes=_NOTES,
        quick=quick,
        part=bool(channels),
        out=out,
        json=json,
    )
