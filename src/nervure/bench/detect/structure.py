"""Structures: the PEER frame, the Munich bridge and the LANL frame, each by its protocol."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.detect.claim import contest as claim
from nervure.bench.detect.clock import timed
from nervure.bench.detect.job import Contest, Entry, Job, Result
from nervure.bench.detect.roc import roc
from nervure.bench.detect.shown import (
    CHANNELS,
    Known,
    Runs,
    classify,
    frame_runs,
    lanl_answers,
    lanl_found,
    paired,
)
from nervure.learn.detect.block import ODD, Block
from nervure.learn.detect.models.vibration_cnn import VibrationCnn
from nervure.learn.detect.novelty import LastingShift
from nervure.learn.detect.score import auroc, auroc_macro
from nervure.learn.detect.structure import Segment, motion_folds, munich, unseen_severity

__all__ = ["contests"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_SEEDS = (0, 1, 2)
_STRAIN = "DMS_CN"  # the one sensor that was read all day
_FIRST = 60  # rows that a record's level is counted from


def _states(runs: Runs, job: Job, drawn: dict[str, Any]) -> tuple[dict[str, float], Known]:
    """Tell seven states of runs under ground motions that no model has seen."""
    split = motion_folds(runs.frames, seed=job.seed)[0]
    known = classify(job, runs, np.r_[split.train, split.validation], split.test, runs.state)
    truth = runs.state[split.test]
    healthy = known.share[:, known.classes.index("Undamage")]
    drawn["ROC damaged or not"] = roc((truth != "Undamage").astype(np.int8), 1 - healthy)
    value = {
        "accuracy": known.accuracy(truth),
        "macro AUROC": auroc_macro(truth, known.share, known.classes),
    }
    return value, known


def _severity(runs: Runs, job: Job) -> dict[str, float]:
    """Tell the damaged storey, or none, where the loss of stiffness is not the one that was learnt."""
    value = {}
    for seen in (0.8, 0.9):
        split = unseen_severity(runs.frames, seen=seen, seed=job.seed)
        train = np.r_[split.train, split.validation]
        extra = paired(runs, train) if job.model.endswith("+ halfway") else None
        known = classify(job, runs, train, split.test, runs.storey, extra)
        name = f"{seen:.0%} seen"
        value[f"accuracy, {name}"] = known.accuracy(runs.storey[split.test])
        odd = (runs.storey[split.test] != "0").astype(np.int8)
        value[f"AUROC, {name}"] = auroc(odd, 1 - known.share[:, known.classes.index("0")])
    both = [one for name, one in value.items() if name.startswith("accuracy")]
    return {"unseen severity": float(np.mean(both)), **value}


def _peer(job: Job) -> Result:
    started, drawn = time.process_time(), dict[str, Any]()
    runs = frame_runs(20.0, job.seed, job.quick)
    value, known = _states(runs, job, drawn)
    if not job.quick:
        value |= _severity(runs, job)
        clean, _ = _states(frame_runs(None, 0, False), job, {})
        value["accuracy clean"] = clean["accuracy"]
    if isinstance(known.net, VibrationCnn):
        rows = np.flatnonzero(runs.state == "1_80%")
        rows = rows[~np.isin(rows, known.train)]
        did = np.abs(known.net.contributions(runs.cases(rows), "1_80%")).mean(axis=(0, 2))
        names = known.net.maps(CHANNELS)
        drawn["attribution of 1_80%"] = {"map": list(names), "contribution": did.round(4).tolist()}
    return Result(
        job=job, value=value, train_cpu_s=time.process_time() - started, infer_ms=known.infer_ms,
        parameters=known.parameters, drawn=drawn,
    )  # fmt: skip


class _Rule:
    """The level against its first minute, in standard deviations of the reference: a limit set by hand."""

    def fit(self, *blocks: Block) -> _Rule:
        self.limit = 3 * float(np.concatenate([self._level(one.value)[:, 0] for one in blocks]).std())
        return self

    def score(self, value: Floats) -> Floats:
        found: Floats = np.abs(np.nan_to_num(self._level(value))).max(axis=1) / self.limit
        return found

    @staticmethod
    def _level(value: Floats) -> Floats:
        level: Floats = value - np.nanmean(value[:_FIRST], axis=0)
        return level


@lru_cache(maxsize=1)
def _segments() -> tuple[Segment, ...]:
    """Return the bridge's segments with the strain alone."""
    out = []
    for one in munich():
        at = one.block.channels.index(_STRAIN)
        block = msgspec.structs.replace(one.block, channels=(_STRAIN,), value=one.block.value[:, [at]])
        out.append(msgspec.structs.replace(one, block=block))
    return tuple(out)


