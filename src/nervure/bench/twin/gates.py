"""``nervure evaluate gates``: storms over a river and over sewers, and basins whose gates are worked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version

import numpy as np

from nervure.bench.twin.drains import BAND_M, SEWERS, THROTTLED, Drained, drained
from nervure.bench.twin.report import Part, Proof, goal
from nervure.bench.twin.river import FIXED, KINDS, Storm, one_storm
from nervure.core.paired import Paired, paired
from nervure.twin.flood import BANK_M, BANK_M3_S, BASIN_M3, GATE_M3_S, OUTLET_M3_S

__all__ = ["prove"]

NONE, FIXED_GATE, CURVE, PLANNED, EXACT = KINDS
_STORMS, _FIRST = 30, 300


def prove(tell: Callable[[float, str], None], *, quick: bool = False) -> Proof:
    """Let every storm pass under every way of working the gates, and put together what came of them."""
    begun = time.process_time()
    seeds = range(_FIRST, _FIRST + (4 if quick else _STORMS))
    found: dict[str, list[Storm]] = {}
    todo = [(kind, seed) for kind in KINDS for seed in seeds]
    for number, (kind, seed) in enumerate(todo):
        tell(0.9 * number / len(todo), f"{kind}, storm {seed}")
        found.setdefault(kind, []).append(one_storm(kind, seed))
    pipes = {kind: [drained(kind, seed) for seed in seeds] for kind in SEWERS}
    volume, level = (_pairs(found, FIXED_GATE, of) for of in (_volume, _level))
    return Proof(
        name="gates",
        title="Gates: the top of a flood kept back, not its beginning",
        command="nervure evaluate gates --json --out docs/report",
        said=_SAID.format(
            storms=len(seeds), bank=BANK_M3_S, gate=GATE_M3_S, outlet=OUTLET_M3_S, holds=BASIN_M3 / 1e6, fixed=100 * FIXED
        ),
        engine=f"curve number, unit hydrograph and Muskingum, numpy; SWMM by pyswmm {version('pyswmm')}; HiGHS by scipy {version('scipy')}",
        cpu_s=time.process_time() - begun,
        goals=(
            goal("water over the bank beside the fixed gate, all storms", "≤", -30, _share(found, PLANNED, FIXED_GATE), "%"),
            goal("peak above the bank beside the fixed gate, upper end of 95 %", "≤", 0, level[PLANNED].high, "m"),
            goal("chance alone makes so much less water over the bank", "≤", 0.05, volume[PLANNED].p),
            goal("storms whose peak is more than 5 cm higher than by the fixed gate", "≤", 0, _worse(found)),
            goal("water over the bank beside the rule curve, all storms", "≤", 0, _share(found, PLANNED, CURVE), "%"),
            goal("sewers: water in streets beside a throttled gate", "≤", -50, _dry(pipes), "%"),
            goal("a solve, 99 of 100 within", "≤", 1000, max(one.solve_ms[1] for one in found[PLANNED] if one.solve_ms), "ms of CPU"),
        ),
        parts=(_summary(found), _paired(found), _storms(found, seeds), _sewers(pipes)),
    )  # fmt: skip


_SAID = (
    "{storms} storms of 70 to 140 mm, one in two followed by a second one a day or so later, over hills whose curve number and lag"
    " differ. The town's bank is reached at {bank:.0f} m3/s. Above it a gate takes up to {gate:g} m3/s into a basin of {holds:g} million m3,"
    " and an outlet gives up to {outlet:g} m3/s back. The fixed gate stands {fixed:g} % open, which is what kept back most of several"
    " shares on thirty other storms. The rule curve keeps back what is above 97 % of the bank's flow. The planner solves a"
    " linear programme every half hour over five forecasts of a day: of rain that comes an hour early or late, with a factor"
    " that all share and one of their own (0.25 each in their logarithm), by a model of the hills whose lag is off by 10 % and"
    " whose curve number by 3, and which does not know where the rain falls. All go through the loop of `act`: no gate moves more than half"
    " its way in a quarter of an hour, gate and outlet are never open together, and the outlet stays shut while the"
    " town is above its bank; without a command for an hour the gate is the fixed one."
)


def _dry(pipes: dict[str, list[Drained]]) -> float:
    throttled, worked = (sum(one.flooded_m3 for one in pipes[kind]) for kind in SEWERS[1:])
    return 100 * (worked / max(throttled, 1.0) - 1)


def _sewers(pipes: dict[str, list[Drained]]) -> Part:
    rows: list[tuple[str, dict[str, float | str | None]]] = []
    streets = [one.flooded_m3 for one in pipes[SEWERS[1]]]
    for kind, runs in pipes.items():
        mine = [one.flooded_m3 for one in runs]
        told = paired(mine, streets) if kind != SEWERS[1] else None
        rows.append((kind, {
            "in streets, m3": float(np.mean(mine)), "storms with any": float(sum(one > 1 for one in mine)),
            "into the brook, m3": float(np.mean([one.brook_m3 for one in runs])),
            "streets beside throttled, m3": told.mean if told else None, "from": told.low if told else None,
            "to": told.high if told else None, "p": told.p if told else None,
            "refused": float(sum(one.refused for one in runs)),
        }))  # fmt: skip
    return Part(
        title="Sewers in SWMM",
        said="As many storms of 25 to 65 mm, one in two with a second one, over sewers of our own: two hills drain into a basin, its gate lets"
        f" into a low street, from where a pump lifts to the plant; a weir of the basin goes over into a brook. Throttled is {THROTTLED:g} of"
        f" the gate, always; the rule shuts it as the street's manhole fills from {BAND_M[0]:g} to {BAND_M[1]:g} m of its 4. What does not stand in"
        " the street goes into the brook, and more of it: all of these only choose where. No plan was tried here.",
        rows=tuple(rows),
    )


def _volume(one: Storm) -> float:
    return one.over_m3 / 1e6


def _level(one: Storm) -> float:
    """Return by how much the town's highest level was above its bank: below it no level does harm."""
    return max(one.peak_m - BANK_M, 0.0)


