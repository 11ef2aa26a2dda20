"""Readings in blocks of some hours, cleaned of the leaks that are known, and what one more would do.

What open leaks take from the flows and the pressures is taken off first, by the network model, so that the
expectation is asked about flows such as it has learnt from; what is left is whitened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nervure.learn.detect.leak.residual import consumed
from nervure.learn.detect.leak.scenario import Year
from nervure.learn.detect.leak.ways import Linear, Modelled, Open, Plant

__all__ = ["Scene", "Seen"]

Floats = NDArray[np.float64]
_KEPT = 40  # linearised states


class Seen(NamedTuple):
    """A block: ``z [part]`` whitened, leaks' effect in it; ``way [part, place]`` a percent; ``drive``.

    ``open`` are the leaks that it was linearised about. An error of the model is constant, or goes
    with one of the drives: 1, consumption, pumping.
    """

    z: Floats
    way: NDArray[np.float32]
    drive: Floats
    open: Open


class Scene:
    """A year of readings beside the network model; ``rows`` make a block, ``train`` rows tell its noise."""

    def __init__(self, year: Year, plant: Plant, expect: Modelled, train: int, *, rows: int = 6) -> None:
        self.block, self.plant, self.expect, self.rows = year.block, plant, expect, rows
        self.count = len(self.block) // rows
        self.heads, self.first = len(plant.sensors.pressure), expect.first
        self._total = consumed(self.block, plant.sensors)
        self._running: NDArray[np.bool_] = np.any(self.block.value[:, expect.pumping] > 1, axis=1)
        known = self.block.value[:train]
        self._mean, self._step = self._total[:train].mean(), 0.05 * known[:, self.first :].std(axis=0)
        residual = expect.residual(self.block.part(0, train // rows * rows))
        cover = np.cov(residual.reshape(-1, rows, self.heads).mean(axis=1).T)
        cover += 1e-3 * np.trace(cover) / self.heads * np.eye(self.heads)
        self._turn = np.linalg.inv(np.linalg.cholesky(cover))
        self._models: dict[Open, Linear] = {}

    def look(self, blocks: Sequence[int], open_: Open) -> list[Seen]:
        """Return blocks as they are with these leaks open."""
        model, count = self._model(open_), len(blocks)
        rows = (np.asarray(blocks)[:, None] * self.rows + np.arange(self.rows)).ravel()
        total = self._total[rows] - self.plant.unit_m3h * sum(size for _, size in open_)
        weight = self.plant.weights(total, self._running[rows])
        clean = self.block.value[rows] - np.einsum("rpl,plc->rc", weight, model.shift)
        time = self.block.time[rows]
        left = clean[:, : self.heads] - self.expect(clean, time)
        z = left.reshape(count, self.rows, -1).mean(axis=1) @ self._turn.T
        way = self._ways(model, weight, self._slope(clean, time), count)
        drive = [np.ones_like(total), 2 * (total / self._mean - 1), self._running[rows] - 0.5]
        drives = np.stack(drive, axis=1).reshape(count, self.rows, -1).mean(axis=1)
        return [Seen(self._whole(z[at], way[at], open_), way[at], drives[at], open_) for at in range(count)]

    def _whole(self, z: Floats, way: NDArray[np.float32], open_: Open) -> Floats:
        """Put the leaks' effect back, as it is linearised: what a filter of their sizes is shown."""
        return z + sum((size * way[:, place].astype(np.float64) for place, size in open_), np.zeros_like(z))

    def _model(self, open_: Open) -> Linear:
        if open_ not in self._models:
            if len(self._models) >= _KEPT:
                self._models.pop(next(iter(self._models)))
            found = self.plant.linear(open_)
            turned = self._turn.astype(np.float32) @ found.move[:, :, : self.heads]
            self._models[open_] = Linear(
                found.shift, np.concatenate([turned, found.move[:, :, self.first :]], axis=2)
            )
        return self._models[open_]

    def _slope(self, clean: Floats, time: NDArray[np.int64]) -> Floats:
        """Return how the whitened residual moves with each flow alone, ``[row, part, flow]``."""
        out = []
        for at, step in enumerate(self._step.tolist()):
            ends = []
            for sign in (1.0, -1.0):
                value = clean.copy()
                value[:, self.first + at] += sign * step
                ends.append(self.expect(value, time))
            out.append((ends[1] - ends[0]) @ self._turn.T / (2 * step))
        return np.stack(out, axis=2)

    def _ways(self, model: Linear, weight: Floats, slope: Floats, count: int) -> NDArray[np.float32]:
        """Return what one more leak does, ``[block, part, place]`` a percent, flows' share in it."""
        states, flows = weight.shape[1] * weight.shape[2], slope.shape[2]
        weight = weight.reshape(count, self.rows, states)
        move = model.move.reshape(states, -1, model.move.shape[3])
        heads = weight.mean(axis=1).astype(np.float32) @ move[:, : self.heads].reshape(states, -1)
        slope = slope.reshape(count, self.rows, self.heads, flows)
        by_flow = np.einsum("nrhf,nrs->nhsf", slope, weight).astype(np.float32) / self.rows
        flow = by_flow.reshape(count * self.heads, -1) @ move[:, self.heads :].reshape(states * flows, -1)
        found: NDArray[np.float32] = heads.reshape(count, self.heads, -1) + flow.reshape(
            count, self.heads, -1
        )
        return found
