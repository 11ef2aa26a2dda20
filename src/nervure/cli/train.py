"""``nervure train``: from a solution's data to one signed model file, and on to the running node."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from cyclopts import Parameter

from nervure.cli.catalogue import catalogue
from nervure.cli.champion import (
    Again,
    champion_of,
    dataset_of,
    how_of,
    note,
    outcome,
    runner_of,
    tell_verdict,
)
from nervure.cli.export import models_folder, put, write
from nervure.cli.metric import show
from nervure.cli.option import Budget, Change, File, Json, Which, read
from nervure.cli.output import say, write_json
from nervure.cli.own import Choices, described, opened, tell, written
from nervure.cli.progress import progress
from nervure.core.error import UsageError
from nervure.core.problem import Case, Forecast
from nervure.core.settings import Settings

if TYPE_CHECKING:
    from nervure.core.declaration import Solution
    from nervure.learn.course import Course
    from nervure.learn.own.data import Own
    from nervure.trust.signature import SigningKey

__all__ = ["hand_over", "keep", "train"]


Name = Annotated[
    str | None,
    Parameter(help="The solution; a file of your own ends in .py. With --csv: what to call the new one."),
]
Compare = Annotated[
    bool, Parameter(negative="--no-compare", help="Fit the plain baselines too, for the table and the card.")
]


class _Wish(NamedTuple):
    """How a training is to go, in words that every course knows."""

    budget_s: float
    seed: int
    compare: bool


def train(
    name: Name = None,
    /,
    *,
    problem: Which = None,
    out: Annotated[Path | None, Parameter(help="Write the package here, not into the data folder.")] = None,
    budget: Budget = 180.0,
    seed: Annotated[int, Parameter(help="Where chance starts.", show_default=True)] = 0,
    compare: Compare = True,
    again: Annotated[Again | None, Parameter(name="*")] = None,
    own: Annotated[Choices | None, Parameter(name="*")] = None,
    settings: File = None,
    change: Change = (),
    json: Json = False,
) -> int:
    """Train a solution's model on its real data and package it as one signed file.

    The plain baselines stand above the model in the table and in its card. The node of this data
    folder scores with the model from now on, at once if it runs, unless the one that scores already
    does as well on what neither was shown: then that one stays, and the exit code is 1. A training
    that was killed goes on where it was. With --csv it learns from any file of readings, and writes
    the new solution and the settings to run it beside the package.
    """
    from nervure.trust.signature import SigningKey

    loaded, _ = read(settings, change)
    found, wish, ways = opened(name, own), _Wish(budget, seed, compare), again or Again()
    key = SigningKey.load_or_create(loaded.folder)
    _possible(out, problem, ways, filed=found is not None)
    if found is not None:
        return _train_own(found, key, loaded, out, ways, wish, json=json)
    learned = _train_known(str(name), problem, key, loaded, ways, wish)
    promoted, code = outcome(learned.verdict, forced=ways.promote)
    path = keep(learned, loaded, out)
    _tell(learned, path, json=json)
    running = hand_over(loaded, learned, promoted=promoted)
    _stands(learned, {"file": path}, running=running, promoted=promoted, json=json)
    return code


def _train_known(
    name: str,
    problem: str | None,
    key: SigningKey,
    settings: Settings,
    ways: Again,
    wish: _Wish,
) -> Course:
    """Train on a solution's data set, against the model that scores now."""
    from nervure.learn.course import course
    from nervure.solutions import find

    solution = find(name)
    asked = solution.problem(problem)
    if isinstance(asked, Case):
        return _train_whole(solution, asked, key, settings, ways, wish)
    _warn(solution, problem)
    dataset, how = dataset_of(solution, settings, live=ways.live), how_of(solution, problem, settings, ways)
    with progress(f"train {name}") as told:
        return course(dataset, problem, key=key, progress=told, how=how, **wish._asdict())


def _train_whole(
    solution: Solution,
    problem: Case,
    key: SigningKey,
    settings: Settings,
    ways: Again,
    wish: _Wish,
) -> Course:
    """Train a model about whole Things on a solution's recordings, against the one that answers now."""
    from nervure.learn.detect.course import Rival
    from nervure.learn.detect.course import course as whole
    from nervure.learn.detect.record import records

    for given, word in ((ways.renew, "--renew"), (ways.live, "--live"), (ways.recipe, "--recipe")):
        if given:
            raise UsageError(
                f"{word} means nothing for {problem.name}", hint="it is trained whole, on recordings"
            )
    row = champion_of(solution, problem.name, settings)
    runner = runner_of(row, settings) if row else None
    found = records(solution)
    with progress(f"train {solution.name}") as told:
        return whole(
            solution, problem, found, key=key, progress=told, **wish._asdict(),
            champion=Rival(card=runner.card, answer=runner.answer) if runner else None,
            unjudged=row.version if row and runner is None else "",
        )  # fmt: skip


