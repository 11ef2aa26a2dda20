"""Wear measured: bearings of PRONOSTIA one left out at a time, and cracks that are simulated."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.detect.clock import timed
from nervure.bench.detect.job import Contest, Entry, Job, Result
from nervure.learn.detect.block import Block
from nervure.learn.detect.fatigue import Miner, cracks
from nervure.learn.detect.health import Extrapolated, Health, since_young
from nervure.learn.detect.life import LifeTrees
from nervure.learn.detect.lifeblend import cuts
from nervure.learn.detect.lifenet import LifeNet
from nervure.learn.detect.machine import Bearing, pronostia
from nervure.learn.detect.models.rul_lstm import RulLstm
from nervure.learn.detect.models.rul_tcn import RulTcn
from nervure.learn.detect.score import rmse
from nervure.learn.detect.train import Effort

__all__ = ["bearing_contest", "condensed", "crack_contest"]

Floats = NDArray[np.float64]

_SEEDS = (0, 1, 2)
_NETS: dict[str, type[LifeNet]] = {"rul_lstm": RulLstm, "rul_tcn": RulTcn}
_STATISTICS, _BANDS, _GROUPS = 10, 64, 8
_LOG = (0, 1, 3, 5, 6, 8)  # root mean square, peak and crest of both axes; bands are logarithms already
_MINUTE = 60.0
_CLIP = 200.0
_SHORT = Effort(cpu_s=30, epochs=6, batch=128, rate=3e-3, judgements=1)


def bearing_contest() -> Contest:
    """Return the contest of PRONOSTIA's bearings."""
    return Contest(
        set="pronostia",
        title="Bearings run to failure",
        question="How many minutes has a bearing left, at every minute of its life?",
        protocol=(
            "one of 14 bearings left out at a time, nothing of it known but its past; root of the mean"
            " over bearings of their mean squared errors, so that each counts alike, in minutes, not"
            " clipped, and with truth and answer clipped at 125"
        ),
        metrics=("RMSE min", "RMSE clipped min", "beside extrapolation"),
        entries=(
            Entry(model="half the mean life", kind="baseline"),
            Entry(model="linear extrapolation", kind="baseline"),
            Entry(model="health index", kind="baseline"),
            Entry(model="rul_lstm", kind="deep", seeds=_SEEDS),
            Entry(model="rul_tcn", kind="deep", seeds=_SEEDS),
        ),
        perform=_bearings,
        quick=("linear extrapolation", "health index"),
        goals=(("beside extrapolation", "<=", 0.8),),
        text=_bearings_told,
    )


def condensed(bearing: Bearing) -> Block:
    """Return a bearing by the minute: statistics and eight bands an axis, beside its own first minutes."""
    value = bearing.block.value
    power = value[:, _STATISTICS:].reshape(len(value), 2 * _GROUPS, -1).mean(axis=2)
    names = tuple(f"{axis} bands {band}" for axis in "hv" for band in range(_GROUPS))
    block = msgspec.structs.replace(
        bearing.block,
        value=np.concatenate([value[:, :_STATISTICS], power], axis=1),
        channels=(*bearing.block.channels[:_STATISTICS], *names),
    )
    return since_young(block, _LOG)


def _left(block: Block) -> Floats:
    return np.arange(len(block) - 1, -1, -1, dtype=np.float64)


def _bearings(job: Job) -> Result:
    blocks = tuple(condensed(one) for one in pronostia())
    started = time.process_time()
    answers = [_left_out(job, blocks, place) for place in range(len(blocks))]
    spent = (time.process_time() - started) / len(blocks)
    told = [one for one, _ in answers]
    ruler = [
        Extrapolated(window=120).fit(_others(blocks, at)).predict(one.value) for at, one in enumerate(blocks)
    ]
    truth = [_left(one) for one in blocks]
    own = _pooled(truth, told)
    value = {
        "RMSE min": own,
        "RMSE clipped min": _pooled(
            [np.minimum(one, 125.0) for one in truth], [np.minimum(one, 125.0) for one in told]
        ),
        "beside extrapolation": own / _pooled(truth, ruler),
    }
    shown = blocks[0]
    drawn = {
        f"life bearing {shown.name}": {
            "x": list(range(1, len(shown) + 1)),
            "truth": truth[0].tolist(),
            "expected": told[0].round(1).tolist(),
        }
    }
    return Result(
        job=job, value=value, train_cpu_s=spent, infer_ms=min(took for _, took in answers),
        drawn=drawn if len(shown) <= 400 else _thin(drawn),
    )  # fmt: skip


def _thin(drawn: dict[str, Any]) -> dict[str, Any]:
    return {name: {what: row[::2] for what, row in one.items()} for name, one in drawn.items()}


def _others(blocks: Sequence[Block], place: int) -> list[Block]:
    return [one for at, one in enumerate(blocks) if at != place]


def _left_out(job: Job, blocks: Sequence[Block], place: int) -> tuple[Floats, float]:
    """Return what is told of one bearing at each minute by who learnt from the others, and ms a minute."""
    value = blocks[place].value
    told = _taught(job, _others(blocks, place))
    return timed(lambda: told(value), len(value))


