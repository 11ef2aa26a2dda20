"""Trials of a search as tasks of Ray: as many at a time as its cores allow, on this machine or others.

The study stays in the process that searches. A board, an actor, carries each look on validation to
it and the word to stop back, so that trials are pruned wherever they run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from nervure.core.error import EnvironmentMissing
from nervure.learn.resume import Step
from nervure.learn.task import ForecastTask
from nervure.learn.tune import attempt, space, told

if TYPE_CHECKING:
    import optuna

__all__ = ["Board", "Stopped", "run"]

_LOOK_S = 0.2


class Stopped(Exception):
    """The trial lags behind and is told to stop."""


class Board:
    """What trials report and which of them are to stop; lives as an actor of Ray."""

    def __init__(self) -> None:
        self._news: list[tuple[int, int, float]] = []
        self._stop: set[int] = set()

    def report(self, trial: int, look: int, error: float) -> bool:
        """Take a look of a trial; return whether it is to stop."""
        self._news.append((trial, look, error))
        return trial in self._stop

    def news(self) -> list[tuple[int, int, float]]:
        """Return what was reported since the last time."""
        found, self._news = self._news, []
        return found

    def stop(self, trial: int) -> None:
        """Tell a trial to stop at its next look."""
        self._stop.add(trial)


def _library() -> Any:
    try:
        import ray  # type: ignore[import-not-found,unused-ignore]  # an extra
    except ModuleNotFoundError as cause:
        raise EnvironmentMissing(
            "Ray is not installed", hint="pip install 'nervure[ray]', or search without --ray"
        ) from cause
    return ray


def _trial(task: ForecastTask, model: str, recipe: bytes, budget_s: float, number: int, board: Any) -> float:
    """Run one trial in a worker; raises ``Stopped`` if it is told to."""
    from nervure.learn.recipe import Recipe

    ray, looks = _library(), 0

    def look(step: Step, _: float) -> None:
        nonlocal looks
        looks += 1
        if ray.get(board.report.remote(number, looks, step.validation)):
            raise Stopped

    plan = msgspec.json.decode(recipe, type=Recipe)
    return attempt(task, model, plan, budget_s=budget_s, look=look)


def run(
    study: optuna.Study,
    task: ForecastTask,
    model: str,
    *,
    trials: int,
    budget_s: float,
    tell: Callable[[float, str], None],
) -> None:
    """Run trials on the cluster of ``RAY_ADDRESS``, or on a fresh one on this machine."""
    ray = _library()
    ours = not ray.is_initialized()
    if ours:
        ray.init(
            address=os.environ.get("RAY_ADDRESS"),
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )
    try:
        _Search(ray, study, task, model, budget_s).run(trials, tell)
    finally:
        if ours:
            ray.shutdown()


class _Search:
    """The trials that run now, and the board between them and the study."""

    def __init__(
        self, ray: Any, study: optuna.Study, task: ForecastTask, model: str, budget_s: float
    ) -> None:
        self.ray, self.study, self.model, self.budget_s = ray, study, model, budget_s
        self.board = ray.remote(num_cpus=0)(Board).remote()
        self.task = ray.put(task)
        self.work = ray.remote(num_cpus=1, max_retries=0)(_trial)
        self.running: dict[Any, optuna.Trial] = {}

    def run(self, trials: int, tell: Callable[[float, str], None]) -> None:
        """Keep every core busy until the study holds so many trials."""
        from nervure.learn.tune import counted

        cores = max(1, int(self.ray.cluster_resources().get("CPU", 1)))
        while (done := counted(self.study)) < trials or self.running:
            while len(self.running) < min(cores, trials - done):
                self._start()
            ready, _ = self.ray.wait(list(self.running), timeout=_LOOK_S)
            self._hear()
            for one in ready:
                self._end(one)
            tell(*told(self.study, trials))

    def _start(self) -> None:
        trial = self.study.ask()
        recipe = msgspec.json.encode(space(trial, self.model))
        one = self.work.remote(self.task, self.model, recipe, self.budget_s, trial.number, self.board)
        self.running[one] = trial

    def _hear(self) -> None:
        """Take what was reported into the study, and stop trials that lag behind."""
        numbers = {trial.number: trial for trial in self.running.values()}
        for number, look, error in self.ray.get(self.board.news.remote()):
            trial = numbers.get(number)
            if trial is not None:
                trial.report(error, look)
                if trial.should_prune():
                    self.board.stop.remote(number)

    def _end(self, one: Any) -> None:
        from optuna.trial import TrialState

        trial = self.running.pop(one)
        try:
            self.study.tell(trial, self.ray.get(one))
        except self.ray.exceptions.RayTaskError as cause:
            if not isinstance(cause.cause, Stopped):
                self.study.tell(trial, state=TrialState.FAIL)
                raise cause.cause from None
            self.study.tell(trial, state=TrialState.PRUNED)
