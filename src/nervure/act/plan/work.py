"""The work list: what is worth doing within the horizon, what most, and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nervure.act.plan.risk import Risk, horizon_risk
from nervure.core.error import DataError
from nervure.core.maintenance import Asset, Work

__all__ = ["risks", "work_list"]


def risks(assets: Sequence[Asset], *, band: float = 0.9) -> dict[str, Risk]:
    """Return each asset's costs, by name. Where none says how long a new one lasts, the longest middle does.

    Raises ``DataError`` where there is nothing to plan, two have one name, or a number makes no sense.
    """
    if not assets:
        raise DataError("there is nothing to plan: no asset is given")
    names = [one.name for one in assets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{twice[0]} is there twice", hint="give each asset one row")
    for one in assets:
        _sensible(one)
    told = [one.life for one in assets if one.life]
    life = float(np.median(told)) if told else max(one.mid for one in assets)
    return {one.name: Risk(one, band=band, life=max(life, one.mid, 1.0)) for one in assets}


def _sensible(one: Asset) -> None:
    if one.hours <= 0:
        raise DataError(f"{one.name}: work of {one.hours:g} hours", hint="say how long it takes")
    if min(one.cost_preventive, one.cost_failure, one.downtime, one.failure_hours or 0.0) < 0:
        raise DataError(f"{one.name}: a cost is below 0")
    if one.earliest < 0 or (one.latest is not None and one.latest <= one.earliest):
        raise DataError(f"{one.name}: its window from day {one.earliest:g} to {one.latest:g} is empty")


def work_list(assets: Sequence[Asset], horizon: float, *, band: float = 0.9) -> tuple[Work, ...]:
    """Rank assets by what work within ``horizon`` days spares, beside leaving it until afterwards.

    As if there were always a crew; windows are kept.
    """
    costs = risks(assets, band=band)
    found = []
    for own in assets:
        risk = costs[own.name]
        stop = min(horizon, own.latest if own.latest is not None else horizon)
        best = risk.best(min(own.earliest, stop), stop)
        saves = risk.later(horizon) - float(risk.cost(best))
        if own.earliest >= horizon:
            saves = min(saves, 0.0)
        found.append((saves, best, risk))
    order = sorted(range(len(found)), key=lambda at: (-found[at][0], assets[at].name))
    return tuple(
        Work(
            rank=rank, asset=assets[at], best=found[at][1], risk=horizon_risk(found[at][2], horizon),
            saves=found[at][0], reason=_reason(assets[at], found[at][2], horizon, *found[at][:2]),
        )
        for rank, at in enumerate(order, start=1)
    )  # fmt: skip


def _reason(own: Asset, risk: Risk, horizon: float, saves: float, best: float) -> str:
    lasts = f"it should last {_days(own.mid)} more ({own.low:.3g} to {own.high:.3g})"
    chance = horizon_risk(risk, horizon)
    if saves <= 0:
        early = "a renewal before then would throw life away" if chance < 0.5 else "its failure costs no more"
        return f"{lasts}; it fails within {_days(horizon)} with {chance:.0%}, and {early}"
    return (
        f"{lasts}; it fails within {_days(horizon)} with {chance:.0%}, which costs {own.failed:,.0f}"
        f" instead of {own.planned:,.0f}: day {best:.0f} is best and spares {saves:,.0f}"
    )


def _days(number: float) -> str:
    return f"{number:.3g} day" + ("" if number == 1 else "s")
