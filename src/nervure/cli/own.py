"""``--csv``: a file of readings of one's own instead of a solution's data set."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from nervure.cli.export import models_folder, write
from nervure.cli.metric import show
from nervure.cli.option import Dates, Decimal
from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress
from nervure.core.error import UsageError
from nervure.core.problem import Forecast

if TYPE_CHECKING:
    from nervure.core.card import Metric
    from nervure.core.settings import Settings
    from nervure.learn.own.data import Own

__all__ = ["Choices", "described", "judged", "opened", "tell", "written"]

_SHOWN = 8
QUICK_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How to read a file of one's own; what is left out is found out, and said."""

    csv: Annotated[
        Path | None,
        Parameter(
            help="A file of your own readings to learn from, in long format: a row for each time and series."
            " CSV of any separator, also packed, or Parquet."
        ),
    ] = None
    time: Annotated[str | None, Parameter(help="With --csv: the column of time stamps.")] = None
    id: Annotated[str | None, Parameter(help="With --csv: the column that tells the series apart.")] = None
    target: Annotated[str | None, Parameter(help="With --csv: the column to foresee.")] = None
    every: Annotated[str | None, Parameter(help="With --csv: the step, such as 1h or 15min.")] = None
    horizon: Annotated[str | None, Parameter(help="With --csv: how far to foresee, such as 24h.")] = None
    window: Annotated[str | None, Parameter(help="With --csv: how much of the past a forecast sees.")] = None
    zone: Annotated[
        str | None,
        Parameter(help="With --csv: the IANA zone of stamps that do not say theirs, and of the calendar."),
    ] = None
    past: Annotated[
        tuple[str, ...], Parameter(help="With --csv: columns that help, known until now. May be repeated.")
    ] = ()
    future: Annotated[
        tuple[str, ...],
        Parameter(help="With --csv: columns that help, known ahead too (weather forecast). May be repeated."),
    ] = ()
    unit: Annotated[str | None, Parameter(help="With --csv: the target's UCUM unit, such as L/s.")] = None
    country: Annotated[
        str | None, Parameter(help="With --csv: whose public holidays count, as ISO 3166: IT, US-CA.")
    ] = None
    resample: Annotated[
        Literal["last", "mean", "sum", "max"] | None,
        Parameter(help="With --csv: what several readings in one step become; the mean if left out."),
    ] = None
    dates: Dates = None
    decimal: Decimal = None
    low: Annotated[
        float | None, Parameter(help="With --csv: the least value that is possible; lower ones are rejected.")
    ] = None
    high: Annotated[
        float | None,
        Parameter(help="With --csv: the greatest value that is possible; higher ones are rejected."),
    ] = None


def opened(name: str | None, choices: Choices | None) -> Own | None:
    """Read the file of ``--csv``, or return None if there is none.

    Options that mean nothing without it are refused, as is a command without file and name.
    """
    given = choices or Choices()
    if given.csv is None:
        odd = [field.name for field in fields(given) if getattr(given, field.name) not in (None, ())]
        if odd:
            raise UsageError(f"--{odd[0]} is for a file of your own", hint="name it: --csv FILE")
        if name is None:
            raise UsageError(
                "what is to be learned from?",
                hint="name a solution (nervure solutions lists them), or a file of your own: --csv FILE",
            )
        return None
    from nervure.learn.own.ask import Asked
    from nervure.learn.own.data import open_own

    values: dict[str, Any] = {field.name: getattr(given, field.name) for field in fields(given)}
    values |= {"file": values.pop("csv"), "name": name}
    values |= {key: _split(values[key]) for key in ("past", "future")}
    return open_own(Asked(**values))


def _split(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one.strip() for name in names for one in name.split(",") if one.strip())


def tell(own: Own) -> None:
    """Say what was found in the file, what was chosen, and what was left out."""
    data = own.dataset
    problem = data.solution.problems[0]
    say(
        f"{data.origin}: {own.rows:,} rows, {len(data.things):,} series used, {own.empty:,} cells empty,"
        f" {len(own.rejected):,} rejected"
    )
    if isinstance(problem, Forecast):
        say(
            f"foresees {problem.of} {problem.horizon} ahead from the last {problem.window}, in steps of"
            f" {data.solution.signals[0].every}; split {own.split.how}"
        )
    for note in own.notes:
        say(f"- {note}")
    for count, (name, why) in enumerate(own.dropped.items()):
        if count == _SHOWN:
            say(f"- and {len(own.dropped) - _SHOWN:,} more series are left out")
            break
        say(f"- {name!r} is left out: {why}")
    if own.rejected:
        shown = own.rejected[:_SHOWN]
        title = f"rejected{f', the first {_SHOWN}' if len(own.rejected) > _SHOWN else ''}:"
        rows = [(str(one.line), one.column, one.value, one.reason) for one in shown]
        table(("line", "column", "value", "reason"), rows, title=title)


def judged(own: Own, *, budget_s: float, seeds: int, quick: bool, json: bool) -> int:
    """Judge the default model and plain forecasts on the test part of a file, and print the table."""
    from nervure.learn.evaluate import evaluate
    from nervure.learn.own.course import plain, stride_of
    from nervure.learn.own.verdict import verdict
    from nervure.learn.task import pose
    from nervure.learn.train import Deep

    if not json:
        tell(own)
    task = pose(own.dataset, split=own.split)
    model = Deep(task.problem.model, budget_s=min(budget_s, QUICK_S) if quick else budget_s)
    with progress(f"evaluate {task.solution}") as told:
        rivals = [*plain(task, trees=not quick), model]
        stride = stride_of(task) * (max(1, task.horizon // 2) if quick else 1)
        metrics = tuple(evaluate(task, rivals, stride=stride, seeds=range(seeds), progress=told))
    if json:
        write_json({"solution": task.solution, "metrics": metrics, **described(own, metrics)})
        return 0
    show(metrics, task.unit)
    found = verdict(metrics)
    if found is not None:
        say(found.says)
    return 0


def written(own: Own, model: Path, out: Path | None, settings: Settings) -> dict[str, Path]:
    """Write what belongs beside the package ``model``; return the files by what they are."""
    from nervure.learn.own.write import declaration, rejected_file, settings_file

    base = out.with_suffix("") if out else models_folder(settings.folder) / own.solution.name
    files = {
        "file": model,
        "solution": base.with_name(f"{base.name}.py"),
        "settings": base.with_name(f"{base.name}.toml"),
    }
    write(files["solution"], declaration(own).encode())
    things = [thing.name for thing in own.dataset.things]
    write(
        files["settings"],
        settings_file(own.solution, things, file=files["solution"], data=settings.folder),
    )
    if own.rejected:
        files["rejected"] = base.with_name(f"{base.name}.rejected.csv")
        write(files["rejected"], rejected_file(own.rejected))
    return files


def described(own: Own, metrics: tuple[Metric, ...]) -> dict[str, Any]:
    """Return for machines what :func:`tell` says, and the verdict."""
    from nervure.learn.own.verdict import verdict

    return {
        "rows": own.rows,
        "empty": own.empty,
        "rejected_cells": len(own.rejected),
        "series": [thing.name for thing in own.dataset.things],
        "dropped": own.dropped,
        "notes": own.notes,
        "against_plain": verdict(metrics),
    }
