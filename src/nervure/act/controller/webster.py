"""Webster's method: the cycle of least delay for the flows of the last minutes, and its split.

Webster, Traffic Signal Settings, Road Research Technical Paper 39, 1958.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nervure.core.junction import Junction
from nervure.core.sight import Sight

__all__ = ["Webster", "split"]

Floats = NDArray[np.float64]
_FLOW_S = 600.0  # flows are means over about this long
_SATURATION = 0.5  # vehicles that a green lane lets through in a second
_CYCLE_S = (30.0, 120.0)
_MOST = 0.9  # of saturation that a cycle is made for
_START_S = 1.0  # of each green that passes before vehicles move


def split(flow: Floats, served: Floats, *, yellow_s: float, min_green_s: float) -> Floats:
    """Return how long each phase lasts with its clearance, s ``[phase]``, for flows in veh/s ``[lane]``.

    A lane that several phases serve counts where it is served best and first.

    >>> split(np.array([0.1, 0.2]), np.eye(2), yellow_s=3.0, min_green_s=5.0).round(1)
    array([15.5, 27. ])
    """
    best = served.argmax(axis=0)
    ratio = np.array(
        [
            max([flow[lane] / (_SATURATION * served[phase, lane]) for lane in np.flatnonzero(best == phase)
                 if served[phase, lane] > 0] or [0.0])
            for phase in range(len(served))
        ]
    )  # fmt: skip
    lost = len(served) * (yellow_s + _START_S)
    total = min(float(ratio.sum()), _MOST)
    cycle = float(np.clip((1.5 * lost + 5.0) / (1.0 - total), *_CYCLE_S))
    share = ratio / ratio.sum() if ratio.sum() > 0 else np.full(len(served), 1.0 / len(served))
    return np.asarray(np.maximum(min_green_s, (cycle - lost) * share + _START_S) + yellow_s)


class Webster:
    """Fixed time whose greens follow the arrivals; a new split at the end of each cycle."""

    name = "Webster"

    def __init__(self, junctions: Sequence[Junction], *, every_s: float = 5.0) -> None:
        self.every_s = every_s
        self._sights = [Sight(one) for one in junctions]
        self._flow: list[Floats | None] = [None for _ in junctions]
        self._greens: list[Floats] = [np.array(one.plan_s) + one.yellow_s for one in junctions]
        self._then_s: float | None = None

    def decide(self, seen: Mapping[str, float], now_s: float) -> Mapping[str, float]:
        """Return the phase of each junction."""
        since = self.every_s if self._then_s is None else max(now_s - self._then_s, 1e-3)
        self._then_s = now_s
        return {
            sight.junction.command: float(self._one(place, sight, seen, now_s, since))
            for place, sight in enumerate(self._sights)
        }

    def _one(
        self, place: int, sight: Sight, seen: Mapping[str, float], now_s: float, since: float
    ) -> int:  # fmt: skip
        sight.look(seen, now_s)
        rate = sight.arrivals / since
        before = self._flow[place]
        keep = min(1.0, since / _FLOW_S)
        flow = rate if before is None else before + keep * (rate - before)
        self._flow[place] = flow
        greens = self._greens[place]
        if sight.green_s + 0.5 * self.every_s >= greens[sight.phase]:
            following = (sight.phase + 1) % len(greens)
            if following == 0:
                one = sight.junction
                self._greens[place] = split(
                    flow, sight.served, yellow_s=one.yellow_s, min_green_s=one.min_green_s
                )
            sight.show(following)
        return sight.phase
