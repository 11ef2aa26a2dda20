"""A film of a what-if: one seed with the measure and without, every step of it, to be looked at.

As a program it films what it is told on stdin and writes the film to the path it is told, as
:mod:`.trial` does with its job; nothing here loads pyarrow, beside which libsumo cannot live.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nervure.bench.forecast.job import write
from nervure.bench.whatif.control import opened
from nervure.bench.whatif.trial import Job, once
from nervure.core.junction import Junction
from nervure.twin.api import Description

__all__ = ["MOST_FRAMES", "MOST_NAMES", "Film", "Line", "Side", "Track", "film", "main"]

MOST_FRAMES = 600
"""Of longer runs every n-th step is kept."""

MOST_NAMES = 60
"""So many sensors of one quantity are kept, those that the measure changes most."""

Seen = Sequence[Mapping[str, float]]
Values = list[float | None]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Something drawn as a line: a lane, in metres to the east and to the north, in the way it is driven."""

    name: str
    points: tuple[tuple[float, float], ...]


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity over the run: ``value [name, frame]``, None where nothing was said."""

    signal: str
    unit: str
    names: tuple[str, ...]
    value: list[Values]


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs: what was measured by frame, and what came of it."""

    kpis: dict[str, float]
    tracks: tuple[Track, ...]


class Film(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs of a twin on one seed, without the measure (``base``) and with it (``do``).

    ``step_s`` is the simulated time between two frames, ``steps`` how many there are, ``units`` those of
    the key figures. Of roads there are lines, which are called as the names of tracks.
    """

    twin: str
    engine: str
    seed: int
    step_s: float
    steps: int
    units: dict[str, str]
    lines: tuple[Line, ...]
    base: Side
    do: Side


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    about: Description
    lines: tuple[Line, ...]
    kpis: dict[str, float]
    seen: list[Mapping[str, float]]


def film(base: Job, do: Job) -> Film:
    """Film the first seed of two jobs of one twin."""
    sides = [_watched(base), _watched(do)]
    shortest = min(len(one.seen) for one in sides)
    every = max(1, math.ceil(shortest / MOST_FRAMES))
    frames = [one.seen[:shortest:every] for one in sides]
    about = sides[1].about
    tracks = _signals(about, frames) if about.actuators and "junction" in about.actuators[0].about else None
    shown = tracks or _sensors(about, frames)
    return Film(
        twin=about.name, engine=about.engine, seed=do.seeds[0], step_s=about.step_s * every,
        steps=len(frames[0]), units=dict(about.kpis), lines=sides[1].lines,
        base=Side(kpis=sides[0].kpis, tracks=shown[0]), do=Side(kpis=sides[1].kpis, tracks=shown[1]),
    )  # fmt: skip


def _watched(job: Job) -> _Run:
    """Run the first seed, and keep what was measured at every step."""
    twin, make = opened(job.twin, job.net, job.measure.controller, minutes=job.minutes)
    seen: list[Mapping[str, float]] = []
    try:
        kpis = once(twin, make, job, job.seeds[0], seen.append)
        streets: Callable[[], Mapping[str, Any]] = getattr(twin, "streets", dict)
        lines = tuple(Line(name=name, points=points) for name, points in streets().items())
        return _Run(about=twin.describe(), lines=lines, kpis=kpis, seen=seen)
    finally:
        twin.close()


def _signals(about: Description, frames: Sequence[Seen]) -> list[tuple[Track, ...]]:
    """Return how many stand at each lane that comes to a signal, and what its light shows, ``[side]``.

    A light is 1 where a lane has its way, less where it has to give way or some of its turns are red, 0
    where it is red, and unknown between the phases of the net's own plan.
    """
    junctions = [msgspec.convert(one.about["junction"], Junction) for one in about.actuators]
    lanes = [(one, place, lane) for one in junctions for place, lane in enumerate(one.lanes)]
    names = tuple(lane for _, _, lane in lanes)
    return [
        (
            Track(signal="queue", unit="{#}", names=names, value=[
                [_plain(step[one.reading(lane, "queue")]) for step in seen] for one, _, lane in lanes
            ]),
            Track(signal="light", unit="1", names=names, value=[
                [_light(one, place, step[one.shown]) for step in seen] for one, place, _ in lanes
            ]),
        )
        for seen in frames
    ]  # fmt: skip


def _light(junction: Junction, lane: int, shown: float) -> float | None:
    return min(1.0, junction.served[int(shown)][lane]) if math.isfinite(shown) else None


def _sensors(about: Description, frames: Sequence[Seen]) -> list[tuple[Track, ...]]:
    """Return the readings by quantity, ``[side]``: of each the sensors that the measure changes most."""
    signals = dict.fromkeys(one.signal for one in about.sensors)
    found: list[list[Track]] = [[] for _ in frames]
    for signal in signals:
        mine = [one for one in about.sensors if one.signal == signal]
        values = [
            np.array([[step.get(one.name, math.nan) for step in seen] for one in mine]) for seen in frames
        ]
        gap = np.nan_to_num(np.abs(values[1] - values[0])).sum(axis=1)
        kept = np.argsort(-gap, kind="stable")[:MOST_NAMES]
        names = tuple(mine[place].name for place in kept)
        for side, table in zip(found, values, strict=True):
            rows = [[_plain(one) for one in table[place].tolist()] for place in kept]
            side.append(Track(signal=signal, unit=mine[0].unit, names=names, value=rows))
    return [tuple(side) for side in found]


def _plain(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    out: str
    base: Job
    do: Job


def main() -> None:
    """Read what to film, film it, write it."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=_Request)
    write(Path(request.out), film(request.base, request.do))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # libsumo's threads end in disorder otherwise
