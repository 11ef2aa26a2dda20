"""What a network model says: pressures at any hour and load, and what leaks do to the sensors.

EPANET solves each state with the leaks that are open and without. What one more does then follows from
the linearised balance of flows (Todini & Pilati's gradient method, 1988): one sparse factor a state.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.learn.detect.leak.epanet import Hydraulics
from nervure.learn.detect.leak.network import Places, Sensors
from nervure.learn.detect.leak.residual import Expectation

__all__ = ["Linear", "Modelled", "Open", "Plant"]

Floats = NDArray[np.float64]
Open = tuple[tuple[int, float], ...]  # leaks that are open: place, and size in percent of consumption
_POWER = 1.852  # of Hazen and Williams
_STIFFEST = 1e7  # m3/h a metre: what loses no head is taken for this, so that the balance can be solved
_LOADS = 8
_SCALES = (0.8, 1.0, 1.2)  # of all consumption
_RAISE_M = 0.3


def _signs(sensors: Sensors) -> Floats:
    """Return what turns flows into what is consumed: 1 where water comes in, -1 where it is pumped on."""
    return np.array([1.0 if one in sensors.inflow else -1.0 for one in sensors.flow])


def _pumping(sensors: Sensors) -> list[int]:
    """Return the channels of flows that are pumped on into a tank."""
    return [sensors.channels.index(f"flow {one}") for one in sensors.flow if one not in sensors.inflow]


class Modelled(Expectation):
    """Pressures by the network model, and what it gets wrong, by ridge regression on the flows.

    A leak lets a tank fill and pumps run at hours at which they never did; the model knows what the
    pressures are then, a regression alone does not. Takes a CPU-second to build.
    """

    def __init__(self, water: Hydraulics, sensors: Sensors, *, step_s: int = 1800) -> None:
        super().__init__(sensors)
        heads = len(sensors.pressure)
        self.step_s, self.inflow = step_s, []
        self.first = heads + len(sensors.level)
        self.known = list(range(self.first, len(sensors.channels)))
        self.pumping = _pumping(sensors)
        demand = water.demand(7 * 86_400 // step_s, step_s)
        water.take_over_demand()
        table = [[_solved(water, sensors, demand * one, up) for one in _SCALES] for up in (False, True)]
        self._table = np.array(table)  # [pumping, scale, slot, channel]
        self._total = self._table[..., self.first :] @ _signs(sensors)
        self._rise = [_risen(water, sensors, demand[::12], one) for one in sensors.level]

    def _before(self, value: Floats, time: NDArray[np.int64]) -> Floats:
        """Return the model's pressures at what was consumed, pumped, and stood in the tanks."""
        slot = time // (self.step_s * 1_000_000_000) % self._table.shape[2]
        up = (value[:, self.pumping] > 1).any(axis=1).astype(np.int64)
        total = value[:, self.first :] @ _signs(self.sensors)
        table, x = self._table[up, :, slot], self._total[up, :, slot]
        heads = len(self.sensors.pressure)
        out = np.zeros((len(value), heads))
        for at in range(len(_SCALES)):  # Lagrange's parabola through the three scales
            rest = [one for one in range(len(_SCALES)) if one != at]
            share = np.prod([(total - x[:, one]) / (x[:, at] - x[:, one]) for one in rest], axis=0)
            out += share[:, None] * table[:, at, :heads]
        for at, rise in enumerate(self._rise):
            out += rise[up] * (value[:, heads + at] - table[:, 1, heads + at])[:, None]
        return out


def _solved(water: Hydraulics, sensors: Sensors, demand: Floats, running: bool) -> Floats:
    """Return the channels ``[state, channel]`` for demands ``[state, junction]`` in m3/h, tanks standing."""
    junction = water.junctions().tolist()
    water.set_pumps(running=running)

    def drive(step: int) -> None:
        water.set_demand(junction, demand[step])

    return water.run(len(demand), 1, drive, (*sensors.pressure, *sensors.level), sensors.flow)


def _risen(water: Hydraulics, sensors: Sensors, demand: Floats, tank: str) -> Floats:
    """Return how much pressures rise with a tank's level, ``[pumping, sensor]``."""
    found = []
    for by in (_RAISE_M, -2 * _RAISE_M):
        water.raise_level(tank, by)
        found.append([_solved(water, sensors, demand, up).mean(axis=0) for up in (False, True)])
    water.raise_level(tank, _RAISE_M)
    high, low = np.array(found)[:, :, : len(sensors.pressure)]
    rise: Floats = (high - low) / (2 * _RAISE_M)
    return rise


class Linear(NamedTuple):
    """What open leaks do, ``shift [pumping, load, channel]``, and one more of 1 %, ``move [.., place]``."""

    shift: Floats
    move: NDArray[np.float32]


