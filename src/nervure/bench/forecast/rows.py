"""From results of jobs to the report: means over seeds, intervals, goals, what is drawn."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

import nervure
from nervure.bench.forecast.bootstrap import gain
from nervure.bench.forecast.document import Compared, Document, Failure, Line, Machine, Picture
from nervure.bench.forecast.goal import GOALS, Goal, judge
from nervure.bench.forecast.job import DEFAULT, Job, Result, Row, Survey

__all__ = ["anywhere", "assemble", "newest", "this_machine"]

Doubles = NDArray[np.float64]

_KINDS = {"baseline": 0, "peer": 1, "deep": 2}


class _Group(msgspec.Struct, frozen=True, kw_only=True):
    """All seeds of a model on a set."""

    results: tuple[Result, ...]
    paths: tuple[Path, ...]

    @property
    def job(self) -> Job:
        """The first of its jobs."""
        return self.results[0].job

    def mean(self, name: str) -> float | None:
        """Return the mean of a cost over the seeds, None where it was not measured."""
        found = [getattr(one, name) for one in self.results]
        return None if None in found or not found else float(np.mean(found))


def assemble(
    surveys: Mapping[str, Survey],
    results: Mapping[Job, Result],
    errors: Mapping[Job, Path],
    *,
    unread: Mapping[str, str] | None = None,
    goals: Sequence[Goal] = GOALS,
    full: bool = True,
) -> Document:
    """Make the report; ``errors`` are the files of errors by issue time, ``unread`` the sets not had."""
    groups = _groups(results, errors)
    lines = [line for group in groups for line in _lines(group)]
    known = {line.set for line in lines}
    bare = Document(
        made=newest(errors.values()),
        machine=this_machine(),
        full=full,
        sets=tuple(one for name, one in surveys.items() if name in known),
        rows=tuple(lines),
        failures=_failures(results, unread or {}),
        extra=_further(results),
    )
    compared = [one for survey in bare.sets for one in _compare(bare, survey, groups)]
    return msgspec.structs.replace(
        bare,
        compared=tuple(compared),
        goals=tuple(
            judge(goal, bare.value, bare.models(goal.set, "deep"))
            for goal in goals
            if goal.set in surveys or goal.set in (unread or {})
        ),
        pictures=tuple(_picture(bare, survey, groups) for survey in bare.sets),
    )


def _failures(results: Mapping[Job, Result], unread: Mapping[str, str]) -> tuple[Failure, ...]:
    lost = [Failure(set=name, model="", error=anywhere(why)) for name, why in unread.items()]
    broken = [
        Failure(set=job.set, model=job.model, error=anywhere(one.error or one.flaw))
        for job, one in results.items()
        if one.error or one.flaw
    ]
    return (*lost, *broken)


def anywhere(text: str) -> str:
    """Return an error without this machine's folders."""
    data = os.environ.get("NERVURE_DATA", "")
    return (text.replace(data, "$NERVURE_DATA") if data else text).replace(str(Path.home()), "~")


def _further(results: Mapping[Job, Result]) -> tuple[dict[str, str | float | None], ...]:
    """Return the rows of further tables, each with its set and the name of its table."""
    return tuple(
        {"set": job.set, "table": job.model, **row}
        for job, one in results.items()
        if job.kind == "extra"
        for row in one.extra
    )


def _groups(results: Mapping[Job, Result], errors: Mapping[Job, Path]) -> list[_Group]:
    """Return the seeds of each model together: by set, baselines first, the best of a kind last."""
    held: dict[tuple[str, str], list[Job]] = {}
    order: dict[str, int] = {}
    for job, result in results.items():
        order.setdefault(job.set, len(order))
        if not result.error and job.kind in _KINDS:
            held.setdefault((job.set, job.model), []).append(job)
    found = [
        _Group(results=tuple(results[job] for job in jobs), paths=tuple(errors[job] for job in jobs))
        for jobs in (sorted(one, key=lambda job: job.seed) for one in held.values())
    ]
    return sorted(
        found, key=lambda one: (order[one.job.set], _KINDS[one.job.kind], -_average(one), one.job.model)
    )


def _average(group: _Group) -> float:
    found = [_of(one.rows, "MAE", "avg") for one in group.results]
    return float(np.mean([np.inf if one is None else one for one in found]))


