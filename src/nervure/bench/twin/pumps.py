"""``nervure evaluate pumps``: a week of a town's pumps, planned by the hour, beside float switches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version

import numpy as np

from nervure.bench.twin.report import Part, Proof, goal, pairwise
from nervure.bench.twin.station import KINDS, LIMITS, TARIFF, Days, days, pattern, ridge, station
from nervure.core.paired import Paired, paired
from nervure.twin.fault import Fault

__all__ = ["prove"]

PLAIN, TARIFFED, PLANNED = KINDS
FAULTS = {
    "silent from 15 to 21 o'clock on the third day": Fault(
        kind="drop", of="Ridge/*", begin_s=63 * 3600, end_s=69 * 3600
    ),
    "stuck for the same hours": Fault(kind="stuck", of="Ridge/*", begin_s=63 * 3600, end_s=69 * 3600),
}
_SEEDS, _DAYS = 10, 7


def prove(tell: Callable[[float, str], None], *, quick: bool = False) -> Proof:
    """Run every week under every controller, and put together what came of them."""
    begun = time.process_time()
    seeds, count = (2, 2) if quick else (_SEEDS, _DAYS)
    usual, found = pattern(ridge()), dict[str, list[Days]]()
    todo = [(kind, seed) for kind in KINDS for seed in range(100, 100 + seeds)]
    for number, (kind, seed) in enumerate(todo):
        tell(0.8 * number / len(todo), f"{kind}, seed {seed}")
        found.setdefault(kind, []).append(days(kind, seed, usual, count=count))
    failed = {}
    for number, (name, fault) in enumerate(FAULTS.items()):
        tell(0.8 + 0.2 * number / len(FAULTS), name)
        failed[name] = [
            days(PLANNED, seed, usual, count=count, fault=fault)
            for seed in range(100, 100 + max(2, seeds // 3))
        ]
    return Proof(
        name="pumps",
        title="Pumps: water lifted when electricity is cheap",
        command="nervure evaluate pumps --json --out docs/report",
        said=_SAID.format(hold=_hold(), seeds=seeds, count=count, **LIMITS, night=TARIFF.night, day=TARIFF.day, peak=TARIFF.peak),
        engine=f"EPANET by owa-epanet {version('owa-epanet')}, a network of our own; HiGHS by scipy {version('scipy')}",
        cpu_s=time.process_time() - begun,
        goals=(
            goal("cost beside float switches", "≤", -15, _beside(found, PLANNED, PLAIN), "%"),
            goal("cost beside float switches by tariff", "≤", -3, _beside(found, PLANNED, TARIFFED), "%"),
            goal("chance alone makes so much of that", "≤", 0.05, _gain(found, PLANNED, TARIFFED).p),
            goal("starts a day of the three pumps, mean", "≤", 12, _mean(found[PLANNED], lambda one: one.starts / count)),
            goal("minutes with a tank outside its limits, planned, failing gauges too", "≤", 0, _total(found, failed, "outside_min"), "min"),
            goal("minutes with a pressure below the least, planned, failing gauges too", "≤", 0, _total(found, failed, "low_pressure_min"), "min"),
            goal("a solve, 99 of 100 within", "≤", 1000, max(one.solve_ms[1] for one in found[PLANNED] if one.solve_ms), "ms of CPU"),
        ),
        parts=(_summary(found, count), _beside_part(found), _failed(failed, count)),
    )  # fmt: skip


_SAID = (
    "A town of our own on two hills: three alike pumps, two tanks that hold {hold} m3 between their limits, nine junctions that draw"
    " 150 to 480 m3/h. {seeds} weeks of {count} days, each with its own seed: consumers differ by 10 % minute by minute and 5 % on their own,"
    " the whole town by 6 % for hours, pipes are 5 % rougher or smoother than the file says. Electricity costs {night} from 22 to 6,"
    " {peak} from 16 to 21, {day} otherwise. Levels have to stay between {low_m:g} and {high_m:g} m, pressures above {pressure_m:g} m. Every"
    " controller works through the loop of `act`: a pump stays on or off for 20 minutes at least, six changes an hour are allowed,"
    " none starts while a tank is full, and without fresh gauges the station's own float switches have the pumps. Float switches"
    " turn on the first pump at 4.2 m and off at 4.8 m, the others lower. By tariff, they do so from 3 to 3.6 m, 1.2 m higher while electricity is"
    " cheaper than its mean, and 1.2 m lower while it is dearer: the cheapest of five such settings of those that kept the limits on two other seeds."
    " The planner begins as float switches, learns pumps and tanks from what it reads, plans from the sixth hour"
    " on, and is given forecasts of what is drawn that are off by 4 % in the first hour and 10 % a day ahead. Water"
    " that tanks hold less at the end than at the beginning is paid for at the lowest price."
)


def _hold() -> str:
    return " and ".join(f"{(one.high_m - one.low_m) * one.area_m2:,.0f}" for one in station().tanks)


def _mean(found: Sequence[Days], of: Callable[[Days], float]) -> float:
    return float(np.mean([of(one) for one in found]))


def _beside(found: dict[str, list[Days]], one: str, other: str) -> float:
    return 100 * (_mean(found[one], lambda it: it.cost) / _mean(found[other], lambda it: it.cost) - 1)


def _total(found: dict[str, list[Days]], failed: dict[str, list[Days]], what: str) -> float:
    return float(sum(getattr(one, what) for runs in (found[PLANNED], *failed.values()) for one in runs))


def _gain(found: dict[str, list[Days]], one: str, other: str) -> Paired:
    """Return by how much one costs more than the other, in percent of the other's mean, pair by pair."""
    base = _mean(found[other], lambda it: it.cost)
    mine = [100 * it.cost / base for it in found[one]]
    return paired(mine, [100 * it.cost / base for it in found[other]])


