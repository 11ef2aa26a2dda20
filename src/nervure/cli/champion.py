"""Who scores now, and whether a new model takes its place: what ``nervure train`` asks beside training."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from nervure.cli.catalogue import catalogue
from nervure.cli.export import models_folder, open_package
from nervure.cli.output import say
from nervure.core.error import DataError, NervureError, NotFoundError, UsageError
from nervure.core.problem import Forecast

if TYPE_CHECKING:
    from nervure.core.declaration import Solution
    from nervure.core.settings import Settings
    from nervure.learn.course import How
    from nervure.learn.dataset import Dataset
    from nervure.learn.renew import Rival, Verdict
    from nervure.learn.weights import Weights
    from nervure.score.runner import Runner
    from nervure.store.model import Model

__all__ = [
    "Again", "champion_of", "dataset_of", "how_of", "note", "outcome", "rival_of", "runner_of",
    "tell_verdict",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Again:
    """How to train where a model scores already."""

    renew: Annotated[
        bool,
        Parameter(
            help="Start from the model that scores now, with what is new since it was trained and some of"
            " what is old."
        ),
    ] = False
    live: Annotated[
        bool,
        Parameter(help="Learn from the readings of this data folder's node too, not the data set alone."),
    ] = False
    promote: Annotated[
        bool, Parameter(help="Let the new model score even if it is not shown to be better than the old one.")
    ] = False
    recipe: Annotated[Path | None, Parameter(help="How to train: a file that nervure tune wrote.")] = None


def note(text: str) -> None:
    """Say on stderr what a person should know while a command goes on."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def dataset_of(solution: Solution, settings: Settings, *, live: bool) -> Dataset:
    """Load the data set, and with ``live`` what the node's store holds too."""
    from nervure.learn.dataset import load

    if not live:
        return load(solution)
    from nervure.learn.live import live as joined
    from nervure.store.observations import Observations

    known: Dataset | None = None
    try:
        known = load(solution)
    except DataError as cause:
        note(f"without a data set: {cause.what}")
    folder = settings.folder / "observations"
    if not folder.exists():
        raise NotFoundError(
            f"there are no readings in {folder}", hint="--live needs a node that has taken some"
        )
    with catalogue(settings, make=False) as kept, closing(Observations.open(folder, write=False)) as store:
        found = joined(solution, known, kept.datastreams(solution=solution.name), store)
    note(f"{len(found.table.value):,} slots of {len(found.table.streams)} streams from {found.origin}")
    return found


def how_of(solution: Solution, problem: str | None, settings: Settings, again: Again) -> How:
    """Return how the training goes: against whom, from which weights, by which recipe."""
    from nervure.learn.course import How
    from nervure.learn.resume import training_folder
    from nervure.learn.tune import read_tuned

    tuned = read_tuned(again.recipe) if again.recipe else None
    row = _champion(solution, problem, settings)
    if again.renew and row is None:
        raise NotFoundError(
            f"no model of {solution.name} scores here yet",
            hint=f"train the first one: nervure train {solution.name}",
        )
    rival = rival_of(row, settings) if row else None
    if again.renew and rival is None:
        raise UsageError("the model that scores now cannot be renewed", hint="train without --renew")
    return How(
        model=tuned.model if tuned else rival.card.model if again.renew and rival else None,
        recipe=tuned.recipe if tuned else None,
        champion=rival,
        weights=_weights_of(row, settings) if row and again.renew else None,
        renew=again.renew,
        unjudged=row.version if row and rival is None else "",
        training=training_folder(settings.folder),
        note=note,
    )


def _champion(solution: Solution, problem: str | None, settings: Settings) -> Model | None:
    names = [one.name for one in solution.problems if isinstance(one, Forecast)]
    return champion_of(solution, problem or (names[0] if names else ""), settings)


def champion_of(solution: Solution, asked: str, settings: Settings) -> Model | None:
    """Return the model that scores a problem now, if there is one."""
    with catalogue(settings, make=False) as kept:
        return kept.champion(solution.name, asked)


def rival_of(row: Model, settings: Settings) -> Rival | None:
    """Open the package of the model that scores now; None, said, if that is not possible."""
    from nervure.cli.evaluate import Packaged
    from nervure.learn.renew import Rival

    runner = runner_of(row, settings)
    return None if runner is None else Rival(card=runner.card, forecaster=Packaged(runner))


def runner_of(row: Model, settings: Settings) -> Runner | None:
    """Open what runs the model that scores now; None, said, if that is not possible."""
    path = models_folder(settings.folder) / row.package
    try:
        if not path.exists():
            raise NotFoundError(f"its package {path} is not here")
        if sha256(path.read_bytes()).hexdigest() != row.sha256:
            raise NotFoundError(f"{path} is not the package that scores")
        return open_package(path, settings.folder)
    except (NervureError, OSError) as cause:
        note(f"the model {row.version} that scores now cannot be judged: {cause}")
        return None


def _weights_of(row: Model, settings: Settings) -> Weights | None:
    """Return the weights beside the champion's package; None, said, if they are not there."""
    from nervure.learn.weights import SUFFIX, unpack
    from nervure.trust.signature import trusted

    path = (models_folder(settings.folder) / row.package).with_suffix(SUFFIX)
    try:
        found = unpack(path.read_bytes(), trusted(settings.folder))
    except OSError:
        note(f"{path} is not here: the training starts from nothing, with all of the past")
        return None
    if found.package != row.sha256:
        raise UsageError(f"{path} holds the weights of another package", hint="train without --renew")
    return found


def outcome(verdict: Verdict, *, forced: bool) -> tuple[bool, int]:
    """Return whether the new model scores from now on, and the exit code."""
    promoted = verdict.promoted or forced
    return promoted, 0 if promoted else 1


def tell_verdict(verdict: Verdict, *, forced: bool, running: bool, up: str = "nervure up") -> None:
    """Say how the new model stands, with its numbers, and what follows."""
    if verdict.windows:
        told: list[Any] = [f"{verdict.measure} {verdict.challenger:.4g} {verdict.unit}".rstrip()]
        if verdict.champion is not None:
            told.append(f"{verdict.champion:.4g} of the champion")
        if verdict.naive_name:
            told.append(f"{verdict.naive:.4g} of {verdict.naive_name}")
        where = f"on {verdict.judged}" if verdict.judged else f"from {verdict.since} to {verdict.until}"
        say(f"{where}, which neither was shown: {', '.join(told)}")
    sure = "" if verdict.sure is None else f" (better with {verdict.sure:.0%} certainty)"
    if verdict.promoted or forced:
        taken = "the running node takes it up" if running else f"{up} scores with it"
        say(f"promoted: {'you asked for it' if not verdict.promoted else verdict.why}{sure}; {taken}")
    else:
        say(f"not promoted: {verdict.why}{sure}")
        say("hint: --promote lets it score all the same, nervure promote also later")
    if verdict.warning:
        note(f"warning: {verdict.warning}")
