"""Do the jobs of the evaluation, each in a process of its own; what is done is not done again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from nervure.bench.forecast.run import Task, work_through
from nervure.bench.signal.job import Job, Kept, path_of
from nervure.bench.signal.plan import Wanted, code_of, jobs_of, trainings_of
from nervure.core.error import EnvironmentMissing

__all__ = ["engine", "evaluate"]

Tell = Callable[[float, str], None]
_LIMIT_S = 3600.0
_RUN_S = {"resco/cologne1": 0.5, "resco/ingolstadt1": 0.4, "resco/cologne8": 1.1, "resco/grid4x4": 2.3}


def evaluate(
    wanted: Wanted, folder: Path, *, at_once: int = 2, tell: Tell | None = None
) -> tuple[tuple[Kept, ...], tuple[Kept, ...]]:
    """Train what has to be trained, then run everything; returns trainings and runs.

    A training that failed takes the runs of its controller with it, and they say why. With ``at_once``
    0 nothing is done, and only what was done before is returned.
    """
    trainings = _work(trainings_of(wanted, folder), folder, at_once, _part(tell, 0.0, 0.5))
    broken = {(one.job.net, one.job.controller): one.error for one in trainings if one.error}
    jobs = jobs_of(wanted, folder)
    possible = [one for one in jobs if (one.net, one.controller) not in broken]
    done = {one.job: one for one in _work(possible, folder, at_once, _part(tell, 0.5, 1.0))}
    runs = [
        done.get(one) or Kept(job=one, error=f"its training failed: {broken[one.net, one.controller]}")
        for one in jobs
        if one in done or (one.net, one.controller) in broken
    ]
    return trainings, tuple(runs)


def _part(tell: Tell | None, low: float, high: float) -> Tell | None:
    return None if tell is None else lambda share, line: tell(low + (high - low) * share, line)


def _work(jobs: Sequence[Job], folder: Path, at_once: int, tell: Tell | None) -> tuple[Kept, ...]:
    paths = {job: path_of(job, code_of(learning=bool(job.train_s)), folder) for job in jobs}
    found: dict[Job, Kept] = {}
    for job, path in paths.items():
        if path.is_file() and (not job.train_s or Path(job.model).is_file()):
            with contextlib.suppress(msgspec.DecodeError):  # of a version that kept other things
                found[job] = msgspec.json.decode(path.read_bytes(), type=Kept)
    if not at_once:
        return tuple(found.values())
    by_path = {paths[job]: job for job in jobs if job not in found}
    tasks = [
        Task(
            label=job.label,
            request={"out": str(path), "job": msgspec.to_builtins(job)},
            path=path,
            limit_s=_LIMIT_S,
            weight=job.train_s or len(job.seeds) * _RUN_S.get(job.net, 1.0),
            module="nervure.bench.signal.trial",
        )
        for path, job in by_path.items()
    ]
    for done in work_through(tasks, folder / "log", jobs=at_once, tell=tell):
        job = by_path[done.task.path]
        found[job] = (
            Kept(job=job, error=done.error)
            if done.error
            else msgspec.json.decode(done.task.path.read_bytes(), type=Kept)
        )
    return tuple(found[job] for job in jobs)


def engine() -> str:
    """Return which SUMO this is; nothing of it is loaded here."""
    try:
        return f"SUMO {version('libsumo')}"
    except PackageNotFoundError as cause:
        raise EnvironmentMissing("SUMO is not installed", hint='pip install "nervure[twin]"') from cause
