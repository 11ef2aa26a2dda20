"""Max-pressure: the phase whose lanes press most towards where there is room. The default and the fallback.

Varaiya, Max pressure control of a network of signalized intersections, Transportation Research C 36, 2013;
room behind the junction as in Gregoire et al., Capacity-aware backpressure traffic signal control, IEEE
TCNS 2(2), 2015. A change of phase costs time, so another has to press clearly more than the one that is on,
as in Hsieh et al., Throughput-Optimal Scheduling for Multi-Hop Networked Transportation Systems With
Switch-Over Delay, MobiHoc 2017. How long the first of a lane has waited presses too, as head-of-line delay
does in Wu et al., Delay-Based Traffic Signal Control for Throughput Optimality and Fairness at an Isolated
Intersection, IEEE TVT 67(2), 2018, here the more the idler the junction is.
:meth:`nervure.core.sight.Sight.worth` says what counts: no flows, no plan and no neighbour are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nervure.core.junction import Junction
from nervure.core.sight import EVERY_S, Sight

__all__ = ["MaxPressure"]


class MaxPressure:
    """Decides every ten seconds; no lane stays red for longer than ``max_red_s``."""

    name = "max-pressure"

    def __init__(self, junctions: Sequence[Junction], *, every_s: float = EVERY_S) -> None:
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
        return sight.better(sight.worth(self.every_s)) if due is None else due
