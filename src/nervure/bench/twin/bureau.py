"""``nervure evaluate office``: double DQN in five zones of EnergyPlus, beside rules and the planner."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from nervure.act.controller.storey import LearnedStorey
from nervure.bench.twin.office import FAN, KINDS, ZONES, OfficeControl, OfficeYear, office_year, rule
from nervure.bench.twin.planned import PlannedOffice
from nervure.bench.twin.report import Goal, Part, Proof, goal, pairwise
from nervure.core.comfort import OFFICE
from nervure.core.paired import Paired, paired
from nervure.twin.energyplus import five_zone
from nervure.twin.weather import chicago

__all__ = ["prove"]

SETPOINTS = (KINDS[2], KINDS[4])
LEARNED, LEARNED_FAN = "double DQN", "double DQN, fan too"
PLANNED = "planned by the hour (LP), fan too"
_ROWS = (*KINDS, PLANNED, LEARNED, LEARNED_FAN)
_BEGUN_H = 24.0  # the year of the model begins on a Tuesday
_SEED, _LEAST, _CHANCE, _MOST_KH, _BUDGET_S, _QUICK_S = 700, 3.0, 0.05, 5.0, 150.0, 20.0


class _Taught(NamedTuple):
    """A signed file, the key it is signed by, and the processor's seconds it took."""

    model: bytes
    key: bytes
    cpu_s: float


def prove(tell: Callable[[float, str], None], *, quick: bool = False) -> Proof:
    """Teach nets elsewhere, let everybody run Chicago's year, and say whether a net is promoted."""
    taught, found = _all_years(tell, _QUICK_S if quick else _BUDGET_S)
    others = [one for one in found if one not in taught and found[one].early_kh <= _MOST_KH]
    best = min(others, key=lambda kind: found[kind].hvac_kwh)
    pairs = {(LEARNED_FAN, best): _pair(found, LEARNED_FAN, best)}
    plain = min(SETPOINTS, key=lambda kind: found[kind].hvac_kwh)
    pairs |= {(LEARNED, plain): _pair(found, LEARNED, plain)}
    lines = [_verdict(found, found_pair, *names) for names, found_pair in pairs.items()]
    return Proof(
        name="office",
        title="Five zones by deep reinforcement learning, beside rules and a plan",
        command="nervure evaluate office --json --out docs/report",
        said=_SAID.format(taught=_BUDGET_S, verdict=" ".join(lines)),
        engine="EnergyPlus 25.2 by pyenergyplus-lbnl; torch, ONNX Runtime; HiGHS by scipy",
        cpu_s=sum(os.times()[:4]),
        goals=tuple(_goals(found, taught, best, pairs[LEARNED_FAN, best])),
        parts=(_rows(found), _paired(found, pairs), _blocks(found)),
    )


_SAID = (
    "The office of the report on HVAC: five zones on one fan and one cooling coil with an economizer, electricity of a year"
    " in the typical year of Chicago. Every half hour a net of two layers rates eight choices for the storey: what the learned"
    " start does by itself; to let an empty storey become as cold as 10 or 7 Cel instead of 12.8; or to heat up to 21 or 22.5 Cel or"
    " cool down to 23, 21.5 or 20 Cel as well, so that the mass keeps it, or outdoor air cools for nothing. It is told of the zones' air, slow means of it, the clock, and forecasts of outdoors"
    " and sun for a day that are as wrong as the planner's. Double DQN taught it for {taught:.0f} CPU-s, EnergyPlus included, in the"
    " typical years of Newark, Sterling, Denver and Boulder, four weeks by chance at a time, examined in Champaign's, and paid by"
    " what it saves beside the rule in the same weather (a K·h counts 20 kWh). It goes over as a signed ONNX file behind a"
    " shield: whoever comes finds the storey prepared as the rule prepares it. Neither it nor what chose it has seen Chicago's year. The planner"
    " learns the zones from readings by the hour, four weeks under a schedule first, and solves a linear programme for half a"
    " day ahead. A learned controller is promoted only if it takes 3 % less than the best of the others with p < .05 over 13"
    " stretches of four weeks, and misses no more than 5 K·h. {verdict}"
)


def _verdict(found: Mapping[str, OfficeYear], pair: Paired, own: str, other: str) -> str:
    better = -100 * pair.mean / (sum(found[other].blocks) / pair.pairs)
    said = f"Beside {other}, {own} takes {-better:+.2f} % (p = {pair.p:.3f})"
    if better >= _LEAST and pair.p < _CHANCE and found[own].early_kh <= _MOST_KH:
        return f"{said}: it is promoted."
    return f"{said}: it is not promoted, and {other} stays."


