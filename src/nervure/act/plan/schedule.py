"""The schedule: which crew does what when, so that all is expected to cost least.

By CP-SAT of OR-Tools (Perron & Furnon), which also says whether a better schedule can exist. Needs
the extra ``nervure[maintain]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from nervure.act.plan.risk import Risk
from nervure.act.plan.work import risks, work_list
from nervure.core.error import DataError, EnvironmentMissing
from nervure.core.maintenance import Asset, Crew, Deferral, Plan, Visit, Work

__all__ = ["crews_of", "schedule"]

_GRAIN = 4  # parts of an hour that work is counted in
_CENTS = 100
_GAP = 1e-4  # of what is spared: nobody knows costs that well
_EFFORT = 2.0  # of CP-SAT's deterministic seconds


class _Job(NamedTuple):
    work: Work
    length: int
    cost: list[int]  # by the day it starts on
    later: int
    starts: tuple[int, int]
    crews: tuple[int, ...]


def crews_of(count: int) -> tuple[Crew, ...]:
    """Return crews that can do everything, ``crew 1`` and so on."""
    if count < 1:
        raise DataError(f"{count} crews can do nothing", hint="give at least one")
    return tuple(Crew(name=f"crew {turn}") for turn in range(1, count + 1))


def schedule(
    assets: Sequence[Asset],
    crews: Sequence[Crew],
    horizon: int,
    *,
    shift: float = 8.0,
    band: float = 0.9,
    effort: float = _EFFORT,
) -> Plan:
    """Plan the work of ``horizon`` days, of which each has a shift of that many hours for each crew.

    Work goes on the next day where a shift is over. Each piece is done once, by one crew that can do
    it, in its window, or it is left until after the horizon. ``band`` is the share of lives between
    each asset's ``low`` and ``high``. ``effort`` bounds the search, in a count that does not depend on
    the machine, so that a plan comes out the same twice.

    Raises ``DataError`` for what makes no sense, ``EnvironmentMissing`` without OR-Tools.
    """
    if horizon < 1 or shift <= 0:
        raise DataError(f"a horizon of {horizon} days of {shift:g} hours holds no work")
    costs = risks(assets, band=band)
    listed = work_list(assets, horizon, band=band)
    per_day = round(shift * _GRAIN)
    jobs = [_job(one, costs[one.asset.name], crews, horizon, per_day) for one in listed]
    possible = [job for job in jobs if job.crews and job.starts[0] <= job.starts[1] and _days(job, per_day)]
    chosen, short = _solve(possible, len(crews), per_day, effort) if possible else ({}, 0.0)
    visits = [
        _visit(job, crews[chosen[job.work.asset.name][0]], chosen[job.work.asset.name][1], per_day)
        for job in possible
        if job.work.asset.name in chosen
    ]
    visits.sort(key=lambda one: (one.day, one.hour, one.crew))
    left = tuple(_left(job, horizon) for job in jobs if job.work.asset.name not in chosen)
    spared = _spared(possible, chosen, per_day)
    return Plan(
        horizon=horizon, work=listed, visits=tuple(visits), left=left, saves=spared / _CENTS, short=short
    )


def _job(work: Work, risk: Risk, crews: Sequence[Crew], horizon: int, per_day: int) -> _Job:
    own = work.asset
    length = max(1, int(np.ceil(own.hours * _GRAIN - 1e-9)))
    stop = horizon if own.latest is None else min(horizon, int(np.floor(own.latest)))
    cost = np.round(risk.cost(np.arange(horizon, dtype=np.float64)) * _CENTS).astype(int)
    return _Job(
        work=work,
        length=length,
        cost=cost.tolist(),
        later=round(risk.later(horizon) * _CENTS),
        starts=(int(np.ceil(own.earliest)) * per_day, stop * per_day - length),
        crews=tuple(turn for turn, crew in enumerate(crews) if crew.can(own.skill)),
    )


def _solve(
    jobs: Sequence[_Job], crews: int, per_day: int, effort: float
) -> tuple[dict[str, tuple[int, int]], float]:
    """Return the crew and start of what is done, and how much more another choice could spare at most."""
    try:
        from ortools.sat.python import cp_model
    except ImportError as cause:
        raise EnvironmentMissing("schedules need OR-Tools", hint="pip install 'nervure[maintain]'") from cause
    first_tries = _greedy(jobs, crews, per_day)
    model = cp_model.CpModel()
    held = _posed(model, jobs, first_tries, crews, per_day)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = effort
    solver.parameters.relative_gap_limit = _GAP
    status = solver.solve(model)
    chosen = {
        job.work.asset.name: place for job, place in zip(jobs, first_tries, strict=True) if place[0] >= 0
    }
    reached = _spared(jobs, chosen, per_day)
    most = float(sum(job.later - min(job.cost) for job in jobs))
    if status in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
        most = min(most, solver.best_objective_bound)
        found = {
            job.work.asset.name: (crew, solver.value(start))
            for job, start, here in held
            for crew, one in here
            if solver.value(one)
        }
        if _spared(jobs, found, per_day) >= reached:  # what was tried first is only a hint to the solver
            chosen, reached = found, _spared(jobs, found, per_day)
    return chosen, max(0.0, most - reached) / _CENTS


def _spared(jobs: Sequence[_Job], chosen: dict[str, tuple[int, int]], per_day: int) -> int:
    """Return what a choice spares, in cents."""
    places = {job.work.asset.name: job for job in jobs}
    return sum(
        places[name].later - places[name].cost[start // per_day] for name, (_, start) in chosen.items()
    )


def _posed(
    model: Any, jobs: Sequence[_Job], tries: Sequence[tuple[int, int]], crews: int, per_day: int
) -> list[tuple[_Job, Any, list[tuple[int, Any]]]]:
    """Say to the solver what may be chosen; return each job's start, and whether a crew does it."""
    lanes: list[list[Any]] = [[] for _ in range(crews)]
    loads: list[tuple[int, int, Any]] = []  # day, length, whether it starts then
    held, total = [], []
    for job, (first, at) in zip(jobs, tries, strict=True):
        start = model.new_int_var(*job.starts, "")
        here = [(crew, model.new_bool_var("")) for crew in job.crews]
        days = [(day, model.new_bool_var("")) for day in _days(job, per_day)]
        model.add_at_most_one(one for _, one in days)
        model.add(sum(one for _, one in here) == sum(one for _, one in days))
        for crew, one in here:
            lanes[crew].append(model.new_optional_fixed_size_interval_var(start, job.length, one, ""))
            model.add_hint(one, crew == first)
        for day, one in days:
            model.add_linear_constraint(start, day * per_day, (day + 1) * per_day - 1).only_enforce_if(one)
            model.add_hint(one, first >= 0 and at // per_day == day)
            total.append((job.later - job.cost[day]) * one)
            loads.append((day, job.length, one))
        model.add_hint(start, at)
        held.append((job, start, here))
    for lane in lanes:
        model.add_no_overlap(lane)
    _bounded(model, loads, crews, per_day)
    model.maximize(sum(total))
    return held


def _days(job: _Job, per_day: int) -> list[int]:
    """Return the days that it may start on and that spare something."""
    window = range(job.starts[0] // per_day, job.starts[1] // per_day + 1)
    return [day for day in window if job.cost[day] < job.later]


def _bounded(model: Any, loads: Sequence[tuple[int, int, Any]], crews: int, per_day: int) -> None:
    """Say once more that a stretch of days holds so much work: it follows, and proves plans sooner."""
    if not loads:
        return
    days = sorted({day for day, _, _ in loads})
    over = max(length for _, length, _ in loads) - 1
    for span in (1, 2, 4, 8, 16):
        for first in days:
            room = crews * (span * per_day + over)
            inside = [length * one for day, length, one in loads if first <= day < first + span]
            model.add(sum(inside) <= room)


def _greedy(jobs: Sequence[_Job], crews: int, per_day: int) -> list[tuple[int, int]]:
    """Place jobs in the order of the work list, each where it costs least still; crew -1 where nowhere."""
    taken: list[list[tuple[int, int]]] = [[] for _ in range(crews)]
    found = []
    for job in jobs:
        options = []
        for crew in job.crews:
            ends = [stop for _, stop in taken[crew]]
            for at in {*range(job.starts[0], job.starts[1] + 1, per_day), *ends}:
                free = all(at + job.length <= start or at >= stop for start, stop in taken[crew])
                if free and job.starts[0] <= at <= job.starts[1]:
                    options.append((job.cost[at // per_day], at, crew))
        best = min(options, default=None)
        if best is None or best[0] >= job.later:
            found.append((-1, job.starts[0]))
            continue
        taken[best[2]].append((best[1], best[1] + job.length))
        found.append((best[2], best[1]))
    return found


def _visit(job: _Job, crew: Crew, start: int, per_day: int) -> Visit:
    day, own = start // per_day, job.work.asset
    best = min(_days(job, per_day), key=job.cost.__getitem__)
    lost = (job.cost[day] - job.cost[best]) / _CENTS
    worth = (job.later - job.cost[day]) / _CENTS
    apart = f"{abs(day - best)} day{'' if abs(day - best) == 1 else 's'}"
    when = "its best day" if day == best else f"{apart} {'before' if day < best else 'after'} its best"
    return Visit(
        asset=own.name,
        crew=crew.name,
        day=day,
        hour=start % per_day / _GRAIN,
        hours=own.hours,
        end=(start + job.length - 1) // per_day,
        cost=lost,
        reason=f"{crew.name} does it on day {day}, {when}: it may last {own.mid:.3g} days more"
        f" ({own.low:.3g} to {own.high:.3g}), and leaving it would cost {worth:,.0f} more",
    )


def _left(job: _Job, horizon: int) -> Deferral:
    own, worth = job.work.asset, (job.later - min(job.cost)) / _CENTS
    if not job.crews:
        why = f"no crew can do {own.skill!r}"
    elif job.starts[0] > job.starts[1]:
        why = f"its {own.hours:g} hours do not fit its window within {horizon} days"
    elif worth <= 0:
        why = "it is better renewed after the horizon"
    else:
        why = "the crews are needed elsewhere, where they spare more"
    return Deferral(
        asset=own.name,
        wanted=worth > 0,
        reason=f"{why}: it may last {own.mid:.3g} days more ({own.low:.3g} to {own.high:.3g})"
        + (f"; leaving it is expected to cost {worth:,.0f}" if worth > 0 else ""),
    )
