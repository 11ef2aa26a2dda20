"""Search for the recipe and sizes of a model that err least on the validation part, by Optuna.

The test part is never looked at. The sampler is TPE, and trials that lag behind the median of the
others at the same share of their training are pruned. The study is kept in a journal, so a search
goes on after a kill. Trials run in this process, or as tasks of Ray on as many machines as it has.
Source: TPE is Bergstra et al., NeurIPS 2011; Optuna is Akiba et al., KDD 2019.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import tomli_w

from nervure.core.error import DeclarationError, NotFoundError, UsageError
from nervure.learn.model import options_of
from nervure.learn.recipe import Recipe, recipe_of
from nervure.learn.resume import Step, identity
from nervure.learn.task import ForecastTask
from nervure.learn.train import fit

if TYPE_CHECKING:
    import optuna

__all__ = [
    "Found",
    "Trial",
    "Tuned",
    "attempt",
    "counted",
    "read_tuned",
    "space",
    "told",
    "tune",
    "write_tuned",
]

Progress = Callable[[float, str], None]
Note = Callable[[str], None]

_FOLD = 4.0  # the rate goes from a fourth to four times the model's own
_DECAY = (1e-5, 1e-2)
_DROPPED = (0.0, 0.3)
_FREE = 4  # trials that are never pruned
_LOOKS = 3  # looks on validation that every trial may have


class Tuned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model and how to train it, as ``nervure train --recipe`` reads it."""

    model: str
    recipe: Recipe = Recipe()


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One trial: its number, what was tried, the error on validation; None: pruned or failed."""

    number: int
    values: dict[str, Any]
    error: float | None
    state: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The best of a search, and every trial."""

    tuned: Tuned
    error: float
    trials: tuple[Trial, ...]


def read_tuned(path: Path) -> Tuned:
    """Read a recipe from TOML or JSON; what is wrong in it is said with its place."""
    try:
        data = path.read_bytes()
        raw = msgspec.json.decode(data) if path.suffix == ".json" else tomllib.loads(data.decode())
        tuned = msgspec.convert(raw, Tuned)
        unknown = sorted(set(raw.get("recipe", {})) - set(Recipe.__struct_fields__))
    except OSError as cause:
        raise NotFoundError(
            f"cannot read {path}: {cause.strerror}", hint="nervure tune writes one"
        ) from cause
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise DeclarationError(f"{path} is not a recipe: {cause}", hint="nervure tune writes one") from cause
    if unknown:
        raise DeclarationError(f"{path}: a recipe has no {unknown[0]!r}", where=f"$.recipe.{unknown[0]}")
    return tuned


def write_tuned(found: Found) -> str:
    """Return the best as TOML, with what it is in a comment."""
    tried = len(found.trials)
    head = f"# The best of {tried} trials: mean absolute error {found.error:.6g} on validation.\n"
    return head + tomli_w.dumps(msgspec.to_builtins(found.tuned))


