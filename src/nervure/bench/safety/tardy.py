"""What streets come to whose node is late: run seed by seed, put together, and what of it was not to be."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from nervure.bench.forecast.run import Task, work_through
from nervure.bench.markdown import table
from nervure.bench.safety.late import KINDS, Late, Lates
from nervure.core.error import DataError

__all__ = ["MOST", "Row", "behind", "rows", "section", "streets"]

MOST = 1.1
"""How many times the delay of the same guards without commands a late node may cost in any run."""

_MINUTES = 60.0
Tell = Callable[[float, str], None]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of lateness over its seeds: mean delay, that beside nobody's, the worst run, the longest red."""

    kind: str
    bound: bool
    runs: int
    delay_s: float
    ratio: float
    worst: float
    longest_red_s: float
    taken: int
    refused: int
    planned: float


def streets(hours: int, seed: int, workers: int, tell: Tell) -> list[Late]:
    """Run an hour of every kind of lateness for so many seeds, each seed in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="nervure-late-") as place:
        folder = Path(place)
        tasks = [
            Task(
                label=f"an hour of the corridor, seed {one}",
                request={
                    "out": str(path), "kinds": list(KINDS), "bounds": [True, False], "seeds": [one],
                    "minutes": _MINUTES,
                },
                path=path, limit_s=1800.0, module="nervure.bench.safety.late",
            )
            for one in range(301 + 1000 * seed, 301 + 1000 * seed + hours)
            for path in [folder / f"{one}.json"]
        ]  # fmt: skip
        for done in work_through(tasks, folder / "log", jobs=workers, tell=tell):
            if done.error:
                raise DataError(f"an hour of the corridor failed: {done.error}", where=done.task.label)
        read = [msgspec.json.decode(one.path.read_bytes(), type=Lates) for one in tasks]
        return [run for one in read for run in one.runs]


def rows(runs: Sequence[Late]) -> list[Row]:
    """Put the runs of each kind together.

    >>> nobody, late = (Late(kind=one, bound=True, seed=1, delay_s=two, longest_red_s=9.0, standstill_s=0.0)
    ...                 for one, two in (("nobody", 20.0), ("40 s", 21.0)))
    >>> [(one.kind, one.ratio) for one in rows([nobody, late])]
    [('nobody', 1.0), ('40 s', 1.05)]
    """
    plan = {one.seed: one.delay_s for one in runs if one.kind == "nobody"}
    found = []
    for kind, bound in dict.fromkeys((one.kind, one.bound) for one in runs):
        mine = [one for one in runs if (one.kind, one.bound) == (kind, bound) and one.seed in plan]
        found.append(
            Row(
                kind=kind,
                bound=bound,
                runs=len(mine),
                delay_s=sum(one.delay_s for one in mine) / len(mine),
                ratio=sum(one.delay_s for one in mine) / sum(plan[one.seed] for one in mine),
                worst=max(one.delay_s / plan[one.seed] for one in mine),
                longest_red_s=max(one.longest_red_s for one in mine),
                taken=sum(one.taken for one in mine),
                refused=sum(one.refused for one in mine),
                planned=sum(one.planned for one in mine) / len(mine),
            )
        )
    return found


def behind(runs: Sequence[Late]) -> list[str]:
    """Say what did not hold."""
    return [
        f"a node late by {one.kind}: {one.worst:.2f} times the delay of the plan in a run, {MOST} are allowed"
        for one in rows(runs)
        if one.bound and one.worst > MOST
    ]


def section(runs: Sequence[Late]) -> list[str]:
    """Return the part of the page."""
    if not runs:
        return []
    free = {one.kind: one for one in rows(runs) if not one.bound}
    lines = [
        (
            one.kind, f"{one.runs:,}", f"{one.delay_s:.1f} s", f"{one.ratio:.2f}", f"{one.worst:.2f}",
            f"{one.taken:,}" if one.kind in free else "", f"{one.refused:,}" if one.kind in free else "",
            f"{one.planned:.0%}", *_free(free.get(one.kind)),
        )
        for one in rows(runs)
        if one.bound
    ]  # fmt: skip
    head = (
        "orders late by", "hours", "delay", "of the plan", "worst", "taken", "refused", "on the plan",
        "unbound: of the plan", "worst",
    )  # fmt: skip
    return [
        "## A node that is late",
        "",
        "Our corridor of three signals in SUMO, an hour a seed, guards beside the signals, and max-pressure,",
        "whose orders come so much later than the readings that they rest on, by the time of the street. A",
        "twin of roads declares `seen`: orders on readings that are older than 20 s are refused, and a lease",
        "of 30 s begins when they were read, so that the plan goes on where a node is late. `unbound` is",
        f"without both, a lease of two minutes from when the order came. No run may have more than {MOST}",
        "times the delay of the guards' plan alone.",
        "",
        table(head, lines),
        "",
    ]


def _free(one: Row | None) -> tuple[str, str]:
    return ("", "") if one is None else (f"{one.ratio:.2f}", f"{one.worst:.2f}")
