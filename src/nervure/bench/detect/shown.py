"""What models of structures are shown, and how one is fitted and asked: shared by their contests."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.detect.clock import timed
from nervure.bench.detect.job import Job
from nervure.learn.detect.case import CaseTrees
from nervure.learn.detect.casenet import CaseNet, Cases
from nervure.learn.detect.models.sensor_cnn import SensorCnn
from nervure.learn.detect.models.vibration_cnn import Bank, VibrationCnn
from nervure.learn.detect.novelty import Novelty
from nervure.learn.detect.structure import Frame, Recordings, lanl, lanl_folds, peer
from nervure.learn.detect.train import Effort
from nervure.learn.detect.transfer import halfway, transfer

__all__ = [
    "CHANNELS", "SENSORS", "Answered", "Known", "Runs", "classify", "frame_runs", "lanl_answers",
    "lanl_cases", "lanl_found", "line", "paired",
]  # fmt: skip

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Names = NDArray[np.str_]

CHANNELS = ("ground", "storey 1", "storey 2", "storey 3")
SENSORS = 5  # of LANL: a force and four accelerometers, 16 features each
_FEATURES = 16
_ROWS = 1536  # of a run: nearly all of most, and longer ones from their start
_SHORTEST = 100  # one run of the set is a single row


class Runs(NamedTuple):
    """Runs of the PEER frame, ``x [run, row, channel]`` beside their names ``[run]``."""

    frames: tuple[Frame, ...]
    x: NDArray[np.float32]
    state: Names
    storey: Names
    motion: Names

    def cases(self, rows: Longs) -> Cases:
        """Return some runs as a net takes them."""
        return Cases(self.x[rows])


@lru_cache(maxsize=2)
def frame_runs(noise_db: float | None, seed: int, quick: bool) -> Runs:
    """Open the PEER frame with noise; ``quick`` takes every fourth ground motion."""
    found = [one for one in peer(noise_db=noise_db, seed=seed) if len(one.block) >= _SHORTEST]
    if quick:
        kept = sorted({one.block.group for one in found})[::4]
        found = [one for one in found if one.block.group in kept]
    x = np.zeros((len(found), _ROWS, len(CHANNELS)), np.float32)
    for turn, one in enumerate(found):
        value = one.block.value[:_ROWS]
        x[turn, : len(value)] = value - value.mean(axis=0)
    return Runs(
        tuple(found), x, np.array([one.state for one in found]), np.array([str(one.storey) for one in found]),
        np.array([one.block.group for one in found]),
    )  # fmt: skip


def paired(runs: Runs, train: Longs) -> Longs:
    """Return pairs of training runs, damaged and healthy, under the same ground motion."""
    healthy = runs.storey[train] == "0"
    return halfway(train[~healthy], train[healthy], runs.motion)


class Known(NamedTuple):
    """What a model answered: ``share [case, class]``, its cost, what it learnt from, the net itself."""

    share: Floats
    classes: tuple[str, ...]
    train: Longs
    infer_ms: float = 0.0
    parameters: int = 0
    net: CaseNet | None = None

    def accuracy(self, truth: Names) -> float:
        """Return the share of cases whose likeliest class is right."""
        return float((np.array(self.classes)[self.share.argmax(axis=1)] == truth).mean())


def classify(
    job: Job, runs: Runs, train: Longs, test: Longs, truth: Names, extra: Longs | None = None
) -> Known:
    """Fit on runs, and on pairs of them taken halfway, and answer for others."""
    x, label = runs.x[train], truth[train]
    if extra is not None:
        x = np.concatenate([x, runs.x[extra].mean(axis=1)])
        label = np.r_[label, truth[extra[:, 0]]]
    if job.model.startswith("vibration_cnn"):
        return _net_answer(job, x, label, runs.x[test])._replace(train=train)
    if "trees" in job.model:
        trees = CaseTrees(seed=job.seed).fit(_gains(x), label)
        share, took = timed(lambda: trees.score(_gains(runs.x[test])), len(test))
        return Known(share, trees.classes, train, took)
    model = line(0.1).fit(_gains(x), label)
    share, took = timed(lambda: np.asarray(model.predict_proba(_gains(runs.x[test]))), len(test))
    return Known(share, tuple(model.classes_.tolist()), train, took, int(model[-1].coef_.size))


def _gains(x: NDArray[np.float32]) -> Floats:
    """Return the transfer functions of runs, ``[run, feature]``."""
    return np.array([transfer(one.astype(np.float64)).ravel() for one in x])


def _net_answer(job: Job, x: NDArray[np.float32], label: Names, asked: NDArray[np.float32]) -> Known:
    effort = Effort(cpu_s=4 if job.quick else 60, epochs=30, batch=32, rate=2e-3, decay=1e-2)
    bank = Bank(count=96, width=512, hop=128, spread=0.3)
    net = VibrationCnn(bank=bank, noise=0.1, seed=job.seed, effort=effort).fit(Cases(x), label)
    share, took = timed(lambda: net.score(Cases(asked)), len(asked))
    count = sum(one.numel() for one in net.module.parameters()) if net.module else 0
    return Known(share, net.classes, np.empty(0, np.int64), took, count, net)


def line(strength: float) -> Any:
    """Return a logistic regression on scaled features, classes alike however rare."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)
    )


