"""What hours of streets behind guards come to, and what of it was not to be."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nervure.bench.safety.street import LEASE_S, MOST_RED_S, STEP_S, Street

__all__ = ["Side", "sides", "unlike"]

STARVED, KILLED = 1.3, 1.1
"""How many times the fixed delay a starving policy may cost on average, and a killed platform in any hour."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A side over its seeds: mean delay, that beside the fixed plan's, the worst hour, the longest red."""

    net: str
    side: str
    runs: int
    delay_s: float
    ratio: float
    worst: float
    longest_red_s: float
    orders: int
    refused: int
    kills: int
    back_s: float


def sides(runs: Sequence[Street]) -> list[Side]:
    """Put the hours of each side together.

    >>> plan, other = (Street(side=one, seed=1, delay_s=two, longest_red_s=9.0, standstill_s=0.0)
    ...                for one, two in (("fixed", 20.0), ("starved", 25.0)))
    >>> [(one.side, one.ratio) for one in sides([plan, other])]
    [('fixed', 1.0), ('starved', 1.25)]
    """
    plan = {(one.net, one.seed): one.delay_s for one in runs if one.side == "fixed"}
    found = []
    for net, side in dict.fromkeys((one.net, one.side) for one in runs):
        mine = [one for one in runs if (one.net, one.side) == (net, side) and (net, one.seed) in plan]
        fixed = sum(plan[net, one.seed] for one in mine)
        found.append(
            Side(
                net=net,
                side=side,
                runs=len(mine),
                delay_s=sum(one.delay_s for one in mine) / len(mine),
                ratio=sum(one.delay_s for one in mine) / fixed,
                worst=max(one.delay_s / plan[net, one.seed] for one in mine),
                longest_red_s=max(one.longest_red_s for one in mine),
                orders=sum(one.orders for one in mine),
                refused=sum(one.refused for one in mine),
                kills=sum(one.kills for one in mine),
                back_s=max(one.back_s for one in mine),
            )
        )
    return found


def unlike(runs: Sequence[Street]) -> list[str]:
    """Say what did not hold."""
    wrong = []
    for one in sides(runs):
        who, starves = f"{one.net}, {one.side}", one.side.startswith("starved")
        if one.longest_red_s > MOST_RED_S:
            wrong.append(f"{who}: red for {one.longest_red_s:g} s, {MOST_RED_S:g} are allowed")
        if starves and not one.side.endswith("not benched") and one.ratio > STARVED:
            wrong.append(f"{who}: {one.ratio:.2f} times the delay of the fixed plan, {STARVED} are allowed")
        if one.kills and one.worst > KILLED:
            wrong.append(f"{who}: {one.worst:.2f} times the fixed delay in one hour, {KILLED} are allowed")
        if one.back_s > LEASE_S + STEP_S:
            wrong.append(f"{who}: on its plan after {one.back_s:g} s only, the lease is {LEASE_S:g}")
    return wrong
