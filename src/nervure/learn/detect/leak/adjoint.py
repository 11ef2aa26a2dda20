"""How the sensors of a network move with a loss at any node, at every half hour of a week.

EPANET solves each state once; what a loss does then follows from the linearised balance of flows
(Todini & Pilati's gradient method, 1988): one sparse factor a state, one solve a sensor.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.learn.detect.leak.epanet import Hydraulics
from nervure.learn.detect.leak.network import Sensors

__all__ = ["Week", "week"]

Floats = NDArray[np.float64]
_POWER = 1.852  # of Hazen and Williams
_STIFFEST = 1e7  # m3/h a metre: what loses no head is taken for this, so that the balance can be solved


class Week(NamedTuple):
    """Moves per m3/h lost, ``move [pumping, slot, channel, node]``, and ``pressure [node]`` in m.

    ``pumping`` is 0 where pumps rest, 1 where they run; slots are the steps of a week, whose
    consumption as published is ``total_m3h [slot]``. Channels are those of the sensors.
    """

    move: NDArray[np.float32]
    pressure: Floats
    total_m3h: Floats


def week(water: Hydraulics, sensors: Sensors, *, own: Floats | None = None, step_s: int = 1800) -> Week:
    """Work out the moves of a week; ``own [junction]`` multiplies what each consumes. Takes some 10 CPU-s."""
    demand = water.demand(7 * 86_400 // step_s, step_s)
    total = demand.sum(axis=1)
    if own is not None:
        demand = demand * own
    junction = water.junctions().tolist()
    water.take_over_demand()
    balance = _Balance(water, sensors)
    moves, pressure = [], []

    def drive(step: int) -> None:
        water.set_demand(junction, demand[step])

    for running in (False, True):
        water.set_pumps(running=running)
        found = water.run(len(demand), 1, drive, water.nodes, water.links)  # a second each: tanks stand still
        head, flow = found[:, : len(water.nodes)] + balance.height, found[:, len(water.nodes) :]
        moves.append([balance.moves(*one) for one in zip(head, flow, strict=True)])
        pressure.append(found[:, : len(water.nodes)].mean(axis=0))
    return Week(np.array(moves, dtype=np.float32), np.maximum(np.mean(pressure, axis=0), 1.0), total)


class _Balance:
    """The linearised balance of a network: which flows give way to which heads."""

    def __init__(self, water: Hydraulics, sensors: Sensors) -> None:
        self.count = len(water.nodes)
        self.height = water.height()
        self.end, self.loss = water.resistance()
        fixed = np.ones(self.count, np.bool_)
        fixed[water.junctions()] = False
        self.fixed = fixed
        self.head = [water.nodes.index(one) for one in sensors.pressure]
        self.flow = [water.links.index(one) for one in sensors.flow]
        self.levels = len(sensors.level)

    def moves(self, head: Floats, flow: Floats) -> Floats:
        """Return ``[channel, node]`` for one state: heads in m, flows in m3/h."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.linalg import splu

        fall = head[self.end[:, 0]] - head[self.end[:, 1]]
        reducing = (self.loss == 0) & (np.abs(fall) > 0.05)  # a valve that holds the head behind it
        give = self._give(flow, reducing)
        a, b = self.end.T
        every = coo_matrix(
            (np.r_[give, give, -give, -give], (np.r_[a, b, a, b], np.r_[a, b, b, a])),
            shape=(self.count, self.count),
        ).tocsr()
        fixed, carry = self.fixed.copy(), np.arange(self.count)
        for link in np.flatnonzero(reducing & (np.abs(flow) > 1e-6)).tolist():
            up, down = self.end[link] if fall[link] > 0 else self.end[link][::-1]
            fixed[down], carry[down] = True, up
        passed = coo_matrix(
            (np.ones(self.count), (carry, np.arange(self.count))), shape=(self.count, self.count)
        )
        free = np.flatnonzero(~fixed)
        solved = splu((passed.tocsr() @ every)[free][:, free].T.tocsc())
        wanted = np.zeros((len(self.head) + self.levels + len(self.flow), self.count))
        wanted[np.arange(len(self.head)), self.head] = 1.0
        for row, link in enumerate(self.flow, start=len(self.head) + self.levels):
            wanted[row, self.end[link]] = np.array([1.0, -1.0]) * give[link]
        back = np.zeros_like(wanted)
        back[:, free] = -solved.solve(np.ascontiguousarray(wanted[:, free].T)).T
        found: Floats = back[:, carry]  # what is drawn behind a valve is drawn before it
        found[:, self.fixed] = 0.0
        return found

    def _give(self, flow: Floats, reducing: NDArray[np.bool_]) -> Floats:
        """Return by how much each link's flow gives way to a metre, ``[link]`` in m3/h; pumps do not."""
        slope = _POWER * self.loss * np.maximum(np.abs(flow), 1e-3) ** (_POWER - 1)
        give = np.where(self.loss > 0, 1 / np.maximum(slope, 1 / _STIFFEST), _STIFFEST)
        return np.where(np.isnan(self.loss) | reducing, 0.0, give)
