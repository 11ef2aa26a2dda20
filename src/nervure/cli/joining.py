"""How a controller is joined to loops: the options of ``nervure act run``, and what they may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from nervure.core.error import UsageError
from nervure.core.settings import TOKEN

__all__ = ["Joining", "sensible"]


LEAST_LEARN_H = 96
_WHOSE = {
    "model": "learned",
    "net": "isolation",
    "hours": "isolation",
    "learn_h": "climate",
    "foresee": "climate",
}
"""Options that one controller alone goes by: others would leave them unheeded."""


@dataclass(frozen=True, kw_only=True)
class Joining:
    """To which loops, and how."""

    prefix: Annotated[
        str | None,
        Parameter(help="Only loops of Things whose names begin so; else roads/, building/, pipes/."),
    ] = None
    model: Annotated[Path | None, Parameter(help="Of learned: the signed ONNX file.")] = None
    net: Annotated[
        str | None, Parameter(help="Of isolation: the network, as nervure twin run pipes has it.")
    ] = None
    hours: Annotated[
        tuple[float, ...], Parameter(negative=(), help="Of isolation: hours at which bursts are foretold.")
    ] = (0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 18.0, 21.0)
    history: Annotated[
        float, Parameter(help="Hours of stored readings that it lives through before it begins.")
    ] = 0.0
    learn_h: Annotated[
        int, Parameter(help="Of climate: hours of learning before its first plan, 96 at least.")
    ] = 168
    foresee: Annotated[
        str | None,
        Parameter(help="Of climate: a Thing whose forecasts of temperature and sun it plans with."),
    ] = None
    lease: Annotated[
        float | None, Parameter(help="Seconds of the device that a command holds; else the longest allowed.")
    ] = None
    seconds: Annotated[float | None, Parameter(help="Stop after so many seconds of ours.")] = None
    trace: Annotated[
        Path | None,
        Parameter(help="Write each Task with what was seen, read, heard and asked when, a line each."),
    ] = None
    token: Annotated[
        str | None, Parameter(help=f"A token of somebody who may act, if one signs in; else {TOKEN}.")
    ] = None


def sensible(controller: str, asked: Joining) -> None:
    """Refuse numbers that no controller can be joined with, and a model that would not be used."""
    if asked.lease is not None and not 0 < asked.lease < math.inf:
        raise UsageError(f"--lease {asked.lease:g} holds nothing", hint="seconds of the device, more than 0")
    if asked.seconds is not None and not 0 < asked.seconds < math.inf:
        raise UsageError(f"--seconds {asked.seconds:g} is no time to run", hint="--seconds 60")
    if not 0 <= asked.history < math.inf:
        raise UsageError(f"--history cannot be {asked.history:g} hours", hint="--history 336")
    if wrong := [one for one in asked.hours if not 0 <= one < 24]:
        raise UsageError(f"--hours {wrong[0]:g} is no hour of a day", hint="0 to 24: --hours 6 --hours 18")
    if asked.learn_h < LEAST_LEARN_H:
        raise UsageError(
            f"--learn-h {asked.learn_h} is too short: no room is known by then",
            hint=f"--learn-h {LEAST_LEARN_H} at least; --history lives through stored hours at once",
        )
    plain = Joining()
    for name, whose in _WHOSE.items():
        if controller != whose and getattr(asked, name) != getattr(plain, name):
            option = f"--{name.replace('_', '-')}"
            raise UsageError(f"{controller} takes no {option}", hint=f"nervure act run {whose} {option} …")