def _taught(job: Job, others: Sequence[Block]) -> Callable[[Floats], Floats]:
    """Return who tells the minutes left at each row of a bearing."""
    mean = float(np.mean([len(one) for one in others]))
    match job.model:
        case "half the mean life":
            return lambda value: np.full(len(value), mean / 2)
        case "linear extrapolation":
            return Extrapolated(window=120).fit(others).predict
        case "health index":
            health = Health().fit(others)
            return lambda value: health.index(value) * mean
        case _:
            net = _NETS[job.model](60, 5, clip=None, settings=0, effort=_SHORT, seed=job.seed)
            net.fit(others)
            return lambda value: net.judge(value).expected


def _pooled(truth: Sequence[Floats], told: Sequence[Floats]) -> float:
    return float(np.sqrt(np.mean([rmse(one, own) ** 2 for one, own in zip(truth, told, strict=True)])))


def _means(results: list[Result], metric: str) -> dict[str, float]:
    return {
        model: float(np.mean([one.value[metric] for one in results if one.job.model == model]))
        for model in {one.job.model for one in results if metric in one.value}
    }


def _bearings_told(results: list[Result]) -> str:
    mean = _means(results, "RMSE min")
    if {"rul_tcn", "linear extrapolation", "half the mean life"} - set(mean):
        return ""
    deep = min(mean[one] for one in _NETS if one in mean)
    half, line = mean["half the mean life"], mean["linear extrapolation"]
    word = "no better than" if deep > 0.98 * half else "better than"
    return (
        f"The better net errs by {deep:.0f} minutes and linear extrapolation by {line:.0f}: an error"
        f" {1 - deep / line:.0%} smaller. That is {word} saying half the mean life of the other bearings"
        f" at all times ({half:.0f}): lives of bearings of one kind differ too much for a few others to"
        " teach which of them one has. We would not plan by any of these."
    )


def crack_contest() -> Contest:
    """Return the contest of fatigue, on simulated specimens."""
    return Contest(
        set="fatigue",
        title="Cracks under changing loads (simulated)",
        question="How many inspections has a specimen left before its crack breaks it?",
        protocol=(
            "simulated: Paris' law with overload retardation, own material and first flaw each; 40"
            " specimens train, 40 others test, cut off at random eight times; truth and answers clipped"
            f" at {_CLIP:.0f} inspections"
        ),
        metrics=("RMSE", "coverage"),
        entries=(
            Entry(model="rainflow + Miner", kind="baseline", seeds=_SEEDS),
            Entry(model="rainflow + Miner, sum learnt", kind="baseline", seeds=_SEEDS),
            Entry(model="boosted trees", kind="baseline", seeds=_SEEDS),
            Entry(model="rul_lstm", kind="deep", seeds=_SEEDS),
            Entry(model="rul_tcn", kind="deep", seeds=_SEEDS),
        ),
        perform=_cracks,
        quick=("rainflow + Miner", "rul_tcn"),
        text=_cracks_told,
    )


def _cracks(job: Job) -> Result:
    half = 8 if job.quick else 40
    blocks = cracks(2 * half, seed=1000 + job.seed)
    cut, left, _ = cuts(blocks[half:], clip=_CLIP, seed=job.seed)
    started = time.process_time()
    effort = Effort(cpu_s=4, epochs=5, batch=128, rate=4e-3, judgements=1) if job.quick else None
    fitted: Any
    match job.model:
        case "rainflow + Miner":
            fitted = Miner(clip=_CLIP)
        case "rainflow + Miner, sum learnt":
            fitted = Miner(clip=_CLIP).fit(blocks[:half])
        case "boosted trees":
            fitted = LifeTrees(100, clip=_CLIP, settings=0, seed=job.seed).fit(blocks[:half])
        case _:
            net = _NETS[job.model](clip=_CLIP, settings=0, effort=effort, seed=job.seed)
            fitted = net.fit(blocks[:half])
    spent = time.process_time() - started
    told, took = timed(lambda: fitted.last(cut), len(cut))
    value = {"RMSE": rmse(left, told)}
    if not isinstance(fitted, LifeTrees):
        lives = np.stack([fitted.judge(one.value).quantile[-1, [0, -1]] for one in cut])
        value["coverage"] = float(((lives[:, 0] <= left) & (left <= lives[:, 1])).mean())
    note = "simulated specimens"
    return Result(job=job, value=value, train_cpu_s=spent, infer_ms=took, note=note)


def _cracks_told(results: list[Result]) -> str:
    mean = _means(results, "RMSE")
    if {"rul_tcn", "rainflow + Miner", "boosted trees"} - set(mean):
        return ""
    deep = min(mean[one] for one in _NETS if one in mean)
    return (
        f"On simulated specimens Miner's sum errs by {mean['rainflow + Miner']:.0f} inspections, boosted"
        f" trees by {mean['boosted trees']:.0f}, the better net by {deep:.0f}. Miner knows neither the"
        " specimen's own material nor the order of its loads; the others see the compliance besides,"
        " which needs a sensor near the crack. Nothing here was measured on a real structure."
    )
