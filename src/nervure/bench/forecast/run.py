"""Work through jobs, a few processes at a time; what is done already is not done again.

Each job runs on one thread in a process of its own, so its memory and CPU time are its own, and
one that fails or is killed takes no other with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from nervure.bench.forecast.job import Job, Result, Survey, Work, child_environment, write
from nervure.bench.forecast.version import code_of, reading_code
from nervure.stream.child import tied

__all__ = ["Done", "Task", "done_before", "run_jobs", "run_surveys", "work_through"]

Tell = Callable[[float, str], None]

_LOOK_S = 0.05
_GRACE = 4.0  # a job may take this many times what it was thought to take
_LEAST_S = 900.0
_WORDS = 400  # letters of a failed job's last words that are kept


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A process to start: what it is told on stdin, where its answer comes to lie, how long it may take.

    ``module`` is what Python runs in it.
    """

    label: str
    request: dict[str, Any]
    path: Path
    limit_s: float
    weight: float = 1.0
    module: str = "nervure.bench.forecast.trial"


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """How a process ended; ``error`` is empty where its answer lies at the task's path."""

    task: Task
    error: str


class _Running:
    """A process at work, its words in a log file beside the results."""

    def __init__(self, task: Task, log: Path) -> None:
        self.task, self.log = task, log
        log.parent.mkdir(parents=True, exist_ok=True)
        self.begun = time.monotonic()
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                tied(sys.executable, "-m", task.module),  # it ends with us, however we end
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=child_environment(),
                start_new_session=True,  # what it starts itself ends with it
            )
        assert self.process.stdin is not None  # noqa: S101  # a pipe was asked for
        with contextlib.suppress(BrokenPipeError):  # it ended at once: its code says so
            self.process.stdin.write(msgspec.json.encode(task.request))
            self.process.stdin.close()

    def ended(self) -> Done | None:
        """Return how it ended, or None while it runs."""
        code = self.process.poll()
        if code is None and time.monotonic() - self.begun > self.task.limit_s:
            self.stop()
            return Done(task=self.task, error=f"it took longer than {self.task.limit_s:.0f} s")
        if code is None:
            return None
        if code == 0 and self.task.path.is_file():
            return Done(task=self.task, error="")
        return Done(task=self.task, error=self._last_words(code))

    def stop(self) -> None:
        """End it, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _last_words(self, code: int) -> str:
        lines = [one for one in self.log.read_text("utf-8", "replace").splitlines() if one.strip()]
        return (lines[-1][-_WORDS:] if lines else "it said nothing") + (
            f" (signal {-code})" if code < 0 else ""
        )


def work_through(tasks: Sequence[Task], log: Path, *, jobs: int, tell: Tell | None = None) -> Iterator[Done]:
    """Yield how each task ended, as it ends; at most ``jobs`` run at once."""
    waiting = list(tasks)[::-1]
    total, past = sum(one.weight for one in tasks) or 1.0, 0.0
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.pop()
                running.append(_Running(task, log / f"{task.path.stem}.log"))
                if tell:
                    tell(past / total, ", ".join(one.task.label for one in running))
            for one in list(running):
                done = one.ended()
                if done is not None:
                    running.remove(one)
                    past += one.task.weight
                    yield done
            time.sleep(_LOOK_S)
    finally:
        for one in running:
            one.stop()
    if tell:
        tell(1.0, "done")


def run_surveys(
    names: Sequence[str], work: Work, *, jobs: int, tell: Tell | None = None
) -> tuple[dict[str, Survey], dict[str, str]]:
    """Read every set; returns what they are, and of those that cannot be had, why."""
    code = reading_code()
    paths = {name: work.survey_path(name, code) for name in names}
    tasks = [
        Task(label=f"reading {name}", request={"out": str(path), "survey": name}, path=path, limit_s=_LEAST_S)
        for name, path in paths.items()
        if not path.is_file()
    ]
    failed = {
        str(done.task.request["survey"]): done.error
        for done in work_through(tasks, work.folder / "log", jobs=jobs, tell=tell)
        if done.error
    }
    found = {
        name: msgspec.json.decode(path.read_bytes(), type=Survey)
        for name, path in paths.items()
        if name not in failed
    }
    return found, failed


def done_before(jobs: Sequence[Job], surveys: dict[str, Survey], work: Work) -> dict[Job, Result]:
    """Return the results that lie in the folder, made on the same data by the same code."""
    found = {}
    for job in jobs:
        path = _path(job, surveys, work)
        if path.is_file():
            with contextlib.suppress(msgspec.DecodeError):  # of a version that kept other things
                found[job] = _read(path)
    return found


def _read(path: Path) -> Result:
    return msgspec.json.decode(path.read_bytes(), type=Result)


def _path(job: Job, surveys: dict[str, Survey], work: Work) -> Path:
    return work.result_path(job, surveys[job.set], code_of(job.kind, job.model))


def run_jobs(
    jobs: Sequence[Job],
    surveys: dict[str, Survey],
    work: Work,
    *,
    at_once: int = 2,
    estimate: Callable[[Job], float] = lambda job: 60.0 + job.budget_s,
    peers_python: str = "",
    tell: Tell | None = None,
) -> tuple[dict[Job, Result], dict[Job, Path]]:
    """Do what is not done yet; returns the result of every job, and where its errors by origin lie."""
    paths = {job: _path(job, surveys, work) for job in jobs}
    results = done_before(jobs, surveys, work)
    by_path = {paths[job]: job for job in jobs if job not in results}
    tasks = [
        Task(
            label=job.label,
            request={"out": str(path), "job": msgspec.to_builtins(job), "peers_python": peers_python},
            path=path,
            limit_s=max(_LEAST_S, _GRACE * estimate(job)),
            weight=estimate(job),
        )
        for path, job in by_path.items()
    ]
    for done in work_through(tasks, work.folder / "log", jobs=at_once, tell=tell):
        job = by_path[done.task.path]
        if done.error:
            results[job] = Result(job=job, error=done.error)
            write(done.task.path.with_suffix(".failed"), results[job])
        else:
            results[job] = _read(done.task.path)
    errors = {job: path.with_suffix(".npz") for job, path in paths.items()}
    return {job: results[job] for job in jobs}, errors
