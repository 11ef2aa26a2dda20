"""Contests of the label-free monitor: whether it rings as often as promised, and names the right sensor.

Streams are taken for normal, though real ones hold odd days that nobody wrote down: where more alarms
ring than promised, part of that may be deserved. Each stream's first 40 % teach, the rest is watched.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.detect.job import Contest, Entry, Job, Result
from nervure.core.event import events
from nervure.core.monitor import blame
from nervure.learn.dataset import load
from nervure.learn.detect.baseline import Detector, IsolationForest, Pca, Sigma
from nervure.learn.detect.block import Block
from nervure.learn.detect.inject import Injected, inject, scale_of
from nervure.learn.detect.monitor import Monitor, fit_monitor
from nervure.learn.detect.sets import open_set
from nervure.learn.detect.vigil import promise_for, watched
from nervure.solutions import find

__all__ = ["contests"]

Floats = NDArray[np.float64]

_LEARN = 0.4
_MOST_ROWS, _MOST_STREAMS = 20_000, 12
_QUICK_ROWS = 3_000
_APART = 150  # rows between injected faults
_AFTER = 4
_KEPT = (0.5, 1.5)  # times as many alarms as were promised


def _joined(blocks: tuple[Block, ...], name: str) -> Block:
    value, moment = (np.concatenate([getattr(one, field) for one in blocks]) for field in ("value", "time"))
    return msgspec.structs.replace(blocks[0], name=name, value=value, time=moment, label=None)


def _station() -> Block:
    parts = open_set("canary")
    return _joined((*parts.train, *parts.calibrate, *parts.test), "water station")


def _network() -> Block:
    normal: Block = open_set("batadal").train1
    return msgspec.structs.replace(normal, label=None)


def _solution(name: str) -> Block:
    """Return the first streams of a forecasting set: real, unlabelled, with whatever happened in them."""
    data = load(find(name)).table
    value = data.value[:_MOST_ROWS, :_MOST_STREAMS]
    return Block(
        name=name,
        channels=data.streams[:_MOST_STREAMS],
        value=value,
        time=(data.first + np.arange(len(value))) * data.every_ns,
        every_ns=data.every_ns,
    )


_STREAMS: dict[str, Callable[[], Block]] = {
    "water station": _station,
    "water network": _network,
    "transformers": lambda: _solution("energy"),
    "air": lambda: _solution("air"),
    "wind": lambda: _solution("wind"),
    "district inflows": lambda: _solution("water"),
}


def _streams(job: Job) -> list[Block]:
    names = ("water station",) if job.quick else tuple(_STREAMS)
    found = [msgspec.structs.replace(_STREAMS[name](), name=name) for name in names]
    return [one.part(0, _QUICK_ROWS) if job.quick else one for one in found]


def _since(block: Block) -> int:
    return int(_LEARN * len(block))


def _taught(block: Block, job: Job) -> Monitor:
    since = _since(block)
    return fit_monitor(
        block.part(0, since), promise_for(block, len(block) - since), seed=job.seed, quick=job.quick
    )


def _baseline(job: Job) -> Detector:
    made: dict[str, Callable[[], Detector]] = {
        "mean + 3 sd": Sigma, "sigma": Sigma, "PCA T2+Q": Pca,
        "isolation forest": lambda: IsolationForest(seed=job.seed, trees=20 if job.quick else 100),
    }  # fmt: skip
    return made[job.model]()


def _promise(job: Job) -> Result:
    """Return alarms that rang over those promised, stream by stream."""
    value: dict[str, float] = {}
    drawn: dict[str, object] = {}
    spent = each = 0.0
    for block in _streams(job):
        since = _since(block)
        promise = promise_for(block, len(block) - since)
        wanted = promise.alarms_per_day * (len(block) - since) * block.every_ns / 86_400e9
        started = time.process_time()
        if job.kind == "deep":
            monitor = _taught(block, job)
            spent += time.process_time() - started
            started = time.process_time()
            vigil = watched(monitor, block, since)
            each = 1000 * (time.process_time() - started) / len(vigil.score)
            rang = len(vigil.alarms)
            drawn = drawn or {"timeline": _timeline(vigil.score, vigil.limit)}
        else:
            detector = _baseline(job).fit(block.part(0, since))
            spent += time.process_time() - started
            score = detector.score(block.value)
            limit = (
                3.0 if job.model == "mean + 3 sd" else _quantile(score[:since], wanted, len(block) - since)
            )
            rang = len(events(block.time[since:], score[since:, None], limit, promise.span))
        value[block.name] = rang / wanted
    ratios = list(value.values())
    value["least"], value["most"] = min(ratios), max(ratios)
    value["streams kept"] = float(sum(_KEPT[0] <= one <= _KEPT[1] for one in ratios))
    return Result(job=job, value=value, train_cpu_s=spent, infer_ms=each, drawn=drawn)


def _quantile(score: Floats, wanted: float, rows: int) -> float:
    """Return the limit that as many single rows of what was learnt from exceed as alarms are promised."""
    return float(np.quantile(score, 1 - min(wanted / rows, 0.5)))


def _timeline(score: Floats, limit: Floats) -> dict[str, object]:
    step = max(1, len(score) // 400)
    top = [float(score[at : at + step].max()) for at in range(0, len(score), step)]
    return {
        "x": list(range(0, len(score), step)),
        "score": top,
        "limit": limit[::step].tolist(),
        "rows": len(score),
    }


def _faulty(block: Block, job: Job, length: int) -> tuple[Block, Injected]:
    """Return a stream with single-sensor faults in the part that is watched."""
    since = _since(block)
    scale = scale_of(block.value[:since])
    made = inject(block.value[since:], length=length, apart=_APART, seed=50 + job.seed + length, scale=scale)
    value = block.value.copy()
    value[since:] = made.value
    return msgspec.structs.replace(block, value=value), made


def _which(job: Job) -> Result:
    """Return how often the faulty sensor is named first, of all injected faults and of those that rang."""
    hit = rang = hit_rang = total = 0
    value: dict[str, float] = {}
    drawn: dict[str, object] = {}
    spent = 0.0
    for block in _streams(job):
        started, since = time.process_time(), _since(block)
        monitor = _taught(block, job) if job.kind == "deep" else None
        judge = monitor or _baseline(job).fit(block.part(0, since))
        spent += time.process_time() - started
        own = [0, 0]
        for length in (12, 40):
            faulty, made = _faulty(block, job, length)
            shares = _shares(judge, faulty, made, since)
            own[0] += sum(
                int(one.argmax()) == two.channel for one, two in zip(shares, made.faults, strict=True)
            )
            own[1] += len(shares)
            if monitor is not None:
                drawn = drawn or _drawn(faulty, made, shares)
                alarms = _alarmed(monitor, faulty, made, since)
                rang += len(alarms)
                hit_rang += sum(alarms)
        hit, total = hit + own[0], total + own[1]
        value[block.name] = own[0] / max(own[1], 1)
    value["hit@1"] = hit / max(total, 1)
    if job.kind == "deep":
        value["rang"], value["hit@1 of alarms"] = rang / max(total, 1), hit_rang / max(rang, 1)
    return Result(job=job, value=value, train_cpu_s=spent, drawn=drawn)


def _shares(judge: Monitor | Detector, faulty: Block, made: Injected, since: int) -> list[Floats]:
    """Return by how much each sensor is blamed over the rows of each fault, rung or not."""
    spans = [slice(since + one.start, since + one.stop + _AFTER) for one in made.faults]
    if isinstance(judge, Monitor):
        reading = judge.read(faulty.value, judge.usual(faulty.time, faulty.value))
        return [blame(judge.setup, reading.take(rows))[0] for rows in spans]
    part = judge.contributions(faulty.value)
    return [part[rows].sum(axis=0) for rows in spans]


def _drawn(faulty: Block, made: Injected, shares: list[Floats]) -> dict[str, object]:
    """Return how the sensors share the first fault that is in one of them."""
    name = f"attribution of a fault in {faulty.channels[made.faults[0].channel]} of the {faulty.name}"
    return {name: {"sensor": list(faulty.channels), "share": shares[0].round(4).tolist()}}


def _alarmed(monitor: Monitor, faulty: Block, made: Injected, since: int) -> list[bool]:
    """Say of each fault during which an alarm rang whether that alarm names its sensor first."""
    vigil = watched(monitor, faulty, since)
    found = []
    for fault in made.faults:
        low = faulty.time[since + fault.start]
        high = faulty.time[min(since + fault.stop + _AFTER, len(faulty) - 1)]
        pairs = zip(vigil.events, vigil.alarms, strict=True)
        own = [alarm for event, alarm in pairs if low <= event.raised_ns <= high]
        if own:
            found.append(own[0].streams[0].stream == faulty.channels[fault.channel])
    return found


def contests() -> tuple[Contest, ...]:
    """Return both contests."""
    names = tuple(_STREAMS)
    return (
        Contest(
            set="promise",
            title="Alarms a day, kept as promised",
            question="Alarms that rang over those promised, on streams taken for normal",
            protocol="the first 40 % of a stream teach, the rest is watched; one false alarm in a day, or in"
            " 500 readings where those last longer; alarms closer than 20 readings are one; a promise"
            f" is kept where {_KEPT[0]} to {_KEPT[1]} times as many rang",
            metrics=("streams kept", *names, "least", "most"),
            entries=(
                Entry(model="mean + 3 sd", kind="baseline"), Entry(model="sigma", kind="baseline"),
                Entry(model="PCA T2+Q", kind="baseline"), Entry(model="monitor", kind="deep", seeds=(0, 1)),
            ),
            perform=_promise,
            quick=("mean + 3 sd", "monitor"),
            goals=(("streams kept", ">=", 4.0),),
        ),
        Contest(
            set="which",
            title="Which sensor it was",
            question="How often the sensor that an injected fault is in is named first",
            protocol="seven kinds of faults of 3 and 6 deviations in single sensors of what is watched of"
            " real streams",
            metrics=("hit@1", "rang", "hit@1 of alarms", *names),
            entries=(
                Entry(model="sigma", kind="baseline"), Entry(model="PCA T2+Q", kind="baseline"),
                Entry(model="isolation forest", kind="baseline"),
                Entry(model="monitor", kind="deep", seeds=(0, 1)),
            ),
            perform=_which,
            quick=("sigma", "monitor"),
            goals=(("hit@1", ">=", 0.7), ("hit@1 of alarms", ">=", 0.7)),
        ),
    )  # fmt: skip
