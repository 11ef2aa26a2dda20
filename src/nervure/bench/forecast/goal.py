"""What was aimed at, as data, and whether it was reached, judged by code.

The bounds were set beforehand, from published tables and from measurements of peers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from nervure.bench.forecast.job import DEFAULT

__all__ = ["BAND", "GOALS", "MEMORY_MB", "ROUND_MS", "Goal", "Verdict", "judge"]

BAND = (0.78, 0.82)
MEMORY_MB = 700.0
ROUND_MS = 5.0

Value = Callable[[str, str, str, str], float | None]
"""Of set, model, metric and horizon: the value, or None where it was not measured."""


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """A bound on one number of a set; ``least`` says the number is to be at least the bound.

    With ``against`` the bound is a share of what the default reached on another set.
    """

    set: str
    metric: str
    horizon: str
    bound: float
    stretch: float | None = None
    least: bool = False
    against: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A goal and what came of it: of the default model, and of the best other deep one."""

    goal: Goal
    bound: float | None
    value: float | None
    state: Literal["met", "stretch met", "met by another", "missed", "not measured"]
    other: str = ""
    other_value: float | None = None


def _mae(name: str, **bounds: tuple[float, float | None]) -> tuple[Goal, ...]:
    return tuple(
        Goal(set=name, metric="MAE", horizon=horizon.lstrip("_"), bound=bound, stretch=stretch)
        for horizon, (bound, stretch) in bounds.items()
    )


def _skill(name: str, **bounds: float) -> tuple[Goal, ...]:
    return tuple(
        Goal(set=name, metric="skill_MAE", horizon=horizon.lstrip("_"), bound=bound, least=True)
        for horizon, bound in bounds.items()
    )


GOALS: tuple[Goal, ...] = (
    *_mae("traffic", _15min=(3.10, 2.95), _30min=(3.60, 3.40), _1h=(4.10, 3.90)),
    *_mae("crowd", avg=(15.5, 14.8)),
    *_mae("air", _3h=(20.0, None), _6h=(29.5, None), _12h=(40.0, None)),
    Goal(set="air-weather", metric="MAE", horizon="12h", bound=0.95, against="air"),
    Goal(set="etth1", metric="MSE", horizon="avg", bound=0.380, stretch=0.371),
    *_mae("etth1", avg=(0.395, 0.393)),
    Goal(set="etth2", metric="MSE", horizon="avg", bound=0.290, stretch=0.284),
    *_mae("etth2", avg=(0.340, 0.329)),
    Goal(set="bwdf", metric="PI1", horizon="", bound=1.10),
    Goal(set="bwdf", metric="PI2", horizon="", bound=4.0),
    Goal(set="bwdf", metric="PI3", horizon="", bound=1.20),
    Goal(set="gefcom", metric="pinball", horizon="avg", bound=0.018, stretch=0.014),
    *_skill("wind", _1h=0.05, _6h=0.15),
    *_skill("wind-weather", _1h=0.05, _6h=0.15),
    *_skill("flood", _1h=0.0, _3h=0.0, _6h=0.0),
    *_mae("metr-la", _15min=(2.85, 2.69), _30min=(3.22, 3.08), _1h=(3.58, 3.51)),
    *_mae("pems08", avg=(14.4, 14.21)),
)


def judge(goal: Goal, value: Value, deep: tuple[str, ...]) -> Verdict:
    """Hold a goal against what was measured; ``deep`` are all deep models that ran on its set."""
    found = value(goal.set, DEFAULT, goal.metric, goal.horizon)
    bound: float | None = goal.bound
    if goal.against:
        base = value(goal.against, DEFAULT, goal.metric, goal.horizon)
        bound = None if base is None else goal.bound * base
    sign = -1.0 if goal.least else 1.0
    others = {
        name: one
        for name in deep
        if name != DEFAULT and (one := value(goal.set, name, goal.metric, goal.horizon)) is not None
    }
    best = min(others, key=lambda name: sign * others[name], default="")
    made = Verdict(
        goal=goal, bound=bound, value=found, state="not measured", other=best, other_value=others.get(best)
    )
    if bound is None or (found is None and not best):
        return made

    def within(number: float | None, limit: float) -> bool:
        if number is None:
            return False
        return number > limit if goal.least and limit == 0 else sign * number <= sign * limit

    if within(found, bound):
        far = goal.stretch is not None and within(found, goal.stretch)
        return msgspec.structs.replace(made, state="stretch met" if far else "met")
    state: Literal["met by another", "missed"] = (
        "met by another" if within(others.get(best), bound) else "missed"
    )
    return msgspec.structs.replace(made, state=state)
