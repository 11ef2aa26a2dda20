"""The twin of roads as what learning asks for: views of junctions, choices, rewards."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nervure.bench.signal.street import junctions_of
from nervure.core.sight import Sight
from nervure.twin.roads import Roads

__all__ = ["TwinStreet"]

Floats = NDArray[np.float32]
_DEMAND = (0.8, 1.3)  # what trainings see


class TwinStreet:
    """A street to learn on; every episode has its own demand between 0.8 and 1.3 of the net's.

    The reward of a junction is minus the vehicles before it, standing ones twice, in tens: what delay
    is made of, as far as detectors see.
    """

    def __init__(self, twin: Roads, *, steps: int = 0) -> None:
        self._twin = twin
        self._junctions = junctions_of(twin)
        self._step_s = twin.describe().step_s
        self._steps = steps or int(twin.span_s / self._step_s)
        self.phases = tuple(len(one.phases) for one in self._junctions)
        self.episodes = 0

    @property
    def steps(self) -> int:
        """How many decisions an episode has."""
        return self._steps

    def reset(self, seed: int) -> tuple[Floats, ...]:
        """Start an episode."""
        self.episodes += 1
        demand = float(np.random.default_rng(seed).uniform(*_DEMAND))
        self._sights = [Sight(one) for one in self._junctions]
        self._at = 0
        return self._look(self._twin.reset(seed=seed + 1_000_000, scenario={"demand": demand}))

    def step(self, choice: NDArray[np.int64]) -> tuple[tuple[Floats, ...], Floats]:
        """Show phases, but for what has to be shown so that nobody waits too long."""
        for sight, phase in zip(self._sights, choice.tolist(), strict=True):
            due = sight.due(self._step_s)
            sight.show(phase if due is None else due)
        self._twin.apply({one.junction.command: float(one.phase) for one in self._sights})
        self._at += 1
        views = self._look(self._twin.step())
        reward = [-(one.count.sum() + one.queue.sum()) / 10.0 for one in self._sights]
        return views, np.array(reward, np.float32)

    def _look(self, readings: Mapping[str, float]) -> tuple[Floats, ...]:
        for one in self._sights:
            one.look(readings, self._at * self._step_s)
        return tuple(one.features(self._step_s) for one in self._sights)
