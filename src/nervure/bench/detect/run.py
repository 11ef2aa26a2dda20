"""Work through the jobs of contests, each in a process of its own; what is done is not done again."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from nervure.bench.detect.board import SETS, home_of, open_contest
from nervure.bench.detect.job import Contest, Job, Result
from nervure.bench.detect.trial import Kept
from nervure.bench.detect.version import code_of
from nervure.bench.forecast.job import write
from nervure.bench.forecast.run import Done, Task, work_through
from nervure.core.error import UsageError

__all__ = ["Seat", "Wanted", "check_models", "done_before", "jobs_of", "path_of_job", "run_jobs", "seats"]

Tell = Callable[[float, str], None]

_LIMIT_S, _QUICK_LIMIT_S = 3 * 3600.0, 900.0
_WEIGHT = {"baseline": 1.0, "deep": 5.0, "peer": 1.0}


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """A contest, the module that holds it, and the digest of the code that performs its jobs."""

    contest: Contest
    module: str
    code: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done: these models or all, so many seeds at most (0: all), rough or whole."""

    models: tuple[str, ...] = ()
    seeds: int = 0
    quick: bool = False


def seats(names: Iterable[str], families: dict[str, tuple[str, ...]] | None = None) -> tuple[Seat, ...]:
    """Open contests by their sets, all if none is named; raises ``DataError`` for a set that is not there."""
    held = SETS if families is None else families
    wanted = tuple(names) or tuple(one for sets in held.values() for one in sets)
    found = []
    for name in wanted:
        module = home_of(name, held)
        contest = open_contest(module, name)
        found.append(Seat(contest=contest, module=module, code=code_of(contest)))
    return tuple(found)


def jobs_of(contest: Contest, wanted: Wanted) -> tuple[Job, ...]:
    """Return what is to be done for a contest: baselines first, then by the order of its entries."""
    return tuple(
        Job(set=contest.set, model=entry.model, kind=entry.kind, seed=seed, quick=wanted.quick)
        for entry in sorted(contest.entries, key=lambda one: one.kind != "baseline")
        if (not wanted.models or entry.model in wanted.models)
        and (not wanted.quick or entry.model in contest.quick)
        for seed in entry.seeds[: wanted.seeds or None]
    )


def check_models(models: Sequence[str], among: Sequence[Seat]) -> None:
    """Raise ``UsageError`` for a model that no contest has."""
    there = dict.fromkeys(entry.model for seat in among for entry in seat.contest.entries)
    for one in models:
        if one not in there:
            raise UsageError(f"no contest here has a model {one!r}", hint=f"there are: {', '.join(there)}")


def path_of_job(job: Job, seat: Seat, folder: Path) -> Path:
    """Return where the result of a job lies that this code makes."""
    key = sha256(msgspec.json.encode(job) + seat.code.encode()).hexdigest()[:16]
    plain = "".join(one if one.isalnum() else "-" for one in f"{job.set}-{job.model}")
    return folder / f"{plain}-{job.seed}{'-quick' if job.quick else ''}-{key}.json"


def done_before(jobs: Sequence[Job], by_set: Mapping[str, Seat], folder: Path) -> dict[Job, Kept]:
    """Return what lies in the folder already, made by the same code."""
    found = {}
    for job in jobs:
        path = path_of_job(job, by_set[job.set], folder)
        if path.is_file():
            with contextlib.suppress(msgspec.DecodeError):  # of a version that kept other things
                found[job] = _read(path)
    return found


def run_jobs(
    jobs: Sequence[Job], among: Sequence[Seat], folder: Path, *, at_once: int = 2, tell: Tell | None = None
) -> dict[Job, Kept]:
    """Do what is not done yet, and return what came of every job; what failed says why."""
    by_set = {seat.contest.set: seat for seat in among}
    found = done_before(jobs, by_set, folder)
    by_path = {path_of_job(job, by_set[job.set], folder): job for job in jobs if job not in found}
    tasks = [_task(job, by_set[job.set], path) for path, job in by_path.items()]
    for done in work_through(tasks, folder / "log", jobs=at_once, tell=tell):
        job = by_path[done.task.path]
        found[job] = _outcome(job, done)
        if found[job].result.error:
            write(done.task.path.with_suffix(".failed"), found[job])
    return {job: found[job] for job in jobs}


def _task(job: Job, seat: Seat, path: Path) -> Task:
    return Task(
        label=f"{job.set}: {job.model}, seed {job.seed}",
        request={"out": str(path), "job": msgspec.to_builtins(job), "module": seat.module},
        path=path,
        limit_s=_QUICK_LIMIT_S if job.quick else _LIMIT_S,
        weight=_WEIGHT[job.kind],
        module="nervure.bench.detect.trial",
    )


def _outcome(job: Job, done: Done) -> Kept:
    """Return what a job came to; where nothing did, or nothing that can be read, it says why."""
    if done.error:
        return Kept(result=Result(job=job, error=done.error))
    try:
        return _read(done.task.path)
    except msgspec.DecodeError as cause:
        return Kept(result=Result(job=job, error=f"its result cannot be read: {cause}"))


def _read(path: Path) -> Kept:
    """Read a result; a figure that is not a number was written as null."""
    tree = msgspec.json.decode(path.read_bytes())
    value = tree["result"].get("value", {})
    tree["result"]["value"] = {name: math.nan if one is None else one for name, one in value.items()}
    return msgspec.convert(tree, Kept)