def _munich(job: Job) -> Result:
    """Take the limit from reference records; each of them is judged with the limit of the other ones."""
    make = LastingShift if job.model == LastingShift.name else _Rule
    started, segments = time.process_time(), _segments()
    reference = [one.block for one in segments if one.role == "reference"]
    false = 0
    for block in reference:
        others = [other for other in reference if other is not block]
        false += int((make().fit(*others).score(block.value) > 1).any())
    detector = make().fit(*reference)
    rows = sum(len(one.block) for one in segments)
    score, took = timed(lambda: [detector.score(one.block.value) for one in segments], rows)
    found, delay = set(), dict[int, float]()
    for one, own in zip(segments, score, strict=True):
        if one.role == "during" and (own > 1).any() and one.lowering not in found:
            found.add(one.lowering)
            delay[one.lowering] = int((own > 1).argmax()) / 60
    resting = sum(
        int((own > 1).any()) for one, own in zip(segments, score, strict=True) if one.role == "after"
    )
    return Result(
        job=job,
        value={
            "lowerings found": float(len(found)),
            "false alarms in reference": float(false),
            "false alarms after": float(resting),
            "minutes into the record": float(np.mean(list(delay.values()))) if delay else float("nan"),
        },
        train_cpu_s=time.process_time() - started,
        infer_ms=took,
        drawn={"timeline": _timeline(segments, score)},
    )


def _timeline(segments: tuple[Segment, ...], score: list[Floats]) -> dict[str, list[float]]:
    """Return score over limit by minute, and the lowering that is under way, records one after another."""
    y, during, start = list[float](), list[int](), list[int]()
    for one, own in zip(segments, score, strict=True):
        start.append(len(y))
        y += [float(own[at : at + 60].max()) for at in range(0, len(own), 60)]
        during += [one.lowering if one.role == "during" else 0] * (len(y) - len(during))
    return {
        "x": [float(at) for at in range(len(y))], "y": np.round(y, 3).tolist(), "limit": [1.0] * len(y),
        "lowering": [float(one) for one in during], "record": [float(at) for at in start],
    }  # fmt: skip


def _lanl(job: Job) -> Result:
    """Answer for each stretch of recordings by a model that has seen none of it."""
    started = time.process_time()
    found = lanl_answers(job)
    score = found.score
    label = lanl_found().block.label
    assert label is not None  # noqa: S101  every recording is labelled
    kept = ~np.isnan(score)
    return Result(
        job=job,
        value={"AUROC": auroc(label[kept], score[kept])},
        train_cpu_s=time.process_time() - started,
        infer_ms=found.infer_ms,
        parameters=found.parameters,
        drawn={"ROC": roc((label[kept] == ODD).astype(np.int8), score[kept])},
    )


class _Figures(NamedTuple):
    best: str
    text: str


def _figures(results: list[Result], metric: str, *, digits: int = 3) -> _Figures:
    mean: dict[str, list[float]] = {}
    for one in results:
        if metric in one.value:
            mean.setdefault(one.job.model, []).append(one.value[metric])
    figure = {name: float(np.mean(values)) for name, values in mean.items()}
    best = max(figure, key=lambda one: figure[one], default="")
    return _Figures(best, ", ".join(f"{name} {value:.{digits}f}" for name, value in figure.items()))


