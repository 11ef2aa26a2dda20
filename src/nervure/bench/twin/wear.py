"""``nervure evaluate wear``: a machine slowed or stopped in time, beside breaks, ages and alarms."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from nervure.bench.twin.report import Part, Proof, goal, pairwise
from nervure.bench.twin.shop import BUSINESS, KINDS, Known, Months, histories, known, months
from nervure.core.paired import Paired, paired

__all__ = ["prove"]

BREAKS, AGED, ALARMED, LEFT = KINDS
_LIVES, _SEEDS, _HOURS = range(1, 13), range(500, 512), 4000.0


def prove(tell: Callable[[float, str], None], *, quick: bool = False) -> Proof:
    """Keep machines by every way, and put together what came of them."""
    begun = time.process_time()
    lives, seeds, hours = (_LIVES[:4], _SEEDS[:2], 1000.0) if quick else (_LIVES, _SEEDS, _HOURS)
    tell(0.0, "lives until the break")
    told, found = known(histories(lives)), dict[str, list[Months]]()
    todo = [(kind, seed) for kind in KINDS for seed in seeds]
    for number, (kind, seed) in enumerate(todo):
        tell(0.1 + 0.9 * number / len(todo), f"{kind}, machine {seed}")
        found.setdefault(kind, []).append(months(kind, seed, told, hours=hours))
    best = min((AGED, ALARMED, BREAKS), key=lambda kind: _mean(found[kind]))
    beside = {kind: _pair(found, kind) for kind in (BREAKS, AGED, ALARMED)}
    return Proof(
        name="wear",
        title="Wear: slower or stopped in time, by what is left of a bearing",
        command="nervure evaluate wear --json --out docs/report",
        said=_said(told, len(lives), len(seeds), hours),
        engine="bearing signals with growing faults, numpy",
        cpu_s=time.process_time() - begun,
        goals=(
            goal("cost an hour beside running until it breaks", "≤", -30, _beside(found, BREAKS), "%"),
            goal("cost an hour beside replacing by age", "≤", -10, _beside(found, AGED), "%"),
            goal(f"cost an hour beside the best rule ({best})", "≤", -3, _beside(found, best), "%"),
            goal("chance alone makes so much of the last", "≤", 0.05, beside[best].p),
            goal("breaks, all machines", "≤", 1, float(sum(one.breaks for one in found[LEFT]))),
        ),
        parts=(_summary(found), _paired(beside, found)),
    )  # fmt: skip


def _said(told: Known, lives: int, seeds: int, hours: float) -> str:
    own, growth = BUSINESS, told.growth
    return (
        f"{seeds} machines for {hours:,.0f} hours each; every bearing wears at a rate of its own (0.45 in its logarithm), with a"
        f" fault on one of three parts, faster by the third power of speed. An hour at full speed earns {own.earns:g}. A crew comes"
        f" every {own.every_h:g} h and replaces a bearing for {own.planned:,.0f} in {own.planned_h:g} h; called at once it costs"
        f" {own.called:,.0f} and takes {own.called_h:g} h; after a break {own.broken:,.0f} and {own.broken_h:g} h. One second in two"
        f" hours is measured. All rules were set on the same {lives} lives of other bearings until their break: by age after"
        f" {told.age_h:g} h, by alarm at an envelope of {told.alarm:.3g} m/s2, the mean of three; what is left, from a mean life of"
        f" {growth.life_h:.0f} h and the envelope to the power of {growth.power:g} growing evenly. Slowing and stopping go through the"
        " loop of `act`. Figures of cost are an example, and the twin is of no real machine: the ranking is what can be learned here."
    )


def _mean(runs: Sequence[Months]) -> float:
    return float(np.mean([one.cost_h for one in runs]))


def _beside(found: dict[str, list[Months]], other: str) -> float:
    return 100 * (_mean(found[LEFT]) / _mean(found[other]) - 1)


def _pair(found: dict[str, list[Months]], other: str) -> Paired:
    return paired([one.cost_h for one in found[LEFT]], [one.cost_h for one in found[other]])


def _summary(found: dict[str, list[Months]]) -> Part:
    rows: list[tuple[str, dict[str, float | str | None]]] = [
        (kind, {
            "cost an hour": _mean(runs), "least": min(one.cost_h for one in runs),
            "most": max(one.cost_h for one in runs), "breaks": float(sum(one.breaks for one in runs)),
            "planned": float(sum(one.planned for one in runs)), "called": float(sum(one.called for one in runs)),
            "bearings": float(sum(one.bearings for one in runs)),
            "mean speed": float(np.mean([one.speed for one in runs])),
            "refused": float(sum(one.refused for one in runs)),
        })
        for kind, runs in found.items()
    ]  # fmt: skip
    return Part(
        title="All machines",
        said="Cost is what was not earned and what replacing took. Breaks, planned and called replacements of all machines together.",
        rows=tuple(rows),
    )


def _paired(beside: dict[str, Paired], found: dict[str, list[Months]]) -> Part:
    rows = ((LEFT, kind, one, _beside(found, kind)) for kind, one in beside.items())
    return pairwise(rows, of="cost an hour", same="bearings in the same order")
