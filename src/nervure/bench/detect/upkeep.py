"""Maintenance measured: policies on the lives of turbofans that no model has seen."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from nervure.bench.detect.job import Contest, Entry, Job, Result
from nervure.bench.detect.renewal import (
    Course,
    Fleet,
    Outcome,
    Policy,
    at_age,
    at_threshold,
    by_schedule,
    never,
    simulate,
)
from nervure.learn.detect.block import Block
from nervure.learn.detect.lifeblend import LifeBlend
from nervure.learn.detect.machine import cmapss
from nervure.learn.detect.models.rul_tcn import RulTcn
from nervure.learn.detect.train import Effort

__all__ = ["upkeep_contest"]

_SEEDS = (0, 1, 2)
_LEARN, _TUNE = 60, 15
_AGES = tuple(range(100, 201, 10))
_LIMITS = (2, 5, 8, 12, 16, 20, 30, 40)
_INNER = [0, 2, 4]  # of LEVELS: low, middle, high


class _Lives(NamedTuple):
    tune: tuple[Course, ...]
    test: tuple[Course, ...]
    fleet: Fleet
    cpu_s: float


def upkeep_contest() -> Contest:
    """Return the contest of policies."""
    fleet = Fleet()
    return Contest(
        set="maintenance",
        title="Maintenance of a fleet of turbofans",
        question="What does maintenance cost beside running to failure?",
        protocol=(
            f"renewals simulated from FD001's training engines: {_LEARN} teach the life blend, {_TUNE}"
            f" others choose the interval and the threshold, 25 more are lived through; {fleet.places}"
            f" places, {fleet.days} days, a cycle a day, {fleet.crews} crew of {fleet.shift:.0f} h a day,"
            f" {fleet.hours:.0f} h a renewal, which costs {fleet.preventive:,.0f} in time and"
            f" {fleet.failure:,.0f} after a failure (assumed); every policy meets the same lives;"
            " threshold and schedule ask the same net"
        ),
        metrics=("cost ratio", "cost a day", "failures", "renewals", "days wasted"),
        entries=(
            Entry(model="run to failure", kind="baseline", seeds=_SEEDS),
            Entry(model="fixed interval", kind="baseline", seeds=_SEEDS),
            Entry(model="threshold on expected life", kind="baseline", seeds=_SEEDS),
            Entry(model="schedule", kind="baseline", seeds=_SEEDS),
        ),
        perform=_perform,
        quick=("run to failure", "schedule"),
        text=_told,
    )


def _perform(job: Job) -> Result:
    lives = _lives(job.seed, job.quick)
    started = time.process_time()
    policy, note = _policy(job.model, lives, job.seed)
    found = simulate(policy, lives.test, lives.fleet, seed=job.seed)
    base = simulate(never, lives.test, lives.fleet, seed=job.seed)
    spent = time.process_time() - started
    value = {
        "cost ratio": found.cost / base.cost,
        "cost a day": found.cost,
        "failures": float(found.failures),
        "renewals": float(found.planned),
        "days wasted": found.wasted,
    }
    return Result(
        job=job, value=value, train_cpu_s=lives.cpu_s, infer_ms=spent * 1e3 / lives.fleet.days, note=note
    )


def _policy(name: str, lives: _Lives, seed: int) -> tuple[Policy, str]:
    """Return a policy whose one number was chosen on the engines to tune by, and what that number is."""

    def tried(policy: Policy) -> Outcome:
        return simulate(policy, lives.tune, lives.fleet, seed=seed + 1000)

    match name:
        case "run to failure":
            return never, ""
        case "fixed interval":
            age = min(_AGES, key=lambda one: tried(at_age(one)).cost)
            return at_age(age), f"every {age} days"
        case "threshold on expected life":
            limit = min(_LIMITS, key=lambda one: tried(at_threshold(one)).cost)
            return at_threshold(limit), f"below {limit} days"
        case _:
            return by_schedule(lives.fleet), ""


@lru_cache(maxsize=4)
def _lives(seed: int, quick: bool) -> _Lives:
    """Return what the blend tells of engines it did not learn from, at each of their days."""
    engines = cmapss("FD001").train
    order = np.random.default_rng(seed).permutation(len(engines))
    learn, tune, test = (
        [engines[at] for at in part]
        for part in (order[:_LEARN], order[_LEARN : _LEARN + _TUNE], order[_LEARN + _TUNE :])
    )
    started = time.process_time()
    if quick:
        effort = Effort(cpu_s=3, epochs=3, batch=256, rate=4e-3, judgements=1)
        fitted: LifeBlend | RulTcn = RulTcn(effort=effort, seed=seed).fit(learn[:20])
        tune, test = tune[:3], test[:4]
    else:
        fitted = LifeBlend(seed=seed).fit(learn)
    spent = time.process_time() - started
    mean = float(np.mean([len(one) for one in learn]))
    fleet = Fleet(life=mean) if not quick else Fleet(life=mean, places=3, days=200)

    def course(block: Block) -> Course:
        life = fitted.judge(block.value)
        return Course(life.expected, life.quantile[:, _INNER])

    return _Lives(tuple(map(course, tune)), tuple(map(course, test)), fleet, spent)


def _told(results: list[Result]) -> str:
    mean = {
        model: float(np.mean([one.value["cost ratio"] for one in results if one.job.model == model]))
        for model in {one.job.model for one in results if "cost ratio" in one.value}
    }
    rest = {"fixed interval", "threshold on expected life", "schedule"}
    if rest - set(mean):
        return ""
    fleet = Fleet()
    rule, own = mean["threshold on expected life"], mean["schedule"]
    word = "less than" if own < 0.99 * rule else "as much as" if own < 1.01 * rule else "more than"
    return (
        f"Where a failure costs {fleet.failure / fleet.preventive:.0f} times a renewal in time (assumed),"
        f" the schedule costs {own:.2f} of running to failure, a threshold on the expected life"
        f" {rule:.2f}, a fixed interval {mean['fixed interval']:.2f}. The schedule costs {word} the"
        " threshold: most is gained by knowing the remaining life at all. It needs no threshold to be"
        " tuned, and keeps to crews and windows."
    )
