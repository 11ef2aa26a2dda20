"""A whole course: from a data set to one signed model file, with its proof in its card.

data ─▶ task ─▶ fit, calibrate bands ─▶ set alarm limits ─▶ hold against baselines ─▶ package
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Literal

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray

from nervure.core.card import CARD_KEY, Card, Metric
from nervure.core.problem import Forecast
from nervure.core.window import Window
from nervure.learn import alarm
from nervure.learn.baseline import baselines
from nervure.learn.dataset import Dataset
from nervure.learn.evaluate import evaluate, measure
from nervure.learn.package import package
from nervure.learn.split import Split
from nervure.learn.task import Forecaster, ForecastTask, pose
from nervure.learn.train import Trained, fit, predict
from nervure.trust.signature import SigningKey

__all__ = ["Course", "Fitted", "course"]

Progress = Callable[[float, str], None]


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a course: the signed file and its name, its card, its metrics, baselines first."""

    name: str
    package: bytes
    sha256: str
    card: Card
    metrics: tuple[Metric, ...]
    train_s: float


class Fitted:
    """A trained net as a forecaster that is fitted already."""

    kind: Literal["baseline", "deep", "peer"] = "deep"

    def __init__(self, trained: Trained, task: ForecastTask) -> None:
        self.name = trained.model
        self.history = task.window
        self._trained = trained

    def fit(self, task: ForecastTask) -> Forecaster:
        """Return itself: it was fitted before."""
        return self

    def predict(self, window: Window) -> NDArray[np.float32]:
        """Foresee with the net: ``[batch, horizon, quantile]``."""
        return predict(self._trained.module, window)


def course(
    dataset: Dataset,
    problem: str | Forecast | None = None,
    *,
    key: SigningKey,
    split: Split | None = None,
    budget_s: float = 180.0,
    seed: int = 0,
    compare: bool = True,
    progress: Progress | None = None,
) -> Course:
    """Train a solution's forecaster on a data set and package it, signed.

    With ``compare`` the plain baselines are fitted too, and stand above the model in its card.
    ``progress`` is told a fraction and a line to show.
    """
    task = pose(dataset, problem, split=split, seed=seed)
    rows: list[Metric] = []
    if compare:
        rows = evaluate(task, baselines(task), progress=_part(progress, 0.0, 0.4, "baseline "))
    trained = fit(
        task, model=task.problem.model, budget_s=budget_s, seed=seed, progress=_part(progress, 0.4, 0.9, "")
    )
    fitted = Fitted(trained, task)
    if progress:
        progress(0.9, "setting the alarm limits")
    limits, refused = alarm.limits_for(dataset.solution, task, fitted.predict, seed=seed)
    if progress:
        progress(0.96, "judging the model on the test part")
    rows += measure(task, fitted)
    data = package(trained, task, rows, key=key, limits=limits, notes="; ".join(refused))
    learned = _learned(data, tuple(rows), trained)
    if progress:
        progress(1.0, f"{learned.card.name} {learned.card.version}")
    return learned


def _learned(data: bytes, metrics: tuple[Metric, ...], trained: Trained) -> Course:
    card = _card(data)
    return Course(
        name=f"{card.name}-{card.version}.onnx",
        package=data,
        sha256=sha256(data).hexdigest(),
        card=card,
        metrics=metrics,
        train_s=trained.wall_s,
    )


def _card(data: bytes) -> Card:
    """Read the card that a model file carries."""
    props = {one.key: one.value for one in onnx.load_from_string(data).metadata_props}
    return msgspec.json.decode(props[CARD_KEY], type=Card)


def _part(progress: Progress | None, start: float, end: float, word: str) -> Progress | None:
    """Map the progress of a step onto its share of the whole."""
    if progress is None:
        return None
    return lambda share, text: progress(start + share * (end - start), word + text)