def _pairs(found: dict[str, list[Storm]], beside: str, of: Callable[[Storm], float]) -> dict[str, Paired]:
    base = [of(one) for one in found[beside]]
    return {kind: paired([of(one) for one in runs], base) for kind, runs in found.items() if kind != beside}


def _share(found: dict[str, list[Storm]], one: str, other: str) -> float:
    """Return by how many percent less or more water goes over the bank, all storms together."""
    return 100 * (sum(it.over_m3 for it in found[one]) / max(sum(it.over_m3 for it in found[other]), 1.0) - 1)


def _worse(found: dict[str, list[Storm]]) -> float:
    return float(
        sum(
            mine.peak_m > fixed.peak_m + 0.05 and mine.over_m3 > 0
            for mine, fixed in zip(found[PLANNED], found[FIXED_GATE], strict=True)
        )
    )


def _mean(runs: Sequence[Storm], of: Callable[[Storm], float]) -> float:
    return float(np.mean([of(one) for one in runs]))


def _summary(found: dict[str, list[Storm]]) -> Part:
    rows: list[tuple[str, dict[str, float | str | None]]] = []
    for kind, runs in found.items():
        solves = [one.solve_ms for one in runs if one.solve_ms is not None]
        rows.append((kind, {
            "peak, m": _mean(runs, lambda one: one.peak_m), "above the bank, m": _mean(runs, _level), "highest, m": max(one.peak_m for one in runs),
            "storms over the bank": float(sum(one.over_m3 > 0 for one in runs)),
            "over it, h": _mean(runs, lambda one: one.over_h), "million m3": _mean(runs, _volume),
            "whole ways of gates": _mean(runs, lambda one: one.moves), "refused": float(sum(one.refused for one in runs)),
            "solve, median ms": max((one[0] for one in solves), default=None),
            "99 of 100": max((one[1] for one in solves), default=None),
        }))  # fmt: skip
    return Part(title="All storms", said="Means a storm where nothing else is said.", rows=tuple(rows))


def _paired(found: dict[str, list[Storm]]) -> Part:
    rows: list[tuple[str, dict[str, float | str | None]]] = []
    for beside in (FIXED_GATE, CURVE):
        volume, level = _pairs(found, beside, _volume), _pairs(found, beside, _level)
        rows += [
            (f"{kind}, beside {beside}", {
                "million m3 over": volume[kind].mean, "from": volume[kind].low, "to": volume[kind].high,
                "p": volume[kind].p, "peak above it, m": level[kind].mean, "peak from": level[kind].low,
                "peak to": level[kind].high, "p of it": level[kind].p,
            })
            for kind in (CURVE, PLANNED, EXACT) if kind != beside
        ]  # fmt: skip
    return Part(
        title="Storm by storm",
        said="The same storms for both: mean differences, their 95 % intervals, and how often chance alone makes one as large.",
        rows=tuple(rows),
    )


def _storms(found: dict[str, list[Storm]], seeds: Sequence[int]) -> Part:
    rows: list[tuple[str, dict[str, float | str | None]]] = []
    for at, seed in enumerate(seeds):
        row: dict[str, float | str | None] = {f"{kind}, m": runs[at].peak_m for kind, runs in found.items()}
        for kind in (FIXED_GATE, CURVE, PLANNED):
            row[f"{kind}, million m3"] = _volume(found[kind][at])
        rows.append((f"{seed}", row))
    return Part(
        title="Every storm", said="Peaks, and water over the bank, by the storm's seed.", rows=tuple(rows)
    )
