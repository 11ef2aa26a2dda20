"""From what came of jobs to the report: means over seeds, deviations, costs, notes, what is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev

from nervure.bench.detect.document import About, Document
from nervure.bench.detect.job import Job, Result
from nervure.bench.detect.picture import pictures_of
from nervure.bench.detect.run import Seat, path_of_job
from nervure.bench.detect.trial import Kept
from nervure.bench.forecast.document import Failure, Line
from nervure.bench.forecast.rows import anywhere, newest, this_machine

__all__ = ["assemble", "lines_of"]


def assemble(among: Sequence[Seat], kept: Mapping[Job, Kept], folder: Path, *, full: bool) -> Document:
    """Return the report on all that was done."""
    by_set = {seat.contest.set: seat for seat in among}
    done = {job: one for job, one in kept.items() if not one.result.error}
    return Document(
        made=newest(path_of_job(job, by_set[job.set], folder) for job in done),
        machine=this_machine(),
        full=full,
        sets=tuple(_about(seat, _results(done, seat)) for seat in among),
        rows=tuple(line for seat in among for line in lines_of(_of(done, seat))),
        pictures=tuple(one for seat in among for one in pictures_of(seat.contest, _results(done, seat))),
        failures=(
            *(
                Failure(set=job.set, model=f"{job.model}, seed {job.seed}", error=anywhere(one.result.error))
                for job, one in kept.items()
                if one.result.error
            ),
            *(one for seat in among if full for one in _unsaid(seat, _results(done, seat))),
        ),
    )


def _of(kept: Mapping[Job, Kept], seat: Seat) -> list[Kept]:
    return [one for job, one in kept.items() if job.set == seat.contest.set]


def _results(kept: Mapping[Job, Kept], seat: Seat) -> list[Result]:
    return [one.result for one in _of(kept, seat)]


def _about(seat: Seat, results: list[Result]) -> About:
    contest = seat.contest
    notes = dict.fromkeys((one.job.model, one.note) for one in results if one.note)
    return About(
        set=contest.set, family=seat.module.rpartition(".")[2], title=contest.title,
        question=contest.question, protocol=contest.protocol, metrics=contest.metrics,
        goals=contest.goals, said=_said(seat, results)[0], notes=tuple(notes),
    )  # fmt: skip


def _said(seat: Seat, results: list[Result]) -> tuple[str, str]:
    """Return the contest's own paragraph, or why there is none."""
    try:
        return (seat.contest.text(results) if seat.contest.text and results else ""), ""
    except (ValueError, ArithmeticError, LookupError) as cause:  # it misses a model or a metric
        return "", f"{type(cause).__name__}: {cause}"


def _unsaid(seat: Seat, results: list[Result]) -> list[Failure]:
    why = _said(seat, results)[1]
    return [Failure(set=seat.contest.set, model="its paragraph", error=anywhere(why))] if why else []


def lines_of(kept: Sequence[Kept]) -> list[Line]:
    """Return the rows of a set: figures, deviations over seeds, parameters, memory, CPU seconds in all.

    Figures are means over the seeds that have them; ``infer_ms`` is the least, as whatever else runs on
    a machine only ever slows one; memory is the most.
    """
    by_model: dict[str, list[Kept]] = {}
    for one in kept:
        by_model.setdefault(one.result.job.model, []).append(one)
    return [line for same in by_model.values() for line in _lines(same)]


def _lines(same: list[Kept]) -> list[Line]:
    """Return the rows of a model."""
    results = [one.result for one in same]
    job = results[0].job
    found: dict[str, float] = {}
    for metric in dict.fromkeys(name for one in results for name in one.value):
        values = [one.value[metric] for one in results if math.isfinite(one.value.get(metric, math.nan))]
        if values:
            found[metric] = fmean(values)
        if len(values) > 1:
            found[f"{metric}_sd"] = stdev(values)
    found["parameters"] = float(max(one.parameters for one in results))
    found["memory_mb"] = max(one.memory_mb for one in same)
    found["cpu_s"] = fmean(one.cpu_s for one in same)
    spent = fmean(one.train_cpu_s for one in results)
    quickest = min((one.infer_ms for one in results if one.infer_ms > 0), default=None)
    return [
        Line(
            set=job.set, model=job.model, kind=job.kind, horizon="", metric=metric, value=value,
            seeds=len(results), train_cpu_s=spent, infer_ms=quickest,
        )
        for metric, value in found.items()
    ]  # fmt: skip
