"""One job in a process of its own: train, answer, judge, and say what it cost.

``python -m nervure.bench.forecast.trial`` reads a :class:`Request` from stdin and writes its result
(a survey, or a result with its errors by origin beside it) to the path that the request names.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.bench.forecast import contest as contests
from nervure.bench.forecast.contest import Answer, Contest, Leg, open_contest
from nervure.bench.forecast.gauge import one_round, peak_mb, plain_ms, round_ms
from nervure.bench.forecast.job import DEFAULT, Curve, Job, Result, Row, Survey, write
from nervure.bench.forecast.picture import stretch
from nervure.core.error import NervureError
from nervure.core.instant import DAY_NS, duration_text, iso
from nervure.learn.evaluate import forecast
from nervure.learn.task import Forecaster, ForecastTask, windows

__all__ = ["Request", "judged", "main", "perform", "survey"]

OFFICIAL = "official benchmark"
_WATCH_S = 1.0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to do (a job, or the survey of a set), where to write it, and which Python runs peers."""

    out: str
    job: Job | None = None
    survey: str = ""
    peers_python: str = ""


def main() -> None:
    """Do what stdin asks for."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    path = Path(request.out)
    try:
        if request.job is None:
            write(path, survey(request.survey))
        else:
            write(path, perform(request.job, path, peers_python=request.peers_python))
    except NervureError as cause:
        sys.exit(" ".join(str(cause).split()))  # the last line is what the report says


def _end_with(parent: int) -> None:
    """End when the process that asked has gone: nobody waits for the answer."""
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)


def survey(name: str) -> Survey:
    """Read a set and say what it is."""
    from nervure.learn.baseline import baselines

    contest = open_contest(name)
    leg = contest.legs[0]
    task, origins = leg.task, np.unique(np.concatenate([one.chosen.last for one in contest.legs]))
    table, split = contest.dataset.table, task.split
    first, last = _ends(contest)
    target = table.value[first : last + 1][:, task.targets]
    return Survey(
        set=name,
        title=contest.title,
        solution=task.solution,
        protocol=contest.dataset.solution.data.protocol if contest.dataset.solution.data else "",
        unit=contest.unit,
        nodes=sum({one.task.problem.of: one.task.nodes for one in contest.legs}.values()),
        every=duration_text(table.every_ns),
        window=duration_text(task.window * table.every_ns),
        horizon=duration_text(task.horizon * table.every_ns),
        train=len(split.train),
        validation=len(split.validation),
        test=len(split.test),
        origins=len(origins),
        asked=sum(len(one.chosen) * one.task.horizon for one in contest.legs),
        span=(iso((table.first + first) * table.every_ns), iso((table.first + last) * table.every_ns)),
        missing=float(np.isnan(target).mean()),
        quantiles=len(task.quantiles),
        drivers=task.channels.shape[1] - 1,
        ahead=task.ahead.shape[1],
        train_days=round(len(split.train) * table.every_ns / DAY_NS, 2),
        baselines=(*(one.name for one in baselines(task, quantiles=True)), *_official(contest)),
        block=_block(task, len(origins)),
        data=_digest(contest),
        licence=contest.dataset.licence,
        cite=contest.dataset.cite,
        note=contest.note,
    )


def _ends(contest: Contest) -> tuple[int, int]:
    """Return the first row that is learnt from and the last that is judged, over all legs."""
    first = min(int(one.task.split.train[0]) for one in contest.legs)
    return first, max(int(one.real.split.test[-1]) for one in contest.legs)


def _block(task: ForecastTask, origins: int) -> int:
    """Return how many issue times in a row hang together: a day, two horizons, or an eighth of all."""
    day = max(1, DAY_NS // task.table.every_ns)
    return max(1, min(max(day, 2 * task.horizon), origins // 8))


def _digest(contest: Contest) -> str:
    """Return the digest of all that a set's jobs see: readings, columns, parts, windows asked."""
    total = sha256(msgspec.json.encode([contest.name, contest.protocol, contest.note]))
    total.update(np.ascontiguousarray(contest.dataset.table.value).tobytes())
    for leg in contest.legs:
        task = leg.task
        for one in (task.targets, task.channels, task.ahead, leg.chosen.last, leg.chosen.node):
            total.update(np.ascontiguousarray(one).tobytes())
        for rows in (task.split.train, task.split.validation, task.split.test):
            total.update(rows.tobytes())
        total.update(msgspec.json.encode([task.problem, task.window, task.horizon, task.report_at]))
    return total.hexdigest()


def perform(job: Job, path: Path, *, peers_python: str = "") -> Result:
    """Do a job. Its errors by origin go to ``path`` with the ending ``.npz``."""
    if job.kind == "peer":
        from nervure.bench.forecast.peer import compare

        return compare(job, path, peers_python)
    if job.kind == "extra":
        from nervure.bench.forecast.extra import perform as further

        return further(job)
    if job.model == OFFICIAL:
        return _benchmark(job)
    contest = open_contest(job.set, seed=job.seed, thin=job.thin)
    answers, fitted, spent, wall = [], [], 0.0, 0.0
    for leg in contest.legs:
        before, begun = time.process_time(), time.monotonic()
        fitted.append(_maker(job, leg.task, len(contest.legs)).fit(leg.task))
        spent, wall = spent + time.process_time() - before, wall + time.monotonic() - begun
    memory = peak_mb()
    for leg, one in zip(contest.legs, fitted, strict=True):
        answers.append(Answer(leg=leg, found=leg.truth(), y=forecast(leg.task, one, leg.chosen)))
    infer_ms, parameters, flaw = _cost(contest.legs, fitted)
    found = judged(contest, answers, job, path)
    return msgspec.structs.replace(
        found,
        rows=(*found.rows, *_hardened(contest, job, fitted[0])),
        train_cpu_s=round(spent, 2),
        train_wall_s=round(wall, 2),
        infer_ms=None if infer_ms is None else round(infer_ms, 4),
        flaw=flaw,
        parameters=parameters,
        memory_mb=round(memory, 1),
    )


