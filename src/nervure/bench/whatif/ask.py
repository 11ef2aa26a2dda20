"""Asking what if: both sides on the same seeds, in processes of their own, and what differs.

What comes out is told with intervals, and of a question that sets values it is the evidence of a command.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace

from nervure.bench.forecast.run import Task, work_through
from nervure.bench.whatif.control import known
from nervure.bench.whatif.question import Measure, WhatIf
from nervure.bench.whatif.trial import Job, Kept
from nervure.core.command import Evidence, digest
from nervure.core.error import DataError, UsageError
from nervure.core.paired import Paired, paired
from nervure.twin.state import kept

__all__ = ["MOST_SEEDS", "Change", "Outcome", "ask", "evidence", "show", "swearable"]

Tell = Callable[[float, str], None]
_LIMIT_S = 1800.0
MOST_SEEDS = 1000
"""So many pairs of runs can be asked for; a hundred tell as much of most questions."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A key figure without and with the measure, means over the seeds, and the difference pair by pair.

    ``low`` and ``high`` are its lowest and highest run with the measure; NaN (null) where a run has none.
    """

    kpi: str
    unit: str
    base: float
    do: float
    low: float
    high: float
    difference: Paired
    runs: dict[str, tuple[float, ...]] = {}
    """The figure of each run, ``[seed]``, of both sides: ``base`` and ``do``."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The answer; ``begun_ns`` is when it was asked, ``signals`` what the commanded actuators set."""

    name: str
    question: WhatIf
    seeds: tuple[int, ...]
    begun_ns: int
    signals: dict[str, str]
    changes: tuple[Change, ...]


def ask(
    name: str,
    question: WhatIf,
    *,
    seeds: int = 10,
    at_once: int = 2,
    tell: Tell | None = None,
    state: Path | None = None,
) -> Outcome:
    """Run both sides on the same seeds and return what differs.

    With ``state``, that of a twin that runs, all begin there, in its circumstances, and go on with other
    chance each. Raises UsageError for fewer than two seeds, DataError where a run failed, with its last
    words.
    """
    if not 2 <= seeds <= MOST_SEEDS:
        raise UsageError(f"a what-if takes 2 to {MOST_SEEDS} pairs of runs, not {seeds}", hint="--seeds 10")
    if at_once < 1:
        raise UsageError(f"{at_once} processes run nothing", hint="--jobs 1")
    _checked(question)
    if state is not None:
        question = _now(question, state)
    begun_ns, chosen = time.time_ns(), tuple(range(1, seeds + 1))
    found = _run(question, chosen, at_once, tell, state)
    runs = {side: [run for one in kept for run in one.runs] for side, kept in found.items()}
    first = found["do"][0]
    return Outcome(
        name=name, question=question, seeds=chosen, begun_ns=begun_ns,
        signals={one: first.signals[one] for one in question.do.commands},
        changes=tuple(_change(kpi, unit, runs["base"], runs["do"]) for kpi, unit in first.units.items()),
    )  # fmt: skip


def _run(
    question: WhatIf, chosen: Sequence[int], at_once: int, tell: Tell | None, state: Path | None
) -> dict[str, list[Kept]]:
    """Run both sides of a question, in processes of their own."""
    parts = [part for part in np.array_split(np.array(chosen), min(at_once, len(chosen))) if len(part)]
    sides = {"base": question.base, "do": question.do}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tasks = {
            (side, number): _task(
                question, measure, [int(one) for one in part], folder, f"{side}-{number}", state
            )
            for side, measure in sides.items()
            for number, part in enumerate(parts)
        }
        for done in work_through(list(tasks.values()), folder / "log", jobs=at_once, tell=tell):
            if done.error:
                raise DataError(f"a run of the what-if failed: {done.error}", where=done.task.label)
        return {side: [_kept(tasks[side, number]) for number in range(len(parts))] for side in sides}


def evidence(found: Outcome) -> Evidence:
    """Return an answer as the evidence of a command, not yet signed.

    The values are those of a capability whose fields are called as the twin's signals (``phase``). A figure
    stands in it twice: from the lowest run to the highest, and, as ``NAME change``, the 95 % interval of
    what the measure changes. Raises UsageError for a question that is not about values alone.
    """
    swearable(found.question)
    do = found.question.do
    values = {found.signals[name]: value for name, value in do.commands.items()}
    if len(values) < len(do.commands):
        values = dict(do.commands)
    kpis: dict[str, tuple[float, float]] = {}
    for one in found.changes:
        if math.isfinite(one.low) and math.isfinite(one.high):
            kpis[one.kpi] = (one.low, one.high)
            kpis[f"{one.kpi} change"] = (one.difference.low, one.difference.high)
    return Evidence(
        of=digest(values), time_ns=found.begun_ns, kpis=kpis, runs=len(found.seeds),
        twin=found.question.place, commands=do.commands, scenario=found.question.scenario,
        minutes=found.question.minutes, seeds=found.seeds,
    )  # fmt: skip


