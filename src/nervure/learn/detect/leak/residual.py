"""What the pressures of a network should be, given its flows; and what a leak anywhere does to the rest.

The expectation is learnt from readings without leaks. The network model (EPANET, as published: with
other roughness and other demands than the real one) only says how a leak at a place moves each
sensor, flows included, so that what the expectation makes of the moved flows is taken off again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from nervure.core.error import ModelError
from nervure.core.instant import DAY_NS
from nervure.learn.detect.block import Block
from nervure.learn.detect.leak.epanet import Hydraulics
from nervure.learn.detect.leak.network import Places, Sensors

__all__ = ["Expectation", "Residual", "Response", "consumed", "effect", "response", "slopes"]

Floats = NDArray[np.float64]
Residual = Callable[[Block], Floats]
_LOADS = 6  # of consumption, evenly spread, that responses are worked out at


def consumed(block: Block, sensors: Sensors) -> Floats:
    """Return what came in and was not pumped on into a tank, ``[row]`` in m3/h."""
    first = len(sensors.pressure) + len(sensors.level)
    sign = np.array([1.0 if one in sensors.inflow else -1.0 for one in sensors.flow])
    found: Floats = block.value[:, first:] @ sign
    return found


class Expectation:
    """Pressures from flows, levels and the hour by ridge regression on squares and products.

    Not for networks whose flows are not metered where water comes in. ``inflow`` are the channels
    of the flows that water comes in by.
    """

    def __init__(self, sensors: Sensors, *, ridge: float = 1e-4) -> None:
        self.sensors, self.ridge = sensors, ridge
        heads = len(sensors.pressure)
        self.known = list(range(heads, len(sensors.channels)))
        self.inflow = [heads + len(sensors.level) + sensors.flow.index(one) for one in sensors.inflow]
        self._weight: Floats | None = None

    def fit(self, block: Block) -> Self:
        """Learn from a block without leaks."""
        known = block.value[:, self.known]
        self._mean, self._deviation = known.mean(axis=0), np.maximum(known.std(axis=0), 1e-9)
        shown = self._shown(known, block.time)
        heads = block.value[:, : len(self.sensors.pressure)] - self._before(block.value, block.time)
        self._level = heads.mean(axis=0)
        normal = shown.T @ shown + self.ridge * len(shown) * np.eye(shown.shape[1])
        self._weight = np.linalg.solve(normal, shown.T @ (heads - self._level))
        return self

    def __call__(self, value: Floats, time: NDArray[np.int64]) -> Floats:
        """Return the expected pressures ``[row, sensor]`` in m, from rows of all channels and stamps."""
        if self._weight is None:
            raise ModelError("the expectation has not been fitted")
        found: Floats = self._shown(value[:, self.known], time) @ self._weight + self._level
        return found + self._before(value, time)

    def _before(self, value: Floats, _: NDArray[np.int64]) -> Floats:
        """Return what is expected before anything is learnt, ``[row, sensor]``."""
        return np.zeros((len(value), len(self.sensors.pressure)))

    def residual(self, block: Block) -> Floats:
        """Return read less expected pressures, ``[row, sensor]`` in m."""
        found: Floats = block.value[:, : len(self.sensors.pressure)] - self(block.value, block.time)
        return found

    def _shown(self, known: Floats, time: NDArray[np.int64]) -> Floats:
        z = (known - self._mean) / self._deviation
        first, second = np.triu_indices(z.shape[1])
        products = z[:, first] * z[:, second]
        day = time[:, None] / DAY_NS * 2 * np.pi
        turn = [day * np.arange(1, 5), day / 7 * np.arange(1, 4)]
        waves = [wave(one) for one in turn for wave in (np.sin, np.cos)]
        own = z[:, [self.known.index(one) for one in self.inflow]]
        return np.concatenate([np.ones((len(z), 1)), z, products, own**3, *waves], axis=1)


class Response(NamedTuple):
    """How sensors move per m3/h lost at a node: ``move [load, channel, node]`` in the channels' units.

    ``total_m3h [load]`` is what was consumed, ``pressure [load, node]`` in m what drives a leak there.
    """

    move: Floats
    total_m3h: Floats
    pressure: Floats

    def load(self, consumed: Floats) -> NDArray[np.int64]:
        """Return which load is nearest to what was consumed, ``[row]``."""
        middle = (self.total_m3h[1:] + self.total_m3h[:-1]) / 2
        found: NDArray[np.int64] = np.searchsorted(middle, consumed).astype(np.int64)
        return found


def response(
    water: Hydraulics, sensors: Sensors, *, own: Floats | None = None, step_s: int = 1800, share: float = 0.02
) -> Response:
    """Let EPANET lose ``share`` of the mean consumption at each node in turn, at several loads.

    ``own [junction]`` multiplies what each consumes. It runs second by second, a leak and then none,
    so that tanks have no time to move.
    """
    demand = water.demand(7 * 86_400 // step_s, step_s)
    total = demand.sum(axis=1)
    if own is not None:
        demand = demand * own
    junction = water.junctions().tolist()
    water.take_over_demand()
    least, most = np.quantile(total, [0.01, 0.99]).tolist()
    levels = np.linspace(least, most, _LOADS)
    rows = [int(np.abs(total - one).argmin()) for one in levels]
    probe = share * float(total.mean())
    moves, pressure = [], []
    for row in rows:
        found = _probe(water, sensors, junction, demand[row], probe)
        near = (found[:-1:2] + found[2::2]) / 2
        move = np.zeros((found.shape[1], len(water.nodes)))
        move[:, junction] = ((found[1::2] - near) / probe).T
        moves.append(move)
        water.set_demand(junction, demand[row])
        now = water.run(1, 1, _nothing, water.nodes, ())
        pressure.append(np.maximum(now[0], 1.0))
    return Response(np.stack(moves), total[rows], np.stack(pressure))


def _nothing(_: int) -> None:
    """Drive nothing."""


def _probe(water: Hydraulics, sensors: Sensors, junction: list[int], demand: Floats, probe: float) -> Floats:
    def drive(step: int) -> None:
        if step == 0:
            water.set_demand(junction, demand)
            return
        own = (step - 1) // 2
        more = probe if step % 2 else 0.0
        water.set_demand([junction[own]], demand[own : own + 1] + more)

    nodes = (*sensors.pressure, *sensors.level)
    return water.run(2 * len(junction) + 1, 1, drive, nodes, sensors.flow)


def effect(found: Response, spots: Places, slope: Floats) -> Floats:
    """Return how a hole of emitter coefficient 1 moves the residual, ``[load, sensor, place]``.

    ``slope [load, sensor, channel]`` is how the residual moves per unit of each channel (see
    :func:`slopes`). A leak along a pipe acts as if shared by the pipe's ends, which is exact for
    small leaks; it loses the root of the pressure there.
    """
    ends, share = spots.pipes.end[spots.pipe], spots.share
    along = found.move[:, :, ends[:, 0]] * (1 - share) + found.move[:, :, ends[:, 1]] * share
    head = found.pressure[:, ends[:, 0]] * (1 - share) + found.pressure[:, ends[:, 1]] * share
    out: Floats = np.matmul(slope, along) * np.sqrt(head)[:, None]
    return out


def slopes(residual: Residual, block: Block, load: NDArray[np.int64], loads: int) -> Floats:
    """Return how a residual moves when a channel does for good, per unit: ``[load, sensor, channel]``.

    By small differences about the readings of a block without leaks, averaged over the rows of a load.
    """
    out = []
    for channel in range(len(block.channels)):
        by = 0.1 * float(np.nanstd(block.value[:, channel])) + 1e-9
        ends = []
        for sign in (1.0, -1.0):
            value = block.value.copy()
            value[:, channel] += sign * by
            ends.append(residual(msgspec.structs.replace(block, value=value)))
        slope = (ends[0] - ends[1]) / (2 * by)
        whole = slope.mean(axis=0)
        out.append(
            [slope[load == one].mean(axis=0) if (load == one).any() else whole for one in range(loads)]
        )
    return np.array(out).transpose(1, 2, 0)