def space(trial: optuna.Trial, model: str) -> Recipe:
    """Draw a recipe and sizes of the model, around the model's own.

    Whole numbers go from half to twice the model's own, shares of dropout from 0 to 0.5; flags and
    texts stay.
    """
    plain = recipe_of(model)
    rate = trial.suggest_float("rate", plain.rate / _FOLD, plain.rate * _FOLD, log=True)
    decay = trial.suggest_float("decay", *_DECAY, log=True)
    options: dict[str, Any] = {}
    own = options_of(model)()
    for name in own.__struct_fields__:
        value = getattr(own, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if isinstance(value, int):
            options[name] = trial.suggest_int(
                f"options.{name}", max(1, value // 2), 2 * max(1, value), log=True
            )
        elif 0 <= value <= 0.5:
            options[name] = trial.suggest_float(f"options.{name}", 0.0, 0.5)
    return msgspec.structs.replace(
        plain,
        rate=rate,
        decay=decay,
        batch=trial.suggest_categorical("batch", (plain.batch // 2, plain.batch, 2 * plain.batch)),
        dropped=trial.suggest_float("dropped", *_DROPPED),
        options=options,
    )


def attempt(
    task: ForecastTask,
    model: str,
    recipe: Recipe,
    *,
    budget_s: float,
    look: Callable[[Step, float], None],
    threads: int = 1,
) -> float:
    """Train once and return the smallest error on validation.

    ``look`` is told each look with the share of the training that is done, and may raise.
    """
    share = 0.0

    def progress(done: float, _: str) -> None:
        nonlocal share
        share = done

    trained = fit(
        task,
        model=model,
        recipe=recipe,
        budget_s=budget_s,
        threads=threads,
        progress=progress,
        look=lambda step: look(step, share),
    )
    return min(one.validation for one in trained.history)


def tune(
    task: ForecastTask,
    *,
    model: str,
    folder: Path,
    trials: int = 20,
    budget_s: float = 60.0,
    seed: int = 0,
    ray: bool = False,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Found:
    """Search until the study holds so many trials; those of an earlier, killed search count.

    ``budget_s`` is for each trial. The study lies in ``folder``.
    """
    if trials < 1:
        raise UsageError("at least one trial is needed", hint="--trials 20")
    study = _study(task, model, folder, seed, note or (lambda _: None))
    tell = progress or (lambda _share, _text: None)
    if ray:
        from nervure.learn.ray_trials import run
    else:
        run = _run
    run(study, task, model, trials=trials, budget_s=budget_s, tell=tell)
    return _found(study, model)


def _study(task: ForecastTask, model: str, folder: Path, seed: int, note: Note) -> optuna.Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"tune-{identity(task, model)}"
    storage = JournalStorage(JournalFileBackend(str(folder / f"{name}.journal")))
    study = optuna.create_study(study_name=name, storage=storage, load_if_exists=True)
    known = study.get_trials(deepcopy=False)
    for one in known:
        if not one.state.is_finished():  # its process was killed
            study.tell(one.number, state=optuna.trial.TrialState.FAIL)
    study.sampler = optuna.samplers.TPESampler(  # another seed after a kill: nothing is drawn twice
        seed=seed + len(known), n_startup_trials=_FREE
    )
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=_FREE, n_warmup_steps=_LOOKS)
    if done := counted(study):
        note(f"going on after {done} trials of an earlier search")
    return study


def counted(study: optuna.Study) -> int:
    """Return how many trials came to an end of their own."""
    from optuna.trial import TrialState

    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def told(study: optuna.Study, trials: int) -> tuple[float, str]:
    """Return how far a search is, and a line to show."""
    done = counted(study)
    try:
        return done / trials, f"{done} of {trials} trials, best {study.best_value:.4g}"
    except ValueError:
        return done / trials, f"{done} of {trials} trials"


def _run(
    study: optuna.Study, task: ForecastTask, model: str, *, trials: int, budget_s: float, tell: Progress
) -> None:
    """Run trials one after the other, here."""
    import optuna

    def objective(trial: optuna.Trial) -> float:
        looks = 0

        def look(step: Step, _: float) -> None:
            nonlocal looks
            looks += 1  # trials are compared look by look: each has as many, whatever its batch
            trial.report(step.validation, looks)
            if trial.should_prune():
                raise optuna.TrialPruned

        return attempt(task, model, space(trial, model), budget_s=budget_s, look=look)

    while counted(study) < trials:
        tell(*told(study, trials))
        study.optimize(objective, n_trials=1)
    tell(1.0, told(study, trials)[1])


def _found(study: optuna.Study, model: str) -> Found:
    from optuna.trial import FixedTrial

    best = study.best_trial
    recipe = space(FixedTrial(best.params), model)  # type: ignore[arg-type]  # it draws as a trial does
    every = tuple(
        Trial(
            number=one.number,
            values=dict(one.params),
            error=one.value if one.value is not None and math.isfinite(one.value) else None,
            state=one.state.name.lower(),
        )
        for one in study.get_trials(deepcopy=False)
    )
    return Found(tuned=Tuned(model=model, recipe=recipe), error=float(best.value or 0.0), trials=every)
