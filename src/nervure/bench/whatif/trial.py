"""A process that runs one side of a what-if over some seeds: told on stdin, its result at the path given.

It never loads pyarrow, beside which libsumo cannot live.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from nervure.bench.forecast.job import write
from nervure.bench.whatif.control import Decide, opened
from nervure.bench.whatif.question import Measure
from nervure.core.error import NervureError
from nervure.twin.api import Twin
from nervure.twin.chance import Chancy
from nervure.twin.state import again, kept

__all__ = ["Job", "Kept", "main", "once", "perform"]

_FINE_S = 1.0
"""Twins with shorter steps than this are commanded when something changes; others at every step."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a question, and the seeds to run it with."""

    twin: str
    net: str
    minutes: float
    scenario: dict[str, float]
    measure: Measure
    seeds: tuple[int, ...]
    state: str = ""
    """A file with the state to begin at (:mod:`nervure.twin.state`); else it begins anew."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Key figures of each run, ``[seed]``, with their units; the observed property of each actuator."""

    runs: tuple[dict[str, float], ...]
    units: dict[str, str]
    signals: dict[str, str]


def perform(job: Job) -> Kept:
    """Run every seed in this process."""
    twin, make = opened(job.twin, job.net, job.measure.controller, minutes=job.minutes)
    try:
        runs = tuple(once(twin, make, job, seed) for seed in job.seeds)
        about = twin.describe()
    finally:
        twin.close()
    signals = {one.name: one.signal for one in about.actuators}
    return Kept(runs=runs, units=dict(about.kpis), signals=signals)


def once(
    twin: Twin,
    make: Callable[[Mapping[str, float]], Decide | None],
    job: Job,
    seed: int,
    look: Callable[[Mapping[str, float]], None] | None = None,
) -> dict[str, float]:
    """Run one seed and return its key figures; ``look`` is shown what is measured at every step."""
    scenario, begun_s = {**job.scenario, **job.measure.scenario}, 0.0
    readings = twin.reset(seed=seed, scenario=scenario)
    about = twin.describe()
    if job.state:
        found = kept(Path(job.state))
        again(twin, found)
        if isinstance(twin, Chancy):  # where it is now is known, what is to come is not
            twin.reseed(seed)
        twin.release()  # who does nothing leaves it to its own plan
        scenario, begun_s, readings = found.scenario, found.elapsed_s + about.step_s, twin.step()
    every = {one.name for one in about.actuators}
    decide = make(scenario)
    held, then = dict(job.measure.commands), sorted(job.measure.then, key=lambda one: one.after)
    fresh = True
    for step in range(max(1, round(job.minutes * 60 / about.step_s))):
        now_s = step * about.step_s
        while then and then[0].after * 60 <= now_s:
            one, fresh = then.pop(0), True
            held = {name: value for name, value in held.items() if name not in one.release} | one.commands
            if one.release:
                twin.release(one.release)
        wish = dict(decide(readings, begun_s + now_s)) if decide is not None else {}
        wish |= held
        if wish and (fresh or decide is not None or about.step_s >= _FINE_S):
            twin.apply(wish)
        if decide is not None and (left := every - wish.keys()):
            twin.release(tuple(sorted(left)))
        fresh = False
        readings = twin.step()
        if look is not None:
            look(readings)
    return dict(twin.kpis())


def main() -> None:
    """Read a request, do its job, write its result."""
    request = msgspec.json.decode(sys.stdin.buffer.read())
    try:
        write(Path(request["out"]), perform(msgspec.convert(request["job"], Job)))
    except NervureError as cause:  # whoever asked shows the last line
        sys.stdout.write(f"{cause.what}{f' ({cause.hint})' if cause.hint else ''}\n")
        sys.stdout.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # libsumo's threads end in disorder otherwise