def _row(runs: Sequence[Days], count: int) -> dict[str, float | str | None]:
    solves = [one.solve_ms for one in runs if one.solve_ms is not None]
    return {
        "cost a day": _mean(runs, lambda one: one.cost / count),
        "kWh a day": _mean(runs, lambda one: one.kwh / count),
        "starts a day": _mean(runs, lambda one: one.starts / count),
        "lowest level, m": min(one.lowest_m for one in runs),
        "highest, m": max(one.highest_m for one in runs),
        "outside, min": float(sum(one.outside_min for one in runs)),
        "least pressure, m": min(one.least_pressure_m for one in runs),
        "refused": float(sum(one.refused for one in runs)),
        "solve, median ms": max((one[0] for one in solves), default=None),
        "99 of 100": max((one[1] for one in solves), default=None),
    }


def _summary(found: dict[str, list[Days]], count: int) -> Part:
    return Part(
        title="The weeks",
        said="Means of all weeks; levels and pressures are the worst of all. `refused` counts commands that the interlocks"
        " did not let pass. Milliseconds are of the processor.",
        rows=tuple((kind, _row(runs, count)) for kind, runs in found.items()),
    )


def _beside_part(found: dict[str, list[Days]]) -> Part:
    pairs = ((PLANNED, PLAIN), (PLANNED, TARIFFED), (TARIFFED, PLAIN))
    rows = ((one, other, _gain(found, one, other), None) for one, other in pairs)
    return pairwise(rows, of="cost, %", same="seeds")


def _failed(failed: dict[str, list[Days]], count: int) -> Part:
    return Part(
        title="A gauge fails",
        said="The level of the larger tank, under the planner, which says nothing once a gauge is silent, or has said the very same for 24 minutes"
        " (the interlock refuses after 30); when the lease of a quarter of an hour ends, the station is back on its float switches.",
        rows=tuple((name, _row(runs, count)) for name, runs in failed.items()),
    )
