"""Max-pressure: the phase whose lanes press most towards where there is room. The default and the fallback.

Varaiya, Max pressure control of a network of signalized intersections, Transportation Research C 36, 2013;
room behind the junction as in Gregoire et al., Capacity-aware backpressure traffic signal control, IEEE
TCNS 2(2), 2015. It needs no flows, no plan and no neighbour, and keeps any queue finite that can be kept so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nervure.core.junction import Junction
from nervure.core.sight import Sight

__all__ = ["MaxPressure", "pressure"]

_WAIT_S = 240.0  # a lane whose first vehicle has waited this long presses twice


def pressure(sight: Sight) -> NDArray[np.float64]:
    """Return what presses for each phase, in vehicles, ``[phase]``.

    Who comes counts once, who stands twice, and both the more the longer the first has waited.
    """
    press = (sight.count + sight.queue) * (1.0 + sight.wait / _WAIT_S)
    return np.asarray(sight.served @ (press * sight.room()))


class MaxPressure:
    """Decides every ten seconds; no lane stays red for longer than ``max_red_s``."""

    name = "max-pressure"

    def __init__(self, junctions: Sequence[Junction], *, every_s: float = 10.0) -> None:
        self.every_s = every_s
        self._sights = [Sight(one) for one in junctions]

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        """Return the phase of each junction."""
        found = {}
        for sight in self._sights:
            sight.look(seen, now_s)
            sight.show(self._phase(sight))
            found[sight.junction.command] = float(sight.phase)
        return found

    def _phase(self, sight: Sight) -> int:
        due = sight.due(self.every_s)
        return sight.better(pressure(sight)) if due is None else due
