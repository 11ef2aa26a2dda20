"""The report on signals as data: what ``signals.json`` holds, made from runs alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from nervure.bench.forecast.document import Failure, Machine
from nervure.bench.signal.job import LEARNED, PLANS, Job, Kept, Run
from nervure.bench.signal.plan import GOALS, code_of
from nervure.core.paired import Paired, paired

__all__ = [
    "Claim", "Document", "Goal", "Promotion", "Robust", "Row", "Starved", "Training", "assemble", "read",
]  # fmt: skip

_STILL_S = 300.0  # in which none of ten or more vehicles arrives: gridlock
_GAIN, _P, _PAIRS = 0.03, 0.05, 10
_WORSE = 1.3  # times the delay of fixed time that a policy may cost which starves somebody
_MAX_RED_S = 120.0


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One controller on one net: means over the seeds, and their standard deviations."""

    net: str
    controller: str
    kind: str
    seeds: int
    mean: dict[str, float]
    sd: dict[str, float]
    decide_ms: float
    verdicts: dict[str, int] = {}


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of a net: ``met`` by max-pressure, the default, or else by whom."""

    net: str
    metric: str
    bound: float
    value: float
    met: bool
    by: str = ""
    by_value: float | None = None


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """A learned controller beside the best rule on the same seeds; ``delay`` is the difference, s."""

    net: str
    controller: str
    rule: str
    rule_delay_s: float
    delay: Paired
    gain: float
    promoted: bool


class Robust(msgspec.Struct, frozen=True, kw_only=True):
    """Max-pressure behind the shield under circumstances, seed by seed beside fixed time."""

    net: str
    demand: float
    faults: float
    runs: int
    gridlocked: int
    worse: int
    delay_s: float
    most_s: float
    fixed_s: float
    fixed_gridlocked: int
    longest_red_s: float


class Starved(msgspec.Struct, frozen=True, kw_only=True):
    """A policy that shows one phase for ever, behind the shield."""

    net: str
    policy: str
    runs: int
    delay_s: float
    times_fixed: float
    longest_red_s: float
    kept: bool


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """How much shorter trips are by max-pressure than by a plan, as a share of the plan's."""

    net: str
    plan: str
    travel_s: float
    plan_s: float
    shorter: float
    low: float
    high: float


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """What a training took."""

    net: str
    controller: str
    wall_s: float
    cpu_s: float
    episodes: int
    earlier: bool = False
    """Whether code that teaching rests on has been changed since."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report."""

    made: str
    machine: Machine
    engine: str
    full: bool
    rows: tuple[Row, ...]
    goals: tuple[Goal, ...]
    promotions: tuple[Promotion, ...]
    robust: tuple[Robust, ...]
    starved: tuple[Starved, ...]
    claims: tuple[Claim, ...]
    trainings: tuple[Training, ...]
    failures: tuple[Failure, ...] = ()
    missing: tuple[str, ...] = ()
    """What of the plan has not run."""
    older: tuple[str, ...] = ()
    """What was taken over from an earlier report, of the code of its day."""

    @property
    def nets(self) -> tuple[str, ...]:
        """The nets, in their order."""
        return tuple(dict.fromkeys(one.net for one in self.rows))

    def row(self, net: str, controller: str) -> Row | None:
        """Return a controller's row, or None."""
        return next((one for one in self.rows if (one.net, one.controller) == (net, controller)), None)


def read(path: Path) -> Document:
    """Read a report."""
    return msgspec.json.decode(path.read_bytes(), type=Document)


def assemble(
    trainings: Sequence[Kept], runs: Sequence[Kept], *, made: str, machine: Machine, engine: str, full: bool,
    missing: Sequence[Job] = (),
) -> Document:  # fmt: skip
    """Make the report of what was kept, and of what was not run."""
    good = {one.job: one for one in runs if not one.error}
    plain = {
        (job.net, job.controller): one
        for job, one in good.items()
        if job.demand == 1.0 and not job.faults and not job.controller.startswith("starve ")
        and (job.controller, len(job.seeds)) in _fewest(good, job.net)
    }  # fmt: skip
    rows = tuple(_row(one) for one in _plain_first(plain.values()))
    nets = tuple(dict.fromkeys(one.net for one in rows))
    return Document(
        made=made, machine=machine, engine=engine, full=full, rows=rows,
        goals=tuple(goal for net in nets for goal in _goals(net, rows)),
        promotions=tuple(one for net in nets for one in _promotions(net, plain)),
        robust=tuple(_robust(good)),
        starved=tuple(_starved(good)),
        claims=tuple(one for net in nets for one in _claims(net, plain)),
        trainings=tuple(
            Training(net=one.job.net, controller=one.job.controller, wall_s=one.train_s,
                     cpu_s=one.train_cpu_s, episodes=one.episodes,
                     earlier=one.code != code_of(learning=True))
            for one in trainings if not one.error
        ),
        failures=tuple(
            Failure(set=one.job.net, model=one.job.controller, error=one.error)
            for one in (*trainings, *runs) if one.error
        ),
        missing=tuple(_missing(missing)),
    )  # fmt: skip


def _missing(jobs: Iterable[Job]) -> Iterable[str]:
    """Return a line a net and controller that says what has not run."""
    lines: dict[str, list[str]] = {}
    for job in jobs:
        faults = f" with {job.faults:.0%} faulty" if job.faults else ""
        lines.setdefault(f"{job.net}, {job.controller}", []).append(f"{job.demand:g}{faults}")
    return (f"{name} at demand {', '.join(demands)}" for name, demands in lines.items())


