"""``nervure evaluate heating``: double DQN taught in made-up years, beside plain rules and the planner."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from nervure.bench.twin.hearth import KINDS, Schoolhouse, Weeks, weeks
from nervure.bench.twin.report import Part, Proof, goal, pairwise
from nervure.core.paired import Paired, paired
from nervure.learn.control.warm import WarmRecipe, ship_warm, train_warm
from nervure.trust.signature import SigningKey
from nervure.twin.weather import chicago, read_epw

__all__ = ["prove"]

CONSTANT, SCHEDULE, START, PLANNED, LEARNED = KINDS
RULES = KINDS[:4]
_SEEDS, _DAYS, _BUDGET_S, _LEAST = range(600, 610), 28, 120.0, 3.0


def prove(tell: Callable[[float, str], None], *, quick: bool = False) -> Proof:
    """Train, let every controller live through the same weeks, and say whether the net is promoted."""
    torch.set_num_threads(1)
    begun = time.process_time()
    seeds, days = (_SEEDS[:2], 14) if quick else (_SEEDS, _DAYS)
    recipe = WarmRecipe(budget_s=15.0 if quick else _BUDGET_S)
    net = train_warm(Schoolhouse(), recipe, tell=lambda share, line: tell(0.6 * share, line))
    taught_s = time.process_time() - begun
    key = SigningKey(os.urandom(32))
    model = ship_warm(net, name="house", key=key, train_cpu_s=taught_s), key.public
    weather, found = read_epw(chicago()), dict[str, list[Weeks]]()
    todo = [(kind, seed) for kind in KINDS for seed in seeds]
    for number, (kind, seed) in enumerate(todo):
        tell(0.6 + 0.4 * number / len(todo), f"{kind}, seed {seed}")
        own = weeks(kind, seed, weather, days=days, model=model if kind == LEARNED else None)
        found.setdefault(kind, []).append(own)
    best = min(RULES, key=lambda kind: _mean(found[kind]))
    plain = min(RULES[:3], key=lambda kind: _mean(found[kind]))
    beside = {kind: _pair(found, kind) for kind in RULES}
    better = -100 * beside[best].mean / _mean(found[best])
    return Proof(
        name="heating",
        title="Heating by deep reinforcement learning, beside rules and a plan",
        command="nervure evaluate heating --json --out docs/report",
        said=_SAID.format(
            seeds=len(seeds), days=days, taught=taught_s, best=best, beside=-better,
            verdict=_verdict(better, beside[best].p, best),
        ),
        engine="RC model of 4 nodes with pvlib, Chicago O'Hare TMY3; torch, ONNX Runtime; HiGHS by scipy",
        cpu_s=time.process_time() - begun,
        goals=(
            goal(f"promotion: cheaper than the best rule ({best})", "≥", _LEAST, better, "%"),
            goal(f"cheaper than the best rule that does not plan ({plain})", "≥", _LEAST, -100 * beside[plain].mean / _mean(found[plain]), "%"),
            goal("discomfort, worst weeks", "≤", 0.1, max(one.comfort_kh for one in found[LEARNED]), "K·h"),
            goal("training", "≤", 480, taught_s, "CPU-s"),
        ),
        parts=(_summary(found), _paired(beside, found), _every(found, seeds)),
    )  # fmt: skip


_SAID = (
    "The house of the report on HVAC, without sun on the roof and battery, at the same example of a tariff. A net of two"
    " layers rates eight choices for each zone every half hour (let go, heat up to 20 to 24 Cel, cool down to 24 or 22.5), told of air,"
    " a slow mean of it, the band now and next, the price of the next half day, and forecasts of outdoors and sun that are as wrong as"
    " the planner's. Double DQN taught it for {taught:.0f} CPU-s in six made-up years, none of which is Chicago's; what did best in exams there"
    " was taken. It goes over as a signed ONNX file behind a shield: no setpoint outside the band, and every"
    " band prepared two hours ahead as the schedule has it. {seeds} times {days} days of Chicago's typical year, through its seasons,"
    " each with its own people and errors of forecasts; all go through the loop of `act`. The planner begins each of them"
    " knowing nothing and spends its first week under a schedule, the net does not: that is in its favour. A learned controller is promoted"
    " only if it beats the best rule by 3 % with p < .05. Beside the best one ({best}) its cost is {beside:+.2f} %. {verdict}"
    " Five zones in EnergyPlus have [a page of their own](office.md)."
)


def _verdict(better: float, chance: float, best: str) -> str:
    if better >= _LEAST and chance < 0.05:
        return "It is promoted."
    return f"It is not promoted, and {'the planner' if best == PLANNED else best} stays."


def _mean(runs: Sequence[Weeks]) -> float:
    return float(np.mean([one.cost for one in runs]))


def _pair(found: dict[str, list[Weeks]], other: str) -> Paired:
    return paired([one.cost for one in found[LEARNED]], [one.cost for one in found[other]])


def _summary(found: dict[str, list[Weeks]]) -> Part:
    constant = _mean(found[CONSTANT])
    rows: list[tuple[str, dict[str, float | str | None]]] = [
        (kind, {
            "cost": _mean(runs), "beside constant, %": 100 * (_mean(runs) / constant - 1),
            "discomfort, K·h": float(np.mean([one.comfort_kh for one in runs])),
            "worst": max(one.comfort_kh for one in runs),
            "electricity, kWh": float(np.mean([one.hvac_kwh for one in runs])),
            "refused": float(sum(one.refused for one in runs)),
        })
        for kind, runs in found.items()
    ]  # fmt: skip
    return Part(title="All weeks", said="Means of all runs.", rows=tuple(rows))


def _paired(beside: dict[str, Paired], found: dict[str, list[Weeks]]) -> Part:
    rows = ((LEARNED, kind, one, 100 * one.mean / _mean(found[kind])) for kind, one in beside.items())
    return pairwise(rows, of="cost", same="weeks")


def _every(found: dict[str, list[Weeks]], seeds: Sequence[int]) -> Part:
    rows: list[tuple[str, dict[str, float | str | None]]] = [
        (f"{seed}", {kind: runs[at].cost for kind, runs in found.items()}) for at, seed in enumerate(seeds)
    ]
    return Part(title="Every run", said="Cost by seed; the seed sets the season too.", rows=tuple(rows))
