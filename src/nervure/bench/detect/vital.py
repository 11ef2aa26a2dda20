"""The contest of simulated vital signs: an early-warning score against detectors, at equal alarms a day."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nervure.bench.detect.clock import timed
from nervure.bench.detect.job import Contest, Entry, Job, Result
from nervure.learn.detect.baseline import Pca
from nervure.learn.detect.block import merged, runs
from nervure.learn.detect.models.vital_autoencoder import VitalAutoencoder
from nervure.learn.detect.train import Effort
from nervure.learn.detect.vital import KINDS, VITALS, Person, early_warning, ward

__all__ = ["vitals"]

Floats = NDArray[np.float64]
Scorer = Callable[[Floats], Floats]

_PROMISED = 0.25  # alarms a day and person
_LASTS, _GAP = 10, 60  # minutes that an alarm lasts at least, and that may lie between two that are one
_MINUTES = 1440
_FIRST = 10_000  # people drawn after simulator and models were settled on others


def vitals() -> Contest:
    """Return the contest."""
    return Contest(
        set="vitals",
        title="Vital signs of simulated people",
        question="Is somebody deteriorating, and how long before it is at its full size?",
        protocol="Simulated (nothing public could be had): 30 healthy persons train, 30 others set the limit "
        f"at {_PROMISED} alarms a day, 40 others have two declines each. An alarm lasts {_LASTS} minutes at "
        "least; a decline is found once one begins in it, and lead is counted to its full size. All are "
        "drawn anew since simulator and models were settled.",
        metrics=(
            "sensitivity", "lead min", "false alarms a day", *(f"{kind} sensitivity" for kind in KINDS),
            *(f"{kind} lead min" for kind in KINDS),
        ),
        entries=(
            Entry(model="early-warning score", kind="baseline"),
            Entry(model="PCA T2+Q", kind="baseline"),
            Entry(model="vital_autoencoder", kind="deep", seeds=(0, 1, 2)),
        ),
        perform=_vitals,
        quick=("early-warning score", "PCA T2+Q", "vital_autoencoder"),
    )  # fmt: skip


def _vitals(job: Job) -> Result:
    count = 6 if job.quick else 30
    train, held = ward(count, first=_FIRST), ward(count, first=_FIRST + 1000)
    ill = ward(10 if job.quick else 40, first=_FIRST + 2000, ill=True)
    started = time.process_time()
    scorer, parameters = _fitted(job, train)
    spent = time.process_time() - started
    limit = _limit([scorer(one.block.value) for one in held])
    rows = sum(len(one.block) for one in ill)
    scores, took = timed(lambda: [scorer(one.block.value) for one in ill], rows)
    value = _judged(ill, [_alarms(one, limit) for one in scores])
    return Result(
        job=job, value=value, train_cpu_s=spent, infer_ms=took, parameters=parameters,
        drawn={"timeline": _timeline(ill[0], scores[0], limit)}, note="simulated people, not patients",
    )  # fmt: skip


def _fitted(job: Job, train: Sequence[Person]) -> tuple[Scorer, int]:
    blocks = [one.block for one in train]
    if job.model == "early-warning score":
        return early_warning, 0
    if job.model == "PCA T2+Q":
        pca = Pca().fit(*blocks)
        return lambda value: _trailing_mean(pca.score(value), 15), 0
    effort = Effort(cpu_s=2, epochs=2, batch=256) if job.quick else None
    net = VitalAutoencoder(seed=job.seed, effort=effort).fit(*blocks)
    size = 0 if net.module is None else sum(one.numel() for one in net.module.parameters())
    return net.score, size


def _trailing_mean(score: Floats, rows: int) -> Floats:
    sums = np.concatenate([np.zeros(rows), np.cumsum(score)])
    found: Floats = (sums[rows:] - sums[:-rows]) / np.minimum(np.arange(1, len(score) + 1), rows)
    return found


def _alarms(score: Floats, limit: float) -> NDArray[np.int64]:
    """Return alarms ``[alarm, 2]``: long enough, those close together as one."""
    found = runs(score > limit)
    return merged(found[found[:, 1] - found[:, 0] >= _LASTS], _GAP)


def _limit(scores: Sequence[Floats]) -> float:
    """Return the lowest limit that keeps the promise on healthy persons; scores of few values too."""
    days = sum(map(len, scores)) / _MINUTES
    tried = np.unique(np.quantile(np.concatenate(scores), 1 - np.r_[np.geomspace(0.5, 1e-5, 400), 0]))
    low, high = 0, len(tried) - 1
    while low < high:  # fewer alarms by a higher limit, nearly always
        middle = (low + high) // 2
        often = sum(len(_alarms(one, tried[middle])) for one in scores) / days
        low, high = (low, middle) if often <= _PROMISED else (middle + 1, high)
    return float(tried[low])


def _judged(people: Sequence[Person], alarms: Sequence[NDArray[np.int64]]) -> dict[str, float]:
    found: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    lead: dict[str, list[float]] = {kind: [] for kind in KINDS}
    false, healthy = 0, 0.0
    for one, own in zip(people, alarms, strict=True):
        touched = np.zeros(len(own), np.bool_)
        for decline in one.declines:
            told = own[:, 0] + _LASTS - 1  # an alarm is known once it has lasted
            within = (told >= decline.start) & (told < decline.stop)
            touched |= (own[:, 0] < decline.stop + 480) & (own[:, 1] > decline.start)
            found[decline.kind].append(bool(within.any()))
            if within.any():
                lead[decline.kind].append(float(decline.full - told[within][0]))
        false += int((~touched).sum())
        healthy += len(one.block) - sum(d.stop - d.start for d in one.declines)
    every = [hit for kind in KINDS for hit in found[kind]]
    times = [minutes for kind in KINDS for minutes in lead[kind]]
    value = {
        "sensitivity": float(np.mean(every)), "lead min": _median(times),
        "false alarms a day": false / (healthy / _MINUTES),
    }  # fmt: skip
    value |= {f"{kind} sensitivity": float(np.mean(found[kind])) for kind in KINDS}
    return value | {f"{kind} lead min": _median(lead[kind]) for kind in KINDS}


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else float("nan")


def _timeline(one: Person, score: Floats, limit: float) -> dict[str, Any]:
    """Return the signs of a person, the score, its limit and what befell, every so many minutes."""
    at = np.unique(np.linspace(0, len(score) - 1, 400).astype(int))
    signs = {
        name: [None if np.isnan(x) else round(float(x), 1) for x in one.block.value[at, channel]]
        for channel, name in enumerate(VITALS)
    }
    return {
        "x": (at / 60).round(3).tolist(), "y": score[at].round(4).tolist(), "limit": limit, **signs,
        "events": [{"kind": d.kind, "from": d.start / 60, "to": d.stop / 60} for d in one.declines],
    }  # fmt: skip