def swearable(question: WhatIf) -> None:
    """Raise UsageError for a question whose answer is evidence of no command."""
    do = question.do
    if not do.commands or do.controller or do.then or do.scenario or question.base != Measure():
        raise UsageError(
            "only a what-if that holds values, beside doing nothing, is evidence of a command",
            hint="give [do.commands] and nothing else below [do] or [base]",
        )


def show(question: WhatIf, *, seed: int = 1, tell: Tell | None = None, state: Path | None = None) -> bytes:
    """Return the film of one seed of a question (:class:`.film.Film`, as JSON), made in a process of its own.

    Raises DataError where it failed, with its last words.
    """
    _checked(question)
    question = question if state is None else _now(question, state)
    sides = {"base": question.base, "do": question.do}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "film.json"
        jobs = {side: msgspec.to_builtins(_job(question, one, [seed], state)) for side, one in sides.items()}
        task = Task(
            label=f"filming {question.place}", request={"out": str(path), **jobs}, path=path,
            limit_s=_LIMIT_S, module="nervure.bench.whatif.film",
        )  # fmt: skip
        for done in work_through([task], Path(place) / "log", jobs=1, tell=tell):
            if done.error:
                raise DataError(f"the film of the what-if failed: {done.error}", where=question.place)
        return path.read_bytes()


def _checked(question: WhatIf) -> None:
    from nervure.twin.find import names

    if question.twin not in names():
        raise UsageError(f"there is no twin {question.twin!r}", hint=f"there are {', '.join(names())}")
    for measure in (question.do, question.base):
        known(question.twin, measure.controller)


def _now(question: WhatIf, state: Path) -> WhatIf:
    """Return a question of the present: its circumstances are those of the twin that runs."""
    kept(state)  # else it is found missing in a process, far from who asked
    if question.do.scenario or question.base.scenario:
        raise UsageError(
            "from now on only what is done can be asked, not other circumstances",
            hint="leave [do.scenario] out, or ask without --now",
        )
    title = question.title and f"{question.title} (from now on, as the twin that runs has it)"
    return replace(question, scenario={}, title=title)


def _job(question: WhatIf, measure: Measure, seeds: Sequence[int], state: Path | None) -> Job:
    return Job(
        twin=question.twin, net=question.net, minutes=question.minutes, scenario=question.scenario,
        measure=measure, seeds=tuple(seeds), state="" if state is None else str(state.resolve()),
    )  # fmt: skip


def _task(
    question: WhatIf, measure: Measure, seeds: Sequence[int], folder: Path, name: str, state: Path | None
) -> Task:
    job = _job(question, measure, seeds, state)
    path = folder / f"{name}.json"
    return Task(
        label=f"{question.place}, {len(seeds)} {'run' if len(seeds) == 1 else 'runs'}",
        request={"out": str(path), "job": msgspec.to_builtins(job)},
        path=path,
        limit_s=_LIMIT_S,
        weight=len(seeds),
        module="nervure.bench.whatif.trial",
    )


def _kept(task: Task) -> Kept:
    return msgspec.json.decode(task.path.read_bytes(), type=Kept)


def _change(kpi: str, unit: str, base: Sequence[dict[str, float]], do: Sequence[dict[str, float]]) -> Change:
    one = np.array([run[kpi] for run in do], np.float64)
    other = np.array([run[kpi] for run in base], np.float64)
    if len(one) > 1 and np.isfinite(one).all() and np.isfinite(other).all():
        difference = paired(one.tolist(), other.tolist())
    else:
        nothing, gap = float("nan"), float((one - other).mean())
        difference = Paired(mean=gap, low=nothing, high=nothing, p=nothing, pairs=len(one))
    return Change(
        kpi=kpi, unit=unit, base=float(other.mean()), do=float(one.mean()), low=float(one.min()),
        high=float(one.max()), difference=difference,
        runs={"base": tuple(other.tolist()), "do": tuple(one.tolist())},
    )  # fmt: skip