def _peer_text(results: list[Result]) -> str:
    plain, unseen = _figures(results, "accuracy"), _figures(results, "unseen severity")
    said = f"With noise 20 dB below each channel, seven states are told apart by {plain.text} (accuracy)."
    if not unseen.best:
        return said
    return (
        f"{said} What tells models apart is damage of another size than was learnt: {unseen.text}. Runs"
        " halfway between healthy and damaged, made of training runs under the same ground motion, are what"
        " helps there."
    )


def _munich_text(results: list[Result]) -> str:
    found, false = (
        _figures(results, name, digits=0) for name in ("lowerings found", "false alarms in reference")
    )
    return (
        f"Lowerings found of three: {found.text}; reference records with a false alarm, of two: {false.text}."
        " The strain is the one sensor that was read all day; a load crosses the bridge in most records, and"
        " a change that stays is told from it by waiting."
    )


def _lanl_text(results: list[Result]) -> str:
    figure = _figures(results, "AUROC")
    return (
        f"Stretches that no model has seen are ranked with an AUROC of {figure.text}: with 86 features of 169"
        f" recordings {figure.best} is ahead, and there is little for a net to add."
    )


def _entries(*models: str, deep: str = "") -> tuple[Entry, ...]:
    return tuple(
        Entry(model=one, kind="deep" if deep and one.startswith(deep) else "baseline", seeds=_SEEDS)
        for one in models
    )


def _peer_contest() -> Contest:
    return Contest(
        set="peer",
        title="PEER concrete frame (simulated), noise 20 dB below each channel",
        question="Which storey has lost how much of its stiffness?",
        protocol="By ground motion, three shuffles. Unseen severity: learnt on 80 % of the stiffness left,"
        " asked about 90 %, and the other way round; four answers, a storey or none; mean of both."
        " Halfway runs and the noise of training were settled with the first shuffle in sight.",
        metrics=(
            "accuracy", "macro AUROC", "unseen severity", "accuracy, 80% seen", "accuracy, 90% seen",
            "AUROC, 80% seen", "AUROC, 90% seen", "accuracy clean",
        ),
        entries=_entries(
            "transfer + logistic", "transfer + trees", "transfer + logistic + halfway",
            "transfer + trees + halfway", "vibration_cnn", "vibration_cnn + halfway", deep="vibration_cnn",
        ),
        perform=_peer,
        quick=("transfer + trees", "vibration_cnn"),
        goals=(("accuracy", ">=", 0.95), ("unseen severity", ">=", 0.85)),
        text=_peer_text,
    )  # fmt: skip


def _munich_contest() -> Contest:
    return Contest(
        set="munich",
        title="Munich test bridge, a support lowered three times",
        question="Is each lowering found, and nothing else?",
        protocol="Limits from the two reference records alone; each is judged by the limit of the other."
        " Afterwards loads cross the bridge again, which is no lowering.",
        metrics=(
            "lowerings found", "false alarms in reference", "false alarms after", "minutes into the record",
        ),
        entries=(
            Entry(model="3 sigma of the level", kind="baseline"),
            Entry(model=LastingShift.name, kind="baseline"),
        ),
        perform=_munich,
        quick=("3 sigma of the level", LastingShift.name),
        goals=(("lowerings found", ">=", 3.0), ("false alarms in reference", "<=", 0.0)),
        text=_munich_text,
    )  # fmt: skip


def contests() -> tuple[Contest, ...]:
    """Return the contests of structures."""
    frame = Contest(
        set="lanl",
        title="LANL three-storey frame, features of 169 recordings",
        question="Is the structure damaged, whatever its mass and stiffness were changed to?",
        protocol="Five folds of stretches of ten consecutive recordings, three shuffles, pooled. The "
        "logistic's penalty and the net's effort were tried with validation and test figures side by side.",
        metrics=("AUROC",),
        entries=_entries("novelty", "extra trees", "logistic", "sensor_cnn", deep="sensor_cnn"),
        perform=_lanl,
        quick=("logistic", "sensor_cnn"),
        goals=(("AUROC", ">=", 0.90),),
        text=_lanl_text,
    )
    return (_peer_contest(), _munich_contest(), frame, claim())
