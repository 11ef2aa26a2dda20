"""Further tables of the report: new sensors, a new site, and a model renewed instead of learnt anew.

Each table has a row a way of doing it, and the same columns on every set.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec
import numpy as np

from nervure.bench.forecast.contest import open_contest
from nervure.bench.forecast.job import DEFAULT, Job, Result
from nervure.core.card import Metric
from nervure.learn.split import Split
from nervure.learn.task import ForecastTask

__all__ = ["EXTRAS", "Extra", "extras_of", "perform"]

Cells = dict[str, str | float | None]

_OLD = 0.6  # of the train part is what a champion knew
_RENEWAL = 0.25  # of the seconds of a training that a renewal may take


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """A table: its name, the sets it is made on, and the seconds that each of its trainings may take."""

    name: str
    sets: tuple[str, ...]
    budget_s: float


EXTRAS: tuple[Extra, ...] = (
    Extra(name="new sensors", sets=("traffic", "crowd", "air", "water"), budget_s=40.0),
    Extra(name="a new site", sets=("air", "etth2"), budget_s=40.0),
    Extra(name="renewal", sets=("air", "water", "i94"), budget_s=40.0),
)
_KNOWN = {"etth2": "etth1"}  # the site whose net is brought; of others one half to the other half


def extras_of(name: str) -> tuple[str, ...]:
    """Return the names of the tables that are made on a set.

    >>> extras_of("i94")
    ('renewal',)
    """
    return tuple(one.name for one in EXTRAS if name in one.sets)


def perform(job: Job) -> Result:
    """Make one table on one set."""
    work: dict[str, Callable[[Job, float], list[Cells]]] = {
        "new sensors": _new_sensors,
        "a new site": _new_site,
        "renewal": _renewal,
    }
    extra = next(one for one in EXTRAS if one.name == job.model)
    return Result(job=job, extra=tuple(work[job.model](job, job.budget_s or extra.budget_s)))


def _cells(rows: list[Metric], *, cpu_s: float | None = None) -> list[Cells]:
    """Return a row a subject: errors at each horizon, how much the band covers, and what it cost."""
    found: list[Cells] = []
    for subject in dict.fromkeys(row.subject for row in rows):
        own = [row for row in rows if row.subject == subject]
        errors: Cells = {f"MAE {row.horizon}": row.value for row in own if row.metric == "MAE"}
        band = next((row.value for row in own if row.metric == "coverage_80"), None)
        found.append({"model": subject, **errors, "80 % band": band, "train CPU-s": cpu_s})
    return found


def _new_sensors(job: Job, budget_s: float) -> list[Cells]:
    """Foresee every fifth sensor by nets that were never shown it, after 0, 1 and 3 days of readings."""
    from nervure.learn.cold import cold_start

    task = open_contest(job.set, seed=job.seed).legs[0].task
    return _cells(cold_start(task, budget_s=budget_s, seed=job.seed))


def _new_site(job: Job, budget_s: float) -> list[Cells]:
    """Bring a net to a site of which a week is known, beside one that learnt that week alone."""
    from nervure.learn.cold import only, transfer

    task = open_contest(job.set, seed=job.seed).legs[0].task
    if job.set in _KNOWN:
        known = open_contest(_KNOWN[job.set], seed=job.seed).legs[0].task
        return _cells(transfer(known, task, budget_s=budget_s, seed=job.seed))
    nodes = np.arange(task.nodes, dtype=np.int64)
    half = task.nodes // 2
    rows = transfer(only(task, nodes[:half]), only(task, nodes[half:]), budget_s=budget_s, seed=job.seed)
    return _cells(rows)


def _renewal(job: Job, budget_s: float) -> list[Cells]:
    """Renew a champion that knew the older part of the history, beside it and one learnt from scratch."""
    from nervure.learn.recipe import recipe_of
    from nervure.learn.train import fit
    from nervure.learn.weights import Start, Weights

    task = open_contest(job.set, seed=job.seed).legs[0].task
    old = msgspec.structs.replace(task, split=_older(task.split))
    champion = fit(old, model=DEFAULT, budget_s=budget_s, seed=job.seed, clock=time.process_time)
    weights = Weights(
        model=DEFAULT,
        package="",
        streams=task.names,
        tensors={name: one.detach().clone() for name, one in champion.module.named_parameters()},
    )
    start = Start(weights=weights, since=int(old.split.validation[0]))
    renewed = fit(
        task, model=DEFAULT, budget_s=_RENEWAL * budget_s, seed=job.seed, clock=time.process_time,
        recipe=recipe_of(DEFAULT).renewing(), start=start,
    )  # fmt: skip
    scratch = fit(task, model=DEFAULT, budget_s=budget_s, seed=job.seed, clock=time.process_time)
    found: list[Cells] = []
    for name, one in (
        (f"champion, {100 * _OLD:.0f} % of the history", champion),
        ("renewed from its weights", renewed),
        ("learnt from scratch", scratch),
    ):
        found += _cells(_measured(task, one, name), cpu_s=one.cpu_s)
    return found


def _measured(task: ForecastTask, trained: object, name: str) -> list[Metric]:
    from nervure.learn.adapt import Admitted
    from nervure.learn.evaluate import measure
    from nervure.learn.train import Trained

    assert isinstance(trained, Trained)  # noqa: S101  # what fit returns
    return measure(task, Admitted(trained, name))


def _older(split: Split) -> Split:
    """Return the split as it was when only the older part of the train rows was known."""
    rows = split.train
    cut = int(_OLD * len(rows))
    held = max(1, min(len(split.validation), cut // 5))
    return Split(
        train=rows[: cut - held], validation=rows[cut - held : cut], test=split.test, how="the older part"
    )
