"""What if: the same streets and seeds with a measure and without, in processes side by side.

What comes out is usable as the evidence of a command: every key figure with the interval of what the
measure changes, over so many pairs of runs.
"""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from nervure.bench.forecast.run import Task, work_through
from nervure.bench.signal.job import CONTROLLERS, PLANS, Job, Kept
from nervure.core.error import DataError, UsageError
from nervure.core.paired import Paired, paired

__all__ = ["SCENARIOS", "Change", "Measure", "Outcome", "WhatIf", "ask", "find"]

Tell = Callable[[float, str], None]
_STEP_S = 10.0
_LIMIT_S = 1800.0
_HELD = "commands"


class Measure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who decides, or what is commanded and held, and what else is different."""

    controller: str = "fixed"
    commands: dict[str, float] = {}
    scenario: dict[str, float] = {}


class WhatIf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question: what changes on this net, in these circumstances, if ``do`` is done instead of ``base``."""

    title: str = ""
    net: str = "crossing"
    minutes: float = 60.0
    scenario: dict[str, float] = {}
    do: Measure
    base: Measure = Measure()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A key figure without and with the measure, means over the seeds, and the difference pair by pair."""

    kpi: str
    base: float
    do: float
    difference: Paired


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The answer."""

    name: str
    question: WhatIf
    seeds: int
    changes: tuple[Change, ...]


_ADAPT = Measure(controller="max-pressure")
SCENARIOS: Mapping[str, WhatIf] = {
    "rush": WhatIf(title="A third more traffic on a corridor: adaptive signals", net="corridor",
                   scenario={"demand": 1.3}, do=_ADAPT),
    "rain": WhatIf(title="A wet crossing: adaptive signals", scenario={"wet": 1.0}, do=_ADAPT),
    "shut": WhatIf(title="A lane of a crossing is shut: adaptive signals",
                   scenario={"shut_lane": 1.0}, do=_ADAPT),
    "shutting": WhatIf(title="Shutting a lane of a crossing", do=Measure(scenario={"shut_lane": 1.0})),
    "hold": WhatIf(title="Holding the first phase of a crossing, as a broken command would",
                   do=Measure(controller=_HELD, commands={"mid/phase": 0.0}), minutes=15.0),
}  # fmt: skip
"""Questions to begin with; a TOML file asks others."""


def find(name: str) -> WhatIf:
    """Return a question by its name, or from a TOML file.

    Raises UsageError for a name that is none, DataError for a file that asks nothing that can be answered.
    """
    if name in SCENARIOS:
        return SCENARIOS[name]
    if not name.endswith(".toml"):
        raise UsageError(
            f"there is no what-if {name!r}", hint=f"there are {', '.join(SCENARIOS)}; or give a .toml file"
        )
    try:
        return msgspec.convert(tomllib.loads(Path(name).read_text("utf-8")), WhatIf)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as cause:
        raise DataError(
            f"this what-if cannot be read: {cause}", where=name,
            hint='net = "crossing", and below [do]: controller = "max-pressure"',
        ) from cause  # fmt: skip


def ask(
    name: str, question: WhatIf, *, seeds: int = 10, at_once: int = 2, tell: Tell | None = None
) -> Outcome:
    """Run both sides on the same seeds and return what differs.

    Raises UsageError for fewer than two seeds, DataError where a run failed, with its last words.
    """
    if seeds < 2 or at_once < 1:
        raise UsageError("a what-if takes two seeds at least, and a process")
    parts = [part for part in np.array_split(np.arange(1, seeds + 1), min(at_once, seeds)) if len(part)]
    sides = {
        side: [_job(question, measure, tuple(int(one) for one in part)) for part in parts]
        for side, measure in (("base", question.base), ("do", question.do))
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tasks = {
            (side, number): _task(job, folder / f"{side}-{number}.json")
            for side, jobs in sides.items()
            for number, job in enumerate(jobs)
        }
        for done in work_through(list(tasks.values()), folder / "log", jobs=at_once, tell=tell):
            if done.error:
                raise DataError(f"a run of the what-if failed: {done.error}", where=done.task.label)
        found = {side: _kpis([tasks[side, number] for number in range(len(parts))]) for side in sides}
    changes = tuple(
        Change(
            kpi=kpi,
            base=float(np.mean(found["base"][kpi])),
            do=float(np.mean(found["do"][kpi])),
            difference=paired(found["do"][kpi], found["base"][kpi]),
        )
        for kpi in found["base"]
    )
    return Outcome(name=name, question=question, seeds=seeds, changes=changes)


def _job(question: WhatIf, measure: Measure, seeds: tuple[int, ...]) -> Job:
    known = (*PLANS, *CONTROLLERS, _HELD)
    if measure.controller not in known:
        raise UsageError(
            f"there is no controller {measure.controller!r}", hint=f"there are {', '.join(known)}"
        )
    return Job(
        net=question.net,
        controller=measure.controller,
        seeds=seeds,
        scenario=tuple({**question.scenario, **measure.scenario}.items()),
        commands=tuple(measure.commands.items()),
        steps=max(1, round(question.minutes * 60 / _STEP_S)),
    )


def _task(job: Job, path: Path) -> Task:
    return Task(
        label=job.label,
        request={"out": str(path), "job": msgspec.to_builtins(job)},
        path=path,
        limit_s=_LIMIT_S,
        weight=len(job.seeds),
        module="nervure.bench.signal.trial",
    )


def _kpis(tasks: Sequence[Task]) -> dict[str, list[float]]:
    """Return the key figures of a side, ``[seed]`` by name."""
    runs = [run for task in tasks for run in msgspec.json.decode(task.path.read_bytes(), type=Kept).runs]
    return {kpi: [run.kpis[kpi] for run in runs] for kpi in runs[0].kpis}