def _of(rows: Sequence[Row], metric: str, horizon: str) -> float | None:
    return next((row.value for row in rows if (row.metric, row.horizon) == (metric, horizon)), None)


def _lines(group: _Group) -> list[Line]:
    """Return the rows of a model: means over its seeds (memory: the most), their spread, and what it cost."""
    job, count = group.job, len(group.results)
    spent = group.mean("train_cpu_s")
    times = [one.infer_ms for one in group.results if one.infer_ms is not None]
    ms = min(times, default=None)  # what else runs on a machine only ever slows a round
    numbers: dict[tuple[str, str], list[float]] = {}
    for result in group.results:
        for row in result.rows:
            numbers.setdefault((row.metric, row.horizon), []).append(row.value)
    if count > 1:
        spread = np.std(numbers["MAE", "avg"], ddof=1)
        numbers["MAE_sd", "avg"] = [float(spread)] * count
    memory = [one.memory_mb for one in group.results if one.memory_mb is not None]
    if memory:
        numbers["memory_mb", ""] = [max(memory)] * count
    parameters = group.mean("parameters")
    if parameters is not None:
        numbers["parameters", ""] = [parameters] * count
    return [
        Line(
            set=job.set,
            model=job.model,
            kind=job.kind,
            horizon=horizon,
            metric=metric,
            value=float(np.mean(values)),
            seeds=max(1, len(values)),
            train_cpu_s=spent,
            infer_ms=ms,
        )
        for (metric, horizon), values in numbers.items()
    ]


def _compare(document: Document, survey: Survey, groups: Sequence[_Group]) -> list[Compared]:
    """Hold each deep model against the best plain baseline at every horizon, seeds taken together."""
    name = survey.set
    own = {one.job.model: one for one in groups if one.job.set == name}
    horizons = document.horizons(name)
    found = []
    for model in document.models(name, "deep"):
        total, count = _errors(own[model])
        for place, horizon in enumerate(horizons):
            baseline = document.best(name, "baseline", horizon=horizon)
            if not baseline:
                continue
            other, _ = _errors(own[baseline])
            known = count[:, place] > 0
            one = gain(total[known, place], other[known, place], block=survey.block)
            found.append(Compared(set=name, model=model, horizon=horizon, baseline=baseline, gain=one))
    return found


def _errors(group: _Group) -> tuple[Doubles, Doubles]:
    """Return error sums ``[origin, horizon]``, mean over the seeds, and how many errors each holds."""
    totals = []
    count: Doubles | None = None
    for path in group.paths:
        with np.load(path) as held:
            totals.append(held["total"].astype(np.float64))
            count = held["count"].astype(np.float64)
    assert count is not None  # noqa: S101  # a group has a seed
    return np.mean(totals, axis=0), count


def _picture(document: Document, survey: Survey, groups: Sequence[_Group]) -> Picture:
    """Return what is drawn: the default (or the best deep model) and the best baselines."""
    name = survey.set
    own = {one.job.model: one.results[0] for one in groups if one.job.set == name}
    deep = DEFAULT if DEFAULT in own else document.best(name, "deep")
    best = document.best(name, "baseline")
    plain = [one for one in document.models(name, "baseline") if one in ("last value", best)]
    others = [one for one in document.models(name, "deep") if one != deep][-1:]
    shown = [*plain, *others, *([deep] if deep else [])]
    curves = {
        model: msgspec.structs.replace(
            curve, node=curve.node if model in (deep, best) and len(curve.node) > 1 else ()
        )
        for model in shown
        if (curve := own[model].curve) is not None
    }
    drawn = own[deep].round if deep else None
    other = own[best].round if best else None
    return Picture(
        set=name,
        curves=curves,
        round=drawn,
        baseline=best,
        baseline_median=other.median if other is not None and drawn is not None else (),
    )


def newest(paths: Any) -> str:
    """Return when the newest result was made, as ISO 8601: the same results make the same report."""
    last = max((path.stat().st_mtime for path in paths if path.is_file()), default=0.0)
    return datetime.fromtimestamp(int(last), UTC).isoformat().replace("+00:00", "Z")


def this_machine() -> Machine:
    """Return what this runs on."""
    try:
        torch = version("torch")
    except PackageNotFoundError:
        torch = ""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        torch=torch,
        nervure=nervure.__version__,
    )


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
