"""``nervure maintain``: from remaining lives to a work list and a schedule."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from nervure.cli.option import Json
from nervure.cli.output import say, table, write_json
from nervure.core.error import UsageError
from nervure.core.instant import DAY_NS, duration_ns

if TYPE_CHECKING:
    from nervure.core.maintenance import Crew, Plan

__all__ = ["maintain"]

Fleet = Annotated[
    Path,
    Parameter(
        name="--csv",
        help="The fleet, a row an asset: asset, low, mid, high (remaining life in days),"
        " cost_preventive, cost_failure, hours; and if known failure_hours, downtime (an hour), earliest,"
        " latest, life, skill.",
    ),
]
Crews = Annotated[int, Parameter(help="How many crews there are.", show_default=True)]
Horizon = Annotated[str, Parameter(help="How far to plan, in days or weeks.", show_default=True)]
Shift = Annotated[float, Parameter(help="Hours a crew works a day.", show_default=True)]
Band = Annotated[
    float, Parameter(help="The share of lives that lie between low and high.", show_default=True)
]
Skills = Annotated[
    str, Parameter(help="What each crew can do: 'pump+valve,pump'. Left out, everybody can do everything.")
]


def maintain(
    *,
    csv: Fleet,
    crews: Crews = 1,
    horizon: Horizon = "30d",
    shift: Shift = 8.0,
    band: Band = 0.9,
    skills: Skills = "",
    json: Json = False,
) -> int:
    """Rank what is worth maintaining by what it spares, and give each piece of work a crew and a day.

    Expected costs: a renewal too early throws life away, one too late risks a failure.
    """
    from nervure.act.plan.fleet import read_fleet
    from nervure.act.plan.schedule import schedule

    days = _days(horizon)
    plan = schedule(read_fleet(csv), _crews(crews, skills), days, shift=shift, band=band)
    if json:
        write_json(msgspec.to_builtins(plan))
    else:
        _show(plan)
    return 0


def _days(text: str) -> int:
    days = duration_ns(text, where="--horizon") / DAY_NS
    if days < 1 or days != math.floor(days) or days > 366:
        raise UsageError(f"--horizon {text} is no number of whole days up to a year", hint="write 30d or 4w")
    return int(days)


def _crews(count: int, skills: str) -> tuple[Crew, ...]:
    from nervure.act.plan.schedule import crews_of
    from nervure.core.maintenance import Crew

    if count < 1:
        raise UsageError(f"--crews {count}: nobody is there to work", hint="write --crews 1")
    plain = crews_of(count)
    if not skills:
        return plain
    told = skills.split(",")
    if len(told) != count:
        raise UsageError(
            f"--skills tells of {len(told)} crews and there are {count}",
            hint="write --crews 2 --skills a+b,a",
        )
    return tuple(
        Crew(name=crew.name, skills=tuple(word.strip() for word in own.split("+") if word.strip()))
        for crew, own in zip(plain, told, strict=True)
    )


def _show(plan: Plan) -> None:
    table(
        ("rank", "asset", "why"),
        [(one.rank, one.asset.name, one.reason) for one in plan.work],
        title="Work list",
    )
    if plan.visits:
        table(
            ("day", "hour", "hours", "asset", "crew", "why"),
            [(one.day, one.hour, one.hours, one.asset, one.crew, one.reason) for one in plan.visits],
            title="Schedule",
        )
    if plan.left:
        table(("asset", "why"), [(one.asset, one.reason) for one in plan.left], title="Left until later")
    more = f"; no schedule spares more than {plan.short:,.0f} beyond that" if plan.short >= 1 else ""
    say(f"The schedule is expected to spare {plan.saves:,.0f} beside leaving all until later{more}.")
