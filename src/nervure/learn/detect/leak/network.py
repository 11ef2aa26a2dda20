"""The networks that leaks are simulated in, and distances along their pipes.

Hanoi is the benchmark of Fujiwara & Khang (Water Resources Research 26(4), 1990): 31 consumers, a
reservoir, 34 pipes; the diameters are of the cost-least designs in the literature (Savic & Walters,
1997). L-TOWN (Vrachimis et al., J. Water Resour. Plann. Manage. 148(12), 2022) is read from the
``epyt`` package of whoever has it, never from here.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.core.error import DataError
from nervure.learn.dataset import cache_folder
from nervure.learn.detect.leak.epanet import Hydraulics, Pipes

__all__ = ["HANOI_SENSORS", "LTOWN_SENSORS", "Places", "Sensors", "hanoi_text", "ltown", "places"]

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


class Sensors(NamedTuple):
    """What is read of a network: nodes by pressure in m, tanks by level in m, links by flow in m3/h.

    ``inflow`` are the links that water comes in through.
    """

    pressure: tuple[str, ...]
    level: tuple[str, ...]
    flow: tuple[str, ...]
    inflow: tuple[str, ...]

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the names of the channels, in the order pressure, level, flow."""
        return (
            *(f"pressure {one}" for one in self.pressure),
            *(f"level {one}" for one in self.level),
            *(f"flow {one}" for one in self.flow),
        )


HANOI_SENSORS = Sensors(
    pressure=("4", "8", "12", "13", "15", "17", "21", "22", "25", "27", "29", "31"), level=(),
    flow=("1",), inflow=("1",),
)  # fmt: skip
LTOWN_SENSORS = Sensors(  # of the Battle of the Leakage Detection and Isolation Methods
    pressure=tuple(
        f"n{at}" for at in (
            1, 4, 31, 54, 105, 114, 163, 188, 215, 229, 288, 296, 332, 342, 410, 415, 429, 458, 469, 495, 506,
            516, 519, 549, 613, 636, 644, 679, 722, 726, 740, 752, 769,
        )
    ),
    level=("T1",), flow=("PUMP_1", "p227", "p235"), inflow=("p227", "p235"),
)  # fmt: skip

# consumer, m3/h
_HANOI_DEMAND = (
    890, 850, 130, 725, 1005, 1350, 550, 525, 525, 500, 560, 940, 615, 280, 310, 865, 1345, 60, 1275, 930,
    485, 1045, 820, 170, 900, 370, 290, 360, 360, 105, 805,
)  # fmt: skip
# first end, last end, length in m, diameter in mm
_HANOI_PIPES = (
    (1, 2, 100, 1016), (2, 3, 1350, 1016), (3, 4, 900, 1016), (4, 5, 1150, 1016), (5, 6, 1450, 1016),
    (6, 7, 450, 1016), (7, 8, 850, 1016), (8, 9, 850, 1016), (9, 10, 800, 1016), (10, 11, 950, 762),
    (11, 12, 1200, 762), (12, 13, 3500, 609.6), (10, 14, 800, 406.4), (14, 15, 500, 406.4),
    (15, 16, 550, 304.8), (17, 16, 2730, 406.4), (18, 17, 1750, 508), (19, 18, 800, 609.6),
    (3, 19, 400, 609.6), (3, 20, 2200, 1016), (20, 21, 1500, 508), (21, 22, 500, 304.8),
    (20, 23, 2650, 1016), (23, 24, 1230, 762), (24, 25, 1300, 762), (26, 25, 850, 508), (27, 26, 300, 304.8),
    (16, 27, 750, 304.8), (23, 28, 1500, 406.4), (28, 29, 2000, 406.4), (29, 30, 1600, 304.8),
    (30, 31, 150, 304.8), (32, 31, 860, 406.4), (25, 32, 950, 508),
)  # fmt: skip
# share of the design demand hour by hour: asleep, morning, evening (the design has only one load)
_DAY = (
    0.42, 0.38, 0.36, 0.36, 0.40, 0.52, 0.76, 0.96, 1.00, 0.92, 0.84, 0.80, 0.82, 0.80, 0.76, 0.74, 0.76,
    0.84, 0.94, 0.98, 0.92, 0.78, 0.62, 0.50,
)  # fmt: skip


