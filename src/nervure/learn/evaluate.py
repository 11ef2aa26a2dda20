"""Hold forecasters against each other on the same windows; plain baselines stand above models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.card import Metric
from nervure.core.error import ModelError
from nervure.core.instant import duration_text
from nervure.learn import metric
from nervure.learn.split import Part
from nervure.learn.task import Forecaster, ForecastTask, Samples, rounds, samples, truth, windows

__all__ = ["AVERAGE", "evaluate", "forecast", "measure", "pivot", "score", "table"]

Floats = NDArray[np.float32]

AVERAGE = "avg"
_ORDER = {"baseline": 0, "peer": 1, "deep": 2}
_CHUNK = 1024  # windows asked for at a time: a net takes some 50 kB for each
_CELLS = 2_000_000  # window cells a chunk may hold, about 30 MB while it is cut


def forecast(task: ForecastTask, forecaster: Forecaster, chosen: Samples) -> Floats:
    """Ask a fitted forecaster for the samples, in chunks: ``[batch, horizon, quantile]``."""
    task = forecaster.view(task)
    if task.joint:
        return _jointly(task, forecaster, chosen)
    return _chunks(task, forecaster, chosen)


def _jointly(task: ForecastTask, forecaster: Forecaster, chosen: Samples) -> Floats:
    """Ask for whole rounds, and return the samples wanted."""
    last, place = np.unique(chosen.last, return_inverse=True)
    y = _chunks(task, forecaster, rounds(task, last))
    found: Floats = y[place * task.nodes + chosen.node]
    return found


def _chunks(task: ForecastTask, forecaster: Forecaster, chosen: Samples) -> Floats:
    history = max(1, forecaster.history)
    size = max(64, min(_CHUNK, _CELLS // ((history + task.horizon) * (4 + task.channels.shape[1]))))
    if task.joint:
        size = max(1, size // task.nodes) * task.nodes
    parts = []
    for start in range(0, len(chosen), size):
        window = windows(task, chosen.take(slice(start, start + size)), history=history)
        y = forecaster.predict(window)
        wanted = (len(window.node), task.horizon, len(task.quantiles))
        if y.shape != wanted or not np.isfinite(y).all():
            raise ModelError(
                f"{forecaster.name}: the forecast has shape {y.shape}, not {wanted}, or is not finite",
                hint="a forecaster answers every window, also one with missing readings",
            )
        parts.append(y.astype(np.float32))
    return np.concatenate(parts)


def score(
    task: ForecastTask, found: Floats, y: Floats, *, subject: str, kind: str = "baseline", part: Part = "test"
) -> list[Metric]:
    """Return the rows of one forecaster: MAE at each horizon of ``report_at``, and means over all.

    ``found`` is ``[batch, horizon]``, ``y`` is ``[batch, horizon, quantile]``.
    """
    name = f"{subject} LEAKY" if task.split.leaky else subject
    point = y[:, :, task.median]

    def row(metric_name: str, value: float | np.floating[Any], horizon: str = AVERAGE) -> Metric:
        return msgspec.convert(
            {
                "subject": name,
                "kind": kind,
                "metric": metric_name,
                "value": float(value),
                "horizon": horizon,
                "part": part,
            },
            Metric,
        )

    errors = metric.mae(found, point)
    steps = [step for step in task.report_at if step <= task.horizon] or [task.horizon]
    rows = [row("MAE", errors[step - 1], duration_text(step * task.table.every_ns)) for step in steps]
    rows.append(row("MAE", np.nanmean(errors)))
    rows.append(row("RMSE", float(np.sqrt(np.nanmean(metric.rmse(found, point) ** 2)))))
    rows.append(row("pinball", np.nanmean(metric.pinball(found, y, task.quantiles))))
    rows.append(row("CRPS", np.nanmean(metric.crps(found, y, task.quantiles))))
    inside = np.nanmean(metric.coverage(found, y[:, :, 0], y[:, :, -1]))
    wide = task.quantiles[-1] - task.quantiles[0]
    rows.append(row(f"coverage_{round(100 * wide)}", inside))
    return rows


def measure(
    task: ForecastTask, forecaster: Forecaster, *, part: Part = "test", stride: int = 1
) -> list[Metric]:
    """Score a forecaster that is fitted already."""
    chosen = samples(task, part, stride=stride)
    y = forecast(task, forecaster, chosen)
    return score(task, truth(task, chosen), y, subject=forecaster.name, kind=forecaster.kind, part=part)


def evaluate(
    task: ForecastTask,
    forecasters: Sequence[Forecaster],
    *,
    part: Part = "test",
    stride: int = 1,
    seeds: Iterable[int] | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> list[Metric]:
    """Fit every forecaster once a seed and return their rows, baselines first, best model last.

    All see the same windows. With several seeds a value is the mean over them and ``MAE_sd`` its
    standard deviation; ``fit_cpu_s`` is the CPU time of one fit.
    """
    chosen = samples(task, part, stride=stride)
    found = truth(task, chosen)
    numbers = list(seeds) if seeds is not None else [task.seed]
    groups: list[list[Metric]] = []
    for place, forecaster in enumerate(forecasters):
        if progress:
            progress(place / len(forecasters), forecaster.name)
        runs = []
        for seed in numbers:
            before = time.process_time()
            fitted = forecaster.fit(msgspec.structs.replace(task, seed=seed))
            spent = time.process_time() - before
            y = forecast(task, fitted, chosen)
            rows = score(task, found, y, subject=fitted.name, kind=fitted.kind, part=part)
            runs.append(
                [*rows, msgspec.structs.replace(rows[-1], metric="fit_cpu_s", value=spent, horizon="")]
            )
        groups.append(_over_seeds(runs))
    groups.sort(key=lambda rows: (_ORDER[rows[0].kind], -_value(rows, "MAE")))
    if progress:
        progress(1.0, "done")
    return [row for rows in groups for row in rows]


def _over_seeds(runs: list[list[Metric]]) -> list[Metric]:
    rows = [
        msgspec.structs.replace(same[0], value=float(np.mean([row.value for row in same])))
        for same in zip(*runs, strict=True)
    ]
    if len(runs) > 1:
        spread = float(np.std([_value(run, "MAE") for run in runs], ddof=1))
        rows.append(msgspec.structs.replace(rows[0], metric="MAE_sd", value=spread, horizon=AVERAGE))
    return rows


def _value(rows: Sequence[Metric], name: str, horizon: str = AVERAGE) -> float:
    return next(row.value for row in rows if row.metric == name and row.horizon == horizon)


def pivot(metrics: Sequence[Metric]) -> tuple[list[str], list[tuple[str, list[float]]]]:
    """Turn rows into a table: the names of its columns, and a line of numbers a subject.

    >>> rows = [Metric(subject="last value", kind="baseline", metric="MAE", value=2.5, horizon="1h")]
    >>> pivot(rows)
    (['MAE 1h'], [('last value', [2.5])])
    """
    columns = list(dict.fromkeys(f"{row.metric} {row.horizon}".strip() for row in metrics))
    cells = {(row.subject, f"{row.metric} {row.horizon}".strip()): row.value for row in metrics}
    subjects = list(dict.fromkeys(row.subject for row in metrics))
    return columns, [(name, [cells.get((name, column), np.nan) for column in columns]) for name in subjects]


def table(metrics: Sequence[Metric], *, unit: str = "") -> str:
    """Write rows as a plain text table, in the order they are in.

    >>> print(table([Metric(subject="last value", kind="baseline", metric="MAE", value=2.5, horizon="1h")]))
                  MAE 1h
    last value     2.500
    """
    columns, lines = pivot(metrics)
    side = max([len(name) for name, _ in lines] + [len(unit)])
    width = [max(len(column), 8) for column in columns]
    head = "  ".join(f"{column:>{size}}" for column, size in zip(columns, width, strict=True))
    out = [f"{unit:<{side}}  {head}"]
    for name, values in lines:
        cells = "  ".join(f"{value:>{size}.3f}" for value, size in zip(values, width, strict=True))
        out.append(f"{name:<{side}}  {cells}")
    return "\n".join(out)
