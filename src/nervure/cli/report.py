"""``nervure evaluate --all``: the report on every set, as data, page and pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress
from nervure.core.error import UsageError

if TYPE_CHECKING:
    from nervure.bench.forecast.document import Document
    from nervure.bench.forecast.job import Job, Survey
    from nervure.bench.forecast.job import Work as Folder
    from nervure.bench.forecast.plan import Wanted

__all__ = ["Everything", "Jobs", "Models", "Order", "Out", "Peers", "Sets", "Work", "report"]

Everything = Annotated[
    bool,
    Parameter(
        name="--all",
        negative="",
        help="Judge every model on every set, and write the report; goes on after a kill.",
    ),
]
Sets = Annotated[str, Parameter(help="With --all or detection: only these sets, by comma.")]
Models = Annotated[str, Parameter(help="With --all or detection: only these models and baselines, by comma.")]
Jobs = Annotated[
    int, Parameter(help="With --all or detection: trainings at a time, one thread each.", show_default=True)
]
Out = Annotated[Path, Parameter(help="With --all or detection: the folder of the report.", show_default=True)]
Work = Annotated[
    Path | None,
    Parameter(help="With --all or detection: the folder of results; below the user's cache if left out."),
]
Peers = Annotated[
    str, Parameter(help="With --all: the Python that has neuralforecast and darts, if this one has not.")
]

_QUICK_S = 5.0
_QUICK_THIN = 24


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for on the command line; empty ``sets`` and ``models`` mean all."""

    sets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    seeds: int = 0
    budget_s: float = 0.0
    jobs: int = 2
    out: Path
    work: Path
    peers_python: str = ""
    quick: bool = False


def report(order: Order, *, json: bool) -> int:
    """Do the jobs that are not done yet, then write the report; 1 where a job failed."""
    from nervure.bench.forecast.document import read, save
    from nervure.bench.forecast.job import Work as Folder
    from nervure.bench.forecast.page import publish
    from nervure.bench.forecast.plan import SETS, estimate, in_order, jobs_of
    from nervure.bench.forecast.rows import assemble
    from nervure.bench.forecast.run import run_jobs, run_surveys

    if order.jobs < 1:
        raise UsageError("--jobs must be 1 at least")
    work = Folder(folder=order.work.absolute())
    with progress("sets") as tell:
        surveys, unread = run_surveys(order.sets or tuple(SETS), work, jobs=order.jobs, tell=tell)
    wanted = _wanted(order)
    jobs = in_order([job for survey in surveys.values() for job in jobs_of(survey, wanted)])
    if not jobs:
        raise UsageError("there is nothing to do", hint="; ".join(unread.values()) or "name other --models")
    _check(order.models, jobs)
    _announce(order, jobs, surveys, work)
    with progress("report") as tell:
        results, errors = run_jobs(
            jobs, surveys, work, at_once=order.jobs, peers_python=order.peers_python, tell=tell,
            estimate=lambda job: estimate(job, surveys[job.set]),
        )  # fmt: skip
    document = assemble(surveys, results, errors, unread=unread, full=_full(order))
    save(document, order.out / "forecasting.json")
    publish(read(order.out / "forecasting.json"), order.out)
    _tell(document, order, json=json)
    return 1 if any(one.model for one in document.failures) else 0


def _check(models: Sequence[str], jobs: Sequence[Job]) -> None:
    """Refuse the name of a model that no set is judged with."""
    known = dict.fromkeys(sorted(job.model for job in jobs))
    for one in models:
        if one not in known:
            raise UsageError(f"no set here has a model {one!r}", hint=f"there are: {', '.join(known)}")


def _wanted(order: Order) -> Wanted:
    from nervure.bench.forecast.plan import Wanted

    quick = order.quick
    return Wanted(
        models=order.models,
        seeds=order.seeds or (1 if quick else 0),
        budget_s=min(order.budget_s or _QUICK_S, _QUICK_S) if quick else order.budget_s,
        thin=_QUICK_THIN if quick else 1,
        peers=not quick,
        extras=not quick,
    )


def _full(order: Order) -> bool:
    return not (order.sets or order.models or order.seeds or order.budget_s or order.quick)


def _announce(order: Order, jobs: list[Job], surveys: dict[str, Survey], work: Folder) -> None:
    """Say on stderr what is to be done and how long it may take."""
    from nervure.bench.forecast.plan import estimate, left_out
    from nervure.bench.forecast.run import done_before

    done = done_before(jobs, surveys, work)
    left = [job for job in jobs if job not in done]
    minutes = sum(estimate(job, surveys[job.set]) for job in left) / order.jobs / 60
    lines = [
        f"{len(jobs)} jobs on {len(surveys)} sets, {len(done)} done before",
        f"about {minutes:.0f} minutes at most for the rest, {order.jobs} at once; results in {work.folder}",
    ]
    missing = () if order.models else left_out(surveys)
    if missing:
        lines.append(f"left out, as nervure.learn.models has no such file: {', '.join(missing)}")
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()


def _tell(document: Document, order: Order, *, json: bool) -> None:
    if json:
        write_json(document)
        return

    from nervure.bench.forecast.job import DEFAULT

    lines = []
    for survey in document.sets:
        one = document.against(survey.set)
        if one is not None:
            mae = document.value(survey.set, DEFAULT, "MAE")
            low, high = one.gain.low, one.gain.high
            lines.append((survey.set, one.baseline, mae, one.gain.percent, low, high))
    if lines:
        table(("set", "best baseline", f"MAE of {DEFAULT}", "less error, %", "from", "to"), lines)
    for failure in document.failures:
        say(f"failed: {failure.set} {failure.model}: {failure.error}")
    say(f"wrote {order.out / 'forecasting.md'} and {order.out / 'forecasting.json'}")