def judged(contest: Contest, answers: list[Answer], job: Job, path: Path) -> Result:
    """Return the result of a job as far as it lies in its answers; keep the errors by origin."""
    origin, total, count = contests.errors_by_origin(contest, answers)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, origin=origin, total=total.astype(np.float32), count=count.astype(np.float32))
    part.replace(path.with_suffix(".npz"))
    return Result(
        job=job,
        rows=tuple(contests.rows_of_all(contest, answers, subject=job.model, kind=_metric_kind(job))),
        curve=_curve(answers),
        round=stretch(answers[0]),
    )


def _official(contest: Contest) -> tuple[str, ...]:
    """Return the benchmark that a competition gave its contestants, where its answers are at hand."""
    if contest.protocol != "gefcom":
        return ()
    from nervure.learn.gefcom import BENCHMARK

    return (OFFICIAL,) if (Path(contest.dataset.origin) / BENCHMARK).is_file() else ()


def _benchmark(job: Job) -> Result:
    from nervure.learn.gefcom import benchmark

    found = benchmark(open_contest(job.set).dataset)
    return Result(job=job, rows=(Row(metric="pinball", horizon="avg", value=found.pinball),))


def _hardened(contest: Contest, job: Job, fitted: Forecaster) -> tuple[Row, ...]:
    """Return how much faulty sensors cost, and how faithful explanations are, where that is asked."""
    leg = contest.legs[0]
    if job.seed or job.thin > 1 or contest.protocol not in ("rows", "ett") or not _is_tried(job):
        return ()
    from nervure.learn.robust import robustness

    rows = [one for one in robustness(leg.task, fitted, chosen=leg.chosen) if one.metric.endswith("_rise")]
    if job.model == DEFAULT:
        from nervure.learn.explain import faithfulness

        rows += faithfulness(fitted.view(leg.task), fitted.predict, leg.chosen).rows(job.model)
    return tuple(Row(metric=one.metric, horizon=one.horizon, value=one.value) for one in rows)


def _is_tried(job: Job) -> bool:
    return job.kind == "deep" or job.model in ("last value", "boosted trees")


def _metric_kind(job: Job) -> contests.Kinds:
    return "deep" if job.kind == "extra" else job.kind


def _maker(job: Job, task: ForecastTask, legs: int) -> Forecaster:
    """Return the forecaster of a job, not fitted; the legs of a set share its budget."""
    if job.kind == "deep":
        from nervure.learn.train import Deep

        return Deep(job.model, budget_s=job.budget_s / legs, clock=time.process_time)
    from nervure.learn.baseline import baselines

    return next(one for one in baselines(task, quantiles=True) if one.name == job.model)


def _cost(legs: Sequence[Leg], fitted: Sequence[Forecaster]) -> tuple[float | None, int | None, str]:
    """Return the milliseconds of a round, the parameters of a deep model, and why there is no round.

    Legs that ask about other streams have a net of their own each, and a round is one of all of them;
    legs that repeat the same question at another time do not count again.
    """
    first = {one.task.names: place for place, one in reversed(list(enumerate(legs)))}
    found = [_cost_of(legs[place], fitted[place]) for place in sorted(first.values())]
    times = [ms for ms, _, _ in found]
    counts = [count for _, count, _ in found]
    return (
        None if None in times else sum(ms for ms in times if ms is not None),
        None if None in counts else sum(count for count in counts if count is not None),
        next((flaw for _, _, flaw in found if flaw), ""),
    )


def _cost_of(leg: Leg, fitted: Forecaster) -> tuple[float | None, int | None, str]:
    if fitted.kind != "deep":
        return plain_ms(leg.task, fitted, leg.chosen), None, ""
    from nervure.learn.package import to_onnx
    from nervure.learn.train import Deep

    assert isinstance(fitted, Deep)  # noqa: S101  # the only forecaster of this kind
    assert fitted.trained is not None  # noqa: S101  # it was fitted
    view = fitted.view(leg.task)
    window = windows(view, one_round(view, leg.chosen))
    count = fitted.trained.parameters
    try:
        return round_ms(to_onnx(fitted.trained.module, view), window), count, ""
    except Exception as cause:  # noqa: BLE001  # the exporter and the runtime raise kinds of their own
        return None, count, f"its ONNX graph does not run: {str(cause).partition(chr(10))[0][:300]}"


def _curve(answers: list[Answer]) -> Curve:
    """Return the mean absolute error by horizon, and by node over all legs."""
    errors = [np.abs(one.found - one.y[:, :, one.leg.task.median]) for one in answers]
    errors = [
        error / one.leg.scale[one.leg.chosen.node][:, None]
        for error, one in zip(errors, answers, strict=True)
    ]
    nodes: dict[str, list[NDArray[np.float64]]] = {}
    for error, one in zip(errors, answers, strict=True):
        for node, name in enumerate(one.leg.task.names):
            nodes.setdefault(name, []).append(error[one.leg.chosen.node == node].ravel())
    return Curve(
        horizon=tuple(_mean(column) for column in np.concatenate(errors).T),
        node=tuple(_mean(np.concatenate(parts)) for parts in nodes.values()),
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


if __name__ == "__main__":
    main()