def hanoi_text() -> str:
    """Return the Hanoi network as an .inp file; a day's course is ours, the published design has none."""
    lines = ["[TITLE]", "Hanoi (Fujiwara and Khang, 1990)", "[JUNCTIONS]"]
    lines += [f"{at} 0 {demand} day" for at, demand in enumerate(_HANOI_DEMAND, start=2)]
    lines += ["[RESERVOIRS]", "1 100", "[PIPES]"]
    lines += [
        f"{at} {first} {last} {length} {diameter} 130 0 Open"
        for at, (first, last, length, diameter) in enumerate(_HANOI_PIPES, start=1)
    ]
    lines += ["[PATTERNS]", *(f"day {share}" for share in _DAY)]
    lines += ["[TIMES]", "Duration 24:00", "Hydraulic Timestep 0:30", "Pattern Timestep 1:00"]
    lines += ["[OPTIONS]", "Units CMH", "Headloss H-W", "Accuracy 0.0001", "Trials 60", "[END]"]
    return "\n".join(lines) + "\n"


def ltown(path: Path | None = None) -> Path:
    """Return where L-TOWN.inp is: at ``path``, in the installed ``epyt``, or in the user's cache.

    Raises ``DataError`` with what to do where it is not.
    """
    found = find_spec("epyt") if path is None else None
    spots = [path] if path is not None else []
    if found is not None and found.origin is not None:
        spots.append(Path(found.origin).parent / "networks" / "L-TOWN.inp")
    if path is None:
        spots.append(cache_folder() / "network" / "L-TOWN.inp")
    for spot in spots:
        if spot.is_file():
            return spot
    raise DataError(
        "the network L-TOWN is not here",
        where=f"looked in {', '.join(str(one) for one in spots)}",
        hint="pip install epyt, which carries it, or put L-TOWN.inp into the folder named last",
    )


class Places(NamedTuple):
    """Points on pipes where a leak is looked for, none further from the next than ``piece_m``.

    ``pipe [place]`` counts pipes, ``share`` is how far along the pipe, ``apart [place, place]`` the
    way along the pipes from one to another in m. Pumps and valves join, and add nothing.
    """

    pipes: Pipes
    pipe: Longs
    share: Floats
    apart: Floats
    node_apart: Floats

    def distance(self, place: int, pipe: str, share: float) -> float:
        """Return the way along the pipes from a place to a point of a pipe, in m."""
        own = int(self.pipe[place])
        other = self.pipes.id.index(pipe)
        length = self.pipes.length_m
        if own == other:
            return float(abs(self.share[place] - share) * length[own])
        ways = [
            length[own] * abs(self.share[place] - here)
            + self.node_apart[self.pipes.end[own, here], self.pipes.end[other, there]]
            + length[other] * abs(share - there)
            for here in (0, 1)
            for there in (0, 1)
        ]
        return float(min(ways))


def places(hydraulics: Hydraulics, piece_m: float = 100.0) -> Places:
    """Cut the pipes of a network into pieces and take the middle of each."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import shortest_path

    pipes, others, count = hydraulics.pipes(), hydraulics.other_links(), len(hydraulics.nodes)
    pieces = np.maximum(1, np.ceil(pipes.length_m / piece_m)).astype(np.int64)
    pipe = np.repeat(np.arange(len(pieces)), pieces)
    share = np.concatenate([(np.arange(one) + 0.5) / one for one in pieces.tolist()])
    end = np.concatenate([pipes.end, others])
    length = np.concatenate([pipes.length_m, np.full(len(others), 1e-3)])
    order = np.argsort(-length)  # of two pipes between the same nodes the shorter one is kept
    table = {(min(a, b), max(a, b)): m for (a, b), m in zip(end[order].tolist(), length[order], strict=True)}
    rows, columns = zip(*table, strict=True)
    graph = coo_matrix((list(table.values()), (rows, columns)), shape=(count, count))
    node_apart: Floats = shortest_path(graph, directed=False)
    apart = _between(pipes, pipe, share, node_apart)
    return Places(pipes, pipe, share, apart, node_apart)


def _between(pipes: Pipes, pipe: Longs, share: Floats, node_apart: Floats) -> Floats:
    length = pipes.length_m[pipe]
    out = np.full((len(pipe), len(pipe)), np.inf)
    for here in (0, 1):
        own = length * np.abs(share - here)
        for there in (0, 1):
            other = length * np.abs(share - there)
            ways = node_apart[np.ix_(pipes.end[pipe, here], pipes.end[pipe, there])]
            np.minimum(out, own[:, None] + ways + other[None], out=out)
    same = pipe[:, None] == pipe[None]
    return np.where(same, np.abs(share[:, None] - share[None]) * length[:, None], out)