def _possible(out: Path | None, problem: str | None, ways: Again, *, filed: bool) -> None:
    """Refuse before a long training what could not be done after it."""
    if out is not None and out.is_dir():
        raise UsageError(f"{out} is a folder", hint=f"name the file: --out {out / 'model.onnx'}")
    if filed and problem is not None:
        raise UsageError("--problem means nothing for a file of your own", hint="name its column: --target")
    if filed and ways.live:
        raise UsageError("--live is for a solution's data set", hint="append the node's readings to the file")


def _warn(solution: Solution, problem: str | None) -> None:
    """Say which drivers the training knows ahead and no live forecast ever will."""
    known = [one for one in solution.problems if isinstance(one, Forecast) and problem in (None, one.name)]
    late = [name for name in (known[0].future if known else ()) if solution.signal(name).ahead is None]
    if late:
        note(f"warning: {', '.join(late)} may not be told ahead live: declare its Signal with ahead=")


def keep(learned: Course, settings: Settings, out: Path | None) -> Path:
    """Write the package and the weights beside it: into the data folder, and where it was asked for."""
    from nervure.learn.weights import SUFFIX

    places = [models_folder(settings.folder) / learned.name, *([out] if out else [])]
    for path in places:
        write(path, learned.package)
        if learned.weights:
            write(path.with_suffix(SUFFIX), learned.weights)
    return places[-1]


def _train_own(
    own: Own, key: SigningKey, settings: Settings, out: Path | None, ways: Again, wish: _Wish, *, json: bool
) -> int:
    """Train on a file of one's own, say how it went, and write everything that is needed to run it."""
    from nervure.learn.own.course import run

    if not json:
        tell(own)
    how = how_of(own.solution, None, settings, ways)
    with progress(f"train {own.solution.name}") as told:
        learned = run(own, key=key, progress=told, how=how, **wish._asdict())
    files = written(own, keep(learned, settings, out), out, settings)
    about = described(own, learned.metrics)
    _tell(learned, *files.values(), json=json)
    if about["against_plain"] and not json:
        say(about["against_plain"].says)
    promoted, _ = outcome(learned.verdict, forced=ways.promote)
    running = hand_over(settings, learned, promoted=promoted)
    _stands(learned, files, running=running, promoted=promoted, json=json, about=about)
    return 0  # what was asked for is made and written, whichever model scores


def _tell(learned: Course, *paths: Path, json: bool) -> None:
    """Show what was learned and written, before anything can go wrong with handing it over."""
    if json:
        return
    show(learned.metrics, learned.card.unit)
    for path in paths:
        say(f"wrote {path}")


def _stands(
    learned: Course,
    files: dict[str, Path],
    *,
    running: bool,
    promoted: bool,
    json: bool,
    about: dict[str, Any] | None = None,
) -> None:
    """Say which model scores from now on; for machines, everything in one."""
    if not json:
        up = f"nervure up --settings {files['settings']}" if "settings" in files else "nervure up"
        tell_verdict(learned.verdict, forced=promoted, running=running, up=up)
        return
    found = {what: str(path) for what, path in files.items()}
    found |= {"sha256": learned.sha256, "version": learned.card.version}
    stands = {"promoted": promoted, "verdict": learned.verdict, "running": running}
    write_json(found | stands | {"train_s": learned.train_s, "metrics": learned.metrics} | (about or {}))


def hand_over(settings: Settings, learned: Course, *, promoted: bool) -> bool:
    """Put a package where the node of this data folder finds it; tell whether one runs now.

    Unless it is ``promoted`` it only waits there: ``nervure promote`` lets it score.
    If none does, the embedded log is started for as long as that takes.
    """
    from nervure.cli.process import claim, find

    running = find(settings.folder)
    if running is not None or settings.nats.url is not None:
        asyncio.run(put(settings, learned.name, learned.package))
    else:
        with claim(settings.folder, ""):
            asyncio.run(_put_alone(settings, learned))
    with catalogue(settings) as kept:
        kept.add_model(learned.card, learned.name, learned.sha256, promoted=promoted)
    return running is not None


async def _put_alone(settings: Settings, learned: Course) -> None:
    from nervure.bench.process import free_ports
    from nervure.stream.server import Server
    from nervure.trust.nkey import shut_gate

    port, mqtt_port = free_ports(2)  # another node may have the usual ones: this is for a moment only
    inside = msgspec.structs.replace(
        settings.nats, host="127.0.0.1", mqtt_host="127.0.0.1", port=port, mqtt_port=mqtt_port
    )
    alone = msgspec.structs.replace(settings, nats=inside)
    server = await Server.start(alone, gate=None if settings.access.open else shut_gate())
    try:
        await put(alone, learned.name, learned.package)
    finally:
        await server.stop()
