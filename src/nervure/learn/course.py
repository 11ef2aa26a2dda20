"""A whole course: from a data set to one signed model file, with its proof in its card.

data ─▶ task ─▶ fit, calibrate bands ─▶ set alarm limits ─▶ hold against baselines ─▶ package
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
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
from nervure.learn.recipe import Recipe, recipe_of
from nervure.learn.renew import Rival, Verdict, judge, plan
from nervure.learn.resume import Checkpoints, identity
from nervure.learn.split import Split
from nervure.learn.task import Forecaster, ForecastTask, pose
from nervure.learn.train import Trained, fit, predict
from nervure.learn.weights import Start, Weights, pack
from nervure.trust.signature import SigningKey

__all__ = ["Course", "Fitted", "How", "course"]

Progress = Callable[[float, str], None]


class How(msgspec.Struct, frozen=True, kw_only=True):
    """How a course goes, where it is not the plain one.

    ``model`` and ``recipe`` stand in the place of what the solution declares. ``champion`` is who
    scores now: the new model is judged against it. With its ``weights`` the model is renewed: it
    starts from them. ``unjudged`` is a model that scores now and cannot be opened: nothing is better
    than it for sure. Checkpoints lie below ``training``; ``note`` is told what a person should know.
    """

    model: str | None = None
    recipe: Recipe | None = None
    champion: Rival | None = None
    weights: Weights | None = None
    renew: bool = False
    unjudged: str = ""
    training: Path | None = None
    note: Callable[[str], None] | None = None


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a course: the signed file and its name, its card, its metrics, baselines first.

    ``weights`` is the file that a renewal starts from. ``verdict`` says how the model stands beside
    the champion.
    """

    name: str
    package: bytes
    sha256: str
    card: Card
    metrics: tuple[Metric, ...]
    train_s: float
    weights: bytes
    verdict: Verdict


class Fitted:
    """A trained net as a forecaster that is fitted already."""

    kind: Literal["baseline", "deep", "peer"] = "deep"

    def __init__(self, trained: Trained, task: ForecastTask) -> None:
        self.name = trained.model
        self.history = task.window
        self._trained = trained

    def view(self, task: ForecastTask) -> ForecastTask:
        """Return the task with the channels that the net was trained on."""
        own = self._trained.task
        return msgspec.structs.replace(
            task,
            channels=own.channels,
            inputs=own.inputs,
            neighbours=own.neighbours,
            joint=own.joint,
            window=own.window,
        )

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
    rivals: Sequence[Forecaster] | None = None,
    stride: int = 1,
    progress: Progress | None = None,
    how: How | None = None,
) -> Course:
    """Train a solution's forecaster on a data set and package it, signed.

    With ``compare`` the plain baselines (or ``rivals``) are fitted too, and stand above the model in
    its card. Every ``stride`` slots a test window ends. ``progress`` is told a fraction and a line.
    """
    how, tell = how or How(), progress or _silent
    asked = pose(dataset, problem, split=split, seed=seed)
    asked, start = (
        plan(asked, how.champion.card, how.weights) if how.renew and how.champion else (asked, None)
    )
    how = _settled(asked, how)
    plain = (baselines(asked) if rivals is None else rivals) if compare else ()
    rows = evaluate(asked, plain, stride=stride, progress=_part(tell, 0.0, 0.4, "baseline ")) if plain else []
    trained, checkpoints = _train(asked, how, start, budget_s, seed, _part(tell, 0.4, 0.9, ""))
    task, fitted = trained.task, Fitted(trained, trained.task)  # the task as the model looks at it
    tell(0.9, "setting the alarm limits")
    limits, refused = alarm.limits_for(dataset.solution, task, fitted.predict, seed=seed)
    tell(0.95, "judging the model on the test part")
    rows += measure(task, fitted, stride=stride)
    verdict = judge(asked, fitted, how.champion, unjudged=how.unjudged)
    data = package(trained, task, rows, key=key, limits=limits, notes="; ".join(refused))
    learned = _learned(data, tuple(rows), trained, key, verdict, how.recipe)
    if checkpoints is not None:
        checkpoints.clear()
    tell(1.0, f"{learned.card.name} {learned.card.version}")
    return learned


def _settled(task: ForecastTask, how: How) -> How:
    """Return with which model and recipe: those asked for, else the champion's, else the declared ones."""
    model = how.model or task.problem.model
    recipe = how.recipe
    if recipe is None and how.renew and how.weights is not None and how.weights.model == model:
        recipe = msgspec.convert(how.weights.recipe, Recipe).renewing()
    return msgspec.structs.replace(how, model=model, recipe=recipe or recipe_of(model))


def _train(
    task: ForecastTask,
    how: How,
    start: Start | None,
    budget_s: float,
    seed: int,
    progress: Progress | None,
) -> tuple[Trained, Checkpoints | None]:
    """Train, going on where a training of the very same was killed."""
    checkpoints: Checkpoints | None = None
    if how.training is not None:
        name = identity(task, how.model, how.recipe, seed, start)
        checkpoints = Checkpoints(how.training, name, tell=how.note)
    trained = fit(
        task,
        model=how.model or task.problem.model,
        budget_s=budget_s,
        seed=seed,
        recipe=how.recipe,
        progress=progress,
        start=start,
        checkpoints=checkpoints,
    )
    return trained, checkpoints


def _learned(
    data: bytes,
    metrics: tuple[Metric, ...],
    trained: Trained,
    key: SigningKey,
    verdict: Verdict,
    recipe: Recipe | None,
) -> Course:
    card = _card(data)
    return Course(
        name=f"{card.name}-{card.version}.onnx",
        package=data,
        sha256=sha256(data).hexdigest(),
        card=card,
        metrics=metrics,
        train_s=trained.wall_s,
        weights=pack(trained.module, trained.model, card.streams, data, key, recipe=recipe),
        verdict=verdict,
    )


def _silent(share: float, text: str) -> None:
    """Tell nobody."""


def _card(data: bytes) -> Card:
    """Read the card that a model file carries."""
    props = {one.key: one.value for one in onnx.load_from_string(data).metadata_props}
    return msgspec.json.decode(props[CARD_KEY], type=Card)


def _part(progress: Progress | None, start: float, end: float, word: str) -> Progress | None:
    """Map the progress of a step onto its share of the whole."""
    if progress is None:
        return None
    return lambda share, text: progress(start + share * (end - start), word + text)
