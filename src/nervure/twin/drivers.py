"""A street on which other drivers drive from now on, by seed: for a what-if that begins where a twin is.

SUMO takes one seed, at its start. So how fast everybody likes to drive is drawn anew, of who is there and of
who comes, by the type of their car as SUMO itself draws it; who is where, and what is to come, stays.
"""

from __future__ import annotations

import random
from typing import Any

from nervure.twin.api import TwinError
from nervure.twin.roads import Roads

__all__ = ["OtherDrivers"]


class OtherDrivers(Roads):
    """A twin of roads with chance that can be changed on the way; else as ``Roads``."""

    _chance: random.Random | None = None

    def reseed(self, seed: int) -> None:
        """Let other drivers drive from here on; a way back to a state leads to those of before."""
        self._chance, self._known = random.Random(seed), set[str]()
        self._meet()

    def snapshot(self) -> bytes:
        """Return what has been asked until now; raises TwinError once other drivers drive."""
        if self._chance is not None:
            raise TwinError("a street with other drivers has no state to come back to", hint="restore one")
        return super().snapshot()

    def restore(self, state: bytes) -> None:
        """Go back to a state, with the drivers that it had."""
        self._chance = None
        super().restore(state)

    def _advance(self) -> None:
        super()._advance()
        if self._chance is not None:
            self._meet()

    def _meet(self) -> None:
        """Draw how fast those like to drive who have come since."""
        sumo: Any = self._sumo._sumo  # noqa: SLF001  # its thin face has no words for drivers
        there, chance = sumo.vehicle.getIDList(), self._chance or random.Random(0)
        for one in there:
            if one not in self._known:
                kind = sumo.vehicle.getTypeID(one)
                mean = float(sumo.vehicletype.getSpeedFactor(kind))
                drawn = chance.gauss(mean, float(sumo.vehicletype.getSpeedDeviation(kind)))
                sumo.vehicle.setSpeedFactor(one, min(max(drawn, 0.2), 2.0))
        self._known = set(there)