def _all_years(
    tell: Callable[[float, str], None], budget_s: float
) -> tuple[dict[str, _Taught], dict[str, OfficeYear]]:
    """Teach and run every year in a process of its own: an engine shares its process with nothing."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        lessons = {one: pool.submit(_teach, budget_s, one == LEARNED_FAN) for one in (LEARNED, LEARNED_FAN)}
        plain = {one: pool.submit(_year, one, None) for one in _ROWS if one not in lessons}
        todo: list[Future[Any]] = [*lessons.values(), *plain.values()]
        for number, _ in enumerate(as_completed(todo)):
            tell((number + 1) / (len(_ROWS) + 2), f"{number + 1} of {len(_ROWS) + 2} runs")
        taught = {one: wait.result() for one, wait in lessons.items()}
        learned = {one: pool.submit(_year, one, taught[one]) for one in taught}
        found = {one: {**plain, **learned}[one].result() for one in _ROWS}
    return taught, found


def _teach(budget_s: float, fan: bool) -> _Taught:
    """Teach a net, and sign it."""
    import torch

    from nervure.bench.twin.campus import Campus
    from nervure.core.storey import CHOICES, FEATURES
    from nervure.learn.control.warm import WarmRecipe, ship_warm, train_warm
    from nervure.trust.signature import SigningKey

    torch.set_num_threads(1)
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        campus = Campus(Path(folder), fan=fan)
        left = budget_s - (time.process_time() - begun)
        net = train_warm(
            campus, WarmRecipe(budget_s=left, exam_every=0.12), sizes=(len(FEATURES), len(CHOICES))
        )
        campus.close()
    spent, key = time.process_time() - begun, SigningKey(os.urandom(32))
    model = ship_warm(net, name="office", key=key, train_cpu_s=spent, features=FEATURES)
    return _Taught(model, key.public, spent)


def _year(kind: str, taught: _Taught | None) -> OfficeYear:
    with tempfile.TemporaryDirectory() as folder:
        return office_year(five_zone(Path(folder)), _control(kind, taught))


def _control(kind: str, taught: _Taught | None) -> OfficeControl:
    from nervure.bench.twin.campus import foresee

    if kind == PLANNED:
        return PlannedOffice(ZONES, FAN, chicago(), seed=_SEED)
    if taught is None:
        return rule(kind)
    return LearnedStorey(
        taught.model, (taught.key,), ZONES, OFFICE, foresee(chicago(), _SEED, _BEGUN_H),
        fan=FAN if kind == LEARNED_FAN else None,
    )  # fmt: skip


def _pair(found: Mapping[str, OfficeYear], one: str, other: str) -> Paired:
    return paired(found[one].blocks, found[other].blocks)


def _goals(
    found: Mapping[str, OfficeYear], taught: Mapping[str, _Taught], best: str, pair: Paired
) -> list[Goal]:
    better = -100 * pair.mean * pair.pairs / found[best].hvac_kwh
    return [
        goal(f"promotion: less electricity than the best of the others ({best})", "≥", _LEAST, better, "%"),
        goal("promotion: how often chance alone makes as much", "≤", _CHANCE, pair.p),
        goal("setpoints alone: electricity by double DQN", "≤", 16_500, found[LEARNED].hvac_kwh, "kWh"),
        goal(
            "discomfort from 7:45, both nets",
            "≤",
            _MOST_KH,
            max(found[one].early_kh for one in taught),
            "K·h",
        ),
        goal("training, each net", "≤", 480, max(one.cpu_s for one in taught.values()), "CPU-s"),
    ]


def _rows(found: Mapping[str, OfficeYear]) -> Part:
    return Part(
        title="Chicago's year",
        said="Discomfort as in the report on HVAC: weekdays from 8 to 18. An empty office is held at 12.8 Cel, as in the file, or at"
        " 10: that was chosen on the typical years of Champaign and Pittsburgh, where 7 and 5 saved little more.",
        rows=tuple((kind, one.row) for kind, one in found.items()),
    )


def _paired(found: Mapping[str, OfficeYear], pairs: Mapping[tuple[str, str], Paired]) -> Part:
    rows = (
        (own, other, one, 100 * one.mean * one.pairs / found[other].hvac_kwh)
        for (own, other), one in pairs.items()
    )
    return pairwise(rows, of="kWh", same="four weeks")


def _blocks(found: Mapping[str, OfficeYear]) -> Part:
    count = len(found[LEARNED].blocks)
    rows: list[tuple[str, dict[str, float | str | None]]] = [
        (f"{at + 1}", {kind: one.blocks[at] for kind, one in found.items()}) for at in range(count)
    ]
    return Part(
        title="Every stretch",
        said="Electricity in kWh of four weeks each; the last has a day more.",
        rows=tuple(rows),
    )