def _fewest(good: Mapping[Job, Kept], net: str) -> set[tuple[str, int]]:
    """Return controllers with how many seeds are compared: the fewest that one of them has."""
    least: dict[str, int] = {}
    for job in good:
        if job.net == net and job.demand == 1.0 and not job.faults:
            least[job.controller] = min(len(job.seeds), least.get(job.controller, len(job.seeds)))
    return set(least.items())


def _plain_first(kept: Iterable[Kept]) -> list[Kept]:
    return sorted(kept, key=lambda one: (one.job.controller in LEARNED, one.job.controller not in PLANS))


def _row(kept: Kept) -> Row:
    job, found = kept.job, kept.runs
    values = {name: np.array([one.kpis[name] for one in found]) for name in found[0].kpis}
    counts: dict[str, int] = {}
    for run in found:
        for name, count in run.verdicts.items():
            counts[name] = counts.get(name, 0) + count
    return Row(
        net=job.net,
        controller=job.controller,
        kind="plan" if job.controller in PLANS else "learned" if job.controller in LEARNED else "rule",
        seeds=len(found),
        mean={name: float(one.mean()) for name, one in values.items()},
        sd={name: float(one.std(ddof=1)) if len(one) > 1 else 0.0 for name, one in values.items()},
        decide_ms=float(np.median([one.decide_ms for one in found])),
        verdicts=counts,
    )


def _goals(net: str, rows: Sequence[Row]) -> Iterable[Goal]:
    for metric, bound in GOALS.get(net, {}).items():
        own = {one.controller: one.mean[metric] for one in rows if one.net == net and one.kind != "plan"}
        value = own.get("max-pressure", float("inf"))
        best = min(own, key=lambda one: own[one])
        met = value <= bound
        other = best if not met and own[best] <= bound else ""
        yield Goal(net=net, metric=metric, bound=bound, value=value, met=met, by=other,
                   by_value=own[other] if other else None)  # fmt: skip


def _delays(runs: Sequence[Run], name: str = "delay") -> list[float]:
    return [one.kpis[name] for one in runs]


def _promotions(net: str, plain: Mapping[tuple[str, str], Kept]) -> Iterable[Promotion]:
    rules = {one: kept for (at, one), kept in plain.items() if at == net and one not in (*PLANS, *LEARNED)}
    if not rules:
        return
    best = min(rules, key=lambda one: float(np.mean(_delays(rules[one].runs))))
    theirs = _delays(rules[best].runs)
    for learned in LEARNED:
        kept = plain.get((net, learned))
        if kept is None:
            continue
        found = paired(_delays(kept.runs), theirs)
        gain = -found.mean / float(np.mean(theirs))
        yield Promotion(
            net=net, controller=learned, rule=best, rule_delay_s=float(np.mean(theirs)), delay=found,
            gain=gain, promoted=gain >= _GAIN and found.p < _P and found.pairs >= _PAIRS,
        )  # fmt: skip


def _robust(good: Mapping[Job, Kept]) -> Iterable[Robust]:
    fixed = {(job.net, job.demand, job.seeds): one for job, one in good.items() if job.controller == "fixed"}
    for job, kept in good.items():
        plan = fixed.get((job.net, job.demand, job.seeds))
        if job.controller != "max-pressure" or plan is None:
            continue
        if job.demand == 1.0 and not job.faults and len(job.seeds) < max(len(one.seeds) for one in good if
                                                                         one.net == job.net):  # fmt: skip
            continue
        ours, theirs = _delays(kept.runs), _delays(plan.runs)
        yield Robust(
            net=job.net,
            demand=job.demand,
            faults=job.faults,
            runs=len(ours),
            gridlocked=sum(one > _STILL_S for one in _delays(kept.runs, "standstill")),
            worse=sum(own > other for own, other in zip(ours, theirs, strict=True)),
            delay_s=float(np.mean(ours)),
            most_s=float(np.max(ours)),
            fixed_s=float(np.mean(theirs)),
            fixed_gridlocked=sum(one > _STILL_S for one in _delays(plan.runs, "standstill")),
            longest_red_s=float(np.max(_delays(kept.runs, "longest_red"))),
        )


def _starved(good: Mapping[Job, Kept]) -> Iterable[Starved]:
    fixed = {(job.net, job.demand, job.seeds): one for job, one in good.items() if job.controller == "fixed"}
    for job, kept in good.items():
        plan = fixed.get((job.net, job.demand, job.seeds))
        if job.controller.startswith("starve ") and plan is not None:
            delay = float(np.mean(_delays(kept.runs)))
            times = delay / float(np.mean(_delays(plan.runs)))
            red = max(_delays(kept.runs, "longest_red"))
            yield Starved(
                net=job.net, policy=job.controller, runs=len(kept.runs), delay_s=delay, times_fixed=times,
                longest_red_s=red, kept=red <= _MAX_RED_S and times <= _WORSE,
            )  # fmt: skip


def _claims(net: str, plain: Mapping[tuple[str, str], Kept]) -> Iterable[Claim]:
    ours = plain.get((net, "max-pressure"))
    for plan in PLANS:
        kept = plain.get((net, plan))
        if ours is None or kept is None:
            continue
        mine, theirs = _delays(ours.runs, "travel"), _delays(kept.runs, "travel")
        found, base = paired(theirs, mine), float(np.mean(theirs))
        yield Claim(net=net, plan=plan, travel_s=float(np.mean(mine)), plan_s=base, shorter=found.mean / base,
                    low=found.low / base, high=found.high / base)  # fmt: skip
