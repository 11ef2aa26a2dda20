"""Training: windows from the task, pinball loss, averaged weights, early stopping on validation.

Nothing here sees the test part. The same seed and number of threads give the same weights, unless
the time budget cuts the training short.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Literal

import msgspec
import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from nervure.core.error import DeclarationError
from nervure.core.window import Window
from nervure.learn.anchor import Anchor, choose
from nervure.learn.calibrate import calibrate
from nervure.learn.frame import Frame, profile_of
from nervure.learn.model import find_model
from nervure.learn.recipe import Recipe, recipe_of
from nervure.learn.resume import Checkpoints, Mark, Step, deal
from nervure.learn.task import ForecastTask, Samples, samples, thin, truth, windows
from nervure.learn.weights import Start, replay, take_over
from nervure.store.free import give_back

__all__ = ["Deep", "Recipe", "Step", "Trained", "fit", "predict", "recipe_of"]

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]
Progress = Callable[[float, str], None]
Look = Callable[[Step], None]
Clock = Callable[[], float]

_JUDGED = 6_000  # validation samples that decide when to stop
_LOOKS = 15  # times the validation part is looked at
_CELLS = 12_000  # steps of a horizon that a batch holds, window by window
_TAKEN = 0.5  # share of its parameters that a renewed net has from the one before, at the least
_WARM = 10  # steps after which the pace is known


class Trained(msgspec.Struct, kw_only=True):
    """A trained net with how it came about. ``module`` is calibrated and in evaluation mode.

    ``task`` is the task as the model looks at it: its windows are to be cut from that.
    """

    model: str
    task: ForecastTask
    module: Frame
    anchor: str
    history: list[Step]
    steps: int
    cpu_s: float
    wall_s: float
    parameters: int
    spread: list[tuple[float, float]]


def fit(
    task: ForecastTask,
    *,
    model: str = "mixer",
    budget_s: float = 180.0,
    progress: Progress | None = None,
    seed: int | None = None,
    recipe: Recipe | None = None,
    threads: int = 1,
    start: Start | None = None,
    checkpoints: Checkpoints | None = None,
    look: Look | None = None,
    clock: Clock = time.monotonic,
) -> Trained:
    """Train a model on the task's train part, choose by its validation part, calibrate on it too.

    ``progress`` is told a fraction and a line to show. ``seed`` is the task's own unless given. On
    one thread the weights are the same on machines with more cores, and a node beside keeps its own.
    It may ``start`` from another's weights, go on from ``checkpoints`` after a kill (the budget counts
    what was spent before), and tell every ``look`` on validation, where raising ends it. The budget
    is of the ``clock``: by ``time.process_time`` a busy machine does not cut it.
    """
    started, spent = clock(), time.process_time()
    tell = progress or _silent
    number = task.seed if seed is None else seed
    with _threads(threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(number)
        tell(0.0, "choosing the seasonal profile")
        recipe = recipe or recipe_of(model)
        run = _begin(task, model, recipe, number, start, checkpoints=checkpoints, clock=clock)
        before = run.mark.wall_s, run.mark.cpu_s
        chosen = samples(run.task, "train")
        shown = replay(chosen, start) if start is not None and run.renewed else chosen
        run.train(shown, (started, 0.9 * budget_s), tell, look or _unseen)
        tell(0.97, "calibrating the bands")
        spread = calibrate(run.task, run.best, lambda window: predict(run.best, window))
    give_back()
    tell(1.0, f"trained: {run.mark.step} steps, validation MAE {run.mark.least:.4g} {task.unit}")
    wall_s, cpu_s = clock() - started + before[0], time.process_time() - spent + before[1]
    return _trained(model, run, spread, wall_s, cpu_s)


def _trained(
    model: str, run: _Run, spread: list[tuple[float, float]], wall_s: float, cpu_s: float
) -> Trained:
    return Trained(
        model=model,
        task=run.task,
        module=run.best,
        anchor=run.anchor.kind,
        history=run.mark.history,
        steps=run.mark.step,
        cpu_s=cpu_s,
        wall_s=wall_s,
        parameters=sum(one.numel() for one in run.best.parameters()),
        spread=spread,
    )


def _begin(
    task: ForecastTask,
    model: str,
    recipe: Recipe,
    seed: int,
    start: Start | None,
    *,
    checkpoints: Checkpoints | None,
    clock: Clock,
) -> _Run:
    """Return a run at its start, or where its checkpoints left it."""
    give_back()  # what it took to read the data
    made = find_model(model, recipe.options)
    task = made.view(task)
    anchor = choose(task)
    module = made.build(task, anchor)
    give_back()
    # a net that took little over has the whole past to learn, not only what is new
    renewed = start is not None and take_over(module, start.weights, task.names) >= _TAKEN
    return _Run(task, anchor, module, recipe, seed, checkpoints=checkpoints, clock=clock, renewed=renewed)


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


def _unseen(step: Step) -> None:
    """Show nobody."""


def predict(module: Frame, window: Window) -> Floats:
    """Foresee with a torch module, some windows at a time: ``[batch, horizon, quantile]``.

    A joint model is given whole rounds.
    """
    module.eval()
    size = max(1, _CELLS // 2 // (window.calendar.shape[1] - window.x.shape[1]))
    if module.sizes.joint:
        size = max(1, size // module.sizes.nodes) * module.sizes.nodes
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
        clock: Clock = time.monotonic,
    ) -> None:
        self.name = model
        self.clock = clock
        self.budget_s = budget_s
        self.recipe = recipe
        self.progress = progress
        self.trained: Trained | None = None

    def view(self, task: ForecastTask) -> ForecastTask:
        """Return the task as the model looks at it; once it is trained, its neighbours stay."""
        if self.trained is None:
            return find_model(self.name).view(task)
        return msgspec.structs.replace(self.trained.task, table=task.table, split=task.split)

    def fit(self, task: ForecastTask) -> Deep:
        """Train and calibrate."""
        self.history = task.window
        self.trained = fit(
            task,
            model=self.name,
            budget_s=self.budget_s,
            recipe=self.recipe,
            progress=self.progress,
            clock=self.clock,
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
        self,
        task: ForecastTask,
        anchor: Anchor,
        module: Frame,
        recipe: Recipe,
        seed: int,
        *,
        checkpoints: Checkpoints | None,
        clock: Clock,
        renewed: bool,
    ) -> None:
        self.task, self.anchor, self.recipe = task, anchor, recipe
        self.clock, self.renewed = clock, renewed
        self.random = np.random.default_rng(seed)
        self.fabric = Fabric(accelerator="auto", devices=1, precision=recipe.precision)
        optimizer = torch.optim.AdamW(module.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
        self.module, self.optimizer = self.fabric.setup(module, optimizer)
        self.checkpoints = checkpoints
        self.average = deepcopy(module).eval()
        self.best = deepcopy(module).eval()
        self.size = max(1, min(recipe.batch, _CELLS // task.horizon))
        self.each = task.nodes if task.joint else 1  # samples that belong together
        self.others = [place for place, one in enumerate(task.inputs) if one.back or one.neighbour]
        self.unit = float(anchor.scale.mean())
        weights = np.ones(len(task.quantiles))
        weights[task.median] = recipe.median_weight
        self.weights = torch.tensor(weights / weights.sum(), dtype=torch.float32, device=self.fabric.device)
        self.levels = torch.tensor(task.quantiles, dtype=torch.float32, device=self.fabric.device)
        self.judged = thin(task, samples(task, "validation"), _JUDGED)
        self.kept = {"module": module, "average": self.average, "best": self.best}, optimizer, self.random
        self.mark = checkpoints.resume(*self.kept) if checkpoints else Mark()

    def train(self, chosen: Samples, budget: tuple[float, float], progress: Progress, look: Look) -> None:
        """Train until the steps are done, the error no longer falls, or the time is up.

        ``budget`` is when this process started, and how many seconds all processes together have.
        """
        mark, spent = self.mark, (self.mark.wall_s, self.mark.cpu_s - time.process_time())
        until = budget[0] + budget[1] - spent[0]
        began, first = self.clock(), mark.step
        mark.total = mark.total or self._total(len(chosen))
        mark.due = mark.due or max(1, mark.total // _LOOKS)
        units = len(chosen) // self.each
        order = deal(self.random, mark, units, min(max(1, self.size // self.each), units))
        while not mark.over:
            rows = (next(order)[:, None] * self.each + np.arange(self.each)).ravel()
            mark.losses += self._learn(chosen.take(rows))
            now = self.clock()
            if mark.step - first >= _WARM and (mark.step == _WARM or mark.step >= mark.due):
                left = int((until - now) * (mark.step - first) / (now - began))
                mark.total = max(_WARM + 1, min(mark.total, mark.step + left))
            mark.over = mark.step >= mark.total or now > until
            looked = mark.over or mark.step >= mark.due
            if looked:
                self._judge(progress, look)
            mark.wall_s, mark.cpu_s = spent[0] + now - budget[0], spent[1] + time.process_time()
            if self.checkpoints and self.checkpoints.wanted(looked=looked, over=mark.over):
                self.checkpoints.keep(*self.kept, mark)

    def _total(self, count: int) -> int:
        """Return how many steps there are to take with ``count`` samples."""
        recipe = self.recipe
        epochs = min(recipe.epochs, recipe.views / (self.task.window + self.task.horizon))
        return max(recipe.least_steps, math.ceil(epochs * count / max(self.size, self.each)))

    def _judge(self, progress: Progress, look: Look) -> None:
        """Judge the averaged weights on validation; keep them if they are the best so far."""
        mark = self.mark
        y = predict(self.average, windows(self.task, self.judged))[:, :, self.task.median]
        error = float(np.nanmean(np.abs(truth(self.task, self.judged) - y)))
        better = error < mark.least
        if better:
            self.best.load_state_dict(self.average.state_dict())
        passed = mark.step - (mark.history[-1].step if mark.history else 0)
        mark.history.append(Step(step=mark.step, loss=mark.losses / passed, validation=error))
        mark.losses, mark.worse = 0.0, 0 if better else mark.worse + 1
        mark.due = mark.step + max(1, mark.total // _LOOKS)
        mark.over = mark.over or mark.worse >= self.recipe.patience
        progress(0.95 * mark.step / mark.total, f"step {mark.step}/{mark.total}, validation MAE {error:.4g}")
        look(mark.history[-1])

    def _rate(self) -> float:
        """Warm up, then fall along half a cosine."""
        step, total = self.mark.step, self.mark.total
        part = step / total
        warm = min(1.0, (step + 1) / max(1.0, self.recipe.warm * total))
        return self.recipe.rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, part)))

    def _learn(self, batch: Samples) -> float:
        """Take one step down the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.module.train()
        loss = self._loss(batch)
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.module, self.optimizer, max_norm=1.0)
        self.optimizer.step()
        self.mark.step += 1
        keep = min(self.recipe.average, (1 + self.mark.step) / (10 + self.mark.step))
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
        profile = torch.tensor(profile_of(self.task, self.anchor, batch), dtype=torch.float32, device=device)
        real = torch.tensor(truth(self.task, batch), device=device)
        y = self.module(*_tensors(window, slice(None), device), profile=profile)
        known = ~torch.isnan(real)
        error = (torch.nan_to_num(real)[:, :, None] - y) / self.unit
        pinball = torch.maximum(self.levels * error, (self.levels - 1) * error) @ self.weights
        return (pinball * known).sum() / known.sum().clamp(min=1)

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
        if self.others:  # a neighbour, or yesterday, may be missing whole
            gone = self.random.random((count, len(self.others))) < self.recipe.dropped / 2
            holed[:, :, self.others] = np.where(gone[:, None], np.nan, holed[:, :, self.others])
        return holed


def _tensors(window: Window, rows: slice, device: torch.device) -> list[Tensor]:
    arrays = [window.x[rows], window.node[rows], window.calendar[rows]]
    if window.ahead is not None:
        arrays.append(window.ahead[rows])
    return [torch.tensor(one, device=device) for one in arrays]
