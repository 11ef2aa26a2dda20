"""``nervure tune``: search for the recipe and sizes of a model that suit a solution's data best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from nervure.cli.champion import note
from nervure.cli.export import write
from nervure.cli.option import Change, File, Json, Named, Which, read
from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress

if TYPE_CHECKING:
    from nervure.learn.tune import Found

__all__ = ["tune"]

_SHOWN = 5


Each = Annotated[
    float, Parameter(name="--budget", help="Seconds that each training may take.", show_default=True)
]
OnRay = Annotated[
    bool, Parameter(name="--ray", help="Run trials as tasks of Ray: the cluster of RAY_ADDRESS, or here.")
]


def tune(
    name: Named,
    /,
    *,
    problem: Which = None,
    model: Annotated[str | None, Parameter(help="Another model than the solution declares.")] = None,
    trials: Annotated[int, Parameter(help="How many trainings to try.", show_default=True)] = 20,
    budget: Each = 60.0,
    ray: OnRay = False,
    seed: Annotated[int, Parameter(help="Where chance starts.", show_default=True)] = 0,
    out: Annotated[Path | None, Parameter(help="Write the recipe here, not into the data folder.")] = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Search for the recipe that errs least on the validation part; the test part stays unseen.

    A search that was stopped goes on where it was. The best recipe is written to a file for
    nervure train --recipe.
    """
    from nervure.learn.dataset import load
    from nervure.learn.resume import training_folder
    from nervure.learn.task import pose
    from nervure.learn.tune import tune as search
    from nervure.solutions import find

    loaded, _ = read(settings, change)
    task = pose(load(find(name)), problem, seed=seed)
    folder = training_folder(loaded.folder)
    chosen = model or task.problem.model
    wish: dict[str, Any] = {"trials": trials, "budget_s": budget, "seed": seed, "ray": ray}
    with progress(f"tune {task.solution}") as tell:
        found = search(task, model=chosen, folder=folder, progress=tell, note=note, **wish)
    path = out or folder / f"{task.solution}-{task.problem.name}.toml"
    _tell(found, path, task.unit, name, json=json)
    return 0


def _tell(found: Found, path: Path, unit: str, name: str, *, json: bool) -> None:
    """Write the recipe, and show the best trials."""
    from nervure.learn.tune import write_tuned

    write(path, write_tuned(found).encode())
    if json:
        write_json({"file": str(path), "error": found.error, "tuned": found.tuned, "trials": found.trials})
        return
    best = sorted((one for one in found.trials if one.error is not None), key=lambda one: one.error or 0.0)
    columns = list(dict.fromkeys(key for one in best[:_SHOWN] for key in one.values))
    names = [key.removeprefix("options.") for key in columns]
    rows = [(one.number, one.error, *(one.values.get(key) for key in columns)) for one in best[:_SHOWN]]
    table(("trial", f"MAE {unit}".strip(), *names), rows)
    pruned = sum(one.state == "pruned" for one in found.trials)
    say(f"{len(found.trials)} trials, {pruned} of them cut short; wrote {path}")
    say(f"nervure train {name} --recipe {path}")
