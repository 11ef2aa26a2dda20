"""``nervure evaluate detection``: the report on anomalies, faults and remaining life; or one set of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nervure.cli.output import say, table, write_json
from nervure.cli.progress import progress
from nervure.core.error import UsageError

if TYPE_CHECKING:
    from nervure.bench.detect.document import About, Document
    from nervure.bench.detect.job import Job
    from nervure.bench.detect.run import Seat
    from nervure.cli.report import Order

__all__ = ["ALL", "detect", "is_detection"]

ALL = "detection"


def is_detection(name: str) -> bool:
    """Return whether a name stands for all sets of detection, or for one.

    >>> is_detection("skab"), is_detection("traffic")
    (True, False)
    """
    from nervure.bench.detect.board import SETS

    return name == ALL or any(name in names for names in SETS.values())


def detect(name: str, order: Order, *, json: bool) -> int:
    """Do what is not done yet; write the report, or print one set's table. 1 where a job failed."""
    from nervure.bench.detect.rows import assemble
    from nervure.bench.detect.run import run_jobs

    if order.jobs < 1:
        raise UsageError("--jobs must be 1 at least")
    odd: dict[str, object] = {"--budget": order.budget_s, "--peers-python": order.peers_python}
    odd |= {"--sets": order.sets} if name != ALL else {}
    for option in [one for one, value in odd.items() if value]:
        raise UsageError(f"{option} means nothing for {name}", hint="nervure evaluate --help")
    folder = (order.work / "detection").absolute()
    among, jobs = _planned(name, order)
    _announce(jobs, among, folder)
    with progress(f"evaluate {name}") as tell:
        kept = run_jobs(jobs, among, folder, at_once=order.jobs, tell=tell)
    full = not (order.sets or order.models or order.seeds or order.quick) and name == ALL
    document = assemble(among, kept, folder, full=full)
    if name == ALL:
        document = _written(document, order.out)
    if json:
        write_json(document)
    else:
        _tell(document, order.out if name == ALL else None)
    return 1 if document.failures else 0


def _planned(name: str, order: Order) -> tuple[tuple[Seat, ...], list[Job]]:
    """Return the contests that are asked for and their jobs; one set alone is run once a model."""
    from nervure.bench.detect.run import Wanted, check_models, jobs_of, seats

    opened = seats(order.sets if name == ALL else (name,))
    check_models(order.models, opened)
    once = order.quick or name != ALL
    wanted = Wanted(models=order.models, seeds=order.seeds or (1 if once else 0), quick=order.quick)
    by_seat = [(seat, jobs_of(seat.contest, wanted)) for seat in opened]
    among = tuple(seat for seat, own in by_seat if own)
    if not among:
        raise UsageError("there is nothing to do", hint="this set has no quick form" if order.quick else None)
    return among, [job for _, own in by_seat for job in own]


def _written(document: Document, out: Path) -> Document:
    """Write data, page and pictures; returns the report as the data tell it."""
    from nervure.bench.detect.document import read
    from nervure.bench.detect.page import publish
    from nervure.bench.forecast.document import save

    save(document, out / "detection.json")
    found = read(out / "detection.json")
    publish(found, out)
    return found


def _announce(jobs: Sequence[Job], among: Sequence[Seat], folder: Path) -> None:
    """Say on stderr what is to be done."""
    from nervure.bench.detect.run import done_before

    done = done_before(jobs, {seat.contest.set: seat for seat in among}, folder)
    sets = "1 set" if len(among) == 1 else f"{len(among)} sets"
    sys.stderr.write(f"{len(jobs)} jobs on {sets}, {len(done)} done before; results in {folder}\n")
    sys.stderr.flush()


def _tell(document: Document, out: Path | None) -> None:
    """Print a set's table, and what its numbers show; of a whole report, how goals and models stand."""
    from nervure.bench.detect.prose import goal_line, stand

    if out is None:
        for about in document.sets:
            _show(document, about)
            for goal in document.verdicts(about):
                say(f"goal, {goal.model}: {goal_line(goal)}")
            if about.said:
                say(about.said)
    else:
        stands = [one for about in document.sets if (one := stand(document, about)) is not None]
        lines = [
            (one.about.set, one.about.lead, one.plain.model, one.plain.value, one.deep.model, one.deep.value)
            for one in stands
        ]
        table(("set", "by", "best baseline", "has", "best deep model", "has"), lines)
    for failure in document.failures:
        say(f"failed: {failure.set} {failure.model}: {failure.error}")
    if out is not None:
        say(f"wrote {out / 'detection.md'} and {out / 'detection.json'}")


def _show(document: Document, about: About) -> None:
    """Print a set's table, baselines above deep models."""
    metrics = [one for one in about.metrics if any(row.metric == one for row in document.rows)]
    lines = []
    for kind in ("baseline", "peer", "deep"):
        for model in document.models(about.set, kind):
            row = document.row(about.set, model)
            values = (document.value(about.set, model, metric) for metric in metrics)
            memory = document.value(about.set, model, "memory_mb")
            lines.append((model, kind, *values, row.train_cpu_s, row.infer_ms, memory))
    table(("model", "kind", *metrics, "train CPU-s", "ms a step", "MB"), lines, title=about.title)