class Plant:
    """States of a network model at several loads, with its pumps at rest and running, tanks standing.

    ``total_m3h [load]`` is what is consumed by the flow meters; leaks are told in percent of its mean,
    which is ``unit_m3h``. :meth:`linear` takes 0.04 CPU-s on
    L-TOWN.
    """

    def __init__(self, water: Hydraulics, sensors: Sensors, spots: Places, *, step_s: int = 1800) -> None:
        self.water, self.sensors, self.spots = water, sensors, spots
        demand = water.demand(7 * 86_400 // step_s, step_s)
        total = demand.sum(axis=1)
        water.take_over_demand()
        least, most = np.quantile(total, [0.005, 0.995]).tolist()
        levels = np.linspace(least, most, _LOADS)
        self._demand = demand[[int(np.abs(total - one).argmin()) for one in levels]]
        self._junction = water.junctions().tolist()
        self._height = water.height()
        self._end, self._loss = water.resistance()
        self._fixed = np.ones(len(water.nodes), np.bool_)
        self._fixed[self._junction] = False
        self._head = [water.nodes.index(one) for one in (*sensors.pressure, *sensors.level)]
        self._flow = [water.links.index(one) for one in sensors.flow]
        self.unit_m3h = 0.0
        self._dry = self._states(())
        flows = [len(water.nodes) + one for one in self._flow]
        self.total_m3h: Floats = self._dry[0][:, flows] @ _signs(sensors)
        self.unit_m3h = float(self.total_m3h.mean()) / 100

    def weights(self, total_m3h: Floats, running: NDArray[np.bool_]) -> Floats:
        """Return how much of each state is in rows that consume this: ``[row, pumping, load]``."""
        x, row = self.total_m3h, np.arange(len(total_m3h))
        at = np.clip(np.searchsorted(x, total_m3h) - 1, 0, len(x) - 2)
        share = np.clip((total_m3h - x[at]) / (x[at + 1] - x[at]), -0.3, 1.3)
        out = np.zeros((len(row), 2, len(x)))
        up = running.astype(np.int64)
        out[row, up, at], out[row, up, at + 1] = 1 - share, share
        return out

    def linear(self, open_: Open) -> Linear:
        """Return what leaks do, and what one more at each place would, about the states they make."""
        states = self._states(open_)
        channels = [*self._head, *(len(self._height) + one for one in self._flow)]
        shift = np.array(
            [one[:, channels] - dry[:, channels] for one, dry in zip(states, self._dry, strict=True)]
        )
        count = len(self._height)
        move = np.array(
            [[self._moves(row[:count] + self._height, row[count:]) for row in one] for one in states],
            dtype=np.float32,
        )
        ends, share = self.spots.pipes.end[self.spots.pipe], self.spots.share.astype(np.float32)
        along = move[..., ends[:, 0]] * (1 - share) + move[..., ends[:, 1]] * share
        return Linear(shift, along * np.float32(self.unit_m3h))

    def _states(self, open_: Open) -> list[Floats]:
        """Return pressures of all nodes and flows of all links with leaks, ``[load, node + link]``."""
        lost = np.zeros(len(self.water.nodes))
        for place, size in open_:
            share = self.spots.share[place]
            lost[self.spots.pipes.end[self.spots.pipe[place]]] += (
                np.array([1 - share, share]) * size * self.unit_m3h
            )
        demand = self._demand + lost[self._junction]

        def drive(step: int) -> None:
            self.water.set_demand(self._junction, demand[step])

        found = []
        for running in (False, True):
            self.water.set_pumps(running=running)
            found.append(self.water.run(len(demand), 1, drive, self.water.nodes, self.water.links))
        return found

    def _moves(self, head: Floats, flow: Floats) -> Floats:
        """Return how channels move per m3/h drawn at a node, ``[channel, node]``, in one state.

        Heads are in m, flows in m3/h. What is drawn behind a valve that holds the head behind it is
        drawn before it.
        """
        from scipy.sparse.linalg import splu

        fall = head[self._end[:, 0]] - head[self._end[:, 1]]
        reducing = (self._loss == 0) & (np.abs(fall) > 0.05)
        give = self._give(flow, reducing)
        fixed, carry = self._fixed.copy(), np.arange(len(head))
        for link in np.flatnonzero(reducing & (np.abs(flow) > 1e-6)).tolist():
            before, behind = self._end[link] if fall[link] > 0 else self._end[link][::-1]
            fixed[behind], carry[behind] = True, before
        free = np.flatnonzero(~fixed)
        solved = splu(self._balance(give, carry)[free][:, free].T.tocsc())
        wanted = np.zeros((len(self._head) + len(self._flow), len(head)))
        wanted[np.arange(len(self._head)), self._head] = 1.0
        for row, link in enumerate(self._flow, start=len(self._head)):
            wanted[row, self._end[link]] = np.array([1.0, -1.0]) * give[link]
        back = np.zeros_like(wanted)
        back[:, free] = -solved.solve(np.ascontiguousarray(wanted[:, free].T)).T
        found: Floats = back[:, carry]
        found[:, self._fixed] = 0.0
        return found

    def _balance(self, give: Floats, carry: NDArray[np.int64]) -> Any:
        """Return what nodes draw as their heads rise, sparse, rows added up where they are carried to."""
        from scipy.sparse import coo_matrix

        count, (a, b) = len(carry), self._end.T
        every = coo_matrix(
            (np.r_[give, give, -give, -give], (np.r_[a, b, a, b], np.r_[a, b, b, a])), shape=(count, count)
        ).tocsr()
        passed = coo_matrix((np.ones(count), (carry, np.arange(count))), shape=(count, count))
        return passed.tocsr() @ every

    def _give(self, flow: Floats, reducing: NDArray[np.bool_]) -> Floats:
        """Return by how much each link's flow gives way to a metre, ``[link]`` in m3/h; pumps do not."""
        slope = _POWER * self._loss * np.maximum(np.abs(flow), 1e-3) ** (_POWER - 1)
        give = np.where(self._loss > 0, 1 / np.maximum(slope, 1 / _STIFFEST), _STIFFEST)
        return np.where(np.isnan(self._loss) | reducing, 0.0, give)
