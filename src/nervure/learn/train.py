"""Training: windows from the task, pinball loss, averaged weights, early stopping on validation.

Nothing here sees the test part. The same seed and number of threads give the same weights, unless
the time budget cuts the training short.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Literal, Protocol

import msgspec
import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from nervure.core.error import DeclarationError
from nervure.core.window import Window
from nervure.learn.anchor import Anchor, choose
from nervure.learn.calibrate import calibrate
from nervure.learn.task import ForecastTask, Samples, samples, truth, windows

__all__ = ["Deep", "Recipe", "Step", "Trained", "fit", "predict"]

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]
Progress = Callable[[float, str], None]

_JUDGED = 6_000  # validation samples that decide when to stop
_LOOKS = 15  # times the validation part is looked at
_CELLS = 12_000  # steps of a horizon that a batch holds, window by window
_WARM = 10  # steps after which the pace is known


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How to train.

    Windows overlap, so an epoch shows each reading as often as a window and its horizon are long:
    ``views`` is how often it is shown in all, in ``epochs`` at most. The budget may end it sooner.
    ``batch`` counts windows, fewer where more than ``_CELLS`` steps would have to be foreseen.
    """

    epochs: float = 3.5
    views: float = 250.0
    least_steps: int = 400
    batch: int = 256
    rate: float = 2e-3
    decay: float = 1e-4
    average: float = 0.998
    warm: float = 0.05
    patience: int = 6
    median_weight: float = 4.0
    dropped: float = 0.15


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One look during training: the loss, and the mean absolute error on validation in raw units."""

    step: int
    loss: float
    validation: float


class Trained(msgspec.Struct, kw_only=True):
    """A trained net with how it came about. ``module`` is calibrated and in evaluation mode."""

    model: str
    module: nn.Module
    anchor: str
    history: list[Step]
    steps: int
    cpu_s: float
    wall_s: float
    parameters: int
    spread: list[tuple[float, float]]


class _Builder(Protocol):
    def __call__(self, task: ForecastTask, anchor: Anchor) -> nn.Module: ...


def fit(
    task: ForecastTask,
    *,
    model: str = "mixer",
    budget_s: float = 180.0,
    progress: Progress | None = None,
    seed: int | None = None,
    recipe: Recipe | None = None,
    threads: int = 1,
) -> Trained:
    """Train a model on the task's train part, choose by its validation part, calibrate on it too.

    ``progress`` is told a fraction and a line to show. ``seed`` is the task's own unless given. On
    one thread the weights are the same on machines with more cores, and a node that runs beside
    the training keeps its own.
    """
    started, spent = time.monotonic(), time.process_time()
    tell = progress or _silent
    number = task.seed if seed is None else seed
    with _threads(threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(number)
        tell(0.0, "choosing the seasonal profile")
        anchor = choose(task)
        run = _Run(task, anchor, _builder(model)(task, anchor), recipe or Recipe(), number)
        history = run.train(started + 0.9 * budget_s, tell)
        tell(0.97, "calibrating the bands")
        spread = calibrate(task, run.best, lambda window: predict(run.best, window))
    tell(1.0, f"trained: {run.step} steps, validation MAE {run.least:.4g} {task.unit}")
    return Trained(
        model=model,
        module=run.best,
        anchor=anchor.kind,
        history=history,
        steps=run.step,
        cpu_s=time.process_time() - spent,
        wall_s=time.monotonic() - started,
        parameters=sum(one.numel() for one in run.best.parameters()),
        spread=spread,
    )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _silent(share: float, text: str) -> None:
    """Tell nobody."""


def predict(module: nn.Module, window: Window) -> Floats:
    """Foresee with a torch module, some windows at a time: ``[batch, horizon, quantile]``."""
    module.eval()
    size = max(1, 2 * _CELLS // (window.calendar.shape[1] - window.x.shape[1]))
    device = next(module.parameters()).device
    parts = []
    with torch.inference_mode():
        for start in range(0, len(window.node), size):
            inputs = _tensors(window, slice(start, start + size), device)
            parts.append(module(*inputs).cpu().numpy())
    return np.concatenate(parts)


class Deep:
    """A deep model as a forecaster, to stand in one table with the baselines."""

    kind: Literal["deep"] = "deep"
    history = 0

    def __init__(
        self,
        model: str = "mixer",
        *,
        budget_s: float = 180.0,
        recipe: Recipe | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.name = model
        self.budget_s = budget_s
        self.recipe = recipe
        self.progress = progress
        self.trained: Trained | None = None

    def fit(self, task: ForecastTask) -> Deep:
        """Train and calibrate."""
        self.history = task.window
        self.trained = fit(
            task, model=self.name, budget_s=self.budget_s, recipe=self.recipe, progress=self.progress
        )
        return self

    def predict(self, window: Window) -> Floats:
        """Foresee with the torch module: ``[batch, horizon, quantile]``."""
        if self.trained is None:
            raise DeclarationError(f"{self.name} was not trained", hint="call fit first")
        return predict(self.trained.module, window)


class _Run:
    """One training: the module, its running average, and the best average so far."""

    def __init__(
        self, task: ForecastTask, anchor: Anchor, module: nn.Module, recipe: Recipe, seed: int
    ) -> None:
        self.task, self.anchor, self.recipe = task, anchor, recipe
        self.random = np.random.default_rng(seed)
        self.fabric = Fabric(accelerator="auto", devices=1)
        optimizer = torch.optim.AdamW(module.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
        self.module, self.optimizer = self.fabric.setup(module, optimizer)
        self.average = deepcopy(module).eval()
        self.best = deepcopy(module).eval()
        self.size = max(1, min(recipe.batch, _CELLS // task.horizon))
        self.least = math.inf
        self.step = 0
        self.unit = float(anchor.scale.mean())
        weights = np.ones(len(task.quantiles))
        weights[task.median] = recipe.median_weight
        self.weights = torch.tensor(weights / weights.sum(), dtype=torch.float32, device=self.fabric.device)
        self.levels = torch.tensor(task.quantiles, dtype=torch.float32, device=self.fabric.device)
        judged = samples(task, "validation")
        self.judged = judged.take(_spaced(len(judged), _JUDGED))

    def train(self, until: float, progress: Progress) -> list[Step]:
        """Train until the steps are done, the error no longer falls, or the time is up."""
        chosen = samples(self.task, "train")
        recipe = self.recipe
        epochs = min(recipe.epochs, recipe.views / (self.task.window + self.task.horizon))
        total = max(recipe.least_steps, math.ceil(epochs * len(chosen) / self.size))
        history: list[Step] = []
        began, losses, worse = time.monotonic(), 0.0, 0
        due = max(1, total // _LOOKS)
        for rows in self._order(len(chosen)):
            losses += self._learn(chosen.take(rows), self._rate(total))
            if self.step == _WARM or self.step >= due:
                now = time.monotonic()
                left = int((until - now) * self.step / (now - began))
                total = max(_WARM + 1, min(total, self.step + left))
            done = self.step >= total or time.monotonic() > until
            if self.step >= due or done:
                due = self.step + max(1, total // _LOOKS)
                better = self._look()
                worse = 0 if better else worse + 1
                passed = self.step - (history[-1].step if history else 0)
                history.append(Step(step=self.step, loss=losses / passed, validation=self.seen))
                losses = 0.0
                share = 0.95 * self.step / total
                progress(share, f"step {self.step}/{total}, validation MAE {self.seen:.4g}")
            if done or worse >= recipe.patience:
                break
        return history

    def _order(self, count: int) -> Iterator[Longs]:
        """Yield the rows of each batch, epoch after epoch, without end."""
        size = min(self.size, count)
        while True:
            order = self.random.permutation(count)
            for start in range(0, count - size + 1, size):
                yield order[start : start + size]

    def _rate(self, total: int) -> float:
        """Warm up, then fall along half a cosine."""
        part = self.step / total
        warm = min(1.0, (self.step + 1) / max(1.0, self.recipe.warm * total))
        return self.recipe.rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, part)))

    def _learn(self, batch: Samples, rate: float) -> float:
        """Take one step down the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.module.train()
        loss = self._loss(batch)
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.module, self.optimizer, max_norm=1.0)
        self.optimizer.step()
        self.step += 1
        keep = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.module.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        return float(loss.detach())

    def _loss(self, batch: Samples) -> Tensor:
        """Return the pinball loss in raw units over the mean scale, missing targets left out."""
        window = windows(self.task, batch)
        if self.recipe.dropped:
            window = msgspec.structs.replace(window, x=self._drop(window.x))
        device = self.fabric.device
        profile = torch.tensor(self._profile(batch), dtype=torch.float32, device=device)
        real = torch.tensor(truth(self.task, batch), device=device)
        y = self.module(*_tensors(window, slice(None), device), profile=profile)
        known = ~torch.isnan(real)
        error = (torch.nan_to_num(real)[:, :, None] - y) / self.unit
        pinball = torch.maximum(self.levels * error, (self.levels - 1) * error) @ self.weights
        return (pinball * known).sum() / known.sum().clamp(min=1)

    def _profile(self, batch: Samples) -> NDArray[np.float64]:
        """Return the anchor at the window's and the horizon's slots: ``[batch, time + horizon]``."""
        rows = batch.last[:, None] + np.arange(1 - self.task.window, self.task.horizon + 1)
        found: NDArray[np.float64] = self.anchor.seen[rows, batch.node[:, None]]
        return found

    def _drop(self, x: Floats) -> Floats:
        """Take readings away as faulty sensors do: here and there, or all of the newest."""
        count, length = len(x), self.task.window
        kind = self.random.random(count)
        gaps = self.random.random((count, length)) < 0.6 * self.random.random((count, 1))
        silent = (length * 0.5 * self.random.random(count) ** 2).astype(np.int64)
        ended = np.arange(length) >= length - silent[:, None]
        lost = np.where((kind < 0.6)[:, None], gaps, ended)
        lost &= (self.random.random(count) < self.recipe.dropped)[:, None]
        holed = x.copy()
        holed[:, :, 0][lost] = np.nan
        return holed

    def _look(self) -> bool:
        """Judge the averaged weights on validation; keep them if they are the best so far."""
        y = predict(self.average, windows(self.task, self.judged))[:, :, self.task.median]
        self.seen = float(np.nanmean(np.abs(truth(self.task, self.judged) - y)))
        if self.seen < self.least:
            self.least = self.seen
            self.best.load_state_dict(self.average.state_dict())
            return True
        return False


def _spaced(count: int, most: int) -> Longs:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _tensors(window: Window, rows: slice, device: torch.device) -> list[Tensor]:
    arrays = [window.x[rows], window.node[rows], window.calendar[rows]]
    if window.ahead is not None:
        arrays.append(window.ahead[rows])
    return [torch.tensor(one, device=device) for one in arrays]


def _builder(model: str) -> _Builder:
    try:
        module = importlib.import_module(f"nervure.learn.models.{model}")
    except ModuleNotFoundError as cause:
        raise DeclarationError(
            f"there is no model {model!r}", hint="a model is a file in nervure/learn/models"
        ) from cause
    build: _Builder = module.build
    return build
