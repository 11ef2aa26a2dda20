"""Bearings: which part of one that no model has seen is faulty, on CWRU."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.bench.detect.clock import timed
from nervure.bench.detect.job import Contest, Entry, Job, Result
from nervure.bench.detect.roc import roc
from nervure.learn.detect.case import CaseTrees, envelope
from nervure.learn.detect.casenet import CaseNet, Cases
from nervure.learn.detect.machine import Vibration, bearing_folds, cwru
from nervure.learn.detect.models.envelope_cnn import EnvelopeCnn
from nervure.learn.detect.models.vibration_cnn import Bank, VibrationCnn
from nervure.learn.detect.order import DRIVE_END, FAN_END, HARMONICS, OFFSETS, Geometry, order_picture
from nervure.learn.detect.score import auroc, auroc_macro
from nervure.learn.detect.train import Effort

__all__ = ["contests"]

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Longs = NDArray[np.int64]

_CLASSES = ("B", "IR", "OR")
_HZ = 12_000
_LONG, _STEP = 20_000, 10_000  # rows of a window that tells orders apart: 48 turns at the slowest
_SHORT = 3_000
_LINEAR, _TREES, _RAW, _PICTURE = "fault orders + logistic", "extra trees", "vibration_cnn", "envelope_cnn"


class _Shown(NamedTuple):
    """What a model is shown of every recording, ``x [window, ...]``, and which recording a window is of.

    ``made_ms`` is how many milliseconds it took to make one ready.
    """

    x: Singles
    own: Longs
    made_ms: float


@lru_cache(maxsize=1)
def _recordings() -> tuple[Vibration, ...]:
    return cwru()


@lru_cache(maxsize=4)
def _shown(model: str, quick: bool) -> _Shown:
    """Show all recordings as a model wants them."""
    length, step = (_SHORT, _SHORT) if model == _RAW else (_LONG, _STEP)
    step = 4 * step if quick else step
    own, cut = [], []
    for turn, one in enumerate(_recordings()):
        signal = one.block.value[:, 0]
        for start in range(0, len(signal) - length + 1, step):
            cut.append((signal[start : start + length], one))
            own.append(turn)
    windows, took = timed(lambda: np.stack([_seen(model, *one) for one in cut]), len(cut))
    return _Shown(windows.astype(np.float32), np.array(own), took)


def _seen(model: str, signal: Floats, one: Vibration) -> Floats | Singles:
    turns = one.rpm / 60 / _HZ
    if model == _TREES:
        return envelope(signal, turns)
    if model == _RAW:
        return signal[:, None]
    picture = order_picture(signal, turns, DRIVE_END if one.end == "DE" else FAN_END)
    return picture[len(OFFSETS) // 2 :: len(OFFSETS)].ravel() if model == _LINEAR else picture


def _net(job: Job) -> CaseNet:
    if job.model == _PICTURE:
        quick = Effort(cpu_s=4, epochs=15, batch=64, rate=3e-3, decay=1e-2)
        return EnvelopeCnn(seed=job.seed, effort=quick if job.quick else None)
    effort = Effort(cpu_s=2 if job.quick else 60, epochs=12, batch=64, rate=2e-3, decay=3e-2)
    return VibrationCnn(bank=Bank(spread=0.0), speed=0.03, noise=0.2, seed=job.seed, effort=effort)


class _Answer(NamedTuple):
    share: Floats
    infer_ms: float
    parameters: int
    net: CaseNet | None


def _answer(job: Job, shown: _Shown, train: NDArray[np.bool_], test: NDArray[np.bool_]) -> _Answer:
    """Fit on windows and answer for others, ``share [window, class]``."""
    truth = np.array([one.fault for one in _recordings()])[shown.own]
    if job.model in (_PICTURE, _RAW):
        net = _net(job).fit(Cases(shown.x[train]), truth[train])
        share, took = timed(lambda: net.score(Cases(shown.x[test]), _CLASSES), int(test.sum()))
        count = sum(one.numel() for one in net.module.parameters()) if net.module else 0
        return _Answer(share, shown.made_ms + took, count, net)
    if job.model == _TREES:
        trees = CaseTrees(seed=job.seed).fit(shown.x[train].astype(np.float64), truth[train])
        asked = shown.x[test].astype(np.float64)
        share, took = timed(lambda: trees.score(asked, _CLASSES), len(asked))
        return _Answer(share, shown.made_ms + took, 0, None)
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    line = make_pipeline(StandardScaler(), LogisticRegression(C=0.001, class_weight="balanced", max_iter=500))
    line.fit(shown.x[train], truth[train])
    share, took = timed(lambda: np.asarray(line.predict_proba(shown.x[test])), int(test.sum()))
    return _Answer(share, shown.made_ms + took, int(line[-1].coef_.size), None)


def _perform(job: Job) -> Result:
    """Fold by fold, every bearing is answered for by a model that has seen none of its windows."""
    found, shown = _recordings(), _shown(job.model, job.quick)
    truth = np.array([one.fault for one in found])
    share, started, last = np.zeros((len(found), len(_CLASSES))), time.process_time(), None
    splits = bearing_folds(found, seed=job.seed)[: 2 if job.quick else None]
    for split in splits:
        train = np.isin(shown.own, np.r_[split.train, split.validation])
        test = np.isin(shown.own, split.test)
        last = _answer(job, shown, train, test)
        for row in split.test:
            share[row] = last.share[shown.own[test] == row].mean(axis=0)
    judged = np.concatenate([split.test for split in splits])
    share, truth = share[judged], truth[judged]
    right = np.array(_CLASSES)[share.argmax(axis=1)] == truth
    drawn = {
        f"ROC {one}": roc((truth == one).astype(np.int8), share[:, at]) for at, one in enumerate(_CLASSES)
    }
    if last is not None and isinstance(last.net, EnvelopeCnn):
        drawn |= _blamed(last.net, shown, splits[-1].test)
    return Result(
        job=job,
        value={
            "macro AUROC": auroc_macro(truth, share, _CLASSES),
            "accuracy": float(right.mean()),
            **{
                f"AUROC {one}": auroc((truth == one).astype(np.int8), share[:, at])
                for at, one in enumerate(_CLASSES)
            },
        },
        train_cpu_s=(time.process_time() - started) / len(splits),
        infer_ms=last.infer_ms if last else 0.0,
        parameters=last.parameters if last else 0,
        drawn=drawn,
    )


def _blamed(net: EnvelopeCnn, shown: _Shown, test: Longs) -> dict[str, dict[str, list[float]]]:
    """Return for each fault, of the zones about its own first harmonic, what the orders did for it."""
    out = {}
    for part, label in zip(Geometry._fields, ("IR", "OR", "B"), strict=True):
        rows = [row for row in test if _recordings()[row].fault == label]
        did = net.contributions(Cases(shown.x[np.isin(shown.own, rows)]), label).sum(axis=2).mean(axis=0)
        zone = Geometry._fields.index(part) * HARMONICS * len(OFFSETS)
        did = did[zone : zone + len(OFFSETS)]
        out[f"attribution {label}: orders from its fault's"] = {
            "x": OFFSETS.round(3).tolist(),
            "y": did.round(4).tolist(),
        }
    return out


def _text(results: list[Result]) -> str:
    """Say who is ahead, and by how much."""
    mean: dict[str, list[float]] = {}
    for one in results:
        if not one.error:
            mean.setdefault(one.job.model, []).append(one.value["macro AUROC"])
    if not mean:
        return ""
    figure = {name: float(np.mean(values)) for name, values in mean.items()}
    best = max(figure, key=lambda one: figure[one])
    rest = ", ".join(f"{name} {value:.3f}" for name, value in figure.items() if name != best)
    return (
        f"On bearings that no model has seen, {best} ranks the faults with a macro AUROC of"
        f" {figure[best]:.3f} ({rest}). Speed and geometry tell the rates of faults; a net that has to find"
        " them in raw windows has 15 bearings to learn from. Splits by window, which print 1.000, are"
        " refused."
    )


def contests() -> tuple[Contest, ...]:
    """Return the contest on CWRU."""
    return (
        Contest(
            set="cwru",
            title="CWRU bearings, bearing by bearing",
            question="Ball, inner race or outer race: which part is faulty?",
            protocol="4 folds of 20 bearings, three shuffles; a recording is the mean of its windows. Forms"
            " and efforts were chosen on validation bearings of other shuffles of the same 20; what is judged"
            " was fitted on all but the test bearings, for a fixed number of steps. That fault"
            " orders carry the answer was seen on all recordings first.",
            metrics=("macro AUROC", "accuracy", *(f"AUROC {one}" for one in _CLASSES)),
            entries=(
                Entry(model=_LINEAR, kind="baseline", seeds=(0, 1, 2)),
                Entry(model=_TREES, kind="baseline", seeds=(0, 1, 2)),
                Entry(model=_RAW, kind="deep", seeds=(0, 1, 2)),
                Entry(model=_PICTURE, kind="deep", seeds=(0, 1, 2)),
            ),
            perform=_perform,
            quick=(_TREES, _PICTURE),
            goals=(("macro AUROC", ">=", 0.90),),
            text=_text,
        ),
    )