@lru_cache(maxsize=1)
def lanl_found() -> Recordings:
    """Open LANL's features once."""
    return lanl()


def lanl_cases() -> Cases:
    """Return the features as ``[recording, sensor, feature]``, and the sensors' correlations beside them."""
    value = lanl_found().block.value.astype(np.float32)
    own = SENSORS * _FEATURES
    return Cases(value[:, :own].reshape(len(value), SENSORS, _FEATURES), value[:, own:])


class Answered(NamedTuple):
    """How damaged a recording seems, ``score [recording]``, to a model of so many numbers, in ms for each."""

    score: Floats
    parameters: int
    infer_ms: float


def lanl_answers(job: Job) -> Answered:
    """Answer for each recording by a model that has not seen it; NaN is what the quick form does not ask."""
    found = lanl_found()
    label = found.block.label
    assert label is not None  # noqa: S101
    score, last = np.full(len(label), np.nan), Answered(np.empty(0), 0, 0.0)
    for split in lanl_folds(found, seed=job.seed)[: 3 if job.quick else None]:
        train = np.r_[split.train, split.validation]
        last = _lanl_answer(job, train, split.test)
        score[split.test] = last.score
    return last._replace(score=score)


def _lanl_answer(job: Job, train: Longs, test: Longs) -> Answered:
    block = lanl_found().block
    assert block.label is not None  # noqa: S101
    value, truth = block.value, block.label.astype(str)
    if job.model == Novelty.name:
        calm = Novelty().fit(value[train[truth[train] == "0"]])
        score, took = timed(lambda: calm.score(value[test]), len(test))
        return Answered(score, 0, took)
    if job.model == "extra trees":
        trees = CaseTrees(seed=job.seed).fit(value[train], truth[train])
        score, took = timed(lambda: trees.score(value[test], ("1",))[:, 0], len(test))
        return Answered(score, 0, took)
    if job.model == "logistic":
        model = line(0.1).fit(value[train], truth[train])
        score, took = timed(lambda: np.asarray(model.predict_proba(value[test])[:, 1]), len(test))
        return Answered(score, value.shape[1] + 1, took)
    cases = lanl_cases()
    effort = msgspec.structs.replace(SensorCnn.effort, cpu_s=2.0, epochs=20) if job.quick else None
    net = SensorCnn(seed=job.seed, effort=effort).fit(cases.take(train), truth[train])
    count = sum(one.numel() for one in net.module.parameters()) if net.module else 0
    score, took = timed(lambda: net.score(cases.take(test), ("1",))[:, 0], len(test))
    return Answered(score, count, took)
